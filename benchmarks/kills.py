"""Runs of all rows of the table that are killed at random moments and resumed, compared with the uninterrupted runs.

    python benchmarks/kills.py [--kills 200] [--jobs 2]

Each is one of the golden cases (tests/golden), killed by SIGKILL at a random round, at a random opening, moving or
removal of one of the run's files, or at a random time; see tests/kills.py. Writes benchmarks/results/kills.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
import kills  # noqa: E402
import record  # noqa: E402

RESULT = record.RESULTS / "kills.json"


def one(name: str, seed: int) -> dict[str, Any]:
    """A kill, in a directory that is removed."""
    with tempfile.TemporaryDirectory() as place:
        found = kills.killed(name, seed, Path(place))
    print(json.dumps(found), flush=True)
    return found


def main() -> int:
    """Run them; 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    started = record.provenance()
    names, began = list(kills.bits.cases()), time.perf_counter()
    with ThreadPoolExecutor(args.jobs) as pool:
        seeds = range(args.kills)
        found = list(pool.map(one, (names[i % len(names)] for i in seeds), (i // len(names) for i in seeds)))
    wrong = [x for x in found if x["differs"] or x["rows_twice"] or x["states_left"] or x["partial_files"]]
    told = {
        **started,
        "kills": len(found),
        "cases": len({x["case"] for x in found}),
        "by kind of moment": {kind: sum(x["kind"] == kind for x in found) for kind in kills.KINDS},
        "resumed": sum(x["resumed"] for x in found),
        "before the first checkpoint": sum(not x["resumed"] and not x["over"] for x in found),
        "over by then": sum(x["over"] for x in found),
        "equal": len(found) - len(wrong),
        "wrong": wrong,
        "seconds": round(time.perf_counter() - began),
    }
    record.write(RESULT, told)
    print(json.dumps(told, indent=2))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
