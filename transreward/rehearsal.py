"""What a transfer would do, before a target step is taken: its stages, their steps, and about how long they take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from transreward.domains.across import Across
from transreward.domains.domain import control_rate
from transreward.domains.files.tips import remarks
from transreward.domains.logs.recorded import recorded
from transreward.domains.several import joined
from transreward.engine import cache
from transreward.engine.loop import gather, learn
from transreward.engine.stages import before, chain
from transreward.engine.state import begin
from transreward.plan.compile import EARLIER, TRIAL, compile, walked
from transreward.plan.plan import Plan, Schedule, Stage, Track
from transreward.plan.streams import WHOLE, of_sources
from transreward.presets import scale
from transreward.request.budgets import conversion_steps
from transreward.request.config import Config
from transreward.transfer import earlier
from transreward.types import CEILING, Pair

ROUNDS = 4  # of the source agent's training, of which the fastest is taken: in the first ones programs are compiled
DOES = {
    "source": "the source agent is trained",
    "teacher": "its teacher, first",
    "evidence": "the source policy acts, and nobody learns",
    "walk": "it learns in the identified simulator alone",
    TRIAL: "candidates act, and nobody learns, until one is clearly the best",
    "transfer": "it learns",
    CEILING: "it learns in the target, beyond its budget",
}
BESIDE = "compiling, evaluations and films come on top, in a short run more than that"
UNTIMED = "how long it takes is not known, since there is no source to time the learner in"
READ = "the log is read, and nobody learns"


def rehearse(config: Config) -> list[str]:
    """The lines that `transreward transfer --dry-run` prints. Source steps are taken to time the learner, no target
    steps beside those that measured the shift of a simulated target."""
    taken, more = None, 0
    if (agent := earlier(config)) is not None:
        more = conversion_steps(config, agent.steps)
        taken = agent.steps + more
    plan = compile(config, taken)
    each, source, target = seconds_per_update(config, plan), *config.domains
    pair = f"{joined(one.name for one in config.sources)} -> {target.name}"
    seeds = f"{config.seeds} seed{'s' * (config.seeds > 1)}"
    lines = [f"{pair}, {config.learner.name}, {seeds}; steps are of each seed"]
    lines += [f"  {source.said()}"] if isinstance(source, Across) else []
    lines += [f"  {sentence}" for sentence in remarks(*config.sources, target)]
    if config.converted is not None and more:
        words = f"{config.learner.name} takes over its agent of {config.converted.name}: {more:,} source steps"
        lines.append(f"  {config.source_run}: {words}")
    total, unknown, done = 0.0, list[str](), dict[int, set[str]]()
    for track in plan.tracks:
        for k, part in enumerate(of_sources(config, plan, track.method)):
            named = f"{config.sources[k].name}, " if plan.others else ""
            for stage in agents(track, part, done.setdefault(k, set())):
                kept = in_cache(config.of_source(k), part, stage)
                seconds = 0.0 if kept else each * updates(stage)
                total += seconds
                took = ", kept from an earlier run" if kept else about(seconds)
                lines.append(f"  {named}{stage.name}: {told(config, stage)}{took}")
        for stage in track.stages:
            total += (seconds := each * updates(stage))
            unknown += untimed(stage)
            lines.append(f"  {stage.name}: {told(config, stage)}{about(seconds)}")
    each_of = (sum(spent(stage).target for stage in track.stages) for track in plan.tracks if not track.method.ceiling)
    most = max(each_of, default=0)
    lines += [*in_target(config, most), *few(config)]
    lines.append(f"{in_all(total, unknown)}; {BESIDE}; nothing was run")
    return lines


def few(config: Config) -> list[str]:
    """A line where the source agent is trained with less than half of the steps of its robot's preset."""
    known = scale(config.domains.source.name, config.learner.name)
    if known is None or config.source_run is not None or 2 * config.source_steps >= known.steps:
        return []
    return [f"{config.source_steps:,} source steps may be too few to learn the source's task: {known}"]


def in_all(seconds: float, unknown: Sequence[str]) -> str:
    """The sum of the times, where that of every part is known; else which are not in it."""
    known = about(seconds).removeprefix(", ")
    if not known:
        return UNTIMED
    if unknown:
        return f"{known} on this machine, without {' and '.join(unknown)}, whose time is not known"
    return f"{known} in all on this machine"


def untimed(stage: Stage) -> list[str]:
    """The parts of a stage whose time the learner's updates do not tell."""
    gap = stage.method.gap is not None and stage.schedule.gap_updates > 0
    found = [f"the identification of {stage.name}"] if stage.ground is not None else []
    return [*found, *([f"what the gap of {stage.name} learns"] if gap else [])]


