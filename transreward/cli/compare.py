"""transreward compare"""

from __future__ import annotations

import argparse
from typing import Any

from transreward.cli.directory import rehearsed, run_in_its_directory, show, watched, with_policy
from transreward.cli.options import IDS, SETTINGS, names, options, training_options
from transreward.runs.process import prepare_process
from transreward.types import RequestError

HELP = "several methods, one table"
ABOUT = """\
Run several methods on one pair, from one source agent, with the same seeds and budgets, and print one table: the mean
with Student's t interval, the interquartile mean (IQM) with its bootstrap interval, and the probability that the method
beats each control. zero_shot, fine_tune and target_only are always run, named or not. The run directory holds the
table as comparison.json, and beside it the whole run of every method.

  transreward compare hopper hopper:gravity=0.5 --methods darc,mix --seeds 5
  transreward compare halfcheetah halfcheetah:mass=2 --methods darc,oracle --target-steps 20000 --out runs/heavy

Settings of the learner and of the loop hold for all methods. Those of a gap, use, gate or feed are taken where only
one of the methods has them; otherwise name the method: --set darc.use.strength=1 sac_iw.use.high=5
"""
EPILOG = IDS + SETTINGS


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", help="domain where steps are cheap")
    command.add_argument("target", help="domain where steps are expensive")
    command.add_argument(
        "--methods", metavar="M,M", help="rows of 'transreward list methods' (default: method and controls of --config)"
    )
    training_options(command)


def run(args: argparse.Namespace) -> None:
    request = request_of(args)
    prepare_process()
    from transreward.compare import compare, planned_comparison

    if args.dry_run:
        return rehearsed(request, lambda **asked: planned_comparison(**asked)[0])
    request = with_policy(request, planned_comparison)

    def run(out: str) -> None:
        with watched(request, out) as view:
            comparison = compare(**request, out=out, watch=view)
        view.conclude_comparison(comparison, out)

    show(run_in_its_directory(request, "compare", run), args.video)


def request_of(args: argparse.Namespace) -> dict[str, Any]:
    """--config < options, as keyword arguments of `compare`."""
    request = options(args)
    of_config = [*names(str(request.pop("method", ""))), *names(request.pop("controls", ""))]
    request["methods"] = of_config if args.methods is None else names(args.methods)
    if request.pop("cotrain", False):
        raise RequestError("compare starts all methods from one source agent, and cotrain has none")
    return request
