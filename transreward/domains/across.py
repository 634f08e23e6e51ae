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

from transreward.bridges import BRIDGES, between
from transreward.bridges.bridge import ROUNDING, Crossing, require_sound
from transreward.bridges.linear import Linear, in_shares
from transreward.domains.brought import brought
from transreward.domains.domain import Domain, Drawn, TableRobot, Traced, control_rate, table_robot
from transreward.domains.names import action_entries, entries
from transreward.domains.relayed import Dressed, Sparing
from transreward.domains.users import in_one_line
from transreward.types import RequestError, Transition

SOME = 6  # names that a sentence lists
RESETS = 64  # robots of whose first observations the unseen columns are the mean


class Across(Dressed):
    """The domain `plain` in the columns of `other`, over the bridge that `how` names; see `Domain`.

    Its rewards, terms and episodes are those of `plain`. Columns that it does not have stand where they are, on
    average, when a robot of the other kind is reset; that is asked of a robot of the table alone, as elsewhere it would
    take steps, and they are 0.

    Raises:
        RequestError: there is no such bridge, it finds nothing, or it fails `require_sound`.
    """

    def __init__(self, plain: Domain, other: Domain, how: str) -> None:
        self.plain, self.other, self.how = plain, other, how
        self.bridge = between(how, brought)
        try:
            found = require_sound(how, self.bridge.across(Described(plain), Described(other)))
        except RequestError:
            raise
        except (Exception, SystemExit) as error:  # a row or a function may be a user's, and raise anything
            raise RequestError(f"the bridge '{how}' failed: {in_one_line(error)}") from error
        self.crossing = resting(found, other)
        self.name = f"{plain.name}@{how}({other.name})"
        self.spaces, self.entries, self.action_entries = other.spaces, entries(other), action_entries(other)
        self.reward_terms, self.episode_steps = plain.reward_terms, plain.episode_steps
        self.control_rate = control_rate(plain)
        self.traits, self.changing = (plain.traits, plain.changing) if isinstance(plain, Traced) else ({}, [])

    @property
    def unseen(self) -> tuple[str, ...]:
        """Names of the other robot's columns, then of its motors, that nothing of this one stands for."""
        there = self.crossing.there
        sides = (self.entries, there.obs.matrix), (self.action_entries, there.action.matrix)
        return tuple(e.name for entries, rows in sides for e, row in zip(entries, rows, strict=True) if not row.any())

    @property
    def unshown(self) -> tuple[str, ...]:
        """Names of this robot's columns, then of its motors, that stand for nothing of the other one."""
        own, there = self.crossing.own, self.crossing.there
        sides = (own.entries, there.obs.matrix), (own.action_entries, there.action.matrix)
        return tuple(e.name for entries, rows in sides for e, row in zip(entries, rows.T, strict=True) if not row.any())

    @property
    def blurred(self) -> tuple[str, ...]:
        """Names of this robot's columns and motors that are shown, and yet cannot be told from what shows them."""
        return tuple(name for name in self.crossing.lost if name not in self.unshown)

    def doubts(self) -> list[tuple[str, str]]:
        """Pairs of parts of one robot that could as well change places in the bridge."""
        return self.bridge.doubts(Described(self.plain), Described(self.other))

    def said(self) -> str:
        """What the bridge joins, in one sentence."""
        act, lift = self.crossing.there.action.matrix, self.crossing.there.obs.matrix
        moved, own, shown = (int(x.sum()) for x in (act.any(axis=1), act.any(axis=0), lift.any(axis=1)))
        parts = [
            f"{moved} of {len(act)} motors of {self.other.name} do as {own} of {act.shape[1]} of {self.plain.name}",
            f"{shown} of {len(lift)} columns show its own",
        ]
        words = ("unseen", self.unseen), ("unshown", self.unshown), ("blurred", self.blurred)
        for what, missing in (*words, ("clipped", self.crossing.clipped)):
            more = f" and {len(missing) - SOME} more" if len(missing) > SOME else ""
            parts += [f"{what}: {', '.join(missing[:SOME])}{more}"] if missing else []
        return f"bridge '{self.how}': {'; '.join(parts)}"

    def table(self) -> str:
        """A row for each motor and column of the other robot, with what it shows; then what stands for nothing. Motors
        are in shares of half their boxes, from the middle."""
        own, lift, rows = self.crossing.own, self.crossing.there.obs, []
        lift = Linear(lift.matrix, np.where(told(self.crossing), lift.fill, 0.0))
        parts = (self.action_entries, own.action_entries, self.shares), (self.entries, own.entries, lift)
        for shown, ours, found in parts:
            names = [entry.name for entry in ours]
            for entry, row, offset in zip(shown, found.matrix, found.fill, strict=True):
                rows.append((entry.name, summed(row, names, offset) or "unseen"))
        rows = [(self.other.name, self.plain.name), *rows, *(("unshown", name) for name in self.unshown)]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {shows}" for name, shows in rows)

    @property
    def shares(self) -> Linear:
        """The map of its actions to the other robot's, in shares of half of each box, from its middle."""
        return in_shares(self.crossing.there.action, self.plain.spaces, self.spaces)

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
        robot = table_robot(domain)
        self.name, self.spaces = domain.name, domain.spaces
        self.entries, self.action_entries = entries(domain), action_entries(domain)
        self.stored_terms: tuple[str, ...] = ()
        self.physics: Any = robot and robot.physics
        self.robot: Any = robot and robot.robot


def resting(crossing: Crossing, other: Domain) -> Crossing:
    """The crossing, whose columns that show nothing are filled with what a robot of the other kind begins with."""
    if table_robot(other) is None:
        return crossing
    lift = crossing.there.obs
    begins = other.simulate(RESETS, 0, 1).obs.mean(axis=0)
    fill = np.where(told(crossing), lift.fill, begins)
    return replace(crossing, there=crossing.there._replace(obs=Linear(lift.matrix, fill)))


def told(crossing: Crossing) -> np.ndarray:
    """Which columns of the other robot show something of its own, or are held where they are, [obs] bool."""
    held = [entry.name in crossing.held for entry in crossing.shown.entries]
    return crossing.there.obs.matrix.any(axis=1) | np.array(held)


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


def summed(weights: np.ndarray, names: Sequence[str], offset: float) -> str:
    """A sum of names with their factors, such as `hip - 0.5 knee + 0.1`."""
    pairs = [(float(f"{x:.3g}"), name) for x, name in zip(weights, names, strict=True) if x]
    terms = [f"{ {1.0: '', -1.0: '-'}.get(x, f'{x:g} ') }{name}" for x, name in pairs]
    terms += [f"{offset:.3g}"] if abs(offset) > ROUNDING else []
    return " + ".join(terms).replace(" + -", " - ")
