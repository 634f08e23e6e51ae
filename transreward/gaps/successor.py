"""Successor features: what the source policy would earn from here on under any weighing of the reward's terms.

Barreto, Dabney, Munos, Hunt, Schaul, van Hasselt and Silver: Successor features for transfer in reinforcement learning,
NeurIPS 2017. With a reward r = phi(s, a, s') . w, the value of a policy is Q = psi(s, a) . w, where

    psi(s, a) = E sum_t gamma^t phi_t

does not know the task. psi is learned for the source policy from the source's stored steps, and w by regression on the
target's rewards: so the source policy's value in the target's task is known before a target policy is. It holds as far
as the dynamics are alike.

phi is made of the terms that a step of the robot stores (its velocity, its control cost, ...), standardised, with their
squares beside them and a constant: a task that pays for a speed is no sum of terms, but nearly one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.nn import silu

from transreward.gaps.features import follow
from transreward.gaps.gap import Gap
from transreward.gaps.settings import require_settings
from transreward.networks import Layers, Normaliser, mlp, mlp_init
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition

SLOW = 0.01  # share of the fresh members in each step of the slow ones
RIDGE = 1e-4  # of each feature's mean square
MEMORY = 0.999  # of the target's moments, per batch: batches of the first steps fade, as the policy moves on


class SuccessorState(NamedTuple):
    """One seed's successor features."""

    members: Layers  # with a leading axis of members
    slow: Layers
    optimiser: Any
    inputs: Normaliser  # over [s, a] of the source; frozen after `standardise` updates
    terms: Normaliser  # of the source; frozen with it
    square: Array  # [features, features], running mean of phi phi' on the target's steps
    product: Array  # [features], of phi r
    weights: Array  # [features], w
    least: Array  # [], of the target's rewards
    most: Array  # []
    discount: Array  # []
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Successor(Gap):
    """Settings of the source policy's successor features."""

    members: int = 2  # networks that learn the same and differ in their start and their steps
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    learning_rate: float = 1e-3  # of the optimiser
    batch: int = 64  # steps of each domain per update
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen
    terms: int = 0  # how many terms a step stores; 0 = as many as the robot has

    name = "successor"
    offers = ("policy_worth",)
    needs = ("source_act", "discount", "terms")
    pace = 0.5
    early = True  # it learns from what is stored already, while the first target steps are random

    def __post_init__(self) -> None:
        require_settings(self)
        if self.terms < 0:
            raise RequestError(f"gap.terms must not be negative, not {self.terms}")

    def init(self, key: Key, spaces: Spaces) -> SuccessorState:
        """Fresh members for one seed, and no weight on any feature."""
        inputs, features = spaces.obs + spaces.action, 1 + 2 * self.terms
        members = jax.vmap(lambda k: mlp_init(k, (inputs, *self.hidden, features), last_scale=0.1))(
            jax.random.split(key, self.members)
        )
        return SuccessorState(
            members=members,
            slow=jax.tree.map(jnp.copy, members),
            optimiser=self._optimiser().init(members),
            inputs=Normaliser.start(inputs),
            terms=Normaliser.start(self.terms),
            square=jnp.zeros((features, features)),
            product=jnp.zeros(features),
            weights=jnp.zeros(features),
            least=jnp.asarray(0.0, jnp.float32),
            most=jnp.asarray(0.0, jnp.float32),
            discount=jnp.asarray(0.0, jnp.float32),
            low=jnp.asarray(spaces.low, jnp.float32),
            high=jnp.asarray(spaces.high, jnp.float32),
        )

    def update(
        self,
        state: SuccessorState,
        batches: Pair[Transition],
        key: Key,
        *,
        source_act: Any = None,
        discount: Any = None,
        terms: Any = None,
        **extra: Any,
    ) -> tuple[SuccessorState, Metrics]:
        """One step of temporal differences on source steps, and the target's moments.

        `terms` of each domain's batch, a Pair of [batch, terms]. The members learn (1 - gamma) psi, which is of
        phi's own size.
        """
        t, paid = batches.source, batches.target.reward
        rows = self._rows(state, t.obs, t.action)
        state = state._replace(
            inputs=follow(state.inputs, rows, self.standardise),
            terms=follow(state.terms, terms.source, self.standardise),
        )
        after = self._answers(state, state.slow, t.next_obs, source_act(t.next_obs))
        alive = (1.0 - t.terminated.astype(jnp.float32))[:, None]
        goal = (1.0 - discount) * self.features(state, terms.source) + discount * alive * after

        def loss(members: Layers) -> Array:
            return jnp.mean((self._answers(state, members, t.obs, t.action) - goal) ** 2)

        value, grads = jax.value_and_grad(loss)(state.members)
        step, optimiser = self._optimiser().update(grads, state.optimiser)
        members: Layers = optax.apply_updates(state.members, step)  # type: ignore[assignment]
        phi = self.features(state, terms.target)
        return state._replace(
            members=members,
            slow=jax.tree.map(lambda old, new: old + SLOW * (new - old), state.slow, members),
            optimiser=optimiser,
            square=MEMORY * state.square + (1.0 - MEMORY) * phi.T @ phi / len(phi),
            product=MEMORY * state.product + (1.0 - MEMORY) * phi.T @ paid / len(phi),
            least=jnp.minimum(state.least, paid.min()),
            most=jnp.maximum(state.most, paid.max()),
            discount=jnp.asarray(discount, jnp.float32),
        ), {"gap_loss": value}

    def judge(self, state: SuccessorState, held_out: Metrics) -> SuccessorState:
        """Fit w to what was seen of the target's rewards by now."""
        size = jnp.sqrt(jnp.diagonal(state.square)) + 1e-8  # each feature counts in its own: a square may be large
        square = state.square / jnp.outer(size, size) + RIDGE * jnp.eye(len(size))
        return state._replace(weights=jnp.linalg.solve(square, state.product / size) / size)

    def features(self, state: SuccessorState, terms: Array) -> Array:
        """phi, [..., 1 + 2 terms], of stored terms."""
        x = state.terms.scaled(terms)
        return jnp.concatenate([jnp.ones_like(x[..., :1]), x, x**2], axis=-1)

    def psi(self, state: SuccessorState, obs: Array, action: Array) -> Array:
        """The discounted sum of phi to come under the source policy after an action, [members, ..., features]."""
        return self._answers(state, state.members, obs, action) / (1.0 - state.discount)

    def worth(self, state: SuccessorState, obs: Array, action: Array) -> Array:
        """What the source policy would earn of the target's reward after actions [..., action], [...]: the least of the
        members, within what the rewards seen could come to."""
        value = (self.psi(state, obs, action) @ state.weights).min(axis=0)
        return jnp.clip(value, state.least / (1.0 - state.discount), state.most / (1.0 - state.discount))

    def score(self, state: SuccessorState, batch: Transition, **extra: Any) -> Array:
        """`worth` of each step's action, [batch]: no likeness of dynamics, so nothing weighs or penalises by it."""
        return self.worth(state, batch.obs, batch.action)

    def evaluate(self, state: SuccessorState, batches: Pair[Transition], *, terms: Any = None, **extra: Any) -> Metrics:
        """`gap_explained`: the share of the variance of the target's rewards that w explains, on steps kept from
        training; 1 = the task is a sum of the features."""
        paid = batches.target.reward
        left = jnp.mean((self.features(state, terms.target) @ state.weights - paid) ** 2)
        return {"gap_explained": 1.0 - left / (jnp.var(paid) + 1e-8)}

    def _rows(self, state: SuccessorState, obs: Array, action: Array) -> Array:
        return jnp.concatenate([obs, jnp.clip(action, state.low, state.high)], axis=-1)

    def _answers(self, state: SuccessorState, members: Layers, obs: Array, action: Array) -> Array:
        """[members, ..., features]."""
        x = state.inputs(self._rows(state, obs, action))
        return jax.vmap(lambda member: mlp(member, x, silu))(members)

    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)
