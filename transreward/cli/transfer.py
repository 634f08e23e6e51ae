"""transreward transfer"""

from __future__ import annotations

import argparse
from typing import Any

from transreward.cli.directory import rehearsed, run_in_its_directory, show, watched, with_policy
from transreward.cli.options import IDS, SETTINGS, names, options, training_options
from transreward.runs.process import prepare_process
from transreward.types import CONTROLS, DEFAULT_METHOD, RequestError, usual_controls

HELP = "move a skill"
ABOUT = """\
Train a source agent (or take one up with --source-run), then move it to the target with a method, within budgets of
steps per seed that are never exceeded. Controls run beside the method from the same source agent.

Of several targets each is a run of its own, in one table, and what was identified in the first is known to the next.
"""
EPILOG = IDS + SETTINGS


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "source", nargs="?", help="domain where steps are cheap, or several: S1,S2,S3 (default: halfcheetah)"
    )
    target = "domain where steps are expensive, or several: T1,T2,T3 (default: halfcheetah:broken=bthigh)"
    command.add_argument("target", nargs="?", help=target)
    command.add_argument("--method", help="a row of 'transreward list methods' (default: auto)")
    command.add_argument("--controls", help=f"methods run beside it, or none (default: {','.join(CONTROLS)})")
    training_options(command)
    command.add_argument(
        "--cotrain",
        action="store_true",
        default=None,
        help="agents in the target and in each source learn at once, from scratch",
    )


def run(args: argparse.Namespace) -> None:
    request = request_of(args)
    prepare_process()
    from transreward.domains.several import apart

    targets = apart(str(request["target"]))
    if len(targets) > 1:
        from transreward.cli.targets import run as run_each

        return run_each(request, targets, args.dry_run)
    from transreward.transfer import planned, transfer

    if args.dry_run:
        return rehearsed(request, planned)
    request = with_policy(request, planned)

    def run(out: str) -> None:
        with watched(request, out) as view:
            result = transfer(**request, out=out, watch=view)
        view.conclude(result, out)

    show(run_in_its_directory(request, request.get("method", DEFAULT_METHOD), run), args.video)


def request_of(args: argparse.Namespace) -> dict[str, Any]:
    """Defaults < --config < options, as keyword arguments of `transfer`."""
    if args.source and not args.target and not args.config:
        raise RequestError(f"name a target too, such as '{args.source}:gravity=0.5' (transreward list shifts)")
    request: dict[str, Any] = {
        "source": "halfcheetah",
        "target": "halfcheetah:broken=bthigh",
        **options(args),
    }
    request.setdefault("controls", usual_controls(request["source"], request["target"]))
    request["controls"] = names(request["controls"])
    return request
