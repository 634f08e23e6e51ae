"""Tables of text, as a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from transreward.types import CONTROLS

GAP = 2  # characters between two columns


def fitting(rows: list[dict[str, str]], width: int, gives_way: Sequence[str]) -> list[dict[str, str]]:
    """The rows without those of the columns that give way, in their order, for which there is no room."""

    for column in gives_way:
        if _needed(rows) > width:
            rows = [{name: cell for name, cell in row.items() if name != column} for row in rows]
    return rows


def in_parts(rows: list[dict[str, str]], width: int) -> list[list[dict[str, str]]]:
    """The rows, or where their columns do not fit beside each other the rows in parts, each with the first column."""
    first, *others = rows[0]
    parts = [[first]]
    for column in others:
        if len(parts[-1]) > 1 and _needed([{name: row[name] for name in (*parts[-1], column)} for row in rows]) > width:
            parts.append([first])
        parts[-1].append(column)
    return [[{name: row[name] for name in part} for row in rows] for part in parts]


def _needed(rows: list[dict[str, str]]) -> int:
    """Characters that a line of them takes."""
    texts = ([column, *(row[column] for row in rows)] for column in rows[0])
    return sum(max(len(line) for text in column for line in text.split("\n")) + GAP for column in texts) - GAP


def columns(rows: list[dict[str, str]], bold: str | None = None) -> Table:
    """Plain columns without a frame, the first of names; one row, or all but the controls, in bold; where it is narrow,
    names and lists give way, never a number."""
    table, first = Table(box=None, header_style="dim", padding=(0, GAP, 0, 0), pad_edge=False), next(iter(rows[0]))
    for column in rows[0]:
        gives_way = column in (first, "per seed")
        side = "left" if column in (first, "task", "stopped", "state") else "right"
        table.add_column(column, justify=side, no_wrap=not gives_way, overflow="fold")
    for row in rows:
        shown = row[first] not in CONTROLS if bold is None else row[first] == bold
        table.add_row(*row.values(), style="bold" if shown else None)
    return table
