"""Ensembles of probabilistic dynamics models: how likely is this step in the target, or how far off is its value there?

Several networks a domain predict the mean and the variance of the change s' - s, as in PETS (Chua et al. 2018,
arXiv:1805.12114). What their answers are used for is the `form`:

    "likelihood"  score = log p_T(s'|s,a) - log p_S(s'|s,a), each p the even mixture of its members, in nats
    "value"       score = log N(V(s'); mean and std of V over what the target's members expect of s'), as in VGDF
                  (Xu et al. 2023, arXiv:2305.17625, equations 5 and 6)

The second asks whether it matters for the task that the step is unlike the target, and needs the learner's `value`.
What differs from VGDF: each member gives its mean plus and minus one fixed draw of its noise, where the paper draws
afresh; V counts also where the task ended, on both sides of the comparison; steps are standardised, and noise added
while training, so that few target steps do not make sure models, nor a simulator without noise an infinite log-ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from jax.nn import silu, softplus

from transreward.gaps.features import follow, standardised, step_rows
from transreward.gaps.gap import Gap
from transreward.gaps.settings import require_settings
from transreward.networks import Layers, Normaliser, mlp, mlp_init, normal_log_prob
from transreward.types import Array, Key, Metrics, Pair, RequestError, Spaces, Transition

Form = Literal["likelihood", "value"]
Value = Callable[[Array], Array]  # [n, obs] -> [n], in units of the raw reward


class EnsembleState(NamedTuple):
    """One seed's ensembles."""

    members: Pair[Any]  # Layers with a leading axis of members; no source with form "value", which has no use for one
    optimiser: Any
    noise: Array  # [members, obs]: the fixed draws of form "value"
    inputs: Normaliser  # over [s, a, s' - s] of both domains; frozen after `standardise` updates
    low: Array  # [action]
    high: Array  # [action]


