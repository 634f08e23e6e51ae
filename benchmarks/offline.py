"""Learning from logs alone: a log of the target, and the stored steps of a simulated source.

    python benchmarks/offline.py rows LOG [--robot hopper] [--target hopper:gravity=0.5] [--source-run DIR]
    python benchmarks/offline.py default LOG [the same]

`rows`: the rows that learn offline and their controls on one log. `default`: the default method, which identifies the
target from the log and trains in the simulator that it shows, for as many source steps as its source agent took. Every
policy acts in a simulated target that nobody learned in, 20 episodes a seed. The source agent is trained first, or
taken up. A run that was cut short goes on. Both write into the result of the log, benchmarks/results/offline/LOG.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import record

import transreward as tr
from transreward.evaluation.statistics import interval
from transreward.runs.source_agent import SourceAgent

FIRST, OTHERS = "otdf", ("igdf", "dara", "iql", "td3_bc", "bc", "target_only", "zero_shot")
# As many updates and as large networks as a slow machine affords; the rows' own are 50,000, (256, 256) and 256.
SMALL = {"offline.updates": 20_000, "offline.hidden": (128, 128), "offline.batch": 128}
LOOP = {"loop.evaluations": 5, "loop.eval_episodes": 5, "loop.final_episodes": 20}


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("rows", "default"))
    parser.add_argument("log", type=Path)
    parser.add_argument("--robot", default="hopper")
    parser.add_argument("--target", default="hopper:gravity=0.5")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--source-run", type=Path)
    parser.add_argument("--small", action="store_true", help="fewer updates of smaller networks")
    parser.add_argument("--runs", type=Path, default=Path("runs/offline"))
    args = parser.parse_args()
    path = record.RESULTS / "offline" / f"{args.log.stem}.json"
    result: dict[str, Any] = record.read(path) or {"methods": {}}
    place = args.runs / f"{args.log.stem}-{args.part}"
    found = tr.resume(place) if (place / "config.json").exists() else ran(args, place)
    result |= record.provenance() | {"source": args.robot, "log": args.log.name, "evaluated in": args.target}
    result["settings"] = LOOP | (SMALL if args.small else {})
    for name, one in {found.method: found, **found.controls}.items():
        per_seed = one.target_return.mean(axis=1)
        low, high = interval(per_seed)
        result["methods"][name] = {
            "target_return": {"mean": per_seed.mean(), "interval": [low, high], "per_seed": per_seed.tolist()},
            "source_return": one.source_return.mean(), "updates": one.updates, "source_steps": one.steps.source,
            "target_steps": one.steps.target, "seconds": one.wall_seconds,
        }  # fmt: skip
    record.write(path, result)


def ran(args: argparse.Namespace, place: Path) -> Any:
    """The run of a part."""
    common: dict[str, Any] = {"evaluate": args.target, "seeds": args.seeds, "learner": "sac", "out": place}
    common["source_run"] = args.source_run
    target = f"data:{args.log}"
    if args.part == "rows":
        settings = LOOP | (SMALL if args.small else {})
        return tr.transfer(args.robot, target, FIRST, controls=OTHERS, settings=settings, **common)
    taken = 0 if args.source_run is None else 2 * SourceAgent.about(args.source_run)["steps"]
    return tr.transfer(args.robot, target, settings=LOOP, source_steps=taken or None, **common)


if __name__ == "__main__":
    main()
