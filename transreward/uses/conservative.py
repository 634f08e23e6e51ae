"""Conservative: source steps count as far as they are possible in the target, and the critics are pressed down where
they are not (H2O; Niu et al. 2022, arXiv:2206.13464)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import logsumexp

from transreward.feed import Feed
from transreward.gaps.gap import Gap
from transreward.networks import Normaliser
from transreward.types import Array, Key, Metrics, Pair, RequestError, Shaping, Spaces, Transition
from transreward.uses.use import Change, Use, require_strength, score, wanted, weighted

# The paper's loss sums the mean squares of both domains; a critic's here is half of one mean over both.
OF_PAPER = 0.25
NEVER = 1e-30  # of the divergence, so that its logarithm is finite


class ConservativeState(NamedTuple):
    """What is learned for one seed."""

    gap: Any
    seen: Normaliser  # of the target's observations


@dataclass(frozen=True)
class Conservative(Use):
    """A source step counts exp(score), held within [low, 1]. Added to a critic's loss is

        strength * (log sum over source steps of omega exp Q(s, a) - mean over target steps of Q(s, a)) / 4

    with omega the share of the step's u in the batch's and u, held within [0, divergence], the mean of minus the score
    at `draws` successors around its own, as far from it as the target's observations spread (equations 5 and 11; a
    guess of the divergence of source from target at (s, a))."""

    strength: float = 0.01  # of what presses the critics; 0 = weights alone
    low: float = 1e-5  # the least weight of a source step
    divergence: float = 10.0  # the largest u, in nats
    draws: int = 10  # successors that u is the mean over

    name = "conservative"
    pays = False
    shapes = compares = True
    feed = Feed(0.5)
    wants = ("log_ratio",)
    relative = "presses a learner's critics on a batch of both domains and leaves rewards raw"

    def __post_init__(self) -> None:
        require_strength(self.strength)
        if not 0 < self.low < 1:
            raise RequestError(f"use.low must be in (0, 1), not {self.low}")
        if not self.divergence > 0:
            raise RequestError(f"use.divergence must be above 0, not {self.divergence}")
        if self.draws < 1:
            raise RequestError(f"use.draws must be at least 1, not {self.draws}")

    def init(self, gap: Gap | None, key: Key, spaces: Spaces) -> ConservativeState:
        """The gap's state, and that of a target nobody has seen."""
        return ConservativeState(super().init(gap, key, spaces), Normaliser.start(spaces.obs))

    def update(
        self, gap: Gap | None, state: ConservativeState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[ConservativeState, Metrics]:
        """Train the gap; see the target's observations."""
        found, metrics = super().update(gap, state.gap, batches, key, **extra)
        return ConservativeState(found, state.seen.see(batches.target.next_obs)), metrics

    def evaluate(self, gap: Any, state: ConservativeState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """The gap's own judgement."""
        return gap.evaluate(state.gap, batches, **wanted(gap, extra))

    def judge(self, gap: Any, state: ConservativeState, held_out: Metrics) -> ConservativeState:
        """See `Use`."""
        return state._replace(gap=gap.judge(state.gap, held_out))

    def change(self, gap: Gap, state: ConservativeState, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Weights of the source's steps."""
        return weighted(batches, jnp.clip(jnp.exp(score(gap, state.gap, batches.source, extra)), self.low, 1.0))

    def shape(self, gap: Any, state: ConservativeState, **extra: Any) -> Shaping:
        """What presses the critics."""
        if not self.strength:
            return Shaping()

        def press(steps: Transition, q: Array, of_target: Array) -> Array:
            size = self.strength * OF_PAPER
            return size * pressed(q, self._apart(gap, state, steps, extra), of_target)

        return Shaping(press=press)

    def _apart(self, gap: Any, state: ConservativeState, steps: Transition, extra: dict[str, Any]) -> Array:
        """u of steps, [n]. The draws are always the same, so that the loss of a batch is a function of the batch."""
        noise = jax.random.normal(jax.random.key(0), (self.draws, *steps.next_obs.shape))

        def at(noise: Array) -> Array:
            return -score(gap, state.gap, steps._replace(next_obs=steps.next_obs + state.seen.unit * noise), extra)

        return jnp.clip(jax.vmap(at)(noise).mean(axis=0), NEVER, self.divergence)


def pressed(q: Array, u: Array, of_target: Array) -> Array:
    """log sum of omega exp(q) over the source's steps, omega their shares of u, minus the mean of q over the target's;
    0 where a domain has no steps. q, u and of_target are [n]; []."""
    log_u = jnp.where(of_target, -jnp.inf, jnp.log(u))
    n = of_target.sum()
    both = (n > 0) & (n < len(q))
    down = logsumexp(jnp.where(both, log_u + q, q)) - logsumexp(jnp.where(both, log_u, 0.0))
    up = jnp.where(of_target, q, 0.0).sum() / jnp.maximum(n, 1)
    return jnp.where(both, down - up, 0.0)
