"""Executes a plan: the stages of source agents, then those of each method, and writes what they leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from transreward.domains.across import Across
from transreward.engine import cache, weighing
from transreward.engine.checkpoint import Checkpoints
from transreward.engine.delivery import deliver, foresee, lead, recall
from transreward.engine.informing import first_told
from transreward.engine.loop import loop
from transreward.engine.record import Final, estimated, evaluate_both, final, none_of, of_log, successes_of
from transreward.engine.state import Keep, Run, Watch, begin
from transreward.engine.stop import mark
from transreward.evaluation.statistics import known as figures
from transreward.plan.compile import turned
from transreward.plan.ledger import EVALUATION, Ledger
from transreward.plan.plan import Plan, Stage, Track
from transreward.plan.streams import of_sources
from transreward.request.config import Config
from transreward.request.learner import for_method
from transreward.request.told import at_once
from transreward.row import Method
from transreward.runs import store
from transreward.runs.places import STATE
from transreward.runs.result import Result
from transreward.runs.source_agent import SourceAgent


def execute(
    config: Config,
    plan: Plan,
    agents: dict[str, SourceAgent],
    directory: Path | None,
    watch: Watch,
    request: dict[str, Any],
) -> Result:
    """Run all stages of a plan in order. Returns the method's result, with its controls.

    `agents` are existing source agents, by the stage whose end they are; newly trained ones are added. A stage with
    checkpoints in the directory resumes from them; `request` is kept beside them.
    """

    def saved(stage: Stage) -> Checkpoints:
        opened.append(Checkpoints(directory and directory / STATE / stage.name, request))
        return opened[-1]

    opened: list[Checkpoints] = []
    results, training = {}, 0.0  # seconds that the source agents' training took so far
    known: list[Known] = [Known(agents, {}), *(Known({}, {}) for _ in plan.others)]
    for track in plan.tracks:
        own = track.method is config.method
        place = directory if directory is None or own else directory / "controls" / track.method.name
        found: list[SourceAgent] = []
        began = time.perf_counter()
        for k, part in enumerate(of_sources(config, plan, track.method)):
            if track.agent is not None:
                keeps = directory if own else None
                found.append(trained(config, part, track, k, known[k], keeps and of_source(keeps, k), watch, saved))
        training += time.perf_counter() - began + sum(one.earlier for one in opened)
        results[track.method.name] = follow(for_method(config, track.method), track, found, place, watch, saved)
        opened.clear()
        if own:  # with the source agent's training, if there was one, and without methods that came before
            results[track.method.name].wall_seconds += training
    result = results.pop(config.method.name)
    result.controls = results
    return result


class Known(NamedTuple):
    """The agents of one source, by the stage whose end they are."""

    own: dict[str, SourceAgent]  # in its own columns
    across: dict[str, SourceAgent]  # converted once for all methods, which share their evaluation


def of_source(directory: Path, k: int) -> Path:
    """The part of a run directory that belongs to its k-th source: of the first, which most runs have alone, all."""
    return directory / "sources" / str(k + 1) if k else directory


def trained(
    config: Config,
    plan: Plan,
    track: Track,
    k: int,
    known: Known,
    directory: Path | None,
    watch: Watch,
    saved: Callable[[Stage], Checkpoints],
) -> SourceAgent:
    """The agent of the k-th source that a track starts from, in the target's columns; trained unless it is `known`."""
    config = config.of_source(k)
    scratch = replace(config, learner=config.learner.from_scratch)
    for stage in before(track, plan, known.own):
        training = scratch.of_agent(stage.method)
        shared = cache.entry(training, chain(plan, stage))
        checkpoints = saved(stage) if not k else saved(replace(stage, name=str(of_source(Path(), k) / stage.name)))
        known.own[stage.name] = source_agent(training, stage, known.own, directory, watch, checkpoints, shared)
    assert track.agent is not None
    if track.agent not in known.across:
        known.across[track.agent] = acting(config, track.method, known.own[track.agent])
    return known.across[track.agent]


def acting(config: Config, row: Method, agent: SourceAgent) -> SourceAgent:
    """A source agent in the columns of the request's source: across its bridge, or of a family and told nothing but the
    target's task, if that is known."""
    source = config.domains.source
    if row.randomise is None or not row.randomise.informed:
        return agent.across(source)
    return agent.given(source.spaces, first_told(config, row))


