"""`ID@history=n`: a domain whose observations end with the last n commanded actions, the newest first.

A robot whose actions act k control steps late does not show its state, since what it does next depends on actions that
are on their way. With n >= k of them among its columns the process is Markov again (Katsikopoulos and Engelbrecht,
"Markov decision processes with delays and asynchronous cost collection", 2003; Walsh et al., "Learning and planning in
environments with delayed feedback", 2009). An episode begins with actions of zero, or what is nearest within the box,
as a delay does. Rewards are unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from transreward.bridges.bridge import Columns, Crossing, Map, Maps
from transreward.bridges.linear import Linear
from transreward.domains.domain import (
    Domain,
    Drawn,
    Modelled,
    Repayable,
    TableRobot,
    Traced,
    Tried,
    control_rate,
    invertible,
    stored_terms,
    stream_kind,
    table_robot,
)
from transreward.domains.names import action_entries, entries
from transreward.domains.relayed import Dressed, Sparing
from transreward.types import RequestError, Spaces, Transition

MOST = 100  # actions, as the longest delay


class History(Dressed):
    """The domain `plain` with the last `n` commanded actions as further columns; see `Domain`.

    Every optional ability is declared; those that `plain` lacks have their defaults.

    Raises:
        RequestError: n is not from 1 to 100, or steps of the domain are not taken one after the other.
    """

    def __init__(self, plain: Domain, n: int) -> None:
        if not 1 <= n <= MOST:
            raise RequestError(f"'{plain.name}' can show the last 1 to {MOST} commanded actions, not {n}")
        if stream_kind(plain) != "walk":
            raise RequestError(
                f"'{plain.name}' takes no steps of its own, so its commanded actions cannot be shown: leave the "
                f"history of {n} out"
            )
        self.plain, self.n, self.name = plain, n, f"{plain.name}@history={n}"
        shown = followed(Columns(plain.spaces, entries(plain), action_entries(plain), stored_terms(plain)), n)
        self.spaces, self.entries, self.action_entries, self.stored_terms = shown
        self.reward_terms, self.episode_steps = plain.reward_terms, plain.episode_steps
        self.control_rate, self.stream = control_rate(plain), stream_kind(plain)
        self.traits, self.changing = (plain.traits, plain.changing) if isinstance(plain, Traced) else ({}, [])
        self.model_names = plain.model_names if isinstance(plain, Modelled) else {}

    @property
    def invertible(self) -> bool:
        """See `Rebuildable`."""
        return invertible(self.plain)

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> HistorySimulation:
        """n robots, freshly reset; see `Domain`."""
        return HistorySimulation(self.plain.simulate(n, seed, threads), self, n)

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """See `Repayable`; the further columns of `obs` and `next_obs` are not read."""
        assert isinstance(self.plain, Repayable)
        width = self.plain.spaces.obs
        return self.plain.pay(obs[..., :width], action, next_obs[..., :width], stored)

    def drawn(self) -> History:
        """See `Drawn`."""
        if not isinstance(self.plain, Drawn):
            raise RequestError(f"no video: nothing draws '{self.name}'")
        return History(self.plain.drawn(), self.n)

    def untried(self) -> Domain:
        """See `Tried`."""
        return with_history(self.plain.untried(), self.n) if isinstance(self.plain, Tried) else self


class RobotHistory(History):
    """The same of a robot of the table; see `TableRobot`."""

    plain: TableRobot

    def __init__(self, plain: TableRobot, n: int) -> None:
        super().__init__(plain, n)
        self.robot, self.tasks, self.shifts, self.model = plain.robot, plain.tasks, plain.shifts, plain.model
        self.physics, self.redrawn = plain.physics, plain.redrawn

    @property
    def invertible(self) -> bool:
        """See `Rebuildable`: also with a delay of up to n control steps, since what is on its way is shown."""
        return self.shown_with(0)

    def shown_with(self, sent: int) -> bool:
        """See `TableRobot`."""
        return self.plain.shown_with(max(self.n, sent))

    def paid_as(self, other: TableRobot) -> RobotHistory:
        """See `TableRobot`."""
        return RobotHistory(self.plain.paid_as(other), self.n)

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> RobotHistorySimulation:
        """n robots, freshly reset; see `Domain`."""
        return RobotHistorySimulation(self.plain.simulate(n, seed, threads), self, n)


class HistorySimulation(Sparing):
    """n robots of a `History`, which `plain` simulates; see `Simulation`."""

    def __init__(self, plain: Any, domain: History, n: int) -> None:
        self.plain, self.domain = plain, domain
        spaces = domain.plain.spaces
        self._width, self._low, self._high = spaces.obs, spaces.low.astype(float), spaces.high.astype(float)
        self._start = np.tile(np.clip(0.0, self._low, self._high), domain.n)
        self.terms: dict[str, np.ndarray] = {}
        self._sent = np.tile(self._start, (n, 1))  # the last actions of each row, the newest first

    @property
    def obs(self) -> np.ndarray:
        """See `Simulation`."""
        seen = self.plain.obs  # before `_sent`, since reading it may reset robots
        return np.concatenate([seen, self._sent], axis=1)

    @property
    def stored(self) -> np.ndarray:
        """See `RepayableSimulation`."""
        return self.plain.stored

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`."""
        before, t = self._sent, self.plain.step(action)
        newest = np.clip(np.asarray(action, float), self._low, self._high)
        after = np.concatenate([newest, before[:, : before.shape[1] - newest.shape[1]]], axis=1)
        self.terms, lost = self.plain.terms, list(self.plain.diverged)
        after[lost] = before[lost]  # such a row's next observation is its last; see `without`
        self._sent = np.where(np.logical_or(t.terminated, t.truncated)[:, None], self._start, after)
        seen = (np.concatenate(parts, axis=1) for parts in ((t.obs, before), (t.next_obs, after)))
        return t._replace(**dict(zip(("obs", "next_obs"), seen, strict=True)))

    def put(self, obs: np.ndarray) -> np.ndarray:
        """See `RebuildableSimulation`."""
        known = self.plain.put(np.asarray(obs)[:, : self._width])
        self._send(obs)
        return known

    def ended(self, obs: np.ndarray) -> np.ndarray:
        """See `RebuildableSimulation`."""
        over = self.plain.ended(np.asarray(obs)[:, : self._width])
        self._send(obs)
        return over

    def get_state(self) -> dict[str, np.ndarray]:
        return self.plain.get_state() | {"history": self._sent.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.plain.set_state(state)
        self._sent = np.array(state["history"], float)

    def _send(self, obs: np.ndarray) -> None:
        """Take over the actions that observations [n, obs] show."""
        self._sent = np.array(np.asarray(obs)[:, self._width :], float)


class RobotHistorySimulation(HistorySimulation):
    """The same of a robot of the table; see `TableSimulation`."""

    @property
    def qpos(self) -> np.ndarray:
        return self.plain.qpos

    @property
    def qvel(self) -> np.ndarray:
        return self.plain.qvel

    def set_physics(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """See `TableSimulation`."""
        self.plain.set_physics(qpos, qvel)
        self._sent = np.tile(self._start, (len(self._sent), 1))

    def recall(self, sent: np.ndarray) -> None:
        """See `TableSimulation`."""
        self._sent = np.array(sent[:, : self.domain.n], float).reshape(self._sent.shape)
        self.plain.recall(sent)

    def _send(self, obs: np.ndarray) -> None:
        self.recall(np.asarray(obs)[:, self._width :].reshape(len(obs), self.domain.n, -1))


def followed(columns: Columns, n: int) -> Columns:
    """Columns whose observations are followed by the last n actions, `action -1 bthigh` and so on."""
    old, sent = columns.spaces, columns.action_entries
    spaces = Spaces(old.obs + n * old.action, old.action, old.low, old.high)
    more = [replace(e, name=f"action -{k} {e.name.removeprefix('action')}") for k in range(1, 1 + n) for e in sent]
    return columns._replace(spaces=spaces, entries=(*columns.entries, *more))


def crossing_with(crossing: Crossing, n: int) -> Crossing:
    """The crossing between the same columns, of which both sides' observations are followed by the last n actions."""

    def wider(maps: Maps) -> Maps:
        parts: list[Map] = [maps.obs, *[maps.action] * n]
        matrix, fill = np.asarray(block_diag(*(m.matrix for m in parts))), np.concatenate([m.fill for m in parts])
        return maps._replace(obs=Linear(matrix, fill))

    own, shown = followed(crossing.own, n), followed(crossing.shown, n)
    return replace(crossing, there=wider(crossing.there), back=wider(crossing.back), own=own, shown=shown)


def with_history(found: Domain, n: int) -> Domain:
    """The domain with its last n commanded actions among its columns; itself for 0, or if it shows as many already.

    Raises RequestError if it shows another number of them.
    """
    if n in (0, history_of(found)):
        return found
    if isinstance(found, History):
        raise RequestError(f"'{found.name}' shows the last {found.n} commanded actions already, not {n}")
    robot = table_robot(found)
    return History(found, n) if robot is None else RobotHistory(robot, n)


def history_of(domain: Domain) -> int:
    """How many commanded actions are among a domain's columns."""
    return domain.n if isinstance(domain, History) else 0


def without_history(domain: Domain) -> Domain:
    """The domain without commanded actions among its columns."""
    return domain.plain if isinstance(domain, History) else domain
