"""The five steps: initialise, collect, compensate, improve, refine. The one place that knows their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from transreward import replay as rp
from transreward.collect import Robots, relabel
from transreward.config import PLAIN, Config, resolve, rounds_of_parts
from transreward.domains.difference import same_task
from transreward.domains.domain import Domain, Kept, invertible, stored_terms
from transreward.evaluation.diagnostics import felt
from transreward.evaluation.returns import Evaluation, evaluate
from transreward.interruption import undone
from transreward.learners.learner import Learner
from transreward.methods import Method
from transreward.methods import method as named
from transreward.programs import Asked, Programs, programs
from transreward.replay import Replay
from transreward.runs import store
from transreward.runs.result import Result, SourceAgent
from transreward.runs.sinks import Log
from transreward.streams import stream
from transreward.twin import Twin, learn_model
from transreward.types import NO_STEPS, Adjusted, Array, BrokenRun, Metrics, Pair, RequestError, Transition
from transreward.uses.use import UNCHANGED

REPLAY_STEPS = 1_000_000  # per seed and domain; older steps give way
GAP_STEPS = 100_000  # the same where only a gap reads the replay
BRANCHED_STEPS = 10_000  # the same for branches, which are corrected by what was known when they were taken
GAP_STEPS_PER_UPDATE = 16  # of what feeds an on-policy learner; an off-policy one's own updates set its gap's pace
ALIGNED_EPISODES = 5  # finished target episodes per seed whose mean is compared with the source's return


class Progress(NamedTuple):
    """What a run tells whoever watches it, after every round."""

    method: str
    phase: str  # source, transfer or oracle
    steps: Pair[int]  # taken so far, per seed
    budget: Pair[int]  # at the end of this phase, per seed
    done: float  # share of this phase
    rows: list[dict[str, Any]]  # the latest evaluation, one row per seed; empty between evaluations
    source: str = ""  # id of the source as it is seen
    evaluation: Pair[int] = NO_STEPS  # steps that evaluations took so far, per seed; in no budget
    eval_target: str = "simulated"  # `Loop.eval_target`


Watch = Callable[[Progress], None]


@dataclass(frozen=True)
class Phase:
    """A stretch of the loop: how much it may take, and what feeds the learner."""

    name: str
    budget: Pair[int]  # steps per seed to take in this phase, at most
    target_share: float  # of the target's steps in what trains the learner
    from_nothing: bool  # the policy is fresh: act at random first
    evaluations: int
    replayed: int = 0  # source steps per target step that start where the target was; part of the budget
    rounds: int | None = None  # of updates; None = as the steps ask for that feed the learner

    @property
    def walked(self) -> Pair[int]:
        """What of the budget robots walk, in episodes of their own."""
        return self.budget._replace(source=self.budget.source - self.replayed * self.budget.target)


@dataclass
class Run:
    """What one method owns while it runs: everything that its next round depends on."""

    config: Config
    method: Method
    phase: Phase
    programs: Programs
    domains: Pair[Domain]
    robots: Pair[Robots | None]
    replays: Pair[Replay | None]
    twin: Twin | None  # the source where the target was, if the gap or the feed asks for that
    shown: dict[str, Replay]  # see `programs.SHOWN`: the target's steps as the twin took them, demonstrations
    agents: Any  # the learner's state, [seeds]
    guide: Any  # the source agents' state, where they are asked: to act, or for their value
    compensation: Any  # the compensation's state, [seeds]
    keys: Any  # [seeds]
    before: Pair[int]  # steps per seed taken before this phase
    reference: float | None  # the source agent's mean return in the source, to align with
    directory: Path | None
    watch: Watch
    metrics: Metrics = field(default_factory=dict)  # the latest of learner and gap, [seeds]
    log: list[dict[str, Any]] = field(default_factory=list)
    rounds: int = 0  # of the loop, begun
    updates: int = 0  # of the learner
    unspent: int = 0  # source steps that the target's have paid for, but no branch has taken
    evaluated: Pair[int] = NO_STEPS  # steps per seed that evaluations took, with those of its source agent
    refitted: int = 0  # the round in which the gap was last trained; 0 = never
    partner: Any = None  # of two that are trained together, the other's Run
    judged: Any = None  # the learner's state at the evaluation before, [seeds]
    done: float = 0.0  # share of this phase's rounds before the present one
    stopped: str | None = None
    began: float = field(default_factory=time.perf_counter)

    @property
    def steps(self) -> Pair[int]:
        """Taken so far, per seed."""
        source, target = (b + (r.steps if r else 0) for b, r in zip(self.before, self.robots, strict=True))
        return Pair(source + (self.twin.steps if self.twin else 0), target)

    @property
    def asked(self) -> Asked:
        """Whom its compensation may ask."""
        return Asked(self.guide, self.twin.model.one if self.twin and self.twin.model else None)

    @property
    def taken(self) -> int:
        """In this phase so far, per seed and in both domains together."""
        return sum(self.steps) - sum(self.before)

    @property
    def counted(self) -> Pair[int]:
        """`steps` as they are reported: an oracle's are all the target's, and a partner's are the source's."""
        if self.partner is not None:
            return Pair(self.partner.steps.target, self.steps.target)
        return Pair(0, self.steps.source) if self.method.start == "oracle" else self.steps

    @property
    def evaluation(self) -> Pair[int]:
        """`evaluated`, and a partner's with it, whose source is this one's target."""
        if self.partner is None:
            return self.evaluated
        return plus(self.evaluated, Pair(self.partner.evaluated.target, self.partner.evaluated.source))

    def tell(self, done: float, rows: list[dict[str, Any]]) -> None:
        """Report to whoever watches."""
        budget, steps = Pair(*(b + p for b, p in zip(self.before, self.phase.budget, strict=True))), self.steps
        if self.partner is not None:
            budget, steps = Pair(self.partner.phase.budget.target, budget.target), self.counted
        seen = self.config.domains.source.name
        account, how = self.evaluation, self.config.loop.eval_target
        self.watch(Progress(self.method.name, self.phase.name, steps, budget, done, rows, seen, account, how))

    def keep(self, rows: list[dict[str, Any]]) -> None:
        """Log rows, and write them and the policy down at once, so that they are there if the run breaks later."""
        self.log += rows
        if self.directory is not None:
            self.directory.mkdir(parents=True, exist_ok=True)
            store.append_lines(self.directory / "metrics.jsonl", rows)
            store.save_tree(self.directory / "policy.safetensors", self.agents)

    def taken_in_the_target(self) -> str | None:
        """What an interrupted run says of its target: its steps are paid for, learned from or not."""
        steps = self.counted.target
        return f"{self.method.name} had taken {steps:,} target steps a seed" if steps else None

    def next_keys(self) -> Any:
        """Fresh keys, one per seed."""
        self.keys, fresh = self.programs.next_keys(self.keys)
        return fresh

    def evaluate(self, episodes: int) -> Pair[Evaluation | None]:
        """`evaluate_both` of the present policy, counted."""
        found = evaluate_both(self.config, self.agents, episodes)
        self.evaluated = plus(self.evaluated, steps_of(found))
        return found

    def returns(self, seen: Pair[Evaluation | None], episodes: int) -> Pair[np.ndarray]:
        """Raw returns [seeds, episodes] in both domains; in the target those of its last finished training episodes
        where these stand for an evaluation. No episodes: nobody knows."""
        source, target = (none_of(self.config) if e is None else e.returns for e in seen)
        if self.config.loop.eval_target == "training" and self.robots.target is not None:
            target = self.robots.target.latest(episodes)
        return Pair(source, target)


def transfer(
    source: Domain | str,
    target: Domain | str,
    method: str = "darc",
    *,
    learner: Any = None,
    source_steps: int | None = None,
    target_steps: int | None = None,
    seeds: int = 3,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    controls: Sequence[str] = (),
    source_run: str | Path | None = None,
    cotrain: bool = False,
    out: str | Path | None = None,
    log: Sequence[str] = (),
    imports: Sequence[str] = (),
    watch: Watch | None = None,
) -> Result:
    """Move a skill from `source` to `target`. Budgets are steps per seed and are never exceeded.

    `learner` is a name, settings made by `tr.learner`, or None for the source robot's preset. `settings` are paths such
    as {"use.strength": 0.5}. `controls` run beside the method from the same source agent. `source_run` is an earlier
    run's directory, whose source agent is taken up instead of training one; its steps count as taken.
    With `cotrain` the source's agent learns beside the target's, each compensating the other; it is the result's
    `partner`. `log` names rows of `runs.sinks.SINKS`, such as tensorboard, to which evaluations go too.
    `imports` names modules whose rows (robots, gaps, methods, learners) the request uses; they stand in config.json, so
    that the run is opened with them.
    Raises RequestError for a wrong request, before anything is written; BrokenRun where a number stopped being finite.
    """
    config = resolve(
        source, target, method, learner=learner, source_steps=source_steps, target_steps=target_steps, seeds=seeds,
        seed=seed, settings=settings or {}, controls=tuple(controls), source_run=source_run, cotrain=cotrain,
        imports=imports,
    )  # fmt: skip
    with one_target(config):
        return all_methods(config, source_run, out, log, watch or (lambda progress: None))


@contextmanager
def one_target(config: Config) -> Iterator[None]:
    """Within it a target that is not simulated has one environment for each of its robots, made once and used
    throughout. They are closed at the end, also where the command is interrupted: a robot would go on with its last
    command."""
    target = config.domains.target
    if config.simulates_target or not isinstance(target, Kept):
        yield
        return
    with target.kept(), undone(target.close):
        yield


def all_methods(
    config: Config, source_run: str | Path | None, out: str | Path | None, log: Sequence[str], watch: Watch
) -> Result:
    """The method and its controls, from one source agent. See `transfer`."""
    directory = Path(out) if out is not None else None
    began, agent, provenance = time.perf_counter(), None, store.provenance()
    sinks = Log(log, directory)
    watch = sinks.beside(watch)
    if source_run is not None and config.needs_source_agent:
        agent = SourceAgent.load(Path(source_run), config.domains.source, config.learner, config.seed_list)
        config.require_steps_left(agent.steps)
        require_stored_terms(config, agent)
    results = {}
    with nullcontext() if directory is None else store.claimed(directory), sinks.closing():
        if directory is not None:
            store.write_json(directory / "config.json", config.of(config.method).as_json(config.method))
            store.write_json(directory / "provenance.json", provenance)
        # those that need the least training in the source first: the agent of the others is trained on from theirs
        for row in sorted((config.method, *config.controls), key=config.pretrain_steps):
            agent = source_agent(config, row, agent, directory, watch)
            place = directory if directory is None or row is config.method else directory / "controls" / row.name
            if row is config.method and config.cotrain:
                results[row.name] = cotrained(config.of(row), row, place, watch)
            else:
                results[row.name] = run_method(config.of(row), row, agent, place, watch)
            if row is config.method:  # with the source agent's training, if there was one
                results[row.name].wall_seconds = time.perf_counter() - began
        result = results.pop(config.method.name)
        result.controls, result.provenance = results, provenance
        if directory is not None:
            result.write(directory)
    return result


def require_stored_terms(config: Config, agent: SourceAgent) -> None:
    """Raise RequestError where the terms of an earlier run's steps are needed, which stored none."""
    rows = (config.method, *config.controls)
    wanting = [row.name for row in rows if relabelled(row) == "exactly" or row.needs("terms")]
    if wanting and agent.replay is not None and np.isnan(np.asarray(agent.replay.data[..., -1])).any():
        raise RequestError(
            f"the steps of the source run {config.source_run} were stored without their reward terms, which "
            f"'{wanting[0]}' needs: leave `source_run` out"
        )


