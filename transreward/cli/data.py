"""transreward data"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from transreward.cli.options import IDS
from transreward.types import RequestError

HELP = "look at a log, or at a run's target steps; convert it"
ABOUT = """\
What a log holds, in words: episodes, lengths and returns, how they end, the range of every column, and which columns
never move or sit at their ends. FILE is HDF5, npz, CSV or Parquet, or the folder of a LeRobot (v3) or Minari data set;
DIR is a run directory, of which the target steps are read.

  transreward data monday.csv
  transreward data monday.csv --robot hopper --to monday.hdf5
  transreward data runs/robot --to lerobot:shared/robot --rate 50
"""
EPILOG = IDS


def arguments(command: argparse.ArgumentParser) -> None:
    option = command.add_argument
    option("log", metavar="FILE|DIR", help="a log, or a run directory")
    option("--robot", metavar="ID", help="the domain whose robot it is of, for the names of its columns")
    option("--seed", type=int, default=0, metavar="S", help="of a run directory: which seed's, counted from 0")
    option("--to", metavar="FILE", help="write it as .hdf5, .npz, .csv, .parquet, lerobot:FOLDER or minari:FOLDER")
    option("--rate", type=float, metavar="HZ", help="control steps a second, for LeRobot (default: the robot's)")
    option("--json", action="store_true", help="one JSON object on standard output (docs/logs.md)")


def run(args: argparse.Namespace) -> None:
    from transreward.domains import logs
    from transreward.domains.domain import control_rate
    from transreward.domains.ids import domain
    from transreward.domains.logs.summary import summary
    from transreward.domains.logs.write import write
    from transreward.domains.names import action_names, entry_names

    if args.rate is not None and not 0 < args.rate < 1e9:
        raise RequestError(f"`rate` must be control steps a second, not {args.rate:g}")
    robot, path = None if args.robot is None else domain(args.robot), Path(args.log)
    if (path / "config.json").is_file():
        from transreward.engine.taken import target_steps

        log = target_steps(path, args.seed)
    else:
        log = logs.read(args.log)
    if robot is not None:
        logs.require_fit(log, robot)
    names = None if robot is None else (entry_names(robot), action_names(robot))
    found = summary(log, names)
    print(json.dumps(found.as_json(), allow_nan=False) if args.json else found)
    if args.to:
        rate = args.rate or (control_rate(robot) if robot else None)
        written = write(log, args.to, rate, names)
        if not args.json:
            print(f"\nwritten to {written}")
