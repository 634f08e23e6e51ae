"""Transfer quality with PPO: `darc`, the source policy and an oracle on four pairs; resumable cell by cell.

    python benchmarks/study.py run [--pairs halfcheetah-hip,hopper-gravity] [--methods darc,oracle]
    python benchmarks/study.py table

Each cell is written when it ends, as JSON below benchmarks/results/study/, and skipped when it is there already, so
that a study grows over days and on several machines: copy the folders together. Source agents lie in runs/study/ and
are trained once per robot.

Every method of a pair may take the same source steps. `darc` starts when 60% of them are spent and takes the rest
while it spends its target budget, so it needs a run per target budget. Fine-tuning and learning from scratch are not
among the methods: within these target budgets PPO learns from a handful of rollouts, and a control that cannot learn
proves nothing. `grid.py` has both with a learner that can. Stopping early is switched off: budgets are compared.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import record

import transreward as tr
from transreward.evaluation.statistics import interval

RESULTS = record.RESULTS / "study"
SOURCES = Path("runs/study")
TARGET_STEPS = (5_000, 20_000, 100_000)
SEEDS, FIRST_SEED = 3, 200  # fresh: presets and the strength of darc were chosen on others
FIXED = {"loop.aligned": 0, "loop.final_episodes": 10, "loop.source_evaluations": 4}


class Pair(NamedTuple):
    """A pair and its source budget per seed."""

    source: str
    target: str
    source_steps: int


PAIRS = {
    "halfcheetah-hip": Pair("halfcheetah", "halfcheetah:broken=bthigh", 1_000_000),
    "hopper-gravity": Pair("hopper", "hopper:gravity=0.5", 600_000),
    "walker2d-friction": Pair("walker2d", "walker2d:friction=0.3", 800_000),
    "ant-leg": Pair("ant", "ant:broken=*_1", 600_000),
}
CURVE = ("source_return", "target_return", "compensated_return", "gap_mean", "gap_std")
METHODS = ("zero_shot", "darc", "oracle")


def main() -> None:
    """Run what is missing, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"), nargs="?", default="run")
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--methods", default=",".join(METHODS))
    args = parser.parse_args()
    if args.what == "run":
        for name in args.pairs.split(","):
            for method in args.methods.split(","):
                for target_steps in TARGET_STEPS if method == "darc" else TARGET_STEPS[-1:]:
                    cell(name, method, target_steps)
    print(table())


def cell(name: str, method: str, target_steps: int) -> None:
    """One method on one pair, unless it is there already."""
    file = RESULTS / name / (f"{method}-{target_steps}.json" if method == "darc" else f"{method}.json")
    if file.exists():
        return
    print(f"{time.strftime('%H:%M:%S')} {name} {method} {target_steps}", flush=True)
    pair, head = PAIRS[name], record.provenance()
    source_run = None
    if method in ("zero_shot", "darc"):
        source_run = source_agent(pair, 0.6)
        source_run = source_run if method == "darc" else source_agent(pair, 1.0, source_run)
    began = time.perf_counter()
    result = tr.transfer(
        pair.source,
        pair.target,
        method,
        source_steps=pair.source_steps,
        target_steps=target_steps,
        seeds=SEEDS,
        seed=FIRST_SEED,
        source_run=source_run,
        settings={**FIXED, "loop.evaluations": 4},
    )
    head |= {"pair": name, "seconds": time.perf_counter() - began, "settings": result.config}
    record.write(file, {**head, "result": result.as_json(), "curve": record.curve(result.log, method, CURVE)})


def source_agent(pair: Pair, share: float, start: Path | None = None) -> Path:
    """The run directory of the plain source agent that had `share` of the source budget."""
    directory = SOURCES / f"{pair.source}-{share:g}"
    if not (directory / "result.json").exists():
        print(f"{time.strftime('%H:%M:%S')} source agent {directory.name}", flush=True)
        tr.transfer(
            pair.source,
            pair.target,
            "zero_shot",
            source_steps=round(pair.source_steps * share),
            seeds=SEEDS,
            seed=FIRST_SEED,
            source_run=start,
            settings=FIXED,
            out=directory,
        )
    return directory


def table() -> str:
    """Raw target return, mean and 95% interval over seeds, at each target budget."""
    rows = [["pair", "method", *(f"{n:,}" for n in TARGET_STEPS)]]
    for name in PAIRS:
        for method in METHODS:
            cells = [reading(name, method, steps) for steps in TARGET_STEPS]
            if any(cells):
                rows.append([name, method, *(c or "-" for c in cells)])
    return record.table(rows)


def reading(name: str, method: str, steps: int) -> str:
    """The cell's text, empty where it is missing."""
    found = record.read(RESULTS / name / (f"{method}-{steps}.json" if method == "darc" else f"{method}.json"))
    if found is None:
        return ""
    per_seed = found["result"]["target_return"]["per_seed"]
    bounds = interval(np.asarray(per_seed))
    return f"{np.mean(per_seed):,.0f}" + (f" [{bounds[0]:,.0f}, {bounds[1]:,.0f}]" if bounds else "")


if __name__ == "__main__":
    main()