def source_agent(
    config: Config, method: Method, agent: SourceAgent | None, directory: Path | None, watch: Watch
) -> SourceAgent | None:
    """The plain agent that a method starts from: the five steps without a target.

    It is trained once and shared. A method that goes on in the source starts when a part of the source budget is spent;
    the others get an agent that had all of it, so that every method of a table may take the same source steps.
    """
    if not method.needs_source_agent:
        return agent
    left = config.pretrain_steps(method) - (agent.steps if agent else 0)
    taken_up = config.source_run is not None and method.uses_source  # it goes on from where that run stopped
    if agent is not None and (left < config.least_steps.source or taken_up):
        return agent
    own = method is config.method
    phase = Phase("source", Pair(left, 0), 0.0, agent is None, config.loop.source_evaluations)
    run = initialise(config, PLAIN, phase, config.domains, agent, None, directory if own else None, watch)
    loop(run)
    seeds, name = config.seed_list, config.domains.source.name
    agent = SourceAgent(
        name, config.learner, run.agents, run.replays.source, run.keys, run.steps.source, seeds, run.log, run.evaluated
    )
    if directory is not None and own:
        agent.save(directory / "source")
    return agent


def run_method(
    config: Config,
    method: Method,
    agent: SourceAgent | None,
    directory: Path | None,
    watch: Watch,
) -> Result:
    """One method, from the source agent on or from nothing, within its budgets."""
    began = time.perf_counter()
    agent = agent if method.needs_source_agent else None
    phase = method_phase(config, method, agent)
    domains = config.domains
    if method.start == "oracle":  # trains in the target as if it were the source
        domains = Pair(domains.target, domains.target)
    zero_shot = None if agent is None else agent_returns(config, agent)
    reference = float(zero_shot.source.mean()) if zero_shot is not None else None
    lesson = None
    if method.teacher:
        assert agent is not None
        lesson = teach(config, method, agent, reference, directory, watch)
        agent = replace(agent, agents=lesson.agents, keys=lesson.keys, replay=None, steps=lesson.steps.source)
        phase = method_phase(config, method, agent, lesson)
    robots = None if lesson is None or config.simulates_target else lesson.robots.target
    run = initialise(config, method, phase, domains, agent, reference, directory, watch, target_robots=robots)
    if lesson is not None:
        follow(run, lesson)
    if agent is not None:
        run.evaluated = plus(run.evaluated, agent.returns_took)
    if sum(phase.budget):
        if not run.stopped:
            loop(run)
        returns = final_returns(run)
    else:
        assert zero_shot is not None
        returns = zero_shot
    return replace(
        finish(run, returns, time.perf_counter() - began),
        source_agents=run.guide if method.asks_source else None,
        zero_shot=None if zero_shot is None else zero_shot.target,
        log=[*(agent.log if agent is not None and method is config.method else []), *run.log],
    )


