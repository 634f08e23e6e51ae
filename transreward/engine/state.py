"""What a stage depends on while it runs: its `State`, arrays and numbers, and around it what can be made again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from transreward import replay as rp
from transreward.domains.domain import Domain, invertible, table_robot
from transreward.draws import stream as draw
from transreward.engine.programs import Asked, Programs, programs
from transreward.plan.ledger import EVALUATION, Ledger
from transreward.plan.plan import Stage, Stream
from transreward.replay import Replay
from transreward.request.config import Config
from transreward.runs.source_agent import SourceAgent
from transreward.streams.log import LoggedWalk
from transreward.streams.twin import Twin, learn_model
from transreward.streams.walk import Walk, relabel
from transreward.types import NO_STEPS, Metrics, Pair
from transreward.uses.use import UNCHANGED


class Progress(NamedTuple):
    """What a run tells whoever watches it, after every round."""

    method: str
    phase: str  # source, teacher, transfer, cotrain or oracle
    steps: Pair[int]  # taken so far, per seed
    budget: Pair[int]  # at the end of this phase, per seed
    done: float  # share of this phase
    rows: list[dict[str, Any]]  # the latest evaluation, one row per seed; empty between evaluations
    source: str = ""  # id of the source as it is seen
    evaluation: Pair[int] = NO_STEPS  # steps that evaluations took so far, per seed; in no budget
    eval_target: str = "simulated"  # `Loop.eval_target`


Watch = Callable[[Progress], None]
Keep = Callable[["Run", list[dict[str, Any]]], None]  # writes down rows of metrics, and the policy beside them


@dataclass
class State:
    """Everything that the next round depends on, beside what the streams keep."""

    agents: Any  # the learner's state, [seeds]
    compensation: Any  # the compensation's state, [seeds]
    keys: Any  # [seeds]
    spent: dict[str, int]  # the ledger's accounts
    buffers: dict[str, Replay]  # of the streams, by name
    stored: dict[str, int] = field(default_factory=dict)  # control steps that those that grow were given in all
    guide: Any = None  # the source agents' state, where they are asked: to act, or for their value
    judged: Any = None  # the learner's state at the evaluation before, [seeds]
    metrics: Metrics = field(default_factory=dict)  # the latest of learner and gap, [seeds]
    index: int = 0  # rounds of this stage that have ended
    rounds: int = 0  # of the method, begun
    updates: int = 0  # of the learner
    refitted: int = 0  # the round in which the gap was last trained; 0 = never
    unspent: int = 0  # source steps that the target's have paid for, but no branch has taken
    learned: bool | None = None  # whether the source agent is more than an untrained one; asked where it matters
    stopped: str | None = None  # why, where it was before the budget was spent
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Run:
    """A stage that runs: its state, and what is made anew from plan and state where it is taken up again."""

    config: Config
    stage: Stage
    state: State
    programs: Programs
    domains: Pair[Domain]  # as the streams' names say; of an oracle both are the target
    walks: Pair[Walk | None]
    twin: Twin | None  # the source where the target was, if the gap or the feed asks for that
    ledger: Ledger
    reference: float | None  # the source agent's mean return in the source, to align with
    watch: Watch
    keep: Keep
    partner: Run | None = None  # of two that are trained together, the other
    began: float = field(default_factory=time.perf_counter)

    @property
    def name(self) -> str:
        """Of the method."""
        return self.stage.method.name

    @property
    def steps(self) -> Pair[int]:
        """Taken to learn so far, per seed; a partner's are the source's."""
        own = self.ledger.steps
        return own if self.partner is None else Pair(self.partner.ledger.steps.target, own.target)

    @property
    def evaluation(self) -> Pair[int]:
        """Taken by evaluations so far, per seed, and by a partner's, whose source is this one's target."""
        own = self.ledger.evaluation
        if self.partner is None:
            return own
        other = self.partner.ledger.evaluation
        return Pair(own.source + other.target, own.target + other.source)

    @property
    def replays(self) -> Pair[Replay | None]:
        """What is stored of source and target; beside a partner, the source's steps are what it took in its target."""
        buffers = self.state.buffers
        source = buffers.get("source") if self.partner is None else self.partner.state.buffers.get("target")
        return Pair(source, buffers.get("target"))

    @property
    def shown(self) -> dict[str, Replay]:
        """What a gap or use is shown beside a batch of each domain: see `types.SHOWN`."""
        return {name: buffer for name, buffer in self.state.buffers.items() if name not in Pair._fields}

    @property
    def asked(self) -> Asked:
        """Whom its compensation may ask."""
        return Asked(self.state.guide, self.twin.model.one if self.twin and self.twin.model else None)

    @property
    def done(self) -> float:
        """Share of this stage's rounds up to the horizon before the present one; what is annealed goes by it."""
        return min(self.state.index / self.stage.schedule.total, 1.0)

    def next_keys(self) -> Any:
        """Fresh keys, one per seed."""
        self.state.keys, fresh = self.programs.next_keys(self.state.keys)
        return fresh

    def tell(self, rounds: int, rows: list[dict[str, Any]]) -> None:
        """Report to whoever watches after so many rounds of the stage."""
        done = min(rounds / self.stage.schedule.rounds, 1.0)
        budget = Pair(*(self.ledger.granted.get(side) or 0 for side in Pair._fields))
        if self.partner is not None:
            budget = Pair(self.partner.ledger.granted["target"] or 0, budget.target)
        name, how = self.config.domains.source.name, self.config.loop.eval_target
        steps, account = self.steps, self.evaluation
        self.watch(Progress(self.name, self.stage.phase, steps, budget, done, rows, name, account, how))

    def taken_in_the_target(self) -> str | None:
        """What an interrupted run says of its target: its steps are paid for, learned from or not."""
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
) -> Run:
    """Initialise a stage: policies and reward structures, robots and buffers; from the source `agent` where there is
    one, or after the `lesson` that its teacher had."""
    compiled = programs(config.learner, stage.method.compensation(), config.domains.source.spaces)
    keys = jax.vmap(jax.random.key)(jnp.asarray(config.seed_list))
    keys = draw(keys, stage.draws) if stage.draws else keys
    agents, compensation = compiled.init(keys)
    before = lesson.state if lesson is not None else None
    if agent is not None:
        found = agent if before is None else before
        keys = found.keys
        if not stage.from_nothing:
            agents = jax.tree.map(jnp.copy, found.agents)
    ledger = opened(config, stage, agent, lesson)
    state = State(agents, compensation, keys, ledger.spent, {})
    if agent is not None and stage.guided:
        state.guide = agent.agents if before is None else before.agents
    old = agent.replay if agent is not None and lesson is None else None
    domains = stage.walks.source.domain if stage.walks.source else "source"
    domains = Pair(getattr(config.domains, domains), config.domains.target)
    twin = None
    if any(stream.kind in ("branch", "counterpart") for stream in stage.streams):
        twin = make_twin(config, agent, keys, ledger)
    run = Run(config, stage, state, compiled, domains, Pair(None, None), twin, ledger, reference, watch, keep)
    going_on = lesson.walks.target if lesson is not None and not config.simulates_target else None
    run.walks = walkers(run, going_on)
    for stream in stage.streams:
        if stream.room or stream.kind == "lesson":
            state.buffers[stream.name] = buffer(run, stream, old, lesson)
        if stream.room and stream.kind != "stored":
            taken_up = before.stored[stream.name] if stream.name == "target" and before is not None else None
            state.stored[stream.name] = int(state.buffers[stream.name].size) if taken_up is None else taken_up
    stored = stage.stream("source")
    if stored is not None and stored.kind == "stored" and stage.from_nothing:
        # a fresh learner has not seen what it will learn from
        state.agents = compiled.see(state.agents, rp.in_order(state.buffers["source"]).transition.obs)
    if before is not None:
        state.log, state.stopped = before.log, before.stopped
        state.rounds, state.updates, state.judged = before.rounds, before.updates, before.judged
    return run


