"""A stage while it runs: its `State` (arrays and numbers), and the `Run` around it, which can be rebuilt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from transreward import replay as rp
from transreward.bridges.take_up import take_up
from transreward.domains.informed import Informed
from transreward.domains.logs.recorded import recorded
from transreward.draws import stream as draw
from transreward.engine import weighing
from transreward.engine.grounding import Grounded, grounded
from transreward.engine.informing import informed
from transreward.engine.programs import Asked, Programs, copied, programs
from transreward.engine.scales import Scales
from transreward.plan.ledger import EVALUATION, Ledger
from transreward.plan.plan import Stage
from transreward.plan.streams import walks_in
from transreward.randomise import Informed as Told
from transreward.replay import Replay
from transreward.request.config import Config
from transreward.runs.source_agent import SourceAgent
from transreward.streams import STREAMS
from transreward.streams.choice import Choice
from transreward.streams.stream import Opening, Taker
from transreward.types import NO_STEPS, Metrics, Pair


class Progress(NamedTuple):
    """What a run reports after every round."""

    method: str
    phase: str  # source, teacher, transfer, cotrain or oracle
    steps: Pair[int]  # taken so far, per seed
    budget: Pair[int]  # at the end of this phase, per seed
    done: float  # progress of this phase, in [0, 1]
    rows: list[dict[str, Any]]  # the latest evaluation, one row per seed; empty between evaluations
    source: str = ""  # id of the source, with the view that was chosen
    evaluation: Pair[int] = NO_STEPS  # steps taken by evaluations so far, per seed; outside the budget
    eval_target: str = "simulated"  # `Loop.eval_target`
    said: tuple[str, ...] = ()  # what the stage begins with, in words: what was identified


Watch = Callable[[Progress], None]
IDENTIFYING = "identifying what differs, from {} ..."
Keep = Callable[["Run", list[dict[str, Any]]], None]  # writes rows of metrics and the policy


@dataclass
class State:
    """Everything that the next round depends on, except for the state of the streams."""

    agents: Any  # the learner's state, [seeds]
    compensation: Any  # the compensation's state, [seeds]
    keys: Any  # [seeds]
    spent: dict[str, int]  # steps per seed, by account of the ledger
    buffers: dict[str, Replay]  # of the streams, by name
    stored: dict[str, int] = field(default_factory=dict)  # control steps given to each growing buffer in total
    guide: Any = None  # the source agents' state [seeds], if they act or their value is used
    candidates: dict[str, Any] = field(default_factory=dict)  # states [seeds] of the stage's candidates but itself
    mixture: Any = None  # of several sources that are weighted, what is learned of them [seeds]: `engine.weighing`
    judged: Any = None  # the learner's state at the previous evaluation, [seeds]
    peak: Any = None  # the learner's state that was the best in the identified simulator, [seeds]
    peaks: list[float] | None = None  # its returns there
    scales: Scales | None = None  # of a family's tasks, while its agent is trained
    metrics: Metrics = field(default_factory=dict)  # the latest of learner and gap, [seeds]
    index: int = 0  # finished rounds of this stage
    rounds: int = 0  # of the method, begun
    updates: int = 0  # of the learner
    refitted: int = 0  # the round in which the gap was last trained; 0 = never
    learned: bool | None = None  # whether the source agent is better than an untrained one; None = not asked yet
    stopped: str | None = None  # why it stopped before its budget was spent
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Run:
    """A running stage: its state, and everything else, which is rebuilt from plan and state on resuming."""

    config: Config
    stage: Stage
    state: State
    programs: Programs
    takers: dict[str, Taker]  # the open streams of the stage, by name, in the plan's order
    ledger: Ledger
    reference: float | None  # the source agent's mean return in the source, to align with
    watch: Watch
    keep: Keep
    partners: tuple[Run, ...] = ()  # in co-training, the other runs, in the order of the sources
    choice: Choice | None = None  # of who acts in the target, in this stage or before it
    grounded: Grounded | None = None  # the source that its streams have instead of the request's
    began: float = field(default_factory=time.perf_counter)

    @property
    def name(self) -> str:
        """The method's name."""
        return self.stage.method.name

    @property
    def steps(self) -> Pair[int]:
        """Training steps so far, per seed. In co-training the partners' target steps are the sources'."""
        own = self.ledger.steps
        return own._replace(source=sum(p.ledger.steps.target for p in self.partners)) if self.partners else own

    @property
    def evaluation(self) -> Pair[int]:
        """Evaluation steps so far, per seed; with those of partners, some of which are taken in this run's target."""
        taken, target = self.ledger.evaluation, self.config.domains.target
        for partner in self.partners:
            for domain, steps in zip(partner.config.domains, partner.ledger.evaluation, strict=True):
                taken = Pair(taken.source + (domain is not target) * steps, taken.target + (domain is target) * steps)
        return taken

    @property
    def replays(self) -> Pair[Replay | None]:
        """The replays of source and target. In co-training the partners' target replays are the source's. Of several
        sources that are weighted, steps of each are drawn by its weight."""
        buffers = self.state.buffers
        source: Any = buffers.get("source")
        if self.partners:
            source = rp.mixed([partner.state.buffers["target"] for partner in self.partners])
        if source is not None and self.state.mixture is not None:
            source = rp.weighted(source, self.state.mixture.weights)
        return Pair(source, buffers.get("target"))

    @property
    def shown(self) -> dict[str, Replay]:
        """Further replays for a gap or use, besides a batch of each domain: see `types.SHOWN`."""
        return {name: buffer for name, buffer in self.state.buffers.items() if name not in Pair._fields}

    @property
    def asked(self) -> Asked:
        """What its compensation may query besides the learner."""
        model = next((t.model for t in self.takers.values() if t.model is not None), None)
        explained = None if self.grounded is None else self.grounded.explained
        return Asked(self.state.guide, self.policies, model, explained)

    @property
    def policies(self) -> tuple[Any, ...] | None:
        """The states [seeds] of all sources' agents, where its compensation asks what each of them would do; of several
        they are candidates."""
        if not self.stage.method.needs("source_acts"):
            return None
        kept = self.state.candidates
        return tuple(kept[name] for name in self.config.candidates if name in kept) or (self.state.guide,)

    @property
    def done(self) -> float:
        """Progress in [0, 1]: the share of the stage's rounds, up to the horizon, before this one. Annealing follows
        it."""
        return min(self.state.index / self.stage.schedule.total, 1.0)

    def next_keys(self) -> Any:
        """Fresh keys, one per seed."""
        self.state.keys, fresh = self.programs.next_keys(self.state.keys)
        return fresh

    def tell(self, rounds: int, rows: list[dict[str, Any]], said: tuple[str, ...] = ()) -> None:
        """Report progress after so many rounds of the stage."""
        done = min(rounds / max(self.stage.schedule.rounds, 1), 1.0)  # without learning there is no round
        budget = Pair(*(self.ledger.granted.get(side) or 0 for side in Pair._fields))
        if self.partners:
            budget = budget._replace(source=sum(p.ledger.granted["target"] or 0 for p in self.partners))
        name = self.config.domains.source.name
        how = "simulated" if self.config.evaluate else self.config.loop.eval_target
        steps, account = self.steps, self.evaluation
        self.watch(Progress(self.name, self.stage.phase, steps, budget, done, rows, name, account, how, said))

    def taken_in_the_target(self) -> str | None:
        """The target steps of an interrupted run in words: they were taken, whether the policy learned from them or
        not."""
        steps = self.steps.target
        return f"{self.name} had taken {steps:,} target steps a seed" if steps else None


