"""What a session's learner reports: to the session's caller, and as lines for a person who waits for it."""

from __future__ import annotations

import queue
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from transreward.domains.users import in_one_line
from transreward.evaluation.verdict import number

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


class Heard:
    """Called with what the learner reports, in the thread that hears it. `watch` is called there, too; what the learner
    warns of waits for a call of the session's, by whichever thread comes first."""

    def __init__(self, watch: Callable[[dict[str, Any]], None]) -> None:
        self.watch = watch
        self.said: tuple[str, ...] = ()  # what was found, line by line
        self._warnings: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __call__(self, said: dict[str, Any]) -> None:
        """One report."""
        if said["event"] == "warning":
            self._warnings.put(said["text"])
        self.said += tuple(line for line in said.get("said", ()) if not line.endswith(" ..."))
        try:
            self.watch(said)
        except Exception as error:  # nobody else would hear of it
            self.watch = lambda said: None
            self._warnings.put(f"`watch` failed, and is not called again: {in_one_line(error)}")

    def pass_on(self) -> None:
        """Warn who called what called this."""
        while True:
            try:
                text = self._warnings.get_nowait()
            except queue.Empty:
                return
            warnings.warn(text, stacklevel=3)


def only_found(say: Callable[[str], None]) -> Callable[[dict[str, Any]], None]:
    """Called with what the learner reports; `say` is called with each line that says what was identified."""

    def reported(said: dict[str, Any]) -> None:
        for line in said.get("said", ()):
            say(line)

    return reported


def earned(rows: Sequence[dict[str, Any]]) -> str:
    """The mean return in the source of the latest evaluation, where there is one."""
    returns = [row["source_return"] for row in rows if row.get("source_return") is not None]
    return f", return {number(float(np.mean(returns)))} in the source" if returns else ""


def to_standard_error(line: str) -> None:
    """Print a line, at once."""
    print(line, file=sys.stderr, flush=True)
