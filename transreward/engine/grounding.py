"""The source as a method's first target steps show it: for each seed the simulator identified from that seed's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transreward import replay as rp
from transreward.bridges.bridge import Crossing
from transreward.domains import robots
from transreward.domains.bridged import crossing_of, plain
from transreward.domains.domain import Domain, TableRobot, table_robot
from transreward.domains.history import history_of, with_history, without_history
from transreward.domains.mujoco import MujocoDomain
from transreward.domains.shifts import SHIFTS, Shift
from transreward.domains.shifts.rules import Rule
from transreward.domains.tasks import Task
from transreward.domains.varied import Varied, nominal
from transreward.domains.views import viewed
from transreward.ground import Ground
from transreward.identify.evidence import of_walks
from transreward.identify.identification import Identification
from transreward.identify.identified import identifiable, identified
from transreward.identify.known import Known, known_in
from transreward.identify.pay import ENOUGH, Pay, pay_of
from transreward.replay import Replay
from transreward.runs import store
from transreward.streams.twin import Twin
from transreward.types import Pair, RequestError, Transition

NOTHING = {"parameters": [], "motors": None, "explained": 0.0}  # what identification.json has of a seed
SMALL = 1e-3  # of the spread of an entry's change, or of the reward's: a difference below it is none


class Grounded(NamedTuple):
    """A source with the physics that its target's steps show."""

    source: Domain  # in which robots walk
    compared: Domain  # the same without a rule of the motors: in which they walk if a gap says what their steps lack
    twin: Domain  # without noise and hidden delays, too: what is put into the target's states
    explained: np.ndarray | None  # float32 [seeds]: share in [0, 1] of what differs that is gone with the twin
    believed: np.ndarray | None  # [seeds]: the same of the source, by steps that were held out where that is more
    kept: dict[str, Any]  # what identification.json keeps; empty: nothing was identified
    said: tuple[str, ...] = ()  # what was found, in words, a line a seed
    rules: tuple[Rule | None, ...] = ()  # of the motors, a seed each
    shown: tuple[Identification | None, ...] = ()  # a seed each; None: too little is known of the physics
    untold: bool = False  # a policy that would have been told the physics was told nothing, for any seed
    crossing: Crossing | None = None  # to the view in which the source is paid most like a target whose steps told that

    def walked(self, gap: object) -> Domain:
        """Where robots walk for a method with this gap, or none."""
        return self.source if gap is None else self.compared

    def keep(self, seeds: list[int], place: Path) -> None:
        """Write identification.json into a run directory, and beside it what was learned of the motors."""
        if not self.kept:
            return
        place.mkdir(parents=True, exist_ok=True)
        rules = {
            str(rule): str(rule.save(place / f"motors-{seed}.npz"))
            for seed, rule in zip(seeds, self.rules, strict=True)
            if rule is not None
        }
        store.write_json(place / store.IDENTIFICATION, renamed(self.kept, rules))


def renamed(kept: Any, names: Mapping[str, str]) -> Any:
    """Plain data in which texts have other names, old to new."""
    if isinstance(kept, dict):
        return {key: renamed(value, names) for key, value in kept.items()}
    if isinstance(kept, list | tuple):
        return [renamed(value, names) for value in kept]
    if isinstance(kept, str):
        for old, new in names.items():
            kept = kept.replace(old, new)
    return kept


