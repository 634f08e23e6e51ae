"""Does fine-tuning with SAC collapse because it starts to update on few stored steps?

transreward study benchmarks/plans/cold_start.yaml
python benchmarks/cold_start.py keep [--runs runs/cold_start]     # what is done, into benchmarks/results/cold_start
python benchmarks/cold_start.py [--markdown]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import record
import tables

from transreward.study.jobs import jobs_of
from transreward.study.plan import read_plan

RESULTS = record.RESULTS / "cold_start"


def main() -> None:
    """Keep what is done, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("keep", "table"), nargs="?", default="table")
    parser.add_argument("--runs", type=Path, default=Path("runs/cold_start"))
    parser.add_argument("--markdown", action="store_true", help="the table as the documents have it")
    args = parser.parse_args()
    if args.what == "keep":
        keep(args.runs)
    print(table(args.markdown))


def keep(runs: Path) -> None:
    """Write what is done of the study, a file for each warm-up."""
    for job in jobs_of(read_plan(tables.PLANS / "cold_start.yaml"), runs):
        if job.method and job.done:
            found = tables.cell(job, ("target_return", "q"))
            result, target = found["result"], found["target"]
            head = {key: found[key] for key in ("machine", "versions", "date", "target", "curve")}
            head |= {"warmup_steps": found["settings"]["learner"]["warmup_steps"], "updates": result["updates"]}
            ends = {"zero_shot": result["zero_shot_target_return"], "final": result["target_return"]}
            name = f"{target.replace(':', '-').replace('=', '')}-{job.method}.json"
            record.write(RESULTS / name, {**head, **{key: value["per_seed"] for key, value in ends.items()}})


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
