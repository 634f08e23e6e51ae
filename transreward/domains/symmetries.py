"""Symmetries: a robot seen in a mirror, or turned, is the same robot doing something else.

    halfcheetah@mirrored   ant@turned90

An ant that walks ahead is, seen after a quarter turn, an ant that walks to the left. So where the target's task is the
source's in another direction, a source that is seen so is paid for the same: its agent knows the target's task already,
and whatever is compared between the domains is compared between situations that are each other's likeness.

A symmetry reorders the columns of observations and actions and turns the signs of some. On ant it is exact, but for
what its resets draw. On half-cheetah, whose hind and fore legs are unlike in length and strength, it is a likeness.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from transreward.domains.domain import BrokenSimulation, Domain, Entry, TableRobot
from transreward.types import RequestError, Signed, Symmetry, Transition, nearest

if TYPE_CHECKING:
    from transreward.domains.mujoco import MujocoDomain, MujocoSimulation

Rename = Callable[[str], tuple[str, float]]  # a column as it is seen -> the robot's that it shows, and its sign
ROWS, STEPS = 16, 128  # random steps of the source by which `likeness` judges
# A symmetry is taken where its pay fits (in correlation) by this much better than the robot's as it is, and at all; or
# fits exactly, for most of two rewards may be what both domains pay alike.
CLEARLY, AT_ALL, EXACTLY = 0.1, 0.5, 0.9999


def reordering(columns: Sequence[str], rename: Rename, times: int) -> Signed:
    """Of columns with these names; `times` 2 is the symmetry after itself."""
    shown = [rename(name) for name in columns]
    once = Signed(np.array([columns.index(name) for name, _ in shown]), np.array([sign for _, sign in shown]))
    order, sign = once
    for _ in range(times - 1):
        order, sign = order[once.order], sign[once.order] * once.sign
    return Signed(order, sign.astype(np.float32))


def _cheetah_in_a_mirror(name: str) -> tuple[str, float]:
    part, _, rest = name.partition(" ")
    if part in ("velocity", "forward", "control"):
        return name, 1.0 if part == "control" else -1.0
    other = {"b": "f", "f": "b"}.get(part[0], part[0]) + part[1:]  # hind and fore
    return " ".join(filter(None, (other, rest))), 1.0 if part == "rootz" else -1.0


ROUND = (  # what a quarter turn to the left moves to the next place
    ("front_left_leg", "front_right_leg", "back_leg", "right_back_leg"),
    ("aux_1", "aux_2", "aux_3", "aux_4"),
    ("body 4", "body 7", "body 10", "body 13"),
    ("hip_1", "hip_2", "hip_3", "hip_4"),
    ("ankle_1", "ankle_2", "ankle_3", "ankle_4"),
)
BEFORE = {part: places[i - 1] for places in ROUND for i, part in enumerate(places)}  # what shows in a part's place
TURNED = {"forward": ("sideways", -1.0), "velocity": ("sideways", -1.0), "sideways": ("forward", 1.0)}


def _ant_turned(name: str) -> tuple[str, float]:
    if name in TURNED:
        return TURNED[name]
    part = next((part for part in BEFORE if f"{name} ".startswith(f"{part} ")), "")
    name = BEFORE.get(part, "") + name[len(part) :]
    if name.endswith((" x", " y")):  # to the left becomes ahead, and what was ahead shows as to the right
        return name[:-1] + ("y" if name[-1] == "x" else "x"), -1.0 if name[-1] == "x" else 1.0
    return name, -1.0 if part in ("ankle_2", "ankle_4") else 1.0  # whose axes point the other way round


# robot -> name -> what one does, how often, and after how often all is as it was
SYMMETRIES: dict[str, dict[str, tuple[Rename, int, int]]] = {
    "halfcheetah": {"mirrored": (_cheetah_in_a_mirror, 1, 2)},
    "ant": {f"turned{90 * times}": (_ant_turned, times, 4) for times in (1, 2, 3)},
}


def symmetry(domain: MujocoDomain, name: str) -> Symmetry:
    """A symmetry of the domain's robot. Raises RequestError for one that it has not."""
    known = SYMMETRIES.get(domain.robot.name, {})
    if not known:
        able = ", ".join(f"{robot}@{one}" for robot, names in SYMMETRIES.items() for one in names)
        raise RequestError(f"'{domain.robot.name}' has no symmetry: there are {able}")
    if name not in known:
        raise nearest(name, known, f"symmetry of {domain.robot.name}")
    if domain.noise.any():
        raise RequestError(f"{domain.name} cannot be seen {name}: the noise on its actions is no likeness of itself")
    return _made(domain, *known[name][:2])


