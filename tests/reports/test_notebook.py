"""What a result shows in a notebook."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import yaml

import transreward as tr
from transreward.methods import METHODS
from transreward.reports import notebook, page
from transreward.reports.figures import COLOURS
from transreward.reports.subject import Subject
from transreward.runs import store
from transreward.types import CEILING, ZERO_SHOT, RequestError

matplotlib.use("agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "tests" / "data" / "runs" / str(store.SCHEMA)


@pytest.fixture(scope="module")
def result():
    return tr.load(RUNS / "transfer-sac")


class Cells(HTMLParser):
    """The rows of the tables in a page."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.rows[-1].append(data)


def test_a_frame_has_the_numbers_of_the_run(result):
    frame = result.frame()
    assert list(frame.index) == [one.name for one in Subject.of(result.records(), False).records]
    for name, one in [(result.method, result), *result.controls.items()]:
        own = one.as_json()
        assert frame.loc[name, "target_return"] == pytest.approx(one.target_return.mean())
        for column in ("source_steps", "target_steps"):
            assert frame.loc[name, column] == own[column]
        if name != ZERO_SHOT:
            assert frame.loc[name, "stopped"] == own["stopped"]
    assert frame["stopped"].isna()[ZERO_SHOT], "nothing stops a policy that does not learn"


def test_html_is_a_table_with_the_verdict(result):
    text = result._repr_html_()
    head, *rows = Cells(text).rows
    assert head[:4] == ["method", "target return", "low", "high"] and {len(row) for row in rows} == {len(head)}
    (said,) = Subject.of(result.records(), False).verdicts()
    assert said.sentence in html.unescape(text)
    result.config["target"] = "<script>"
    try:
        assert "<script>" not in result._repr_html_()
    finally:
        result.config["target"] = "inverted_pendulum:gravity=2"


def test_a_table_fits(result):
    for width in (60, 100, 160):
        text = result.table(width)
        assert result.method in text and max(map(len, text.splitlines())) <= width


def test_a_plot_has_the_curves_of_the_page(result):
    axes = result.plot()
    lines = {line.get_label(): line for line in axes.get_lines() if line.get_label()[0] != "_"}
    for one in result.records():
        assert one.name in lines
        if one.own:
            x, y = one.returns("target_return")
            np.testing.assert_allclose(lines[one.name].get_xydata(), np.column_stack([x, y.mean(axis=1)]))
            assert y[-1].tolist() == one.result["target_return"]["per_seed"], "it ends where the table says"
    looks = [(line.get_marker(), line.get_linestyle(), line._dash_pattern) for line in lines.values()]
    assert len(set(map(str, looks))) == len(lines), "told apart in grey"
    other = plt.figure().add_subplot()
    assert result.plot(other) is other
    plt.close("all")


def test_the_oracles_steps_do_not_stretch_the_axis_of_the_others(result):
    """It takes the source's budget in the target; as on the page, it is a level."""
    records = result.records()
    one = records[0]
    rows = [{**row, "method": CEILING, "target_steps": 600_000} for row in one.own]
    ended = {**one.result, "target_steps": 600_000}
    oracle = replace(one, config={**one.config, "method": CEILING}, rows=rows, result=ended, provenance=None)
    axes = notebook.plot([*records, oracle], True, None)
    level = next(line for line in axes.get_lines() if line.get_label() == CEILING)
    assert axes.get_xlim()[1] < 2 * one.config["target_steps"] and set(level.get_ydata()) == {oracle.outcome.mean}
    plt.close("all")


@pytest.mark.parametrize(("size", "layout"), [((9, 3), "constrained"), ((3.35, 2.5), "constrained"), ((7, 3), None)])
def test_nothing_of_a_plot_is_cut_off_or_covered(result, size, layout):
    """Of two panels of a long pair, as in docs/notebook.md: title and legend are beside curves and on the page."""
    figure, both = plt.subplots(1, 2 if size[0] > 5 else 1, figsize=size, layout=layout, squeeze=False)
    long = result.config["target"]
    result.config["target"] = "inverted_pendulum:size(pole)=2,gravity=0.5,friction=0.3"
    try:
        for axes in both.flat:
            result.plot(axes)
            result.plot(axes)  # once more, as a user who lays runs over each other
    finally:
        result.config["target"] = long
    figure.draw_without_rendering()
    for axes in both.flat:
        title, legend = axes.title.get_window_extent(), axes.get_legend().get_window_extent()
        assert title.x0 >= 0 and title.x1 <= figure.bbox.width and "\n" in axes.get_title()
        drawn = [line.get_path().transformed(line.get_transform()).vertices for line in axes.get_lines()]
        inside = axes.get_window_extent()
        assert all(legend.y0 > line[:, 1].max() and inside.y0 <= line[:, 1].min() for line in drawn)
        assert legend.x0 >= inside.x0 and legend.x1 <= inside.x1 and legend.y1 <= inside.y1
        assert axes.xaxis.get_major_formatter()(12_000) == "12,000"
    plt.close("all")


def test_colours_are_the_pages():
    found = dict(
        re.findall(r"--(s\d): (#\w+);", Path(page.__file__).with_name("page.html").read_text().split("@media")[0])
    )
    assert [found[f"s{i}"] for i in range(len(COLOURS))] == list(COLOURS)


def test_what_to_cite(result):
    text, told = result.cite(), yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert f"version = {{{tr.__version__}}}" in text and told["version"] == tr.__version__
    assert f"title = {{{told['title']}}}" in text
    assert "%" not in text, "mix and zero_shot are no one's"
    told = {**result.config, "method": "par"}
    assert notebook.cite([replace(result.records()[0], config=told)]).endswith(f"% par: {METHODS['par'].paper}\n")


@pytest.mark.parametrize(("call", "package"), [("frame", "pandas"), ("plot", "matplotlib")])
def test_a_package_that_is_missing_is_named(result, call, package, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(notebook, "import_module", missing)
    with pytest.raises(RequestError, match=f"pip install {package}"):
        getattr(result, call)()
