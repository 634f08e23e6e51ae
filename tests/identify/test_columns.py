"""Columns of a log's actions that are not what they are said to be."""

from dataclasses import replace

import pytest

from transreward.domains.ids import domain
from transreward.identify.identified import identifiable, identified
from transreward.preflight.identify import walked
from transreward.types import RequestError


@pytest.fixture(scope="module")
def steps():
    robot = identifiable("reacher")
    return robot, walked(robot, domain("reacher"), None, 300, 0)


def test_a_column_with_the_other_sign_is_told(steps):
    robot, told = steps
    commanded = told.commanded * [1.0, -1.0]
    found = identified(robot, replace(told, commanded=commanded))
    assert found.mistaken is not None and "'joint1' had the other sign" in found.mistaken
    assert found.mistaken in found.lines() and found.as_json()["mistaken"] == found.mistaken


def test_exchanged_columns_are_told_where_the_steps_are_refused(steps):
    robot, told = steps
    with pytest.raises(RequestError, match="'joint0' and 'joint1' were exchanged"):
        identified(robot, replace(told, commanded=told.commanded[..., ::-1].copy()))


def test_what_differs_is_no_mistake_of_columns(steps):
    robot, _ = steps
    found = identified(robot, walked(robot, domain("reacher:gear(joint1)=0.3"), None, 300, 0))
    assert found.mistaken is None and found.named
