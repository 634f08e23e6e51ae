"""How budgets are split: steps of the source agent and of each method, and rounds of updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from transreward.fallback import opening
from transreward.learners.learner import Learner
from transreward.methods import Method
from transreward.request.config import Config
from transreward.types import Pair, RequestError

MOST = 10**9  # steps or seeds, which are counted in 32 bits on the device
CONVERSION_STEPS = 50_000  # of the source, at most, in which another learner's agent is taken over
CONVERSION_SHARE = 0.25  # of what its training left of the budget, at most
CONVERSION_LEAST = 1_000  # steps


def pretrain_steps(config: Config, row: Method) -> int:
    """Steps per seed of the training of the source agent from which a method starts."""
    branched = config.source_steps - row.replayed * config.target_steps
    if row.walks:
        return round((branched if row.branched else config.source_steps) * config.loop.pretrain)
    return branched


def conversion_steps(config: Config, taken: int) -> int:
    """Source steps per seed in which the agent of `source_run`, of `taken` steps, is taken over by another learner; 0
    where it is the learner's own."""
    if config.converted is None:
        return 0
    robots = config.learner.robots
    left = int(CONVERSION_SHARE * max(config.source_steps - taken, 0))
    return min(CONVERSION_STEPS, left) // robots * robots


def walked_steps(config: Config, row: Method, taken: int) -> int:
    """Source steps per seed that a method takes with its robots after a source agent of `taken` steps; the rest of the
    budget is for steps that start from states of the target."""
    return config.source_steps - taken - row.replayed * config.target_steps


def falls_back(config: Config, row: Method) -> bool:
    """Whether the source policy stays a candidate of a method, to act in the target and to be delivered."""
    asked = config.loop.fallback or row.fallback or bool(config.others)
    acts = row.target_share is not None or row.ground is not None
    return asked and row.start == "source" and acts


def opening_steps(config: Config, row: Method) -> int:
    """Target steps per seed that the source policy takes before a method learns."""
    steps = 0 if row.ground is None else min(row.ground.steps, config.target_steps)
    if falls_back(config, row):
        steps = max(steps, opening(config.target_steps, config.domains.target.episode_steps, len(config.sources)))
    return steps


def evidence_steps(config: Config, row: Method) -> tuple[int, ...]:
    """Target steps per seed before each round of a grounded method: by the source policy, then by the newest one. Where
    candidates are judged by their episodes, it takes a whole one."""
    assert row.ground is not None
    first, again = opening_steps(config, row), row.ground.steps
    if falls_back(config, row):
        again = max(again, config.domains.target.episode_steps)
    return (first, *[again] * (row.ground.rounds - 1))


def rounds(config: Config, row: Method) -> int | None:
    """Rounds of updates in a method's transfer, the same for all methods with the learner's settings: the larger of the
    numbers that the source steps and the target steps call for. None: as many as the steps that feed the method call
    for."""
    if row.ceiling or config.loop.updates == "paced":
        return None
    walked = config.source_steps - round(config.source_steps * config.loop.pretrain)
    return max(rounds_for(config.learner, walked, False), rounds_for(config.learner, config.target_steps, True))


def least_steps(config: Config) -> Pair[int]:
    """The smallest useful budget of each domain, in steps per seed: one rollout, or one step of every robot."""
    if config.learner.on_policy:
        return Pair(config.learner.round_steps(False), config.learner.round_steps(True))
    return Pair(config.learner.robots, config.loop.target_robots)


def rounds_of_parts(row: Method, rounds: int) -> tuple[int, ...]:
    """The number of rounds in each of a method's `parts`, at least 1."""
    first = max(int(row.parts[0] * rounds), 1)
    return (first, max(rounds - first, 1)) if row.teacher else (rounds,)


def rounds_for(learner: Learner, steps: int, in_target: bool) -> int:
    """Rounds of updates for so many steps of one domain, at least 1. A last round with fewer steps counts unless the
    learner is on-policy."""
    whole, rest = divmod(steps, learner.round_steps(in_target))
    return max(whole if learner.on_policy else whole + (rest > 0), 1)


