"""What is shown while a run goes on, on a terminal: every phase that the loop has, in words."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from test_transfer import SOURCE, TARGET

from transreward import live
from transreward.live import PHASES, View
from transreward.preflight import show
from transreward.preflight.rank import Ranking
from transreward.reports.terminal import closing_table
from transreward.runs.result import Result
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
    assert ("darail" in text) == (phase in ("teacher", "transfer", "cotrain"))


@pytest.mark.parametrize(("target", "controls", "said"), [("data:a.csv", [], True), ("data:a.csv", ["bc"], False),
                                                          (TARGET.name, [], False)])  # fmt: skip
def test_a_log_without_controls_says_so(target, controls, said):
    view = View({"source": SOURCE.name, "target": target, "controls": controls})
    view.console = Console(file=io.StringIO(), width=100)
    view(Progress("auto", "evidence", Pair(100, 10), Pair(200, 20), 0.5, []))
    assert ("no controls are run" in view.console.file.getvalue()) == said


def test_until_the_first_round_ends_it_says_that_it_compiles():
    view = View({"source": SOURCE.name, "target": TARGET.name})
    view.console = Console(file=io.StringIO(), force_terminal=True, width=100)
    for done in (0.0, 0.01, 0.5):
        view.console.print(view._render(Progress("darc", "transfer", Pair(0, 0), Pair(200, 20), done, [])))
    first, second, third = view.console.file.getvalue().split("transfer: darc")[1:]  # type: ignore[attr-defined]
    assert "compiling ..." in first and "compiling" not in second + third and "s left" in third


LONG = "halfcheetah+backward:broken=bthigh,friction(floor)=0.35,mass(torso)=1.5"


def shown(phase: str, method: str, monkeypatch) -> list[str]:
    """What a terminal of 80 columns has after an evaluation with large numbers: the lines above and the panel."""
    monkeypatch.setenv("TERM", "xterm")
    view = View({"source": "halfcheetah+backward", "target": LONG})
    view.console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    row = {**ROW, "source_return": 15_234.0, "target_return": -11_234.0, "gap_mean": -10.53, "gap_std": 12.25}
    steps, budget = Pair(600_000, 10_000), Pair(1_000_000, 20_000)
    progress = Progress(method, phase, steps, budget, 0.5, [{**row, "seed": seed} for seed in (0, 12, 13)])
    view(progress)
    view.console.print(view._render(progress))
    return view.console.file.getvalue().splitlines()


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_is_cut_or_broken_at_80_columns(phase, monkeypatch):
    """Lines end between words, what goes on stands below its sentence, and every number of the panel is whole."""
    lines = shown(phase, "bellman(ensemble)" if phase == "transfer" else "darail", monkeypatch)
    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    assert LONG in text and "600,000 of 1,000,000 a seed" in text and "10,000 of 20,000 a seed" in text
    sentence = " ".join(text.partition(" s  ")[2].split())
    assert (
        "return 15,234 ± 0 in the source, -11,234 ± 0 in the target (±: 95% interval of the mean over seeds), "
        "compensation -10.53 (std 12.25) a step" in sentence
    )
    begins = next(i for i, line in enumerate(lines) if line.startswith("    0 s  "))
    assert lines[begins + 1].startswith(" " * 9) and lines[begins + 1][9] != " "
    assert len([line for line in lines if "15,234" in line and "-10.53 ± 12.25" in line]) == 3  # a row per seed


def test_an_interval_is_explained_once_and_left_out_for_two_seeds():
    """With one degree of freedom it is mostly wider than any return."""
    lines = []
    for seeds in (2, 3):
        view = View({"source": "halfcheetah", "target": "ant"})
        rows = [{**ROW, "seed": seed, "source_return": 10.0 + seed} for seed in range(seeds)]
        progress = Progress("darc", "transfer", Pair(100, 10), Pair(200, 20), 0.5, rows)
        lines += [view._line(progress).plain, view._line(progress).plain]
    assert ["±" in line for line in lines] == [False, False, True, True]
    assert [line.count("95% interval") for line in lines] == [0, 0, 1, 0]


def test_a_method_begins_without_the_returns_of_the_one_before():
    view = View({"source": "halfcheetah+backward", "target": LONG})
    for method, phase, rows in (("plain", "source", [ROW]), ("darc", "transfer", []), ("mix", "transfer", [ROW])):
        view(Progress(method, phase, Pair(100, 10), Pair(200, 20), 0.5, rows))
        assert view.rows == rows


def test_a_line_elsewhere_is_one_line(monkeypatch, capsys):
    """A file has no width."""
    view = View({"source": "halfcheetah+backward", "target": LONG})
    view(Progress("darc", "transfer", Pair(100, 10), Pair(200, 20), 0.5, [ROW]))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_closing_table_keeps_its_numbers_whole_at_80_columns():
    versions = {"source": "a", "target": "b", "versions": {}, "learner": {"name": "sac"}, "seeds": 5, "seed": 0}

    def result(name: str) -> Result:
        returns = np.random.default_rng(0).normal(12_345.0, 3_000.0, (5, 10))
        return Result({**versions, "method": name}, None, None, Pair(returns, returns), None, Pair(1_000_000, 100_000),
                      "budget", 1.0, updates=123_456)  # fmt: skip

    whole = result("bellman(ensemble)")
    whole.controls = {name: result(name) for name in ("paired_branched", "zero_shot")}
    console = Console(file=io.StringIO(), width=80)
    console.print(closing_table("a -> b", whole, 80))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(len(line) for line in lines) <= 80
    for name in ("bellman(ensemble)", "zero_shot", "paired_branched"):
        [line] = [line for line in lines if name in line]
        assert " to " in line and "100,000" in line and "123,456" in line and ("budget" in line or name == "zero_shot")
    assert "updates" in "\n".join(lines)
    order = [line.split()[0] for line in lines if "100,000" in line]
    assert order == ["bellman(ensemble)", "zero_shot", "paired_branched"], "the method first, as on the page"


def test_a_closing_table_names_the_simulator_that_judges_as_its_id_is_written():
    config = {"method": "iql", "source": "a", "target": "data:Log.csv", "evaluate": "gym:Pendulum-v1", "versions": {}}
    one = Result({**config, "learner": {"name": "sac"}, "seeds": 3, "seed": 0}, None, None,
                 Pair(*np.full((2, 3, 2), 1.0)), None, Pair(100, 10), "budget", 1.0, updates=1)  # fmt: skip
    console = Console(file=io.StringIO(), width=160)
    console.print(closing_table("a -> b", one, 160))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Raw return, 3 seeds x 2 episodes; in the target those in 'gym:Pendulum-v1'" in text


@pytest.mark.parametrize("width", range(50, 160, 10))
def test_a_narrow_closing_table_leaves_out_what_is_least_missed_and_no_more(width):
    config = {"method": "darc", "source": "a", "target": "b", "versions": {}, "learner": {"name": "sac"}, "seeds": 3}
    returns = Pair(*np.full((2, 3, 2), 12_345.0))
    one = Result(
        {**config, "seed": 0}, None, None, returns, None, Pair(300_000, 10_000), "budget", 1.0, updates=123_456
    )

    def table(width: int) -> tuple[str, int]:
        console = Console(file=io.StringIO(), width=500)
        console.print(closing_table("a -> b", one, width))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        return text, max(len(line.rstrip()) for line in text.splitlines()[2:])

    words = ("evaluation", "12,345 12,345", "300,000", "stopped")  # of columns that give way, in order
    text, wide = table(width)
    assert "12,345 to 12,345" in text and "123,456" in text and "10,000" in text
    left = [word in text for word in words]
    assert left == sorted(left) and (wide <= width or not any(left))
    before = next((w for w in range(width, 200) if table(w)[0] != text), None)
    assert before is None or table(before)[1] > width  # the next column had no room


@pytest.mark.parametrize(("typed", "told"), [("halfcheetah", True), ("halfcheetah@mirrored", False)])
def test_it_says_how_the_source_is_seen_where_that_was_not_asked_for(typed, told):
    view = View({"source": typed, "target": "halfcheetah+backward"})
    view.console = Console(file=io.StringIO(), width=160)
    view(Progress("darc", "source", Pair(0, 0), Pair(200, 20), 0.0, [], "halfcheetah@mirrored"))
    assert ("bridge=none" in view.console.file.getvalue()) == told


def test_a_run_of_several_sources_is_headed_by_all_of_them_when_it_is_resumed_too():
    typed = View({"source": "hopper,hopper:mass=2", "target": "hopper:mass=3"})
    kept = View({"source": "hopper", "sources": ["hopper", "hopper:mass=2"], "target": "hopper:mass=3"})
    assert typed.title == kept.title == "hopper,hopper:mass=2 -> hopper:mass=3"


def test_each_of_several_source_agents_is_named_as_it_learns():
    line = "source agent of hopper:mass=2 100 steps"
    for source, said in (("hopper,hopper:mass=2", True), ("hopper:mass=2", False)):
        view = View({"source": source, "target": "hopper:mass=3"})
        progress = Progress("auto", "source", Pair(100, 0), Pair(200, 0), 0.5, [ROW], source="hopper:mass=2")
        assert (line in view._line(progress).plain) == said


def test_a_fit_says_where_there_is_no_terminal_how_long_it_has_taken(monkeypatch, capsys):
    monkeypatch.setattr(live, "PATIENT", 0.01)
    monkeypatch.setattr(live, "EVERY", 0.01)
    problem: Any = SimpleNamespace(
        parameters=range(7), steps=SimpleNamespace(n=1500), simulator=SimpleNamespace(steps=9)
    )
    with live.fitting(problem):
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1
    assert all(line == "fitting 7 parameters to 1,500 steps: 0 s, 9 steps simulated ..." for line in lines)


def test_brackets_of_an_id_or_a_path_are_printed_as_they_are(capsys):
    """To rich they would be markup, and gone, or an error where they look like its end."""
    View({"source": SOURCE.name, "target": TARGET.name}).console.print("play mass([bf]thigh)=2 [/tmp/x] :smile:")
    assert capsys.readouterr().out == "play mass([bf]thigh)=2 [/tmp/x] :smile:\n"


def test_a_check_prints_brackets_as_they_are(capsys, monkeypatch):
    monkeypatch.setattr(show, "_ranking", lambda check, console: console.print("mass([bf]thigh)=2 [/tmp/x]"))
    show.show(Ranking.__new__(Ranking))
    assert capsys.readouterr().out == "mass([bf]thigh)=2 [/tmp/x]\n"
