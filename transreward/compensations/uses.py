"""What is done with a gap: a use turns scores into rewards and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.nn import softplus

from transreward.types import (
    Adjusted,
    Array,
    Key,
    Metrics,
    Pair,
    Spaces,
    State,
    Transition,
)

GOLDEN = (5**0.5 - 1) / 2  # whose multiples fill [0, 1) evenly, also each k-th of them


def wanted(gap: Gap, extra: dict[str, Any]) -> dict[str, Any]:
    """Those extras that a gap asks for in its `needs`, by name. There are:

    value         [n, obs] -> [n], the learner's state value now, in units of the raw reward
    source_value  the same of the source agent, as it was when the transfer began
    act           [n, obs] -> [n, action], what the learner would do now, without noise
    source_act    the same of the source agent
    source_model  [n, obs], [n, action] -> [n, obs + 1]: s' - s and r of source steps, by a model, where no simulator
                  made the counterparts; else None
    discount      the learner's
    done          [], share of the transfer that is over
    counterpart   of `update` and `evaluate` alone: the target batch's steps as the source's simulator took them, from
                  the same states with the same actions; truncated = 1 where the state could not be rebuilt
    demonstrations  of `update` and `evaluate` alone: a batch of the newest source steps of the method's teacher
    terms         of the same: what both domains stored beside each step of the batch, Pair of [n, terms]
    """
    return {name: extra[name] for name in getattr(gap, "needs", ())}


class Gap(Protocol):
    """An estimator of how unlike the target a source step is. Settings are frozen; the state is a separate pytree.

    A gap may have `needs`, names of extras (see `wanted`), which come as keywords to update, score and evaluate;
    `noise_floor`, the spread below which its score is noise (1 without it); `pace`, its updates for each of the
    learner's, where one would be more than it needs (1 without it); and `offers`, what a use may want of it, by the
    names of OFFERS in methods.py (a score without it): methods that it has beyond these, or what its score is.
    """

    name: ClassVar[str]

    @property
    def batch(self) -> int:
        """Steps of each domain per update."""
        ...

    def init(self, key: Key, spaces: Spaces) -> Any:
        """State for one seed."""
        ...

    def update(self, state: Any, batches: Pair[Transition], key: Key) -> tuple[Any, Metrics]:
        """One training step on a batch of each domain."""
        ...

    def score(self, state: Any, batch: Transition) -> Array:
        """[batch]; larger = more like the target's dynamics."""
        ...

    def evaluate(self, state: Any, batches: Pair[Transition]) -> Metrics:
        """Quality on steps kept from training."""
        ...


