"""transreward check"""

from __future__ import annotations

import argparse
import json

from transreward.cli.options import IDS, whole
from transreward.runs.process import prepare_process
from transreward.types import RequestError

HELP = "before you spend: spaces, shift, support, rewards, verdict"
ABOUT = """\
Look at a pair before a step is spent on training, with at most 2,000 target steps: the spaces entry by entry, what the
shift changes and moves, what differs physically, whether each can do what the other does, how well a classifier tells
them apart, how the rewards differ; then a verdict and the command to run next:

  same                      source and target do not differ
  transfer the policy       use the source policy unchanged
  compensate                the source can do what the target does: pay it for that
  shape on the target side  the target can do what the source cannot: train on target steps, guided by the source
  do not expect help        the source says little about the target: train from scratch there

Of unlike robots: what a bridge joins and what differs across it, and with --source-run what its policy earns across it,
beside one whose parts are shuffled; then whether to fine-tune across. Of several sources between commas: which is
nearest, each with an equal part of the steps.
"""
EPILOG = IDS


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", help="domain where steps are cheap; several between commas are ranked")
    command.add_argument("target", nargs="?", help="domain where steps are expensive")
    command.add_argument(
        "--logs",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="logs of its steps (CSV, HDF5, ...), in its place",
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="one JSON object on standard output; its keys: page 'Before you spend: check'",
    )
    command.add_argument(
        "--source-run",
        action="append",
        metavar="DIR",
        help="look where an earlier run's source policy goes, too, and what it would return; several sources: one each",
    )
    command.add_argument("--bridge", metavar="B", help="joins unlike robots, as in transfer (default: named)")
    command.add_argument("--picture", metavar="FILE.png", help="draw both robots, what does the same in one colour")
    command.add_argument("--target-steps", type=whole, metavar="N", help="to take at most (default and most: 2000)")
    command.add_argument("--seed", type=whole, metavar="S", help="of states, actions and the classifier (default: 0)")


def run(args: argparse.Namespace) -> None:
    prepare_process()
    from transreward.live import fitting
    from transreward.preflight.check import check

    names = ("logs", "source_run", "target_steps", "seed", "imports", "bridge")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    if args.picture:
        _draw(args)
    found = check(args.source, args.target, **given, watch=fitting)
    if args.json:
        print(json.dumps(found.as_json(), allow_nan=False))
        return
    from transreward.preflight.show import show

    show(found)
    if args.picture:
        print(f"picture: {args.picture}")


def _draw(args: argparse.Namespace) -> None:
    from transreward.domains.joined import NAMED, bridge
    from transreward.domains.several import apart
    from transreward.reports.films.matched import picture
    from transreward.runs.source_agent import import_all

    if args.target is None:
        raise RequestError("--picture draws the target, too: name it")
    if len(apart(args.source)) > 1:
        raise RequestError("--picture draws one pair, and several sources are named: leave it out, or name one")
    import_all(args.imports, None if args.source_run is None else args.source_run[0])
    picture(bridge(args.source, args.target, args.bridge or NAMED), args.picture)
