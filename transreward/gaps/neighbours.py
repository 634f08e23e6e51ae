"""Nearest neighbours: does this step do what the target's steps from about there do? No network and no training.

Of a memory of target steps take the k whose (s, a) is nearest, all standardised. Let y be a step's change s' - s, and m
and v the mean and the variance of the neighbours' changes, each per dimension. Then

    score = -mean over dimensions of [ (y - m)^2 - (1 + 1/k) v ]

A step that were drawn as its neighbours are would make (y - m)^2 = (1 + 1/k) v on average, so it scores 0 on average,
however noisy or curved the dynamics are there; a step whose change is off by d scores -d^2.
Why not the distance in (s, a, s'): that also grows where (s, a) alone is far from the target's data, and so penalises
where the policy goes and not how the body moves. For the same reason it abstains, with score 0, where (s, a) lies
outside its neighbours, further than `reach` times their own spread: there m would be an extrapolation.
A baseline of our own; DmC (Le Pham Van et al. 2025, arXiv:2507.20499) uses neighbours too, for a ratio of densities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from transreward.gaps.features import follow, split, standardised, step_rows
from transreward.gaps.gap import Gap
from transreward.gaps.memory import Memory, squared_distances
from transreward.gaps.settings import require_settings
from transreward.networks import Normaliser
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition


class NeighboursState(NamedTuple):
    """One seed's target steps."""

    memory: Memory  # of [s, a, s' - s]
    scale: Normaliser  # over the same; frozen after `standardise` updates
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Neighbours(Gap):
    """Settings of the comparison with the nearest target steps."""

    memory: int = 1024  # target steps kept
    k: int = 10  # neighbours a step is compared with
    reach: float = 1.5  # how far outside its neighbours a step may lie, in units of their spread
    batch: int = 64  # steps of each domain per update; the target's go into the memory
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen

    name = "neighbours"
    noise_floor = 0.3  # score spread below which it is noise

    def __post_init__(self) -> None:
        require_settings(self)
        if self.memory < self.batch or not 2 <= self.k < self.memory:
            raise RequestError(
                "gap.memory must hold at least gap.batch steps, and gap.k be 2 or more but fewer than those"
            )

    def init(self, key: Key, spaces: Spaces) -> NeighboursState:
        """An empty memory."""
        size = 2 * spaces.obs + spaces.action
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        return NeighboursState(Memory.start(self.memory, size), Normaliser.start(size), *bounds)

    def update(
        self, state: NeighboursState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[NeighboursState, Metrics]:
        """Remember the target's steps."""
        raw = batches.map(lambda t: step_rows(t, state.low, state.high))
        scale = follow(state.scale, jnp.concatenate(raw), self.standardise)
        return state._replace(memory=state.memory.put(raw.target), scale=scale), {}

    def score(self, state: NeighboursState, batch: Transition, **extra: Any) -> Array:
        """[batch], in squared standard deviations of s' - s; about 0 for a step like the target's, or no opinion."""
        error, expected, trusted = self._compared(state, batch)
        return jnp.where(trusted, expected - error, 0.0)

    def evaluate(self, state: NeighboursState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """On steps kept from training: the error of the neighbours' mean on the target (1 = no better than the mean of
        all steps), how much higher the target scores than the source, and the share of source steps without opinion."""
        error, _, _ = self._compared(state, batches.target)
        _, _, trusted = self._compared(state, batches.source)
        mean = batches.map(lambda t: jnp.mean(self.score(state, t)))
        return {
            "gap_held_out_loss": jnp.mean(error),
            "gap_margin": mean.target - mean.source,
            "gap_abstained": jnp.mean(~trusted),
        }

    def _compared(self, state: NeighboursState, batch: Transition) -> tuple[Array, Array, Array]:
        """The squared error of the neighbours' mean change, what it would be for one of them, and whether to trust it;
        each [batch]."""
        action = state.low.shape[-1]
        sa, change = split(standardised(state.scale, step_rows(batch, state.low, state.high), action), action)
        known_sa, known_change = split(standardised(state.scale, state.memory.rows, action), action)
        distances = jnp.where(state.memory.filled, squared_distances(sa, known_sa), jnp.inf)
        _, nearest = jax.lax.top_k(-distances, self.k)  # [batch, k]
        error, expected = self._against(change, known_change[nearest])
        outside, spread = self._against(sa, known_sa[nearest])
        enough = state.memory.count >= self.k
        return error, expected, enough & (outside <= self.reach**2 * spread)

    def _against(self, x: Array, group: Array) -> tuple[Array, Array]:
        """(x - mean of the group)^2 and what it is on average for one more of the group, mean over dimensions.

        [batch, d], [batch, k, d] -> [batch], [batch].
        """
        error = (x - jnp.mean(group, axis=-2)) ** 2
        expected = (1 + 1 / self.k) * jnp.var(group, axis=-2, ddof=1)
        return jnp.mean(error, axis=-1), jnp.mean(expected, axis=-1)
