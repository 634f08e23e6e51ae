"""On which versions a result depends, and whether two machines have the same."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import lru_cache

from transreward.runs.packages import installed

MATTER = ("transreward", "jax", "mujoco")


@lru_cache
def versions() -> dict[str, str]:
    """This machine's: python, and of MATTER those that are installed."""
    return {"python": platform.python_version(), **installed(MATTER)}


def apart(here: Mapping[str, str], there: Mapping[str, str], where: str) -> str:
    """The difference in words, or empty."""
    names = dict.fromkeys((*here, *there))
    wrong = [f"{n} {there.get(n, 'none')} and not {here.get(n, 'none')}" for n in names if here.get(n) != there.get(n)]
    return f"{where} has {', '.join(wrong)}: install the same versions on all machines" if wrong else ""
