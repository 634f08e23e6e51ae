"""No action reaches a robot but within its limits."""

from __future__ import annotations

import numpy as np
import pytest
from session.test_server import bare

import transreward as tr
from transreward.session.published import Acting
from transreward.session.safety import Safety
from transreward.types import RequestError, Spaces

SPACES = Spaces(3, 2, -np.ones(2), np.array([1.0, 2.0]))
OBS = np.zeros(3, np.float32)


def test_limits_then_the_largest_change_then_the_users_function():
    seen = []

    def safe(obs, action):
        seen.append(action.tolist())
        return [0.9, 9.0] if action[0] > 0.1 else None

    one = Safety(SPACES, low=-0.5, high=[0.5, 1.5], change=0.2, safe=safe)
    np.testing.assert_allclose(one(OBS, np.array([5.0, -5.0]), None), [0.5, 1.5])  # overruled, and within limits again
    assert seen == [[0.5, -0.5]]
    np.testing.assert_allclose(one(OBS, np.array([0.5, 0.5]), np.zeros(2)), [0.5, 1.5])
    assert seen[-1] == [0.2, 0.2]
    np.testing.assert_allclose(one(OBS, np.array([0.05, 0.1]), np.zeros(2)), [0.05, 0.1])
    assert one.counts == {"clipped": 1, "slowed": 1, "overruled": 2}


def test_the_users_function_cannot_reach_what_is_kept():
    def safe(obs, action):
        obs[:], action[:] = 7, 7

    obs, action = np.zeros(3), np.zeros(2)
    assert Safety(SPACES, safe=safe)(obs, action, None).tolist() == [0, 0] and not obs.any() and not action.any()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"low": -2.0}, "beyond the robot's own limits"), ({"low": [0.5, 0], "high": [0.5, 1]}, "must be below `high`"),
        ({"change": 0}, "must be above 0"), ({"change": [0.1, 0.1, 0.1]}, "shape (2,)"), ({"high": np.nan}, "finite"),
        ({"safe": 3}, "`safe` must be a function"),
    ],
)  # fmt: skip
def test_wrong_limits(given, words):
    with pytest.raises(RequestError) as caught:
        Safety(SPACES, **given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("safe", "words"),
    [
        (lambda obs, action: 1 / 0, "`safe` failed, so no action is given: ZeroDivisionError"),
        (lambda obs, action: [1, 2, 3], "what `safe` returns must be numbers of shape (2,)"),
        (lambda obs, action: [np.nan, 0], "what `safe` returns must be finite"),
    ],
)
def test_a_function_that_fails_gives_no_action(safe, words):
    with pytest.raises(RequestError) as caught:
        Safety(SPACES, safe=safe)(OBS, np.zeros(2), None)
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("most", [400.7, 0.01, 3e6])
def test_the_action_that_was_given_may_be_told(tmp_path, most, kind):
    """In single precision it may be beyond a bound: 400.70001 of 400.7. What is further out is refused, of a small box,
    too."""
    session, obs = bare(tmp_path, robots=1), np.zeros(3)
    session.spaces = Spaces(3, 1, -np.full(1, most, kind), np.full(1, most, kind))
    session.safety = Safety(session.spaces)
    session.acting, session._policies = Acting(["one"], {}), {"one": lambda obs, noise: np.full(1, 1e9, np.float32)}
    action = session.act(obs)
    for beyond in (1.0001, -1.0001):
        with pytest.raises(RequestError, match="beyond the robot's limits"):
            session.tell(obs, [beyond * most], 1.0, obs + 1)
    session.tell(obs, action, 1.0, obs + 1)
    session.act(obs + 1)
    session.tell(obs + 1, [most * (1 - 3e-6)], 1.0, obs)  # as a robot has it that counts in other units
    assert session.status["taken otherwise"] == 0
    session.act(obs)
    session.tell(obs, [most * 0.999], 1.0, obs)
    assert session.status["taken otherwise"] == 1
    session._journal.close()


def test_bounds_of_a_robot_of_its_own_are_in_single_precision(tmp_path):
    """As those of all others are; the same numbers may be said again as limits."""
    path = tmp_path / "robot.yaml"
    path.write_text("{observation: [angle], action: [{name: hip, low: -0.7, high: 400.7}]}")
    spaces = tr.domain(f"asked:{path}").spaces
    assert spaces.low.dtype == spaces.high.dtype == np.float32
    one = Safety(spaces, low=-0.7, high=400.7)
    assert (one(OBS[:1], np.array([-1.0]), None), one(OBS[:1], np.array([1e6]), None)) == (spaces.low, spaces.high)
    path.write_text("{observation: [angle], action: [{name: hip, low: 0, high: 1.0e+39}]}")
    with pytest.raises(RequestError, match="unbounded action box: hip goes from 0 to"):
        tr.domain(f"asked:{path}")
