"""The learner of a request, with each method's own settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transreward.domains.domain import Domain
from transreward.learners.learner import Learner
from transreward.methods import Method
from transreward.presets import make_learner, restore_learner
from transreward.request.budgets import rollout
from transreward.request.config import Config
from transreward.runs.source_agent import SourceAgent
from transreward.types import CONTROLS, RequestError


def learner_of(learner: Any, source: Domain, source_run: str | Path | None, may_leave_out: bool = True) -> Learner:
    """The learner asked for, else that of the source run, else the robot's preset.

    Raises RequestError if the source run was trained with another learner than the one asked for.
    """
    if source_run is None:
        return learner if isinstance(learner, Learner) else make_learner(learner, source)
    stored = SourceAgent.about(Path(source_run))
    restored = restore_learner(stored["learner"])
    if learner is None or learner == restored.name:
        return restored
    if isinstance(learner, Learner) and learner.from_scratch == restored.from_scratch:
        return learner
    cure = "leave `learner` out, or " if may_leave_out else ""  # without it another learner is needed
    name = learner.name if isinstance(learner, Learner) else learner
    other = name if name != restored.name else f"{name} with other settings"
    raise RequestError(
        f"the source run {source_run} was trained with {restored.name}, not with {other}: {cure}leave `source_run` out "
        f"to train a source agent with {other}"
    )


def tuned(learner: Learner) -> list[str]:
    """The settings of `Learner.tuning` that are not the defaults."""
    return [name for name in learner.tuning if getattr(learner, name) != getattr(learner.from_scratch, name)]


def need_replay(rows: list[Method]) -> bool:
    """True if a row needs a learner with a replay, or if all methods other than controls learn from scratch, for which
    an on-policy learner has too few target steps."""
    chosen = [row for row in rows if row.name not in CONTROLS] or rows
    return any(row.off_policy for row in rows) or all(row.start == "nothing" for row in chosen)


def for_method(config: Config, row: Method) -> Config:
    """This request with a method's own settings of the learner, except for those that the user named. From scratch
    those of `Learner.tuning` are the defaults.

    An on-policy agent that is fine-tuned in the target has shorter rollouts there, cut into equally many minibatches,
    which are smaller and noisier. At the full learning rate it forgets what it learned, so the rate is scaled by the
    square root of their relative size (Malladi et al. 2022, the square root scaling rule for Adam).
    """
    own = dict(row.learner)
    if config.learner.on_policy and row.start == "source" and row.target_share == 1:
        share = rollout(config, row) / config.learner.round_steps(False)
        own["learning_rate"] = config.learner.learning_rate * min(share, 1.0) ** 0.5
    own = {name: value for name, value in own.items() if f"learner.{name}" not in config.chosen}
    if row.use is not None and row.use.horizon:
        own["discount"] = config.learner.discount * row.use.sight
    if row.start != "source":
        own |= {name: getattr(config.learner.from_scratch, name) for name in tuned(config.learner)}
    asked = tuple((name, getattr(config.learner, name)) for name in own)
    return replace(config, learner=replace(config.learner, **own), replaced=asked) if own else config
