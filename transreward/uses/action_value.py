"""A learned value over state and action, for a potential: what it is to be is said by whoever uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.nn import silu

from transreward.networks import Layers, Normaliser, mlp, mlp_init
from transreward.types import Array, Key, RequestError, Spaces

SLOW = 0.05  # share of the fresh value in each step of the slow one; ten times a critic's at half the pace


class ActionValueState(NamedTuple):
    """One seed's value."""

    net: Layers
    slow: Layers  # what successors are judged by while it learns
    optimiser: Any
    inputs: Normaliser  # over [s, a]


@dataclass(frozen=True)
class ActionValue:
    """Settings of a value Phi(s, a), which is 0 everywhere before anything is learned."""

    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    learning_rate: float = 3e-3  # of the optimiser

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise RequestError(f"use.hidden must name the layers' widths, at least one, not {self.hidden}")
        if not self.learning_rate > 0:
            raise RequestError(f"use.learning_rate must be above 0, not {self.learning_rate}")

    def init(self, key: Key, spaces: Spaces) -> ActionValueState:
        """Fresh networks for one seed."""
        sizes = (spaces.obs + spaces.action, *self.hidden, 1)
        net = mlp_init(key, sizes, last_scale=0.0)
        return ActionValueState(
            net, jax.tree.map(jnp.copy, net), self._optimiser().init(net), Normaliser.start(sizes[0])
        )

    def phi(self, state: ActionValueState, obs: Array, action: Array) -> Array:
        """[...], of obs [..., obs] and actions [..., action]."""
        return mlp(state.net, state.inputs(_rows(obs, action)), silu)[..., 0]

    def slow(self, state: ActionValueState, obs: Array, action: Array) -> Array:
        """The same as it was a while ago."""
        return self.phi(state._replace(net=state.slow), obs, action)

    def update(self, state: ActionValueState, obs: Array, action: Array, goal: Array) -> tuple[ActionValueState, Array]:
        """One step of least squares towards `goal` [batch], and the loss."""
        state = state._replace(inputs=state.inputs.see(_rows(obs, action)))

        def loss(net: Layers) -> Array:
            return jnp.mean((self.phi(state._replace(net=net), obs, action) - goal) ** 2)

        value, grads = jax.value_and_grad(loss)(state.net)
        step, optimiser = self._optimiser().update(grads, state.optimiser, state.net)
        net: Layers = optax.apply_updates(state.net, step)  # type: ignore[assignment]
        slow = jax.tree.map(lambda old, new: old + SLOW * (new - old), state.slow, net)
        return state._replace(net=net, slow=slow, optimiser=optimiser), value

    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)


def _rows(obs: Array, action: Array) -> Array:
    return jnp.concatenate([obs, action], axis=-1)
