"""Compile a request into a plan: the only place where the properties of a method decide what a run does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from transreward.domains.logs.recorded import logged, recorded
from transreward.draws import PARTNERS
from transreward.feed import Feed
from transreward.learners.learner import Learner
from transreward.methods import Method
from transreward.methods import method as named
from transreward.plan.plan import Plan, Schedule, Stage, Track
from transreward.plan.streams import WHOLE, room, source_streams, walk
from transreward.randomise import Randomise
from transreward.request import budgets
from transreward.request.config import PLAIN, Config
from transreward.request.learner import for_method
from transreward.streams import STREAMS
from transreward.streams.stream import Stream
from transreward.types import CEILING, Pair, RequestError
from transreward.uses.use import UNCHANGED

GAP_STEPS_PER_UPDATE = 16  # steps per update of the gap with an on-policy learner; else the learner's updates set it
GAP_FIRST = 0.1  # rounds in which a gap learns, per round of a learner that has all steps from the start
EVIDENCE_ROUND = 50  # control steps of a round in which nobody learns
TRIAL = "trial"  # phase in which candidates act
EARLIER = "source_run"  # name of the stage that stands for another run's training


def compile(config: Config, taken: int | None = None) -> Plan:
    """All stages of a request, in the order in which they run. Methods that need the least source training come first,
    since the source agent of the others continues from theirs.

    `taken`: source steps per seed of the agent of `config.source_run`, if there is one. If `target_steps` exceeds
    `loop.horizon`, the last stage of each method continues beyond it at its pace.

    Raises:
        RequestError: the method cannot continue beyond the horizon, or cannot be fed from these domains.
    """
    asked, config = config, config.at_horizon
    agents: dict[str, Stage] = {}
    tracks: list[Track] = []
    known: dict[Randomise | None, tuple[str | None, int]] = {}  # the latest agent, by what it is trained in
    if taken is not None:
        known[config.taken_up_in] = EARLIER, taken
    for row in sorted((config.method, *config.controls), key=partial(budgets.pretrain_steps, config)):
        agent, steps = None, 0
        if row.needs_source_agent:
            agent, steps = known.get(row.randomise, (None, 0))
            stage = source_stage(config.of_source(0), row, agent, steps)
            if stage is not None:
                steps += walked(stage).source
                agent = stage.name
                agents[agent] = stage
            known[row.randomise] = agent, steps
        own = for_method(config, row)
        if row is config.method and config.cotrain:
            tracks.append(cotrained(own, row))
        else:
            tracks.append(competing(own, track(own, row, agent, steps)))
    if asked.target_steps > config.target_steps:
        tracks = [longer(asked, track, asked.target_steps - config.target_steps) for track in tracks]
    others = tuple(compile(asked.of_source(k)) for k in range(1, 1 + len(asked.others)))
    return Plan(agents, tuple(tracks), others)


def longer(config: Config, track: Track, steps: int) -> Track:
    """A track with so many more target steps. A control that takes none, or less than a round, is unchanged."""
    *before, stage = track.stages
    target, schedule = stage.stream("target"), stage.schedule
    source = stage.stream("source") if schedule.controls.source else None
    if track.partners:
        raise RequestError("`cotrain=True` cannot go on behind its horizon: each agent has a budget of its own")
    if target is None:
        return unable(config, track, "takes no target steps to learn from")
    if target.kind == WHOLE:
        return unable(config, track, "has all of its log's steps from the start: begin another run with more of them")
    if track.method.offline is not None and track.method.offline.ends_still:
        why = "has annealed its actor's rate to 0, so that more steps would change nothing: begin another run with more"
        return unable(config, track, why)
    schedule = schedule.extended(schedule.controls.target + steps // target.robots)
    if not schedule.beyond:
        needed = schedule.steps(schedule.total).target * target.robots
        return unable(config, track, f"takes {needed} target steps a round, more than the {steps} asked for")
    taken, known = schedule.before(schedule.rounds), schedule.controls
    walked = (taken.source - known.source) * source.robots if source is not None else 0
    more = walked + track.method.replayed * (taken.target - known.target) * target.robots
    whole = Pair(config.source_steps + walked, config.target_steps)
    rooms = {s.name: room(config.learner, whole._asdict()[s.name], s.robots) for s in (source, target) if s and s.room}
    rooms["counterpart"] = rooms.get("target", 0)  # row i of the one belongs to row i of the other
    streams = tuple(replace(s, room=rooms.get(s.name, s.room)) for s in stage.streams)
    budget = Pair(stage.budget.source + more, stage.budget.target + steps)
    return replace(track, stages=(*before, replace(stage, streams=streams, budget=budget, schedule=schedule)))


def unable(config: Config, track: Track, why: str) -> Track:
    """A track that cannot continue: a control is unchanged, for the request's method RequestError is raised."""
    if track.method is config.method:
        raise RequestError(f"'{track.method.name}' cannot go on behind its horizon: it {why}")
    return track


