"""Runs whose policies were never trained, for tests of what is made of a policy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import transreward as tr
from transreward.networks import Normaliser
from transreward.runs.result import Result
from transreward.types import Pair

LEARNERS = {"ppo": tr.learner("ppo", hidden=(16, 16)), "sac": tr.learner("sac", hidden=(16, 16))}
VERSIONS = {"transreward": "0", "numpy": "1"}


def untrained(kind: str, source: str, target: str) -> Result:
    """A finished run as far as a policy goes: networks of random weights, large enough that actions reach the box, and
    a normaliser that has seen something. Training would only make other numbers."""
    spaces, learner, rng = tr.domain(target).spaces, LEARNERS[kind], np.random.default_rng(0)
    shapes = jax.eval_shape(lambda key: learner.init(key, spaces), jax.random.key(0))
    agents = jax.tree.map(lambda x: jnp.asarray(rng.normal(0, 0.5, (2, *x.shape)), x.dtype), shapes)
    seen = [Normaliser.start(spaces.obs).see(rng.normal(1, 2, (50, spaces.obs)).astype(np.float32)) for _ in range(2)]
    agents = agents._replace(
        normaliser=jax.tree.map(lambda *x: jnp.stack(x), *seen),
        centre=jnp.stack([spaces.centre] * 2),
        half_width=jnp.stack([spaces.half_width] * 2),
    )
    if kind == "ppo":
        agents = agents._replace(returns=agents.returns._replace(var=jnp.abs(agents.returns.var)))
    returns = np.array([[10.0, 12.0], [20.0, 22.0]])
    config = {
        "schema": 1, "versions": VERSIONS, "source": source, "target": target, "method": "darc", "controls": [],
        "source_steps": 100, "target_steps": 10, "seeds": 2, "seed": 4, "source_run": None,
        "learner": {"name": kind, "hidden": [16, 16]}, "loop": {},
        "spaces": {
            "obs": spaces.obs, "action": spaces.action, "low": spaces.low.tolist(), "high": spaces.high.tolist()
        },
    }  # fmt: skip
    return Result(config, learner, agents, Pair(returns + 1, returns), returns - 5, Pair(100, 10), "budget", 1.0)
