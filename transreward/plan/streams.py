"""Which streams feed a stage, and in which domains they walk."""

from __future__ import annotations

from typing import Any

from transreward.domains.domain import Domain, stored_terms
from transreward.domains.several import Several
from transreward.learners.learner import Learner
from transreward.methods import Method
from transreward.plan.plan import Plan, Schedule
from transreward.request.budgets import falls_back
from transreward.request.config import Config
from transreward.streams import kind_of
from transreward.streams.stream import Stream
from transreward.types import Pair

WHOLE = "whole"  # kind of a stream of a log, all of whose steps are there from the start
REPLAY_STEPS = 1_000_000  # per seed and domain; the oldest steps are overwritten
GAP_STEPS = 100_000  # the same if only a gap reads the replay
BRANCHED_STEPS = 10_000  # the same for branches, whose corrections become outdated


def of_sources(config: Config, plan: Plan, row: Method) -> tuple[Plan, ...]:
    """The plans of the source agents that a method chooses between, in the order of the sources; else the first's."""
    return (plan, *plan.others) if falls_back(config, row) else (plan,)


def walks_in(config: Config, row: Method) -> Domain:
    """Where a method's robots walk in the source: where there are several, in all of them side by side, unless the
    method puts one where the target was."""
    if not config.others or not falls_back(config, row) or row.ground is not None or row.replayed:
        return config.domains.source
    return Several(config.sources)


def weighs(config: Config, row: Method) -> bool:
    """Whether a method draws the source's steps by learned weights of several sources."""
    return config.loop.sources == "weighted" and isinstance(walks_in(config, row), Several)


def walk(config: Config, row: Method, side: Any, budget: int, domain: Any) -> Stream:
    """The stream of one domain's robots (`side`) with `budget` steps per seed.

    Its buffer has room for the whole request's budget from the start, since a larger one would be compiled again.
    """
    robots = config.learner.robots if side == "source" else config.loop.target_robots
    whole, kept = config.source_steps if side == "source" else config.target_steps, 0
    if budget and not (config.learner.on_policy and row.gap is None):
        kept = room(config.learner, whole, robots)
    own = walks_in(config, row) if domain == "source" else config.domains.target
    trained_in = own if side == "source" else config.domains.source
    rewards = "target" if side == "source" and repaid(row) else "own"
    terms = len(stored_terms(trained_in)) if row.stores_terms(side) else 0
    return Stream(
        side, kind_of(own, side), domain, domain, robots, kept, terms, rewards,
        lead=row.feed.guide if row.feed else 0.0,
        deterministic=side == "target" and row.feed is not None and row.feed.deterministic,
    )  # fmt: skip


def room(learner: Learner, steps: int, robots: int) -> int:
    """Control steps per robot that a buffer needs for so many steps in total."""
    return -(-min(steps, GAP_STEPS if learner.on_policy else REPLAY_STEPS) // robots)


def source_streams(config: Config, row: Method, budget: Pair[int], schedule: Schedule) -> list[Stream]:
    """The source streams of a transfer: stored steps, branches from the target's states, or robots."""
    if row.uses_replay:
        assert row.feed is not None
        rewards = "target" if repaid(row) else "own"
        robots, newest = config.learner.robots, row.feed.newest
        return [Stream("source", "stored", "source", "free", robots, 1, rewards=rewards, newest=newest)]
    if row.uses_logs:
        return [Stream("source", WHOLE, "source", "source", 1, budget.source)]
    if row.branched:
        assert row.feed is not None
        length = row.feed.branch_length
        each = -(-schedule.controls.target // schedule.total) * config.loop.target_robots
        n = max(row.feed.branches * each // length, 1)
        room, each = -(-BRANCHED_STEPS // n), row.feed.branches
        return [Stream("source", "branch", "source", "source", n, room, per_step=each, length=length)]
    return [walk(config, row, "source", budget.source, "source")] if schedule.controls.source else []


def repaid(row: Method) -> bool:
    """True if source steps get the target's reward, computed exactly. (With a model of it, the gap relabels.)"""
    return row.relabels and row.gap is None
