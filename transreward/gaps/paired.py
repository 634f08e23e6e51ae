"""Paired differences: what would the source have done in this very step?

Each target step (s, a, r_T, s'_T) is taken once more in the source's simulator, from the same state with the same
action, which gives r_S and s'_S. The difference is a sample of the shift itself, without the noise that a classifier
has to see through; an ensemble of small networks learns it,

    d(s, a, s'_S) = (s'_T - s'_S,  r_T - r_S)

so that what a source step would have been in the target can be said: s'_S + d. The simulator's own answer s'_S is known
before d is asked for, and tells of contacts what (s, a) alone would hide. No paper has this form that we know of;
its nearest relatives are grounded simulation (Hanna and Stone 2017) and learned delta actions (He et al. 2025, ASAP).

How far the ensemble is trusted is measured: the share of the shift's effect on the critic's targets which it explains
on pairs kept from its training, times its agreement with itself at the step in question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.nn import silu

from transreward.gaps.features import split, step_rows
from transreward.gaps.gap import Gap
from transreward.gaps.settings import require_settings
from transreward.networks import Normaliser, mlp, mlp_init
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition

MEMORY = 0.9  # share of the old trust in the new, per look at the held-out pairs


class PairedState(NamedTuple):
    """One seed's ensemble."""

    members: Any  # Layers with a leading axis of members
    optimiser: Any
    steps: Normaliser  # over [s, a, s'_S - s]
    differences: Normaliser  # over d, whose spread alone is used: no difference must stay no difference
    explained: Array  # [] share of the shift that held-out pairs say is explained, averaged over the latest looks
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Paired(Gap):
    """Settings of the paired difference."""

    members: int = 3  # networks that learn the same and differ in their start and their steps
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    learning_rate: float = 1e-3  # of the optimiser
    batch: int = 256  # pairs per update
    weight_decay: float = 1e-4  # of AdamW
    tolerance: float = 0.5  # variance between members, in units of d's own, at which a step is not trusted at all

    name = "paired"
    offers = ("score", "differences")
    needs = ("counterpart", "value", "discount", "source_model")
    noise_floor = 0.05  # score spread below which it is noise

    def __post_init__(self) -> None:
        require_settings(self)
        if self.members < 2:
            raise RequestError(
                f"gap.members must be at least 2, for they are asked how far they agree, not {self.members}"
            )

    def init(self, key: Key, spaces: Spaces) -> PairedState:
        """A fresh ensemble for one seed; it starts at 'no difference', and untrusted."""
        sizes = (2 * spaces.obs + spaces.action, *self.hidden, spaces.obs + 1)
        members = jax.vmap(lambda k: mlp_init(k, sizes, last_scale=0.0))(jax.random.split(key, self.members))
        steps, differences = Normaliser.start(2 * spaces.obs + spaces.action), Normaliser.start(spaces.obs + 1)
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        return PairedState(members, self._optimiser().init(members), steps, differences, jnp.zeros(()), *bounds)

    def update(
        self, state: PairedState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[PairedState, Metrics]:
        """One step of least squares; each member sees its own rows, drawn with replacement from the batch.

        The extra `counterpart` is the target batch as the source took it.
        """
        rows, d, known = _pairs(state, batches.target, extra["counterpart"])
        state = state._replace(steps=state.steps.see(rows), differences=state.differences.see(d))
        drawn = jax.random.randint(key, (self.members, len(d)), 0, len(d))
        x, y = state.steps(rows)[drawn], (d / _spread(state))[drawn]

        def loss(members: Any) -> Array:
            error = jnp.mean((jax.vmap(_predict)(members, x) - y) ** 2, axis=-1)
            return jnp.sum(error * known[drawn]) / jnp.maximum(known[drawn].sum(), 1.0)

        value, grads = jax.value_and_grad(loss)(state.members)
        step, optimiser = self._optimiser().update(grads, state.optimiser, state.members)
        return state._replace(members=optax.apply_updates(state.members, step), optimiser=optimiser), {
            "gap_loss": value
        }

    def differences(self, state: PairedState, batch: Transition, source_model: Any = None) -> Array:
        """What each member says of d at source steps, [members, n, obs + 1], the reward's last.

        Where the counterparts are a model's, d is what the target does beyond the *model*. So a step that the source
        has truly taken is looked up as the model's, and what the model errs by there is taken off again: from the
        step's successor, d then leads to the model's own plus d, and its error cancels.
        """
        base = _as_paired(state, batch, source_model)
        x = state.steps(step_rows(base, state.low, state.high))
        d = jax.vmap(_predict, (0, None))(state.members, x) * _spread(state)
        return d if source_model is None else d + _change(base, batch)

    def effect(self, d: Array, batch: Transition, value: Any, discount: float) -> Array:
        """What differences d [batch, obs + 1] change in the critic's targets of source steps, [batch]:
        d_r + gamma [V(s' + d_s) - V(s')], V = 0 where the task ended."""
        alive = discount * (1.0 - batch.terminated)
        return d[..., -1] + alive * (value(batch.next_obs + d[..., :-1]) - value(batch.next_obs))

    def score(self, state: PairedState, batch: Transition, **extra: Any) -> Array:
        """-size of the difference in next state, [batch], in units of the spread of the changes s'_S - s."""
        d = self.differences(state, batch, extra.get("source_model")).mean(axis=0)[..., :-1]
        spread = split(jnp.sqrt(state.steps.var), state.low.shape[-1])[1]
        return -jnp.sqrt(jnp.mean((d / (spread + 1e-6)) ** 2, axis=-1))

    def trust(self, state: PairedState, batch: Transition, source_model: Any = None) -> Array:
        """How far the difference is to be believed at each step, [batch] in [0, 1].

        A branch is stored corrected, so it is asked about as if its successor were the source's: near enough to see
        where the members part.
        """
        apart = self.differences(state, batch, source_model).var(axis=0, ddof=1) / _spread(state) ** 2
        agreed = 1.0 - apart.mean(axis=-1) / self.tolerance
        return state.explained * jnp.clip(agreed, 0.0, 1.0)

    def evaluate(self, state: PairedState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """On pairs kept from training, the share of the differences that is explained (1 = all, 0 = as good as saying
        that there is none): in standardised units, and of what they change in the critic's targets."""
        t, counterpart = batches.target, extra["counterpart"]
        _, d, known = _pairs(state, t, counterpart)
        guess = self.differences(state, counterpart).mean(axis=0)
        step = counterpart._replace(terminated=t.terminated)
        true_worth, guessed_worth = (self.effect(x, step, extra["value"], extra["discount"]) for x in (d, guess))
        spread = _spread(state)
        return {
            "gap_explained": _explained(d / spread, guess / spread, known[:, None]),
            "gap_value_explained": _explained(true_worth, guessed_worth, known),
            "gap_trust": jnp.mean(self.trust(state, counterpart)),
        }

    def judge(self, state: PairedState, held_out: Metrics) -> PairedState:
        """Let the trust follow what `evaluate` found."""
        now = jnp.clip(held_out["gap_value_explained"], 0.0, 1.0)
        return state._replace(explained=MEMORY * state.explained + (1.0 - MEMORY) * now)

    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adamw(self.learning_rate, weight_decay=self.weight_decay)


def _pairs(state: PairedState, t: Transition, counterpart: Transition) -> tuple[Array, Array, Array]:
    """The counterparts' rows [n, ...], the target's differences from them [n, obs + 1], and which are known [n]."""
    return step_rows(counterpart, state.low, state.high), _change(t, counterpart), 1.0 - counterpart.truncated


def _change(t: Transition, other: Transition) -> Array:
    """What t does and pays beyond the other, [..., obs + 1]."""
    return jnp.concatenate([t.next_obs - other.next_obs, (t.reward - other.reward)[..., None]], axis=-1)


def _as_paired(state: PairedState, t: Transition, source_model: Any) -> Transition:
    """Source steps as what makes the counterparts takes them."""
    if source_model is None:
        return t
    said = source_model(t.obs, jnp.clip(t.action, state.low, state.high))
    return t._replace(next_obs=t.obs + said[..., :-1], reward=said[..., -1])


def _spread(state: PairedState) -> Array:
    """Root mean square of each difference; 1 where there is none, so that nothing is blown up."""
    size = jnp.sqrt(state.differences.var + state.differences.mean**2)
    return jnp.where(size > 1e-6, size, 1.0)


def _predict(member: Any, x: Array) -> Array:
    return mlp(member, x, silu)


def _explained(truth: Array, guess: Array, known: Array) -> Array:
    return 1.0 - jnp.sum(known * (truth - guess) ** 2) / jnp.maximum(jnp.sum(known * truth**2), 1e-8)
