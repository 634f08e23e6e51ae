"""Fitted Q evaluation against values that are known."""

import numpy as np
import pytest

from transreward.domains import logs
from transreward.evaluation.fitted import fitted

pytestmark = pytest.mark.usefixtures("hurry")


def chain(ends):
    """Episodes of 20 steps x' = x + 0.05, paid 1 + a + x, with actions at random in [-1, 1]; the last one terminates,
    or is cut off."""
    rng = np.random.default_rng(0)
    x = np.tile(np.arange(20) * 0.05, 100)
    action, last = rng.uniform(-1, 1, 2000), np.tile(np.arange(20) == 19, 100)
    return logs.from_arrays({
        "obs": x[:, None], "action": action[:, None], "reward": 1 + action + x, "next_obs": x[:, None] + 0.05,
        "terminated": last & ends, "truncated": last & (not ends),
    })  # fmt: skip


@pytest.mark.slow
def test_a_policys_and_the_logs_own_value_of_episodes_that_end():
    log, gamma = chain(True), 0.9
    first, following = (np.full((2, n, 1), 0.0) for n in (100, 2000))
    first[1], following[1] = 0.8, 0.8  # of the second seed
    found = fitted(first, following, log, gamma)
    k = np.arange(20)
    worth = [np.sum(gamma**k * (1 + a + 0.05 * k)) for a in (0.0, 0.8)]
    np.testing.assert_allclose(found.per_seed, worth, rtol=0.05)
    assert found.log == pytest.approx(worth[0] + np.mean(log.action[::20]), rel=0.1)  # its actions are 0 on average


@pytest.mark.slow
def test_an_episode_that_is_cut_off_is_worth_what_would_follow():
    log, gamma = chain(False), 0.5
    found = fitted(np.zeros((1, 100, 1)), np.zeros((1, 2000, 1)), log, gamma)
    assert found.per_seed[0] == pytest.approx(2 + 0.05 * gamma / (1 - gamma) ** 2, rel=0.05)