def finish(run: Run, returns: Pair[np.ndarray], seconds: float) -> Result:
    """What a run leaves, with the raw returns of its final policies."""
    return Result(
        config=run.config.as_json(run.method),
        learner=run.config.learner,
        agents=run.agents,
        compensation_state=run.compensation,
        returns=returns,
        zero_shot=None,
        steps=run.counted,
        evaluation_steps=run.evaluation,
        stopped=run.stopped or "budget",
        rounds=run.rounds,
        updates=run.updates,
        aligned_return=aligned_return(run.config, run.reference),
        wall_seconds=seconds,
        log=run.log,
    )


def agent_returns(config: Config, agent: SourceAgent) -> Pair[np.ndarray]:
    """Final returns of a source agent in both domains, evaluated once for all methods that start from it."""
    if agent.returns is None:
        seen = evaluate_both(replace(config, learner=agent.learner), agent.agents, config.loop.final_episodes)
        agent.returns = seen.map(lambda e: none_of(config) if e is None else e.returns)
        agent.returns_took = steps_of(seen)
    return agent.returns


def teach(
    config: Config,
    method: Method,
    agent: SourceAgent,
    reference: float | None,
    directory: Path | None,
    watch: Watch,
) -> Run:
    """The first part of a method that imitates another: the run of that one, within its share of the budgets."""
    assert method.teacher is not None
    row = replace(named(method.teacher), name=method.name)
    phase = teacher_phase(method, method_phase(config, row, agent))
    run = initialise(config, row, phase, config.domains, agent, reference, directory, watch)
    loop(run)
    return run


