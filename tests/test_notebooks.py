"""The notebooks of the docs are kept without outputs, and run as they are; a run in one shows one output that is
renewed, in a script on a terminal some lines that go away, and in a pipe nothing."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

import transreward
from transreward import progress
from transreward.engine.state import Progress
from transreward.types import Pair

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
every = pytest.mark.parametrize("place", NOTEBOOKS, ids=lambda place: place.stem)


@every
def test_it_is_kept_without_outputs(place):
    kept = json.loads(place.read_text())
    cells = [cell for cell in kept["cells"] if cell["cell_type"] == "code"]
    assert cells and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert kept["metadata"]["language_info"] == {"name": "python"}, "no versions of whose machine it was"
    assert place.stat().st_size < 20_000


@every
def test_it_is_linked_and_names_what_there_is(place):
    assert f"(notebooks/{place.name})" in (DOCS / "notebook.md").read_text()
    code = "\n".join("".join(cell["source"]) for cell in json.loads(place.read_text())["cells"])
    assert set(re.findall(r"\btr\.(\w+)", code)) <= set(transreward.__all__)


@pytest.mark.slow
@every
def test_it_runs(place, tmp_path, monkeypatch):
    """From top to bottom, and what `transfer` and `compare` show is one output with few words, whatever they take."""
    client, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    notebook = nbformat.read(place, 4)
    client.NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = {"".join(cell.source): cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    trained = [found for code, found in outputs.items() if re.search(r"= tr\.(transfer|compare)\(", code)]
    for found in trained:
        (one,) = found
        assert " -> " in one["data"]["text/plain"] and "done in" in one["data"]["text/html"]
        assert len(one["data"]["text/plain"].splitlines()) < 10
    assert trained or place.stem == "what-a-log-shows"
    for found in (found for code, found in outputs.items() if ".table(" in code):
        assert [one.output_type for one in found] == ["stream"], "text, and nothing of rich's beside it"


def reported(done: float, rows=(), said=(), phase="transfer") -> Progress:
    return Progress("darc", phase, Pair(500, 20), Pair(1000, 100), done, list(rows), said=said)


def shown(monkeypatch, watched) -> list[tuple[list[str], float | None]]:
    """What is put before somebody while `watched` gets its watch."""
    put: list[tuple[list[str], float | None]] = []
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "_cell", lambda: lambda lines, done: put.append((lines, done)))
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with progress.shown("a -> b", None) as watch:
        watched(watch)
    return put


def test_what_is_said_of_a_run(monkeypatch):
    def watched(watch):
        watch(reported(0.0, said=("gear x 0.5",)))
        watch(reported(0.5, rows=[{"source_return": 3.0, "target_return": 1.0}]))
        watch(reported(0.9))

    first, second, third, last = shown(monkeypatch, watched)
    assert first[0][:2] == ["a -> b", "gear x 0.5"] and "compiling" in first[0][2]
    assert second[0][-2:] == ["500 of 1,000 source steps a seed, 20 of 100 target steps a seed",
                              "return 3 in the source, 1 in the target"]  # fmt: skip
    assert third[0][-1] == second[0][-1], "until the next evaluation"
    assert last[1] is None and last[0][-1].startswith("done in")


def test_an_interrupted_run_says_so(monkeypatch):
    put = []

    def watched(watch):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "_cell", lambda: lambda lines, done: put.append(lines))
    with pytest.raises(KeyboardInterrupt), progress.shown("a -> b", None) as watch:
        watched(watch)
    assert put[-1][-1].startswith("stopped after")


def test_few_pictures_a_second(monkeypatch):
    put = []
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "_cell", lambda: lambda lines, done: put.append(lines))
    with progress.shown("a -> b", None) as watch:
        for _ in range(1000):
            watch(reported(0.5))
    assert len(put) <= 3


def test_a_pipe_gets_nothing(capfd):
    with progress.shown("a -> b", None) as watch:
        watch(reported(0.5))
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_lines(monkeypatch):
    """While the run goes on."""
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown("a -> b", None) as watch:
        watch(reported(0.5))
    assert "a -> b" in screen.getvalue() and "20 of 100 target steps" in screen.getvalue()


def test_a_watch_that_is_asked_for_is_alone():
    def mine(one):
        return None

    with progress.shown("a -> b", mine) as watch:
        assert watch is mine


def test_this_is_no_notebook():
    assert not progress.in_notebook()
