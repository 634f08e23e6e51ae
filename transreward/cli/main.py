"""What is typed: the table of commands, their options, and how each ends."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from transreward import __version__
from transreward.cli import completion
from transreward.cli.options import as_options
from transreward.cli.prose import Paragraphs, Parser, wrapped
from transreward.interruption import ends_at_once
from transreward.types import BrokenRun, RequestError

# In the order of --help. Each is a file beside this one, of the same name: HELP, a line; ABOUT and EPILOG, which --help
# prints before and after the options; arguments(command), which adds these; run(args).
COMMANDS = (
    "transfer", "compare", "check", "identify", "resume", "study", "report", "list", "play", "export", "adopt",
    "data", "serve", "doctor", "completion",
)  # fmt: skip
DESCRIPTION = """\
Move a skill from one robot to another by compensating rewards.

  transreward transfer                      the main job, in three minutes
  transreward transfer hopper hopper:gravity=0.5 --target-steps 20000
  transreward compare hopper hopper:mass=2 --methods darc,mix --seeds 5
  transreward check hopper hopper:mass=2    before you spend: a verdict
  transreward study plan.yaml --jobs 2      many pairs and methods, one table
  transreward report runs/a                 a page about it
  transreward play runs/x                   video of both robots
  transreward export runs/x                 the policy as ONNX
  transreward data monday.csv               what a log holds
  transreward serve halfcheetah             for a robot that asks
  transreward list methods                  what there is
  transreward completion bash               the tab key, for bash, zsh or fish
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exits with 0 when done, 2 for a wrong request, 1 for a failure, 130 when interrupted."""
    top = parser()
    if completion.ASKED in os.environ:  # a shell, at the tab key: it is answered, and nothing runs
        completion.answer(top)
    args = top.parse_args(arguments)
    warnings.formatwarning = lambda message, *_, **__: f"transreward: {as_options(str(message))}\n"
    try:
        with ends_at_once():
            from transreward.domains.users import import_modules

            import_modules(args.imports)
            args.run(args)
    except RequestError as error:
        sys.exit(_complain(told(error), 2))
    except BrokenRun as error:
        sys.exit(_complain(told(error), 1))
    except KeyboardInterrupt:  # not by a signal: a user's environment may raise it
        sys.exit(_complain("interrupted", 130))
    except BrokenPipeError:  # `transreward list ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in its buffer would fail again
        what = error.filename or "what this command prints"
        sys.exit(_complain(f"{what} cannot be written: {error.strerror}: make room, or write elsewhere", 1))


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = Parser("transreward", description=DESCRIPTION, formatter_class=Paragraphs)
    top.add_argument("--version", action="version", version=f"transreward {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for name in COMMANDS:
        module = import_module(f"transreward.cli.{name}")
        command = commands.add_parser(
            name, help=module.HELP, description=module.ABOUT, epilog=module.EPILOG, formatter_class=Paragraphs
        )
        module.arguments(command)
        command.set_defaults(run=module.run)
        command.add_argument(
            "--import",
            dest="imports",
            action="append",
            default=[],
            metavar="MODULE",
            help="import your module first, for its robots, gaps, methods or learners (repeatable)",
        )
    return top


def told(error: Exception) -> str:
    """What an error says, and what was noted of it on its way, in the command line's words."""
    return "; ".join([as_options(str(error)), *vars(error).get("__notes__", ())])


def _complain(message: object, code: int) -> int:
    print(wrapped(f"transreward: {' '.join(str(message).split())}", sys.stderr), file=sys.stderr)
    return code
