"""transreward resume"""

from __future__ import annotations

import argparse
from pathlib import Path

from transreward.cli.directory import show, watched
from transreward.cli.options import as_options, whole
from transreward.runs.process import prepare_process
from transreward.types import RequestError

HELP = "go on with a run that was interrupted, or with more target steps"
ABOUT = """\
Go on with a run from its last checkpoint, as if it had never been interrupted: to the same bits where the state of its
domains can be put back (robots of the table), elsewhere with new episodes, which is said. A run writes a checkpoint
once a minute, at the end of each part and when Ctrl-C, SIGTERM or a closed terminal ends it.

A run that has spent its target steps goes on with --target-steps, more than it was asked for. What is annealed stays as
it was at the end of the first budget (loop.horizon), and source steps go on at their pace: the result is that of a run
of N steps with this horizon, bit for bit.
"""
EPILOG = ""
MORE = "; where its method learns from target steps, --target-steps N goes on to N of them, more than {:,}"


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("directory", metavar="DIR", help="its run directory")
    command.add_argument(
        "--target-steps", type=whole, metavar="N", help="go on to so many per seed in all, more than it was asked for"
    )


def run(args: argparse.Namespace) -> None:
    prepare_process()
    from transreward.runs import store
    from transreward.transfer import compared, over, resume

    out = args.directory
    request = store.read_json(Path(out) / "config.json")
    more = args.target_steps or 0
    if more > request["target_steps"] and (why := over(Path(out))):
        raise RequestError(f"the run in {out} {why}{_anew(Path(out), more)}")
    finished = args.target_steps is None and (Path(out) / "result.json").exists()
    with watched(request, out) as view:
        if finished:  # who asks to go on is told how, and nothing else that might be done
            why, view.advises = as_options(over(Path(out))), False
            print(f"the run in {out} is finished{f'; it {why}' if why else MORE.format(request['target_steps'])}")
        result = resume(out, target_steps=args.target_steps, watch=view)
    if (Path(out) / "comparison.json").exists():
        view.conclude_comparison(compared(result, store.read_json(Path(out) / "comparison.json")["methods"]), out)
    else:
        view.conclude(result, out)
    show(out, False)


def _anew(out: Path, target_steps: int) -> str:
    """The command to type in its place."""
    from transreward.reports.repeat import anew
    from transreward.runs import store
    from transreward.runs.record import read

    found = anew(read(out), target_steps, store.read_json(out / "result.json")["stopped"])
    return f": {found}" * bool(found)