def grounded(domains: Pair[Domain], seeds: list[int], ground: Ground, stored: Replay, views: bool = True) -> Grounded:
    """The source with the physics that the `stored` target steps of each seed show, paid as the target is; with `views`
    the policy may go on as in another view.

    Where too little is explained, or the steps cannot be the robot's own, the source stays as it is for that seed.
    """
    if not ground.physics:
        return Grounded(domains.source, domains.source, domains.source, None, None, {})
    domains = domains._replace(source=nominal(domains.source))  # of a family
    source, t = identifiable(domains.source), rp.in_order(stored).transition  # [seeds, steps, robots]
    known = known_in(ground.known, source.name)
    found = _found(source, t, known)
    simulators = [_simulator(source, one, ground.least) for one in found]
    alike = len(seeds) > 1 and all(one is found[0] for one in found)
    said = [
        f"{'every seed' if alike else f'seed {seed}'}: {one if isinstance(one, str) else one.lines()[0]}"
        f"{': the source stays as it is' if simulator is source else ''}"
        for seed, one, simulator in zip(seeds, found, simulators, strict=True)
    ][: 1 if alike else None]
    if known:
        said.insert(0, f"what {len(known)} of the runs to other targets found was tried first")
    physics, sent = [simulator.shifts for simulator in simulators], history_of(domains.source)
    without = [tuple(s for s in shifts if s.name != "motors") for shifts in physics]
    still = [_still(shifts, sent) for shifts in physics]
    pay = _pay(_each(source, still, source.tasks, sent), domains.target, seeds, t)
    whole, compared, twin = (_each(source, some, pay.tasks, sent) for some in (physics, without, still))
    first = next((one for one in found if isinstance(one, Identification)), None)
    of_seeds = [one.as_json() if isinstance(one, Identification) else NOTHING for one in found]
    sure = [isinstance(one, str) or one.sure for one in found]
    told = [{**{key: one[key] for key in NOTHING}, "sure": s} for one, s in zip(of_seeds, sure, strict=True)]
    kept = {} if first is None else {**first.as_json(), "ids": [s.name for s in simulators], "seeds": told}
    gone = explained(with_history(source, sent), twin, seeds, t)
    held_out = [one.explained if isinstance(one, Identification) else 0.0 for one in found]
    rules = tuple(next((s.value for s in shifts if isinstance(s.value, Rule)), None) for shifts in physics)
    believed = np.maximum(gone, held_out)
    if pay.explained < ENOUGH:
        believed = np.minimum(believed, pay.explained)  # whose returns it shows are of another task
    crossing = _crossing(domains, pay) if views else None
    said += _told(source, domains.target, pay, crossing)
    shown = tuple(one if not isinstance(one, str) and _known(one, ground.least) else None for one in found)
    return Grounded(whole, compared, twin, gone, believed, kept, tuple(said), rules, shown, crossing=crossing)


def _each(source: MujocoDomain, physics: list[tuple[Shift, ...]], tasks: tuple[Task, ...], sent: int) -> TableRobot:
    """The source with these tasks, one of the physics for each seed, and the last `sent` commanded actions shown."""
    found = Varied(robots.row(source.robot.name), physics, tasks, source.spaces.obs)
    return with_history(found, sent)  # type: ignore[return-value]  # which of a robot of the table is one, too


def _without_commands(t: Transition, source: MujocoDomain) -> Transition:
    """Steps in the plain columns of the source, which are followed by commanded actions or not."""
    return t._replace(obs=t.obs[..., : source.spaces.obs], next_obs=t.next_obs[..., : source.spaces.obs])


def _still(shifts: tuple[Shift, ...], sent: int) -> tuple[Shift, ...]:
    """Physics without what stands between a state and the next: its noise would be taken for a difference, and what
    comes late, or what acted before, is in no observation; but for a delay of no more than the `sent` commanded actions
    that one shows."""
    shown = {shift for shift in shifts if shift.name == "delay" and shift.value <= sent}  # type: ignore[operator]
    return tuple(shift for shift in shifts if not SHIFTS[shift.name].hides or shift in shown)


def _pay(simulator: TableRobot, target: Domain, seeds: list[int], t: Transition) -> Pay:
    """How the target pays: as it says where it is a robot of the table, otherwise as its steps show."""
    robot = table_robot(plain(target))
    if robot is not None:
        return Pay(robot.tasks, 1.0)
    return pay_of(simulator, seeds, t) if target.reward_terms else Pay(simulator.tasks, 1.0)


def _crossing(domains: Pair[Domain], pay: Pay) -> Crossing | None:
    """To the view in which the source is paid most like the target. None where a request has chosen it, by the target's
    id or the user's own, or no view is better than none."""
    source = without_history(domains.source)
    if table_robot(plain(domains.target)) is not None or not isinstance(source, MujocoDomain):
        return None
    told = MujocoDomain(robots.row(source.robot.name), source.shifts, pay.tasks, source.spaces.obs)
    return crossing_of(viewed(Pair(domains.source, told)).source)


