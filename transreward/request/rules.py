"""Which methods fit which pairs and learners: each rule refuses a method or adapts it to the pair."""

from __future__ import annotations

import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from transreward.domains.across import Across
from transreward.domains.difference import relabels, require_other_pay
from transreward.domains.domain import Domain, invertible, stored_terms, table_robot
from transreward.domains.logs.recorded import Recorded, logged, recorded
from transreward.draws import PARTNERS
from transreward.feed import Feed
from transreward.ground import LEAST
from transreward.learners.iql import IQL
from transreward.learners.learner import Learner
from transreward.methods import Method, names, variant
from transreward.request.budgets import evidence_steps
from transreward.request.config import Config
from transreward.types import CEILING, TARGET_ONLY, Pair, RequestError

USE_SAC = 'use `learner="sac"`'


def without_a_model(row: Method, pair: Pair[Domain]) -> Method:
    """The row; a method that relabels loses its reward model if the target's reward can be computed.

    Raises RequestError if that reward is the source's own.
    """
    if not row.relabels or not relabels(pair.source, pair.target):
        return row
    require_other_pay(pair.source, pair.target)
    return replace(row, gap=None)


def fitting(row: Method, pair: Pair[Domain], learner: Learner) -> Method:
    """The row; one that can be several takes what the pair and the learner allow, and says so if it is less."""
    rewarded = bool(pair.target.reward_terms)
    if row.fallback and not rewarded:
        row = replace(row, fallback=False)  # candidates could not be judged
    if row.unlike and isinstance(pair.source, Across):
        said = f"across a bridge '{row.name}' does as '{row.unlike}' does, with a fallback: nothing is identified there"
        warnings.warn(said, stacklevel=2)
        row = variant(row, row.unlike)
        if row.feed is None or learner.on_policy:  # which learns from what its noise shows
            return row
        return replace(row, feed=replace(row.feed, deterministic=True))  # or its noise would be held against it
    if row.no_simulator and recorded(pair.source) is None:
        from transreward.identify.identified import identifiable  # which needs MuJoCo, as few requests do

        try:
            identifiable(pair.source)
        except RequestError as error:
            other = row.no_simulator[learner.on_policy]
            warnings.warn(f"'{row.name}' does as '{other}' does, with a fallback: {error}", stacklevel=2)
            return variant(row, other)
    return row.simulated if learner.on_policy or not rewarded or recorded(pair.target) is not None else row


def in_simulator(row: Method, target_steps: int, settings: dict[str, Any]) -> Method:
    """The row; one that can do without training on target steps does so where its first steps are all, unless settings
    of what it would leave out were given."""
    few = row.ground is not None and target_steps <= row.ground.steps
    left_out = [name for name, part in row.in_simulator if part is None]
    named = any(part in left_out for path in settings for part in path.split(".")[:-1])
    if row.ground is None or not few or named or not row.in_simulator:
        return row
    return replace(row.simulated, ground=replace(row.ground, walk=0.0))


def of_logs(row: Method, pair: Pair[Domain]) -> Method:
    """The row; where the source is a log, its stored steps are that, and what would learn from a logged target from
    scratch does so offline."""
    source, target = logged(pair)
    if target and row.name == TARGET_ONLY:
        row = replace(row, offline=IQL())
    if source and row.feed is not None and row.uses_replay:
        return replace(row, feed=replace(row.feed, source="logs"))
    return row


def sharing(row: Method, pair: Pair[Domain]) -> Method:
    """The row, which compares unlike bodies by the columns that they share."""
    return replace(row, shared=pair.source.crossing.shared) if row.compares and isinstance(pair.source, Across) else row


def with_terms(row: Method, pair: Pair[Domain]) -> Method:
    """The row, with the number of reward terms set in a gap that reads them.

    Raises RequestError if the two domains do not store the same terms.
    """
    if not row.needs("terms") or not pair.target.reward_terms:  # a target without rewards is refused later
        return row
    source, target = (stored_terms(d) for d in pair)
    if not source or source != target:

        def other(r: Method) -> bool:
            return r.guided and not r.needs("terms")

        raise RequestError(
            f"'{row.name}' needs two tasks of one robot of the table, whose steps store the same reward terms, which "
            f"{pair.source.name} and {pair.target.name} are not: use {names(other)}"
        )
    gap: Any = row.gap
    if gap.terms not in (0, len(source)):
        raise RequestError(f"gap.terms is the number of terms that {pair.source.name} stores, {len(source)}: leave it")
    return replace(row, gap=replace(gap, terms=len(source)))


