"""What is said of a fit, whatever the fit was."""

from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest

from transreward.domains.ids import domain
from transreward.identify.fit import Fit
from transreward.identify.identification import Named, _of, answer
from transreward.identify.identified import identifiable, variants_of
from transreward.identify.problem import Problem
from transreward.identify.simulator import Simulator
from transreward.preflight.identify import walked

NONE = np.zeros(0, int)  # steps that are left out


@pytest.fixture(scope="module")
def arm():
    """The problem of steps in which nothing differs."""
    robot = identifiable("reacher")
    told = walked(robot, domain("reacher"), None, 100, 0)
    return robot, told, Problem(Simulator(variants_of(robot), told.obs.shape[1]), told)


def fitted(arm, **values):
    """The answer of a fit that found these."""
    robot, told, problem = arm
    names = [p.name for p in problem.parameters]
    chosen = tuple(names.index(name) for name in values)
    found = problem.family.neutral.copy()
    found[list(chosen)] = list(values.values())
    spans = {i: (float(found[i]), float(found[i])) for i in chosen}
    return answer(problem, told, Fit(found, chosen, 1.0, 0.5, spans), NONE, robot)


def test_what_does_not_lower_the_error_ten_steps_ahead_is_discarded(arm):
    found = fitted(arm, damping=3.0)
    assert found.discarded and not found.named and found.id == "reacher" and found.explained == 0
    assert "discarded" in found.lines()[0] and found.as_json()["discarded"] is True
    assert found.ten_step_error[0] == found.ten_step_error[1]


def test_ten_steps_in_which_nothing_differs_discard_nothing(arm):
    """One step in contact may tell friction where no ten that were held out are."""
    found = fitted(arm, damping=1.0)
    assert found.ten_step_error[0] < 1e-9 and not found.discarded and found.named


def test_no_ten_steps_in_a_row_discard_nothing(arm):
    robot, told, problem = arm
    alone = told.take(np.arange(told.n))
    alone.follows[:] = False
    found = answer(problem, alone, Fit(problem.family.neutral, (), 1.0, 1.0), NONE, robot)
    assert isnan(found.ten_step_error[0]) and found.as_json()["ten_step_error"] == [None, None] and not found.discarded


def test_a_payload_is_said_with_its_body(arm):
    """Another one's may have been found."""
    problem, names = arm[2], {p.kind.name: p for p in arm[2].parameters if p.pattern is None}
    assert (_of(names["payload"], problem), _of(names["mass"], problem)) == ("payload(body0)", "mass")


def test_words(arm):
    found = fitted(arm)
    found = replace(
        found, discarded=False, ten_step_error=(2.0, 1e-9), alike=(("a", "b"), ("a", "c")), unseen=("mass",)
    )
    assert found.lines() == [
        "nothing differs that 100 steps can show",
        "a might as well be b or c: these steps do not tell",
        "these steps cannot show: mass",
    ]
    assert found._errors() == "error ten steps ahead, in spreads of each entry: 2 before, below 0.001 now"
    assert "not known" in replace(found, ten_step_error=(nan, nan))._errors()


@pytest.mark.parametrize(("left", "explained", "span"), [(0.0, 0.9, True), (0.5, 0.995, True), (0.5, 0.9, False)])
def test_an_interval_is_given_where_what_is_left_may_be_chance(arm, left, explained, span):
    *_, problem = arm
    damping = next(p for p in problem.parameters if p.name == "damping")
    found = replace(fitted(arm), named=(Named(damping, 2.0, 1.9, 2.1),), explained=explained)
    first = replace(found, entries=(("x", 1.0, left),)).lines()[0]
    assert first.startswith("damping x 2 (1.9 to 2.1);" if span else "damping x 2;")
    assert ("without intervals" in first) is not span


def test_a_variant_that_leaves_the_world_is_far_off_and_nothing_overflows(arm, monkeypatch):
    _, _, problem = arm
    seen = problem.simulator.seen(problem.steps.obs[:3])
    for lost in (np.nan, np.inf, 1e200, -1e200):
        off = problem.simulator.turned(np.full((2, *seen.shape), lost, float))
        assert np.isfinite(off).all() and (np.abs(off).max(axis=(1, 2)) >= 1e3).all()
        with monkeypatch.context() as patched:
            patched.setattr(problem.simulator, "differences", lambda *rest, off=off: off)
            assert (problem.loss(np.zeros((2, len(problem.parameters))), problem.steps) > 1e6).all()
