"""The page over all pairs: its figures by hand, and how it looks in a browser."""

from __future__ import annotations

import csv
import io
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest
from rich.console import Console
from study.test_plan import PLAN
from study.test_run import finished

from transreward import cli
from transreward.evaluation.verdict import Outcome
from transreward.reports.cells import fixed
from transreward.reports.columns import columns, in_parts
from transreward.study import across, folder, paper, report
from transreward.study.jobs import jobs_of
from transreward.study.lines import Line
from transreward.study.plan import parsed

sys.path.append(str(Path(__file__).parents[1] / "reports"))
from browser import CHROMIUM, Browser

pytestmark = pytest.mark.filterwarnings("ignore:.*holds no metrics.jsonl")
NAMES = ["slippery", "heavy", "a pair with quite a long name that has to be broken somewhere"]
TARGETS = [f"inverted_pendulum:gravity={factor}" for factor in (1.5, 2, 3)]
LEVELS = {"zero_shot": 10, "fine_tune": 20, "darc": 30}  # by pair times 1, 2, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("made"))
        return make().resolve()


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, "out")
    return Path("out")


def make():
    """A study of three pairs of which one method has not run, and another not on the last."""
    pairs = [
        {"name": name, "source": "inverted_pendulum", "target": target}
        for name, target in zip(NAMES, TARGETS, strict=True)
    ]
    found = jobs_of(parsed({**PLAN, "pairs": pairs, "methods": [*LEVELS, "oracle"], "seeds": 3}), Path("out"))
    Path("out").mkdir()
    folder.put(Path("out/study.json"), folder.content(Path("out"), found))
    for job in found:
        if job.method in LEVELS and (job.method, job.pair) != ("fine_tune", NAMES[2]):
            level = LEVELS[job.method] * (1 + NAMES.index(job.pair))
            finished(job, [level - 5, level, level + 5], ("inverted_pendulum", job.request["target"]))
    return Path("out")


def test_the_page_over_all_pairs(study, capsys, tmp_path):
    cli.main(["study", "report", "out"])
    said = capsys.readouterr().out
    rows = {
        line.split()[0]: " ".join(line.split()) for line in said[said.index("over all pairs") :].splitlines() if line
    }
    # scores of the pairs: 10, 20, 30 -> 0, 1/2, 1; where only 30 and 90 are there 0 and 1
    assert rows["zero_shot"].startswith("zero_shot 3 of 3 0.00 (") and rows["darc"].startswith("darc 3 of 3 1.00 (")
    assert rows["fine_tune"].startswith("fine_tune 2 of 3 0.50 (") and "oracle" not in rows
    assert re.search(r"darc .* 1\.00 .* 1,152 ", rows["darc"])  # 128 steps, 3 seeds, 3 pairs
    assert "over all pairs:" in (study / "table.md").read_text()
    page = (study / "report.html").read_text()
    for place in (" ".join(said.split()), (study / "table.md").read_text(), page):
        assert "3 seeds: the bootstrap resamples only these" in place, "1.00 to 1.00 of three seeds is warned of"
    head = page[: page.index("<iframe")]
    assert "Performance profile over all pairs" in head and 'class="h10">1.00<small>90.0</small>' in head
    assert not re.search(r"(src|href)=\"?(?!data:)\w", page.replace("srcdoc", ""))  # it needs no network
    if CHROMIUM:
        in_a_browser(study / "report.html", tmp_path)


def in_a_browser(page, folder):
    browser = Browser(folder)
    try:
        for width, dark in ((1280, False), (390, False), (390, True)):
            browser.open(page, width, dark=dark)
            assert browser.ask("document.documentElement.scrollWidth") <= width
            cut = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
            assert width < 1280 or browser.ask(cut) == 0, "the state, the last column, is seen without scrolling"
            assert not browser.methods("Runtime.exceptionThrown") and not browser.methods("Log.entryAdded")
    finally:
        browser.close()


