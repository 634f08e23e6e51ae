"""What a policy that is told its task is told of a target: at once where the id says it, else by its first rewards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from transreward.domains.domain import table_robot
from transreward.domains.paid import pays_by_row
from transreward.methods import Method
from transreward.randomise import Informed as Told
from transreward.request.config import Config
from transreward.types import RequestError

if TYPE_CHECKING:
    from transreward.domains.informed import Informed

STEPS = 1_000  # target steps from which an unknown task is told, unless `ground.steps` says how many


class AtOnce(NamedTuple):
    """What is known of a target's task before its first step."""

    family: Informed  # in which the policy was trained
    weights: list[float] | None  # those that the family's tasks differ in; None: the first steps show them
    said: str  # in words


def at_once(config: Config, row: Method) -> AtOnce | None:
    """What a row's policy can be told of its target's task. None for a row whose policy is told no task."""
    source = table_robot(config.domains.source)
    if not isinstance(row.randomise, Told) or source is None or not pays_by_row(source.robot):
        return None
    from transreward.domains.informed import Informed, beyond  # which need MuJoCo, as few requests do
    from transreward.domains.weighed import task_weights

    family = config.of_agent(row).domains.source
    assert isinstance(family, Informed)
    if family.span is None:
        return None
    name, weights = config.domains.target.name, task_weights(config.domains.target)
    why = "is no robot whose id says what it pays for" if weights is None else family.span.outside(weights)
    if row.randomise.infer:
        why = "is taken for one whose task nobody knows (randomise.infer)"
    if why or weights is None:
        return AtOnce(family, None, f"{name} {why}: its first rewards tell its task")
    values = family.span.values(weights)
    each = ", ".join(f"{one} {value:.3g}" for one, value in zip(family.weights, values, strict=True))
    outside = [far for one, value in zip(family.weights, values, strict=True) if (far := beyond(one, value))]
    if not outside and not family.span.mixes(weights):
        outside = ["it lies between no tasks of the family: how well it is done, nobody has seen"]
    return AtOnce(family, values, "; ".join([f"the policy is told that {name} pays {each}", *outside]))


def require_tasks(config: Config, row: Method) -> None:
    """Raise RequestError for settings of a family of tasks where the row's is none."""
    how = row.randomise
    if isinstance(how, Told) and (how.infer or not how.scale) and at_once(config, row) is None:
        name = "randomise.infer" if how.infer else "randomise.scale"
        where = config.of_agent(row).domains.source.name
        raise RequestError(f"{name} is for a family of tasks, and all robots of {where} have one: leave {name} out")


def settled(config: Config) -> Config:
    """The request, with its rows as the target's task needs them. Where a policy is told nothing but its task, and the
    id says that, no target step is needed; where steps have to show it, they are more than for the physics alone."""

    def row(one: Method) -> Method:
        known = at_once(config, one)
        if known is None or one.ground is None:
            return one
        if known.weights is not None and not known.family.parameters and one.feed is None:
            return replace(one, ground=None, fallback=False)
        named = "ground.steps" if one is config.method else f"{one.name}.ground.steps"
        if known.weights is None and named not in config.chosen:
            return replace(one, ground=replace(one.ground, steps=STEPS))
        return one

    return replace(config, method=row(config.method), controls=tuple(map(row, config.controls)))
