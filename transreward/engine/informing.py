"""A policy that is told which robot of a family it is in is told what was identified, and is a plain one from then."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains import robots
from transreward.domains.bridged import plain
from transreward.domains.informed import Informed, Reading
from transreward.domains.mujoco import MujocoDomain
from transreward.domains.varied import nominal
from transreward.engine.grounding import Grounded
from transreward.identify.identification import Identification
from transreward.request.config import Config
from transreward.row import Method
from transreward.runs.source_agent import SourceAgent

EDGE = 0.95  # of half a range: beyond it a parameter is at the edge of it


def informed(config: Config, row: Method, agent: SourceAgent, grounded: Grounded) -> tuple[Any, Grounded]:
    """The agents [seeds] of a family in the columns of its robots' own, each told what its seed's steps show; where
    that is too little, nothing. And what was found, with what was told."""
    if not grounded.shown:  # nobody looked
        return agent.agents, grounded._replace(untold=True)
    family, source = config.of_agent(row).domains.source, plain(nominal(config.domains.source))
    assert isinstance(family, Informed) and isinstance(source, MujocoDomain)
    told = np.zeros((len(config.seed_list), len(family.parameters) + 1))
    words: list[dict[str, float] | None] = []
    said: list[str] = []
    for k, (seed, found) in enumerate(zip(config.seed_list, grounded.shown, strict=True)):
        values, notes = read(source, family, found)
        if values:
            columns = [one.column(values[str(one)]) for one in family.parameters]
            told[k] = [*np.clip(columns, -1.0, 1.0), 1.0]
        words.append(values or None)
        said.append(f"seed {seed}: {'; '.join(notes)}")
    agents = agent.of_family(config.domains.source.spaces, told)
    kept = {**grounded.kept, "told": words} if grounded.kept else {}
    return agents, grounded._replace(kept=kept, said=(*grounded.said, *said), untold=not told.any())


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
        column = one.column(value)
        values[str(one)] = float(np.clip(value, one.low, one.high))
        if abs(column) > 1.0 + 1e-6:
            notes.append(f"{one} {value:.3g} is outside the family's {one.range}")
        elif abs(column) > EDGE:
            notes.append(f"{one} {value:.3g} is at the edge of the family's {one.range}")
    told = ", ".join(f"{name} {value:.3g}" for name, value in values.items())
    return values, [f"the policy is told {told}", *notes, *outside]
