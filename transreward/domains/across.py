"""`ID@named(OTHER)`: a domain in the columns of an unlike one, so that a policy that acts there can act here.

In the place of `named` may stand another bridge between unlike robots, or a user's own: a file, `ID@map.yaml(OTHER)`,
or a function, `ID@package.module:function(OTHER)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from transreward.bridges import BRIDGES, between
from transreward.bridges.bridge import Crossing, Maps, require_sound
from transreward.bridges.given import Given
from transreward.bridges.linear import Linear
from transreward.domains.brought import brought
from transreward.domains.domain import (
    Domain,
    Drawn,
    Success,
    TableRobot,
    Traced,
    control_rate,
    successes,
    table_robot,
)
from transreward.domains.history import history_of
from transreward.domains.joins import Joins, told
from transreward.domains.names import action_entries, entries
from transreward.domains.relayed import Dressed, Sparing
from transreward.domains.users import in_one_line
from transreward.types import RequestError, Transition

RESETS = 64  # robots of whose first observations the unseen columns are the mean


class Across(Dressed, Joins):
    """The domain `plain` in the columns of `other`, over the bridge that `how` names; see `Domain`.

    Its rewards, terms and episodes are those of `plain`. Columns that it does not have stand where they are, on
    average, when a robot of the other kind is reset; that is asked of a robot of the table alone, as elsewhere it would
    take steps, and they are 0.

    Raises:
        RequestError: there is no such bridge, it finds nothing, or it fails `require_sound`.
    """

    def __init__(self, plain: Domain, other: Domain, how: str) -> None:
        self.plain, self.other, self.how, self.shown = plain, other, how, other.name
        self.bridge = between(how, brought)
        try:
            found = require_sound(how, self.bridge.across(Described(plain), Described(other)))
        except RequestError:
            raise
        except (Exception, SystemExit) as error:  # a row or a function may be a user's, and raise anything
            raise RequestError(f"the bridge '{how}' failed: {in_one_line(error)}") from error
        if (n := history_of(other)) and n == history_of(plain) and not isinstance(self.bridge, Given):
            found = commanding(found, n)
        self.crossing = resting(found, other)
        self.name = f"{plain.name}@{how}({other.name})"
        self.spaces, self.entries, self.action_entries = other.spaces, entries(other), action_entries(other)
        self.reward_terms, self.episode_steps = plain.reward_terms, plain.episode_steps
        self.control_rate = control_rate(plain)
        self.traits, self.changing = (plain.traits, plain.changing) if isinstance(plain, Traced) else ({}, [])

    @property
    def success(self) -> tuple[Success, ...]:
        """See `Judged`: without what is read from its own columns, in whose places it shows others."""
        return tuple(one for one in successes(self.plain) if not one.column)

    def doubts(self) -> list[tuple[str, str]]:
        """Pairs of parts of one robot that could as well change places in the bridge."""
        return self.bridge.doubts(Described(self.plain), Described(self.other))

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> AcrossSimulation:
        """n robots, freshly reset; see `Domain`."""
        return AcrossSimulation(self.plain.simulate(n, seed, threads), self.crossing)

    def drawn(self) -> Across:
        """See `Drawn`."""
        if not isinstance(self.plain, Drawn):
            raise RequestError(f"no video: nothing draws '{self.plain.name}'")
        return Across(self.plain.drawn(), self.other, self.how)


class AcrossSimulation(Sparing):
    """n robots of an `Across` domain, which `plain` simulates; see `Simulation`."""

    def __init__(self, plain: Any, crossing: Crossing) -> None:
        self.plain, self._there, self._back, self.terms = plain, crossing.there, crossing.back, plain.terms

    @property
    def obs(self) -> np.ndarray:
        """See `Simulation`."""
        return self._there.obs(self.plain.obs)

    @property
    def qpos(self) -> np.ndarray:
        """Positions of the plain robots, [n, nq], for pictures."""
        return self.plain.qpos

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`."""
        t = self.plain.step(self._back.action(np.asarray(action)))
        self.terms = self.plain.terms
        return t._replace(obs=self._there.obs(t.obs), action=np.asarray(action), next_obs=self._there.obs(t.next_obs))


class Described:
    """What a bridge may read of any domain: see `bridges.Side`."""

    def __init__(self, domain: Domain) -> None:
        robot, self.domain = table_robot(domain), domain
        self.name, self.spaces = domain.name, domain.spaces
        self.entries, self.action_entries = entries(domain), action_entries(domain)
        self.stored_terms: tuple[str, ...] = ()
        self.physics: Any = robot and robot.physics
        self.robot: Any = robot and robot.robot


def commanding(crossing: Crossing, n: int) -> Crossing:
    """The crossing, in which the last n commanded actions at the end of observations show each other as the motors do
    that they commanded: in shares of their boxes, with the sign of the axis."""
    own, shown = (side.spaces.obs - n * side.spaces.action for side in (crossing.own, crossing.shown))

    def wider(maps: Maps, to: int, of: int) -> Maps:
        blocks = [maps.obs.matrix[:to, :of], *[maps.action.matrix] * n]
        fill = np.concatenate([maps.obs.fill[:to], *[maps.action.fill] * n])
        return maps._replace(obs=Linear(np.asarray(block_diag(*blocks)), fill))

    sent, motors = ([e.name for e in side] for side in (crossing.own.entries[own:], crossing.own.action_entries))
    lost = (name for name in crossing.lost if name not in sent)
    return replace(
        crossing,
        there=wider(crossing.there, shown, own),
        back=wider(crossing.back, own, shown),
        lost=(*lost, *(one for one, motor in zip(sent, motors * n, strict=True) if motor in crossing.lost)),
    )


def resting(crossing: Crossing, other: Domain) -> Crossing:
    """The crossing, whose columns that show nothing are filled with what a robot of the other kind begins with."""
    if table_robot(other) is None:
        return crossing
    lift = crossing.there.obs
    begins = other.simulate(RESETS, 0, 1).obs.mean(axis=0)
    fill = np.where(told(crossing), lift.fill, begins)
    return replace(crossing, there=crossing.there._replace(obs=Linear(lift.matrix, fill)))


def own(domain: Domain) -> Domain:
    """The domain in its own columns: what is across a bridge, or itself."""
    return domain.plain if isinstance(domain, Across) else domain


def body(domain: Domain) -> TableRobot | None:
    """The robot of the table that a domain simulates, in its own columns or in those of another; None if none is."""
    return table_robot(own(domain))


def split(id: str) -> tuple[str, str, str] | None:
    """The id of a domain, the bridge and the other id in `ID@named(OTHER)`; None for another id.

    The other id stands in the last pair of brackets of the outermost level, and a bridge has no @.
    """
    open = _opening(id)
    one, _, how = id[:open].rpartition("@")
    known = re.fullmatch(r"(?:\w+\()*([\w./:-]+)\)*", how)
    if not (one and known and how.count("(") == how.count(")") and id[open + 1 : -1]):
        return None
    if known[1].partition(":")[0] in BRIDGES and ":" in known[1]:  # a view, and what follows it
        return None
    return one, how, id[open + 1 : -1]


def _opening(id: str) -> int:
    """Where the bracket is opened that the last character closes; 0 if that closes none."""
    depth = 0
    for i in range(len(id) - 1, 0, -1):
        depth += (id[i] == ")") - (id[i] == "(")
        if depth <= 0:
            return i if id.endswith(")") else 0
    return 0
