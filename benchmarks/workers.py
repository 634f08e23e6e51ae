"""A study's wall time with one worker and with two: python benchmarks/workers.py [--steps N] [--repeats N]

Two source agents and eight jobs of darc (PPO) on half-cheetah and hopper, on the two cores of an idle machine: by one
worker that has both cores, by one that has a single core, and by two with a core each (`--jobs 2`), in turn, all
programs compiled before. Two are to take at most 0.6 of the time of one, and write the returns of the one that has
both (XLA splits its sums by the number of cores that it may use). Writes benchmarks/results/workers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, provenance, table, write

SHIFTS = ("gravity=1.5", "friction=0.3", "mass=1.5", "gear=0.7")
PLAN = {
    "pairs": [[robot, f"{robot}:{shift}"] for robot in ("halfcheetah", "hopper") for shift in SHIFTS],
    "methods": ["darc"],
    "learner": "ppo",
    "target_steps": 10_000,
    "settings": {"loop.evaluations": 2, "loop.source_evaluations": 1, "loop.final_episodes": 2},
}
WAYS = {"one worker, both cores": (1, 2), "one worker, one core": (1, 1), "two workers": (2, 2)}  # jobs, cores
LIMIT = 0.6
LEAST = 25_000  # source steps that make a round


def studied(folder: Path, steps: int, jobs: int, cores: int) -> tuple[float, list[list[float]]]:
    """Seconds of the whole study, and the returns of each job's seeds."""
    plan, out = folder / "plan.yaml", folder / "study"
    plan.write_text(json.dumps({**PLAN, "source_steps": steps}))
    command = [sys.executable, "-m", "transreward", "study", plan, "--out", out, "--jobs", str(jobs)]
    some = sorted(os.sched_getaffinity(0))[:cores]
    environment = {**os.environ, "TRANSREWARD_AGENTS": ""}  # every agent is trained
    began = time.monotonic()
    subprocess.run(
        ["taskset", "-c", ",".join(map(str, some)), *map(str, command)], check=True, env=environment,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    spent = time.monotonic() - began
    found = [json.loads(path.read_text()) for path in sorted(out.glob("runs/*/result.json"))]
    assert len(found) == len(PLAN["pairs"]), "a job failed: see its log"
    return spent, [one["target_return"]["per_seed"] for one in found]


def main() -> None:
    """Measure each way in turn, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200_000, help="source steps of each job")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "workers.json")
    args, about = parser.parse_args(), provenance()
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    returns: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, (jobs, cores) in WAYS.items():  # each compiles
            folder = Path(place) / f"compiled {name}"
            folder.mkdir()
            studied(folder, LEAST, jobs, cores)
        for k in range(args.repeats):
            for name, (jobs, cores) in WAYS.items():
                folder = Path(place) / f"{k} {name}"
                folder.mkdir()
                spent, returns[name] = studied(folder, args.steps, jobs, cores)
                seconds[name].append(spent)
    ratio = {
        name: [two / one for two, one in zip(seconds["two workers"], s, strict=True)] for name, s in seconds.items()
    }
    rows = [["", "s", "two workers take"]]
    rows += [[name, f"{np.median(s):.0f}", f"{np.median(ratio[name]):.2f} of it"] for name, s in seconds.items()]
    print(table(rows))
    print(f"at most {LIMIT} is wanted")
    write(
        args.out, {**about, "plan": PLAN, "steps": args.steps, "seconds": seconds, "ratio": ratio, "returns": returns}
    )


if __name__ == "__main__":
    main()
