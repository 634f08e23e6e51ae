"""The page about a run: every part is there, its numbers are the run's, it needs no network and hides nothing from a
screen reader."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import warnings
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from quick import compiler
from rich.console import Console
from test_transfer import GAP, LEARNERS, SEEDS, SETTINGS, SOURCE, SOURCE_STEPS, TARGET, TARGET_STEPS

import transreward as tr
from transreward import cli
from transreward.cli import transfer as transfer_command
from transreward.domains.names import entry_names
from transreward.evaluation.verdict import Outcome, verdict
from transreward.live import View
from transreward.reports import sections
from transreward.reports.cells import chance
from transreward.reports.figures import Chart, Line, ends, line, short, ticks
from transreward.reports.films.video import _ffmpeg
from transreward.reports.page import page, write_report
from transreward.reports.rows import Mark, Row, legend, rows_figure
from transreward.reports.sections import delivery, diagnostics
from transreward.reports.sections.table import steps_to, wanted
from transreward.reports.subject import Subject
from transreward.request.learner import for_method
from transreward.request.resolve import resolve
from transreward.runs import store
from transreward.runs.record import Record, read
from transreward.runs.schema import KEYS
from transreward.types import CONTROLS

SECTIONS = ["verdict", "curves", "compensation", "rounds", "terms", "diagnostics", "videos", "shift", "provenance"]
SOMETIMES = (
    "physics",
    "delivery",
    "directly",
    "bridge",
)  # where a run directory has it, see test_identified.py, test_fallback.py, test_bridge.py
VOID = {"meta", "link", "br", "img", "input", "hr"}
METHODS = ["darc", "oracle", "zero_shot", "fine_tune", "target_only"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The directory of a tiny comparison, with its report."""
    place = tmp_path_factory.mktemp("report") / "compared"
    with compiler(hurried=True):
        comparison = tr.compare(
            SOURCE, TARGET, ["darc", "oracle"], learner=LEARNERS["ppo"], source_steps=SOURCE_STEPS,
            target_steps=TARGET_STEPS, seeds=3, seed=SEEDS[0], settings={**SETTINGS, **GAP}, out=place,
        )  # fmt: skip
    write_report([place])
    assert list(comparison.rows) == METHODS
    return place


@pytest.fixture
def run(compared, tmp_path):
    """The same as a transfer with its controls, which a test may change."""
    place = tmp_path / "run"
    shutil.copytree(compared, place)
    for name in ("comparison.json", "report.html"):
        (place / name).unlink()
    return place


def text_of(place: Path, *more: Path) -> str:
    return write_report([place, *more], place / "report.html").read_text()