def begin(
    config: Config,
    stage: Stage,
    agent: SourceAgent | None,
    reference: float | None,
    watch: Watch,
    keep: Keep,
    lesson: Run | None = None,
    others: Sequence[SourceAgent] = (),
) -> Run:
    """Initialise a stage: learner, compensation, robots and buffers; from the source `agent` if there is one, or after
    the `lesson`, the run of its teacher. `others` are the agents of further sources."""
    compiled = programs(config.learner, stage.method.compensation(), config.domains.source.spaces)
    keys = jax.vmap(jax.random.key)(jnp.asarray(config.seed_list))
    keys = draw(keys, stage.draws) if stage.draws else keys
    agents, compensation = compiled.init(keys)
    before = lesson.state if lesson is not None else None
    if agent is not None:
        found = agent if before is None else before
        keys = found.keys
        if not stage.from_nothing:
            agents = copied(found.agents)
    ledger = opened(config, stage, [] if agent is None else [agent, *others], lesson)
    state = State(agents, compensation, keys, ledger.spent, {})
    state.scales = scales_of(config, stage)
    if agent is not None and stage.guided:
        state.guide = agent.agents if before is None else before.agents
    if agent is not None and stage.candidates:
        if before is not None:
            state.candidates = dict(before.candidates)
        else:
            policies = [one.agents for one in (agent, *others)]
            state.candidates = dict(zip(config.candidates, policies, strict=bool(others)))
        if lesson is not None and lesson.stage.name in stage.candidates:
            state.candidates[lesson.stage.name] = lesson.state.agents
    run = Run(config, stage, state, compiled, {}, ledger, reference, watch, keep)
    open_streams(run, [] if agent is None else [agent, *others], lesson)
    state.mixture = weighing.begun(config, stage.method, run.replays, keys)
    chosen = (taker.choice for taker in run.takers.values())
    run.choice = next((choice for choice in chosen if choice is not None), lesson and lesson.choice)
    if run.choice is not None and stage.ground is not None:
        run.choice.simulated = {}  # by another simulator
    if run.choice is not None:
        run.choice.in_turn = stage.phase == "evidence"
        run.choice.reach = reference if reference is not None and isfinite(reference) else None
        run.choice.learning = stage.name if stage.name in stage.candidates else None
    if before is not None:
        state.log, state.stopped = before.log, before.stopped
        state.rounds, state.updates, state.judged = before.rounds, before.updates, before.judged
    return run