def rollout(config: Config, row: Method, taken: int | None = None) -> int:
    """Steps per seed of each rollout that trains an on-policy learner with a method; the least over its parts."""
    in_target = row.target_share == 1
    width = config.loop.target_robots if in_target else config.learner.robots
    taken = pretrain_steps(config, row) if taken is None else taken
    steps = config.target_steps - opening_steps(config, row) if in_target else walked_steps(config, row, taken)
    parts = zip(row.parts, rounds_of_parts(row, rounds(config, row) or 1), strict=True)
    each = min(int(share * steps) // width // rounds for share, rounds in parts)
    return min(config.learner.round_steps(in_target) // width, each) * width


class Short(NamedTuple):
    """A budget that does not do."""

    side: str  # source or target
    why: str
    rows: Sequence[Method]  # that need more
    cures: tuple[str, ...]  # besides more steps


def require_rounds(config: Config) -> None:
    """Raise RequestError if a budget, or a part of it, is less than one round."""
    _refuse(config, _short)


def _refuse(config: Config, short: Callable[[Config], Iterator[Short]]) -> None:
    """Raise RequestError for the first budget that does not do, with the steps that do."""
    for found in short(config):
        least = _least(config, found.side, short)
        cure = f"raise `{found.side}_steps`" + (f" to {least} or more" if least else "")
        whose, cures = left_out(config, found.rows, cure, *found.cures)
        raise RequestError(f"{found.why}{whose}: {cures}")


def _least(config: Config, side: str, short: Callable[[Config], Iterator[Short]]) -> int | None:
    """The smallest budget of a side, from a request's own on, that does; None if none does."""

    before = {found.side for found in short(config)} - {side}

    def does(steps: int) -> bool:  # and costs the other side nothing
        return {found.side for found in short(replace(config, **{f"{side}_steps": steps}))} <= before

    low = high = getattr(config, f"{side}_steps")
    while not does(high):
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if does(middle) else (middle, high)
    return high


def _short(config: Config) -> Iterator[Short]:
    """The budgets of a request that do not do."""
    rows = (config.method, *config.controls)
    for row in rows:
        if row.replayed * config.target_steps >= config.source_steps:
            cure = f"lower `target_steps`{' or feed.branches' if row.branched else ''}"
            yield Short(
                "source",
                f"'{row.name}' takes {row.replayed} source steps for each target step, {row.replayed} x "
                f"{config.target_steps} of a source budget of {config.source_steps}", [config.method], (cure,),
            )  # fmt: skip
    for side, steps, needed, whose in paid(config):
        if steps < needed:
            budget, width = config.source_steps, "learner.robots"
            if side == "target":
                budget = config.target_steps
                width = "learner.target_rollout" if config.learner.on_policy else "loop.target_robots"
            left = (
                "are"
                if steps == budget
                else f"leave {max(steps, 0) or 'none'} for a part of the run (loop.pretrain, loop.fallback), which is"
            )
            why = f"{budget} {side} steps {left} less than one round of '{config.learner.name}', {needed}"
            yield Short(side, why, whose, (f"lower {width}",))
    if config.learner.on_policy:
        for row in rows:
            yield from _few(config, row)


def left_out(config: Config, rows: Sequence[Method], *cures: str) -> tuple[str, str]:
    """Who needs the steps that lack, where these are controls alone, and what to do; then also which controls would do
    with what there is."""
    if config.method in rows:
        return "", f"{', '.join(cures[:-1])}, or {cures[-1]}"
    names = [row.name for row in rows]
    others = [row.name for row in config.controls if row.name not in names]
    whose = f", which {' and '.join(names)} {'need' if len(names) > 1 else 'needs'}, not '{config.method.name}'"
    return whose, f"{', '.join(cures)}, or leave {'them' if len(names) > 1 else 'it'} out with `controls={others}`"


def paid(config: Config) -> list[tuple[str, int, int, list[Method]]]:
    """What is paid from the budgets: (domain, steps per seed, the fewest steps that make a round, for whom)."""
    rows, least = (config.method, *config.controls), least_steps(config)
    oracle = any(row.ceiling for row in rows)
    agents = [row for row in rows if row.ceiling or row.needs_source_agent]
    found = [("source", config.source_steps, least.source, agents)] if config.needs_source_agent or oracle else []
    for row in rows:
        if row.uses_source:
            before = pretrain_steps(config, row)
            walked, part = walked_steps(config, row, before), min(row.parts)
            found += [("source", before, least.source, [row])]
            found += [("source", int(part * walked), least.source, [row])] if row.walks else []
            taught = int(part * config.target_steps)
            found += [("target", taught, config.loop.target_robots, [row])] if row.teacher else []
    opened = [opening_steps(config, row) for row in rows if row.ground is None or row.gap is not None]
    left = config.target_steps - max(opened, default=0)
    if learning := [row for row in rows if row.target_share == 1]:
        found += [("target", left, least.target, learning)]
    elif learning := [row for row in rows if row.gap is not None or row.off_policy]:
        found += [("target", left, config.loop.target_robots, learning)]
    return found


def _few(config: Config, row: Method, taken: int | None = None) -> Iterator[Short]:
    """The budget of which a rollout that trains an on-policy learner has fewer steps than there are minibatches, if
    one does. `taken`: source steps of its source agent, by default `pretrain_steps`."""
    if row.feed is None:
        return
    steps_each, minibatches = rollout(config, row, taken), config.learner.minibatches
    if steps_each < minibatches:
        side, steps = "target", f"{config.target_steps} target steps"
        if row.target_share != 1:
            left = walked_steps(config, row, pretrain_steps(config, row) if taken is None else taken)
            side, steps = "source", f"{config.source_steps} source steps leave {left}, which"
        why = (
            f"{steps} cut into {rounds(config, row) or 1} rollouts, as many as every method of the request gets, give "
            f"{steps_each} steps to each, too few for {minibatches} minibatches"
        )
        yield Short(side, why, [row], ("lower learner.minibatches", "use `loop.updates=paced`"))


def require_steps_left(config: Config, taken: int) -> None:
    """Raise RequestError if the source agent's `taken` steps leave nothing of the budget for the method's own, or too
    little for another learner to take it over."""
    more = conversion_steps(config, taken)
    if config.converted is not None and more < CONVERSION_LEAST:
        least = taken + int(2 * CONVERSION_LEAST / CONVERSION_SHARE)
        raise RequestError(
            f"the source run took {taken} steps of a source budget of {config.source_steps}, so too few are left in "
            f"which {config.learner.name} could take its agent of {config.converted.name} over: raise `source_steps` "
            f"to {least} or more (it counts both)"
        )
    taken += more
    for row in (config.method, *config.controls):
        spends = row.walks or row.replayed
        if spends and walked_steps(config, row, taken) < int(row.walks):
            raise RequestError(
                f"the source run took {taken} steps of a source budget of {config.source_steps}, so nothing is left "
                f"for '{row.name}' to train on: raise `source_steps` (it counts both)"
            )
        if row.walks and config.learner.on_policy:
            _refuse(config, lambda more, row=row: _few(more, row, taken))
