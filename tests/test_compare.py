"""Several methods beside each other: every control is there, the file is whole, and the table claims no more than is
known."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from test_transfer import GAP, LEARNERS, SEEDS, SETTINGS, SOURCE, SOURCE_STEPS, TARGET, TARGET_STEPS, same

import transreward as tr
from transreward.compare import chosen, leader
from transreward.methods import METHODS
from transreward.reports.terminal import comparison_table
from transreward.request.resolve import resolve
from transreward.runs import store
from transreward.runs.comparison import Comparison
from transreward.runs.result import Result
from transreward.types import CONTROLS

pytestmark = pytest.mark.usefixtures("hurry")


def put_side_by_side(*methods, **request):
    """A small comparison."""
    return tr.compare(
        SOURCE, TARGET, methods, learner=LEARNERS["ppo"], source_steps=SOURCE_STEPS, target_steps=TARGET_STEPS,
        seeds=2, seed=SEEDS[0], settings={**SETTINGS, **GAP}, **request,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A comparison in which one control is named and two are not, and its directory."""
    directory = tmp_path_factory.mktemp("compare") / "run"
    return put_side_by_side("fine_tune", "darc", out=directory), directory


# -- what is run and what is left ----------------------------------------------------------------------------------


def test_controls_that_are_not_named_are_added(run):
    comparison, _ = run
    assert list(comparison.rows) == ["fine_tune", "darc", "zero_shot", "target_only"]
    assert {row["breaks_budget"] for row in comparison.rows.values()} == {False}


def test_every_method_leaves_its_whole_run(run):
    """At the place that the table names, with the numbers that the table holds."""
    comparison, directory = run
    for name, row in comparison.rows.items():
        mine, found = comparison.results[name], tr.load(directory / row["directory"])
        assert found.method == name
        assert same((mine.agents, mine.returns), (found.agents, found.returns))
        assert found.target_return.mean(axis=1).tolist() == row["target_return"]["per_seed"]
        assert (row["source_steps"], row["target_steps"], row["stopped"]) == (*found.steps, found.stopped)
        assert row["target_steps"] <= TARGET_STEPS and row["source_steps"] <= SOURCE_STEPS
    assert comparison.rows["darc"]["directory"] == "."
    assert sorted(path.name for path in (directory / "controls").iterdir()) == sorted(CONTROLS)


def test_comparison_json_is_whole(run):
    comparison, directory = run
    found = store.read_json(directory / "comparison.json")
    assert found == comparison.as_json()
    assert list(found["methods"]) == list(comparison.rows)
    assert (found["schema"], found["source"], found["target"]) == (store.SCHEMA, SOURCE.name, TARGET.name)
    assert (found["seeds"], found["learner"], "jax" in found["versions"]) == (SEEDS, "ppo", True)
    assert found["budget"] == {"source_steps": SOURCE_STEPS, "target_steps": TARGET_STEPS}
    for name, row in found["methods"].items():
        returns = row["target_return"]
        assert set(returns) == {"mean", "ci95", "per_seed", "episodes", "iqm", "iqm_ci95"}
        assert returns["iqm"] == pytest.approx(np.mean(returns["per_seed"]))
        assert set(row["improvement"]) == set(CONTROLS) - {name}
        for control, improvement in row["improvement"].items():
            others = found["methods"][control]["target_return"]["per_seed"]
            won = [(mine > other) + (mine == other) / 2 for mine in returns["per_seed"] for other in others]
            assert improvement["probability"] == pytest.approx(np.mean(won))
            low, high = improvement["ci95"]
            assert 0 <= low <= improvement["probability"] <= high <= 1


def test_every_key_is_documented(run):
    text = (Path(__file__).parents[1] / "docs" / "run-directory.md").read_text()
    section = text.partition("## comparison.json")[2].partition("\n## ")[0]
    whole = run[0].as_json()
    row = whole["methods"]["darc"]
    keys = {*whole, *whole["budget"], *row, *row["target_return"], *row["improvement"]["fine_tune"]}
    assert [key for key in sorted(keys) if f"`{key}`" not in section] == []


def test_the_table_can_be_made_of_the_saved_runs(run):
    comparison, directory = run
    result = tr.load(directory)
    assert Comparison({result.method: result, **result.controls}).as_json() == comparison.as_json()


def test_the_same_seed_gives_the_same_numbers(run):
    """Whatever the order in which the methods are named."""
    first, again = run[0].rows, put_side_by_side("darc").rows
    assert list(again) == ["darc", "zero_shot", "fine_tune", "target_only"]
    for name, row in first.items():
        assert {**row, "wall_seconds": 0} == {**again[name], "wall_seconds": 0}