def _told(source: MujocoDomain, target: Domain, pay: Pay, crossing: Crossing | None) -> list[str]:
    """In words, whose reward the simulator pays from here on, where that is not simply the source's."""
    share = f"{pay.explained:.1%} of what the target's reward varies by"
    if pay.explained < ENOUGH:
        least = f"the terms of {source.robot.name}'s reward explain {share}"
        return [f"{least}: the simulator pays for another task, and what it foresees is believed as little"]
    if pay.tasks == source.tasks:
        return []
    name = "+".join(map(str, (source.robot.name, *pay.tasks)))
    how = "the target's reward" if table_robot(plain(target)) is not None else share
    said = [f"the simulator pays as {name}, {how}"]
    return said if crossing is None else [*said, "the policy goes on as in the view that is paid most like it"]


def explained(source: Domain, other: Domain, seeds: list[int], t: Transition) -> np.ndarray:
    """float32 [seeds]: share in [0, 1] of what steps [seeds, steps, robots] differ by from the source's, in the next
    state's entries and the reward, that is gone with the `other` simulator; entries are measured in spreads of their
    change. 1 where nothing differs.

    It is measured on the steps from which the other was identified: few numbers were fitted to many.
    """
    t = Transition(*(np.asarray(x).reshape(len(seeds), -1, *x.shape[3:]) for x in t))
    taken = [Twin(d, seeds, 0, None).step(t.obs, t.action) for d in (source, other)]
    known = ~np.logical_or(taken[0].truncated, taken[1].truncated)
    change = _entries(t.next_obs - t.obs, t.reward)
    apart = [_entries(t.next_obs - s.next_obs, t.reward - s.reward) for s in taken]
    gone = [_gone(*(x[k][known[k]] for x in (change, *apart))) for k in range(len(seeds))]
    return np.array(gone, np.float32)


def _entries(obs: Any, reward: Any) -> np.ndarray:
    """[seeds, n, obs + 1]."""
    return np.concatenate([obs, np.asarray(reward)[..., None]], axis=-1)


def _gone(change: np.ndarray, source: np.ndarray, other: np.ndarray) -> float:
    """The share that `explained` says, of one seed: how the steps changed each entry, and by what two simulators
    missed that, each [n, obs + 1]."""
    if not len(change):
        return 0.0
    spread, before, after = change.std(axis=0), *(np.mean(d**2, axis=0) for d in (source, other))
    counts = np.sqrt(before) > SMALL * spread
    if not counts.any():
        return 1.0
    scale = np.where(spread > 0, spread, np.sqrt(before))[counts]  # an entry may never change in the target
    left, all_of_it = (np.sum(x[counts] / scale**2) for x in (after, before))
    return float(np.clip(1.0 - left / all_of_it, 0.0, 1.0))


def _found(source: MujocoDomain, t: Transition, known: list[Known]) -> list[Identification | str]:
    """What the steps [seeds, control steps, robots] of each seed show. Seeds that have the same ones, as of a log, have
    one object, which is fitted once."""
    fitted: dict[bytes, Identification | str] = {}
    found = []
    for k in range(len(t.action)):
        steps = _without_commands(Transition(*(x[k] for x in t)), source)
        key = b"".join(np.ascontiguousarray(x).tobytes() for x in steps)
        if key not in fitted:
            fitted[key] = _of(source, steps, known)
        found.append(fitted[key])
    return found


def _of(source: MujocoDomain, steps: Transition, known: list[Known]) -> Identification | str:
    """What one seed's steps [control steps, robots] show, or why they show nothing."""
    try:
        return identified(source, of_walks(steps), known=known)
    except RequestError as error:
        return str(error)


def _simulator(source: MujocoDomain, found: Identification | str, least: float) -> MujocoDomain:
    """The source with what was found, or as it is where that is too little."""
    if isinstance(found, str) or found.nothing or not _known(found, least):
        return source
    return MujocoDomain(robots.row(source.robot.name), found.physics, source.tasks, source.spaces.obs)


def _known(found: Identification, least: float) -> bool:
    """Whether what was identified tells what robot took the steps: enough is explained, or nothing differs."""
    if found.discarded:
        return False
    return not found.remains if found.nothing else found.noisy or found.explained >= least
