"""`robot@view`: a robot of the table whose observations and actions pass through a bridge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from transreward.bridges import view
from transreward.bridges.bridge import Crossing
from transreward.domains.across import split
from transreward.domains.domain import Domain, TableRobot
from transreward.domains.history import crossing_with, history_of, without_history
from transreward.domains.joins import Joins
from transreward.domains.relayed import Sparing
from transreward.domains.shifts import of_plan
from transreward.domains.users import in_one_line
from transreward.types import RequestError, Transition

if TYPE_CHECKING:
    from transreward.domains.mujoco import MujocoDomain, MujocoSimulation


class Bridged(Joins):
    """The domain `plain` in the columns of a view. Physics, reward terms and episode length are those of `plain`;
    `crossing` maps its columns to the view's and back.

    Raises:
        RequestError: the robot has no such view, or the bridge fails `require_sound`.
    """

    def __init__(self, plain: MujocoDomain, view_name: str) -> None:
        self.plain, self.other, self.view, self.how = plain, plain, view_name, view_name
        if plan := of_plan(plain.shifts):
            raise RequestError(
                f"'{plain.name}' has other parts than {plain.robot.name} ({plan[0]}), so it has no views: leave "
                f"@{view_name} out"
            )
        try:
            self.crossing = view(plain, view_name)
        except RequestError:
            raise
        except Exception as error:  # a row may be a user's, and raise anything
            raise RequestError(f"the bridge '{view_name}' failed: {in_one_line(error)}") from error
        self.spaces, self.entries, self.action_entries, self.stored_terms = self.crossing.shown
        self.reward_terms, self.episode_steps = plain.reward_terms, plain.episode_steps
        self.success = plain.success
        self.robot, self.tasks, self.shifts, self.model = plain.robot, plain.tasks, plain.shifts, plain.model
        self.physics, self.variants, self.redrawn = plain.physics, plain.variants, plain.redrawn
        head = re.split("[+:]", plain.name)[0]
        end = len(head if head == plain.robot.name else plain.name)  # a factory's name has nothing behind it
        self.name = self.shown = f"{plain.name[:end]}@{view_name}{plain.name[end:]}"

    @property
    def invertible(self) -> bool:
        return self.plain.invertible

    def shown_with(self, sent: int) -> bool:
        """See `TableRobot`."""
        return self.plain.shown_with(sent)

    @property
    def control_rate(self) -> float:
        return self.plain.control_rate

    @property
    def traits(self) -> dict[str, str]:
        return self.plain.traits

    @property
    def changing(self) -> list[str]:
        return self.plain.changing

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> BridgedSimulation:
        """n robots, freshly reset; see `Domain`."""
        return BridgedSimulation(self.plain.simulate(n, seed, threads), self)

    def paid_as(self, other: TableRobot) -> Bridged:
        """See `TableRobot`."""
        return Bridged(self.plain.paid_as(other), self.view)

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """See `MujocoDomain.pay`; all arguments are in the view's columns."""
        back = self.crossing.back
        return self.plain.pay(back.obs(obs), back.action(action), back.obs(next_obs), back.stored(stored))


class BridgedSimulation(Sparing):
    """n robots of a `Bridged` domain. `plain` simulates them; actions and observations are mapped on the way."""

    def __init__(self, plain: MujocoSimulation, domain: Bridged) -> None:
        self.plain, self.domain = plain, domain
        self.there, self.back = domain.crossing.there, domain.crossing.back
        self._look()

    @property
    def qpos(self) -> np.ndarray:
        return self.plain.qpos

    @property
    def qvel(self) -> np.ndarray:
        return self.plain.qvel

    @property
    def stored(self) -> np.ndarray:
        """See `RepayableSimulation`."""
        return self.there.stored(self.plain.stored)

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`."""
        t = self.plain.step(self.back.action(np.asarray(action)))
        self._look()
        return t._replace(obs=self.there.obs(t.obs), action=np.asarray(action), next_obs=self.there.obs(t.next_obs))

    def set_physics(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """See `MujocoSimulation.set_physics`; `qpos` and `qvel` are the plain robot's, not the view's."""
        self.plain.set_physics(qpos, qvel)
        self._look()

    def recall(self, sent: np.ndarray) -> None:
        """See `TableSimulation`; `sent` is in the view's columns."""
        self.plain.recall(self.back.action(sent))

    def put(self, obs: np.ndarray) -> np.ndarray:
        """See `MujocoSimulation.put`."""
        known = self.plain.put(self.back.obs(np.asarray(obs)))
        self._look()
        return known

    def ended(self, obs: np.ndarray) -> np.ndarray:
        """See `MujocoSimulation.ended`."""
        over = self.plain.ended(self.back.obs(np.asarray(obs)))
        self._look()
        return over

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        super().set_state(state)
        self._look()

    def _look(self) -> None:
        self.obs, self.terms = self.there.obs(self.plain.obs), self.plain.terms


def plain(domain: Domain) -> Domain:
    """The domain without its view and without commanded actions among its columns; itself if it has neither."""
    found = without_history(domain)
    return found.plain if isinstance(found, Bridged) else found


def crossing_of(domain: Domain) -> Crossing | None:
    """The bridge of a domain in a view, or None."""
    found, n = without_history(domain), history_of(domain)
    if not isinstance(found, Bridged):
        return None
    return crossing_with(found.crossing, n) if n else found.crossing


def crossings(one: Domain, other: Domain) -> list[Crossing]:
    """The bridges from the columns of a robot to those of the same robot in another view, in order."""
    away, there = crossing_of(one), crossing_of(other)
    return [*([away.reversed] if away else []), *([there] if there else [])]


def view_of(id: str) -> str | None:
    """The view that an id names, or None."""
    crossed = split(id)
    found = re.match(r"[\w.:]+@(\w+)(?![\w=(])", crossed[0] if crossed else id)
    return found[1] if found else None


def plain_id(id: str) -> str:
    """An id without the view in it."""
    if crossed := split(id):
        one, how, other = crossed
        return f"{plain_id(one)}@{how}({other})"
    return re.sub(r"^([\w.:]+)@\w+(?![\w=(])", r"\1", id)