# -- wrong requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "settings", "why"),
    [
        ([], {}, "name the methods to compare"),
        ("darc", {}, "name the methods to compare"),
        (["darcs"], {}, "unknown method 'darcs': did you mean darc"),
        (["darc", "fine_tune", "darc"], {}, "method 'darc' is named twice"),
        (["fine_tune"], {"gap.noise": 0.5}, "has no gap, so 'gap.noise' would change nothing"),
        (["darc"], {"gap.nois": 0.5}, "did you mean gap.noise"),
        (["darc"], {"darc.gap.nois": 0.5}, "did you mean gap.noise"),
        (["darc", "sac_iw"], {"sac_iw.use.strength": 0.5}, "there are: use.high, use.low"),
        (["darc", "sac_iw"], {"sac_iw.use.high": 0.01}, "use.low must be above 0 and below use.high"),
        (["darc"], {"sac_iw.use.high": 5.0}, "unknown setting 'sac_iw.use.high'"),
        (["darc", "mix"], {"mix.learner.robots": 5}, "share learner and loop: write learner.robots"),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_and_leaves_nothing(tmp_path, methods, settings, why):
    with pytest.raises(tr.RequestError, match=why):
        tr.compare(SOURCE, TARGET, methods, settings=settings, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_with_a_run_is_kept(run):
    _, directory = run
    before = (directory / "comparison.json").read_bytes()
    with pytest.raises(tr.RequestError, match="already holds a run"):
        put_side_by_side("darc", out=directory)
    assert (directory / "comparison.json").read_bytes() == before


@pytest.mark.parametrize(
    ("methods", "settings", "expected"),
    [
        ("fine_tune darc", "gap.noise loop.threads", "darc"),
        ("darc filter(classifier)", "use.keep use.floor", "filter(classifier)"),
        ("darc filter(classifier)", "loop.threads", "darc"),
        ("fine_tune mix", "learner.robots", "mix"),  # which is run first
        ("target_only", "learner.robots", "target_only"),
        ("darc filter(classifier)", "darc.use.strength filter(classifier).use.keep darc.gap.noise", "darc"),
    ],
)
def test_settings_go_to_the_one_method_that_has_them(methods, settings, expected):
    assert leader(chosen(methods.split()), settings.split()).name == expected


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("gap.noise", r"gap\.noise could be meant for darc, filter\(classifier\):.* as in darc\.gap\.noise"),
        ("use.keep loop.threads use.strength", r"use\.keep, use\.strength could be .* as in filter\(classifier\)\.use"),
        ("feed.target_share", r"could be meant for darc, filter\(classifier\), fine_tune, target_only:"),
    ],
)
def test_settings_that_several_methods_have_are_refused(settings, why):
    with pytest.raises(tr.RequestError, match=why):
        leader(chosen(["darc", "filter(classifier)"]), settings.split())


def test_a_setting_may_name_its_method():
    request: dict = {"learner": "ppo", "source_steps": None, "target_steps": None, "seeds": 1, "seed": 0}
    settings = {"use.strength": 3.0, "sac_iw.use.high": 5.0, "darc.gap.noise": 0.2, "filter(classifier).use.keep": 0.3}
    config = resolve(
        SOURCE, TARGET, "darc", settings=settings, controls=("sac_iw", "filter(classifier)"), source_run=None, **request
    )
    weight, kept = config.controls
    assert (config.method.use.strength, config.method.gap.noise) == (3.0, 0.2)
    assert (weight.use.high, weight.gap.noise, kept.use.keep) == (5.0, METHODS["sac_iw"].gap.noise, 0.3)


# -- the closing table ---------------------------------------------------------------------------------------------


def printed(width: int, seeds: int, returns: dict[str, float]) -> str:
    """A comparison with made-up returns, as a console of that width shows it."""

    def result(name: str, mean: float) -> Result:
        made = mean * (1 + np.random.default_rng(len(name)).normal(0, 0.1, (seeds, 4)))
        config = {"method": name, "source": "ant", "target": "ant:gravity=2", "learner": {"name": "ppo"}}
        config |= {"versions": {}, "seeds": seeds, "seed": 0, "source_steps": 1_000_000, "target_steps": 100_000}
        return Result(config, None, None, tr.Pair(made, made), None, tr.Pair(1_000_000, 100_000), "budget", 1.0)

    console = Console(width=width, file=io.StringIO())
    results = {name: result(name, mean) for name, mean in returns.items()}
    console.print(comparison_table("ant -> ant:gravity=2", Comparison(results), width))
    return console.file.getvalue()


LARGE = {"a_method_with_a_long_name": -12_345.0, "zero_shot": 12_000.0, "fine_tune": 3_000.0, "target_only": 50.0}


@pytest.mark.parametrize("seeds", [1, 2, 5, 12])
@pytest.mark.parametrize("width", [80, 160])
def test_the_table_fits_and_cuts_no_number(width, seeds):
    text = printed(width, seeds, LARGE)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text and "\x1b" not in text
    row = next(line for line in text.splitlines() if line.startswith("zero_shot"))
    assert " to " in row or seeds == 1
    assert "updates" in text and "100,000" in row and ("1,000,000" in row) == (width == 160)
    odds = text[text.index("P(row beats column)") :].splitlines()
    assert next(line for line in odds if line.startswith("zero_shot")).split()[1:3] == ["-", "1.00"]


@pytest.mark.parametrize(
    ("seeds", "said", "unsaid"),
    [
        (1, ["One seed: no interval"], ["bootstrap resamples"]),
        (3, ["3 seeds: the bootstrap resamples only", "too narrow", "IQM is the plain mean"], ["One seed"]),
        (4, ["4 seeds: the bootstrap resamples only"], ["plain mean"]),
        (5, [], ["too narrow", "One seed", "plain mean"]),
    ],
)
def test_it_says_what_few_seeds_are_not_worth(seeds, said, unsaid):
    text = printed(200, seeds, LARGE)
    assert all(words in text for words in said)
    assert not any(words in text for words in unsaid)


def test_small_returns_keep_their_digits():
    small = {"darc": -3.25, "zero_shot": -4.5, "fine_tune": -3.75, "target_only": -9.0}
    assert "\N{MINUS SIGN}3." in printed(80, 3, small)
