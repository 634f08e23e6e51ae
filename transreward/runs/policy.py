"""A policy of one seed as a function of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from transreward.learners.learner import Learner
from transreward.types import RequestError


def policy_of(learner: Learner, agents: Any, seed: int, size: int) -> Callable[[np.ndarray], np.ndarray]:
    """The deterministic policy of one of the agents [seeds]: [..., obs] -> [..., action], `size` entries of obs.

    It raises RequestError for an observation of another size, and for one that is not finite.
    """
    agent = jax.tree.map(lambda x: x[seed], agents)
    act = jax.jit(lambda obs: learner.act(agent, obs, None))

    def policy(obs: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # out of range for float32 becomes inf, which is refused below
            try:
                obs = np.asarray(obs, np.float32)
            except (TypeError, ValueError) as error:
                raise RequestError(f"an observation must be an array of {size} numbers: {error}") from None
        if obs.shape[-1:] != (size,):
            raise RequestError(
                f"this policy takes observations of {size} entries, [..., {size}], not {list(obs.shape)}"
            )
        if not np.isfinite(obs).all():
            entry = np.argwhere(~np.isfinite(obs))[0]
            raise RequestError(f"entry {entry[-1]} of the observation is {obs[tuple(entry)]}: the policy needs numbers")
        return np.asarray(act(obs))

    return policy
