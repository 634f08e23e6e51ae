"""An agent of PPO is taken over by SAC: the same policy, critics that know what it is worth, and every step counted."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward import replay as rp
from transreward.engine.converted import executed, judged
from transreward.learners import sac
from transreward.learners.sac import SAC
from transreward.types import Spaces, Steps, Transition

pytestmark = pytest.mark.usefixtures("hurry")

SPACES = Spaces(2, 1, -2 * np.ones(1), 2 * np.ones(1))
SMALL = SAC(hidden=(16,), batch=32, burst=1, learning_rate=0.01, discount=0.5, alpha_start=1e-6)


def steps(n=200):
    """Steps [2 seeds, n, 1 robot] that are paid 1, some of whose actions are outside the box."""
    rng, shape = np.random.default_rng(0), (2, n, 1)
    obs, action = rng.normal(size=(*shape, 2)), 3 * rng.normal(size=(*shape, 1))
    none = np.zeros(shape)
    t = Transition(*(np.asarray(x, np.float32) for x in (obs, action, np.ones(shape), obs, none, none)))
    return Steps(t, np.empty((*shape, 0), np.float32), np.zeros(shape, np.int32))


def test_the_policy_is_imitated_with_its_noise(monkeypatch):
    monkeypatch.setattr(sac, "IMITATION", 1_500)
    obs = jax.random.normal(jax.random.key(1), (500, 2))
    wanted = jnp.clip(obs[:, :1] - 0.5 * obs[:, 1:], -2, 2)
    state, apart = SMALL.imitate(
        SMALL.init(jax.random.key(0), SPACES), obs, wanted, 0.3 * jnp.ones(1), jax.random.key(2)
    )
    close = SMALL.act(state, obs, None) - wanted
    assert jnp.sqrt(jnp.mean((close / 2) ** 2)) == pytest.approx(float(apart), rel=1e-3)
    assert apart < 0.1  # of a clipped plane
    assert jnp.exp(SMALL._policy(state.actor, state.normaliser(obs))[1]).mean() == pytest.approx(0.3, rel=0.1)


def test_critics_learn_what_the_policy_is_worth_and_it_stays():
    taken = executed(steps(), SPACES)
    assert np.abs(taken.transition.action).max() == 2
    keys = jax.random.split(jax.random.key(0), 2)
    states = jax.vmap(lambda key: SMALL.init(key, SPACES))(keys)
    found = judged(SMALL, states, rp.of(taken, SPACES), keys, updates=600)
    value = jax.vmap(SMALL.value)(found, taken.transition.obs.reshape(2, -1, 2))
    assert value.mean() == pytest.approx(2.0, rel=0.05)  # 1 / (1 - discount)
    for before, after in zip(jax.tree.leaves(states.actor), jax.tree.leaves(found.actor), strict=True):
        assert (before == after).all()
    assert (states.log_alpha == found.log_alpha).all()


@pytest.mark.long
@pytest.mark.slow
def test_a_method_that_needs_stored_steps_starts_from_a_run_of_ppo(tmp_path):
    settings = {f"loop.{name}": value for name, value in bits.LOOP.items()} | {"loop.final_episodes": 5}
    ppo = tr.learner("ppo", robots=16, rollout_steps=32, minibatches=4, initial_log_std=-0.7)
    pair, request = ("inverted_pendulum", "inverted_pendulum:gravity=1.5"), {"seeds": 2, "target_steps": 1_200}
    tr.transfer(
        *pair, "fine_tune", learner=ppo, source_steps=30_000, settings=settings, controls=("zero_shot",),
        out=tmp_path / "ppo", **request,
    )  # fmt: skip
    old = tr.load(tmp_path / "ppo").controls["zero_shot"].returns.source
    small = tr.learner("sac", robots=8, hidden=(32,), batch=32)
    with pytest.warns(UserWarning, match="was trained with ppo, and sac takes it over: from 1,248 more source steps"):
        result = tr.transfer(
            *pair, "mix", learner=small, source_steps=35_000, source_run=tmp_path / "ppo", settings=settings,
            controls=("zero_shot",), **request,
        )  # fmt: skip
    assert (result.steps.source, result.steps.target) == (35_000, 1_200) and result.updates > 0
    assert result.controls["zero_shot"].returns.source.mean() == pytest.approx(old.mean(), rel=0.1)