class Compensation(Protocol):
    """A use over a gap, or a wrapper over a compensation. `extra`: see `wanted`."""

    hooks: ClassVar[tuple[str, ...]]  # its methods that a learner is told of: advise, teach, rival (see SAC.improve)

    @property
    def side(self) -> str:
        """Whose rewards it is meant to change, a field of Pair; the wrappers follow that side."""
        ...

    def init(self, key: Key, spaces: Spaces) -> Any:
        """State for one seed."""
        ...

    def update(self, state: Any, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[Any, Metrics]:
        """Learn from a batch of each domain."""
        ...

    def adjust(self, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """What the learner sees in place of the raw rewards of these steps."""
        ...

    def evaluate(self, state: Any, batches: Pair[Transition], **extra: Any) -> Metrics:
        """Quality of the gap on steps kept from training."""
        ...

    def judge(self, state: Any, held_out: Metrics) -> Any:
        """Take in what `evaluate` found, where the gap's trust follows it (its own `judge`)."""
        ...


def untouched(t: Transition) -> Adjusted:
    """Raw reward, full weight."""
    return Adjusted(t.reward, jnp.ones_like(t.reward))


def faded(over: float, done: Array) -> Array:
    """What is left, [] in [0, 1], of something that falls linearly over the share `over`; 0 = it stays."""
    return jnp.maximum(1.0 - done / over, 0.0) if over else jnp.ones_like(done)


@dataclass(frozen=True)
class Unchanged:
    """No compensation: the plain learner."""

    hooks: ClassVar[tuple[str, ...]] = ()

    @property
    def side(self) -> str:
        """The source's, but for a use that says otherwise."""
        return "source"

    def init(self, key: Key, spaces: Spaces) -> State:
        """Nothing to keep."""
        return ()

    def update(self, state: State, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[State, Metrics]:
        """Nothing to learn."""
        return state, {}

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Raw rewards."""
        return batches.map(untouched)

    def evaluate(self, state: State, batches: Pair[Transition], **extra: Any) -> Metrics:
        """Nothing to judge."""
        return {}

    def judge(self, state: State, held_out: Metrics) -> State:
        """Nothing to take in."""
        return state


@dataclass(frozen=True)
class OverGap(Unchanged):
    """Abstract: trains a gap; what is done with its score is `adjust`."""

    gap: Gap

    def init(self, key: Key, spaces: Spaces) -> State:
        """The gap's state."""
        return self.gap.init(key, spaces)

    def update(self, state: State, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[State, Metrics]:
        """Train the gap."""
        return self.gap.update(state, batches, key, **wanted(self.gap, extra))

    def evaluate(self, state: State, batches: Pair[Transition], **extra: Any) -> Metrics:
        """The gap's own judgement."""
        return self.gap.evaluate(state, batches, **wanted(self.gap, extra))

    def judge(self, state: State, held_out: Metrics) -> State:
        """The gap's own trust, if it has one."""
        judge = getattr(self.gap, "judge", None)
        return state if judge is None else judge(state, held_out)

    def score(self, state: State, batch: Transition, extra: dict[str, Any]) -> Array:
        """The gap's score, [batch]."""
        return self.gap.score(state, batch, **wanted(self.gap, extra))

    def _reweighted(self, batches: Pair[Transition], weight: Array) -> Pair[Adjusted]:
        plain = batches.map(untouched)
        return plain._replace(source=plain.source._replace(weight=weight))


@dataclass(frozen=True)
class Penalty(OverGap):
    """Source reward r + score; target rewards stay raw.

    A negative score is a penalty on what the target cannot do, a positive one a bonus. Its strength (lambda) is the
    wrapper `Times`, so that it can come after the scaling.
    """

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Add the score to the source's rewards."""
        plain = batches.map(untouched)
        reward = batches.source.reward + self.score(state, batches.source, extra)
        return plain._replace(source=plain.source._replace(reward=reward))


@dataclass(frozen=True)
class Imitation(OverGap):
    """Target reward r + g, with g = z or softplus(z) of z = -score: how much the step looks like one of the source's.

    With D = sigmoid(z), the probability that a step is a demonstration, `logit` is log D - log(1 - D) (Fu et al. 2018)
    and `softplus` is -log(1 - D) (Ho and Ermon 2016). The second is above 0 everywhere, which pays for staying alive
    whatever one does there, and is flat where no step looks like the source's, as after a large shift. The first has
    the same slope everywhere; on the learner's own steps its mean is minus a divergence, which would pay for dying, and
    so it wants to be centred.

    Source rewards stay raw. They are not to train the learner: where they are mixed in all the same, its critic learns
    the task's reward from them and the imitation's from the target's steps, which agree only by chance.
    """

    form: Literal["logit", "softplus"] = "logit"

    @property
    def side(self) -> str:
        """The target's."""
        return "target"

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Pay the target's steps."""
        plain, likeness = batches.map(untouched), -self.score(state, batches.target, extra)
        paid = likeness if self.form == "logit" else softplus(likeness)
        return plain._replace(target=plain.target._replace(reward=batches.target.reward + paid))


@dataclass(frozen=True)
class Blend(OverGap):
    """Target reward r + lambda * k * score, with k in [0, 1] the gap's `likeness` at the step; source rewards stay raw.

    With a model of the source's reward, score = r_S - r, this is (1 - lambda k) r + lambda k r_S: a mean of two tasks'
    rewards, and at lambda k = 1 the source's task alone.
    """

    gap: Any  # one with `likeness`
    strength: float
    by: str  # what the likeness is judged by

    @property
    def side(self) -> str:
        """The target's."""
        return "target"

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Blend into the target's rewards."""
        plain, target = batches.map(untouched), batches.target
        if not self.strength:
            return plain
        share = self.strength * self.gap.likeness(state, target, self.by)
        return plain._replace(
            target=plain.target._replace(reward=target.reward + share * self.score(state, target, extra))
        )


@dataclass(frozen=True)
class Relabel(OverGap):
    """Source reward: what a model of the target's reward says of the step, less `pessimism` times how far its members
    are apart there; target rewards stay raw."""

    gap: Any  # one with `careful`
    pessimism: float

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Pay the source's steps as the target would."""
        plain = batches.map(untouched)
        paid = self.gap.careful(state, batches.source, self.pessimism)
        return plain._replace(source=plain.source._replace(reward=paid))


@dataclass(frozen=True)
class Weight(OverGap):
    """Source steps count exp(score), held within [low, high] and then divided by their mean in the batch.

    Importance weights of the dynamics where the score is a log-ratio (DARC's baseline; Eysenbach et al. 2021, section
    5). Self-normalised, so that the weights do not change the size of the learner's steps.
    """

    low: float
    high: float

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Weight the source's steps."""
        weight = held_weight(self.score(state, batches.source, extra), self.low, self.high)
        return self._reweighted(batches, weight)


@dataclass(frozen=True)
class Filter(OverGap):
    """Only the `keep` of the source's steps that score best in the batch count; and a share `floor` anyway.

    The floor keeps some of everything, so that the critic is not left without any step of a region that the gap judges
    wrongly. Steps kept count 1, as in VGDF (Xu et al. 2023), so a filtered batch has less to say.
    """

    keep: float
    floor: float

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Weight the source's steps 1 or 0."""
        score = self.score(state, batches.source, extra)
        kept = score >= jnp.quantile(score, 1.0 - self.keep)
        if self.floor:  # every k-th row would be whole windows or robots where k divides their number
            kept |= jnp.arange(len(score)) * GOLDEN % 1.0 < self.floor
        return self._reweighted(batches, kept.astype(score.dtype))


class RobustState(NamedTuple):
    """What DARAIL's reward is made of."""

    gap: Any
    discriminator: Any


@dataclass(frozen=True)
class Robust(OverGap):
    """Source reward w r + (1 - w) g: as far as the dynamics make a step one of the target's, what it earned; for the
    rest, how much it looks like a demonstration (DARAIL's doubly robust reward; Guo et al. 2024).

    w = exp(score) held within [low, high] and divided by its mean in the batch, which makes g's constant part harmless;
    g = strength * -log(1 - D), with D the discriminator's probability that (s, s') is the teacher's and not the
    learner's own.
    """

    discriminator: Gap
    low: float
    high: float
    strength: float

    def init(self, key: Key, spaces: Spaces) -> RobustState:
        """Both states."""
        gap_key, key = jax.random.split(key)
        return RobustState(self.gap.init(gap_key, spaces), self.discriminator.init(key, spaces))

    def update(
        self, state: RobustState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[RobustState, Metrics]:
        """Train the gap on both domains, the discriminator on the demonstrations and on source steps drawn by weight:
        the learner's own steps as the target would have seen them."""
        gap_key, draw_key, update_key = jax.random.split(key, 3)
        gap, metrics = super().update(state.gap, batches, gap_key, **extra)
        log_weight = held(self.score(gap, batches.source, extra), self.low, self.high)
        rows = jax.random.categorical(draw_key, log_weight, shape=log_weight.shape)
        shown = Pair(jax.tree.map(lambda x: x[rows], batches.source), extra["demonstrations"])
        discriminator, found = self.discriminator.update(state.discriminator, shown, update_key)
        return RobustState(gap, discriminator), {**metrics, "demonstration_loss": found["gap_loss"]}

    def evaluate(self, state: RobustState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """The gap's own judgement, and the share of demonstrations told apart."""
        shown = Pair(batches.source, extra["demonstrations"])
        found = self.discriminator.evaluate(state.discriminator, shown)
        return {
            **super().evaluate(state.gap, batches, **extra),
            "demonstration_accuracy": found["gap_accuracy"],
        }

    def judge(self, state: RobustState, held_out: Metrics) -> RobustState:
        """The gap's own trust, if it has one."""
        return state._replace(gap=super().judge(state.gap, held_out))

    def adjust(self, state: RobustState, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Mix both rewards on the source's steps."""
        plain, source = batches.map(untouched), batches.source
        w = held_weight(self.score(state.gap, source, extra), self.low, self.high)
        g = self.strength * softplus(self.discriminator.score(state.discriminator, source))
        return plain._replace(source=plain.source._replace(reward=w * source.reward + (1.0 - w) * g))


def held(score: Array, low: float, high: float) -> Array:
    """The score whose exp is held within [low, high], [batch]."""
    return jnp.clip(score, jnp.log(low), jnp.log(high))


def held_weight(score: Array, low: float, high: float) -> Array:
    """exp(score) held within [low, high] and divided by its mean, [batch]."""
    weight = jnp.exp(held(score, low, high))
    return weight / jnp.maximum(weight.mean(), 1e-8)


@dataclass(frozen=True)
class Trust(OverGap):
    """Source steps count as far as a gap of differences is trusted at each; what they lose, the target's steps gain.

    Where nothing is trusted the learner is left with the target's steps alone, which is fine-tuning.
    """

    gap: Any  # one with `differences`, `trust` and `effect`

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Weight both domains' steps."""
        weight = self.gap.trust(state, batches.source, source_model=extra.get("source_model"))
        target = jnp.ones_like(batches.target.reward)
        if target.size:
            target += (1.0 - weight).sum() / target.size
        return Pair(Adjusted(batches.source.reward, weight), Adjusted(batches.target.reward, target))


@dataclass(frozen=True)
class Bellman(Trust):
    """Source reward r + d_r(s, a) + gamma [V(s' + d_s(s, a)) - V(s')], with V the learner's value and d the gap's
    difference: the critic's target is then what the target's physics would give. Weighted as `Trust`.
    """

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Correct the source's rewards."""
        source, target = super().adjust(state, batches, **extra)
        d = self.gap.differences(state, batches.source, source_model=extra.get("source_model")).mean(axis=0)
        delta = self.gap.effect(d, batches.source, extra["value"], extra["discount"])
        return Pair(source._replace(reward=source.reward + delta), target)


@dataclass(frozen=True)
class Potential(Unchanged):
    """gamma Phi(s') - Phi(s) on both sides, with Phi the source agent's value and Phi = 0 where the task ended.

    It changes no optimal policy (Ng, Harada and Russell 1999, theorem 1), also where its strength moves between updates
    (Devlin and Kudenko 2012): both terms of an update see one potential. Truncation is no end: Phi(s') counts there.
    """

    def adjust(self, state: State, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """Shape both domains' rewards."""
        value, discount = extra["source_value"], extra["discount"]

        def shape(t: Transition) -> Adjusted:
            after = jnp.where(t.terminated.astype(bool), 0.0, value(t.next_obs))
            return Adjusted(t.reward + discount * after - value(t.obs), jnp.ones_like(t.reward))

        return batches.map(shape)


@dataclass(frozen=True)
class OfSourcePolicy(Unchanged):
    """Abstract: looks at how far an action is from the source policy's, and falls to nothing over the share `fade`."""

    strength: float
    fade: float

    @property
    def side(self) -> str:
        """The target's."""
        return "target"

    def init(self, key: Key, spaces: Spaces) -> Array:
        """Half the side of the action box, [action]."""
        return jnp.asarray(spaces.half_width)

    def left(self, extra: dict[str, Any]) -> Array:
        """lambda as it is by now, []."""
        return self.strength * faded(self.fade, extra["done"])

    def apart(self, unit: Array, obs: Array, action: Array, extra: dict[str, Any]) -> Array:
        """Mean square of the distance in `unit`s [action], [...]."""
        return jnp.mean(((action - extra["source_act"](obs)) / unit) ** 2, axis=-1)


@dataclass(frozen=True)
class Advice(OfSourcePolicy):
    """A potential over state and action: lambda * exp(-d / 2), with d the mean square of the action's distance from the
    source policy's, in `width`s of half the box. It is the likelihood of the action beside that of the source policy's
    own, for a normal of that width around it: in [0, lambda].

    Rewards stay raw. With F = gamma Phi(s', a') - Phi(s, a), a' the action that follows, Q becomes Q - Phi, so one has
    to act by Q + Phi (look-ahead advice; Wiewiora, Cottrell and Elkan 2003). Both are had at once where the learner
    adds `advise` to what its critics say, and so they learn Q - Phi: F then needs no reward of its own.
    """

    width: float

    hooks: ClassVar[tuple[str, ...]] = ("advise",)

    def advise(self, state: Array, obs: Array, action: Array, **extra: Any) -> Array:
        """Phi, [...], of obs [..., obs] and actions [..., action], in units of the raw reward."""
        apart = self.apart(self.width * state, obs, action, extra)
        return self.left(extra) * jnp.exp(-0.5 * apart)


@dataclass(frozen=True)
class Kickstart(OfSourcePolicy):
    """The actor is drawn to the source policy: lambda * d, with d the mean square of the action's distance from the
    source policy's, in halves of the box. Up to a constant it is the cross-entropy between the learner's policy and a
    normal around the source policy's action. Rewards stay raw, and so do the critics."""

    hooks: ClassVar[tuple[str, ...]] = ("teach",)

    def teach(self, state: Array, obs: Array, action: Array, **extra: Any) -> Array:
        """What actions [..., action] at obs [..., obs] cost the actor, [...], in units of the mean size of Q."""
        return self.left(extra) * self.apart(state, obs, action, extra)


@dataclass(frozen=True)
class Gpi(OverGap):
    """Generalised policy improvement over the learner's policy and the source's: an action is worth the more of what
    the learner's critics say and of what the source policy would earn from there (Barreto et al. 2017, theorem 1).

    Rewards stay raw. The source policy's value is asked until the share `fade` of the transfer is over, 0 = to its end.
    """

    gap: Any  # one with `worth`
    fade: float

    hooks: ClassVar[tuple[str, ...]] = ("rival",)

    @property
    def side(self) -> str:
        """The target's."""
        return "target"

    def rival(self, state: State, obs: Array, action: Array, **extra: Any) -> Array:
        """What the critics' values of actions [..., action] are compared with, [...]; -infinity once it is over."""
        worth = self.gap.worth(state, obs, action)
        return jnp.where(extra["done"] < self.fade, worth, -jnp.inf) if self.fade else worth
