"""transreward doctor"""

from __future__ import annotations

import argparse
import sys

HELP = "what is installed, and whether it works"
ABOUT = ""
EPILOG = ""


def arguments(command: argparse.ArgumentParser) -> None:
    del command


def run(args: argparse.Namespace) -> None:
    from transreward.doctor import report

    if not report():
        sys.exit(1)