def walked(stage: Stage) -> Pair[int]:
    """Steps per seed that the robots of a stage take in each domain if nothing stops it early."""
    robots = (stream.robots if stream else 0 for stream in map(stage.stream, Pair._fields))
    return Pair(*(controls * n for controls, n in zip(stage.schedule.controls, robots, strict=True)))


def source_stage(config: Config, row: Method, agent: str | None, steps: int) -> Stage | None:
    """The training of the plain agent that a method starts from, or None if an existing `agent` with `steps` suffices.

    It is shared. A method that continues in the source starts after a part of the source budget (`loop.pretrain`); the
    others get an agent that had all of it, so that all methods of a table may take the same number of source steps.
    """
    left = budgets.pretrain_steps(config, row) - steps
    # a method that continues in the source does so from the end of that run, and who takes over another learner's or
    # library's policy wants that one, which some training more might make worse
    taken_up = config.brought or (config.source_run is not None and (row.uses_source or config.converted is not None))
    if agent is not None and (left < budgets.least_steps(config).source or taken_up):
        return None
    fresh = agent is None
    budget = Pair(left, 0)
    plain = replace(PLAIN, randomise=row.randomise)
    schedule = scheduled(config, plain, budget, fresh)
    name = f"source-{steps + schedule.controls.source * config.learner.robots}"
    name = name if row.randomise is None else f"{row.name}-{name}"
    streams = (walk(config.of_agent(plain), plain, "source", left, "source"),)
    return Stage(
        name, "source", plain, agent, streams, budget, schedule, 0.0, fresh, config.loop.source_evaluations
    )  # fmt: skip


def track(config: Config, row: Method, agent: str | None, taken: int) -> Track:
    """The stages of one method, after its source agent of `taken` steps or from scratch."""
    if row.ceiling:  # trains in the target on the source's budget
        return Track(row, (oracle(config, row),))
    if row.target_share is None and row.ground is None:
        return Track(row, (unchanged(config, row, agent),), agent=agent)
    fresh, rounds, evaluations = row.start != "source", budgets.rounds(config, row), config.loop.evaluations
    if row.ground is not None:
        return grounded(config, row, agent, taken)
    steps = budgets.opening_steps(config, row)
    before = (evidence(config, row, agent, steps),) if budgets.falls_back(config, row) else ()
    after, seen = before[0].name if before else agent, sum(walked(stage).target for stage in before)
    left = config.target_steps - seen
    own = config.source_steps - taken if row.walks else row.replayed * left + row.asked_again(seen)
    budget = Pair(config.source_steps if row.uses_logs else own, left)
    if not row.teacher:
        stage = transfer(config, row, row.name, after, budget, fresh, evaluations, rounds, before=seen)
        return Track(row, (*before, stage), agent=agent)
    teach = row.parts[0]
    first = transfer(
        config, replace(named(row.teacher), name=row.name), f"{row.name}-teacher", after,
        budget.map(lambda steps: int(teach * steps)), fresh, max(round(teach * evaluations), 1),
        rounds and budgets.rounds_of_parts(row, rounds)[0], phase="teacher",
    )  # fmt: skip
    spent = walked(first)
    left = Pair(budget.source - spent.source, budget.target - spent.target)
    evaluations = max(round(evaluations * left.target / config.target_steps), 1)
    rounds = rounds and max(rounds - budgets.rounds_of_parts(row, rounds)[0], 1)
    then = transfer(config, row, row.name, first.name, left, fresh, evaluations, rounds, before=seen + spent.target)
    return Track(row, (*before, first, then), agent=agent)


