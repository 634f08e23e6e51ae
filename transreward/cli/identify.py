"""transreward identify"""

from __future__ import annotations

import argparse
from pathlib import Path

from transreward.cli.options import IDS, whole

HELP = "what differs physically, read off few steps"
ABOUT = """\
Find what differs physically between a simulator and a robot, from a few hundred steps that the robot takes, or from a
log of it: which parameters of the source (gravity, friction, masses, motors, joints, delays, ...) have other values,
with their 95% intervals, how much of the difference they explain, and what remains. Nothing of the target is read but
its observations.

The last line is the id of the source with what was found, which any command takes at once:

  transreward identify halfcheetah halfcheetah:broken=bthigh
  transreward transfer halfcheetah halfcheetah:broken=bthigh --source-run runs/x
  transreward identify hopper --logs robot.hdf5
"""
EPILOG = IDS


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", help="robot of the table: the simulator")
    command.add_argument("target", nargs="?", help="domain that differs from it")
    command.add_argument("--logs", metavar="FILE", help="HDF5 or npz file of steps that the target took (docs/logs.md)")
    command.add_argument("--source-run", metavar="DIR", help="act with this run's source policy, not at random")
    command.add_argument("--target-steps", type=whole, metavar="N", help="to take, or to read (default: 500; all)")
    command.add_argument("--seed", type=whole, metavar="S", help="of the target's robot and of actions (default: 0)")
    command.add_argument("--out", type=Path, metavar="FILE", help="write the answer as JSON, too")


def run(args: argparse.Namespace) -> None:
    from transreward.preflight.identify import identify
    from transreward.runs import store

    names = ("source_run", "target_steps", "seed", "imports")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    found = identify(args.source, args.target, log=args.logs, **given)
    print(found)
    if args.out is not None:
        store.write_json(args.out, found.as_json())
