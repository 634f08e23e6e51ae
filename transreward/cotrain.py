"""Co-training: two learners, one in each domain, from nothing and at the same time; each compensates the other.

Each of them is a transfer whose source is the other as it learns: its own steps train it, and what the other's steps
say of their domain's rewards adjusts its own. The five steps are those of `transfer.py`; only their order differs: a
round is taken where less of the budget is spent.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from transreward.config import Config
from transreward.methods import Method
from transreward.runs.result import Result
from transreward.transfer import (
    Phase,
    Rounds,
    Run,
    Watch,
    collect,
    compensate,
    final_returns,
    improve,
    initialise,
    refine,
)
from transreward.types import Pair


def cotrain(config: Config, method: Method, directory: Path | None, watch: Watch) -> Result:
    """The target's learner, with the source's as its `partner`. Budgets are those of the request, per seed."""
    began = time.perf_counter()
    sides = Pair(source=mirrored(config), target=config)
    runs = Pair(
        start(sides.source, method, directory and directory / "partner", lambda progress: None),
        start(sides.target, method, directory, watch),
    )
    runs.source.partner, runs.target.partner = runs.target, runs.source
    plans = runs.map(Rounds.of)
    runs.target.tell(0.0, [])
    while behind := [s for s in Pair._fields if going(getattr(runs, s), getattr(plans, s))]:
        side = min(behind, key=lambda s: getattr(runs, s).rounds / getattr(plans, s).count)
        turn(getattr(runs, side), getattr(plans, side))
    partner, own = (finish(run, time.perf_counter() - began) for run in runs)
    own.partner = partner
    return own


def mirrored(config: Config) -> Config:
    """The same request from the other side: its target is the source, with the source's budget, robots and pace."""
    learner = replace(config.learner, target_updates_per_step=1.0 / config.learner.steps_per_update)
    return replace(
        config,
        domains=Pair(config.domains.target, config.domains.source),
        source_steps=config.target_steps,
        target_steps=config.source_steps,
        learner=learner,
        loop=replace(config.loop, target_robots=config.learner.robots),
        controls=(),
    )


def start(config: Config, method: Method, directory: Path | None, watch: Watch) -> Run:
    """A run in the target of `config` alone, from nothing."""
    phase = Phase("cotrain", Pair(0, config.target_steps), 1.0, True, config.loop.evaluations)
    return initialise(config, method, phase, config.domains, None, None, directory, watch)


def going(run: Run, plan: Rounds) -> bool:
    """Whether it has rounds left."""
    return run.stopped is None and run.rounds < plan.count


def turn(run: Run, plan: Rounds) -> None:
    """One round of the five steps, with the other's steps as they are by now."""
    index = run.rounds
    run.rounds, run.done = index + 1, index / plan.count
    fresh = collect(run, plan, index)
    run.replays = run.replays._replace(source=run.partner.replays.target)
    if run.taken <= plan.random_steps or not run.partner.taken:
        return
    compensate(run, plan)
    improve(run, plan, fresh)
    refine(run, plan, index)
    run.replays = run.replays._replace(source=None)  # the other writes into it in place


def finish(run: Run, seconds: float) -> Result:
    """What it leaves."""
    return Result(
        config=run.config.as_json(run.method),
        learner=run.config.learner,
        agents=run.agents,
        compensation_state=run.compensation,
        returns=final_returns(run.config, run.agents, run.config.domains),
        zero_shot=None,
        steps=run.counted,
        stopped=run.stopped or "budget",
        rounds=run.rounds,
        wall_seconds=seconds,
        log=run.log,
    )