def _made(domain: MujocoDomain, rename: Rename, times: int) -> Symmetry:
    obs, action = ([e.name for e in entries] for entries in (domain.entries, domain.action_entries))
    return Symmetry(*(reordering(names, rename, times) for names in (obs, action, domain.stored_terms)))


class SeenDomain:
    """A robot as it looks through a symmetry; `plain` is the robot as it is, `symmetry` what its columns become, and
    `back` what makes them the robot's own again. What belongs to no column is the plain domain's.
    """

    def __init__(self, plain: MujocoDomain, name: str) -> None:
        self.plain, self.seen = plain, name
        self.symmetry = symmetry(plain, name)
        rename, times, whole = SYMMETRIES[plain.robot.name][name]
        self.back = _made(plain, rename, whole - times)  # two terms may show one: not to be had by reordering
        self.spaces, self.reward_terms, self.episode_steps = plain.spaces, plain.reward_terms, plain.episode_steps
        self.robot, self.tasks, self.shifts, self.model = plain.robot, plain.tasks, plain.shifts, plain.model
        self.noise, self.delay, self.stored_terms = plain.noise, plain.delay, plain.stored_terms
        head = re.split("[+:]", plain.name)[0]
        end = len(head if head == plain.robot.name else plain.name)  # a factory's name has nothing behind it
        self.name = f"{plain.name[:end]}@{name}{plain.name[end:]}"

    @property
    def invertible(self) -> bool:
        """The plain domain's."""
        return self.plain.invertible

    @property
    def control_rate(self) -> float:
        """The plain domain's."""
        return self.plain.control_rate

    @property
    def traits(self) -> dict[str, str]:
        """The plain domain's."""
        return self.plain.traits

    @property
    def changing(self) -> list[str]:
        """The plain domain's."""
        return self.plain.changing

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What each column is: named as what it looks like, with unit and range of what it shows."""
        return _shown(self.plain.entries, self.symmetry.obs)

    @property
    def action_entries(self) -> tuple[Entry, ...]:
        """The same of actions."""
        return _shown(self.plain.action_entries, self.symmetry.action)

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> SeenSimulation:
        """n robots, freshly reset; see `Domain`."""
        return SeenSimulation(self.plain.simulate(n, seed, threads), self)

    def paid_as(self, other: TableRobot) -> SeenDomain:
        """See `TableRobot`."""
        return SeenDomain(self.plain.paid_as(other), self.seen)

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """See `MujocoDomain.pay`, of steps as they are seen."""
        back = self.back
        return self.plain.pay(back.obs(obs), back.action(action), back.obs(next_obs), back.stored(stored))


def _shown(entries: Sequence[Entry], columns: Signed) -> tuple[Entry, ...]:
    shown = []
    for entry, i, sign in zip(entries, columns.order, columns.sign, strict=True):
        low, high = sorted((float(sign) * entries[i].low, float(sign) * entries[i].high))
        shown.append(replace(entries[i], name=entry.name, part=entry.part, low=low, high=high))
    return tuple(shown)


class SeenSimulation:
    """n robots of a `SeenDomain`; physics and what is not seen are the plain simulation's."""

    def __init__(self, plain: MujocoSimulation, domain: SeenDomain) -> None:
        self.plain, self.domain = plain, domain
        self.obs, self.terms = domain.symmetry.obs(plain.obs), plain.terms

    @property
    def qpos(self) -> np.ndarray:
        """The plain simulation's."""
        return self.plain.qpos

    @property
    def qvel(self) -> np.ndarray:
        """The plain simulation's."""
        return self.plain.qvel

    @property
    def stored(self) -> np.ndarray:
        """Of the latest step."""
        return self.domain.symmetry.stored(self.plain.stored)

    @property
    def storing(self) -> bool:
        """Whether each step fills `stored`."""
        return self.plain.storing

    @storing.setter
    def storing(self, on: bool) -> None:
        self.plain.storing = on

    @property
    def sparing(self) -> bool:
        """See `SparingSimulation`."""
        return self.plain.sparing

    @sparing.setter
    def sparing(self, on: bool) -> None:
        self.plain.sparing = on

    @property
    def diverged(self) -> dict[int, BrokenSimulation]:
        """See `SparingSimulation`."""
        return self.plain.diverged

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`."""
        t, seen = self.plain.step(self.domain.back.action(np.asarray(action))), self.domain.symmetry
        self._look()
        return t._replace(obs=seen.obs(t.obs), action=np.asarray(action), next_obs=seen.obs(t.next_obs))

    def set_physics(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """See `MujocoSimulation.set_physics`: of the robot as it is."""
        self.plain.set_physics(qpos, qvel)
        self._look()

    def put(self, obs: np.ndarray) -> np.ndarray:
        """See `MujocoSimulation.put`."""
        known = self.plain.put(self.domain.back.obs(np.asarray(obs)))
        self._look()
        return known

    def ended(self, obs: np.ndarray) -> np.ndarray:
        """See `MujocoSimulation.ended`."""
        over = self.plain.ended(self.domain.back.obs(np.asarray(obs)))
        self._look()
        return over

    def get_state(self) -> dict[str, np.ndarray]:
        """The plain simulation's."""
        return self.plain.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`."""
        self.plain.set_state(state)
        self._look()

    def _look(self) -> None:
        self.obs, self.terms = self.domain.symmetry.obs(self.plain.obs), self.plain.terms


def as_it_is(id: str) -> str:
    """A domain's id without the symmetry in it."""
    return re.sub(r"^([\w.:]+)@\w+", r"\1", id)


