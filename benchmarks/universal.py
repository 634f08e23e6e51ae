"""What it is worth to be told which robot one is in: python benchmarks/universal.py

Reacher, whose motors pull to one side by a share of half their control range (`bias`), in targets within the family
that was trained in, outside it, and of another kind. Each policy is trained once, from the same source budget, and
serves all targets:

zero_shot    trained in the source
randomised   trained in the family
untold       `universal` without identification: told nothing
universal    told what the first 500 target steps show

Writes benchmarks/results/universal.json.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, provenance, table, write

import transreward as tr
from transreward.evaluation.statistics import interval

SOURCE, RANGES = "reacher", "bias=-0.8..0.8"
TARGETS = ("reacher:bias=0.6", "reacher:bias=-0.3", "reacher:bias=1", "reacher:damping=5")
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "zero_shot": ("zero_shot", {}),
    "randomised": ("randomised", {"randomise.ranges": RANGES}),
    "untold": ("universal", {"randomise.ranges": RANGES, "ground.physics": False}),
    "universal": ("universal", {"randomise.ranges": RANGES}),
}
TARGET_STEPS = 500
LOOP = {"loop.final_episodes": 40, "loop.eval_episodes": 20, "loop.source_evaluations": 1, "loop.threads": 1}


def measured(target: str, row: str, place: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One row in one target, from its source agent of the first target."""
    method, settings = ROWS[row]
    before = place / method
    said: list[str] = []
    result = tr.transfer(
        SOURCE, target, method, learner="ppo", source_steps=args.source_steps, target_steps=TARGET_STEPS,
        seeds=args.seeds, settings={**LOOP, **settings}, source_run=before if before.exists() else None,
        out=None if before.exists() else before, watch=lambda progress: said.extend(progress.said),
    )  # fmt: skip
    returns = np.asarray(result.returns.target).mean(axis=1)
    told: dict[str, Any] = {"returns": returns.tolist(), "target_steps": int(result.steps.target), "said": said}
    told["mean"], told["interval"] = float(returns.mean()), list(map(float, interval(returns)))
    return told | {"delivered": result.delivered, "seconds": result.wall_seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source-steps", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "universal.json")
    args = parser.parse_args()
    settings = {"source_steps": args.source_steps, "seeds": args.seeds, "target_steps": TARGET_STEPS, "family": RANGES}
    result: dict[str, Any] = {**provenance(), "settings": {**settings, **LOOP}, "targets": {}}
    lines = [("target", *ROWS)]
    with tempfile.TemporaryDirectory() as place:
        for target in TARGETS:
            found = {row: measured(target, row, Path(place), args) for row in ROWS}
            result["targets"][target] = found
            lines.append((target, *(f"{one['mean']:.1f}" for one in found.values())))
            write(args.out, result)
            print(table(lines), flush=True)


if __name__ == "__main__":
    main()