def opened(config: Config, stage: Stage, agent: SourceAgent | None, lesson: Run | None) -> Ledger:
    """The ledger of a stage: what was spent before it, and its own budget on top."""
    if lesson is not None:
        spent = dict(lesson.ledger.spent)
    elif agent is not None:
        spent = {"source": agent.steps, **dict(zip(EVALUATION, agent.evaluated, strict=True))}
    else:
        spent = {}
    granted: dict[str, int | None] = {
        side: spent.get(side, 0) + budget for side, budget in stage.budget._asdict().items()
    }
    simulated = config.simulates_target
    return Ledger({**granted, EVALUATION.source: None, EVALUATION.target: None if simulated else 0}, spent)


def walkers(run: Run, going_on: Walk | None) -> Pair[Walk | None]:
    """The robots of a stage; in a target that is not simulated, those `going_on` from the stage before."""
    made: list[Walk | None] = []
    for side, stream, domain in zip(Pair._fields, run.stage.walks, run.domains, strict=True):
        if side == "target" and going_on is not None:
            going_on.pay = run.ledger.payer("target")
            made.append(going_on)
        elif stream is None or not getattr(run.stage.schedule.controls, side):
            made.append(None)
        else:
            kind = LoggedWalk if side == "target" and table_robot(domain) is None else Walk
            made.append(
                kind(
                    domain,
                    run.config.seed_list,
                    stream.robots,
                    run.config.loop.threads,
                    store_terms=stream.terms > 0,
                    place=Pair._fields.index(stream.domain),
                    whose=run.stage.draws or side,
                    pay=run.ledger.payer(stream.account),
                    limits=run.config.loop.limits,
                )
            )
    return Pair(*made)


def make_twin(config: Config, agent: SourceAgent | None, keys: Any, ledger: Ledger) -> Twin:
    """The source's simulator where it can be put into a state; or a model of it, learned from its agent's steps."""
    source, model = config.domains.source, None
    if not invertible(source):
        assert agent is not None and agent.replay is not None
        model = learn_model(agent.replay, draw(keys, "model of the source"), source.spaces)
    return Twin(source, config.seed_list, config.loop.threads, model, ledger.payer("source"))


def buffer(run: Run, stream: Stream, old: Replay | None, lesson: Run | None) -> Replay:
    """Room for what a stream gives, behind what it takes up of an earlier stage."""
    spaces, seeds, target = run.config.domains.source.spaces, run.config.seeds, run.config.domains.target
    if stream.kind == "lesson":
        assert lesson is not None and lesson.walks.source is not None
        stored = lesson.state.buffers["source"]
        own = lesson.walks.source.steps // lesson.walks.source.robots  # the rest is the source agent's
        return rp.newest(stored, min(own / int(stored.size), 1.0) * (run.stage.method.use or UNCHANGED).newest)
    if stream.name == "target" and lesson is not None:
        return rp.cut(lesson.state.buffers["target"])
    if stream.kind == "stored":
        assert old is not None
        old = old if stream.newest == 1 and stream.rewards == "own" else rp.newest(old, stream.newest)
        return old if stream.rewards == "own" else rp.changed(old, partial(relabel, target))
    if old is None or stream.name != "source" or stream.kind != "walk":
        return rp.empty(spaces, seeds, stream.room, stream.robots, stream.terms)
    old = rp.with_room(old, stream.room)
    return rp.cut(old if stream.rewards == "own" else rp.changed(old, partial(relabel, target)))
