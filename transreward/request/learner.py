"""The learner of a request, with each method's own settings."""

from __future__ import annotations

import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from transreward.domains.across import Across, own
from transreward.domains.domain import Domain
from transreward.learners import LEARNERS
from transreward.learners.learner import Learner
from transreward.methods import Method
from transreward.presets import make_learner, restore_learner
from transreward.request.budgets import require_steps_left, rollout
from transreward.request.config import Config
from transreward.runs.source_agent import SourceAgent
from transreward.types import CONTROLS, OWN_MODULE, RequestError, nearest


def learner_of(learner: Any, source: Domain, source_run: str | Path | None, rows: list[Method]) -> Learner:
    """The learner asked for, else that of the source run, else the robot's preset. Where methods need one that keeps
    its steps, SAC, unless another is asked for: it takes over an agent of the source run that is not its own.

    Raises RequestError if the source run was trained with another learner than the one asked for, which cannot take its
    agent over.
    """
    if source_run is None:
        if learner is None and (need_replay(rows) or isinstance(source, Across)):
            learner = "sac"  # the preset may be PPO, which learns little from the steps of a new body
        made = _made(learner, source)
        if made.offline:
            raise RequestError(
                f"{made.name} learns from steps that are there, which is what methods such as '{made.name}' are, and "
                f"trains no source agent: leave `learner` out, and name the method"
            )
        return made
    stored = SourceAgent.about(Path(source_run))
    restored = restore_learner(stored["learner"])
    if learner is None and restored.on_policy and any(map(keeps_steps, rows)):
        learner = "sac"
    if learner is None or learner == restored.name:
        return restored
    if isinstance(learner, Learner) and learner.from_scratch == restored.from_scratch:
        return learner
    made = _made(learner, source)
    if made.takes_over and made.name != restored.name:
        return made
    other = made.name if made.name != restored.name else f"{made.name} with other settings"
    raise RequestError(
        f"the source run {source_run} was trained with {restored.name}, not with {other}: leave `learner` out, or "
        f"leave `source_run` out to train a source agent with {other}"
    )


def _made(learner: Any, source: Domain) -> Learner:
    """The learner asked for. Raises RequestError for a name that none has, with those that train a source agent."""
    if isinstance(learner, Learner):
        return learner
    if learner is not None and learner not in LEARNERS:
        trains = [name for name, kind in LEARNERS.items() if not kind.offline]
        raise nearest(learner, trains, "learner", otherwise=OWN_MODULE)
    return make_learner(learner, source)


def converted(learner: Learner, source_run: str | Path | None) -> Learner | None:
    """The learner of the source run's agent, where it is another than `learner`."""
    if source_run is None:
        return None
    stored = restore_learner(SourceAgent.about(Path(source_run))["learner"])
    return None if stored.name == learner.name else stored


def trained_in(config: Config) -> tuple[Domain, Learner]:
    """Where, and with which learner, the agent of `source_run` has to have been trained."""
    trained = config if config.taken_up_in is None else config.of_agent(config.method)
    return own(trained.domains.source), config.converted or config.learner


def require_source_run(config: Config) -> None:
    """Raise RequestError where the request takes up the source agent of an earlier run that is of another domain, of
    other seeds or networks, or leaves no steps."""
    if config.source_run is not None and config.needs_source_agent:
        about = SourceAgent.require(config.source_run, *trained_in(config), config.seed_list)
        require_steps_left(config.at_horizon, about["steps"])


def tuned(learner: Learner) -> list[str]:
    """The settings of `Learner.tuning` that are not the defaults."""
    return [name for name in learner.tuning if getattr(learner, name) != getattr(learner.from_scratch, name)]


def need_replay(rows: list[Method]) -> bool:
    """True if a row needs a learner with a replay, or if all methods other than controls learn from scratch, for which
    an on-policy learner has too few target steps."""
    chosen = [row for row in rows if row.name not in CONTROLS] or rows
    return any(row.off_policy for row in rows) or all(row.start == "nothing" for row in chosen)


def keeps_steps(row: Method) -> bool:
    """True if no on-policy learner can take up a source agent for the row."""
    return row.off_policy or row.uses_replay or (row.use is not None and row.use.shapes)


def for_method(config: Config, row: Method) -> Config:
    """This request with a method's own settings of the learner, except for those that the user named. From scratch
    those of `Learner.tuning` are the defaults.

    A method that learns offline has a learner of its own.

    An on-policy agent that is fine-tuned in the target has shorter rollouts there, cut into equally many minibatches,
    which are smaller and noisier. At the full learning rate it forgets what it learned, so the rate is scaled by the
    square root of their relative size (Malladi et al. 2022, the square root scaling rule for Adam).
    """
    if row.offline is not None:
        return replace(config, learner=row.offline, of_agents=config.of_agents or config.learner)
    brought = dict(row.learner)
    if config.learner.on_policy and row.start == "source" and row.target_share == 1:
        share = rollout(config, row) / config.learner.round_steps(False)
        brought["learning_rate"] = config.learner.learning_rate * min(share, 1.0) ** 0.5
    brought = {name: value for name, value in brought.items() if f"learner.{name}" not in config.chosen}
    if row.use is not None and row.use.horizon:
        brought["discount"] = config.learner.discount * row.use.sight
    if row.start != "source":
        brought |= {name: getattr(config.learner.from_scratch, name) for name in tuned(config.learner)}
    asked = tuple((name, getattr(config.learner, name)) for name in brought)
    return replace(config, learner=replace(config.learner, **brought), replaced=asked) if brought else config


def require_tuned(config: Config) -> None:
    """Raise RequestError for settings of agents that are trained on, where every method learns from scratch."""
    rows = (config.method, *config.controls)
    if any(row.start == "source" and row.feed is not None for row in rows):
        return
    for name in tuned(config.learner):
        raise RequestError(
            f"learner.{name} is for agents that are trained on in a transfer, and of "
            f"{', '.join(row.name for row in rows)} none is: leave it out"
        )


def tell_unused(config: Config) -> None:
    """Warn of settings of the learner where all methods learn offline, by a learner of their own, and no agent is
    trained before them. No error: a comparison gives them to all of its methods."""
    rows = (config.method, *config.controls)
    if any(row.offline is None or row.needs_source_agent for row in rows):
        return
    known = {field.name for field in fields(config.method.offline)} if config.method.offline is not None else set()
    usual = make_learner(config.learner.name, config.domains.source)
    for path in sorted(config.chosen):
        section, _, name = path.partition(".")
        if section == "learner" and getattr(config.learner, name) != getattr(usual, name):  # a file may name them all
            own = f", whose own is offline.{name}" if name in known else ""
            warnings.warn(f"{path} has no effect on '{config.method.name}', which learns offline{own}", stacklevel=2)
