"""From steps of a robot to what differs: the checks, the fit and the answer in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from transreward.domains.actuators import remembers
from transreward.domains.bridged import plain
from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.domains.mujoco import MujocoDomain, spread_of
from transreward.domains.names import entry_names, positions, velocities
from transreward.domains.parameters import DELAYS, Family
from transreward.identify.columns import mistaken
from transreward.identify.evidence import Evidence
from transreward.identify.identification import Identification, answer
from transreward.identify.known import Known
from transreward.identify.motors import settled_with_motors
from transreward.identify.plausible import require_motion, require_related, require_usable
from transreward.identify.problem import Problem
from transreward.identify.simulator import Simulator, showing
from transreward.types import RequestError

Watch = Callable[[Problem], AbstractContextManager[Any]]  # what shows a fit while it goes on


def identified(
    robot: MujocoDomain, told: Evidence, watch: Watch = nullcontext, known: Sequence[Known] = ()
) -> Identification:
    """What differs between the simulator of `robot` and the robot that took these steps; what is `known` of others is
    tried first. Raises RequestError where they cannot be its own, or tell nothing."""
    problem = posed(robot, told)
    with watch(problem):
        return answer(*settled_with_motors(problem, told, known), robot)


def posed(robot: MujocoDomain, told: Evidence) -> Problem:
    """What a fit of `robot` to these steps is asked. Raises RequestError as `identified` does."""
    simulator = Simulator(variants_of(robot), told.obs.shape[1], spread_of(robot))
    require_usable(simulator, told)
    require_motion(simulator, told)
    problem = Problem(simulator, told)
    try:
        require_related(problem)
    except RequestError as error:
        said = mistaken(problem, robot)
        raise RequestError(f"{error}; {said}") if said else error from None
    return problem


def identifiable(source: Domain | str) -> MujocoDomain:
    """The robot of the table, or in a file, that `source` is. Raises RequestError where it is none, or hides a part of
    its state."""
    found = plain(domain(source))
    if not isinstance(found, MujocoDomain):
        raise RequestError(
            f"'{found.name}' is no robot of the table and none in a file, so its simulator cannot be put where an "
            f"observation was made: name the robot itself (transreward list domains)"
        )
    if len(found.variants) > 1:
        raise RequestError(
            f"'{found.name}' is a family of robots, and what differs is told from one: name one robot of it, such as "
            f"{found.robot.name}"
        )
    if found.robot.invert is None:
        state = [e.name for e in (*positions(found.model), *velocities(found.model))]
        hidden = ", ".join(name for name in state if name not in entry_names(found))
        raise RequestError(
            f"'{found.name}' does not observe its whole state, in which its simulator would have to be put: there is "
            f"no column {hidden}"
        )
    if remembers(found.model):
        raise RequestError(
            f"'{found.name}' has actuators with a state of their own, such as a filter or an activation, which no "
            f"observation shows, so its simulator cannot be put where the target was: give them none, or use a method "
            f"without a simulator"
        )
    if found.physics.delay > DELAYS:
        raise RequestError(
            f"'{found.name}' acts late by more than {DELAYS} steps, which is as far as steps are looked at"
        )
    if found.physics.motors is not None:
        raise RequestError(f"'{found.name}' has motors that were learned already: leave motors=... out of the source")
    if found.physics.sensor_delay or found.physics.sensor_noise.any():
        raise RequestError(
            f"'{found.name}' sees through noise or late, so its observations are not the state in which its simulator "
            f"would have to be put: leave that out of the source"
        )
    return found


def variants_of(robot: MujocoDomain) -> Family:
    """The variants of a robot with its shifts, made once in a process. Sensors are those that show its state."""
    row, key = robot.robot, (robot.robot.name, *map(str, robot.shifts))
    if key not in _FAMILIES or _FAMILIES[key].robot is not row:
        shows = showing(row, robot.spaces.obs, robot.model)
        entries = [name for name, shown in zip(entry_names(robot), shows, strict=True) if shown]
        _FAMILIES[key] = Family(row, robot.shifts, entries)
    return _FAMILIES[key]


_FAMILIES: dict[tuple[str, ...], Family] = {}