def together(row: Method, source_run: str | Path | None) -> Method:
    """The method adapted to co-training: no source agent, fed by its own steps as they come.

    Raises RequestError for a method that cannot be co-trained.
    """

    def able(r: Method) -> bool:
        return r.uses_replay and r.target_share == 1 and r.use is not None and r.use.cotrains

    if not able(row):
        raise RequestError(
            f"'{row.name}' cannot be trained from both sides: with `cotrain` each learner's own rewards are adjusted "
            f"by the other's steps, as by {names(able)}"
        )
    if source_run is not None:
        raise RequestError("with `cotrain` the source's agent learns from scratch too: leave `source_run` out")
    return replace(row, start="nothing", feed=Feed(1.0))


def require_cotrain(config: Config) -> None:
    """Raise RequestError for settings and learners that co-training does not allow."""
    if any(isinstance(one, Across) for one in config.sources):
        raise RequestError("with `cotrain` both agents act in both domains, which unlike robots cannot: leave it out")
    if len(config.sources) > len(PARTNERS):
        raise RequestError(f"`cotrain` is of {len(PARTNERS)} sources at most, and {len(config.sources)} are named")
    if poor := [one.name for one in config.sources if not one.reward_terms]:
        raise RequestError(f"with `cotrain` an agent learns in {poor[0]}, which has no rewards")
    for one in config.others:
        with_terms(config.method, Pair(one, config.domains.target))
    if config.method.feed != Feed(1.0):
        raise RequestError("with `cotrain` each learner is fed by its own steps as they come: leave feed.* out")
    if config.learner.on_policy:
        raise RequestError(
            f"`cotrain` needs a learner that keeps its steps, which {config.learner.name} does not: {USE_SAC}"
        )


def require_simulated(config: Config) -> None:
    """Raise RequestError for what needs a simulated target, if there is none."""
    how = f"only a simulated target has, and loop.eval_target={config.loop.eval_target} says that it is none"
    if config.simulates_target:
        return
    if any(row.ceiling for row in (config.method, *config.controls)):
        raise RequestError(f"'{CEILING}' takes the source's budget in the target, steps that {how}: leave it out")
    if config.cotrain:
        raise RequestError(f"with `cotrain` both agents are evaluated in both domains, in episodes that {how}")


def require_one_body(row: Method, config: Config) -> None:
    """Raise RequestError for a method that needs one body where source and target are unlike robots: it puts the one
    where the other was, or asks somebody about steps of which only some columns are shared."""

    def able(r: Method) -> bool:
        return r.compares or (r.gap is None and r.ground is None and not r.relabels)

    if isinstance(config.domains.source, Across) and not able(row):
        raise RequestError(f"'{row.name}' needs one body, and source and target are two: use {names(able)}")


def require_family(row: Method, config: Config) -> None:
    """Raise RequestError for a family that the source cannot have around it, and for a method trained in one if an
    earlier run's agent is to be taken up instead."""
    config.of_agent(row)
    robot, ranges = table_robot(config.domains.source), "randomise.ranges"
    if row.randomise and row.randomise.informed:
        if config.learner.ends is None:
            raise RequestError(f"'{config.learner.name}' declares no `ends`, by which '{row.name}' tells its policy")
        named = {ranges} if row is config.method else {f"{row.name}.{ranges}"}
        if robot is not None and robot.redrawn and named & config.chosen:
            raise RequestError(f"'{row.name}' trains in the family {config.domains.source.name}: leave {ranges} out")
    if row.randomise and config.source_run is not None and row is config.method and config.taken_up_in is None:
        raise RequestError(
            f"'{row.name}' trains a source agent of its own, in a family of robots: leave `source_run` out, or name a "
            f"run whose source agent was trained in {config.of_agent(row).domains.source.name}"
        )


