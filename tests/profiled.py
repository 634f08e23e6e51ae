"""What a round enters: python tests/profiled.py [LEARNER [ROUND]] runs a small `darc` and profiles one of its rounds in
which both gap and learner are trained; of the first, 0, tracing is a part. Prints the files of the package that it
enters, and how often it goes from one to another. An evaluation, which a few rounds end with, is left out."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import transreward as tr
from transreward.engine import loop

PACKAGE = str(Path(tr.__file__).parent)


class Profile(NamedTuple):
    """Of one round."""

    files: Counter[str]  # calls, by the file in the package
    changes: int  # of file, from one call to the next


def profile(learner: str = "sac", round: int = 1) -> Profile:
    """One round of a small `darc`, counted from the first that trains."""
    files: Counter[str] = Counter()
    last, changes = "", 0

    def seen(frame: Any, event: str, _: Any) -> None:
        nonlocal last, changes
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(PACKAGE):
            files[name.removeprefix(PACKAGE)[1:]] += 1
            changes += bool(last) and name != last
            last = name

    gather, learn = loop.gather, loop.learn
    done: list[int] = []

    def first_gather(run: Any) -> Any:
        if run.name == "darc" and not done and run.state.index == run.stage.schedule.warm + round:
            sys.setprofile(seen)
        return gather(run)

    def first_learn(run: Any, fresh: Any) -> None:
        try:
            learn(run, fresh)
        finally:
            if sys.getprofile() is seen:
                sys.setprofile(None)
                done.append(run.state.index)

    loop.gather, loop.learn = first_gather, first_learn
    try:
        budgets = {"source_steps": 20_000, "target_steps": 1_000}
        tr.transfer(
            "hopper",
            "hopper:gravity=0.5",
            "darc",
            learner=learner,
            seeds=1,
            settings={"loop.evaluations": 1},
            **budgets,
        )
    finally:
        loop.gather, loop.learn = gather, learn
    return Profile(files, changes)


if __name__ == "__main__":
    found = profile(*sys.argv[1:2], *map(int, sys.argv[2:3]))
    for file, calls in found.files.most_common():
        print(f"{calls:5}  {file}")
    print(f"{len(found.files)} files, {sum(found.files.values())} calls, {found.changes} changes of file")
