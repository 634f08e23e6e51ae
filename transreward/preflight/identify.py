"""What differs physically between a simulator and a robot, from few of the robot's steps or from logs of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains import logs
from transreward.domains.bridged import plain
from transreward.domains.difference import require_fit
from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.domains.mujoco import MujocoDomain, spread_of
from transreward.domains.names import entry_names
from transreward.domains.parameters import Family
from transreward.domains.shifts import Shift
from transreward.identify.evidence import Evidence, evidence
from transreward.identify.fit import Problem, select
from transreward.identify.simulator import Simulator
from transreward.preflight.check import source_policy
from transreward.preflight.identification import Identification, answer
from transreward.runs.source_agent import import_all
from transreward.types import RequestError

STEPS = 500
HOLD = 3  # control steps for which a random action is held
EXPLORE = 0.1  # half ranges: noise on the source policy's actions, without which some parameters hardly show
STILL = 1e-4  # of an entry's size: a robot that moves less stands still
FAR = 0.9  # a simulator whose error is this share of the robot's own movement simulates something else


def identify(
    source: Domain | str,
    target: Domain | str | None = None,
    *,
    log: str | Path | None = None,
    source_run: str | Path | None = None,
    target_steps: int | None = None,
    seed: int = 0,
    imports: Sequence[str] = (),
) -> Identification:
    """Find the parameters of `source`, a robot of the table, with which its simulator does what `target` does.

    `target` takes `target_steps` control steps (500) with one robot: with the source policy of `source_run` and some
    noise, or with random actions. Instead `log` names a file of steps that it took (see docs/logs.md), of which the
    first `target_steps` are read (all of them). Nothing of the target is read but what it observes.
    Raises RequestError for a source that cannot be put into an observed state, for spaces that differ, for too few
    steps, and for steps that no robot of the kind can have taken.
    """
    imports = import_all(imports, source_run)
    robot = identifiable(source)
    if (target is None) == (log is None):
        raise RequestError("name the target, or a log of it (`log`), and not both")
    if log is not None:
        told = of_log(robot, logs.read(log), target_steps)
    else:
        assert target is not None
        other = plain(domain(target))
        require_fit(robot, other)
        told = walked(robot, other, source_run, STEPS if target_steps is None else target_steps, seed)
    problem = posed(robot, told)
    return answer(problem, select(problem), told, robot.name)


def identifiable(source: Domain | str) -> MujocoDomain:
    """The robot of the table that `source` is. Raises RequestError where it is none, or hides a part of its state."""
    found = plain(domain(source))
    robot = found if isinstance(found, MujocoDomain) else None
    if robot is None:
        raise RequestError(
            f"'{found.name}' is no robot of the table, so its simulator cannot be put where an observation was made: "
            f"name the robot itself (transreward list robots)"
        )
    if len(robot.variants) > 1:
        raise RequestError(
            f"'{found.name}' is a family of robots, and what differs is told from one: name one robot of it, such as "
            f"{robot.robot.name}"
        )
    if robot.robot.invert is None:
        raise RequestError(
            f"'{found.name}' hides part of the state (its row has no `invert`), so its simulator cannot be put where "
            f"an observation was made"
        )
    return robot


def walked(robot: MujocoDomain, target: Domain, source_run: str | Path | None, steps: int, seed: int) -> Evidence:
    """Steps of one robot in the target."""
    act = None if source_run is None else source_policy(Path(source_run), robot)
    rng, spaces = np.random.default_rng(seed), target.spaces
    low, high, simulation = spaces.low.astype(float), spaces.high.astype(float), target.simulate(1, seed, 1)
    columns: dict[str, list[Any]] = {"obs": [], "action": [], "next_obs": [], "reward": [], "begins": []}
    begins, held = True, np.zeros((1, spaces.action))
    for step in range(steps):
        obs = np.array(simulation.obs, float)
        if act is not None:
            held = act(obs.astype(np.float32)) + EXPLORE * (high - low) / 2 * rng.standard_normal(held.shape)
            held = held.clip(low, high)
        elif step % HOLD == 0:
            held = rng.uniform(low, high, held.shape)
        t = simulation.step(held)
        for name, value in zip(columns, (t.obs[0], held[0], t.next_obs[0], t.reward[0], begins), strict=True):
            columns[name].append(value)
        begins = bool(t.terminated[0] or t.truncated[0])
    return evidence(*(np.array(column) for column in columns.values()))


def of_log(robot: MujocoDomain, log: logs.Log, steps: int | None) -> Evidence:
    """The first steps of a log."""
    logs.require_fit(log, robot)
    n = len(log) if steps is None else min(steps, len(log))
    begins = np.diff(log.episode[:n], prepend=-1) != 0
    return evidence(log.obs[:n], log.action[:n], log.next_obs[:n], log.reward[:n], begins)


def posed(robot: MujocoDomain, told: Evidence) -> Problem:
    """The problem of fitting `robot` to steps. Raises RequestError where they cannot be its own, or tell nothing."""
    variants = family(robot.robot.name, tuple(robot.shifts), tuple(entry_names(robot)))
    simulator = Simulator(variants, told.obs.shape[1], spread_of(robot))
    states = simulator.seen(told.obs)
    size = np.abs(states).max(axis=0) + 1e-12
    if (states.std(axis=0) < STILL * size).all():
        raise RequestError("the robot only stands still in these steps: give steps in which it moves")
    problem = Problem(simulator, told)
    return problem


@lru_cache(maxsize=8)
def family(name: str, shifts: tuple[Shift, ...], entries: tuple[str, ...]) -> Family:
    """The variants of a robot of the table, made once in a process."""
    from transreward.domains.robots import ROBOTS

    return Family(ROBOTS[name], shifts, entries)