def agents(track: Track, plan: Plan, done: set[str]) -> Iterator[Stage]:
    """The stages of source agents that a track needs and no track before it did."""
    for stage in before(track, plan, {EARLIER}) if track.agent in plan.agents else []:
        if stage.name not in done:
            done.add(stage.name)
            yield stage


def in_cache(config: Config, plan: Plan, stage: Stage) -> bool:
    """Whether the source agent of that stage was trained before."""
    training = replace(config, learner=config.learner.from_scratch).of_agent(stage.method)
    place = cache.entry(training, chain(plan, stage))
    return place is not None and place.exists()


def updates(stage: Stage) -> int:
    """Of the learner, in a stage."""
    return (stage.schedule.rounds - stage.schedule.warm) * stage.schedule.updates


def in_target(config: Config, most: int) -> list[str]:
    """What is asked of the target, or of its log, where `most` steps are learned from, and where its returns are
    taken."""
    how = {"simulated": "evaluation is simulated, and apart", "training": "returns are those of training episodes"}
    returns = how.get(config.loop.eval_target, "no returns in the target are looked at")
    if config.evaluate is not None:
        returns = f"returns in the target are taken in {config.evaluate.name}, and nothing is learned from them"
    if recorded(config.domains.target) is not None:
        return [f"steps of the log: {most:,} in each method, and none of a robot", returns]
    return [f"target steps a seed: at most {most:,} learning in each method{robot_time(config, most)}", returns]


def spent(stage: Stage) -> Pair[int]:
    """Steps per seed of a stage: those that its robots walk, and those of a log that it learns from as a whole."""
    read = Pair(*(sum(s.room for s in stage.streams if s.kind == WHOLE and s.account == side) for side in Pair._fields))
    return Pair(*map(sum, zip(walked(stage), read, strict=True)))


def told(config: Config, stage: Stage) -> str:
    """What a stage does, and its steps."""
    steps, log = spent(stage), recorded(config.domains.target) is not None
    names = Pair("source steps", "steps of the log" if log else "target steps")
    if stage.phase == CEILING:  # which the source's budget pays
        names = names._replace(source=names.target)
    parts = [f"{n:,} {name}" for name, n in zip(names, steps, strict=True) if n]
    if stage.phase == TRIAL:
        parts = [f"at most {part}" for part in parts]
    acting = next((s.acting for s in stage.streams if s.name == "target" and len(s.acting) > 1), ())
    who = f"; {', '.join(acting)} may act" if acting and steps.target else ""
    episode = config.domains.target.episode_steps
    if stage.phase == TRIAL and steps.target // config.loop.target_robots < episode:
        who += f"; an episode has {episode:,}, so that whoever lasts one is not tested: give more target steps"
    does = READ if log and stage.phase == "evidence" else DOES.get(stage.phase, stage.phase)
    if not sum(stage.budget):
        does = "the policy is unchanged" if stage.ground is None else "the policy is told what was identified"
    elif stage.ground is not None and not steps.target:
        does = DOES["walk"]
    return f"{does}{': ' if parts else ''}{' and '.join(parts)}{who}"


def about(seconds: float) -> str:
    """A duration in words, or nothing."""
    if not seconds:
        return ""
    return f", about {seconds:.0f} s" if seconds < 120 else f", about {seconds / 60:.0f} min"


def robot_time(config: Config, steps: int) -> str:
    """How long a robot takes for so many steps, where its rate is known."""
    rate = control_rate(config.domains.target)
    return f"{about(steps / rate / config.loop.target_robots)} of the robot's time" if rate and steps else ""


def seconds_per_update(config: Config, plan: Plan) -> float:
    """Of all seeds, with the steps that go with it, by the first rounds of a source agent's training."""
    training = replace(config, learner=config.learner.from_scratch)
    stage = next(iter(plan.agents.values()), None)
    if stage is None and config.source_run is not None:  # whose agent is there: one is timed that would be trained
        own = replace(config, source_run=None, converted=None)
        stage = next(iter(compile(own).agents.values()), None)
    if stage is None:
        return 0.0
    schedule = stage.schedule
    rounds = min(ROUNDS, schedule.rounds)
    share = schedule.rounds // rounds
    controls = schedule.controls.map(lambda n: -(-n // share))
    short = Schedule(rounds, 0, controls, schedule.rollout, schedule.updates, schedule.gap_updates)
    streams = tuple(replace(s, room=min(s.room, controls.source)) for s in stage.streams)
    alone = replace(stage, schedule=short, streams=streams, evaluations=0)
    run = begin(training.of_agent(stage.method), alone, None, None, lambda progress: None, lambda run, rows: None)
    took: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        learn(run, gather(run))
        took.append(time.perf_counter() - began)
    return min(took) / max(schedule.updates, 1)
