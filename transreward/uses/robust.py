"""Robust: the source's steps earn their reward as far as they are the target's, else an imitation's (DARAIL)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
from jax.nn import softplus

from transreward.gaps.gap import Gap
from transreward.gaps.state import State
from transreward.types import Key, Metrics, Pair, RequestError, Spaces, Transition
from transreward.uses.use import Change, Use, paid, require_strength, require_weights, score
from transreward.uses.weight import held, held_weight


class RobustState(NamedTuple):
    """What DARAIL's reward is made of."""

    gap: Any
    discriminator: Any


@dataclass(frozen=True)
class Robust(Use):
    """Source reward w r + (1 - w) g: as far as the dynamics make a step one of the target's, what it earned; for the
    rest, how much it looks like a demonstration (DARAIL's doubly robust reward; Guo et al. 2024).

    w = exp(score) held within [low, high] and divided by its mean in the batch, which makes g's constant part harmless;
    g = strength * -log(1 - D), with D the discriminator's probability that (s, s') is the teacher's and not the
    learner's own.
    """

    strength: float = 1.0  # of the imitation's reward, in nats
    low: float = 0.1  # the weight is held between this and `high`, before it is divided by its mean
    high: float = 10.0  # the upper of the two bounds
    teach: float = 0.5  # share of both transfer budgets that the teacher takes, whose newest steps are imitated
    newest: float = 0.3  # share of the teacher's source steps that is imitated: the last

    name = "robust"
    wants = ("log_ratio",)
    needs = ("demonstrations",)
    relative = "mixes rewards by weights that are relative to a batch, so that a step alone has none"
    teacher = "penalty(classifier)"
    discriminator: ClassVar[Gap] = State(inputs="state_next")

    def __post_init__(self) -> None:
        require_weights(self.low, self.high)
        if not 0 < self.teach < 1:
            raise RequestError(f"use.teach must be between 0 and 1, not {self.teach}")
        if not 0 < self.newest <= 1:
            raise RequestError(f"use.newest must be in (0, 1], not {self.newest}")
        require_strength(self.strength)

    def init(self, gap: Gap | None, key: Key, spaces: Spaces) -> RobustState:
        """States of the gap and of the discriminator."""
        gap_key, key = jax.random.split(key)
        return RobustState(super().init(gap, gap_key, spaces), self.discriminator.init(key, spaces))

    def update(
        self, gap: Any, state: RobustState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[RobustState, Metrics]:
        """Train the gap on both domains, the discriminator on the demonstrations and on source steps drawn by weight:
        the learner's own steps as the target would have seen them."""
        gap_key, draw_key, update_key = jax.random.split(key, 3)
        found, metrics = super().update(gap, state.gap, batches, gap_key, **extra)
        log_weight = held(score(gap, found, batches.source, extra), self.low, self.high)
        rows = jax.random.categorical(draw_key, log_weight, shape=log_weight.shape)
        shown = Pair(jax.tree.map(lambda x: x[rows], batches.source), extra["demonstrations"])
        discriminator, its = self.discriminator.update(state.discriminator, shown, update_key)
        return RobustState(found, discriminator), {**metrics, "demonstration_loss": its["gap_loss"]}

    def evaluate(self, gap: Gap | None, state: RobustState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """The gap's own judgement, and the share of demonstrations told apart."""
        shown = Pair(batches.source, extra["demonstrations"])
        found = self.discriminator.evaluate(state.discriminator, shown)
        return {
            **super().evaluate(gap, state.gap, batches, **extra),
            "demonstration_accuracy": found["gap_accuracy"],
        }

    def judge(self, gap: Gap | None, state: RobustState, held_out: Metrics) -> RobustState:
        """The gap's own trust, if it has one."""
        return state._replace(gap=super().judge(gap, state.gap, held_out))

    def change(self, gap: Gap, state: RobustState, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """(1 - w) (g - r) of the source's steps."""
        source = batches.source
        w = held_weight(score(gap, state.gap, source, extra), self.low, self.high)
        g = self.strength * softplus(self.discriminator.score(state.discriminator, source))
        return paid(batches, "source", (1.0 - w) * (g - source.reward))
