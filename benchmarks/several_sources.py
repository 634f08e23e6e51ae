"""What it costs to train K sources' agents in one run: python benchmarks/several_sources.py

CPU seconds of one run of three sources to those of three runs of one source each, per source step and target step
taken, in one process that has compiled what both need. Sides alternate within every repeat. It is to be at most 1.2.
Writes benchmarks/results/several_sources.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, provenance, table, write

import transreward as tr

SOURCES = ("halfcheetah:gravity=2", "halfcheetah:friction=0.3", "halfcheetah:mass=1.5")
TARGET = "halfcheetah:gravity=1.5,mass=1.3,friction=0.5"
BUDGETS = {"ppo": (200_000, 4_096), "sac": (20_000, 1_000)}  # source and target steps of a run of one source
SETTINGS = {
    "loop.fallback": True,
    "loop.aligned": 0,
    "loop.converged": 0,
    "loop.eval_episodes": 1,
    "loop.final_episodes": 2,
}
LIMIT = 1.2


def seconds_a_step(sources: tuple[str, ...], learner: str, steps: int) -> tuple[float, int]:
    """CPU seconds of a run for each source step that it took, and these; each of K sources has the whole budget."""
    source_steps, target_steps = BUDGETS[learner][0] * steps // 100, BUDGETS[learner][1]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        result = tr.transfer(
            ",".join(sources), TARGET, "fine_tune", learner=learner, source_steps=source_steps,
            target_steps=target_steps, seeds=1, controls=(), settings=SETTINGS, out=Path(folder) / "run",
            watch=lambda progress: None,
        )  # fmt: skip
        spent = time.process_time() - began
    return spent / result.steps.source, result.steps.source


def measured(learner: str, repeats: int, steps: int) -> dict[str, Any]:
    """Ratios of each repeat."""
    found: dict[str, Any] = {"one": [], "three": [], "ratio": []}
    for k in range(repeats + 1):
        alone = [seconds_a_step((source,), learner, steps) for source in SOURCES]
        three, taken = seconds_a_step(SOURCES, learner, steps)
        one = sum(seconds * n for seconds, n in alone) / sum(n for _, n in alone)
        if k:  # the first compiles
            found["one"].append(one)
            found["three"].append(three)
            found["ratio"].append(three / one)
        found["source steps"] = [taken, sum(n for _, n in alone)]
    return found


def main() -> None:
    """Measure both learners, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--share", type=int, default=100, help="of the steps, in per cent; fewer to see that it works")
    parser.add_argument("--out", type=Path, default=RESULTS / "several_sources.json")
    args, about = parser.parse_args(), provenance()
    found = {learner: measured(learner, args.repeats, args.share) for learner in BUDGETS}
    rows = [["learner", "three sources to one", "aim"]]
    rows += [[name, f"{np.median(f['ratio']):.2f}", f"at most {LIMIT}"] for name, f in found.items()]
    print(table(rows))
    write(args.out, {**about, "learners": found})


if __name__ == "__main__":
    main()