def scales_of(config: Config, stage: Stage) -> Scales | None:
    """Fresh scales for a stage that trains a family's agent in several tasks."""
    family, how = config.domains.source, stage.method.randomise
    if stage.phase != "source" or not isinstance(how, Told) or not how.scale or not isinstance(family, Informed):
        return None
    if family.span is None:
        return None
    return Scales.start(config.seeds, config.learner.robots, int(family.task_of.max()) + 1)


def opened(config: Config, stage: Stage, agents: Sequence[SourceAgent], lesson: Run | None) -> Ledger:
    """The ledger of a stage: what was spent before it, by the training of all source agents, plus its own budget."""
    if lesson is not None:
        spent = dict(lesson.ledger.spent)
    else:
        counted = [{"source": a.steps, **dict(zip(EVALUATION, a.evaluated, strict=True))} for a in agents]
        spent = {account: sum(one[account] for one in counted) for account in (counted[0] if counted else ())}
    granted: dict[str, int | None] = {
        side: spent.get(side, 0) + budget for side, budget in stage.budget._asdict().items()
    }
    judged = config.judged.target
    return Ledger({**granted, EVALUATION.source: None, EVALUATION.target: None if judged else 0}, spent)


def open_streams(run: Run, agents: Sequence[SourceAgent], lesson: Run | None) -> None:
    """Open a stage's streams and make their buffers. Robots of a target that is not simulated are those of the stage
    before."""
    config, stage, state, payer = run.config, run.stage, run.state, run.ledger.payer
    domains, stored = config.domains, agents[0].replay if agents else None
    if lesson is not None:
        run.grounded = lesson.grounded
        if stage.ground is not None:
            seen, views = lesson.state.buffers["target"], config.loop.symmetry != "none"
            views = views and config.learner.ends is not None and lesson.grounded is None  # a view is taken up once
            if stage.ground.physics:
                whose = "the target steps of each seed" if recorded(domains.target) is None else "the log"
                run.tell(state.index, [], (IDENTIFYING.format(whose),))
            run.grounded = grounded(domains, config.seed_list, stage.ground, seen, views)
            if agents and agents[0].told is not None and not lesson.state.updates:
                state.agents, run.grounded = informed(config, stage.method, agents[0], run.grounded, seen)
            if run.grounded.crossing is not None:
                state.agents = take_up(config.learner, state.agents, run.grounded.crossing)
    if run.grounded is not None:
        domains, stored = domains._replace(source=run.grounded.walked(stage.method.gap)), None
    elif stage.phase != "source" and (walked := walks_in(config, stage.method)) is not domains.source:
        domains = domains._replace(source=walked)
        every = [one.replay for one in agents if one.replay is not None]
        stored = rp.dealt(every) if every else None
    opening = Opening(
        domains, config.seed_list, config.loop.threads, payer, state.keys, stage.draws,
        stored, run.takers, limits=config.loop.limits,
        twin=None if run.grounded is None else run.grounded.twin,
    )  # fmt: skip
    going_on: dict[str, Taker] = {}
    if lesson is not None:
        opening.takers, opening.buffers = lesson.takers, lesson.state.buffers
        going_on = {} if config.simulates_target and not stage.candidates else lesson.takers
    for stream in stage.streams:
        name, taker = stream.name, going_on.get(stream.name)
        if taker is None or name != "target":
            taker = STREAMS[stream.kind].open(stream, opening)
        else:
            taker.go_on(stream, payer(stream.account))
        run.takers[name], buffer = taker, taker.buffer(opening)
        if buffer is None:
            continue
        state.buffers[name] = buffer
        if taker.grows:
            state.stored[name] = rp.written(buffer)
        elif name in Pair._fields and stage.from_nothing:  # a fresh normaliser has not seen the stored steps
            state.agents = run.programs.see(state.agents, rp.in_order(buffer).transition.obs)
