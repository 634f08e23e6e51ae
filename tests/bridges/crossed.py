"""What holds for every bridge: test_bridges.py runs it over the table, and over bridges between unlike columns."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import transreward as tr
from transreward.bridges.bridge import Crossing
from transreward.bridges.take_up import take_up
from transreward.domains.domain import Domain
from transreward.learners.learner import Learner
from transreward.networks import Normaliser

SMALL = {
    "learner": tr.learner("sac", hidden=(8,), batch=16, robots=4, random_steps=32, steps_per_update=8.0),
    "source_steps": 640, "target_steps": 128, "seeds": 2,
    "settings": {"loop.eval_episodes": 1, "loop.final_episodes": 1, "loop.evaluations": 2, "loop.source_evaluations": 1,
                 "loop.threads": 1},
}  # fmt: skip


def require_maps(crossing: Crossing) -> None:
    """Each map is its matrix and its fill, of NumPy and JAX arrays alike; what is not `lost` comes back as it was."""
    random = np.random.default_rng(0)
    for maps in (crossing.there, crossing.back):
        for one in maps:
            x = random.normal(size=(3, 2, one.matrix.shape[1])).astype(np.float32)
            wanted = x @ one.matrix.T + one.fill
            np.testing.assert_allclose(one(x), wanted, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(one(jnp.asarray(x)), wanted, rtol=1e-5, atol=1e-5)
    for part, entries in (("obs", crossing.own.entries), ("action", crossing.own.action_entries)):
        kept = [i for i, entry in enumerate(entries) if entry.name not in crossing.lost]
        x = random.normal(size=(3, len(entries)))
        back = getattr(crossing.back, part)(getattr(crossing.there, part)(x))
        np.testing.assert_allclose(back[:, kept], x[:, kept], atol=1e-12)


def require_plain_steps(plain: Domain, bridged: Domain, crossing: Crossing) -> None:
    """The bridged domain's steps are the plain one's after the same actions, in other columns; states go back."""
    here, there = plain.simulate(3, 7), bridged.simulate(3, 7)
    low, high, random = bridged.spaces.low, bridged.spaces.high, np.random.default_rng(0)
    for _ in range(20):
        np.testing.assert_array_equal(there.obs, crossing.there.obs(here.obs))
        action = random.uniform(low, high, (3, len(low)))
        state = there.get_state()
        t, u = here.step(crossing.back.action(action)), there.step(action)
        for one, other in zip(crossing.there.transition(t)._replace(action=action), u, strict=True):
            np.testing.assert_array_equal(one, other)
        there.set_state(state)
        for one, other in zip(u, there.step(action), strict=True):
            np.testing.assert_array_equal(one, other)
    assert {name: x.tolist() for name, x in here.terms.items()} == {n: x.tolist() for n, x in there.terms.items()}


def agents_of(learner: Learner, domain: Domain) -> Any:
    """Two seeds' agents that have seen something. Their weights are anything: orthogonal ones take long to compile."""
    random, spaces = np.random.default_rng(0), domain.spaces
    shapes = jax.eval_shape(lambda key: learner.init(key, spaces), jax.random.key(0))
    agents = jax.tree.map(lambda x: jnp.asarray(random.normal(0, 0.3, (2, *x.shape)), x.dtype), shapes)
    each = random.normal(1.0, 2.0, (2, 40, spaces.obs)).astype(np.float32)
    seen = [Normaliser.start(spaces.obs).see(obs) for obs in each]
    agents = agents._replace(normaliser=jax.tree.map(lambda *x: jnp.stack(x), *seen))
    if learner.name == "ppo":
        agents = agents._replace(returns=jax.tree.map(jnp.abs, agents.returns))
    return learner.restarted(agents, spaces)


def require_taken_up(learner: Learner, domain: Domain, crossing: Crossing) -> None:
    """The agent does and thinks across the bridge what it did and thought of what the bridge shows it."""
    agents, random, shown = agents_of(learner, domain), np.random.default_rng(1), crossing.shown.spaces
    taken, motors = take_up(learner, agents, crossing), crossing.there.action.matrix
    obs = random.normal(1.0, 2.0, (2, 7, shown.obs)).astype(np.float32)
    own = np.asarray(crossing.back.obs(obs), np.float32)
    hidden = ~crossing.back.obs.matrix.any(axis=1)  # they stand at their mean
    own[..., hidden] = np.asarray(agents.normaliser.mean)[:, None, hidden]
    act, value = jax.jit(jax.vmap(learner.act)), jax.jit(jax.vmap(learner.value))
    same = motors.any(axis=1)
    mode, did = (np.asarray(act(one, x, None)) for one, x in ((taken, obs), (agents, own)))
    np.testing.assert_allclose(mode[..., same], crossing.there.action(did)[..., same], atol=2e-6)
    assert np.abs(mode[..., ~same]).max(initial=0.0) < 0.2  # at rest, nearly
    noise = random.normal(size=did.shape).astype(np.float32)
    moved = act(taken, obs, (noise @ motors.T).astype(np.float32)) - mode
    np.testing.assert_allclose(moved[..., same], ((act(agents, own, noise) - did) @ motors.T)[..., same], atol=1e-5)
    everything = crossing.back.action.matrix.any(axis=1).all()  # else a critic is asked of motors that are at rest now
    if everything or learner.name != "sac":
        np.testing.assert_allclose(value(taken, obs), value(agents, own), rtol=1e-5, atol=2e-5)
    if everything and learner.name == "sac":
        slow, others = (one._replace(critics=one.slow_critics) for one in (taken, agents))
        np.testing.assert_allclose(value(slow, obs), value(others, own), rtol=1e-5, atol=1e-4)
    if learner.name == "sac":
        action = random.uniform(shown.low, shown.high, (2, 7, shown.action)).astype(np.float32)
        there, here = jax.jit(jax.vmap(learner.q)), np.asarray(crossing.back.action(action), np.float32)
        np.testing.assert_allclose(there(taken, obs, action), there(agents, own, here), rtol=1e-5, atol=2e-5)
    assert jax.tree.structure(taken) == jax.tree.structure(agents)
