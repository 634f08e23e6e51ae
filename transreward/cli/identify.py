"""transreward identify"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from transreward.cli.options import IDS, whole
from transreward.cli.prose import wrapped
from transreward.runs.process import prepare_process
from transreward.types import RequestError

HELP = "what differs physically, read off few steps"
ABOUT = """\
Find what differs physically between a simulator and a robot, from a few hundred steps that the robot takes, or from a
log of it: which parameters of the source (gravity, friction, masses, motors, joints, delays, ...) have other values,
with their 95% intervals, how much of the difference they explain, and what remains. Nothing of the target is read but
its observations.

The last line is the id of the source with what was found, which any command takes at once:

  transreward identify hopper hopper:gravity=0.5
  transreward transfer hopper hopper:gravity=0.4993 --source-run runs/x
  transreward identify hopper --logs monday.hdf5 tuesday.npz --out found.json
"""
EPILOG = IDS


def arguments(command: argparse.ArgumentParser) -> None:
    option = command.add_argument
    option("source", help="the simulator: a robot of the table, or in a file")
    option("target", nargs="?", help="domain that differs from it")
    option("--logs", nargs="+", action="extend", metavar="FILE", help="logs of the target's steps: CSV, HDF5, npz, ...")
    option("--source-run", metavar="DIR", help="act with this run's source policy, not at random")
    option("--target-steps", type=whole, metavar="N", help="to take (default: 500), or to read of logs (default: all)")
    option("--seed", type=whole, metavar="S", help="of the target's robot and of actions (default: 0)")
    option("--motors", type=Path, metavar="FILE", help="keep what is learned of the motors, if so, in an npz file")
    option(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the answer as JSON, too; its keys: page 'What differs physically: identify'",
    )


def run(args: argparse.Namespace) -> None:
    from transreward.runs import store

    if args.out is not None and args.out.is_dir():
        raise RequestError(f"`out` {args.out} is a directory: name a file, such as {args.out / store.IDENTIFICATION}")
    if args.motors is not None and (args.motors.suffix != ".npz" or not args.motors.parent.is_dir()):
        raise RequestError(f"`motors` {args.motors}: name an npz file in a directory that is there")
    for file in filter(None, (args.out, args.motors)):
        store.require_writable(file)
    prepare_process()
    from transreward.live import fitting
    from transreward.preflight.identify import identify

    names = ("logs", "source_run", "target_steps", "seed", "imports")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    found = identify(args.source, args.target, **given, watch=fitting)
    if args.motors is not None and found.motors is not None:
        found = found.keeping(args.motors)
    print(wrapped(str(found), sys.stdout))
    if args.motors is None and found.motors is not None:
        print("the id can be used once --motors FILE has kept what was learned of the motors")
    if args.out is not None:
        store.write_json(args.out, found.as_json())