class Page(HTMLParser):
    """What a page is made of; fails where its tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack, self.tags, self.texts, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.stack, f"not closed: {self.stack}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def tables(text: str) -> dict[str, list[dict[str, str]]]:
    """The CSV files that a page offers, by name; the first of those of one name."""
    found = {}
    for link in Page(text).all("a"):
        kind, _, data = link["href"].partition(",")
        assert kind == "data:text/csv;charset=utf-8" and link["download"].endswith(".csv")
        found.setdefault(link["download"], list(csv.DictReader(io.StringIO(unquote(data)))))
    return found


@pytest.fixture(scope="module", params=["comparison", "run"])
def text(request, compared, tmp_path_factory):
    """The page of the comparison, and that of a run."""
    if request.param == "comparison":
        return (compared / "report.html").read_text()
    return page(sorted(read(compared), key=lambda r: r.config["method"] != "darc"))


def test_every_file_of_a_section_has_its_place():
    """So that a section is one file and one line, and none is forgotten."""
    blocks = [block.__name__ for section in sections.SECTIONS for block in section.blocks]
    files = [
        path.stem for path in Path(sections.__file__).parent.glob("*.py") if path.stem not in ("__init__", "summary")
    ]
    assert sorted(name.rpartition(".")[2] for name in blocks) == sorted(files)
    assert [section.id for section in sections.SECTIONS if section.id not in SOMETIMES] == SECTIONS


# -- what is there -------------------------------------------------------------------------------------------------


def test_every_section_is_there_in_order(text):
    found = Page(text)
    assert [a["id"] for a in found.all("section")] == SECTIONS
    for words in (
        "Learning curves", "Raw return in the target", "Raw return in the source", "Compensated return",
        "The compensation", "Where it acts", "when in an episode it acts", "Reward terms", "Diagnostics",
        "No videos: there is no mp4 file in videos/", "The shift", "gravity (m/s²)", "To repeat it", "config.json",
        f"jax {store.versions()['jax']}", "processor", "4, 5, 6",
    ):  # fmt: skip
        assert words in found.text, words


def test_the_parts_of_a_comparison_are_there(compared):
    found = Page((compared / "report.html").read_text())
    for words in ("Highest mean of 4 methods", "The methods", "Better than", "Performance profile", "steps to 95%"):
        assert words in found.text
    assert [a["class"] for a in found.all("table") if "class" in a][:2] == ["sortable", "matrix"]


def test_it_needs_no_network(text):
    found = Page(text)
    loads = [v for _, a in found.tags for k, v in a.items() if k in ("src", "href", "poster", "srcset", "data")]
    assert loads and all(v.startswith("data:") for v in loads)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|WebSocket|import\(", text)
    policy = next(a["content"] for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert len(text) < 1_000_000


def test_it_is_well_formed_and_every_figure_has_its_words(text):
    found = Page(text)
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    drawn = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(drawn) > 10
    for one in drawn:
        root = ElementTree.fromstring(one)  # it is XML as well
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert title is not None and title.text
        assert root.get("role") == "img" and set(root.get("aria-labelledby", "").split()) <= set(ids)
        if root.get("class") == "chart":
            said = root.find("{http://www.w3.org/2000/svg}desc")
            assert said is not None and len(said.text or "") > 10
            assert not re.search(r"\b(nan|inf)\b", one)
    assert all(a.get("aria-label") for a in found.all("a"))
    assert all(a.get("aria-label") for tag, a in found.tags if a.get("role") == "region")


def test_lines_are_told_apart_without_colour():
    lines = [Line(f"line {i}", i, [0.0, 1.0], [float(i), 1.0]) for i in range(8)]
    drawn = ElementTree.fromstring(Chart("t", "d", "x", "y", lines).svg())
    paths = [p for p in drawn.iter() if (p.get("class") or "").startswith("line")]
    assert len({p.get("stroke-dasharray") for p in paths}) == 8
    shapes = [p.get("class") for p in drawn.iter() if (p.get("class") or "").startswith("marker")]
    assert len(set(shapes)) == 8


def test_names_at_the_lines_ends_do_not_lie_on_one_another():
    lines = [Line(f"line {i}", i, [0.0, 1.0], [0.0, 1e-3 * i]) for i in range(7)] + [Line("far", 7, [0, 1], [0, 9.0])]
    drawn = ElementTree.fromstring(Chart("t", "d", "x", "y", lines).svg(named=True))
    places = sorted(float(p.get("y", 0)) for p in drawn.iter() if (p.get("class") or "").startswith("name"))
    assert len(places) == 8 and min(np.diff(places)) > 12 and max(places) < 280 - 20


def test_marks_of_a_chart_of_rows_stand_clear_of_its_labels_and_a_ring_alone_in_its_legend():
    drawn = ElementTree.fromstring(
        rows_figure("t", "d", "x", [Row("least", (Mark(0, 0.0), Mark(7, 1.0)))], "f", "").svg
    )
    label = next(float(p.get("x", 0)) for p in drawn.iter() if p.text == "least")
    marks = [p.get("d", "") for p in drawn.iter() if (p.get("class") or "").startswith("marker")]
    assert min(float(re.findall(r"[\d.]+", d)[0]) for d in marks) >= label + 12
    assert [sample.count('class="line') for sample, *_ in legend([(0, "a", ""), (7, "b", "")])] == [1, 0]


def test_few_seeds_are_points_and_many_have_a_band():
    few, many = (line("x", 0, [0.0, 1.0], np.arange(2.0 * n).reshape(2, n)) for n in (3, 5))
    drawn = [Chart("t", "d", "x", "y", [one]).svg() for one in (few, many)]
    assert [(text.count('class="band'), text.count('class="seed')) for text in drawn] == [(0, 3), (1, 0)]
    assert "95% interval" in ends([few])  # which the words have all the same


@pytest.mark.parametrize(
    ("x", "said"), [(0, "0"), (10_000, "10,000"), (-2.5e6, "\N{MINUS SIGN}2,500,000"), (0.05, "0.05")]
)
def test_labels_of_ticks_are_written_as_tables_write_numbers(x, said):
    assert short(x) == said


def test_labels_of_large_steps_do_not_lie_on_one_another():
    for top in (1e6, 4e6, 3e7):
        drawn = ElementTree.fromstring(Chart("t", "d", "x", "y", [Line("a", 0, [0.0, top], [0.0, 1.0])]).svg())
        texts = [p for p in drawn.iter() if p.get("y") == "254" and p.get("text-anchor") == "middle"]
        ends_of = [(float(p.get("x", 0)), 3.5 * len(p.text or "")) for p in texts]
        assert len(texts) >= 2
        assert all(a + half < b - other for (a, half), (b, other) in pairwise(ends_of))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 4), (0, 12345), (1e-5, 3e-5), (-2e6, -1e6), (0.1, 0.10001)])
def test_ticks_are_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 9 and low - 1e-9 <= found[0] and found[-1] <= high + 1e-9 * abs(high) + 1e-9
    step = found[1] - found[0]
    assert round(step / 10 ** np.floor(np.log10(step) + 1e-9), 6) in (1, 2, 5, 10)


# -- its numbers ---------------------------------------------------------------------------------------------------


def test_the_curves_are_those_of_metrics_jsonl(text, compared):
    """To the bit, every evaluation of every seed of every method, and the final one."""
    places = [compared, *sorted((compared / "controls").iterdir())]
    logged = [row for p in places if (p / "metrics.jsonl").exists() for row in store.read_lines(p / "metrics.jsonl")]
    offered = tables(text)["target-return.csv"]
    ends, offered = ([row for row in offered if (row["phase"] == "final") is last] for last in (True, False))
    for one in read(compared):
        final = one.result["target_return"]["per_seed"]
        assert [float(row["target_return"]) for row in ends if row["method"] == one.name] == final
    assert len(offered) == len(logged) > 20
    keys = ("seed", "source_steps", "target_steps", "source_return", "target_return", "compensated_return")
    ours = sorted((row["method"], row["phase"], *(float(row[k]) for k in keys)) for row in offered)
    theirs = sorted((row["method"], row["phase"], *(float(row[k]) for k in keys)) for row in logged)
    assert ours == theirs


def test_compensation_and_terms_are_those_of_metrics_jsonl(text, compared):
    rows = [row for row in store.read_lines(compared / "metrics.jsonl") if row["method"] == "darc"]
    offered = tables(text)
    for key in ("gap_mean", "gap_std", "gap_q95", "reward_std", "effective_sample_size"):
        assert [float(row[key]) for row in offered["compensation.csv"]] == [row[key] for row in rows]
    terms = {(r["domain"], int(r["seed"]), int(r["target_steps"]), r["term"]): float(r["return"]) for r in
             offered["reward-terms.csv"]}  # fmt: skip
    for row in rows:
        for side in ("source", "target"):
            for term, value in row[f"{side}_terms"].items():
                assert terms[side, row["seed"], row["target_steps"], term] == value
    when = offered["when.csv"]
    assert [float(r["gap_mean"]) for r in when if r["gap_mean"]] == [
        x for row in rows[-3:] for x in row["gap_by_time"] if x is not None
    ]
    assert [r["entry"] for r in offered["where.csv"]] == [*entry_names(SOURCE), "slide"]


def test_the_line_of_a_method_is_its_mean_with_the_t_interval(compared):
    darc = next(r for r in read(compared) if r.name == "darc")
    x, y = darc.returns("target_return")
    assert x[0] == 0 and y[0].tolist() == darc.result["zero_shot_target_return"]["per_seed"]
    assert x[1:] == sorted({float(row["target_steps"]) for row in darc.own}) and y.shape == (len(x), 3)
    assert y[-1].tolist() == darc.result["target_return"]["per_seed"], "the figure ends where the table says"
    before = [row["target_return"] for row in darc.own[-6:-3]]
    assert y[-2].tolist() == before


def test_the_table_is_that_of_comparison_json(compared):
    found = store.read_json(compared / "comparison.json")["methods"]
    body = re.search(r'class="sortable">.*?</table>', (compared / "report.html").read_text(), re.S)
    assert body is not None
    rows = [re.findall(r'data-value="(.*?)"', row) for row in re.findall(r"<tr>(.*?)</tr>", body.group(), re.S)[1:]]
    assert [row[0] for row in rows] == list(found)
    for row in rows:
        one = found[row[0]]
        assert float(row[1]) == one["target_return"]["iqm"] and float(row[2]) == one["target_return"]["mean"]
        for cell, control in zip(row[3:6], ("zero_shot", "fine_tune", "target_only"), strict=True):
            known = one["improvement"].get(control)
            assert cell == "" if known is None else float(cell) == pytest.approx(known["probability"], abs=0.005)
        assert tuple(map(float, row[-4:])) == (
            one["target_steps"], one["target_evaluation_steps"], one["source_steps"], one["wall_seconds"],
        )  # fmt: skip


def test_the_matrix_says_of_each_pair_what_the_other_way_round_says(compared):
    pairs = {(r["method"], r["over"]): r for r in tables((compared / "report.html").read_text())["better-than.csv"]}
    assert len(pairs) == 5 * 4
    for (a, b), row in pairs.items():
        back = pairs[b, a]
        assert float(row["difference"]) == pytest.approx(-float(back["difference"]))
        assert float(row["low"]) == pytest.approx(-float(back["high"]))
        assert float(row["probability"]) + float(back["probability"]) == pytest.approx(1)
        assert float(row["level"]) == pytest.approx(0.995)
    assert "an interval of 99.5%, so that with 95% confidence the 10 pairs hold jointly" in Page(text_of(compared)).text


def test_the_table_says_what_an_oracle_is_for_where_there_is_none(compared, tmp_path):
    without = tmp_path / "without"
    shutil.copytree(compared, without)
    shutil.rmtree(without / "controls" / "oracle")
    there = Page(text_of(compared)).text
    assert "Steps to 50, 80 or 95% of the oracle's return" in there and "Without an oracle" not in there
    with pytest.warns(UserWarning, match="read without oracle"):
        assert "Without an oracle there are no shares of it" in Page(text_of(without)).text


def test_steps_to_a_share_of_the_oracle(compared):
    records = {r.name: r for r in read(compared)}
    oracle, darc = records["oracle"], records["darc"]
    top = oracle.outcome.mean
    assert wanted(oracle, 0.8) == pytest.approx(top - 0.2 * abs(top))
    x, y = darc.returns("target_return")
    means = y.mean(axis=1)
    assert steps_to(darc, means[0]) == 0 and steps_to(darc, means.max() + 1) is None
    later = next((i for i in range(1, len(x)) if means[i] > means[:i].max()), None)
    assert later is None or steps_to(darc, float(means[later])) == x[later]
    assert steps_to(records["zero_shot"], records["zero_shot"].outcome.mean) == 0


def test_the_verdict_is_that_of_the_final_returns(run):
    records = {r.name: r for r in read(run)}
    controls = [records[name].outcome for name in ("zero_shot", "fine_tune", "target_only")]
    expected = verdict(records["darc"].outcome, controls).sentence
    assert expected in Page(text_of(run)).text
    assert (
        records["darc"].outcome.over(controls[0])["paired"] and not records["darc"].outcome.over(controls[2])["paired"]
    )


def test_another_method_that_it_was_run_beside_is_a_control_too(run):
    """As with `--controls zero_shot,randomised`."""
    place = run / "controls" / "randomised"
    shutil.copytree(run / "controls" / "zero_shot", place)
    store.write_json(place / "config.json", store.read_json(place / "config.json") | {"method": "randomised"})
    own = store.read_json(run / "config.json")
    for named in ([], ["randomised"]):
        store.write_json(run / "config.json", own | {"controls": [*own["controls"], *named]})
        subject = Subject.of(read(run), False)
        compared_with = [c.name for c in subject.controls_of(subject.focus)]
        assert compared_with == ["zero_shot", "fine_tune", "target_only", *named]


def test_zero_shot_is_one_of_several_source_policies_and_a_better_one_is_named(run):
    """Else a method that chose the other source would seem to have learned what it found."""
    for means, said in (((50.0, 84.0), True), ((84.0, 50.0), False)):
        told = [{"mean": x, "ci95": None, "per_seed": [x] * 3, "episodes": 5} for x in means]
        known = [
            {"id": f"hopper:mass={i}", "steps": 100, "source_return": x, "zero_shot_target_return": x}
            for i, x in enumerate(told)
        ]
        store.write_json(run / "result.json", store.read_json(run / "result.json") | {"sources": known})
        found = Page(text_of(run)).text
        words = "zero_shot: it is the policy of hopper:mass=0 alone, and that of hopper:mass=1 returns 84.0 as it is"
        assert (words in found) == said


def test_a_source_agent_that_has_not_learned_stands_first(run):
    """By what its robot's preset is known to reach; and no seed more would mend it."""
    for returned, said in ((90.0, True), (900.0, False)):
        store.write_json(
            run / "result.json", store.read_json(run / "result.json") | {"source_agent_return": [returned] * 3}
        )
        found = Page(text_of(run)).text
        assert ("has not learned its own task" in found) == said
        if said:
            first = found.index("it returns 90 there, where the robot's preset reaches 1,000 with 150,000 source steps")
            assert first < found.index("darc returned")
            assert "--source-steps 150000" in found.partition("Next:")[2][:400]
        view = View({"source": SOURCE.name, "target": TARGET.name})
        view.console = Console(file=io.StringIO(), width=200)
        view.conclude(tr.load(run), "x")
        printed = view.console.file.getvalue()
        assert printed.startswith("the source agent has not learned") == said and printed.count("not learned") == said


