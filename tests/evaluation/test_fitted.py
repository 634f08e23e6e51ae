"""Fitted Q evaluation against values that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from transreward.domains import logs
from transreward.domains.logs.recorded import Recorded
from transreward.engine.record import estimated
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


def test_a_log_of_shuffled_steps_says_nothing_of_the_policy_that_took_it():
    """The estimate was made of its first step alone, over and over, and of an action that did not follow it."""
    x = np.random.default_rng(0).normal(size=(80, 4))
    log = logs.from_arrays({"obs": x[:, :1], "action": x[:, 1:2], "reward": x[:, 2], "next_obs": x[:, 3:]})
    assert log.episode[-1] == 79
    config = SimpleNamespace(domains=SimpleNamespace(target=Recorded("data:x", None, log)))
    config.judged = SimpleNamespace(target=None)
    assert estimated(SimpleNamespace(config=config)) == {}  # type: ignore[arg-type]