def test_a_table_for_a_paper_has_a_row_a_pair_and_what_holds_over_all(study, capsys):
    cli.main(["study", "report", "out", "--out", "a.tex", "a.md", "a.csv"])
    assert capsys.readouterr().out.splitlines()[:3] == ["table: a.tex", "table: a.md", "table: a.csv"]
    assert not (study / "report.html").exists(), "what was asked for alone"
    text = Path("a.tex").read_text()
    body = text.partition("toprule")[2].partition(r"\bottomrule")[0].split("\\midrule")
    heads, pairs, over_all = ([line.strip().removesuffix(r" \\").split(" & ") for line in part.strip().splitlines()]
                              for part in body)  # fmt: skip
    assert heads == [["pair", "seeds", r"zero\_shot", r"fine\_tune", "darc", "oracle"]] and text.isascii()
    assert [row[0] for row in pairs] == NAMES and {row[1] for row in pairs} == {"3"}
    assert pairs[0][2:] == [r"10.0 $\pm$ 12.4", r"20.0 $\pm$ 12.4", r"30.0 $\pm$ 12.4", "--"]
    assert pairs[2][3] == "--", "no finished run"
    rows = {row[0]: row[2:] for row in over_all}
    assert [cell.split()[0] for cell in rows[r"IQM of scores 95\% bootstrap"]] == ["0.00", "0.50", "1.00", "--"]
    assert rows["pairs"] == ["3 of 3", "2 of 3", "3 of 3", "--"] and r"better than zero\_shot" in rows
    assert (
        re.search(r"^% heavy, darc: [A-Z][a-z ]+\. .*darc returned 60\.0", text, re.M)
        and "% 3 seeds: the bootstrap" in text
    )
    assert "| slippery | 3 | 10.0 ± 12.4 |" in Path("a.md").read_text()
    numbers = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert len(numbers) == 3 * 4 + 3 and numbers[0]["target_return"] == "10.0" and numbers[3]["state"] == "to do"
    assert [row["method"] for row in numbers if row["pair"] == "over all pairs" and row["score_low"]] == [*LEVELS]


@pytest.mark.parametrize("name", paper.FIGURES)
def test_figures_over_all_pairs(name, tmp_path, monkeypatch):
    lines = {
        pair: [
            SimpleNamespace(
                method=method, state="", outcome=SimpleNamespace(per_seed=np.arange(3.0) * level), jobs=[job]
            )
            for method, level in LEVELS.items()
            for job in [SimpleNamespace(request={"method": method})]
        ]
        for pair in NAMES[1:]
    }
    monkeypatch.setattr(across, "_row", lambda *_: {})
    paper.FIGURES[name](across.summarised(lines), tmp_path / "a.svg", 2)
    text = (tmp_path / "a.svg").read_text()
    assert 'width="496.8pt"' in text and "<text" not in text, "as wide as both columns, with its fonts"
    assert text.count("<!-- darc -->") >= 1 and text.count("<!-- 1.00") == (2 if name == "map" else 0)


def test_no_file_is_written_where_one_of_them_cannot_be(study, capsys):
    every = folder.read(study)[0]
    for files, why in (
        (["a.tex", "b.doc"], "b.doc is no page: end it in .html, or for a paper in .tex"),
        (["a.tex", "nowhere/b.csv"], "nowhere/b.csv cannot be written"),
        (["a.tex", "b.pdf"], "b.pdf: a figure over all pairs takes two pairs"),
    ):
        if files[1] == "b.pdf":
            folder.put(study / "study.json", folder.content(study, [job for job in every if job.pair == NAMES[0]]))
        with pytest.raises(SystemExit) as stopped:
            cli.main(["study", "report", "out", "--out", *files])
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and why in said and said.count("\n") == 1
        assert not Path("a.tex").exists() and not (study / "report.html").exists()


def test_a_study_is_no_run_and_the_error_names_the_command(study, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["report", "out", "--out", "a.tex"])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "'transreward study report out'" in said and said.count("\n") == 1
    assert not Path("a.tex").exists()


def test_an_id_is_broken_behind_its_parts_and_tables_show_that_they_scroll(study):
    found = across.breakable("arm_2:mass(<a>)=2,gear=0.8")
    assert found == "arm_<wbr>2:<wbr>mass(&lt;a&gt;)=2,<wbr>gear=0.8"
    cli.main(["study", "report", "out"])
    text = (study / "report.html").read_text()
    assert (
        "inverted_<wbr>pendulum → inverted_<wbr>pendulum:<wbr>" in text
        and "no-repeat scroll" in text.partition("</style>")[0]
    )


def test_a_table_too_wide_for_a_terminal_is_shown_in_parts_and_nothing_of_it_is_cut():
    rows = [{"method": name} | {f"over\n{other}": "0.25 (0.00 to 0.58)" for other in LEVELS} for name in LEVELS]
    parts = in_parts(rows, 60)
    assert len(parts) == 2 and [next(iter(part[0])) for part in parts] == ["method", "method"]
    console = Console(file=io.StringIO(), width=60)
    for part in parts:
        console.print(columns(part))
    text = console.file.getvalue()
    assert text.count("0.25 (0.00 to 0.58)") == len(LEVELS) ** 2 and all(text.count(name) >= 3 for name in LEVELS)
    assert in_parts(rows, 160) == [rows]


