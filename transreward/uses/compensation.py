"""A compensation: a gap, what is done with it, and the gate. The learner is paid r + delta(x) with weight w(x)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp

from transreward.gaps.gap import Gap
from transreward.gates.chain import Chain, States
from transreward.types import Adjusted, Array, Key, Metrics, Pair, Shaping, Shared, Spaces, Transition
from transreward.uses.use import Change, Use

UNGATED = Chain()


class CompensationState(NamedTuple):
    """What one seed's compensation has learned."""

    use: Any
    gate: States


@dataclass(frozen=True)
class Compensation:
    """`extra` of its methods is what `wanted` in gaps/gap.py names. Raises RequestError for a gate that does not fit
    the use."""

    gap: Gap | None
    use: Use
    gate: Chain = UNGATED
    shared: Shared | None = field(default=None, kw_only=True)  # of unlike bodies: what their steps are compared by

    def __post_init__(self) -> None:
        if self.use.shapes:
            self.gate.require_shaping(self.use.name)

    @property
    def side(self) -> str:
        """Whose rewards it is meant to change, a field of Pair; the gate follows that side."""
        return self.use.side

    def init(self, key: Key, spaces: Spaces) -> CompensationState:
        """State for one seed."""
        return CompensationState(self.use.init(self.gap, key, spaces), self.gate.start())

    def update(
        self, state: CompensationState, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[CompensationState, Metrics]:
        """Learn from a batch of each domain; the gate follows what the use then adds."""
        batches = self._shown(batches)
        use, metrics = self.use.update(self.gap, state.use, batches, key, **extra)
        if not (self.use.pays and self.gate.transforms):
            return state._replace(use=use), metrics
        delta = getattr(self.use.change(self.gap, use, batches, **extra), self.side).delta
        gate = self.gate.follow(state.gate, delta, batches.source.reward, extra)
        return CompensationState(use, gate), metrics

    def change(self, state: CompensationState, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Delta, through the gate, and weight of the steps of both domains."""
        found = self.use.change(self.gap, state.use, self._shown(batches), **extra)
        changed = found.map(lambda c: c._replace(delta=self.gate.change(state.gate, c.delta, extra)))
        return changed if self.use.both else found._replace(**{self.side: getattr(changed, self.side)})

    def adjust(self, state: CompensationState, batches: Pair[Transition], **extra: Any) -> Pair[Adjusted]:
        """What the learner sees in place of the raw rewards of these steps. With lambda = 0 these themselves."""
        found = self.change(state, batches, **extra)

        def paid(t: Transition, change: Change, side: str) -> Adjusted:
            raw = self.gate.raw(t.reward) if side == self.side else t.reward
            return Adjusted(raw + change.delta if self._pays(side) else raw, change.weight)

        return Pair(*(paid(t, c, side) for t, c, side in zip(batches, found, Pair._fields, strict=True)))

    def evaluate(self, state: CompensationState, batches: Pair[Transition], **extra: Any) -> Metrics:
        """Quality on steps kept from training."""
        return self.use.evaluate(self.gap, state.use, self._shown(batches), **extra)

    def judge(self, state: CompensationState, held_out: Metrics) -> CompensationState:
        """Take in what `evaluate` found, where the gap's trust follows it."""
        return state._replace(use=self.use.judge(self.gap, state.use, held_out))

    def shape(self, state: CompensationState, **extra: Any) -> Shaping:
        """All that reaches the learner beside rewards, through the gate."""
        if not self.use.shapes:
            return Shaping()
        shaping, shared = self.use.shape(self.gap, state.use, **extra), self.shared
        if shared and (press := shaping.press):
            shaping = shaping._replace(press=lambda steps, *rest: press(_alone(shared, steps), *rest))
        return self.gate.shape(shaping, extra)

    def _pays(self, side: str) -> bool:
        return self.use.pays and not self.gate.off and (self.use.both or side == self.side)

    def _shown(self, batches: Pair[Transition]) -> Pair[Transition]:
        """The same steps; where not all of their reward is kept, and of unlike bodies, nothing below sees the rest."""
        if self.shared:
            batches = batches.map(partial(_alone, self.shared))
        if self.use.kept == 1:
            return batches
        steps = getattr(batches, self.side)
        return batches._replace(**{self.side: steps._replace(reward=jnp.zeros_like(steps.reward))})


def _alone(shared: Shared, t: Transition) -> Transition:
    """The transition with 0 in the columns that are not shared."""
    sizes = t.obs.shape[-1], t.action.shape[-1]
    obs, action = (jnp.zeros(n).at[jnp.array(some, int)].set(1) for n, some in zip(sizes, shared, strict=True))
    return t._replace(obs=t.obs * obs, action=t.action * action, next_obs=t.next_obs * obs)


def added(compensation: Compensation, state: CompensationState, batches: Pair[Transition], extra: dict) -> Array:
    """What a compensation adds to the rewards of its side, [batch]."""
    return getattr(compensation.change(state, batches, **extra), compensation.side).delta
