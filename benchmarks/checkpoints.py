"""What it costs to survive: a long run of SAC, its peak memory, and the share of its time that checkpoints take.

    python benchmarks/checkpoints.py [--steps 1000000] [--seeds 1]

`fine_tune` on half-cheetah with its stronger gravity: nearly all steps are the source agent's, whose replay is the
largest there is. The same run follows without a directory, which writes none, for its memory; each in a process of its
own. Writes benchmarks/results/checkpoints.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import record

RESULT = record.RESULTS / "checkpoints.json"
METHODS = ("hold", "write")  # of Checkpoints: what a round pays, and what a checkpoint does


def measure(steps: int, seeds: int, out: str | None) -> dict[str, Any]:
    """One run in this process."""
    import transreward as tr
    from transreward.engine.checkpoint import Checkpoints

    spent, calls = dict.fromkeys(METHODS, 0.0), dict.fromkeys(METHODS, 0)
    inside: list[str] = []  # `hold` writes once in a while: that is the checkpoint's

    def timed(name: str) -> None:
        inner = getattr(Checkpoints, name)

        def outer(self: Checkpoints, *given: Any) -> Any:
            writes = name == "write" and self.held is not None
            began = time.perf_counter()
            inside.append(name)
            try:
                return inner(self, *given)
            finally:
                inside.pop()
                took = time.perf_counter() - began
                spent[name] += took
                calls[name] += writes or name == "hold"
                if inside:
                    spent[inside[-1]] -= took

        setattr(Checkpoints, name, outer)

    for name in METHODS:
        timed(name)
    began = time.perf_counter()
    tr.transfer(
        "halfcheetah", "halfcheetah:gravity=1.5", "fine_tune", learner="sac", source_steps=steps, target_steps=2_000,
        seeds=seeds, settings={"loop.aligned": 0}, fresh=True, out=out,
    )  # fmt: skip
    took = time.perf_counter() - began
    files = [file for file in Path(out).rglob("*") if file.is_file()] if out else []
    return {
        "seconds": took,
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rounds": calls["hold"],
        "checkpoints": calls["write"],
        "share of holding": spent["hold"] / took,
        "share of writing": spent["write"] / took,
        "seconds a checkpoint": spent["write"] / max(calls["write"], 1),
        "directory, MB": sum(file.stat().st_size for file in files) / 2**20,
        "of it state/, MB": sum(file.stat().st_size for file in files if "state" in file.parts) / 2**20,
    }


def main() -> int:
    """Run both; 1 where checkpoints take 3% of the time or more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--one", choices=("with", "without"), help="that run alone, in this process")
    args = parser.parse_args()
    if args.one:
        with tempfile.TemporaryDirectory() as place:
            out = f"{place}/run" if args.one == "with" else None
            print(json.dumps(measure(args.steps, args.seeds, out)))
        return 0
    found: dict[str, Any] = {**record.provenance(), "steps": args.steps, "seeds": args.seeds}
    for one in ("with", "without"):
        command = [sys.executable, __file__, "--steps", str(args.steps), "--seeds", str(args.seeds), "--one", one]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
        found[f"{one} checkpoints"] = json.loads(done.stdout.splitlines()[-1])
    share = sum(found["with checkpoints"][f"share of {what}"] for what in ("holding", "writing"))
    found["share of the run"] = share
    record.write(RESULT, found)
    print(json.dumps(found, indent=2))
    return 0 if share < 0.03 else 1


if __name__ == "__main__":
    sys.exit(main())
