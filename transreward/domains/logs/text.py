"""Logs as text: comma, semicolon or tab separated values with a line of names, read by NumPy."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from transreward.domains.logs import table
from transreward.domains.logs.columns import MOST, listed
from transreward.types import RequestError

HEAD = 2**20  # bytes of the line of names
LONGEST = 16 * 2**30  # bytes
COLUMNS = 100_000
COMMA = re.compile(r"\s*[-+]?\d*,\d+([eE][-+]?\d*)?\s*")
FIRST = 2  # the line of the first row


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that make a log, by D4RL's names. Raises RequestError for what is refused."""
    if path.stat().st_size > LONGEST:
        raise RequestError(f"it has {path.stat().st_size:,} bytes, and at most {LONGEST:,} are read")
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            first, second = file.readline(HEAD), file.readline(HEAD)
        except UnicodeDecodeError as error:
            raise RequestError(f"it is no text in UTF-8: {error.reason} at byte {error.start}") from None
        if not first.endswith("\n"):
            raise RequestError("it has no line of names with rows behind it")
        by = max(",;\t", key=first.count)
        names = table.distinct(name.strip() for name in next(csv.reader([first], delimiter=by)))
        if len(names) > COLUMNS:
            raise RequestError(f"it has {len(names):,} columns, and at most {COLUMNS:,} are read")
        if not second.strip():
            raise RequestError("it has names and no rows")
        if all(_number(name) for name in names):
            raise RequestError(f"its first line holds numbers, {listed(names)}: put the names of the columns there")
        found = table.layout(names, path)
        file.seek(0)
        file.readline()
        empty: list[int] = []
        lines = _filled(file, by, names, empty)
        place = {name: i for i, name in enumerate(names)}
        rows = _rows(lines, names, [place[name] for name in found.names], by, empty)
    columns = dict(zip(found.names, rows.T, strict=True))
    return table.arrays(found, columns.__getitem__, lambda row: f"line {_line(row, empty)}")


def _filled(file: io.TextIOBase, by: str, names: list[str], empty: list[int]) -> Iterator[str]:
    """The lines of rows; those that are empty are noted. Raises RequestError for one of more values than there are
    names, as decimal commas make it: NumPy would take the first ones; and for one of fewer, the last of which may be
    half a number."""
    values = len(names)
    least = values - (not names[-1]) - 1  # separators; a line of names may end in one
    for number, line in enumerate(file, FIRST):
        if line.isspace():
            empty.append(number)
            continue
        if line.count(by) >= values and '"' not in line and line.rstrip("\r\n").removesuffix(by).count(by) >= values:
            raise RequestError(
                f"line {number} has more values than there are names, {values}: write decimal points, and a name for "
                f"each column"
            )
        if (found := line.count(by)) < least and '"' not in line:
            cut = "; the file looks cut off there: leave that line out" if not line.endswith(("\r", "\n")) else ""
            raise RequestError(f"line {number} has {found + 1} values, and every row needs {values} values{cut}")
        yield line


def _line(row: int, empty: Sequence[int]) -> int:
    """In which line a row stands, from 0."""
    line = row + FIRST
    for number in empty:
        line += number <= line
    return line


def _rows(lines: Iterator[str], names: list[str], places: list[int], by: str, empty: list[int]) -> np.ndarray:
    """[n, places], float64. Raises RequestError with the row and column that is no number."""
    most = MOST // len(places) + 1
    try:
        rows = np.loadtxt(lines, delimiter=by, usecols=places, ndmin=2, comments=None, quotechar='"', max_rows=most)
    except RequestError:
        raise
    except ValueError as error:
        raise RequestError(_cure(" ".join(str(error).split()), names, empty)) from None
    if rows.size > MOST:
        raise RequestError(f"it holds more than {MOST:,} numbers: take fewer steps")
    return rows


def _cure(said: str, names: list[str], empty: list[int]) -> str:
    """NumPy's words in the file's: its lines and columns."""
    if found := re.search(r"could not convert string '(.*?)'? to float64 at row (\d+), column (\d+)", said):
        text, row, column = found[1][:30], int(found[2]), int(found[3]) - 1
        where, line = listed([names[column] if column < len(names) else str(column)]), _line(row, empty)
        if not text.strip():
            return f"{where} is empty in line {line}: leave such steps out of the log"
        why = "has a decimal comma: write decimal points" if COMMA.fullmatch(text) else "is no number (true is 1)"
        return f"{where} is '{ascii(text)[1:-1]}' in line {line}, which {why}"
    return f"{ascii(said)[1:-1][:160]}: every row needs {len(names)} values"


def _number(text: str) -> bool:
    try:
        float(text)
        return True
    except ValueError:
        return False