def teacher_phase(method: Method, phase: Phase) -> Phase:
    """The share of a transfer's budgets, evaluations and rounds that a method's teacher takes."""
    teach = method.parts[0]
    budget = phase.budget.map(lambda steps: int(teach * steps))
    evaluations = max(round(teach * phase.evaluations), 1)
    rounds = phase.rounds and rounds_of_parts(method, phase.rounds)[0]
    return replace(phase, name="teacher", budget=budget, evaluations=evaluations, rounds=rounds)


def follow(run: Run, lesson: Run) -> None:
    """Go on where a teacher's run ended, with its target steps, and its newest source steps to look at."""
    assert lesson.robots.source is not None and lesson.replays.source is not None
    own = lesson.robots.source.steps // lesson.robots.source.robots  # of what is stored, the rest is the source agent's
    share = min(own / int(lesson.replays.source.size), 1.0) * (run.method.use or UNCHANGED).newest
    run.shown["demonstrations"] = rp.newest(lesson.replays.source, share)
    if lesson.replays.target is not None:
        run.replays = run.replays._replace(target=rp.cut(lesson.replays.target, run.domains.target.spaces))
    run.before, run.log, run.stopped = lesson.steps, lesson.log, lesson.stopped
    if run.robots.target is not None and run.robots.target is lesson.robots.target:
        run.robots.target.steps = 0  # they stand in `before` now
    run.rounds, run.updates = lesson.rounds, lesson.updates
    run.judged, run.evaluated = lesson.judged, lesson.evaluated


def method_phase(config: Config, method: Method, agent: SourceAgent | None, lesson: Run | None = None) -> Phase:
    """What a method may take after the source agent, and after the run of its teacher."""
    fresh, evaluations, rounds = method.start != "source", config.loop.evaluations, config.rounds(method)
    if method.start == "oracle":
        return Phase("oracle", Pair(config.source_steps, 0), 0.0, fresh, evaluations)
    if method.target_share is None:
        return Phase("transfer", Pair(0, 0), 0.0, fresh, evaluations)
    source = method.replayed * config.target_steps
    if method.walks:
        source = config.source_steps - (agent.steps if agent else 0)
    budget = Pair(source, config.target_steps)
    if lesson is not None:
        budget = budget._replace(target=budget.target - lesson.steps.target)
        evaluations = max(round(evaluations * budget.target / config.target_steps), 1)
        rounds = rounds and max(rounds - (lesson.phase.rounds or 0), 1)
    return Phase("transfer", budget, method.target_share, fresh, evaluations, method.replayed, rounds)


def loop(run: Run) -> None:
    """Rounds of the five steps, until the target is aligned, has converged or the budget is spent."""
    plan, before = Rounds.of(run.config, run.method, run.phase), run.rounds
    run.tell(0.0, [])
    try:
        with undone(run.taken_in_the_target):
            for index in range(plan.total):
                run.rounds = before + index + 1
                learn(run, plan, index, gather(run, plan, index))
                if run.stopped:
                    break
    except BrokenRun:
        run.keep([])  # what was learned up to here
        raise


def gather(run: Run, plan: Rounds, index: int) -> Pair[np.ndarray | None]:
    """The first half of a round: steps."""
    run.done = index / plan.total
    return collect(run, plan, index)


def learn(run: Run, plan: Rounds, index: int, fresh: Pair[np.ndarray | None]) -> None:
    """The second half: learn from them, unless they are the first; beside a partner's as they are by now."""
    warm = index < plan.warm
    if warm and not (run.method.gap is not None and run.method.gap.early):
        return
    if run.partner is not None:
        run.replays = run.replays._replace(source=run.partner.replays.target)
    compensate(run, plan)
    if not warm:
        improve(run, plan, fresh)
        refine(run, plan, index)
    if run.partner is not None:
        run.replays = run.replays._replace(source=None)  # the other writes into it in place


