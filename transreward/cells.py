"""The cells of the grid: a use over a gap, with what the use chooses beside it."""

from __future__ import annotations

import re
from typing import Any

from transreward.gaps import GAPS
from transreward.gaps.gap import Gap
from transreward.row import Method
from transreward.types import OWN_MODULE, RequestError, make, nearest
from transreward.uses import USES
from transreward.uses.use import Use


def cell(expression: str) -> Method:
    """use(gap): use and gap with their defaults, and what the use chooses beside them; the rest by settings."""
    parsed = re.fullmatch(r"\s*(\w+)\s*\(\s*(\w*)\s*\)\s*", expression)
    if parsed is None:
        raise RequestError(f"'{expression}' does not parse: write use(gap), such as filter(classifier)")
    use_name, gap_name = parsed.groups()
    if use_name not in USES:
        raise nearest(use_name, USES, "use", otherwise=OWN_MODULE)
    name, use, found = f"{use_name}({gap_name})", make(USES, use_name, "use", {}), None
    if use.wants:
        found = _offering(use, gap_name)
    elif gap_name not in ("", use.of):
        raise RequestError(f"'{name}' is of the source agent's {use.of}, and has no gap: write {use_name}({use.of})")
    return Method(
        name,
        f"{use_name} by {gap_name}",
        "a cell of the grid",
        start=use.start,
        feed=use.feed,
        gap=found,
        use=use,
        gate=use.gate(found),
        teacher=use.teacher,
    )


def _offering(use: Use, name: str) -> Gap:
    """The gap, with the settings under which it offers what the use wants where its defaults do not."""
    found = gap(name)
    if not set(use.wants) & set(found.offers):
        under = [settings for offer, settings in found.offers_with.items() if offer in use.wants]
        return gap(name, **under[0]) if under else found
    return found


def cells() -> dict[str, list[str]]:
    """Each use, and what makes a cell with it: gaps, or a part of the source agent."""
    return {name: [of for of in (GAPS if use.wants else (use.of,)) if _works(name, of)] for name, use in USES.items()}


def _works(use: str, of: str) -> bool:
    try:
        cell(f"{use}({of})")
    except RequestError:
        return False
    return True


def gap(name: str, **settings: Any) -> Gap:
    """A gap by name with its settings. Raises RequestError for an unknown name or setting."""
    return make(GAPS, name, "gap", settings)
