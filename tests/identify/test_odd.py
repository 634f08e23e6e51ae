"""A few steps that differ far more than all others do, and by something else."""

from dataclasses import replace

import numpy as np
import pytest

from transreward.domains.ids import domain
from transreward.identify.fit import Fit
from transreward.identify.identified import identifiable, identified, posed
from transreward.identify.odd import MOST, odd
from transreward.preflight.identify import walked


@pytest.fixture(scope="module")
def told():
    return walked(identifiable("inverted_pendulum"), domain("inverted_pendulum:gravity=2"), None, 600, 0)


def thrown(told, count):
    """The steps, and which of those that can be used were thrown elsewhere: the first of them held out."""
    held = np.flatnonzero(told.known & told.held)[:1]
    rows = np.sort([*held, *np.flatnonzero(told.known & ~told.held)[: 10 * (count - 1) : 10]])
    seen = told.next_obs.copy()
    seen[rows] += 0.5
    return replace(told, next_obs=seen), rows


def problem_of(told):
    return posed(identifiable("inverted_pendulum"), told)


def nothing_found(problem):
    return Fit(problem.family.neutral, (), 1.0, 1.0)


def test_they_are_left_out_and_said_to_be(told):
    """A fit of squares finds nothing here."""
    steps, rows = thrown(told, 3)
    found = identified(identifiable("inverted_pendulum"), steps)
    (one,) = found.named
    assert one.parameter.name == "gravity" and one.value == pytest.approx(2, rel=1e-3) and found.explained > 0.999
    assert list(found.left_out) == found.as_json()["left_out"] == rows.tolist()
    numbers = ", ".join(map(str, rows))
    assert any("left out: 3 of 600 steps" in line and f"numbers {numbers}, from 0" in line for line in found.lines())


def test_too_many_of_them_are_no_exception(told):
    usable = int(told.known.sum())
    steps, rows = thrown(told, int(MOST * usable))
    problem = problem_of(steps)
    assert odd(problem, nothing_found(problem)).tolist() == rows.tolist()
    problem = problem_of(thrown(told, int(MOST * usable) + 1)[0])
    assert not len(odd(problem, nothing_found(problem)))


def test_where_nearly_all_is_explained_there_are_none(told):
    same = problem_of(walked(identifiable("inverted_pendulum"), domain("inverted_pendulum"), None, 600, 0))
    assert not len(odd(same, nothing_found(same))), "rounding is no exception"
    problem = problem_of(told)
    names = [p.name for p in problem.parameters]
    values = problem.family.neutral.copy()
    values[names.index("gravity")] = 2
    assert not len(odd(problem, Fit(values, (names.index("gravity"),), 1.0, 0.0)))
    assert not len(odd(problem, nothing_found(problem)))