class Rounds(NamedTuple):
    """How a phase is cut into rounds, and all of its budget spent."""

    total: int
    warm: int  # the first, which only gather steps
    controls: Pair[int]  # control steps of the whole phase
    rollout: Pair[int]  # an on-policy learner's, in every round but a longer last one; 0 = spread evenly
    updates: int  # of the learner per round after the first
    gap_updates: int  # the same

    @staticmethod
    def of(config: Config, method: Method, phase: Phase) -> Rounds:
        """The steps that feed the learner set the pace, unless the phase says how many rounds there are."""
        learner, loop, budget = config.learner, config.loop, phase.walked
        robots = Pair(learner.robots, loop.target_robots)
        controls = Pair(*(b // n for b, n in zip(budget, robots, strict=True)))
        target_leads = budget.source == 0
        lead, width = (controls.target, robots.target) if target_leads else (controls.source, robots.source)
        chunk = max(min(learner.round_steps(target_leads) // width, lead), 1)
        pace = loop.gap_updates * (method.gap.pace if method.gap is not None else 1.0)
        if learner.on_policy:
            count = phase.rounds or max(lead // chunk, 1)
            chunk = lead // count if phase.rounds else chunk
            rollout = Pair(0, chunk) if target_leads else Pair(chunk, 0)
            gap_updates = pace * lead * width / count / GAP_STEPS_PER_UPDATE
            return Rounds(count, 0, controls, rollout, learner.updates_per_round, max(round(gap_updates), 1))
        share = warm_share(learner, method, phase)
        count = phase.rounds or max(-(-round((1 - share) * lead) // chunk), 1)
        warm = round(share / (1 - share) * count)
        gap_updates = max(round(pace * learner.updates_per_round), 1)
        return Rounds(warm + count, warm, controls, Pair(0, 0), learner.updates_per_round, gap_updates)

    def steps(self, index: int) -> Pair[int]:
        """Control steps of a round."""
        return Pair(*(self._before(index + 1, *side) - self._before(index, *side) for side in self._sides))

    @property
    def _sides(self) -> Iterable[tuple[int, int]]:
        return zip(self.controls, self.rollout, strict=True)

    def _before(self, index: int, controls: int, rollout: int) -> int:
        """Control steps of a domain before a round; where they are spread, the first round has one in any case."""
        if rollout:
            return controls if index == self.total else index * rollout
        return -(-controls * index // self.total)


def warm_share(learner: Learner, method: Method, phase: Phase) -> float:
    """Share of a phase's steps that are stored before an off-policy learner learns from them, at most a tenth: uniform
    actions from nothing, but where the source policy leads, which explores better than chance."""
    budget, fresh = phase.walked, phase.from_nothing and not (method.feed and method.feed.guide)
    if not fresh and not budget.target:
        return 0.0
    wanted, taken = (learner.random_steps, sum(budget)) if fresh else (learner.warmup_steps, budget.target)
    return min(wanted / max(taken, 1), 0.1)


# -- both at once: each is a transfer whose source is the other as it learns ---------------------------------------


def cotrained(config: Config, method: Method, directory: Path | None, watch: Watch) -> Result:
    """The target's learner, with the source's as its `partner`. Budgets are those of the request, per seed."""
    began = time.perf_counter()
    sides = Pair(source=mirrored(config), target=config)
    runs = Pair(
        start_beside(sides.source, method, directory and directory / "partner", lambda progress: None, partner=True),
        start_beside(sides.target, method, directory, watch, partner=False),
    )
    runs.source.partner, runs.target.partner = runs.target, runs.source
    plans = runs.map(lambda run: Rounds.of(run.config, run.method, run.phase))
    runs.target.tell(0.0, [])
    try:
        both = list(zip(runs, plans, strict=True))
        fresh = [gather(run, plan, 0) for run, plan in both]  # so that each has the other's steps
        for (run, plan), rows in zip(both, fresh, strict=True):
            run.rounds = 1
            learn(run, plan, 0, rows)
        while behind := [(run, plan) for run, plan in both if run.stopped is None and run.rounds < plan.total]:
            run, plan = min(behind, key=lambda pair: pair[0].rounds / pair[1].total)
            index, run.rounds = run.rounds, run.rounds + 1
            learn(run, plan, index, gather(run, plan, index))
    except BrokenRun:
        for run in runs:
            run.keep([])
        raise
    returns = runs.map(final_returns)
    partner, own = (finish(run, r, time.perf_counter() - began) for run, r in zip(runs, returns, strict=True))
    return replace(own, partner=partner)


def mirrored(config: Config) -> Config:
    """The same request from the other side: its target is the source, with the source's budget, robots and pace."""
    learner: Any = config.learner  # one that keeps its steps
    learner = replace(learner, target_updates_per_step=1.0 / learner.steps_per_update)
    return replace(
        config,
        domains=Pair(config.domains.target, config.domains.source),
        source_steps=config.target_steps,
        target_steps=config.source_steps,
        learner=learner,
        loop=replace(config.loop, target_robots=config.learner.robots),
        controls=(),
    )


def start_beside(config: Config, method: Method, directory: Path | None, watch: Watch, *, partner: bool) -> Run:
    """A run in the target of `config` alone, from nothing."""
    rounds = config.rounds(method)
    phase = Phase("cotrain", Pair(0, config.target_steps), 1.0, True, config.loop.evaluations, rounds=rounds)
    return initialise(config, method, phase, config.domains, None, None, directory, watch, partner)


# -- 1. initialise -------------------------------------------------------------------------------------------------


def initialise(
    config: Config,
    method: Method,
    phase: Phase,
    domains: Pair[Domain],
    agent: SourceAgent | None,
    reference: float | None,
    directory: Path | None,
    watch: Watch,
    partner: bool = False,
    target_robots: Robots | None = None,
) -> Run:
    """Policies, reward structures, robots and replays of both domains; from the source agent where there is one, and
    with the `target_robots` that go on. Of two that are co-trained, the `partner` draws from random streams of its
    own."""
    learner, seeds, loop = config.learner, config.seed_list, config.loop
    compiled = programs(learner, method.compensation(), config.domains.source.spaces)
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    keys = stream(keys, "partner") if partner else keys
    agents, compensation = compiled.init(keys)
    if agent is not None:
        keys = agent.keys
        if not phase.from_nothing:
            agents = jax.tree.map(jnp.copy, agent.agents)
    width = Pair(learner.robots, loop.target_robots)
    going_on = Pair(None, target_robots)
    robots = Pair(
        *(
            Robots(
                domain,
                seeds,
                n,
                loop.threads,
                store_terms=method.stores_terms(side),
                whose="partner" if partner else side,
            )
            if budget and old is None
            else old
            for side, domain, n, budget, old in zip(Pair._fields, domains, width, phase.walked, going_on, strict=True)
        )
    )
    twin = make_twin(config, agent, keys) if phase.replayed else None
    olds = (agent.replay if agent else None, None)
    replays = Pair(
        *(
            make_replay(config, method, side, n, budget, old)
            for side, n, budget, old in zip(Pair._fields, width, phase.budget, olds, strict=True)
        )
    )
    if replays.source is not None and method.uses_replay and phase.from_nothing:
        # a fresh learner has not seen what it will learn from
        agents = compiled.see(agents, rp.in_order(replays.source)[..., : config.domains.source.spaces.obs])
    shown = {}
    if twin is not None and replays.target is not None:
        shown = {"counterpart": rp.empty(config.domains.source.spaces, config.seeds, *replays.target.data.shape[1:3])}
    before = Pair(agent.steps if agent else 0, 0)
    return Run(
        config,
        method,
        phase,
        compiled,
        domains,
        robots,
        replays,
        twin,
        shown,
        agents,
        agent.agents if agent is not None and method.guided else None,
        compensation,
        keys,
        before,
        reference,
        directory,
        watch,
        evaluated=agent.evaluated if agent else NO_STEPS,
    )


def make_replay(
    config: Config, method: Method, side: str, robots: int, budget: int, old: Replay | None
) -> Replay | None:
    """Room for what a phase collects, after what an earlier one did; None where nobody would read it.

    The source's room is that of the whole budget from the start: another shape would be compiled anew.
    """
    spaces = config.domains.source.spaces
    if side == "source" and method.uses_replay:
        assert method.feed is not None and old is not None
        if relabelled(method) == "exactly":
            old = rp.newest(old, method.feed.newest)
            return old._replace(data=jnp.asarray(relabel(config.domains.target, old.data)))
        return old if method.feed.newest == 1 else rp.newest(old, method.feed.newest)
    if side == "source" and method.branched:
        rows = branch_shape(config, method)
        return rp.empty(spaces, config.seeds, -(-BRANCHED_STEPS // rows[1]), rows[1])
    on_policy, budgets = config.learner.on_policy, {"source": config.source_steps, "target": config.target_steps}
    if not budget or (on_policy and method.gap is None):
        return None
    room = -(-min(budgets[side], GAP_STEPS if on_policy else REPLAY_STEPS) // robots)
    if old is None:
        trained_in = config.domains.target if method.start == "oracle" else config.domains.source
        more = len(stored_terms(trained_in)) if method.stores_terms(side) else 0
        return rp.empty(spaces, config.seeds, room, robots, more)
    data = rp.in_order(old)[:, -room:]
    if side == "source" and relabelled(method) == "exactly":
        data = jnp.asarray(relabel(config.domains.target, data))
    return rp.cut(rp.with_room(data, room), spaces)


def relabelled(method: Method) -> str | None:
    """How the source's steps are paid the target's reward: exactly, by a model, or (None) not at all."""
    if not method.relabels:
        return None
    return "exactly" if method.gap is None else "by a model"


def make_twin(config: Config, agent: SourceAgent | None, keys: Any) -> Twin:
    """The source's simulator where it can be put into a state; or a model of it, learned from its agent's steps."""
    source, model = config.domains.source, None
    if not invertible(source):
        assert agent is not None and agent.replay is not None
        model = learn_model(agent.replay, stream(keys, "model of the source"), source.spaces)
    return Twin(source, config.seed_list, config.loop.threads, model)


def branch_shape(config: Config, method: Method) -> tuple[int, int]:
    """Of a round's branches: how many control steps, of how many rollouts side by side; the same in all rounds."""
    assert method.feed is not None
    plan, length = Rounds.of(config, method, method_phase(config, method, None)), method.feed.branch_length
    steps = -(-plan.controls.target // plan.total) * config.loop.target_robots
    return length, max(method.feed.branches * steps // length, 1)


# -- 2. collect ----------------------------------------------------------------------------------------------------


def collect(run: Run, plan: Rounds, index: int) -> Pair[np.ndarray | None]:
    """A round of steps in both domains with the present policy; counted, stored, and shown to the normaliser."""
    keys, fresh, replays = run.next_keys(), [], []
    lead = leading_steps(run, run.done)
    random = run.phase.from_nothing and index < plan.warm and not lead
    for side, robots, replay, steps in zip(Pair._fields, run.robots, run.replays, plan.steps(index), strict=True):
        if robots is None or not steps:
            fresh.append(None)
            replays.append(replay)
            continue
        act = robots.guided(run.programs.act, run.guide, lead) if lead else run.programs.act
        noise = None if random else run.programs.noise(stream(keys, f"noise {side}"), steps, robots.robots)
        rows = robots.collect(None if random else act, run.agents, noise, steps)
        if robots is run.robots.source and relabelled(run.method) == "exactly":
            rows = relabel(run.domains.target, rows)
        fresh.append(rows)
        replays.append(replay if replay is None else rp.add(replay, rows))
        run.agents = run.programs.see(run.agents, rows[..., : robots.domain.spaces.obs])
    run.replays = Pair(*replays)
    if run.twin is not None and fresh[1] is not None:
        collect_twin(run, run.twin, fresh[1], keys)
    return Pair(*fresh)


def collect_twin(run: Run, twin: Twin, rows: np.ndarray, keys: Any) -> None:
    """The target's fresh steps as the source takes them; and where branches feed the learner, a round of these."""
    run.shown["counterpart"] = rp.add(run.shown["counterpart"], twin.replay(rows))
    if not run.method.branched:
        return
    shape, target, source = branch_shape(run.config, run.method), run.replays.target, run.replays.source
    assert run.method.feed is not None and target is not None and source is not None
    run.unspent += run.method.feed.branches * rows.shape[1] * rows.shape[2]
    if prod(shape) > run.unspent:  # a round with fewer steps than others pays for the next one's
        return
    run.unspent -= prod(shape)
    noise = run.programs.noise(stream(keys, "noise branch"), *shape)
    drawn = stream(keys, "branch corrections")

    def act(obs: Array, i: int) -> Array:
        return run.programs.act(run.agents, obs, noise[:, i])

    def correct(steps: Transition, i: int) -> Transition:
        return run.programs.correct(run.compensation, steps, jax.vmap(partial(jax.random.fold_in, data=i))(drawn))

    branches = twin.branch(run.programs.visited(target, stream(keys, "branch starts"), shape), act, correct)
    run.replays = run.replays._replace(source=rp.add(source, branches))


def leading_steps(run: Run, done: float) -> float:
    """In how many steps of each episode the source policy acts: ever fewer (JSRL, algorithm 1), here linearly."""
    feed = run.method.feed
    if feed is None or not feed.guide:
        return 0.0
    return run.domains.target.episode_steps * max(1.0 - done / feed.guide, 0.0)


# -- 3. compensate -------------------------------------------------------------------------------------------------


def compensate(run: Run, plan: Rounds) -> None:
    """Learn from both replays what adjustment closes the gap."""
    keys = run.next_keys()  # also where nothing uses them, so that lambda = 0 is the base learner bit for bit
    every = run.config.loop.gap_every
    if run.method.gap is None or (run.refitted and run.rounds < run.refitted + every):
        return
    run.refitted = run.rounds
    run.compensation, metrics = run.programs.compensate(
        run.compensation,
        run.replays,
        keys,
        run.agents,
        run.asked,
        run.shown,
        run.done,
        updates=plan.gap_updates * every,
        batch=run.method.gap.batch,
    )
    run.metrics |= metrics


# -- 4. improve ----------------------------------------------------------------------------------------------------


def improve(run: Run, plan: Rounds, fresh: Pair[np.ndarray | None]) -> None:
    """Improve the policy on the compensated reward; stop where a loss is no longer finite."""
    data = run.replays
    if run.config.learner.on_policy:  # the rollout of the side that feeds it
        data = Pair(None, fresh.target) if run.phase.target_share == 1 else Pair(fresh.source, None)
    agents, metrics = run.programs.improve(
        run.agents,
        run.compensation,
        data,
        run.next_keys(),
        run.asked,
        run.done,
        updates=plan.updates,
        target_share=run.phase.target_share,
    )
    run.metrics |= metrics
    require_finite(run)
    run.agents = agents
    run.updates += plan.updates


def require_finite(run: Run) -> None:
    """Raise BrokenRun where a loss is not a number any more."""
    for name, value in run.metrics.items():
        for seed, ok in zip(run.config.seed_list, np.isfinite(np.asarray(value)), strict=True):
            if not ok:
                source, target = run.config.domains
                raise BrokenRun(
                    f"{name} of seed {seed} is not finite after {run.counted.source} source and {run.counted.target} "
                    f"target steps of {run.method.name} on {source.name} -> {target.name}"
                )


# -- 5. refine -----------------------------------------------------------------------------------------------------


def refine(run: Run, plan: Rounds, index: int) -> None:
    """Evaluate on raw reward where that is due, tell whoever watches, and decide whether to stop."""
    rows, share = [], (index + 1) / plan.total
    run.stopped = stop_reason(run)
    due = int(share * run.phase.evaluations) > int(index / plan.total * run.phase.evaluations)
    if due or run.stopped:
        rows = evaluation_rows(run)
        run.keep(rows)
    run.tell(share, rows)


def stop_reason(run: Run) -> str | None:
    """aligned, converged or None; judged by target episodes that the budget has paid for anyway."""
    loop, robots = run.config.loop, run.robots.target
    if robots is None or not robots.domain.reward_terms or loop.eval_target == "none":
        return None  # nothing says how well it does, or nothing is to be said of it
    recent = robots.recent_return(ALIGNED_EPISODES)
    wanted = aligned_return(run.config, run.reference)
    if wanted is not None and recent.mean() >= wanted:  # not while a seed has too few episodes: then the mean is NaN
        return "aligned"
    if loop.converged and robots.stalled(loop.converged):
        return "converged"
    return None


def aligned_return(config: Config, reference: float | None) -> float | None:
    """The raw target return that counts as aligned with a source agent whose return there is `reference`.

    Where both domains' random and trained returns are given, both agents are put on one scale, 0 for random and 1 for
    trained; with the target's alone, the source agent counts as trained. Without them the returns themselves are
    compared, where the task is the same. None: there is nothing to judge by.
    """
    loop = config.loop
    if not loop.aligned or reference is None or not config.domains.target.reward_terms or loop.eval_target == "none":
        return None
    if loop.target_returns:
        share = 1.0
        if loop.source_returns:
            low, high = loop.source_returns
            share = (reference - low) / (high - low)
        low, high = loop.target_returns
        return low + loop.aligned * share * (high - low)
    if not same_task(config.domains.source, config.domains.target):
        return None
    return reference - (1 - loop.aligned) * abs(reference)


def evaluation_rows(run: Run) -> list[dict[str, Any]]:
    """One row of metrics.jsonl per seed: raw returns in both domains, and apart from them what the compensation did."""
    episodes = run.config.loop.eval_episodes
    seen = run.evaluate(episodes)
    returns = run.returns(seen, episodes)
    figures = compensation_figures(run, seen)
    moved = policy_change(run, seen.target or seen.source)
    acted_on, evaluation, rows = getattr(returns, run.method.side), run.evaluation, []
    for i, seed in enumerate(run.config.seed_list):
        paid = figures[i].pop("gap_per_episode", None)
        rows.append(
            {
                "method": run.method.name,
                "phase": run.phase.name,
                "step": sum(run.counted),
                "source_steps": run.counted.source,
                "target_steps": run.counted.target,
                "source_evaluation_steps": evaluation.source,
                "target_evaluation_steps": evaluation.target,
                "seed": seed,
                "round": run.rounds,
                "updates": run.updates,
                **({} if moved is None else {"policy_change": float(moved[i])}),
                "source_return": mean_or_none(returns.source[i]),
                "target_return": mean_or_none(returns.target[i]),
                "compensated_return": None if paid is None else run.method.kept * float(acted_on[i].mean()) + paid,
                **figures[i],
                "source_terms": terms_of(seen.source, i),
                "target_terms": terms_of(seen.target, i),
                **{name: float(value[i]) for name, value in run.metrics.items()},
                **({"twin": run.twin.kind} if run.twin else {}),
                **({"relabelled": relabelled(run.method)} if run.method.relabels else {}),
                "seconds": time.perf_counter() - run.began,
            }
        )
    return rows


def mean_or_none(returns: np.ndarray) -> float | None:
    """Of one seed's episodes; None of no episodes."""
    return float(returns.mean()) if returns.size else None


def terms_of(seen: Evaluation | None, i: int) -> dict[str, float]:
    """Reward terms of one seed's evaluation; none without one."""
    return {} if seen is None else {name: float(value[i]) for name, value in seen.terms.items()}


def policy_change(run: Run, seen: Evaluation | None) -> np.ndarray | None:
    """How far the policy's actions are from those at the evaluation before, in the states of this one (the target's
    where it is evaluated there): root of the mean square in halves of the action box, [seeds]. None at the first."""
    before, run.judged = run.judged, run.agents
    if before is None or seen is None:
        return None
    obs = seen.first_episodes_first().obs
    now, then = (np.asarray(run.programs.act(agents, obs, None)) for agents in (run.agents, before))
    apart = (now - then) / run.config.domains.source.spaces.half_width
    return np.sqrt(np.mean(apart**2, axis=tuple(range(1, apart.ndim))))


def compensation_figures(run: Run, seen: Pair[Evaluation | None]) -> list[dict[str, Any]]:
    """What the compensation did to the steps of an evaluation on its side, for each seed; nothing where there was none
    on that side."""
    side, kept, seeds = run.method.side, run.method.kept, range(run.config.seeds)
    shown: Evaluation | None = getattr(seen, side)
    if shown is None:
        return [{} for _ in seeds]
    if run.method.use is None:
        return [felt(shown, None, i) for i in seeds]
    packed = seen.map(lambda e: (e or shown).first_episodes_first())
    reward, weight = getattr(run.programs.look(run.compensation, packed, run.agents, run.asked, run.done), side)
    return [felt(shown, Adjusted(reward[i], weight[i]), i, kept) for i in seeds]


def evaluate_both(config: Config, agents: Any, episodes: int) -> Pair[Evaluation | None]:
    """Whole episodes in both domains, or in the source alone. Nothing is chosen by those in the target, whose steps
    have an account of their own; the source's say what counts as aligned."""
    act = programs(config.learner, PLAIN.compensation(), config.domains.source.spaces).act
    seeds, threads = config.seed_list, config.loop.threads
    source, target = config.domains
    return Pair(
        evaluate(source, act, agents, seeds, episodes, threads),
        evaluate(target, act, agents, seeds, episodes, threads) if config.simulates_target else None,
    )


def steps_of(seen: Pair[Evaluation | None]) -> Pair[int]:
    """Steps per seed that an evaluation took."""
    return seen.map(lambda e: 0 if e is None else e.taken)


def plus(a: Pair[int], b: Pair[int]) -> Pair[int]:
    """The sums of two accounts."""
    return Pair(a.source + b.source, a.target + b.target)


def none_of(config: Config) -> np.ndarray:
    """Returns of no episodes, [seeds, 0]."""
    return np.zeros((config.seeds, 0))


def final_returns(run: Run) -> Pair[np.ndarray]:
    """Raw returns [seeds, episodes] that go into the result."""
    episodes = run.config.loop.final_episodes
    return run.returns(run.evaluate(episodes), episodes)
