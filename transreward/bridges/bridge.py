"""The contract of bridges: maps of a robot's observations, actions and stored terms to other columns, and back.

A bridge knows columns, but no simulation, learner or replay. Its maps are applied at the edges and nowhere else:
`domains.bridged` simulates a robot in the columns that a bridge shows, and `bridges.take_up` converts an agent from the
columns of one side to those of the other. In between, everything has the same columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from transreward.types import Array, Entry, RequestError, Shared, Spaces, Steps, Transition

ROUNDING = 1e-6  # relative error permitted for columns mapped there and back


class Side(Protocol):
    """What a bridge may read of the domain at either end."""

    @property
    def name(self) -> str: ...

    @property
    def spaces(self) -> Spaces: ...

    @property
    def entries(self) -> tuple[Entry, ...]: ...

    @property
    def action_entries(self) -> tuple[Entry, ...]: ...

    @property
    def stored_terms(self) -> tuple[str, ...]: ...

    @property
    def physics(self) -> Any: ...  # shifts.Physics; None if it is no robot of the table

    @property
    def robot(self) -> Any: ...  # its row of the table of robots


class Columns(NamedTuple):
    """The columns of a robot's observations, actions and stored terms."""

    spaces: Spaces
    entries: tuple[Entry, ...]
    action_entries: tuple[Entry, ...]
    stored_terms: tuple[str, ...]

    @classmethod
    def of(cls, side: Side) -> Columns:
        """The columns of a domain."""
        return cls(side.spaces, side.entries, side.action_entries, side.stored_terms)


class Map(Protocol):
    """A linear map of columns, x -> matrix x + fill, of NumPy and JAX arrays alike.

    The two sides may differ in size. A column of the result that shows none of x has a row of zeros, and is its `fill`.
    """

    @property
    def matrix(self) -> np.ndarray: ...  # [to, from]

    @property
    def fill(self) -> np.ndarray: ...  # [to]

    def __call__(self, x: Array) -> Array:
        """[..., from] -> [..., to]."""
        ...


class Maps(NamedTuple):
    """The maps of the parts of a step, in one direction."""

    obs: Map
    action: Map
    stored: Map  # of the terms that a step stores

    def transition(self, t: Transition) -> Transition:
        """The transition in the other columns; reward, `terminated` and `truncated` are unchanged."""
        return t._replace(obs=self.obs(t.obs), action=self.action(t.action), next_obs=self.obs(t.next_obs))

    def steps(self, steps: Steps) -> Steps:
        """Steps in the other columns, with their stored terms."""
        terms = self.stored(steps.terms) if steps.terms.shape[-1] else steps.terms
        return steps._replace(transition=self.transition(steps.transition), terms=terms)


@dataclass(frozen=True, eq=False)
class Crossing:
    """A bridge applied to one robot."""

    there: Maps  # from the robot's own columns to those that are shown
    back: Maps  # from the shown columns to the robot's own
    own: Columns
    shown: Columns
    lost: tuple[str, ...] = ()  # names of its own columns that do not come back, since nothing shows them by itself
    clipped: tuple[str, ...] = ()  # names of its own motors that may be asked for more than they can
    held: tuple[str, ...] = ()  # names of shown columns that show none of its own, and have their `fill` all the same

    @property
    def shared(self) -> Shared:
        """The shown columns that show something of its own."""
        shows = (np.flatnonzero(found.matrix.any(axis=1)).tolist() for found in (self.there.obs, self.there.action))
        return Shared(*map(tuple, shows))

    @property
    def reversed(self) -> Crossing:
        """The crossing in the other direction."""
        return Crossing(self.back, self.there, self.shown, self.own)


class Bridge:
    """A row of BRIDGES, which makes a crossing for a robot."""

    own_columns: bool = False  # it shows the robot's own columns, so that a transfer may choose it by itself

    @property
    def robots(self) -> tuple[str, ...]:
        """Robots of the table that have it as a view, `robot@name`."""
        return ()

    def across(self, robot: Side, other: Side | None = None) -> Crossing:
        """The crossing from the robot's columns to those of `other`, or to the robot's view if None.

        Raises RequestError if the bridge does not lead there.
        """
        raise NotImplementedError


