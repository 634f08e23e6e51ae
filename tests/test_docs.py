"""The documents keep their word: examples run, links lead somewhere, options, settings and keys are the code's."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import transreward
from transreward import cli, presets
from transreward.bridges import BRIDGES
from transreward.domains.files.place import split
from transreward.domains.ids import domain
from transreward.domains.robots import ROBOTS
from transreward.domains.several import apart
from transreward.domains.shifts import SHIFTS
from transreward.feed import Feed
from transreward.gaps import GAPS
from transreward.gates.chain import Gate
from transreward.methods import METHODS
from transreward.randomise import Informed
from transreward.request.loop import Loop
from transreward.streams import STREAMS
from transreward.types import DATA
from transreward.uses import USES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OF_SITE = ("contents.md", "reference.md")  # the site's own: its way in, and what it writes of docstrings
WRITTEN = sorted(page for page in DOCS.rglob("*.md") if page.name not in OF_SITE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WRITTEN]
OWN = {type(row.gap): None for row in METHODS.values() if row.gap is not None}  # some gaps are a row's alone
SECTIONS = {
    "loop": (Loop,),
    "gap": (*GAPS.values(), *OWN),
    "use": tuple(USES.values()),
    "gate": (Gate,),
    "feed": (Feed,),
    "randomise": (Informed,),
}
SECTIONS |= {"learner": tuple(presets.LEARNERS.values())}
TABLES = (ROBOTS, SHIFTS, BRIDGES, METHODS, GAPS, presets.LEARNERS, STREAMS)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """(line, text) of a page's fenced blocks in exactly this language; `python no-run` is for reading."""
    text = page.read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: block.start(1)].count("\n"), block.group(1)) for block in found]


def run_page(page: Path) -> None:
    """All ```python blocks of a page, in order, as one program whose line numbers are the page's."""
    lines: list[str] = []
    for first, block in blocks(page, "python"):
        lines += [""] * (first - len(lines)) + block.splitlines()
    exec(compile("\n".join(lines), str(page), "exec", dont_inherit=True), {"__name__": "example"})


@pytest.fixture(scope="module")
def example_run(tmp_path_factory):
    """The run directory that the examples of extend.md leave; what they add to the tables is gone afterwards."""
    saved = [(table, dict(table)) for table in TABLES]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("extend"))
        patch.setattr(sys, "path", list(sys.path))
        try:
            run_page(DOCS / "extend.md")
            yield Path.cwd() / "runs" / "slider"
        finally:
            sys.modules.pop("lab", None)
            for table, before in saved:
                table.clear()
                table.update(before)


def test_what_a_robot_in_a_file_gets_unasked():
    text = (DOCS / "robots.md").read_text()
    arms, others = presets.ARMS_IN_FILES, presets.IN_FILES
    (arm, steps), (other, fewer) = ((one.chosen.upper(), one.of().source_steps) for one in (arms, others))
    assert f"{arm} and {steps:,} with a fixed base, {other} and {fewer:,} for the others" in text
    for one in (arms, others):
        assert f"With `--learner` the other one: SAC {one.sac.source_steps:,}, PPO {one.ppo.source_steps:,}." in text


@pytest.mark.slow
def test_your_own_robot_from_two_files(tmp_path, monkeypatch, capsys):
    """The commands of robots.md, with few source steps; heavy.xml is arm.xml with a tool."""
    page = DOCS / "robots.md"
    ((_, arm),), ((_, commands), *_) = blocks(page, "xml"), blocks(page, "sh")
    (tmp_path / "arm.xml").write_text(arm)
    (tmp_path / "heavy.xml").write_text(
        arm.replace("<site", '<geom size="0.03" pos="0 0 0.3" mass="0.5" contype="0" conaffinity="0"/><site')
    )
    monkeypatch.chdir(tmp_path)
    few = ["--source-steps", "16000", "--seeds", "1", "--no-video"]
    few += ["--set", "loop.eval_episodes=2", "loop.final_episodes=2"]
    for command in commands.splitlines():
        words = shlex.split(command)[1:]
        cli.main([*words, *(few if words[0] == "transfer" else [])])  # which would exit
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("payload of gripper 0.5 kg") >= 2


@pytest.mark.slow
def test_extend_runs(example_run):
    assert (example_run / "result.json").exists()


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "extend.md" and page.parent.name != "tutorials" and blocks(page, "python")],
    ids=str,
)
def test_other_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


@every_page
def test_python_for_reading(page):
    """It is Python, and the public names it uses exist."""
    for _, block in blocks(page, "python no-run"):
        compile(block, str(page), "exec", dont_inherit=True)
        assert set(re.findall(r"\btr\.(\w+)", block)) <= set(transreward.__all__)


