"""The page shows what differs physically, where a run directory has it, and refuses what is damaged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from transreward.reports.page import write_report
from transreward.reports.sections import compensation
from transreward.reports.sections.identified import value_of
from transreward.reports.subject import Subject
from transreward.runs import store
from transreward.runs.record import read
from transreward.types import RequestError

RUN = Path(__file__).parents[1] / "data" / "runs" / "1" / "transfer-ppo"
FOUND = {
    "schema": 1, "source": "inverted_pendulum", "id": "inverted_pendulum:gravity=1.5,delay=1", "discarded": False,
    "parameters": [
        {"name": "gravity", "pattern": None, "unit": "factor", "source": 1.0, "value": 1.5, "low": 1.4, "high": 1.6},
        {"name": "delay", "pattern": None, "unit": "steps", "source": 0.0, "value": 1.0, "low": 1.0, "high": 1.0},
        {"name": "mass", "pattern": "<pole>", "unit": "factor", "source": 1.0, "value": 0.0, "low": -1e300, "high": 9},
    ],
    "explained": 0.98, "one_step_error": [0.5, 0.01], "ten_step_error": [None, None], "target_steps": 500,
    "entries": [{"name": "hinge angle", "before": 0.5, "after": 0.01}], "words": ["gravity x 1.5 (1.4 to 1.6)"],
}  # fmt: skip


@pytest.fixture
def place(tmp_path):
    return Path(shutil.copytree(RUN, tmp_path / "run"))


def page(place, **changed):
    (place / store.IDENTIFICATION).write_text(json.dumps(FOUND | changed))
    return write_report([place]).read_text()


def test_the_section_is_there_with_words_and_a_chart_for_each_unit(place):
    assert 'id="physics"' not in write_report([place]).read_text()
    section = page(place).partition('<section id="physics">')[2].partition("</section>")[0]
    assert "gravity x 1.5 (1.4 to 1.6)" in section and "500 target steps" in section
    for title in ("Values, times the source", "Values, steps", "Error of the simulator", "What remains, by entry"):
        assert f"<figcaption>{title}" in section
    assert "ten steps ahead" not in section and "<pole>" not in section and "&lt;pole&gt;" in section


def test_a_small_value_in_a_unit_is_not_rounded_to_nothing():
    air = {"value": 1.8e-5, "low": 1.7e-5, "high": 1.9e-5, "unit": "Pa s"}
    assert value_of(air) == "1.8e-05 Pa s (1.7e-05 to 1.9e-05)"
    assert value_of({"value": 1e-7, "low": 0.0, "high": 1e-6, "unit": "factor"}) == "0", "a dead motor"


def drawn(place, **changed):
    return page(place, **changed).partition("<figcaption>Where it differs")[2].partition("</figure>")[0]


def test_a_part_of_the_robot_that_differs_is_drawn_in_colour(place):
    one = {**FOUND["parameters"][0], "name": "mass", "pattern": "pole"}  # type: ignore[dict-item]
    text = drawn(place, parameters=[one])
    assert text.count('class="bone found') == 1 and text.count('class="bone') == 2 and "mass of pole" in text
    assert not drawn(place) and not drawn(place, parameters=[{**one, "pattern": "no such part"}])
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"source": "no_such_lab:Robot"}))
    assert not drawn(place, parameters=[one])


def test_what_a_policy_was_told_is_on_the_page(place):
    """And that no simulator was corrected, in which nothing learns."""
    told = [{"gravity": 2.0, "mass": 1.2}, {"gravity": 2.0, "mass": 1.2}, None]
    text = page(place, told=told)
    assert "was told gravity 2, mass 1.2 (2 of 3 seeds); nothing (1 of 3 seeds)." in text
    assert "was told" not in page(place)
    (first, *_) = read(place)
    found = replace(first, identification={**FOUND, "told": told}, config=first.config | {"feed": None})
    said = compensation.content(Subject.of([found], False))
    assert (said["corrected"], said["informed"]) == ([], [found.name])
    family = replace(first, config=first.config | {"randomise": {"ranges": "gravity=0.5..2"}})
    assert (first.began_with, family.began_with) == ("the source policy", "the family's policy (told nothing more)")


def test_nothing_found_is_a_page_too(place):
    found = {"parameters": [], "entries": [], "words": ["nothing differs that 500 steps can show"]}
    assert "nothing differs that 500 steps can show" in page(place, **found)


GRAVITY, DELAY = FOUND["parameters"][:2]  # type: ignore[index]


def of_seeds(tmp_path, *values, sure=True, doubt=0.05):
    """The section of a run of as many seeds, each of which found gravity with an interval of `doubt` to both sides."""
    place = Path(shutil.copytree(RUN, tmp_path / "run"))
    config = json.loads((place / "config.json").read_text()) | {"seeds": len(values)}
    (place / "config.json").write_text(json.dumps(config))
    (place / "result.json").unlink()
    own = [{**GRAVITY, "value": x, "low": x - doubt, "high": x + doubt} for x in values]
    seeds = [{"parameters": [p], "motors": None, "explained": 0.9 + i / 50, "sure": sure} for i, p in enumerate(own)]
    seeds[-1]["parameters"] = [*seeds[-1]["parameters"], DELAY]
    text = page(place, parameters=seeds[0]["parameters"], seeds=seeds)
    return " ".join(text.partition('<section id="physics">')[2].partition("</section>")[0].split())


def test_each_seed_s_values_are_shown_and_those_that_exclude_each_other_named(tmp_path):
    found = of_seeds(tmp_path, 1.5, 1.52, 1.8)
    assert "The seeds disagree about gravity:</strong> gravity is 1.5 (1.45 to 1.55) by seed 3 and 1.8 (1.75" in found
    assert "by seed 5. More <code>ground.steps</code> would tell." in found
    assert "<td>1.52 (1.47 to 1.57)</td>" in found and "<td>1 steps</td>" in found, "seed by seed"
    assert "it explains 90% to 94% over 3 seeds" in found and "are of seed 3" in found


@pytest.mark.parametrize("values", [(1.5, 1.52, 1.58), (1.5,)])
def test_seeds_that_agree_are_not_said_to_disagree(tmp_path, values):
    found = of_seeds(tmp_path, *values)
    assert "disagree" not in found and ("Seed by seed" in found) == (len(values) > 1)


def test_seeds_do_not_disagree_by_what_rounding_shows(tmp_path):
    found = of_seeds(tmp_path, 0.0, 1e-7, 2e-5, doubt=1e-8)
    assert (
        "disagree" not in found and found.count("<td>0</td>") == 3 and "e-0" not in found.partition("Seed by seed")[2]
    )


def test_values_that_make_up_for_something_else_have_no_intervals_and_are_not_held_against_each_other(tmp_path):
    found = of_seeds(tmp_path, 1.5, 1.52, 1.8, sure=False)
    assert "disagree" not in found and "<td>1.52</td>" in found


@pytest.mark.parametrize(
    "changed",
    [{"parameters": [{"name": "gravity"}]}, {"entries": [3]}, {"ten_step_error": [1.0]}, {"words": None}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_damaged_one_is_refused(place, changed):
    with pytest.raises(RequestError, match=f"{store.IDENTIFICATION} is damaged: '{next(iter(changed))}'"):
        page(place, **changed)
