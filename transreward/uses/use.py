"""The contract of a use: what is done with a gap, or with what the source agent knows."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from transreward.feed import Feed
from transreward.gaps import offering
from transreward.gaps.gap import Gap, unwritten, wanted
from transreward.gates.chain import Gate
from transreward.gates.transforms import Transform
from transreward.types import Array, Key, Metrics, Pair, RequestError, Shaping, Spaces, Transition


class Change(NamedTuple):
    """What a use makes of steps: each is paid r + delta and counts with a weight."""

    delta: Array  # [batch]
    weight: Array  # [batch], 1 = counts fully


def unchanged(t: Transition) -> Change:
    """No delta, full weight."""
    return Change(jnp.zeros_like(t.reward), jnp.ones_like(t.reward))


class Use:
    """What every use has. A use is a frozen dataclass of settings over this class; its state is a separate pytree.

    The attributes are declared with their defaults. `gap` is what the use is made over, or None where it `wants`
    nothing; `extra` is what `wanted` in gaps/gap.py names.
    """

    name: str
    side: str = "source"  # whose steps show what it does, a field of Pair
    both: bool = False  # whether it changes the rewards of the other side's steps in the same way
    pays: bool = True  # whether it changes rewards at all
    shapes: bool = False  # whether it tells the learner of actions, which then has to take advice
    wants: tuple[str, ...] = ()  # what the gap must offer, one of these (OFFERS in gaps/gap.py); () = it has no gap
    of: str = ""  # without a gap: the part of the source agent that it looks at
    needs: tuple[str, ...] = ()  # extras that it asks for itself
    compares: bool = False  # looks at steps of both domains in each of the learner's batches
    relabels: bool = False  # pays the source's steps as the target would: without a gap where that can be computed
    cotrains: bool = False  # makes sense between two agents that learn at once
    corrects: bool = False  # judges source steps that its gap has corrected, so that branches may feed the learner
    horizon: int = 0  # control steps that the learner looks ahead; 0 = as far as its discount says
    relative: str = ""  # why a step alone has no compensation of its own; "" = it has
    # what a cell use(gap) chooses where nobody says otherwise
    start: Literal["source", "nothing", "ceiling"] = "source"  # see Method.start
    feed: Feed = Feed(0.0)
    teacher: str | None = None  # the method that takes the first part of the transfer, and is then imitated
    # of a teacher
    teach: float = 0.0  # the share of both transfer budgets that it takes
    newest: float = 1.0  # the share of its source steps that is imitated: the last

    @property
    def kept(self) -> float:
        """Share of the raw reward that the learner is still paid on the side that the use changes."""
        return 1.0

    @property
    def sight(self) -> float:
        """What a horizon makes of the learner's discount: a factor in (0, 1]."""
        return 1.0 - 1.0 / self.horizon if self.horizon else 1.0

    def gate(self, gap: Gap | None) -> Gate | None:
        """The gate that a cell of this use chooses; None: it has none."""
        return None

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """What is done to delta, first to last. Raises RequestError for settings out of range."""
        return ()

    def require(self, gap: Gap | None) -> None:
        """Raise RequestError for a gap that has nothing that the use wants, or lacks a method of the contract."""
        if gap is None:
            if self.wants and not self.relabels:
                raise RequestError(f"'{self.name}' needs {offering(self.wants)}")
        elif not self.wants:
            raise RequestError(f"'{self.name}' is of the source agent's {self.of}, and has no gap, so not {gap.name}")
        elif not set(self.wants) & set(gap.offers):
            raise RequestError(f"'{self.name}' needs {offering(self.wants)}, not {gap.name}")
        elif missing := unwritten(gap):
            raise RequestError(f"the gap '{gap.name}' has no {' and no '.join(missing)}: write it, or name another gap")

    def init(self, gap: Gap | None, key: Key, spaces: Spaces) -> Any:
        """State for one seed: the gap's."""
        return () if gap is None else gap.init(key, spaces)

    def update(
        self, gap: Gap | None, state: Any, batches: Pair[Transition], key: Key, **extra: Any
    ) -> tuple[Any, Metrics]:
        """Learn from a batch of each domain: train the gap."""
        return (state, {}) if gap is None else gap.update(state, batches, key, **wanted(gap, extra))

    def evaluate(self, gap: Gap | None, state: Any, batches: Pair[Transition], **extra: Any) -> Metrics:
        """Quality on steps kept from training: the gap's own judgement."""
        return {} if gap is None else gap.evaluate(state, batches, **wanted(gap, extra))

    def judge(self, gap: Gap | None, state: Any, held_out: Metrics) -> Any:
        """Take in what `evaluate` found, where the gap's trust follows it."""
        return state if gap is None else gap.judge(state, held_out)

    def change(self, gap: Any, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """Delta and weight of the steps of both domains, before the gate."""
        return batches.map(unchanged)

    def shape(self, gap: Any, state: Any, **extra: Any) -> Shaping:
        """What the learner is told of actions, before the gate; nothing but where it `shapes`."""
        return Shaping()


class Unchanged(Use):
    """Rewards stay raw: the plain learner."""

    name = "unchanged"
    pays = False


UNCHANGED = Unchanged()


def score(gap: Gap, state: Any, batch: Transition, extra: dict[str, Any]) -> Array:
    """The gap's score, [batch], with the extras that it asks for."""
    return gap.score(state, batch, **wanted(gap, extra))


def paid(batches: Pair[Transition], side: str, delta: Array) -> Pair[Change]:
    """The steps of one side are paid delta [batch] more."""
    plain = batches.map(unchanged)
    return plain._replace(**{side: getattr(plain, side)._replace(delta=delta)})


def weighted(batches: Pair[Transition], weight: Array) -> Pair[Change]:
    """The source's steps count with a weight [batch]."""
    plain = batches.map(unchanged)
    return plain._replace(source=plain.source._replace(weight=weight))


def require_weights(low: float, high: float) -> None:
    """Raise RequestError for bounds of a weight that hold nothing."""
    if not 0 < low < high:
        raise RequestError(f"use.low must be above 0 and below use.high, not {low} and {high}")


def require_strength(strength: float) -> None:
    """Raise RequestError for a lambda below 0."""
    if not strength >= 0:
        raise RequestError(f"use.strength must not be negative, not {strength}")


def require_fade(fade: float) -> None:
    """Raise RequestError for what is no share of the transfer."""
    if not 0 <= fade <= 1:
        raise RequestError(f"use.fade must be in [0, 1], not {fade}")


def require_start(start: str) -> None:
    """Raise RequestError for what no use can choose to start from."""
    if start not in ("source", "nothing"):
        raise RequestError(f"use.start must be source or nothing, not {start!r}")
