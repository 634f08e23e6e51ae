"""The sections of a page, from top to bottom. A new one is a file here and a line in SECTIONS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from transreward.reports.sections import (
    agreement,
    body,
    bridge,
    compensation,
    costs,
    curves,
    delivery,
    diagnostics,
    differences,
    directly,
    done,
    films,
    identified,
    matrix,
    profile,
    provenance,
    rounds,
    shift,
    sources,
    table,
    terms,
    verdict,
    where,
)
from transreward.reports.subject import Subject


class Block(Protocol):
    """A module with a Jinja template, and what it shows of a subject."""

    @property
    def HTML(self) -> str:
        """The template; it has `subject` and the macros of macros.html."""
        ...

    def content(self, subject: Subject) -> Mapping[str, Any] | None:
        """The template's variables, beside `subject`; None: there is nothing to show, and the block is left out."""
        ...


class Section(NamedTuple):
    """A part of the page that can be linked to; it is left out where none of its blocks has anything to show."""

    id: str
    blocks: tuple[Block, ...]
    label: str = ""  # for screen readers, where no heading says it


SECTIONS = (
    Section("verdict", (verdict, done, table, matrix, profile, differences, costs), "Verdict"),
    Section("delivery", (delivery, sources)),
    Section("curves", (curves,)),
    Section("directly", (directly,)),
    Section("compensation", (compensation, body, where)),
    Section("rounds", (rounds,)),
    Section("terms", (terms,)),
    Section("diagnostics", (diagnostics,)),
    Section("videos", (films,)),
    Section("bridge", (bridge,)),
    Section("shift", (shift,)),
    Section("physics", (identified, agreement)),
    Section("provenance", (provenance,)),
)
