"""The command line: one file a command, the only part that parses arguments. JAX is imported where it is needed, not
by --help."""

from transreward.cli.main import main, parser

__all__ = ["main", "parser"]
