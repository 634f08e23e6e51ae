"""transreward doctor"""

from __future__ import annotations

import argparse
import sys

from transreward.cli.prose import wrapped

HELP = "what is installed, and whether it works"
ABOUT = ""
EPILOG = ""


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--empty", action="store_true", help="remove the source agents that are kept")


def run(args: argparse.Namespace) -> None:
    from transreward.doctor import report
    from transreward.engine import cache

    if args.empty:
        held = cache.told()
        cache.empty()
        print(f"removed: {held}")
        return
    print(cache.told())
    if not report(lambda line: print(wrapped(line, sys.stdout))):
        sys.exit(1)
