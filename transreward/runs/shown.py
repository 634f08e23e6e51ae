"""How a result shows itself: a page, a table, a frame, a plot, and what to cite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from transreward.runs import store
from transreward.runs.record import Record

WIDTH = 100  # characters of a table


class Shown:
    """What a run and a comparison have in common. `records` are those of the page, in its order."""

    compared: ClassVar[bool] = False  # several methods side by side, rather than one and its controls

    def records(self) -> Sequence[Record]:
        """As a report reads them."""
        raise NotImplementedError

    def report(self, path: str | Path) -> None:
        """Write the page: one HTML file that needs no network. See docs/report.md."""
        from transreward.reports.page import page

        store.write_text(Path(path), page(self.records(), comparison=self.compared))

    def table(self, width: int = WIDTH) -> str:
        """The table as text, with as many of its columns as fit into so many characters."""
        from transreward.reports import notebook

        return notebook.table(self.records(), self.compared, width)

    def frame(self) -> Any:
        """A `pandas.DataFrame`, a row a method: raw target return with its interval (NaN: not evaluated, or one seed),
        and steps per seed. Raises RequestError where pandas is missing."""
        from transreward.reports import notebook

        return notebook.frame(self.records(), self.compared)

    def plot(self, axes: Any = None) -> Any:
        """Raw target return against target steps, into matplotlib's `axes`, or those of a new figure, which are
        returned. Raises RequestError where matplotlib is missing."""
        from transreward.reports import notebook

        return notebook.plot(self.records(), self.compared, axes)

    def cite(self) -> str:
        """BibTeX of TransReward, and the papers of the methods that were run."""
        from transreward.reports import notebook

        return notebook.cite(self.records())

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, and the table."""
        from transreward.reports import notebook

        return notebook.html(self.records(), self.compared)