def plain(domain: Domain) -> Domain:
    """The domain as it is, where it is seen through a symmetry."""
    return domain.plain if isinstance(domain, SeenDomain) else domain


def looks(domain: Domain) -> str | None:
    """The symmetry through which the domain is seen; None = as it is."""
    return domain.seen if isinstance(domain, SeenDomain) else None


def likeness(source: MujocoDomain, target: MujocoDomain, seed: int = 0) -> dict[str | None, float]:
    """How far the target pays, for what is seen of the source's steps, what the source paid for them: the correlation
    over steps of random actions, for each symmetry of the robot, and under None for the source as it is."""
    walk, rng, taken = source.simulate(ROWS, seed), np.random.default_rng(seed), []
    walk.storing = True
    low, high = source.spaces.low, source.spaces.high
    for _ in range(STEPS):
        t = walk.step(rng.uniform(low, high, (ROWS, source.spaces.action)))
        taken.append((t.obs, t.action, t.next_obs, walk.stored, t.reward))
    obs, action, next_obs, stored, reward = (np.concatenate(parts) for parts in zip(*taken, strict=True))

    def fit(seen: Symmetry | None) -> float:
        if seen is None:
            paid = target.pay(obs, action, next_obs, stored)
        else:
            paid = target.pay(seen.obs(obs), seen.action(action), seen.obs(next_obs), seen.stored(stored))
        alike = np.corrcoef(paid, reward)[0, 1] if paid.std() > 0 and reward.std() > 0 else 0.0
        return float(alike)

    known = SYMMETRIES.get(source.robot.name, {})
    return {None: fit(None), **{name: fit(symmetry(source, name)) for name in known}}


def best_seen(source: MujocoDomain, target: MujocoDomain) -> tuple[str | None, dict[str | None, float]]:
    """The symmetry through which the source is paid most like the target, None = as it is; and all of `likeness`."""
    found = likeness(source, target)
    best = max(found, key=lambda name: found[name])
    clearly = found[best] >= AT_ALL and found[best] > found[None] + CLEARLY
    exactly = found[best] >= EXACTLY > found[None]
    return (best if clearly or exactly else None), found
