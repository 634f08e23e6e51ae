"""What is shown while a run goes on, on a terminal: every phase that the loop has, in words."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from test_transfer import SOURCE, TARGET

from transreward.live import PHASES, View
from transreward.transfer import Progress
from transreward.types import Pair

ROW = {
    "source_return": 10.0,
    "target_return": 5.0,
    "compensated_return": 7.0,
    "gap_mean": -0.5,
    "gap_std": 0.2,
    "seed": 3,
}


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_is_shown_in_words(phase):
    view = View({"source": SOURCE.name, "target": TARGET.name, "method": "darail"})
    view.console = Console(file=io.StringIO(), force_terminal=True, width=100)
    progress = Progress("darail", phase, Pair(100, 10), Pair(200, 20), 0.5, [ROW])
    view.rows = progress.rows
    view.console.print(view._render(progress))
    text = view.console.file.getvalue()
    assert PHASES[phase] in text and "100 of 200 a seed" in text
    assert ("darail" in text) == (phase in ("teacher", "transfer"))
