"""What goes into a paper."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import transreward as tr
from transreward import cli
from transreward.reports import paper
from transreward.reports.sections.verdict import WORDS
from transreward.reports.subject import Subject
from transreward.runs import store
from transreward.types import ZERO_SHOT

RUN = Path(__file__).parents[1] / "data" / "runs" / str(store.SCHEMA) / "transfer-sac"
UNESCAPED = re.compile(r"(?<!\\)[&%$#_^~]")


@pytest.fixture(scope="module")
def subject():
    return Subject.of(tr.load(RUN).records(), False)


def test_a_table_by_booktabs_has_the_numbers_of_the_run(subject, tmp_path, capsys):
    cli.main(["report", str(RUN), "--out", str(tmp_path / "table.tex")])
    text = (tmp_path / "table.tex").read_text()
    assert text.count("{") == text.count("}") and text.count(r"\begin") == text.count(r"\end")
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().splitlines()
    assert [line.split(" & ")[0].strip().replace(r"\_", "_") for line in body] == [r.name for r in subject.records]
    for line, one in zip(body, subject.records, strict=True):
        cells = line.removesuffix(r" \\").split(" & ")
        assert len(cells) == 5 and float(cells[1].replace(",", "")) == pytest.approx(one.outcome.mean, rel=0.01)
        assert cells[3] == f"{one.result['target_steps']:,}"
    (verdict,) = subject.verdicts()
    caption = re.search(r"\\caption\{(.*)\}\n  \\label\{tab:([a-z0-9-]+)\}", text)
    assert caption and caption[1].count(". ") == 0 and len(caption[1]) < 250 and "inverted-pendulum" in caption[2]
    word = WORDS[verdict.kind]
    told = f"% {word} {verdict.sentence}\n".replace("\N{MINUS SIGN}", "-")
    assert told in text and text.isascii(), "the verdict with its first word, for whoever writes about it"
    assert capsys.readouterr().out == f"table: {tmp_path / 'table.tex'}\n", "it is no report"


def test_what_latex_would_read_otherwise_is_escaped():
    assert paper.escaped("a_b & 5% {x} ^~\\") == (
        r"a\_b \& 5\% \{x\} \textasciicircum{}\textasciitilde{}\textbackslash{}"
    )
    assert not UNESCAPED.search(paper.escaped("halfcheetah+run(speed=2):gravity=0.5 ~ #1 $ & ^ %"))


def test_the_same_table_in_markdown(subject, tmp_path):
    cli.main(["report", str(RUN), "--out", str(tmp_path / "a.md")])
    lines = (tmp_path / "a.md").read_text().splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:][: len(subject.records)]] == [
        one.name for one in subject.records
    ]


def test_a_comment_has_the_signs_of_plain_text():
    table = paper.Table("a b", "c", ("d", "e"), [[("f", None)], [("g", "1")]], ["\N{MINUS SIGN}1 ± 2 → 3"])
    text = paper.tex(table)
    assert "\n% -1 +- 2 -> 3\n" in text and "f & -- \\\\\n    \\midrule\n    g & 1 \\\\" in text


def test_csv_has_a_line_a_method(subject, tmp_path):
    cli.main(["report", str(RUN), "--out", str(tmp_path / "a.csv")])
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == [one.name for one in subject.records]
    assert float(rows[0]["target_return"]) == pytest.approx(subject.records[0].outcome.mean)
    assert [row["method"] for row in rows if not row["stopped"]] == [ZERO_SHOT], "nothing stopped it"


@pytest.mark.parametrize(("columns", "width"), [(1, 3.35), (2, 6.9)])
def test_figures_are_as_wide_as_columns_and_bring_their_fonts(tmp_path, columns, width):
    out = [tmp_path / "a.pdf", tmp_path / "a.svg", tmp_path / "b.svg"]
    cli.main(["report", str(RUN), "--columns", str(columns), "--out", *map(str, out)])
    pdf, svg = out[0].read_bytes(), out[1].read_text()
    assert pdf.startswith(b"%PDF") and b"/FontFile2" in pdf and b"/Type3" not in pdf
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)
    assert float(box[1]) == pytest.approx(72 * width)
    assert "<text" not in svg and f'width="{72 * width:g}pt"' in svg
    assert svg == out[2].read_text(), "the same run draws the same file"


def test_a_long_legend_makes_a_figure_higher(tmp_path, monkeypatch):
    heights = []
    monkeypatch.setattr(paper, "save_figure", lambda path, columns, ratio, fill: heights.append(ratio))
    for many in (2, 8):
        records = [SimpleNamespace(name=f"a method of run {i}") for i in range(many)]
        for columns in paper.WIDTHS:
            paper.write_figure(SimpleNamespace(records=records), tmp_path / "a.svg", columns)
    assert heights[:2] == [0.75, 0.45] and heights[2] > 1.0 and heights[3] >= 0.45


def test_other_endings_are_refused(tmp_path, capsys):
    for words, said in (
        (
            ["--out", str(tmp_path / "a.tex"), str(tmp_path / "a.doc")],
            "end it in .html, or for a paper in .tex, .csv, .md, .svg, .pdf, .png",
        ),
        (["--columns", "3"], "--columns says how many columns of a page a figure spans: 1 or 2, not 3"),
    ):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["report", str(RUN), *words])
        assert stopped.value.code == 2 and said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