def test_the_command_repeats_the_run(compared):
    """It asks for the run that config.json has: every setting of learner, loop, gap, use, gate and feed."""
    text = (compared / "report.html").read_text()
    command = shlex.split(unescape(re.findall(r"<pre>(.*?)</pre>", text, re.S)[0]))
    assert command[0] == "transreward"
    request = transfer_command.request_of(cli.parser().parse_args(command[1:]))
    defaults = {name: None for name in ("learner", "source_run", "target_steps")} | {"seeds": 3, "seed": 0}
    request = {**defaults, "method_name": request.pop("method"), "controls": CONTROLS, **request}
    config = resolve(
        request.pop("source"), request.pop("target"), **{**request, "controls": tuple(request["controls"])}
    )
    for record in read(compared):
        row = next(r for r in (config.method, *config.controls) if r.name == record.name)
        assert json.loads(json.dumps(for_method(config, row).as_json(row))) == record.config


# -- what may be wrong with it -------------------------------------------------------------------------------------


def test_a_run_that_was_cut_short_is_shown_as_far_as_it_came(run):
    (run / "result.json").unlink()
    log = run / "metrics.jsonl"
    log.write_text(log.read_text() + '{"method": "darc", "phase": "tran')
    shutil.rmtree(run / "controls" / "fine_tune")
    for path in (run / "controls" / "zero_shot").iterdir():
        if path.name != "metrics.jsonl":
            path.unlink()
    with pytest.warns(UserWarning, match=r"run/metrics\.jsonl: line \d+ was cut short and is left out"):
        found = Page(text_of(run)).text
    assert "No verdict, since the run was cut short: darc took 96 of 96 target steps a seed" in found
    assert "Cut short: darc" in found and "how they were cut" not in found
    log.unlink()
    assert "nothing was evaluated" in Page(text_of(run)).text


