"""The tables of the pages are the code's: `python docs/tables.py` writes them."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from transreward.methods import METHODS
from transreward.runs.schema import KEYS

DOCS = Path(__file__).parents[1] / "docs"
FORM = ["Idea", "Formula", "Paper", "What differs", "When it fails", "Settings", "Measured"]
BARE = {"zero_shot", "fine_tune", "target_only", "oracle"}  # without a part of their own


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables_of_docs", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_no_block_is_stale(tables):
    stale = [page.name for page in tables.pages() if tables.fresh(page.read_text()) != page.read_text()]
    assert not stale, "run python docs/tables.py"


def test_each_table_stands_somewhere(tables):
    blocks = [block[2] for page in tables.pages() for block in tables.BLOCK.finditer(page.read_text())]
    assert set(tables.BLOCKS) <= {block.partition(" ")[0] for block in blocks}
    told = [name for block in blocks if block.startswith("settings of ") for name in block[12:].split(", ")]
    assert sorted(told) == sorted(name for name in METHODS if name not in BARE)


def test_every_method_has_a_page(tables):
    for name in METHODS:
        assert (DOCS / tables.page_of(name).partition("#")[0]).exists()


def test_a_range_is_what_the_code_refuses(tables):
    from transreward.gates.chain import Gate
    from transreward.request.loop import Loop

    found = {name: tables.valid(Loop(), name) for name in ("pretrain", "aligned", "converged", "eval_target")}
    assert found == {
        "pretrain": "above 0 to 1",
        "aligned": "0 to 1",
        "converged": "whole, at least 0",
        "eval_target": "`simulated`, `training`, `none`",
    }
    assert tables.valid(Gate(), "clip") == "above 0"


def test_the_range_of_a_share_is_not_one_number(tables):
    """Where another setting says how little of it is too little, which no small number of it shows."""
    from transreward.gaps.state import State
    from transreward.uses.weight import Weight

    assert tables.valid(State(), "top") == "above 0 to 1"
    assert tables.valid(Weight(), "high") == "above 0"


@pytest.mark.parametrize("name", ["config.json", "result.json", "metrics.jsonl"])
def test_what_files_hold_is_said(name):
    _, _, text = (DOCS / "run-directory.md").read_text().partition(f"\n## {name}\n")
    said = set(re.findall(r"`(\w+)`", text.partition("\n## ")[0]))
    keys = {key.rstrip("?").partition(".")[0] for key in KEYS[name]}
    of_gaps = {"gap_trust", "gap_explained"}  # which add their own
    assert keys - said - of_gaps == set()
    if name == "metrics.jsonl":
        assert {"delivered", "grounded_explained", "twin", "walk", "trial", "teacher", "cotrain"} <= said


def test_a_comment_may_go_on_below(tables):
    from transreward.request.loop import Loop

    assert tables.meaning(Loop, "horizon").endswith("Beyond it a run continues at its pace.")


@pytest.mark.parametrize("page", sorted((DOCS / "methods").glob("*.md")), ids=lambda page: page.stem)
def test_a_method_is_told_in_one_form(page):
    """Where nothing was measured, the page says so."""
    parts = re.split(r"^## (.+)\n", page.read_text(), flags=re.MULTILINE)
    assert parts[1::2] == FORM
    assert all(part.strip() for part in parts[2::2])
