"""What other targets have told is where a fit starts: it shortens what is right, and what is wrong does no harm."""

from __future__ import annotations

import json

import pytest
from identify.test_motors import Tired

import transreward as tr
from transreward.domains.robots import ROBOTS
from transreward.identify import fit
from transreward.identify.identified import identifiable, identified
from transreward.identify.known import Known, known_in
from transreward.preflight.identify import walked
from transreward.runs import store

ROBOT, COMMON = "halfcheetah", {("gear", None): 0.8, ("damping", None): 1.5, ("friction", None): 0.5}
OTHER = Known({**COMMON, ("mass", "torso"): 1.5}, None)


def told(shifts, steps, known=(), seed=2):
    robot = identifiable(ROBOT)
    return identified(robot, walked(robot, tr.domain(ROBOT + shifts), None, steps, seed), known=known)


def named(found):
    return {one.parameter.name: one.value for one in found.named}


@pytest.mark.slow
def test_what_a_robot_has_in_common_with_another_is_not_searched_for(monkeypatch):
    searched, added = [], fit._added
    monkeypatch.setattr(fit, "_added", lambda *given: searched.append(given) or added(*given))
    shifts = ":gear=0.8,damping=1.5,friction=0.5,stiffness(bshin)=2,gravity=0.9"
    wanted = {"gear": 0.8, "damping": 1.5, "friction": 0.5, "stiffness(bshin)": 2.0, "gravity": 0.9}
    counts = []
    for known in ((), [OTHER]):
        searched.clear()
        assert named(told(shifts, 80, known)) == pytest.approx(wanted, rel=0.02)
        counts.append(len(searched))
    assert counts[0] >= 5 and counts[1] <= 3  # the two of its own, and at most one that is dropped again


@pytest.mark.parametrize("shifts", ["", pytest.param(":gravity=2", marks=pytest.mark.slow)])
def test_what_does_not_hold_here_is_not_taken_over(shifts):
    assert named(told(shifts, 100, [OTHER])) == pytest.approx({"gravity": 2.0} if shifts else {}, rel=0.02)


@pytest.mark.slow
def test_a_rule_of_the_motors_is_taken_over_where_it_explains_more_than_one_learned_here():
    robot, tired = identifiable(ROBOT), Tired(ROBOTS[ROBOT])
    rule = identified(robot, walked(robot, tired, None, 500, 0)).motors
    assert rule is not None
    few = walked(robot, tired, None, 80, 5)
    alone, after = identified(robot, few), identified(robot, few, known=[Known({}, rule)])
    assert after.motors == rule and after.explained > alone.explained


# -- read from run directories -----------------------------------------------------------------------------------------


def run(place, seeds, source=ROBOT):
    place.mkdir()
    (place / "config.json").write_text("{}")
    if seeds is not None:
        about = {"source": source, "id": source, "words": [], "parameters": [], "explained": 1.0, "target_steps": 500}
        about |= {"one_step_error": [1, 0], "ten_step_error": [1, 0], "discarded": False, "entries": []}
        (place / store.IDENTIFICATION).write_text(json.dumps({"schema": store.SCHEMA, **about, "seeds": seeds}))
    return str(place)


def seed(explained, **parameters):
    same = {"pattern": None, "unit": "factor", "source": 1.0, "low": 0.0, "high": 2.0}
    each = [{"name": name, "value": value, **same} for name, value in parameters.items()]
    return {"parameters": each, "motors": None, "explained": explained}


def test_of_a_run_that_seed_counts_for_which_it_explains_most(tmp_path):
    """A delay is that of what acts and of what is seen; noise is no start."""
    best = seed(0.9, gear=0.8, delay=1.0, sensor_delay=1.0, noise=0.1)
    found = [seed(0.0), seed(0.5, gear=0.7), best]
    places = [run(tmp_path / "a", found), run(tmp_path / "b", [seed(0.0)]), run(tmp_path / "c", None)]
    assert known_in(places, ROBOT) == [Known({("gear", None): 0.8, ("delay", None): 2.0}, None)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda place: str(place), "ground.known: there is no run in"),
        (lambda place: run(place, [], "hopper"), "is relative to hopper, and the source here is halfcheetah"),
        (lambda place: run(place, [{"explained": 1.0}]), "cannot be read"),
        (
            lambda place: run(place, [{**seed(1.0, gear=0.5), "motors": "/gone.npz"}]),
            "is no file that `identify` wrote",
        ),
    ],
)
def test_what_cannot_be_known_is_refused(make, words, tmp_path):
    with pytest.raises(tr.RequestError, match=words):
        known_in([make(tmp_path / "run")], ROBOT)


def test_a_request_is_refused_before_a_step_is_taken(tmp_path):
    with pytest.raises(tr.RequestError, match=r"^ground\.known: there is no run in"):
        tr.transfer("hopper", "hopper:gravity=2", "identified", settings={"ground.known": [str(tmp_path / "no")]})