def test_rows_that_lack_what_a_figure_needs_cost_it_alone(run):
    """What a row must have costs the row, in one line; anything else only its place in a figure."""
    log = run / "metrics.jsonl"
    *others, last = [json.loads(line) for line in log.read_text().splitlines()]
    must, n = [key for key in last if key in KEYS["metrics.jsonl"]], len(others) + 1
    for lost in (*([key] for key in must), ["reward_std"], ["gap_by_obs"], [key for key in last if key not in must]):
        log.write_text(store.lines([*others, {k: v for k, v in last.items() if k not in lost}]))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            page(read(run))
        said = f"{log}: line {n} has no '{lost[0]}' and is left out; {n - 1} of {n} are read"
        assert [str(one.message) for one in told] == [said][: lost[0] in must]


def test_without_an_evaluation_there_is_no_empty_table_of_terms_and_one_round_is_one(run):
    log, result = run / "metrics.jsonl", run / "result.json"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text(store.lines([{**row, "target_terms": {}, "source_terms": {}} for row in rows]))
    result.write_text(json.dumps({**json.loads(result.read_text()), "rounds": 1}))
    text = page(read(run)[:1])  # without its controls
    assert "Nothing was evaluated." in text and ">last evaluation<" not in text
    assert "It ended after 1 round:" in text


