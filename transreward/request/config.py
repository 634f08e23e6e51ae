"""`Config`: a checked request, and its form in config.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

from transreward.domains.across import own
from transreward.domains.difference import ShiftMeasure
from transreward.domains.domain import Domain, Traced, table_robot
from transreward.domains.logs.recorded import recorded
from transreward.domains.names import action_entries, entries
from transreward.fallback import SOURCE
from transreward.feed import Feed
from transreward.learners.learner import Learner
from transreward.methods import Method
from transreward.randomise import Informed, Randomise
from transreward.request.loop import Loop
from transreward.request.settings import plain_settings
from transreward.row import SECTIONS
from transreward.runs import store
from transreward.types import Pair


@lru_cache(maxsize=4)
def family_of(source: Domain, randomise: Randomise) -> Domain:
    """The family around the source in which an agent is trained, or the source that is one. Raises RequestError."""
    from transreward.domains.informed import informed  # which needs MuJoCo, as few requests do
    from transreward.domains.varied import randomised

    if not isinstance(randomise, Informed):
        return randomised(source, randomise.ranges)
    robot = table_robot(source)
    found = source if robot is not None and robot.redrawn else randomised(source, randomise.ranges)
    return informed(found, randomise.drop)


def told_nothing(target: Domain, family: Domain) -> Domain:
    """The target in the columns of a family whose agent is told what it is in, so that it can be evaluated there."""
    from transreward.domains.informed import uninformed

    return uninformed(target, family.spaces.obs - target.spaces.obs - 1)


PLAIN = Method("plain", "the plain learner in the source", "", start="nothing", feed=Feed(0.0))


@dataclass(frozen=True)
class Config:
    """A checked request: everything that a run depends on."""

    domains: Pair[Domain]
    method: Method
    controls: tuple[Method, ...]
    learner: Learner
    loop: Loop
    source_steps: int
    target_steps: int
    seeds: int
    seed: int
    source_run: Path | None = None
    converted: Learner | None = None  # of the source run's agent, where `learner` has to take it over
    fresh: bool = False  # train a new source agent even if the same one was kept
    cotrain: bool = False  # train agents in source and target at the same time
    imports: tuple[str, ...] = ()  # a user's modules that define rows of this request
    chosen: frozenset[str] = frozenset()  # settings that the user named
    shift: ShiftMeasure | None = None  # measured before the run; the report reads it
    replaced: tuple[tuple[str, Any], ...] = ()  # the learner's requested settings that the method overrides
    evaluate: Domain | None = None  # a simulator in which policies are evaluated in place of the target
    of_agents: Learner | None = None  # of source agents, where `learner` is the method's own
    others: tuple[Domain, ...] = ()  # further sources, each in the target's columns

    @property
    def seed_list(self) -> list[int]:
        """The seeds, in order."""
        return list(range(self.seed, self.seed + self.seeds))

    @property
    def sources(self) -> tuple[Domain, ...]:
        """All sources, the first of which is the pair's."""
        return (self.domains.source, *self.others)

    @property
    def candidates(self) -> tuple[str, ...]:
        """Names of the sources' policies as candidates of a method, in order."""
        return tuple(f"{SOURCE} {one.name}" for one in self.sources) if self.others else (SOURCE,)

    def of_source(self, index: int) -> Config:
        """The request with the source at that place alone."""
        if not self.others:
            return self
        return replace(self, domains=self.domains._replace(source=self.sources[index]), others=())

    @property
    def simulates_target(self) -> bool:
        """True if the target may take steps that nothing learns from: evaluations, and the measure of the shift."""
        return self.loop.eval_target == "simulated"

    @property
    def brought(self) -> bool:
        """True if the source run's agent is another library's policy, which is taken as it is."""
        return self.source_run is not None and (self.source_run / store.ADOPTED).exists()

    @property
    def taken_up_in(self) -> Randomise | None:
        """The family in which the source run's agent was trained, if it is that of the request's method."""
        family = self.method.randomise
        if self.source_run is None or family is None:
            return None
        trained = store.read_json(self.source_run / "source" / "agent.json")["source"]
        return family if trained == self.of_agent(self.method).domains.source.name else None

    @property
    def judged(self) -> Pair[Domain | None]:
        """Where policies are evaluated; None: nowhere."""
        source, target = self.domains
        there = self.evaluate or (target if self.simulates_target else None)
        return Pair(None if recorded(source) is not None else source, there)

    @property
    def at_horizon(self) -> Config:
        """The same request with `loop.horizon` as its target budget, to which its schedules refer."""
        return replace(self, target_steps=self.loop.horizon or self.target_steps)

    def of_agent(self, row: Method) -> Config:
        """The request in which a method's source agent is trained: in another domain than the source if the method says
        so, and in the source's own columns where it crosses a bridge, so that the target cannot be its own yet."""
        source, loop = own(self.domains.source), self.loop
        if source is not self.domains.source:
            loop = replace(loop, eval_target="none", converged=0)
        if row.randomise is not None:
            source = family_of(source, row.randomise)
        if source is self.domains.source and self.evaluate is None:
            return self
        target = self.domains.target
        if row.randomise is not None and row.randomise.informed and loop.eval_target == "simulated":
            target = told_nothing(target, source)
        return replace(self, domains=Pair(source, target), loop=loop, evaluate=None)

    @property
    def needs_source_agent(self) -> bool:
        """True if any method starts from a source agent."""
        return any(row.needs_source_agent for row in (self.method, *self.controls))

    def as_json(self, row: Method) -> dict[str, Any]:
        """The content of config.json for one method of the run: everything needed to repeat it."""
        spaces = self.domains.source.spaces
        parts = {name: plain_settings(getattr(row, name)) for name in SECTIONS if getattr(row, name) is not None}
        if row.offline is not None:
            parts["offline"] = {"name": row.offline.name, **parts["offline"]}
        learner = self.of_agents or self.learner
        return {
            "schema": store.SCHEMA,
            "versions": store.versions(),
            "source": self.domains.source.name,
            **({"sources": [one.name for one in self.sources]} if self.others else {}),
            "target": self.domains.target.name,
            "method": row.name,
            **({"variant": row.variant} if row.variant else {}),
            "controls": [control.name for control in self.controls if row is self.method],
            "source_steps": self.source_steps,
            "target_steps": self.target_steps,
            "seeds": self.seeds,
            "seed": self.seed,
            "source_run": str(self.source_run) if self.source_run else None,
            **({"cotrain": True} if self.cotrain and row.name == self.method.name else {}),
            **({"imports": list(self.imports)} if self.imports else {}),
            **({"evaluate": self.evaluate.name} if self.evaluate is not None else {}),
            "learner": {"name": learner.name, **plain_settings(learner)},
            **({"replaced": dict(self.replaced)} if self.replaced else {}),
            "loop": plain_settings(self.loop),
            **parts,
            "shift": self.shift and asdict(self.shift) | {"entries": [list(entry) for entry in self.shift.entries]},
            "spaces": {
                "obs": spaces.obs,
                "action": spaces.action,
                "low": spaces.low.tolist(),
                "high": spaces.high.tolist(),
                **columns(self.domains),
                **({"shared": {side: list(some) for side, some in row.shared._asdict().items()}} if row.shared else {}),
            },
        }


def columns(pair: Pair[Domain]) -> dict[str, Any]:
    """Names and ranges of the columns (null: unbounded, or not known), the wrappers that change their numbers, and the
    traits in which the two environments differ."""
    seen = entries(pair.source)
    hard = [[x if isfinite(x) and not entry.soft else None for x in (entry.low, entry.high)] for entry in seen]
    told = pair.map(lambda domain: domain if isinstance(domain, Traced) else None)
    ours, theirs = (domain.traits if domain else {} for domain in told)
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    return {
        "obs_names": [entry.name for entry in seen],
        "action_names": [entry.name for entry in action_entries(pair.source)],
        "obs_low": [low for low, _ in hard],
        "obs_high": [high for _, high in hard],
        "changing": {side: domain.changing if domain else [] for side, domain in told._asdict().items()},
        "apart": {key: [ours.get(key), theirs.get(key)] for key in sorted(keys)},
    }