def before(track: Track, plan: Plan, agents: Container[str]) -> list[Stage]:
    """The stages of source agents that a track needs and that are not among `agents`, in order."""
    wanted: list[Stage] = []
    name = track.agent
    while name is not None and name not in agents:
        wanted.append(plan.agents[name])
        name = plan.agents[name].after
    return wanted[::-1]


def chain(plan: Plan, stage: Stage) -> list[Stage]:
    """The stages that lead to a source agent, from the first one that this request trains."""
    before = plan.agents.get(stage.after or "")
    return [*(chain(plan, before) if before is not None else ()), stage]


def source_agent(
    config: Config,
    stage: Stage,
    agents: dict[str, SourceAgent],
    directory: Path | None,
    watch: Watch,
    saved: Checkpoints,
    shared: Path | None,
) -> SourceAgent:
    """Train the plain agent that methods start from: the five steps without a target. It is loaded from the `shared`
    place if it is there, and kept there otherwise."""
    earlier = None if stage.after is None else agents[stage.after]
    run = begin(config, stage, earlier, None, watch, kept(directory))
    rows: list[dict[str, Any]] = []
    if saved.restore(run):
        rewrite(directory, run.state.log)
    elif shared is not None and cache.take_up(shared, run):
        rewrite(directory, rows := run.state.log)
        saved.hold(run)
    run.tell(run.state.index, rows)
    loop(run, saved=saved)
    if shared is not None:
        cache.keep(shared, run)
    state = run.state
    agent = SourceAgent(
        config.domains.source.name, config.learner, state.agents, state.buffers.get("source"), state.keys,
        run.steps.source, config.seed_list, state.log, run.evaluation,
    )  # fmt: skip
    if directory is not None:
        agent.save(directory / "source")
    return agent


def follow(
    config: Config,
    track: Track,
    agents: Sequence[SourceAgent],
    place: Path | None,
    watch: Watch,
    saved: Callable[[Stage], Checkpoints],
) -> Result:
    """Run the stages of one method, from the agents of its sources, of which the first leads, or from scratch."""
    began = time.perf_counter()
    agent, others = (agents[0] if agents else None), agents[1:]
    seen = [agent_returns(config.of_source(k), one) for k, one in enumerate(agents)]
    zero_shot = seen[0] if seen else None
    reference = None if zero_shot is None else float(zero_shot.returns.source.mean())
    run: Run | None = None
    for stage in track.stages:
        first = run is None
        run = begin(config, stage, agent, reference, watch, kept(place), lesson=run, others=others)
        if run.grounded is not None and place is not None:
            run.grounded.keep(config.seed_list, place)
        for one in agents if first else ():
            for account, steps in zip(EVALUATION, one.returns_took, strict=True):
                run.ledger.spend(account, steps)
        runs = (*beside(config, track.partners, run, place), run)
        if first and track.method is config.method and isinstance(config.domains.source, Across):
            run.tell(run.state.index, [], (config.domains.source.said(),))
        if first and (known := at_once(config, track.method)) is not None:
            run.tell(run.state.index, [], (known.said,))
        foreseen(run)
        if sum(stage.budget) and not run.state.stopped:
            checkpoints = saved(stage)
            with checkpoints.logging(*runs) as restored:
                if restored:
                    rewrite(place, [*before_method(config, track, agent), *run.state.log])
                began -= checkpoints.earlier
                run.tell(run.state.index, [])
                loop(*runs, saved=checkpoints)
            recall(run)
    assert run is not None
    runs = (run, *run.partners)
    settled = deliver(run)
    changed = run.grounded is not None  # without a step of learning
    ends = [final(one) if sum(one.stage.budget) or changed else zero_shot for one in runs]  # each counts the other's
    seconds = time.perf_counter() - began
    result, *partners = [finish(one, r, zero_shot, agent, seconds) for one, r in zip(runs, ends, strict=True)]
    ends_of = enumerate(zip(agents, seen, strict=True)) if others else ()
    sources = [of_one(one, end) | weighing.told(run.state.mixture, k) for k, (one, end) in ends_of]
    return replace(result, fallback=settled, sources=sources, partners=tuple(partners))


