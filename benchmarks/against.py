"""Is this version slower than an earlier one? Both in one run, in turns: python benchmarks/against.py [REVISION]

The revision is checked out beside, with git, and runs in this Python. Each measure is taken in turns on both sides, so
that a machine that slows down slows both; a ratio is the earlier side's time (or memory) over the present one's,
repeat by repeat, so that more than 1 is faster (or smaller). Processor time tells where others used the machine, too.
Compiled programs are kept, each side's own, and the first repeat, which fills them, does not count. The machine has to
be idle. Writes benchmarks/results/against.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from record import RESULTS, provenance, spread, table, write

ROOT = Path(__file__).parents[1]
FIRST_EDITION = "69a8ae2"
LEAST = 0.97
PAIR = ("halfcheetah", "halfcheetah:gravity=0.5")
SIZE = ("--seeds", "2", "--no-video")
# Both sides have to do the same work, and their defaults have come apart. The methods of one request have had equal
# numbers of updates since, where the earlier side does what is `paced`; a gap beside PPO is updated once per 16 steps,
# 512 times a round of this request, where it was updated 32 times, as often as PPO; SAC learns more often on
# half-cheetah. PPO's source steps are whole rounds before and after the source agent is trained, since the earlier side
# takes no others.
LATER = ("--set", "loop.updates=paced")
SLOWER = ("--set", "learner.steps_per_update=16")
RUNS = {
    "whole run, PPO, zero_shot": (("zero_shot", "ppo", "393216", "1000"), (), ()),
    "whole run, PPO, darc": (("darc", "ppo", "409600", "4000"), (), ("--set", "loop.gap_updates=16")),
    "whole run, SAC, zero_shot": (("zero_shot", "sac", "24064", "1000"), SLOWER, ()),
    "whole run, SAC, mix": (("mix", "sac", "16384", "2000"), SLOWER, ()),
}
AGAIN = """
import sys, time
import transreward as tr

def learning():
    began, found = time.perf_counter(), []
    def watch(progress):
        if progress.done > 0 and not found:
            found.append(time.perf_counter() - began)
    steps = {"source_steps": 30_000, "target_steps": 2_000, "seeds": 2}
    tr.transfer(*sys.argv[1:3], "darc", learner=sys.argv[3], **steps, watch=watch)
    return found[0]

print(learning(), learning())
"""


class Side:
    """One version: where it is, and what it keeps."""

    def __init__(self, place: Path, scratch: Path) -> None:
        self.place, self.scratch = place, scratch
        scratch.mkdir()
        kept = str(scratch / "cache")
        self.environment = os.environ | {"PYTHONPATH": str(place), "TRANSREWARD_CACHE": kept, "TRANSREWARD_AGENTS": ""}
        self.later = place == ROOT

    def run(self, *command: str) -> tuple[float, float, float, str]:
        """Wall and processor time in seconds, peak resident memory in GB, and what was printed."""
        began, out = time.perf_counter(), self.scratch / "out"
        with out.open("w") as file:
            child = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.scratch,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} in {self.place} exits with {child.returncode}: {out.read_text()}")
        return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9, out.read_text()

    def transfer(self, request: tuple[str, ...], both: tuple[str, ...], earlier: tuple[str, ...]) -> tuple[float, ...]:
        """A whole run as a user starts it: seconds, of the processors too, and GB."""
        method, learner, source, target = request
        words = ("-m", "transreward", "transfer", *PAIR, "--method", method, "--learner", learner, "--controls", "none")
        budgets = ("--source-steps", source, "--target-steps", target)
        return self.run(*words, *budgets, *SIZE, *both, *(LATER if self.later else earlier))[:3]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", default=FIRST_EDITION)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "against.json")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="figures with these words; the file keeps the others"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        earlier = Path(scratch) / "earlier"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", earlier, args.revision], cwd=ROOT, check=True)
        try:
            sides = Side(earlier, Path(scratch) / "a"), Side(ROOT, Path(scratch) / "b")
            figures = measured(sides, args.repeats, args.only)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", earlier], cwd=ROOT, check=True)
    kept = json.loads(args.out.read_text())["figures"] if args.only else {}
    found = {**provenance(), "revision": args.revision, "least": LEAST, "figures": {**kept, **figures}}
    write(args.out, found)
    rows: list[tuple[str, ...]] = [("figure", "earlier", "now", "ratio", "least", "")]
    for name, f in figures.items():
        ratio = f["ratio"]["median"]
        judged = "ok" if ratio >= LEAST else "SLOWER"
        ends = [f"{f[side]['median']:,.3g} {f['unit']}" for side in ("earlier", "now")]
        rows.append((name, *ends, f"{ratio:.3f}", f"{f['ratio']['min']:.3f}", judged))
    print(table(rows))


def measured(sides: tuple[Side, Side], repeats: int, only: str = "") -> dict[str, Any]:
    """Each figure whose name has the words `only`, with its repeats on both sides."""
    found: dict[str, Any] = {}

    def keep(names: tuple[str, ...], units: tuple[str, ...], measure: Callable[[Side], tuple[float, ...]]) -> None:
        if only not in names[0]:
            return
        taken = [[measure(side) for side in sides] for _ in range(repeats + 1)][1:]
        for i, (name, unit) in enumerate(zip(names, units, strict=True)):
            before, now = ([row[s][i] for row in taken] for s in (0, 1))
            ratio = spread([a / b for a, b in zip(before, now, strict=True)])
            found[name] = {"unit": unit, "earlier": spread(before), "now": spread(now), "ratio": ratio}
            print(f"{name}: {ratio['median']:.3f}", flush=True)

    keep(("import transreward",), ("s",), lambda side: side.run("-c", "import transreward")[:1])
    keep(("transreward --help",), ("s",), lambda side: side.run("-m", "transreward", "--help")[:1])
    for name, run in RUNS.items():
        names = (name, f"{name}, processor time", f"{name}, memory")
        keep(names, ("s", "s", "GB"), lambda side, run=run: side.transfer(*run))
    for learner in ("ppo", "sac"):
        names = (f"first learning, first transfer, {learner}", f"first learning, second transfer, {learner}")
        keep(
            names,
            ("s", "s"),
            lambda side, name=learner: tuple(map(float, side.run("-c", AGAIN, *PAIR, name)[3].split()[-2:])),
        )
    return found


if __name__ == "__main__":
    main()