def test_the_first_page_of_the_site_shows_the_python_of_the_readme():
    """And what it prints."""
    readme, first = ((place / name).read_text() for place, name in ((ROOT, "README.md"), (DOCS, "index.md")))
    python = readme[readme.index("```python no-run") : readme.index("## What happens")].strip()
    assert python in first and python.endswith("delivered: auto 3 of 3\n```")


@every_page
def test_links(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?://|#", link):
            assert (page.parent / link.partition("#")[0]).exists(), f"{page.name} links to {link}"


def anchors(page: Path) -> set[str]:
    """Those of a page's headings, as forges and the site make them; of two that are alike the second ends in -1."""
    text, found = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL), set()
    for heading in re.findall(r"^#{1,6} (.*)$", text, re.MULTILINE):
        said = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", said.strip().lower()).replace(" ", "-")
        found.add(name if name not in found else f"{name}-1")
    return found


@every_page
def test_anchors(page):
    """A link to a part of a page leads to one of its headings, from the README too."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]*#[^)\s]+)\)", text):
        if not re.match(r"https?://", link):
            place, _, anchor = link.partition("#")
            to = (page.parent / place).resolve() if place else page
            assert to.suffix != ".md" or anchor in anchors(to), f"{page.name} links to {link}"


def commands() -> dict:
    """The parser of each command."""
    actions = cli.parser()._actions
    return next(action.choices for action in actions if action.dest == "COMMAND" or action.choices)


@every_page
def test_options_exist(page):
    known = {option for command in commands().values() for option in command._option_string_actions} | {"--version"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", page.read_text())) <= known


@every_page
def test_commands_parse(page):
    """Every line `transreward ...` of a ```sh block; the domains it names exist."""
    for _, block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["transreward"]:
                args = cli.parser().parse_args(words[1:])
                for id in (one for side in ("source", "target") for one in apart(getattr(args, side, None) or "")):
                    of_file = split(id) or id.endswith(".yaml") or "/" in id or id.startswith(DATA)
                    assert not id or of_file or domain(id)  # of a file the page's own test has it


@every_page
def test_settings_exist(page):
    for section, name in re.findall(r"`(loop|gap|use|gate|learner|randomise)\.(\w+)[=`]", page.read_text()):
        known = {field.name for part in SECTIONS[section] for field in fields(part)}
        assert name in known, f"{page.name}: there is no setting {section}.{name}"


@every_page
def test_defaults(page):
    """A table's row `| `section.field` | `default` | ...` says the default of the code."""
    for section, name, default in re.findall(
        r"^\| `(loop|gap|use|gate|randomise)\.(\w+)` \| `([^`]*)`", page.read_text(), re.M
    ):
        found = getattr(SECTIONS[section][0](), name)
        assert default == str(found), f"{page.name}: {section}.{name} is {found}"


@pytest.mark.parametrize(
    ("names", "page"), [(list(ROBOTS), "domains.md"), (list(SHIFTS), "domains.md"), (list(METHODS), "methods.md")]
)
def test_tables_are_documented(names, page):
    text = (DOCS / page).read_text()
    assert [name for name in names if f"`{name}`" not in text] == []


def test_all_pages_are_reachable():
    links = {link for page in PAGES for link in re.findall(r"\]\(([^)\s#]+\.md)", page.read_text())}
    assert {page.name for page in WRITTEN} <= {Path(link).name for link in links}


@pytest.mark.slow
@pytest.mark.parametrize("file", ["config.json", "result.json", "metrics.jsonl"])
def test_run_directory_keys(example_run, file):
    """The page names every key that the code writes."""
    text = (DOCS / "run-directory.md").read_text()
    section = text.partition(f"## {file}")[2].partition("\n## ")[0]
    line = (example_run / file).read_text()
    rows = [json.loads(row) for row in line.splitlines()] if file.endswith("l") else [json.loads(line)]
    missing = {key for row in rows for key in row if f"`{key}`" not in section}
    assert not missing


@pytest.mark.slow
def test_run_directory_files(example_run):
    text = (DOCS / "run-directory.md").read_text()
    assert [path.name for path in example_run.iterdir() if f"`{path.name}" not in text] == []


def test_an_interval_in_a_table_of_the_site_is_not_broken():
    source = ["an array [1, 2]\n| 2,485 [-1,064, 6,034] | [a, b] |"]
    runpy.run_path(str(DOCS / "conf.py"))["keep_intervals"](None, "results", source)
    assert source == ["an array [1, 2]\n| 2,485 [-1,064,\N{NO-BREAK SPACE}6,034] | [a, b] |"]