def led_to(name: str, other: Side | None) -> Side:
    """The robot to which a bridge leads. Raises RequestError if none is named."""
    if other is None:
        raise RequestError(f"the bridge '{name}' leads to another robot: name that, as in @{name}(ant)")
    return other


def require_sound(name: str, crossing: Crossing) -> Crossing:
    """The crossing, checked: maps have the sizes of their columns and are finite, columns that are not `lost` come back
    unchanged, and actions stay within the boxes, but for motors that are `clipped`.

    Raises:
        RequestError: a check fails; names the bridge and the column.
    """
    own, shown = crossing.own, crossing.shown
    for part, mine, theirs in (
        ("obs", [e.name for e in own.entries], [e.name for e in shown.entries]),
        ("action", [e.name for e in own.action_entries], [e.name for e in shown.action_entries]),
        ("stored", own.stored_terms, shown.stored_terms),
    ):
        there, back = (getattr(maps, part) for maps in (crossing.there, crossing.back))
        for way, found, size in (("there", there, (len(theirs), len(mine))), ("back", back, (len(mine), len(theirs)))):
            _require_map(f"the bridge '{name}': {way}.{part}", found, size)
        if part != "stored":  # two terms may show the same one
            _require_return(f"the bridge '{name}'", there, back, mine, crossing.lost)
    (own, motors), (shown, others) = ((side.spaces, side.action_entries) for side in (crossing.own, crossing.shown))
    _require_box(f"the bridge '{name}'", crossing.there.action, own, shown, others)
    _require_box(f"the bridge '{name}'", crossing.back.action, shown, own, motors, crossing.clipped)
    return crossing


def beyond(action: Map, of: Spaces, to: Spaces) -> np.ndarray:
    """How far actions of the box `of` are mapped beyond the box `to`, [to.action]; 0 where they are not."""
    middle, reach = action.matrix @ of.centre + action.fill, np.abs(action.matrix) @ of.half_width
    far = np.maximum(middle + reach - to.high, to.low - (middle - reach))
    return np.where(far > ROUNDING * (1 + to.half_width), far, 0.0)


def _require_map(what: str, found: Map, size: tuple[int, int]) -> None:
    shapes = found.matrix.shape, found.fill.shape
    if shapes != (size, size[:1]):
        raise RequestError(f"{what} must have a matrix of shape {size} and a fill of {size[:1]}, not {shapes}")
    if not (np.isfinite(found.matrix).all() and np.isfinite(found.fill).all()):
        raise RequestError(f"{what} must be finite")


def _require_return(what: str, there: Map, back: Map, names: Sequence[str], lost: tuple[str, ...]) -> None:
    for name in not_returned(names, there, back):
        if name not in lost:
            raise RequestError(f"{what} does not give '{name}' back as it was: name it in `lost`, or mend the maps")


def not_returned(names: Sequence[str], there: Map, back: Map) -> tuple[str, ...]:
    """Names of the columns that do not come back as they were."""
    apart = np.abs(back.matrix @ there.matrix - np.eye(len(names))).max(axis=1, initial=0.0)
    far = np.maximum(apart, np.abs(back.matrix @ there.fill + back.fill))
    return tuple(name for name, x in zip(names, far, strict=True) if x > ROUNDING)


def _require_box(
    what: str, action: Map, of: Spaces, to: Spaces, motors: Sequence[Entry], clipped: tuple[str, ...] = ()
) -> None:
    far = beyond(action, of, to) * [motor.name not in clipped for motor in motors]
    worst = int(far.argmax())
    if far[worst]:
        fits = _fitting(action.matrix[worst], action.fill[worst], of, to.low[worst], to.high[worst])
        cure = f"{fits:.3g} times as much would fit" if fits > 0 else "its offset alone is outside"
        name, more = motors[worst].name, f"by {far[worst]:.3g}"
        raise RequestError(f"{what} asks more of '{name}' than its box allows, {more}: {cure}")


def _fitting(row: np.ndarray, offset: float, of: Spaces, low: float, high: float) -> float:
    """The largest factor of a motor's row [of.action] with which it stays in its box."""
    middle, reach = row @ of.centre, np.abs(row) @ of.half_width
    sides = ((high - offset, middle + reach), (offset - low, reach - middle))
    return min((float(room / most) for room, most in sides if most > 0), default=0.0)
