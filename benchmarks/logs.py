"""Logs as they come: how long a million steps take to read, and what is found in logs that others recorded.

    python benchmarks/logs.py read [--steps 1000000]
    python benchmarks/logs.py identify FOLDER

`read` writes a log of hopper's size as HDF5, npz, Parquet and CSV and reads each; beside it stands how long this
machine takes for 20 million steps of a Python loop, about 1 s on a usual one. `identify` takes the data sets of OTDF
(github.com/dmksjfl/OTDF) in a folder, whose names say which robot they are of and what differs: what `identify`
and `check` say of each, and how long they take. Writes benchmarks/results/logs.json, a key a part.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record

import transreward as tr
from transreward.domains import logs
from transreward.domains.logs.log import Log
from transreward.domains.logs.summary import summary
from transreward.domains.logs.write import write
from transreward.types import RequestError

RESULTS = record.RESULTS / "logs.json"
LIMITS = {"hdf5": 5.0, "npz": 5.0, "parquet": 5.0, "csv": 20.0}  # s for a million steps, on a usual machine
DIFFERS = {
    "gravity_0.5": "gravity x 0.5", "kinematic": "a joint's range is much smaller", "morph": "other sizes of the body",
}  # fmt: skip


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and its seconds of work, those of processes that it starts included: a machine that does
    other work as well would say something of that."""

    def spent() -> float:
        own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime

    begun = spent()
    return call(), spent() - begun


def looped() -> None:
    """20 million steps of a Python loop."""
    for _ in range(20_000_000):
        pass


def recorded(n: int) -> Log:
    """A log of hopper's size, in episodes of a thousand steps."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(n + 1, 11)).astype(np.float32)
    ends = np.arange(n) % 1000 == 999
    led = states[1:].copy()
    led[ends] += 1  # the next episode begins elsewhere
    action, reward = rng.uniform(-1, 1, (n, 3)).astype(np.float32), rng.normal(size=n).astype(np.float32)
    return Log(states[:-1], action, reward, led, np.zeros(n, bool), ends, source="made", rate=125.0)


def read(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each format, and of the machine."""
    log, found = recorded(args.steps), {"steps": args.steps, "a loop of 20 million": round(timed(looped)[1], 2)}
    with tempfile.TemporaryDirectory() as folder:
        for ending, limit in LIMITS.items():
            path = write(log, f"{folder}/log.{ending}")
            again, seconds = timed(lambda path=path: logs.read(path))
            assert len(again) == len(log) and again.rate == log.rate
            found[ending] = {"seconds": round(seconds, 2), "limit": limit, "bytes": path.stat().st_size}
            path.unlink()
            print(ending, found[ending], flush=True)
    return found


def identify(args: argparse.Namespace) -> dict[str, Any]:
    """What is said of each data set; those that an earlier call has, unless they are named, stay."""
    out = dict((record.read(RESULTS) or {}).get("identify", {}).get("found", {}))
    for path in sorted(args.folder.glob("*_medium.hdf5")):
        if path.stem in out and path.stem not in args.again:
            continue
        robot, _, rest = path.stem.partition("_")
        log, reading = timed(lambda path=path: logs.read(path))
        found, fitting = timed(lambda path=path, robot=robot: tr.identify(robot, logs=path))
        about = summary(log)
        out[path.stem] = {
            "differs": DIFFERS[rest.removesuffix("_medium")], "steps": len(log), "episodes": len(about.lengths),
            "return": float(np.mean(about.returns)), "said": str(found), **found.as_json(),
            "seconds": {"read": round(reading, 2), "identify": round(fitting, 1)},
        }  # fmt: skip
        if args.check:
            out[path.stem] |= checked(robot, path)
        print(path.stem, out[path.stem]["differs"], out[path.stem]["seconds"], found, sep="\n    ", flush=True)
        keep("identify", out)
    return out


def checked(robot: str, path: Path) -> dict[str, Any]:
    """What a check says."""
    try:
        check, seconds = timed(lambda: tr.check(robot, logs=path))
    except RequestError as error:
        return {"check": {"refused": str(error)}}
    verdict = check.verdict
    said = {"verdict": verdict.verdict, "reason": verdict.reason, "limits": list(verdict.limits), "next": check.command}
    return {"check": {**said, "seconds": round(seconds, 1)}}


def keep(part: str, found: dict[str, Any]) -> None:
    """Write a part beside the others."""
    record.write(RESULTS, (record.read(RESULTS) or {}) | {part: record.provenance() | {"found": found}})


def main() -> None:
    """Run a part, and keep the others' results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("read").add_argument("--steps", type=int, default=1_000_000)
    identifies = parts.add_parser("identify")
    identifies.add_argument("folder", type=Path)
    identifies.add_argument("--check", action="store_true", help="ask `check`, too")
    identifies.add_argument("--again", nargs="+", default=[], metavar="NAME", help="data sets to look at once more")
    args = parser.parse_args()
    keep(args.part, {"read": read, "identify": identify}[args.part](args))


if __name__ == "__main__":
    sys.exit(main())
