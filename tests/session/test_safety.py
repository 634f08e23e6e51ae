"""No action reaches a robot but within its limits."""

from __future__ import annotations

import numpy as np
import pytest

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
