"""The five steps: a round collects, compensates, improves and refines. See `state.begin` for the first, initialise."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import jax
import numpy as np

from transreward import replay as rp
from transreward.draws import stream as draw
from transreward.engine.checkpoint import NOWHERE, Checkpoints
from transreward.engine.record import evaluation_rows
from transreward.engine.state import Run, State
from transreward.engine.stop import stop_reason
from transreward.interruption import undone
from transreward.plan.plan import Stream
from transreward.streams.twin import Twin
from transreward.streams.walk import relabel
from transreward.types import Array, BrokenRun, Pair, Steps, Transition


def loop(*runs: Run, saved: Checkpoints = NOWHERE) -> None:
    """Rounds of one stage, or of stages side by side, until each is aligned, has converged or its budget is spent.

    Side by side the one moves that has used the smaller share of its rounds; both have each other's first steps before
    either learns. The state is `saved` once in a while, when it is interrupted, and at the end.
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
    """Of runs that an error ends: the state of the last round and, where a number broke, what was learned up to there.
    The error notes what was taken in the target."""
    with suppress(OSError):  # which may be the error
        for run in runs if isinstance(error, BrokenRun) else ():
            run.keep(run, [])
    for said in (runs[-1].taken_in_the_target(), saved.last_words()):
        if said:
            error.add_note(said)


def ended(run: Run) -> bool:
    """Whether a stage has no round left, or needs none."""
    return run.state.stopped is not None or run.state.index >= run.stage.schedule.rounds


def gather(run: Run) -> Pair[Steps | None]:
    """The first half of a round: steps."""
    run.state.rounds += 1
    return collect(run)


def learn(run: Run, fresh: Pair[Steps | None]) -> None:
    """The second half: learn from them, unless they are the first, which warm up."""
    warm = run.state.index < run.stage.schedule.warm
    gap = run.stage.method.gap
    if not warm or (gap is not None and gap.early):
        compensate(run)
    if not warm:
        improve(run, fresh)
        refine(run)
    run.state.index += 1


# -- collect -------------------------------------------------------------------------------------------------------


def collect(run: Run) -> Pair[Steps | None]:
    """A round of steps of each stream with the present policy; granted, stored, and shown to the normaliser."""
    keys, stage = run.next_keys(), run.stage
    fresh: Pair[Steps | None] = Pair(None, None)
    for side, walk, steps in zip(Pair._fields, run.walks, stage.schedule.steps(run.state.index), strict=True):
        stream = stage.stream(side)
        if walk is None or stream is None or not steps:
            continue
        lead = leading_steps(run, stream)
        random = stage.from_nothing and run.state.index < stage.schedule.warm and not lead
        act = walk.guided(run.programs.act, run.state.guide, lead) if lead else run.programs.act
        noise = None if random else run.programs.noise(draw(keys, f"noise {side}"), steps, walk.robots)
        taken = walk.collect(None if random else act, run.state.agents, noise, steps)
        if not taken.domain.size:  # one was in flight when a process ended: it is counted, and nobody knows what it was
            continue
        if stream.rewards == "target":
            taken = relabel(run.config.domains.target, taken)
        if stream.room:
            keep(run.state, side, taken)
        run.state.agents = run.programs.see(run.state.agents, taken.transition.obs)
        fresh = fresh._replace(**{side: taken})
    if run.twin is not None and fresh.target is not None:
        collect_twin(run, run.twin, fresh.target, keys)
    return fresh


