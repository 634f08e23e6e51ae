"""transreward resume"""

from __future__ import annotations

import argparse
from pathlib import Path

from transreward.cli.directory import kept, quiet_compilation_cache, show
from transreward.interruption import undone

HELP = "go on with a run that was interrupted"
ABOUT = """\
Go on with a run from its last checkpoint, as if it had never been interrupted: to the same bits where the state of its
domains can be put back (robots of the table), elsewhere with new episodes, which is said. A run writes a checkpoint
once a minute, at the end of each part and when Ctrl-C or SIGTERM ends it.
"""
EPILOG = ""


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("directory", metavar="DIR", help="its run directory")


def run(args: argparse.Namespace) -> None:
    quiet_compilation_cache()
    from transreward.live import View
    from transreward.runs import store
    from transreward.transfer import resume

    out = args.directory
    request = store.read_json(Path(out) / "config.json")
    with undone(lambda: kept(Path(out))), View(request) as view:
        result = resume(out, watch=view)
    view.conclude(result, out)
    show(out, False)
