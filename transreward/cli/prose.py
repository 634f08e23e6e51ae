"""How --help is laid out, and how a wrong line is answered."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from typing import Any, NoReturn, TextIO

from transreward.types import nearest


class Paragraphs(argparse.HelpFormatter):
    """Prose is filled to the terminal's width; a line that is set in columns stays one, and goes on below the 2nd, or
    has the 2nd below it where that begins far to the right."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = ([block] if _prose(block) else block.splitlines() for block in text.strip().split("\n\n"))
        return "\n\n".join("\n".join(_filled(line, width) for line in block) for block in blocks)


def wrapped(text: str, stream: TextIO) -> str:
    """Lines, on a terminal broken between words rather than at the edge; for a file or a pipe each stays one."""
    if not stream.isatty():
        return text
    by = textwrap.TextWrapper(
        shutil.get_terminal_size().columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(by.fill(line) for line in text.split("\n"))


def _prose(block: str) -> bool:
    return not any(re.search(r"^ |  ", line) for line in block.splitlines())


def _filled(text: str, width: int) -> str:
    column = re.search(r"\S\s{2,}", text)
    indent = 6 if text.startswith(" ") else 0
    if column and column.end() <= width / 2:
        indent = column.end()
    elif column and len(text) > width:
        return f"{_filled(text[: column.start() + 1], width)}\n{_filled(' ' * indent + text[column.end() :], width)}"
    return textwrap.fill(
        text.replace("\n", " "), width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


class Parser(argparse.ArgumentParser):
    """Errors in one line, with the nearest name. An option is written in full: `--target`, which none is, would be
    taken for --target-steps."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **{"allow_abbrev": False, **named})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse's, but that a command itself says what it does not know: the whole program's help would not."""
        found, rest = super().parse_known_args(args, namespace)
        if rest and " " in self.prog:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """One line that says what is wrong, what may have been meant and where to look; exit code 2."""
        line = f"{self.prog}: {message}{self._meant(message)} (see '{self.prog} --help')"
        self.exit(2, f"{wrapped(line, sys.stderr)}\n")

    def _meant(self, message: str) -> str:
        option = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        alone = [action.dest for action in self._actions if not action.option_strings]
        if option and option[1].removeprefix("--") in alone:
            shown = " ".join([self.prog, *map(str.upper, alone)])
            return f": {' and '.join(alone)} are written without a name, as in '{shown}'"
        name, known = "", list[str]()
        if option:
            name, known = option[1], list(self._option_string_actions)
        elif choice:
            name, known = choice[1], re.findall(r"[\w-]+", choice[2])
        said = str(nearest(name, known, "name"))
        return f": {said.partition(': ')[2]}" if "did you mean" in said else ""
