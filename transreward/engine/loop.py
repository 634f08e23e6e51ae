"""The five steps: initialise (`state.begin`), then rounds of collect, compensate, improve and refine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from transreward import replay as rp
from transreward.engine import weighing
from transreward.engine.checkpoint import NOWHERE, Checkpoints
from transreward.engine.delivery import remember
from transreward.engine.record import evaluation_rows
from transreward.engine.scales import scaled, seen
from transreward.engine.state import Run, State
from transreward.engine.stop import stop_reason
from transreward.interruption import undone
from transreward.streams.stream import Round
from transreward.types import BrokenRun, Pair, Steps


def loop(*runs: Run, saved: Checkpoints = NOWHERE) -> None:
    """Run the rounds of one stage, or of several side by side, until each is aligned, converged or spent its budget.

    Of several, the one that has used the smallest share of its rounds moves next; all have collected their first steps
    before any learns. The state is `saved` at intervals, on an interruption, and at the end.
    """
    try:
        with undone(runs[-1].taken_in_the_target), undone(saved.last_words):
            if begins := [run for run in runs if not (run.state.index or ended(run))]:
                for run, fresh in [(run, gather(run)) for run in begins]:
                    learn(run, fresh)
                saved.hold(*runs)
            while behind := [run for run in runs if not ended(run)]:
                run = min(behind, key=lambda run: run.state.index / run.stage.schedule.total)
                learn(run, gather(run))
                saved.hold(*runs)
    except BaseException as error:
        keep_what_there_is(error, runs, saved)
        raise
    saved.write()


def keep_what_there_is(error: BaseException, runs: Sequence[Run], saved: Checkpoints) -> None:
    """For runs that an error ends: save the state of the last round and, if a number was not finite, the metrics and
    policy so far. The error gets a note with the target steps taken."""
    with suppress(OSError):  # a full disk may be the error that ends the run
        for run in runs if isinstance(error, BrokenRun) else ():
            run.keep(run, [])
    for said in (runs[-1].taken_in_the_target(), saved.last_words()):
        if said:
            error.add_note(said)


def ended(run: Run) -> bool:
    """True if a stage has no rounds left or has stopped."""
    return run.state.stopped is not None or run.state.index >= run.stage.schedule.rounds


def gather(run: Run) -> dict[str, Steps]:
    """First half of a round: collect steps, by stream."""
    run.state.rounds += 1
    return collect(run)


def learn(run: Run, fresh: dict[str, Steps]) -> None:
    """Second half of a round: compensate, improve and refine. The first two are skipped in warm-up rounds."""
    warm = run.state.index < run.stage.schedule.warm
    gap = run.stage.method.gap
    if warm if run.stage.gap_first else not warm or (gap is not None and gap.early):
        compensate(run)
    if not warm:
        if run.stage.schedule.updates:
            improve(run, fresh)
        refine(run)
    run.state.index += 1


# -- collect -------------------------------------------------------------------------------------------------------


def collect(run: Run) -> dict[str, Steps]:
    """One round of steps from each stream, by name. They are paid for, stored, and shown to the normaliser."""
    keys, state = run.next_keys(), run.state
    fresh: dict[str, Steps] = {}
    for name, taker in run.takers.items():
        steps = taker.take(turn(run, name, keys, fresh))
        if steps is None or not steps.domain.size:  # empty if the only step was in flight when a process ended
            continue
        if name in state.buffers:
            keep(state, name, steps)
        if taker.sees:
            state.agents = run.programs.see(state.agents, steps.transition.obs)
        if state.scales is not None:
            state.scales = seen(state.scales, steps, run.config.learner.discount)
        fresh[name] = steps
    return fresh


def turn(run: Run, name: str, keys: Any, fresh: dict[str, Steps]) -> Round:
    """What a stream is given in its turn."""
    state, schedule, programs = run.state, run.stage.schedule, run.programs
    return Round(
        steps=schedule.steps(state.index)._asdict().get(name, 0),
        random=run.stage.from_nothing and state.index < schedule.warm,
        done=run.done,
        keys=keys,
        agents=state.agents,
        guide=state.guide,
        candidates=state.candidates,
        act=programs.act,
        noise=programs.noise,
        fresh=fresh,
        visited=lambda buffer, keys, shape: programs.visited(state.buffers[buffer], keys, shape),
        correct=lambda steps, keys: programs.correct(state.compensation, steps, keys, run.asked.explained),
    )


def keep(state: State, name: str, steps: Steps) -> None:
    """Store control steps in a stream's buffer; if there are more than it holds, only the newest."""
    state.stored[name] += min(steps.domain.shape[1], state.buffers[name].capacity)
    state.buffers[name] = rp.add(state.buffers[name], steps)


# -- compensate, improve, refine -----------------------------------------------------------------------------------


def compensate(run: Run) -> None:
    """Train the gap on the stored steps of both domains, and before it what weighs several sources."""
    keys = run.next_keys()  # drawn even if unused, so that lambda = 0 is the base learner bit for bit
    state, every, gap = run.state, run.config.loop.gap_every, run.stage.method.gap
    weighed = state.mixture is not None
    if (gap is None and not weighed) or (state.refitted and state.rounds < state.refitted + every):
        return
    state.refitted, updates = state.rounds, run.stage.schedule.gap_updates * every
    if weighed:
        state.mixture, figures = weighing.learned(state.mixture, run.replays, keys, updates)
        state.metrics |= figures
    if gap is None:
        return
    state.compensation, metrics = run.programs.compensate(
        state.compensation, run.replays, keys, state.agents, run.asked, run.shown, run.done,
        updates=updates, batch=gap.batch,
    )  # fmt: skip
    state.metrics |= metrics


def improve(run: Run, fresh: dict[str, Steps]) -> None:
    """Train the policy on the compensated reward. Raises BrokenRun if a loss is not finite."""
    state, share, updates = run.state, run.stage.target_share, run.stage.schedule.updates
    data: Any = run.replays
    if run.config.learner.on_policy:  # the fresh rollout of the domain that feeds it
        side = "target" if share == 1 else "source"
        newest = fresh.get(side)
        if newest is not None and state.scales is not None:
            newest = scaled(state.scales, newest)
        data = Pair(None, None)._replace(**{side: None if newest is None else newest.transition})
    agents, metrics = run.programs.improve(
        state.agents, state.compensation, data, run.next_keys(), run.asked, run.done, updates=updates,
        target_share=share, anneal=run.stage.anneal, scale=None if state.scales is None else state.scales.scale,
    )  # fmt: skip
    state.metrics |= metrics
    require_finite(run)
    state.agents = agents
    state.updates += updates


def require_finite(run: Run) -> None:
    """Raise BrokenRun if a loss is not finite."""
    for name, value in run.state.metrics.items():
        for seed, ok in zip(run.config.seed_list, np.isfinite(np.asarray(value)), strict=True):
            if not ok:
                source, target = run.config.domains
                raise BrokenRun(
                    f"{name} of seed {seed} is not finite after {run.steps.source} source and {run.steps.target} "
                    f"target steps of {run.name} on {source.name} -> {target.name}"
                )


def refine(run: Run) -> None:
    """Evaluate on raw reward if that is due, report progress, and decide whether to stop."""
    index, stage = run.state.index, run.stage
    rows: list[dict[str, Any]] = []
    run.state.stopped = stop_reason(run)
    if stage.schedule.due(index, stage.evaluations) or run.state.stopped:
        rows = evaluation_rows(run)
        for row, said in zip(rows, remember(run), strict=False):  # nothing is said without a simulator
            row |= said
        run.keep(run, rows)
    run.tell(index + 1, rows)