def require_ground(row: Method, config: Config) -> None:
    """Raise RequestError for a source whose simulator cannot be put where the target was, and for too few target
    steps."""
    if row.ground is None:
        return
    from transreward.domains.varied import nominal  # which need MuJoCo, as few requests do
    from transreward.identify.identified import identifiable
    from transreward.identify.known import known_in

    told = row.randomise is not None and row.randomise.informed
    source = identifiable(nominal(config.domains.source) if told else config.domains.source)
    known_in(row.ground.known, source.name)
    if row.feed is None and row.ground.rounds > 1:
        raise RequestError(f"'{row.name}' learns nothing between two rounds of identifying: leave ground.rounds out")
    if row.ground.walk and not learns(row):
        raise RequestError(f"'{row.name}' takes no target steps but the first, so leave ground.walk out")
    if learns(row) and config.target_steps <= row.ground.steps:
        raise RequestError(
            f"'{row.name}' learns from the target steps behind the first {row.ground.steps}, and {config.target_steps} "
            f"are all: raise `target_steps` above {row.ground.steps}, lower ground.steps, or use identified"
        )
    robots = config.loop.target_robots
    needed = sum(steps // robots for steps in evidence_steps(config, row)) * robots
    if row.ground.rounds > 1 and needed + learns(row) * robots > config.target_steps:  # each robot takes a step behind
        raise RequestError(
            f"'{row.name}' takes {needed:,} target steps to identify the physics in {row.ground.rounds} rounds, and "
            f"{config.target_steps:,} are not enough: raise `target_steps`, or lower ground.rounds"
        )
    least = LEAST * robots
    if config.target_steps < least:
        raise RequestError(
            f"'{row.name}' identifies the target's physics from its first steps, and {config.target_steps} are too "
            f"few: raise `target_steps` to {least} or more, 500 are usual"
        )


def require_log(log: Recorded, settings: dict[str, Any], steps: int) -> None:
    """Raise RequestError for settings that need more of a target than a log of it, and for more steps than it has."""
    if steps > len(log.log):
        lost = f", since {log.log.dropped:,} rows have no next observation" if log.log.dropped else ""
        raise RequestError(f"'{log.name}' has {len(log.log):,} steps{lost}: lower `target_steps` from {steps:,}")
    if steps < LEAST:
        raise RequestError(f"'{log.name}': {steps} steps are too few to learn anything from: {LEAST} are the least")
    for name, only in (("loop.eval_target", "none"), ("loop.target_robots", "1")):
        if str(settings.get(name, only)) != only:
            raise RequestError(f"'{log.name}' is a log, in which nothing acts: leave {name} out")


def learns_from_logs(row: Method, on_policy: bool = False) -> bool:
    """Whether a log may be the target of a row, with such a learner: nobody acts there, and nothing is put into its
    states."""
    if row.target_share is None:
        return True
    if row.ground is not None or row.replayed:
        return row.ground is not None and not learns(row)
    guided = row.feed is not None and row.feed.guide > 0
    own = on_policy and row.offline is None and row.target_share > 0
    return not (guided or own or row.teacher or row.fallback or row.ceiling)


def learns_of_logs(row: Method) -> bool:
    """Whether a log may be the source of a row: nobody walks there, and no agent has been trained there."""
    alone = row.start == "nothing" and row.feed is not None and not row.guided and row.teacher is None
    return alone and not row.uses_source


def no_step_of(log: Recorded, row: Method, config: Config, able: str) -> RequestError:
    """For a method, or a control, that a log cannot serve."""
    said = f"'{log.name}' is a log, which takes no step for"
    if row is config.method:
        swap = log is recorded(config.domains.source) and recorded(config.domains.target) is None
        swap = swap and learns_from_logs(row.simulated, config.learner.on_policy)
        known = "if it is of the robot that the policy is for, swap source and target; otherwise " if swap else ""
        return RequestError(f"{said} '{row.name}': {known}use {able}")
    return RequestError(f"{said} the control '{row.name}': name others in `controls`, or none")


def require_source_log(config: Config) -> None:
    """Raise RequestError if the source is a log, and a method needs a source that takes steps."""
    log = recorded(config.domains.source)
    for row in (config.method, *config.controls):
        if row.uses_logs and log is None:
            raise RequestError("feed.source=logs is of a source of which there is a log: leave it out")
        if log is not None and not (row.ceiling or (learns_of_logs(row) and not row.uses_replay)):
            raise no_step_of(log, row, config, names(learns_of_logs))
    if log is None:
        return
    if config.source_run is not None:
        raise RequestError(f"'{log.name}' is a log, in which no agent is trained: leave `source_run` out")
    if config.source_steps > len(log.log):
        raise RequestError(
            f"'{log.name}' has {len(log.log):,} steps: lower `source_steps` from {config.source_steps:,}"
        )


def require_recorded(config: Config) -> None:
    """Raise RequestError if the target is a log, and a method needs a target that takes steps; and for steps that no
    robot like the source can have taken."""
    log = recorded(config.domains.target)
    if log is None:
        return
    from transreward.domains.varied import nominal  # which need MuJoCo, as few requests do
    from transreward.identify import evidence
    from transreward.identify.identified import identifiable, posed

    if config.cotrain:
        raise RequestError(f"with `cotrain` an agent learns in the target, and '{log.name}' is a log: leave it out")
    for row in (config.method, *config.controls):
        if not learns_from_logs(row, config.learner.on_policy):
            able = names(lambda r: learns_from_logs(r.simulated, config.learner.on_policy))
            raise no_step_of(log, row, config, able)
    if any(row.ground is not None for row in (config.method, *config.controls)):
        steps = evidence.of_logs(config.domains.source, [log.log], config.target_steps)
        posed(identifiable(nominal(config.domains.source)), steps)


def learns(row: Method) -> bool:
    """Whether target steps train its learner or its gap."""
    return bool(row.target_share or row.gap)


def require_several(config: Config) -> None:
    """Raise RequestError if the request's method cannot choose between several sources' policies, or has no use for
    their weights."""
    if config.loop.sources == "weighted":
        _require_weighted(config)
    if not config.others or config.cotrain:
        return
    if len(config.sources) > config.learner.robots:
        many = f"{config.learner.robots} robots a seed cannot be of {len(config.sources)} sources"
        raise RequestError(f"{many}: raise learner.robots to {len(config.sources)} or more")
    if config.method.randomise is not None:
        raise RequestError(f"'{config.method.name}' trains in a family around one source: name one")
    if why := _no_candidates(config):
        able = names(lambda r: r.chooses)
        raise RequestError(f"the target's episodes show which source is best, and {why}: name one, or use {able}")


def _require_weighted(config: Config) -> None:
    """Raise RequestError for weights of sources by which nobody would draw their steps."""
    row, learner, said = config.method, config.learner, "loop.sources=weighted"

    def able(r: Method) -> bool:
        draws = r.start == "source" and learns(r) and (r.uses_source or r.uses_replay)
        return draws and not (r.ground or r.replayed or r.randomise or r.teacher)

    if not config.others:
        raise RequestError(f"{said} weighs several sources, and there is one: name more, or leave it out")
    if not able(row):
        raise RequestError(
            f"{said} is for steps that are drawn from all sources, and '{row.name}' draws none: leave it out, or use "
            f"{names(able)}"
        )
    if learner.on_policy:
        raise RequestError(f"{said} is for steps that are kept, and {learner.name} keeps none: {USE_SAC}")
    if any(isinstance(one, Across) for one in config.sources):
        raise RequestError(f"{said} compares steps of one body, and some sources have another: leave it out")


def require_fallback(config: Config) -> None:
    """Raise RequestError if the source policy cannot stay a candidate of the request's method."""
    if config.loop.fallback and (why := _no_candidates(config)):
        raise RequestError(f"loop.fallback keeps the source policy beside what it becomes, and {why}: leave it out")


def _no_candidates(config: Config) -> str:
    """Why no other policy can stay beside the one that the request's method learns; empty if it can."""
    row, why = config.method, ""
    if config.cotrain:
        why = "with `cotrain` there is no source policy"
    elif row.target_share is None and row.ground is None:
        why = f"'{row.name}' takes no target steps, in which candidates could act"
    elif row.start != "source":
        why = f"'{row.name}' does not start from the source policy"
    elif recorded(config.domains.target) is not None:
        why = f"'{config.domains.target.name}' is a log, in which nobody acts"
    elif not config.domains.target.reward_terms:
        why = f"{config.domains.target.name} has no rewards, by which candidates are judged"
    return why


def require_effect(row: Method) -> None:
    """Raise RequestError for a feed with which a part of the method would have no effect."""
    if row.feed is None:
        return
    use = row.use
    if use is not None and use.relabels and not row.feed.of_source:
        raise RequestError(f"'{use.name}' pays the source's steps, so feed.target_share must be below 1")
    if use is not None and use.side == "target" and not row.feed.target_share:
        raise RequestError(f"'{use.name}' pays the target's steps, so feed.target_share must be above 0")
    if use is not None and use.compares and not 0 < row.feed.target_share < 1:
        raise RequestError(
            f"'{use.name}' compares the domains' steps in a batch, so feed.target_share must be above 0 and below 1"
        )
    if row.uses_replay and not row.feed.of_source and row.gap is None:
        raise RequestError(
            f"with feed.target_share=1 and no gap '{row.name}' looks at no source step, so feed.source=replay would "
            f"change nothing"
        )


def require_rewards(row: Method, pair: Pair[Domain]) -> None:
    """Raise RequestError for a method that learns from the rewards of a domain that has none, where each step has 0."""
    logs = logged(pair)

    def lacks(r: Method) -> list[str]:
        needs = Pair(r.needs_source_reward, r.needs_target_reward)
        return [side for side in Pair._fields if getattr(needs, side) and not getattr(pair, side).reward_terms]

    def able(r: Method) -> bool:
        serves = learns_of_logs(r) or not logs.source, learns_from_logs(r.simulated) or not logs.target
        return all(serves) and not lacks(r)

    for side in lacks(row):
        name = getattr(pair, side).name
        raise RequestError(f"'{row.name}' learns from the {side}'s rewards, and {name} has none: use {names(able)}")


def require_learner(row: Method, learner: Learner, source: Domain) -> None:
    """Raise RequestError for a method that needs something that the learner does not have on this source."""
    if learner.on_policy and row.uses_replay:
        raise RequestError(
            f"'{row.name}' needs the stored steps of the source agent's training, which {learner.name} does not keep: "
            f"{USE_SAC}"
        )
    if row.use is not None and row.use.shapes and not (row.offline or learner).takes_advice:
        raise RequestError(
            f"'{row.name}' asks the source agent while it learns, which {learner.name} cannot: {USE_SAC}"
        )
    if row.needs("source_q") and type(learner).q is Learner.q:
        raise RequestError(f"'{row.name}' asks the source agent's critic, and {learner.name} has no `q`: {USE_SAC}")
    if learner.on_policy and row.off_policy:
        raise RequestError(
            f"'{row.name}' trains on {row.feed}, steps that another policy took, which {learner.name} cannot: {USE_SAC}"
        )
    if row.branched and not (row.use is not None and row.use.corrects):
        raise RequestError(
            f"'{row.name}' with feed.source=branched would have nothing to correct its branches by: "
            f"use {names(lambda r: r.branched)}, or a use that corrects, such as trust(paired)"
        )
    robot = table_robot(source)
    if row.replayed and robot is not None and robot.redrawn:
        raise RequestError(
            f"'{row.name}' steps the source from states that the target was seen in, and {source.name} has other "
            f"physics in every episode: name one robot of the family"
        )
    if row.replayed and learner.on_policy and not invertible(source):
        raise RequestError(
            f"'{row.name}' has to put {source.name} into the states that the target was seen in, which its observation "
            f"does not tell in full; a model of it needs stored source steps, which {learner.name} has not: "
            f"{USE_SAC}"
        )
    known = {f.name for f in fields(learner)}
    for name, _ in row.learner:
        if name not in known:
            raise RequestError(f"'{row.name}' needs a learner with '{name}', which {learner.name} has not")
        if name in learner.networks and row.start == "source":
            raise RequestError(
                f"'{row.name}' trains the source agent on, so it cannot have a learner.{name} of its own: set it for "
                f"all methods"
            )