def test_a_target_whose_reward_has_terms_of_its_own_has_its_figure(run):
    log = run / "metrics.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text(store.lines([{**row, "source_terms": {"a": 1.0}, "target_terms": {"b": 2.0}} for row in rows]))
    assert {row["term"] for row in tables(text_of(run))["reward-terms.csv"]} == {"a", "b"}


def test_a_control_without_its_own_config_has_its_parents(run):
    """They are written when the run ends."""
    control = run / "controls" / "fine_tune"
    for name in ("config.json", "result.json"):
        (control / name).unlink()
    record = next(r for r in read(run) if r.name == "fine_tune")
    assert record.result is None and record.own and record.outcome.target_steps > 0


def test_a_result_of_other_seeds_is_refused(run):
    told = json.loads((run / "result.json").read_text())
    told["zero_shot_target_return"]["per_seed"].append(1.0)
    (run / "result.json").write_text(json.dumps(told))
    with pytest.raises(tr.RequestError, match=r"'zero_shot_target_return' has \d values for \d seeds"):
        read(run)


WRONG = {
    "report nowhere": "nowhere is not a run directory: there is no such directory",
    "report empty": "empty is not a run directory: it has no config.json",
    "report other": "other cannot be read: its config.json has no 'source'",
    "report broken": "broken/config.json is not JSON",
    "report run mixed": "run is inverted_pendulum -> inverted_pendulum:gravity=2 and mixed is inverted_pendulum -> "
    "inverted_pendulum:gravity=3: write one for each, or a table of each, to put together (--out a.csv)",
    "report run run2": "say where the report of several runs goes: --out report.html",
    "report run --out empty": "--out empty is a directory: name a file, such as empty/report.html",
    "report run --out no/such/place.html": "no/such/place.html cannot be written: No such file or directory",
    "report": "the following arguments are required: DIR",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_requests_are_refused(capsys, monkeypatch, run, arguments):
    monkeypatch.chdir(run.parent)
    for name in ("empty", "other", "broken"):
        Path(name).mkdir()
    Path("other/config.json").write_text("{}")
    Path("broken/config.json").write_text("{")
    for name in ("mixed", "run2"):
        shutil.copytree("run", name)
    config = json.loads(Path("run/config.json").read_text())
    Path("mixed/config.json").write_text(json.dumps({**config, "target": "inverted_pendulum:gravity=3"}))
    before = sorted(Path().rglob("*"))
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments.split())
    out, err = capsys.readouterr()
    assert caught.value.code == 2 and WRONG[arguments] in err and len(err.splitlines()) == 1 and not out
    assert sorted(Path().rglob("*")) == before