def test_scores_have_one_minus_sign_and_no_negative_zero():
    minus = "\N{MINUS SIGN}"
    assert [fixed(x) for x in (-0.001, -0.06, 0.0, -1234.5)] == ["0.00", f"{minus}0.06", "0.00", f"{minus}1,234.50"]
    assert across._shown(-0.004, [-0.06, 0.06]) == f"0.00 ({minus}0.06 to 0.06)"


def test_of_several_runs_the_steps_are_told_with_why_they_ended_there():
    """The seeds that were added later took the whole budget, and the first ones did not."""
    common = {"name": "darc", "budget": 20_000, "per_seed": np.ones(2)}
    runs = [Outcome(**common, seeds=(0, 1), target_steps=4_000, stopped="aligned"),
            Outcome(**common, seeds=(2, 3), target_steps=20_000)]  # fmt: skip
    for order in (runs, runs[::-1]):
        records = tuple(SimpleNamespace(outcome=one) for one in order)
        found = Line("darc", (), records, "").outcome  # type: ignore[arg-type]
        assert found is not None and (found.target_steps, found.stopped) == (20_000, "budget")
        assert found.seeds == (*order[0].seeds, *order[1].seeds) and len(found.per_seed) == 4


def test_the_csv_of_every_seed_has_plain_numbers_and_the_seeds_own(tmp_path, monkeypatch):
    """NumPy writes `np.float64(30.0)`, and the first seed of a plan may be another than 0."""
    monkeypatch.chdir(tmp_path)
    pairs = [["inverted_pendulum", target] for target in TARGETS[:2]]
    asked = {"pairs": pairs, "methods": ["zero_shot", "fine_tune"], "seed": 7, "seeds": 2}
    found = jobs_of(parsed({**PLAN, **asked}), Path("out"))
    Path("out").mkdir()
    folder.put(Path("out/study.json"), folder.content(Path("out"), found))
    for job in (job for job in found if job.method):
        finished(job, [LEVELS[job.method], LEVELS[job.method] + 1], ("inverted_pendulum", job.request["target"]))
    summary = report.opened(Path("out")).summary
    assert summary is not None
    numbers = list(csv.DictReader(unquote(across.content(summary)["csv"]).partition(",")[2].splitlines()))
    assert [(row["seed"], float(row["return"]), float(row["score"])) for row in numbers[:4]] == [
        ("7", 10.0, -0.05), ("8", 11.0, 0.05), ("7", 20.0, 0.95), ("8", 21.0, 1.05)
    ]  # fmt: skip
    assert len(numbers) == 8


def test_a_table_shows_brackets_as_they_are():
    """An id's, and those of an error's last line: to rich they are markup, and [/...] the end of some."""
    rows = {"a": [{"method": "darc", "state": "failed: there is no run in [/tmp/x]"}]}
    text = report.as_text(rows, {"a": "halfcheetah -> halfcheetah:mass([bf]thigh)=2"})
    assert "-> halfcheetah:mass([bf]thigh)=2" in text and "no run in [/tmp/x]" in text


def test_what_source_steps_and_wall_time_hold_is_said(study):
    """A run's source steps are with its agent's, which is a job of its own here and took most of them."""
    found = report.opened(study)
    assert found.summary is not None
    assert found.summary.rows[0]["source steps"] == "5,760"  # 640 in each of 3 seeds of 3 pairs
    text = " ".join(report.page_text(found).split())
    assert "Source steps are with those of the source agent, in each run that starts from it; wall time is" in text
    assert "without the training of source agents that are jobs of their own: 2 of them." in text


def test_seeds_without_a_return_stand_beside_none():
    """A run of later seeds in which no training episode ended: paired with a method that has all, its returns would
    be taken for those of other seeds."""
    common = {"name": "darc", "budget": 128, "target_steps": 128, "agent": "a"}
    whole = Outcome(**common, per_seed=np.arange(5.0), seeds=(0, 1, 2, 3, 4))
    runs = [Outcome(**common, per_seed=np.array([]), seeds=(0, 1)),
            Outcome(**common, per_seed=np.ones(3), seeds=(2, 3, 4))]  # fmt: skip
    records = tuple(SimpleNamespace(outcome=one) for one in runs)
    found = Line("darc", (), records, "").outcome  # type: ignore[arg-type]
    assert found is not None and found.seeds == (2, 3, 4)
    difference = found.over(whole)
    assert difference["mean"] == -1 and not difference["paired"]
    nothing = Line("darc", (), records[:1], "").outcome  # type: ignore[arg-type]
    assert nothing is not None and nothing.seeds == (0, 1)


def test_one_pair_alone_has_no_page_over_all(study, capsys):
    every = folder.read(study)[0]
    folder.put(study / "study.json", folder.content(study, [job for job in every if job.pair == NAMES[0]]))
    cli.main(["study", "report", "out"])
    assert "over all pairs" not in capsys.readouterr().out
