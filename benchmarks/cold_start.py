"""Does fine-tuning with SAC collapse because it starts to update on few stored steps?

    python benchmarks/presets.py run --robots walker2d --learners sac --keep DIR
    python benchmarks/cold_start.py run --source-run DIR/walker2d-sac [--target walker2d:friction=0.3]
    python benchmarks/cold_start.py table [--markdown]

`fine_tune` from one source agent, 10,000 target steps, equal updates; all that differs is `learner.warmup_steps`, the
target steps that are stored before the first update. Rows go below benchmarks/results/cold_start/ as they end.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import record

import transreward as tr

RESULTS = record.RESULTS / "cold_start"
WARMUPS = (0, 256, 1_000)  # the most that is granted is a tenth of the target's budget
SOURCE, TARGET_STEPS = "walker2d", 10_000


def main() -> None:
    """Run what is missing, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"), nargs="?", default="run")
    parser.add_argument("--source-run", type=Path)
    parser.add_argument("--target", default="walker2d:friction=0.3")
    parser.add_argument("--markdown", action="store_true", help="the table as the documents have it")
    args = parser.parse_args()
    if args.what == "run":
        if args.source_run is None:
            parser.error("run needs --source-run")
        for warmup in WARMUPS:
            row(args.source_run, args.target, warmup)
    print(table(args.markdown))


def row(source_run: Path, target: str, warmup: int) -> None:
    """One setting of the warm-up, unless it is there."""
    file = RESULTS / f"{target.replace(':', '-').replace('=', '')}-{warmup}.json"
    if record.read(file) is not None:
        return
    print(target, warmup, flush=True)
    stored = json.loads((source_run / "config.json").read_text())
    learner = tr.learner(**{k: tuple(v) if isinstance(v, list) else v for k, v in stored["learner"].items()})
    head = record.provenance()
    result = tr.transfer(
        SOURCE, target, "fine_tune", learner=learner, source_steps=stored["source_steps"], target_steps=TARGET_STEPS,
        seeds=stored["seeds"], seed=stored["seed"], source_run=source_run,
        settings={"learner.warmup_steps": warmup, "loop.evaluations": 20, "loop.aligned": 0, "loop.final_episodes": 10},
    )  # fmt: skip
    curve = record.curve(result.log, "fine_tune", ("target_return", "q"))
    assert result.zero_shot is not None
    found = {
        "target": target,
        "warmup_steps": warmup,
        "updates": result.updates,
        "zero_shot": result.zero_shot.mean(axis=1).tolist(),
        "final": result.returns.target.mean(axis=1).tolist(),
        "curve": curve,
    }
    record.write(file, head | found)


def table(markdown: bool) -> str:
    """Zero-shot, the lowest point of each seed's curve, and the end; means over the seeds."""
    rows = [["target", "warm-up", "updates", "zero-shot", "lowest", "at", "after 2,000", "final"]]
    for file in sorted(RESULTS.glob("*.json"), key=lambda f: (f.stem.rsplit("-", 1)[0], int(f.stem.rsplit("-", 1)[1]))):
        rows.append(cells(record.read(file)))
    return record.table(rows, markdown)


def cells(found: dict[str, Any]) -> list[str]:
    """The row of one setting."""
    curve = np.array([point["target_return"] for point in found["curve"]])  # [points, seeds]
    steps = np.array([point["target_steps"] for point in found["curve"]])
    lowest, early = int(curve.mean(axis=1).argmin()), int(np.abs(steps - 2_000).argmin())
    return [
        found["target"],
        f"{found['warmup_steps']:,}",
        f"{found['updates']:,}",
        *(f"{value:,.0f}" for value in (np.mean(found["zero_shot"]), curve.min(axis=0).mean())),
        f"{steps[lowest]:,}",
        *(f"{value:,.0f}" for value in (curve[early].mean(), np.mean(found["final"]))),
    ]


if __name__ == "__main__":
    main()