def test_a_pair_that_cannot_be_made_here_costs_only_the_parts_of_its_models(run):
    for path in run.rglob("config.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "target": "no_such_lab:<b>Robot"}))
    text = text_of(run)
    assert "models were not compared, since the pair cannot be made here" in Page(text).text
    assert "1,024 of 1,024" in text and "<b>" not in text


def test_a_report_shows_the_measure_that_the_run_was_begun_with(run):
    stored = store.read_json(run / "config.json")["shift"]
    shown = Page(text_of(run)).text
    assert stored["target_steps"] == 1024 and "once for all seeds 1,024 (simulated)" in shown
    for path in run.rglob("config.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "shift": {**stored, "reward": 0.375}}))
    assert "largest one-step difference of the reward 0.375" in Page(text_of(run)).text
    for path in run.rglob("config.json"):  # of a version that kept none
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "shift"}))
    assert "The shift was not kept by the version that made this run" in Page(text_of(run)).text


# -- several, from Python, with videos -----------------------------------------------------------------------------


@pytest.mark.slow
def test_several_runs_of_one_pair(run):
    """What is the same is shown once, what differs goes by its directory too."""
    other = run.parent / "second"
    shutil.copytree(run, other)
    result = json.loads((other / "result.json").read_text())
    result["target_return"]["per_seed"] = [x + 5 for x in result["target_return"]["per_seed"]]
    (other / "result.json").write_text(json.dumps(result | {"target_return": result["target_return"] | {"mean": 0.0}}))
    cli.main(["report", str(run), str(other), "--out", str(run.parent / "both.html")])
    text = (run.parent / "both.html").read_text()
    names = re.findall(r'<th scope=row data-value="(.*?)">', text)
    assert names == ["darc (run)", "darc (second)", "fine_tune", "oracle", "target_only", "zero_shot"]
    assert len(re.findall("To repeat it", text)) == 2


def test_a_method_is_compared_with_the_controls_of_its_own_run(run):
    """Where several runs have controls of other returns."""
    other = run.parent / "second"
    shutil.copytree(run, other)
    for path in (other, *(other / "controls").iterdir()):
        result = json.loads((path / "result.json").read_text())
        result["target_return"]["per_seed"] = [x + 1000 for x in result["target_return"]["per_seed"]]
        (path / "result.json").write_text(json.dumps(result))
    text = text_of(run, other)
    found = Page(text).text
    for place in (run, other):
        records = {r.name: r for r in read(place)}
        controls = [records[name].outcome for name in ("zero_shot", "fine_tune", "target_only")]
        words = verdict(records["darc"].outcome, controls, together=2).sentence.partition("darc")[2]
        words = words.partition("(3 seeds")[0]
        assert words.removeprefix(" ") in found
    heads, rows = re.search(r'sortable">(.*?)</thead>(.*?)</table>', text, re.S).groups()  # type: ignore[union-attr]
    assert {len(re.findall("<t[hd] |<th ", row)) for row in rows.split("<tr>")[1:]} == {len(re.findall("<th ", heads))}
    looks = re.findall(r'class="swatch".*?class="line (s\d)" d=".*?dasharray="(.*?)"', text)
    assert len(set(looks)) == 10  # of two runs with five methods each


def test_from_python(run, tmp_path):
    result = tr.load(run)
    assert result.provenance["machine"]["cores"] >= 1
    result.report(tmp_path / "x.html")
    written, found = Page(text_of(run)).text, Page((tmp_path / "x.html").read_text()).text
    verdicts = [re.search(r"\S+ seeds? .*? safer\)|At 95.*? safer\)|The .*? safer\)", t) for t in (written, found)]
    assert verdicts[0] and verdicts[1] and verdicts[0].group() == verdicts[1].group()
    assert not list(tmp_path.glob("*.part"))
    names = [result.method, *result.controls]
    tr.Comparison({**{result.method: result}, **result.controls}).report(tmp_path / "all.html")
    table = re.findall(r'<th scope=row data-value="(.*?)">', (tmp_path / "all.html").read_text())
    assert table == names