def collect_twin(run: Run, twin: Twin, fresh: Steps, keys: Any) -> None:
    """The target's fresh steps as the source takes them; and where branches feed the learner, a round of these."""
    state, buffers, branch = run.state, run.state.buffers, run.stage.stream("source")
    keep(state, "counterpart", twin.replay(fresh))
    if branch is None or branch.kind != "branch":
        return
    shape = branch.length, branch.robots
    state.unspent += branch.per_step * fresh.domain[0].size
    if shape[0] * shape[1] > state.unspent:  # a round with fewer steps than others pays for the next one's
        return
    state.unspent -= shape[0] * shape[1]
    noise = run.programs.noise(draw(keys, "noise branch"), *shape)
    drawn = draw(keys, "branch corrections")

    def act(obs: Array, i: int) -> Array:
        return run.programs.act(state.agents, obs, noise[:, i])

    def correct(steps: Transition, i: int) -> Transition:
        return run.programs.correct(state.compensation, steps, jax.vmap(partial(jax.random.fold_in, data=i))(drawn))

    starts = run.programs.visited(buffers["target"], draw(keys, "branch starts"), shape)
    keep(state, "source", twin.branch(starts, act, correct))


def keep(state: State, name: str, steps: Steps) -> None:
    """Store control steps in a stream's buffer, which takes no more than it has room for."""
    state.stored[name] += min(steps.domain.shape[1], state.buffers[name].capacity)
    state.buffers[name] = rp.add(state.buffers[name], steps)


def leading_steps(run: Run, stream: Stream) -> float:
    """In how many steps of each episode the source policy acts: ever fewer (JSRL, algorithm 1), here linearly."""
    if not stream.lead:
        return 0.0
    return run.config.domains.target.episode_steps * max(1.0 - run.done / stream.lead, 0.0)


# -- compensate, improve, refine -----------------------------------------------------------------------------------


def compensate(run: Run) -> None:
    """Learn from what is stored of both domains what adjustment closes the gap."""
    keys = run.next_keys()  # also where nothing uses them, so that lambda = 0 is the base learner bit for bit
    state, every, gap = run.state, run.config.loop.gap_every, run.stage.method.gap
    if gap is None or (state.refitted and state.rounds < state.refitted + every):
        return
    state.refitted = state.rounds
    state.compensation, metrics = run.programs.compensate(
        state.compensation, run.replays, keys, state.agents, run.asked, run.shown, run.done,
        updates=run.stage.schedule.gap_updates * every, batch=gap.batch,
    )  # fmt: skip
    state.metrics |= metrics


def improve(run: Run, fresh: Pair[Steps | None]) -> None:
    """Improve the policy on the compensated reward; stop where a loss is no longer finite."""
    state, share, updates = run.state, run.stage.target_share, run.stage.schedule.updates
    data: Any = run.replays
    if run.config.learner.on_policy:  # the rollout of the side that feeds it
        data = (Pair(None, fresh.target) if share == 1 else Pair(fresh.source, None)).map(
            lambda steps: None if steps is None else steps.transition
        )
    agents, metrics = run.programs.improve(
        state.agents, state.compensation, data, run.next_keys(), run.asked, run.done, updates=updates,
        target_share=share,
    )  # fmt: skip
    state.metrics |= metrics
    require_finite(run)
    state.agents = agents
    state.updates += updates


def require_finite(run: Run) -> None:
    """Raise BrokenRun where a loss is not a number any more."""
    for name, value in run.state.metrics.items():
        for seed, ok in zip(run.config.seed_list, np.isfinite(np.asarray(value)), strict=True):
            if not ok:
                source, target = run.config.domains
                raise BrokenRun(
                    f"{name} of seed {seed} is not finite after {run.steps.source} source and {run.steps.target} "
                    f"target steps of {run.name} on {source.name} -> {target.name}"
                )


def refine(run: Run) -> None:
    """Evaluate on raw reward where that is due, tell whoever watches, and decide whether to stop."""
    index, total, wanted = run.state.index, run.stage.schedule.total, run.stage.evaluations
    rows: list[dict[str, Any]] = []
    share = (index + 1) / total
    run.state.stopped = stop_reason(run)
    if int(share * wanted) > int(index / total * wanted) or run.state.stopped:
        rows = evaluation_rows(run)
        run.keep(run, rows)
    run.tell(index + 1, rows)