def foreseen(run: Run) -> None:
    """Before a stage's first round: say what was identified, try the candidates there, and let each seed go on from the
    best of several sources."""
    stage, grounded = run.stage, run.grounded
    if stage.ground is not None and grounded is not None:
        run.tell(run.state.index, [], grounded.said)
        if grounded.untold and stage.method.feed is None:  # there is one policy, and nothing to choose
            run.state.stopped = "decided"
    foresee(run)
    if told := lead(run):
        run.tell(run.state.index, [], told)


def beside(config: Config, stages: Sequence[Stage], run: Run, place: Path | None) -> tuple[Run, ...]:
    """The partners that train beside the method's own run, each with one of the request's sources for its target."""
    partners = []
    for k, stage in enumerate(stages):
        keep = kept(place and place / store.partner(k))
        partners.append(begin(turned(config, k), stage, None, None, lambda progress: None, keep))
    run.partners = tuple(partners)
    for other in partners:
        other.partners = (run, *(one for one in partners if one is not other))
    return run.partners


def of_one(agent: SourceAgent, end: Final) -> dict[str, Any]:
    """What result.json says of one of several sources."""
    returns = end.returns.map(figures)
    return {
        "id": agent.source,
        "steps": agent.steps,
        "source_return": returns.source,
        "zero_shot_target_return": returns.target,
    }


def finish(
    run: Run,
    end: Final | None,
    zero_shot: Final | None,
    agent: SourceAgent | None,
    seconds: float,
) -> Result:
    """The result of a run, of whose final policies `end` is the evaluation."""
    method, state = run.stage.method, run.state
    assert end is not None
    started = zero_shot if method is run.config.method else None  # said once, and not by each control
    return Result(
        config=run.config.as_json(method),
        learner=run.config.learner,
        agents=state.agents,
        compensation_state=state.compensation,
        source_agents=state.guide if method.asks_source else None,
        returns=end.returns,
        success=end.success,
        source_success=started.in_source if started else {},
        source_agent_return=(figures(started.returns.source) or {}).get("per_seed", []) if started else [],
        estimated=estimated(run),
        recorded=of_log(run),
        zero_shot=None
        if zero_shot is None or method.randomise
        else zero_shot.returns.target,  # of the agent that all share
        steps=run.steps,
        evaluation_steps=run.evaluation,
        stopped=state.stopped or "budget",
        rounds=state.rounds,
        updates=state.updates,
        aligned_return=mark(run),
        wall_seconds=seconds,
        log=[*before_method(run.config, run.stage, agent), *state.log],
    )


def before_method(config: Config, of: Track | Stage, agent: SourceAgent | None) -> list[dict[str, Any]]:
    """The rows of metrics before a method's own: those of its source agent, if it is the request's method."""
    return agent.log if agent is not None and of.method is config.method else []


def rewrite(directory: Path | None, log: list[dict[str, Any]]) -> None:
    """Reset metrics.jsonl to the state of the checkpoint that is resumed: later rows will be written again."""
    if directory is not None and directory.exists():
        store.write_text(directory / "metrics.jsonl", store.lines(log))


def agent_returns(config: Config, agent: SourceAgent) -> Final:
    """The evaluation of a source agent in both domains, once for all methods."""
    if agent.returns is None:
        ledger = Ledger({EVALUATION.source: None, EVALUATION.target: None if config.judged.target else 0})
        trained = replace(config, learner=agent.learner)
        seen = evaluate_both(trained, agent.agents, config.loop.final_episodes, ledger)
        agent.returns = seen.map(lambda e: none_of(config) if e is None else e.returns)
        agent.success, agent.in_source = successes_of(seen.target), successes_of(seen.source)
        agent.returns_took = ledger.evaluation
    return Final(agent.returns, agent.success, agent.in_source)


def kept(directory: Path | None) -> Keep:
    """A function that writes rows of metrics and the policy immediately, so that they exist if the run breaks."""

    def keep(run: Run, rows: list[dict[str, Any]]) -> None:
        run.state.log += rows
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            store.append_lines(directory / "metrics.jsonl", rows)
            store.save_tree(directory / "policy.safetensors", run.state.agents)

    return keep
