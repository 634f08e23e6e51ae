"""What a session's learner reports, as lines for a person who waits for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

EVERY = 5.0  # seconds between two lines of progress
DOES = {  # phase -> what goes on in it
    "source": "training the source agent",
    "teacher": "training the source agent's teacher",
    "evidence": "the source policy acts first",
    "walk": "learning in the identified simulator",
    "trial": "candidates take turns in the target",
    "transfer": "learning",
}
UNATTENDED = ("source", "teacher", "walk")  # in which no robot takes steps, so that it can be said how long they last


class Reported:
    """Called with what the learner reports; `say` is called with a line, at once where something begins or was found,
    and every few seconds while the learner trains without a robot."""

    def __init__(self, say: Callable[[str], None], every: float = EVERY) -> None:
        self._say, self._every = say, every
        self._phase, self._began, self._told = "", 0.0, time.monotonic()

    def __call__(self, said: dict[str, Any]) -> None:
        """One report; warnings are left to the session."""
        if said["event"] == "failed":
            self._say(f"the learner has failed, and the latest policies go on acting: {said['text']}")
        for line in said.get("said", ()):
            self._say(line)
        if said["event"] != "progress":
            return
        phase, now = said["phase"], time.monotonic()
        if phase != self._phase:
            self._phase, self._began, self._told = phase, now, now
            if said["done"] < 1:  # else it was done before, and is taken up
                self._say(f"{DOES.get(phase, phase)} ...")
        elif phase in UNATTENDED and now - self._told >= self._every:
            self._told = now
            self._say(self._progress(said, now - self._began))

    def _progress(self, said: dict[str, Any], passed: float) -> str:
        done = said["done"]
        left = f", about {passed / done - passed:.0f} s left" if done > 0.02 else ""
        return f"{DOES[said['phase']]}: {done:.0%}{earned(said['rows'])}{left}"


def only_found(say: Callable[[str], None]) -> Callable[[dict[str, Any]], None]:
    """Called with what the learner reports; `say` is called with each line that says what was identified."""

    def reported(said: dict[str, Any]) -> None:
        for line in said.get("said", ()):
            say(line)

    return reported


def earned(rows: Sequence[dict[str, Any]]) -> str:
    """The mean return in the source of the latest evaluation, where there is one."""
    returns = [row["source_return"] for row in rows if row.get("source_return") is not None]
    return f", return {np.mean(returns):,.4g} in the source" if returns else ""


def to_standard_error(line: str) -> None:
    """Print a line, at once."""
    print(line, file=sys.stderr, flush=True)
