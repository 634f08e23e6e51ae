"""The contract of a learner: what improves a policy. It knows no replay, no method and no domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol, Self

import jax
import jax.numpy as jnp

from transreward.bridges.take_up import Ends
from transreward.types import Adjusted, Array, Drawn, Key, Metrics, Pair, Shaping, Spaces, Transition

Adjust = Callable[[Pair[Transition]], Pair[Adjusted]]  # what is paid in place of the raw rewards of steps [n, ...]


class Sample(Protocol):
    """Where a learner has its steps from."""

    def __call__(self, key: Key, n: int, length: int) -> Drawn:
        """`n` windows of `length` successive steps, [windows, length, ...] of each domain in the shares of the feed,
        as `joined` puts them together.

        Of an `on_policy` learner, whatever is asked for: the newest rollout, [steps, robots, ...] in the order of time,
        of the domain that feeds it, and no steps of the other.
        """
        ...


def joined(drawn: Drawn, sides: Pair[Any]) -> Any:
    """The rows [n, ...] of a batch, of what both sides' windows have, [windows, ...] each."""
    n, first = drawn.steps.source.reward.shape[0], drawn.first
    whole = jax.tree.map(lambda s, t: jnp.concatenate([s, t]), *sides)
    return whole if first is None else jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, n), whole)


class Learner:
    """What every learner has. A learner is a frozen dataclass of settings over this class; its state is a separate
    pytree of one seed.

    The attributes are declared with their defaults.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: str
    discount: float
    learning_rate: float
    robots: int  # side by side in the source, per seed
    on_policy: bool = False  # learns from each rollout as it comes, and keeps no steps
    offline: bool = False  # learns from steps that are there, as a method's own learner: it trains no source agent
    takes_advice: bool = False  # does as `shaping` says; others are given none
    takes_over: bool = False  # takes another learner's agent over: `imitate` and `judge`
    random_steps: int = 0  # uniform actions at the start of training from scratch
    warmup_steps: int = 0  # target steps before the first update of an agent that is trained on
    warmup_share: float = 0.1  # the largest share of the target steps that warmup_steps may be
    tuning: ClassVar[tuple[str, ...]] = ()  # settings that count where an agent is trained on, and nowhere else
    networks: ClassVar[tuple[str, ...]] = ()  # settings in which an agent and whoever trains it on must agree
    ends: ClassVar[Ends | None] = None  # what a bridge has to know to take its agents up; None: it cannot
    minibatches: int = 1  # into which a rollout is cut, which is to have as many steps at least

    @property
    def from_scratch(self) -> Self:
        """The settings for training from scratch: those of `tuning` are the defaults."""
        return replace(self, **{f.name: f.default for f in fields(self) if f.name in self.tuning})

    @property
    def updates_per_round(self) -> int:
        """Gradient updates in one round of the loop."""
        raise NotImplementedError

    def round_steps(self, in_target: bool) -> int:
        """Steps per seed that pay for a round's updates."""
        raise NotImplementedError

    def init(self, key: Key, spaces: Spaces) -> Any:
        """A state that has seen nothing, for one seed."""
        raise NotImplementedError

    def act(self, state: Any, obs: Array, noise: Array | None) -> Array:
        """[..., obs] -> [..., action] in the domain's units: without noise the mode, with standard normal noise
        [..., action] a draw."""
        raise NotImplementedError

    def see(self, state: Any, obs: Array) -> Any:
        """The state once newly collected observations [..., obs] are known; a learner may wait until it improves."""
        return state

    def restarted(self, state: Any, spaces: Spaces) -> Any:
        """The same agents, [seeds, ...], whose networks are of other `spaces` now: optimisers as at the start, and the
        box of actions. Asked for where there are `ends`."""
        raise NotImplementedError

    def value(self, state: Any, obs: Array) -> Array:
        """[..., obs] -> [...]: the value of states, in units of the raw reward."""
        raise NotImplementedError

    def q(self, state: Any, obs: Array, action: Array) -> Array:
        """[..., obs], [..., action] -> [...]: the value of actions in the domain's units, in units of the raw reward.
        Asked for where a compensation asks the source agent's critic; a learner of states' values has none."""
        raise NotImplementedError

    def imitate(self, state: Any, obs: Array, action: Array, spread: Array, key: Key) -> tuple[Any, Array]:
        """The state with a policy whose mode at obs [n, obs] is `action` [n, action] in the domain's units, and whose
        noise has the standard deviations `spread` [action] in half-widths. Also how far they are apart then: root mean
        square, in half-widths. Asked for where it `takes_over`."""
        raise NotImplementedError

    def judge(self, state: Any, sample: Sample, adjust: Adjust, key: Key, *, updates: int) -> tuple[Any, Metrics]:
        """Learn from steps what the present policy is worth, which does not change (policy evaluation)."""
        raise NotImplementedError

    def improve(
        self,
        state: Any,
        sample: Sample,
        adjust: Adjust,
        shaping: Shaping,
        key: Key,
        *,
        updates: int,
        done: Array | float = 0.0,
    ) -> tuple[Any, Metrics]:
        """Learn from steps, each paid as `adjust` says at this moment, for so many updates. `done` in [0, 1] is the
        progress of the stage."""
        raise NotImplementedError
