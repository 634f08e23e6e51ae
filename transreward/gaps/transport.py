"""Optimal transport (OTDF; Lyu et al. 2025, ICLR): what would it cost to turn this source step into target steps?

Between a batch of source steps and a memory of target steps, of equal weights a and b, the entropic plan P minimises
<P, C> + epsilon * KL(P | a b'). A source step is scored by minus the cost that its row of the plan pays, per unit of
its mass,

    score_i = -sum_j P_ij C_ij / sum_j P_ij,   P_ij / a_i  ~  b_j exp((g_j - C_ij) / epsilon)

so that a row needs the target side's potentials g alone. `update` solves for g (Sinkhorn's iterations on logarithms);
`score` extends the plan to any step, one by one, and what a step scores does not depend on who else is in its batch.
What differs from the paper: rows are standardised, with the change s' - s in place of s', before the cosine; the plan
is renewed with a fresh source batch as the target's memory fills, where the paper solves once for two data sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import logsumexp, softmax

from transreward.gaps.features import follow, step_rows
from transreward.gaps.gap import Gap
from transreward.gaps.memory import Memory, squared_distances
from transreward.gaps.settings import require_settings
from transreward.networks import Normaliser
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition

COSTS = ("cosine", "squared")


class TransportState(NamedTuple):
    """One seed's target steps and their prices."""

    memory: Memory  # of [s, a, s' - s]
    potentials: Array  # [memory], g
    epsilon: Array  # [], the regularisation in units of cost
    scale: Normaliser  # over [s, a, s' - s]; frozen after `standardise` updates
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Transport(Gap):
    """Settings of the transport cost."""

    memory: int = 1024  # target steps kept
    cost: str = (
        "cosine"  # of two standardised rows: 1 - their cosine, or "squared", their distance (mean of dimensions)
    )
    regularisation: float = 0.05  # of the plan, in units of the mean cost
    iterations: int = 10  # of Sinkhorn's, per update; each starts from the last update's potentials
    batch: int = 256  # steps of each domain per update; the plan is solved for the source's
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen

    name = "transport"
    noise_floor = 0.05  # score spread below which it is noise

    def __post_init__(self) -> None:
        require_settings(self)
        if self.cost not in COSTS:
            raise RequestError(f"gap.cost must be {' or '.join(COSTS)}, not {self.cost}")
        if self.memory < self.batch:
            raise RequestError(f"gap.memory must hold at least gap.batch steps, {self.batch}, not {self.memory}")

    def init(self, key: Key, spaces: Spaces) -> TransportState:
        """An empty memory."""
        size = 2 * spaces.obs + spaces.action
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        memory, none = Memory.start(self.memory, size), jnp.zeros(self.memory)
        return TransportState(memory, none, jnp.ones(()), Normaliser.start(size), *bounds)

    def update(
        self, state: TransportState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[TransportState, Metrics]:
        """Remember the target's steps and solve for the plan from this source batch."""
        raw = batches.map(lambda t: step_rows(t, state.low, state.high))
        scale = follow(state.scale, jnp.concatenate(raw), self.standardise)
        state = state._replace(memory=state.memory.put(raw.target), scale=scale)
        cost = self._costs(state, raw.source)
        filled = state.memory.filled
        epsilon = self.regularisation * jnp.sum(cost * filled) / (cost.shape[0] * jnp.sum(filled)) + 1e-6
        state = state._replace(
            potentials=sinkhorn(cost, _log_weights(filled), epsilon, state.potentials, self.iterations), epsilon=epsilon
        )
        plan = _rows_of_plan(state, cost)
        unmet = jnp.sum(jnp.abs(jnp.mean(plan, axis=0) - jnp.exp(_log_weights(filled)))) / 2
        return state, {"gap_loss": jnp.mean(jnp.sum(plan * cost, axis=-1)), "gap_plan_error": unmet}

    def score(self, state: TransportState, batch: Transition, **extra: Any) -> Array:
        """Minus the mean cost of a step's row of the plan, [batch], in units of the cost; 0 before the first update."""
        cost = self._costs(state, step_rows(batch, state.low, state.high))
        paid = jnp.sum(_rows_of_plan(state, cost) * cost, axis=-1)
        return jnp.where(state.memory.count > 0, -paid, 0.0)

    def evaluate(self, state: TransportState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """On steps kept from training: what target steps would pay, the floor, and how much more source steps pay."""
        mean = batches.map(lambda t: jnp.mean(self.score(state, t)))
        return {"gap_held_out_loss": -mean.target, "gap_margin": mean.target - mean.source}

    def _costs(self, state: TransportState, raw: Array) -> Array:
        """[n, 2 obs + action] -> [n, memory]."""
        x, y = state.scale(raw), state.scale(state.memory.rows)
        if self.cost == "squared":
            return squared_distances(x, y) / x.shape[-1]
        x, y = (rows / (jnp.linalg.norm(rows, axis=-1, keepdims=True) + 1e-6) for rows in (x, y))
        return 1.0 - x @ y.T


def sinkhorn(cost: Array, log_b: Array, epsilon: Array, g: Array, iterations: int) -> Array:
    """The potentials g [m] of the entropic plan of `cost` [n, m] between n equal weights and exp(log_b) [m].

    Sinkhorn's iterations on logarithms (Peyré and Cuturi 2019, section 4.4), from a first guess g; the plan is
    exp((f_i + g_j - cost_ij) / epsilon) b_j / n with f the same from the other side.
    """
    log_n = jnp.log(cost.shape[0])

    def sweep(_: Array, g: Array) -> Array:
        f = -epsilon * logsumexp((g - cost) / epsilon + log_b, axis=1)
        return -epsilon * (logsumexp((f[:, None] - cost) / epsilon, axis=0) - log_n)

    return jax.lax.fori_loop(0, iterations, sweep, g)


def _rows_of_plan(state: TransportState, cost: Array) -> Array:
    """Each row of the plan as a distribution over the memory, [n, memory]."""
    return softmax((state.potentials - cost) / state.epsilon + _log_weights(state.memory.filled), axis=-1)


def _log_weights(filled: Array) -> Array:
    """Equal weights of the filled slots, [memory]; -inf elsewhere."""
    return jnp.where(filled, -jnp.log(jnp.maximum(jnp.sum(filled), 1)), -jnp.inf)
