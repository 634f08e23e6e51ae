"""Linear-Gaussian dynamics, where what a gap should say is known in closed form."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from transreward.types import Pair, Spaces, Transition

SPACES = Spaces(2, 1, -5 * np.ones(1), 5 * np.ones(1))
A = np.array([[0.9, 0.1], [-0.1, 0.8]])
SOURCE, TARGET = (0.5, 0.0), (0.2, 0.6)  # what an action does to s'
STD = 0.8


def steps(seed, n, effect, mean=0.0, std: Any = STD):
    """s' = A s + B a + e; `mean` moves the state-action marginal. `std` may be a function of the action."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(mean, 1.0, (n, 2))
    action = rng.normal(-mean, 0.7, (n, 1))
    spread: Any = std(action) if callable(std) else std
    next_obs = obs @ A.T + action * np.array(effect) + rng.normal(0, 1, (n, 2)) * spread
    none = np.zeros(n)
    return Transition(*(jnp.asarray(x, jnp.float32) for x in (obs, action, none, next_obs, none, none)))


def log_ratio(t, source=SOURCE, target=TARGET):
    """log p_T(s'|s,a) - log p_S(s'|s,a), exactly, [n]."""
    errors = Pair(*(t.next_obs - t.obs @ A.T - t.action * np.array(effect) for effect in (source, target)))
    return np.asarray((errors.source**2 - errors.target**2).sum(-1) / (2 * STD**2))
