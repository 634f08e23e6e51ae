"""How much target and source differ, measured before a run. A shift that changes nothing is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transreward.domains.bridged import plain, view_of
from transreward.domains.domain import Domain, Modelled, TableRobot, table_robot
from transreward.domains.ids import domain
from transreward.domains.names import action_entries, entries
from transreward.domains.paid import pays_by_row
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import of_plan
from transreward.domains.tasks import Task
from transreward.types import UNKNOWN, RequestError, Transition

SAME = 1e-9  # relative differences below this are rounding
ROWS = 4

Compared = tuple[Transition, Transition, np.ndarray]


@dataclass(frozen=True)
class ShiftMeasure:
    """One-step differences between source and target, from the same states and actions."""

    obs: float  # largest absolute difference of an entry of next_obs
    relative: float  # largest difference divided by that entry's std of one-step changes in the source
    entries: tuple[tuple[int, float], ...]  # up to five entries of largest relative difference: (column, difference)
    reward: float  # largest absolute difference
    share: float  # of the states, in which anything differs; in [0, 1]
    states: int  # compared
    target_steps: int  # taken by the measurement, once for all seeds

    @property
    def null(self) -> bool:
        """True if nothing differs."""
        return self.share == 0

    def __str__(self) -> str:
        if self.null:
            return f"no difference in {self.states} steps with the same actions from the same states"
        entries = ", ".join(f"obs[{i}] {size:.2g}" for i, size in self.entries)
        obs = f"largest one-step difference {self.obs:.3g} (in spreads: {entries})" if entries else "same observations"
        reward = f"reward differs by up to {self.reward:.3g}" if self.reward else "same reward"
        return f"{obs}, {reward}; {round(self.share * self.states)} of {self.states} steps compared differ"


def require_fit(source: Domain, target: Domain, hint: str = "") -> None:
    """Refuse a target in which a policy of the source cannot act; `hint` says what may be done about a bridge.

    Raises:
        RequestError: sizes or bounds of the spaces differ or, if both domains name their columns, the names do.
    """
    if fits(source, target):
        return
    others = _other_columns(source, target)
    rows = [(name, domain(name)) for name in ROBOTS]
    robots = [name for name, row in rows if fits(source, row)]
    fitting = f"robots that fit {source.name}, with any shift: {', '.join(robots) or 'none of the table'}"
    sizes = [f"{d.name} has {d.spaces.obs} observations, {d.spaces.action} actions" for d in (source, target)]
    bounds = ""
    if sizes[0].split(" has ")[1] == sizes[1].split(" has ")[1]:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        bounds = f" that mean other things ({others[0]}{more})" if others else " with other bounds"
    raise RequestError(f"{' and '.join(sizes)}{bounds}: unlike robots need a bridge{hint}; {fitting}")


def fits(source: Domain, target: Domain) -> bool:
    """True if a policy of the source can act in the target; see `require_fit`."""
    return source.spaces.fit(target.spaces) and not _other_columns(source, target)


def _other_columns(source: Domain, target: Domain) -> list[str]:
    """Columns to which the two domains give different names, such as `obs[2] is 'bthigh angle' and 'thigh angle'`."""
    sides = [(entries(d), action_entries(d)) for d in (source, target)]
    return _other_parts(source, target) or [
        f"{what}[{i}] is '{a.name}' and '{b.name}'"
        for what, one, other in zip(("obs", "action"), *sides, strict=True)
        for i, (a, b) in enumerate(zip(one, other, strict=False))
        if a.name != b.name and UNKNOWN not in (a.unit, b.unit)
    ]


def _other_parts(source: Domain, target: Domain) -> list[str]:
    """Joints and actuators by which two models with numbered columns are different robots, such as `joint 'bthigh' and
    'thigh_joint'`: each model has some that the other lacks. If only one has more, such as a load, the robot may be the
    same."""
    found = []
    ours, theirs = (d.model_names if isinstance(d, Modelled) else {} for d in (source, target))
    for kind in ours.keys() & theirs.keys():
        pairs = [[name for name in a[kind] if name not in b[kind]] for a, b in ((ours, theirs), (theirs, ours))]
        found += [f"{kind} '{a}' and '{b}'" for a, b in zip(*pairs, strict=False)]
    return sorted(found, key=lambda text: text.startswith("actuator"))


def require_difference(source: Domain, target: Domain, seed: int = 0) -> ShiftMeasure:
    """Measure the difference, and refuse a target that changes nothing or has a shift that does not.

    Raises:
        RequestError: the spaces do not fit (`require_fit`), or the target or one of its shifts changes nothing.
    """
    require_fit(source, target)
    measured = _first_difference(source, target, seed)
    alike = view_of(source.name) == view_of(target.name)
    source, target = plain(source), plain(target)
    robot = table_robot(target)
    shifts = robot.shifts if robot else ()
    if measured.null and (goals_apart(source, target) or not (alike or shifts)):
        return measured
    if measured.null and source.name != target.name and not same_starts(source, target, seed=seed):
        return measured  # they differ in resets alone, such as by a fixed goal
    if measured.null and (not shifts or source.name == target.name):
        raise RequestError(f"source and target are the same: '{source.name}' and '{target.name}' differ in nothing")
    if measured.null:
        text = ",".join(map(str, shifts))
        raise RequestError(
            f"the shift '{text}' of {source.name} changes nothing: no state of {measured.states} differs"
        )
    if robot and len(shifts) > 1:
        name, plan = "+".join(map(str, (robot.robot.name, *robot.tasks))), of_plan(shifts)
        for shift in shifts:
            others = () if shift in plan else plan  # the parts that it is a shift of
            plain_robot, shifted = (
                domain(":".join(filter(None, [name, ",".join(map(str, some))]))) for some in (others, (*others, shift))
            )
            if fits(plain_robot, shifted) and measure(plain_robot, shifted, seed=seed).null:
                raise RequestError(f"the shift '{shift}' of {name} changes nothing: leave it out")
    return measured


def _first_difference(source: Domain, target: Domain, seed: int) -> ShiftMeasure:
    """`measure`; where each seed of a run has a robot of its own, of the first seed whose robots differ."""
    from transreward.domains.varied import of_seed, seeds_of  # which need MuJoCo, as few requests do

    found, own = measure(source, target, seed=seed), [n for n in (seeds_of(source), seeds_of(target)) if n]
    for k in range(1, min(own, default=1)):
        if not found.null:
            break
        found = measure(of_seed(source, k), of_seed(target, k), seed=seed)
    return found


def bodies(source: Domain, target: Domain) -> tuple[TableRobot, TableRobot] | None:
    """Both domains if they are versions of one robot with the same parts, or of two files with the same joints, so that
    physics states can be exchanged."""
    a, b = table_robot(source), table_robot(target)
    if a is None or b is None:
        return None
    if _of_one_row(a, b):
        return (a, b) if of_plan(a.shifts) == of_plan(b.shifts) else None
    return (a, b) if fits(a, b) and _joints(a.model) == _joints(b.model) else None


def _joints(model: Any) -> list[tuple[str, int, int]]:
    """Of each joint the name, the type and where it stands in qpos; their order is that of qvel, too."""
    return [(j.name, int(j.type[0]), int(j.qposadr[0])) for j in map(model.joint, range(model.njnt))]


def one_body(source: Domain, target: Domain) -> bool:
    """True if physics states of the one are states of the other; see `bodies`."""
    return bodies(source, target) is not None


def one_row(source: Domain, target: Domain) -> bool:
    """True if both are versions of one robot: their tasks read the same parts of it."""
    both = bodies(source, target)
    return both is not None and _of_one_row(*both)


def _of_one_row(a: TableRobot, b: TableRobot) -> bool:
    return a.robot.name == b.robot.name


def delay(source: Domain, target: Domain) -> int:
    """Control steps by which what an action does is seen late on both sides (the smaller delays of actions and of
    observations); 0 unless both have one body."""
    both = [d.physics for d in bodies(source, target) or ()]
    return min(p.delay for p in both) + min(p.sensor_delay for p in both) if both else 0


def goals_apart(source: Domain, target: Domain) -> bool:
    """True if the tasks differ and one has a sparse goal, which random actions may never reach."""
    tasks = [task.name for d in (source, target) for task in _tasks(d)]
    return not same_task(source, target) and "sparse_goal" in tasks


def same_task(source: Domain, target: Domain) -> bool:
    """True if the ids name the same tasks, so that returns are comparable; a list of tasks is never the same."""
    several = any(robot is not None and pays_by_row(robot.robot) for robot in map(table_robot, (source, target)))
    return not several and _tasks(source) == _tasks(target)


def _tasks(domain: Domain) -> tuple[Task, ...]:
    robot = table_robot(domain)
    return robot.tasks if robot else ()


def same_starts(source: Domain, target: Domain, n: int = 16, seed: int = 0) -> bool:
    """True if n episodes with the same seed start in the same observations in both domains."""
    return np.array_equal(source.simulate(n, seed).obs, target.simulate(n, seed).obs)


def relabels(source: Domain, target: Domain) -> bool:
    """True if the target's reward can be computed for stored source steps: both are one robot of the table.

    Not with a reward of the user's and a source whose actions or observations are shifted, nor with that of a goal in
    the plane and shifted observations: they take the action that was executed and the true state, and only what was
    commanded and seen is stored.
    """
    both = bodies(source, target)
    if both is None or not _of_one_row(*both):
        return False
    walker, payer = both
    users = any(":" in task.name for task in payer.tasks)
    looks = users or payer.robot.placed
    return (walker.physics.obeys or not users) and (walker.physics.sees or not looks)


def require_other_pay(source: Domain, target: Domain, seed: int = 0) -> None:
    """Refuse to relabel if source and target pay the same reward; `relabels` must be true of them. A source in another
    view is accepted: to a policy it is another robot, even with the same reward.

    Raises:
        RequestError: source and target pay the same for every step that random actions take in the source.
    """
    both = bodies(source, target)
    assert both is not None
    if view_of(source.name) or goals_apart(source, target):
        return
    walk = both[0].simulate(ROWS, seed)
    walk.storing = True
    rng, (low, high) = np.random.default_rng(seed), (source.spaces.low, source.spaces.high)
    for _ in range(256):
        t = walk.step(rng.uniform(low, high, (ROWS, source.spaces.action)))
        paid = both[1].pay(t.obs, t.action, t.next_obs, walk.stored)
        if (np.abs(paid - t.reward) > SAME * (1 + np.abs(t.reward))).any():
            return
    raise RequestError(
        f"'{source.name}' and '{target.name}' pay alike for the same step, so relabelling would change nothing: use "
        f"a method that does not relabel (transreward list methods)"
    )


def measure(source: Domain, target: Domain, n: int = 1024, seed: int = 0) -> ShiftMeasure:
    """One-step differences over about n states that random actions reach in the source.

    Two domains of one body are put into the same physics states and given the same actions; if actions are delayed, the
    steps that pass before an action takes effect come first. Other domains start with the same seeds and take the same
    actions, and a row counts until its first difference.

    Raises:
        RequestError: the spaces do not fit; see `require_fit`.
    """
    require_fit(source, target)
    source, target = plain(source), plain(target)  # the physics are the same, however they are looked at
    rng, steps = np.random.default_rng(seed), max(1, n // ROWS)
    low, high = source.spaces.low, source.spaces.high
    actions = rng.uniform(low, high, (steps, ROWS, source.spaces.action))
    both = bodies(source, target)
    if both is None:
        return _summary(*_parting(source, target, actions, seed), target_steps=steps * ROWS)
    late = delay(source, target)
    return _summary(*_paired(*both, actions, seed, late), target_steps=steps * ROWS * (1 + late))


def _paired(source: TableRobot, target: TableRobot, actions: np.ndarray, seed: int, late: int) -> Compared:
    """Transitions of both from the same physics states, and a mask of the rows that count (all)."""
    walk, simulations = source.simulate(ROWS, seed), [d.simulate(ROWS, seed) for d in (source, target)]
    pairs = []
    for action in actions:
        for simulation in simulations:
            simulation.set_physics(walk.qpos, walk.qvel)
        for _ in range(late):
            for simulation in simulations:
                simulation.step(action)
        pairs.append([simulation.step(action) for simulation in simulations])
        walk.step(action)
    a, b = (_stack(transitions) for transitions in zip(*pairs, strict=True))
    return a, b, np.ones(len(a.reward), bool)


def _parting(source: Domain, target: Domain, actions: np.ndarray, seed: int) -> Compared:
    """Transitions of both in parallel, and a mask of the rows that count: up to the first difference of each robot."""
    simulations = [d.simulate(ROWS, seed) for d in (source, target)]
    together, pairs, counts = np.ones(ROWS, bool), [], []
    for action in actions:
        a, b = (simulation.step(action) for simulation in simulations)
        pairs.append((a, b))
        counts.append(together.copy())
        same = (a.next_obs == b.next_obs).all(axis=1) & (a.terminated == b.terminated)
        together &= same & (simulations[0].obs == simulations[1].obs).all(axis=1)
    a, b = (_stack(transitions) for transitions in zip(*pairs, strict=True))
    return a, b, np.concatenate(counts)


def _stack(transitions: Sequence[Transition]) -> Transition:
    return Transition(*(np.concatenate(parts) for parts in zip(*transitions, strict=True)))


def _summary(a: Transition, b: Transition, counts: np.ndarray, target_steps: int) -> ShiftMeasure:
    spread = (a.next_obs - a.obs).std(axis=0)
    obs = np.abs(a.next_obs - b.next_obs)[counts]
    relative = obs / (spread + 1e-6 * (1 + spread.max()))  # the spread of an entry that hardly moves is near 0
    reward = np.abs(a.reward - b.reward)[counts]
    ends = (a.terminated != b.terminated)[counts]
    differs = (relative > SAME).any(axis=1) | (reward > SAME * (1 + a.reward.std())) | ends
    largest = relative.max(axis=0)
    entries = [(int(i), float(largest[i])) for i in np.argsort(-largest, kind="stable")[:5] if largest[i] > SAME]
    return ShiftMeasure(
        float(obs.max()),
        float(largest.max()),
        tuple(entries),
        float(reward.max()),
        float(differs.mean()),
        len(obs),
        target_steps,
    )
