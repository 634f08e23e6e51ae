"""A policy that is told which robot of a family it is in is told what was identified, and is a plain one from then."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from transreward import replay as rp
from transreward.domains import robots
from transreward.domains.bridged import plain
from transreward.domains.domain import table_robot
from transreward.domains.informed import Informed, Reading, beyond
from transreward.domains.mujoco import MujocoDomain
from transreward.domains.varied import nominal
from transreward.engine.grounding import Grounded
from transreward.identify.identification import Identification
from transreward.identify.weights import inferred
from transreward.replay import Replay
from transreward.request.config import Config
from transreward.request.told import at_once
from transreward.row import Method
from transreward.runs.source_agent import SourceAgent

EDGE = 0.95  # of half a range: beyond it a parameter is at the edge of it


def first_told(config: Config, row: Method) -> np.ndarray:
    """What a family's agents are told before a target step, [seeds, columns]: its task, if that is known."""
    family, known = config.of_agent(row).domains.source, at_once(config, row)
    assert isinstance(family, Informed)
    return np.tile(family.told(None if known is None else known.weights, None), (config.seeds, 1))


def informed(
    config: Config, row: Method, agent: SourceAgent, grounded: Grounded, stored: Replay
) -> tuple[Any, Grounded]:
    """The agents [seeds] of a family in the columns of its robots' own, each told what its seed's `stored` steps show;
    where that is too little, no more than before. And what was found, with what was told."""
    if not grounded.shown:  # nobody looked
        return agent.agents, grounded._replace(untold=True)
    family, source = config.of_agent(row).domains.source, plain(nominal(config.domains.source))
    assert isinstance(family, Informed) and isinstance(source, MujocoDomain)
    tasks = tasks_told(config, row, grounded, stored)
    told, before = [], first_told(config, row)
    words: list[dict[str, float] | None] = []
    said: list[str] = []
    for seed, found, task in zip(config.seed_list, grounded.shown, tasks, strict=True):
        values, notes = read(source, family, found) if family.parameters else ({}, [])
        told.append(family.told(task.weights, [values[str(one)] for one in family.parameters] if values else None))
        weights = zip(map(str, family.weights), task.weights or (), strict=False)
        words.append({**dict(weights), **values} or None)
        said += [f"seed {seed}: {note}" for note in (task.said, "; ".join(notes)) if note]
    agents = agent.of_family(config.domains.source.spaces, np.array(told))
    kept = {**grounded.kept, "told": words} if grounded.kept else {}
    if kept and (seen := [task.about for task in tasks if task.about]):
        kept["task"] = seen
    unchanged = np.array_equal(told, before)
    return agents, grounded._replace(kept=kept, said=(*grounded.said, *said), untold=unchanged)


class Task(NamedTuple):
    """What a seed's policy is told of its task."""

    weights: list[float] | None  # those in which the family's tasks differ; None: nothing
    said: str = ""  # what is to be said of them
    about: dict[str, Any] | None = None  # for identification.json


def tasks_told(config: Config, row: Method, grounded: Grounded, stored: Replay) -> list[Task]:
    """What the policy of each seed is told of its task: what the target's id says, else what its rewards show."""
    known = at_once(config, row)
    if known is None or known.weights is not None:
        return [Task(None if known is None else known.weights)] * config.seeds
    assert known.family.span is not None
    span, robot, found = known.family.span, table_robot(grounded.twin), []
    assert robot is not None
    steps = rp.in_order(stored).transition
    for one in inferred(robot, span, config.seed_list, steps):
        names, weights = list(map(str, span.parts)), dict(zip(span.parts, one.weights.tolist(), strict=True))
        values = span.values(weights) if one.enough else None
        found.append(Task(values, one.words(names), one.as_json(names)))
    return found


def read(source: MujocoDomain, family: Informed, found: Identification | None) -> tuple[dict[str, float], list[str]]:
    """The values of a family's parameters that were identified, within their ranges, and what is to be said of them;
    no values where too little is known, or nothing of what was found is among the parameters."""
    if found is None:
        return {}, ["the policy is told nothing, for too little is known"]
    reading = Reading(robots.row(source.robot.name), found.physics, family.parameters)
    others = [str(one) for one in found.named if not reading.covers(one.parameter.shift(one.value))]
    others += ["a rule of the motors"] if found.motors is not None else []
    outside = [f"not among the parameters that it is told of: {', '.join(others)}"] if others else []
    if others and len(others) == len(found.named) + (found.motors is not None):
        return {}, ["the policy is told nothing", *outside]
    values, notes = {}, []
    for one in family.parameters:
        value = reading.of(one)
        value = reading.usual(one) if value is None else value
        values[str(one)] = float(np.clip(value, one.low, one.high))
        if far := beyond(one, value):
            notes.append(far)
        elif abs(one.column(value)) > EDGE:
            notes.append(f"{one} {value:.3g} is at the edge of the family's {one.range}")
    told = ", ".join(f"{name} {value:.3g}" for name, value in values.items())
    return values, [f"the policy is told {told}", *notes, *outside]