def grounded(config: Config, row: Method, agent: str | None, taken: int) -> Track:
    """Evidence; then, over the simulator that it shows, the row's own stage, before which a share of the updates may be
    made in that simulator alone. So the policies at the end of each are those of three stages.

    With several rounds, training in that simulator and evidence by the policy that comes of it go before: each with an
    equal part of the source steps that robots walk.
    """
    ground, fresh, rounds = row.ground, row.start != "source", budgets.rounds(config, row)
    assert ground is not None
    first, *again = budgets.evidence_steps(config, row)
    stages = [evidence(config, row, agent, first)]
    seen = sum(steps // config.loop.target_robots for steps in (first, *again)) * config.loop.target_robots
    left = config.target_steps - seen if row.gap or row.target_share else 0
    turned = row.replayed * left + row.asked_again(seen)  # source steps from where the target was
    own = config.source_steps - taken - turned if row.walks else 0  # by robots that walk
    evaluations, target = config.loop.evaluations, stages[0].streams[0]

    def alone(name: str, steps: int, share: float) -> Stage:
        """Training in the simulator alone, with a share of the updates that are left."""
        nonlocal evaluations, rounds
        part, some = max(round(share * evaluations), 1), rounds and max(round(share * rounds), 1)
        evaluations, rounds = max(evaluations - part, 1), rounds and max(rounds - (some or 0), 1)
        plain = replace(row, gap=None, use=None, gate=None, feed=Feed(0.0))
        budget, after = Pair(steps, 0), stages[-1].name
        stage = transfer(config, plain, f"{row.name}-{name}", after, budget, fresh, part, some, phase="walk")
        return replace(stage, streams=(*stage.streams, target))

    for k, steps in enumerate(again):
        walk = own // (ground.rounds - k)
        stages.append(replace(alone(f"round-{k + 1}", walk, 1 / (ground.rounds - k)), ground=ground))
        stages.append(evidence(config, row, stages[-1].name, steps, k + 2))
        own -= walk
    at = len(stages)
    if row.randomise is not None and row.feed is not None:  # told what was identified, it is a candidate by itself
        told = unchanged(config, row, stages[-1].name)
        stages.append(replace(told, name=f"{row.name}-told", streams=(target,)))
    if ground.walk:
        steps = own if row.branched else int(ground.walk * own)
        stages.append(alone("alone", steps, ground.walk))
        own -= steps
    budget = Pair(turned + own, left)
    stages.append(transfer(config, row, row.name, stages[-1].name, budget, fresh, evaluations, rounds, before=seen))
    stages[at] = replace(stages[at], ground=ground)
    rest = config.target_steps - seen - left
    if budgets.falls_back(config, row) and rest >= config.loop.target_robots:
        stages[-1] = replace(stages[-1], streams=(*stages[-1].streams, target))  # kept for the stage that follows
        stages.append(trial(config, row, stages[-1].name, target, rest))
    return Track(row, tuple(stages), agent=agent)


def trial(config: Config, row: Method, after: str, stream: Stream, steps: int) -> Stage:
    """A stage in which candidates act in the target until one of them is clearly the best, and nobody learns."""
    controls = steps // stream.robots
    schedule = Schedule(-(-controls // EVIDENCE_ROUND), 0, Pair(0, controls), Pair(0, 0), 0, 0)
    budget, evaluations = Pair(0, controls * stream.robots), config.loop.evaluations
    return Stage(f"{row.name}-trial", TRIAL, row, after, (stream,), budget, schedule, 0.0, False, evaluations)


def transfer(
    config: Config,
    row: Method,
    name: str,
    after: str | None,
    budget: Pair[int],
    fresh: bool,
    evaluations: int,
    rounds: int | None,
    phase: Any = "transfer",
    before: int = 0,
) -> Stage:
    """A stage that takes target steps, after so many that were taken `before` it."""
    feed = row.feed
    if feed is None:  # what is identified is put in, and that is all
        return unchanged(config, row, after)
    share = feed.target_share
    turned = row.replayed * budget.target + row.asked_again(before)
    steps = budget._replace(source=budget.source - turned)  # what robots walk
    schedule = scheduled(config, row, steps, fresh, rounds)
    log = recorded(config.domains.target)
    if row.offline is not None or log is not None:
        schedule = of_steps_that_are_there(config, row, schedule)
    streams = source_streams(config, row, budget, schedule)
    if log is not None:
        streams.append(Stream("target", WHOLE, "target", "target", 1, budget.target))
    elif schedule.controls.target:
        target = walk(config, row, "target", budget.target, "target")
        streams.append(target)
        if row.replayed and target.room:
            streams.append(
                Stream(
                    "counterpart", "counterpart", "source", "source", target.robots, target.room
                )  # row i is the target's row i
            )
    if row.teacher:
        newest = (row.use or UNCHANGED).newest
        streams.append(Stream("demonstrations", "lesson", "source", "free", config.learner.robots, newest=newest))
    streams.sort(key=lambda stream: STREAMS[stream.kind].turn)
    return Stage(
        name, phase, row, after, tuple(streams), budget, schedule, share, fresh, evaluations, row.guided, feed.anneal,
        gap_first=row.offline is not None and not schedule.controls.target,
    )  # fmt: skip


def of_steps_that_are_there(config: Config, row: Method, schedule: Schedule) -> Schedule:
    """The rounds of a stage that learns offline, or whose target is a log: none only collect steps. Who learns offline
    has a number of updates of its own, before which its gap is trained."""
    logs = logged(config.domains)
    source = 0 if logs.source or row.uses_replay or row.uses_logs else schedule.controls.source
    controls = Pair(source, 0 if logs.target else schedule.controls.target)
    count, warm, updates = schedule.total - schedule.warm, 0, schedule.updates
    if row.offline is not None:
        updates = row.offline.updates_per_round
        count = -(-row.offline.updates // updates)
        warm = max(round(GAP_FIRST * count), 1) if row.gap is not None and not controls.target else 0
    gap_updates = max(round(config.loop.gap_updates * (row.gap.pace if row.gap is not None else 1.0) * updates), 1)
    return schedule._replace(
        total=warm + count, warm=warm, controls=controls, updates=updates,
        gap_updates=gap_updates if row.offline is not None else schedule.gap_updates,
    )  # fmt: skip


def competing(config: Config, track: Track) -> Track:
    """A track with the candidates of each stage, if the source policy is kept as one.

    An on-policy learner that target steps feed needs them to be its own, so nobody else acts while it learns.
    """
    if not budgets.falls_back(config, track.method):
        return track
    found: list[Stage] = []
    names = config.candidates
    for stage in track.stages:
        names = names if stage.phase in ("evidence", TRIAL) else (*names, stage.name)
        own = stage.phase == "evidence" or (config.learner.on_policy and stage.target_share > 0)
        acting = names[-1:] if own and names != config.candidates else names
        streams = tuple(replace(s, acting=acting) if s.name == "target" else s for s in stage.streams)
        found.append(replace(stage, candidates=names, streams=streams))
    return replace(track, stages=tuple(found))


def evidence(config: Config, row: Method, after: str | None, steps: int, number: int = 1) -> Stage:
    """A stage in which the source policy takes the first target steps, or the newest one the next; nobody learns."""
    robots = config.loop.target_robots
    controls = steps // robots
    rounds = -(-controls // EVIDENCE_ROUND)
    schedule = Schedule(rounds, rounds, Pair(0, controls), Pair(0, 0), 0, 0)
    stream = walk(config, row, "target", config.target_steps, "target")
    stream = replace(stream, room=room(config.learner, config.target_steps, robots))
    name, budget = f"{row.name}-evidence{f'-{number}' if number > 1 else ''}", Pair(0, controls * robots)
    return Stage(name, "evidence", row, after, (stream,), budget, schedule, 0.0, False, 0)


def unchanged(config: Config, row: Method, agent: str | None) -> Stage:
    """A stage without steps: the policy is unchanged."""
    none = Pair(0, 0)
    schedule = Schedule(0, 0, none, none, 0, 0)
    return Stage(row.name, "transfer", row, agent, (), none, schedule, 0.0, False, config.loop.evaluations)


def oracle(config: Config, row: Method) -> Stage:
    """Training in the target on the source's budget."""
    budget = Pair(0, config.source_steps)
    schedule = scheduled(config, row, Pair(config.source_steps, 0), True)
    stream = walk(config, row, "source", config.source_steps, "target")
    return Stage(row.name, CEILING, row, None, (stream,), budget, schedule, 0.0, True, config.loop.evaluations)


def cotrained(config: Config, row: Method) -> Track:
    """Co-training: a stage in each domain, side by side, each with the learners of the others as its source."""
    others = tuple(beside(turned(config, k), row, PARTNERS[k]) for k in range(len(config.sources)))
    return Track(row, (beside(config, row, ""),), others)


def beside(config: Config, row: Method, draws: str) -> Stage:
    """One stage of co-training: training from scratch in the target of `config`."""
    budget = Pair(0, config.target_steps)
    schedule = scheduled(config, row, budget, True, budgets.rounds(config, row))
    stream = walk(config, row, "target", config.target_steps, "target")
    name = draws or row.name
    return Stage(
        name, "cotrain", row, None, (stream,), budget, schedule, 1.0, True, config.loop.evaluations, draws=draws
    )


def turned(config: Config, k: int = 0) -> Config:
    """The request with its k-th source and its target exchanged, each with its own budget, robots and pace."""
    learner: Any = config.learner  # off-policy: `require_cotrain`
    learner = replace(learner, target_updates_per_step=1.0 / learner.steps_per_update)
    return replace(
        config,
        domains=Pair(config.domains.target, config.sources[k]),
        others=tuple(one for i, one in enumerate(config.sources) if i != k),
        source_steps=config.target_steps,
        target_steps=config.source_steps,
        learner=learner,
        loop=replace(config.loop, target_robots=config.learner.robots),
        controls=(),
    )


# -- rounds --------------------------------------------------------------------------------------------------------


def scheduled(config: Config, row: Method, steps: Pair[int], fresh: bool, rounds: int | None = None) -> Schedule:
    """The rounds of a stage in which robots take `steps` per seed. The steps that feed the learner set their number,
    unless `rounds` does."""
    learner, loop = config.learner, config.loop
    robots = Pair(learner.robots, loop.target_robots)
    controls = Pair(*(b // n for b, n in zip(steps, robots, strict=True)))
    target_leads = steps.source == 0
    lead, width = (controls.target, robots.target) if target_leads else (controls.source, robots.source)
    chunk = max(min(learner.round_steps(target_leads) // width, lead), 1)
    pace = loop.gap_updates * (row.gap.pace if row.gap is not None else 1.0)
    if learner.on_policy:
        count = rounds or max(lead // chunk, 1)
        chunk = lead // count if rounds else chunk
        rollout = Pair(0, chunk) if target_leads else Pair(chunk, 0)
        gap_updates = pace * lead * width / count / GAP_STEPS_PER_UPDATE
        return Schedule(count, 0, controls, rollout, learner.updates_per_round, max(round(gap_updates), 1))
    share = warm_share(learner, row, steps, fresh)
    count = rounds or max(-(-round((1 - share) * lead) // chunk), 1)
    warm = round(share / (1 - share) * count)
    gap_updates = max(round(pace * learner.updates_per_round), 1)
    return Schedule(warm + count, warm, controls, Pair(0, 0), learner.updates_per_round, gap_updates)


def warm_share(learner: Learner, row: Method, steps: Pair[int], fresh: bool) -> float:
    """Share of a stage's steps that are stored before an off-policy learner starts to learn. From scratch it is at most
    a tenth, and their actions are uniform, unless the source policy leads, which explores better."""
    at_random = fresh and not (row.feed and row.feed.guide)
    if not at_random and not steps.target:
        return 0.0
    if at_random:
        return min(learner.random_steps / max(sum(steps), 1), 0.1)
    return min(learner.warmup_steps / steps.target, learner.warmup_share)