def test_videos_are_part_of_the_page(run, monkeypatch):
    (run / "videos").mkdir()
    (run / "videos" / "target_after.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (video,) = Page(text_of(run)).all("video")
    assert (
        video["src"] == "data:video/mp4;base64,AAAAGGZ0eXBtcDQy#t=1.5"
        and video["aria-label"] == "Video of target after"
    )
    monkeypatch.setattr("transreward.reports.sections.films.MOST_BYTES", 3)
    found = Page(text_of(run))
    assert not found.all("video") and "The videos stay in videos/" in found.text


def test_the_film_before_comes_first(run):
    (run / "videos").mkdir()
    for name in ("after", "play", "before"):
        (run / "videos" / f"{name}.mp4").write_bytes(name.encode())
    shown = [video["aria-label"].removeprefix("Video of ") for video in Page(text_of(run)).all("video")]
    assert shown == ["before: the unchanged source policy", "after: the policy of the run", "play"]


# -- in a browser --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
def test_in_a_browser(compared, tmp_path):
    """From disk and without a network: no error, no wider than a phone, the table sorts, figures have words."""
    browser = Browser(tmp_path)
    try:
        for width, dark in ((1280, False), (375, True)):
            browser.open(compared / "report.html", width, dark=dark)
            assert browser.ask("document.documentElement.scrollWidth") <= width
            assert browser.ask(
                "[...document.querySelectorAll('table')].every(t => t.parentElement.className == 'scroll')"
            )
            browser.ask("document.querySelector('.scroll').scrollLeft = 150")  # beside its names, which stay
            name = "document.querySelector('.scroll tbody th').getBoundingClientRect().left"
            assert browser.ask(name) == browser.ask(
                "document.querySelector('.scroll').getBoundingClientRect().left + 1"
            )
            back = browser.ask("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 150) is dark
            assert not browser.methods("Runtime.exceptionThrown") and not browser.methods("Log.entryAdded")
            assert not browser.methods("Runtime.consoleAPICalled")
            asked = [e["request"]["url"] for e in browser.methods("Network.requestWillBeSent")]
            assert asked and all(url.startswith(("file:", "data:")) for url in asked)
        column = "[...document.querySelectorAll('.sortable tbody tr')].map(r => r.cells[2].dataset.value)"
        head = "document.querySelectorAll('.sortable thead th')[2]"
        for sign, order in ((-1, "descending"), (1, "ascending")):
            browser.ask(f"{head}.firstElementChild.click()")
            means = np.array(browser.ask(column), float)
            assert (np.diff(sign * means) >= 0).all() and browser.ask(f"{head}.ariaSort") == order
        browser.ask("document.querySelectorAll('.sortable thead th')[0].firstElementChild.click()")
        names = browser.ask("[...document.querySelectorAll('.sortable tbody th')].map(r => r.dataset.value)")
        assert names == sorted(METHODS)
        tree = browser.send("Accessibility.getFullAXTree")["nodes"]
        images = [n for n in tree if n.get("role", {}).get("value") in ("image", "img", "Video") and not n["ignored"]]
        assert len(images) > 5
        assert [n for n in images if not n.get("name", {}).get("value")] == []
    finally:
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
def test_a_browser_plays_the_video(run, tmp_path):
    """A film as `play` writes it, inside the page: it has pictures and a length, and it goes on when it is started."""
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    (run / "videos").mkdir()
    writer = _ffmpeg(run / "videos" / "after.mp4", ".mp4", picture.shape, 20.0)
    writer.communicate(b"".join(np.roll(picture, i, axis=1).tobytes() for i in range(40)))
    write_report([run])
    browser = Browser(tmp_path / "profile")
    try:
        browser.open(run / "report.html")
        browser.ask("document.querySelector('video').play()")
        ended = (
            "new Promise(r => { const v = document.querySelector('video'); v.loop = false; v.onended = () => r(1); })"
        )
        assert browser.ask(ended) == 1
        shape = browser.ask(
            "(v => [v.videoWidth, v.videoHeight, v.duration, v.error])(document.querySelector('video'))"
        )
        assert shape[:2] == [96, 64] and shape[2] == pytest.approx(2.0, abs=0.1) and shape[3] is None
        assert not browser.methods("Log.entryAdded") and not browser.methods("Runtime.exceptionThrown")
    finally:
        browser.close()


@pytest.mark.parametrize(
    ("name", "first"), [("fine_tune", 0), ("value_potential", 5), ("potential(value)", 5), ("?", 0)]
)
def test_a_curve_begins_with_the_source_agent_only_where_the_method_did(name, first):
    rows = [{"method": name, "target_steps": 5, "seed": 0, "target_return": 2.0}]
    one = Record({"method": name, "seed": 0, "seeds": 1}, rows, {"zero_shot_target_return": {"per_seed": [7.0]}})
    assert one.returns("target_return")[0] == ([0, 5] if first == 0 else [5])


def test_a_curve_goes_straight_up_where_no_target_step_was_learned_from():
    """The policy was the same until the second stage, which took no target steps; then it was what came of that."""
    told = [(10, 1, 3.0), (10, 2, 4.0), (15, 2, 4.0)]
    rows = [{"method": "auto", "target_steps": t, "updates": u, "seed": 0, "target_return": r} for t, u, r in told]
    result = {"zero_shot_target_return": {"per_seed": [1.0]}, "target_return": {"per_seed": [5.0]}, "target_steps": 15}
    x, y = Record({"method": "auto", "seed": 0, "seeds": 1}, rows, result).returns("target_return")
    assert x == [0, 10, 10, 15] and y[:, 0].tolist() == [1, 1, 4, 5]
    for one in rows[:2]:
        one["target_steps"] = one["updates"] * 5
    x, y = Record({"method": "auto", "seed": 0, "seeds": 1}, rows, result).returns("target_return")
    assert x == [0, 5, 10, 15] and y[:, 0].tolist() == [1, 3, 4, 5]


def test_few_seeds_have_no_bootstrap_interval_of_a_chance():
    three, five = (Outcome("a", np.arange(n) + 1.0, tuple(range(n)), 0, 0) for n in (3, 5))
    assert chance(three, three) == ("0.50", "") and chance(five, five)[1].startswith(" (0.")


def test_diagnostics_say_that_the_fallback_acted_and_speak_of_no_gap_where_there_is_none(run):
    said = Page(text_of(run)).text.partition("Diagnostics")[2]
    assert "No method here learned" not in said
    seeds = [{"seed": 4, "delivered": "source", "candidates": [], "episodes": []}]
    r = read(run)[0]
    kept = diagnostics.content(Subject.of([replace(r, fallback={"seeds": seeds})], False))["warnings"]
    assert any("the fallback acted: 1 of 1 seeds" in text for name, found in kept for text in found if name == r.name)
    able = {**r.result, "source_agent_return": [900.0]}
    quiet = replace(r, result=able, rows=[{"method": "darc", "seed": 4, "target_steps": 1}])
    assert diagnostics.content(Subject.of([quiet], False)) == {"warnings": [], "learned": []}


def test_the_source_policy_has_no_bounds_and_its_steps_are_said(run):
    """Its doubt is in the lead of the others; it is the agent of before the method's own source steps."""
    r = read(run)[0]
    known = [("source", 3.0, 3.0, 3.0), (r.name, 5.0, 4.5, 5.5)]
    candidates = [dict(zip(("name", "mean", "low", "high"), one, strict=True), episodes=1) for one in known]
    acted = [{"who": "source", "return": 2.0, "target_steps": 1}, {"who": "source", "return": 4.0, "target_steps": 2}]
    seeds = [{"seed": 4, "delivered": r.name, "candidates": candidates, "episodes": acted}]
    found = delivery.content(Subject.of([replace(r, fallback={"seeds": seeds})], False))
    assert found is not None and "source,3.0,,,1" in unquote(found["figure"].csv)
    trained = max(row["source_steps"] for row in r.rows if row["phase"] == "source")
    assert found["taken"] == f"{trained:,} of {r.source_steps:,}" and trained < r.source_steps


def test_what_says_whether_a_task_is_done_is_explained(tmp_path):
    place = Path(shutil.copytree(Path(__file__).parents[1] / "data" / "runs" / "1" / "transfer-ppo", tmp_path / "run"))
    result = json.loads((place / "result.json").read_text())
    for told, words in (
        ({"moved": [0.5], "upright": [1.0]}, "share of episodes. Moved: in which it went the way that is paid for, at"),
        ({"tracking error (m/s)": [0.1], "own": [1.0]}, "Without a unit it is a share of episodes."),
    ):
        (place / "result.json").write_text(json.dumps(result | {"success": told}))
        text = Page(text_of(place)).text
        assert words in text and ("Moved" in text) == ("moved" in told)


def test_the_foot_names_a_page_that_the_documentation_has():
    """By its title: who installed a wheel has no docs/."""
    place = Path(__file__).parents[2]
    foot = (place / "transreward/reports/page.html").read_text().partition("<footer>")[2].partition("</footer>")[0]
    title = re.search(r"page '([^']+)'", foot)
    assert title is not None and ".md" not in foot
    assert (place / "docs/report.md").read_text().startswith(f"# {title[1]}\n")
