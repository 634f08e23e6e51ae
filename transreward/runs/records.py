"""`write_report` by the name that scripts import it by; what it does is in `transreward.reports.page`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write_report(directories: Sequence[str | Path], out: str | Path | None = None, columns: int = 1) -> Path:
    """See `transreward.reports.page.write_report`."""
    from transreward.reports import page

    return page.write_report(directories, out, columns)
