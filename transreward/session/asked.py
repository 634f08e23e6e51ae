"""Which requests a session can carry out, and what is said of them."""

from __future__ import annotations

from transreward.request.budgets import opening_steps
from transreward.request.config import Config
from transreward.types import RequestError


def require_asked(config: Config) -> None:
    """Raise RequestError for a method that a robot which asks cannot be used for."""
    row = config.method
    if row.ceiling or (row.feed is None and row.ground is None):
        raise RequestError(f"'{row.name}' does not learn from the robot's steps: name a method that does, such as auto")
    if row.feed is not None and row.feed.guide:
        raise RequestError(f"'{row.name}' lets the source policy begin each episode, which a session cannot yet")
    if config.learner.on_policy and row.needs_target_reward and row.target_share:
        raise RequestError(
            f"{config.learner.name} learns from rollouts of its own alone, and a robot goes on while it learns: use "
            f'`learner="sac"`'
        )


def opens(config: Config) -> str:
    """How many of the first steps are the source policy's and why, in a line; empty where there are none."""
    row, budget = config.method, config.target_steps
    steps = opening_steps(config, row)
    if not steps:
        return ""
    if row.ground is not None and steps == min(row.ground.steps, budget):
        why = "what differs is identified from them"
    else:
        why = f"it is judged by whole episodes, and one may last {config.domains.target.episode_steps:,} steps"
    if steps == budget:
        why += ", so that no other policy will act: raise `target_steps`"
        why += "" if row.ground is None else f", or lower ground.steps below {steps:,}"
    return f"the source policy takes the first {steps:,} of {budget:,} steps, since {why}"


def listed(robots: int) -> str:
    """The robots of a session by their numbers, for an error."""
    return "one robot: 0" if robots == 1 else f"the robots 0 to {robots - 1}"