@dataclass(frozen=True)
class Ensemble(Gap):
    """Settings of the dynamics ensembles."""

    form: Form = "likelihood"  # of the score: compare the dynamics, or the values that they lead to
    members: int = 5  # of each domain
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    learning_rate: float = 1e-3  # of the optimiser
    batch: int = 256  # steps of each domain per update
    noise: float = 0.1  # std of the noise on the standardised steps while training; smooths the log-ratio
    std_floor: float = 0.05  # least std of a prediction, in units of a change's own spread
    std_ceiling: float = 3.0  # greatest std of a prediction, in the same units
    weight_decay: float = 1e-4  # of AdamW
    standardise: int = 100  # updates during which the standardisation follows the data, before it is frozen

    name = "ensemble"
    offers_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {"log_ratio": {"form": "likelihood"}}
    noise_floor = 5.0  # score spread below which it is noise: a likelihood of few steps is noisy

    def __post_init__(self) -> None:
        require_settings(self)
        if self.form not in get_args(Form):
            raise RequestError(f"gap.form must be likelihood or value, not '{self.form}'")
        if not 0 < self.std_floor < self.std_ceiling:
            raise RequestError("gap.std_floor must be above 0 and below gap.std_ceiling")

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Extras that `score` and `evaluate` need."""
        return ("value",) if self.form == "value" else ()

    @property
    def offers(self) -> tuple[str, ...]:  # type: ignore[override]
        """A log-ratio of the domains, and not of values, by form."""
        return ("score", "log_ratio") if self.form == "likelihood" else ("score",)

    def init(self, key: Key, spaces: Spaces) -> EnsembleState:
        """Fresh members for one seed, the same for both domains: the log-ratio starts at 0, 'cannot tell'."""
        member_key, noise_key = jax.random.split(key)
        sizes = (spaces.obs + spaces.action, *self.hidden, 2 * spaces.obs)
        target = jax.vmap(lambda k: mlp_init(k, sizes))(jax.random.split(member_key, self.members))
        members: Pair[Any] = Pair(None if self.form == "value" else jax.tree.map(jnp.copy, target), target)
        noise = jax.random.normal(noise_key, (self.members, spaces.obs))
        bounds = jnp.asarray(spaces.low, jnp.float32), jnp.asarray(spaces.high, jnp.float32)
        inputs = Normaliser.start(2 * spaces.obs + spaces.action)
        return EnsembleState(members, self._optimiser().init(members), noise, inputs, *bounds)

    def update(self, state: EnsembleState, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[Any, Metrics]:
        """One step of maximum likelihood; each member sees its own rows, drawn with replacement from the batch."""
        raw = batches.map(lambda t: step_rows(t, state.low, state.high))
        state = state._replace(inputs=follow(state.inputs, jnp.concatenate(raw), self.standardise))
        rows_key, noise_key = jax.random.split(key)
        n, d = raw.target.shape
        drawn = jax.random.randint(rows_key, (self.members, n), 0, n)
        noise = self.noise * jax.random.normal(noise_key, (self.members, n, d))  # one for both domains, as the rows
        rows = raw.map(lambda x: standardised(state.inputs, x, state.low.shape[-1])[drawn] + noise)
        loss, grads = jax.value_and_grad(self._loss)(state.members, rows)
        step, optimiser = self._optimiser().update(grads, state.optimiser, state.members)
        state = state._replace(members=optax.apply_updates(state.members, step), optimiser=optimiser)
        return state, {"gap_loss": loss}

    def score(self, state: EnsembleState, batch: Transition, **extra: Any) -> Array:
        """[batch]; "likelihood": in nats, above 0 = more like the target; "value": the log of a density of values."""
        if self.form == "value":
            actual, expected = self._values(state, batch, extra)
            spread = jnp.std(expected, axis=0, ddof=1) + 1e-8
            return normal_log_prob(actual[:, None], expected.mean(axis=0)[:, None], jnp.log(spread)[:, None])
        rows = self._rows(state, batch)
        log_p = state.members.map(lambda members: jax.nn.logsumexp(self._log_prob(members, rows), axis=0))
        return log_p.target - log_p.source

    def evaluate(self, state: EnsembleState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """On steps kept from training: minus the members' mean log-likelihood, and whether the score can be trusted.

        `gap_accuracy`: share of steps told apart by the sign of the score. `gap_value_error`: root mean square error of
        the expected value of the target's steps in units of the expected std; 1 = the std says how far off it is.
        """
        loss = self._loss(state.members, batches.map(lambda t: self._rows(state, t)))
        if self.form == "value":
            actual, expected = self._values(state, batches.target, extra)
            errors = (actual - expected.mean(axis=0)) / (jnp.std(expected, axis=0, ddof=1) + 1e-8)
            return {"gap_held_out_loss": loss, "gap_value_error": jnp.sqrt(jnp.mean(errors**2))}
        score = batches.map(lambda t: self.score(state, t))
        right = (jnp.mean(score.target > 0) + jnp.mean(score.source < 0)) / 2
        return {"gap_held_out_loss": loss, "gap_accuracy": right}

    def _optimiser(self) -> optax.GradientTransformation:
        return optax.adamw(self.learning_rate, weight_decay=self.weight_decay)

    def _rows(self, state: EnsembleState, t: Transition) -> Array:
        """Standardised [s, a, s' - s], the same rows for each member, [members, batch, d]."""
        rows = standardised(state.inputs, step_rows(t, state.low, state.high), state.low.shape[-1])
        return jnp.broadcast_to(rows, (self.members, *rows.shape))

    def _predict(self, members: Layers, sa: Array) -> tuple[Array, Array]:
        """Mean and log std of the standardised change, each [members, batch, obs], from [s, a].

        The variance approaches its bounds softly, as in PETS; the bounds are settings and not learned.
        """
        out = jax.vmap(lambda member, x: mlp(member, x, silu))(members, sa)
        mean, log_var = jnp.split(out, 2, axis=-1)
        low, high = 2 * log(self.std_floor), 2 * log(self.std_ceiling)
        log_var = high - softplus(high - log_var)
        return mean, (low + softplus(log_var - low)) / 2

    def _log_prob(self, members: Layers, rows: Array) -> Array:
        """Each member's log density of the standardised change, [members, batch], in nats."""
        obs = members[-1]["b"].shape[-1] // 2
        return normal_log_prob(rows[..., -obs:], *self._predict(members, rows[..., :-obs]))

    def _loss(self, members: Pair[Any], rows: Pair[Array]) -> Array:
        """Minus the mean log density over steps, members and domains, in nats a step."""
        losses = [-jnp.mean(self._log_prob(m, x)) for m, x in zip(members, rows, strict=True) if m is not None]
        return jnp.mean(jnp.stack(losses))

    def _values(self, state: EnsembleState, t: Transition, extra: dict[str, Value]) -> tuple[Array, Array]:
        """V(s') of the step, [batch], and of what the target's members expect of s', [2 * members, batch]."""
        if "value" not in extra:
            raise RequestError("gap.form value needs the learner's value function: score(state, batch, value=...)")
        size = t.obs.shape[-1]
        mean, log_std = self._predict(state.members.target, self._rows(state, t)[..., :-size])
        spread = jnp.exp(log_std) * state.noise[:, None]
        unit = state.inputs.unit[-size:]
        change = jnp.concatenate([mean + spread, mean - spread]) * unit + state.inputs.mean[-size:]
        next_obs = jnp.concatenate([t.next_obs[None], t.obs + change])  # [1 + 2 * members, batch, obs]
        values = extra["value"](next_obs.reshape(-1, size)).reshape(next_obs.shape[:2])
        return values[0], values[1:]
