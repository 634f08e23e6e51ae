"""Steps of many variants of a robot from states that observations show."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError

from transreward.domains.names import positions, velocities
from transreward.domains.parameters import Family
from transreward.domains.robot import Robot
from transreward.domains.shifts import Physics, acting
from transreward.domains.shifts.rules import Rule, inputs, share
from transreward.identify.evidence import Evidence
from transreward.types import RequestError

ROWS = 2048  # simulated at a time
CLIPPED = 0.9  # of the clip: a velocity beyond may be one at it, with a sensor's bias or noise
LOST = 1e3  # what stands for a state that is not finite
FARTHEST = 1e9  # of a state that is, but left the world: its square is summed up


class Simulator:
    """The variants of one family, stepped from the states of `Evidence`. Counts control steps in `steps`.

    A state is what can be seen of positions and velocities, [entries], velocities within the robot's clip.
    """

    def __init__(self, family: Family, columns: int, spread: np.ndarray | float = 1.0, threads: int = 1):
        """`spread` [columns]: of each entry of an observation, in which a sensor's bias is told."""
        self.family, self.robot, self._spread = family, family.robot, spread
        self.steps = 0
        self._batch = Batch(family.model, ROWS, threads)
        self._qpos, self._qvel, self._ctrl = (self._batch.bind(x) for x in ("qpos", "qvel", "ctrl"))
        self.low, self.high = family.model.actuator_ctrlrange.T
        seen = _seen(self.robot, columns, family.model)
        self._seen = np.flatnonzero(seen)
        entries = [*positions(family.model), *velocities(family.model, self.robot.clip)]
        self.entries = tuple(entries[i] for i in self._seen)
        self._turns = np.array([e.unit == "rad" for e in self.entries])

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the actions."""
        return self.low, self.high

    def bias(self, variant: Physics) -> np.ndarray:
        """What a variant's sensors add to each column, [columns]."""
        return np.asarray(variant.sensor_bias * self._spread)

    def states(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """qpos and qvel that `obs` [n, columns] show."""
        assert self.robot.invert is not None
        model = self.family.model
        return self.robot.invert(np.asarray(obs, float), model.nq, model.nv)

    def seen(self, obs: np.ndarray) -> np.ndarray:
        """The states that `obs` [n, columns] show, [n, entries]."""
        return self._entries(*self.states(obs))

    def shown(self, obs: np.ndarray) -> np.ndarray:
        """Whether `obs` [n, columns] shows the whole state: no velocity is near the clip, [n] bool."""
        return np.asarray((np.abs(self.states(obs)[1]) < CLIPPED * self.robot.clip).all(axis=1))

    def _entries(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        clip = self.robot.clip
        return np.concatenate([qpos, qvel.clip(-clip, clip)], axis=1)[:, self._seen]

    def differences(self, values: np.ndarray, rows: Evidence, exact: bool = True) -> np.ndarray:
        """Predicted less observed next states, [m, n, entries], of variants `values` [m, parameters]; `exact` as in
        `Family.variants`."""
        variants = self.family.variants(values, exact)
        bias = np.stack([self.bias(v) for v in variants])[:, None]  # as the target's sensors show it
        start, end = rows.obs - bias, rows.next_obs - bias
        acts = self._acting(variants, rows)
        m, n = acts.shape[:2]
        flat = start.reshape(m * n, -1)
        found = self.step([v.model for v in variants], *self.states(flat), acts.reshape(m * n, -1))
        return self.turned(found - self.seen(end.reshape(m * n, -1))).reshape(m, n, -1)

    def _acting(self, variants: Sequence[Physics], rows: Evidence) -> np.ndarray:
        """What acts in each variant, [m, n, action]."""
        action = np.clip(rows.commanded[[v.delay for v in variants]], self.low, self.high)
        return np.stack([acting(v, a, self.low, self.high) for v, a in zip(variants, action, strict=True)])

    def effects(self, rows: Evidence) -> dict[int, np.ndarray]:
        """Parameter of the whole robot -> what its last trial changes in the next states, [n, entries]."""
        whole = [i for i, p in enumerate(self.family.parameters) if p.pattern is None]
        tried = np.repeat(self.family.neutral[None], len(whole) + 1, axis=0)
        tried[np.arange(len(whole)), whole] = [self.family.parameters[i].search.trials[-1] for i in whole]
        *found, plain = self.differences(tried, rows)
        return {i: off - plain for i, off in zip(whole, found, strict=True)}

    def turned(self, off: np.ndarray) -> np.ndarray:
        """Differences of states [..., entries], of angles by less than half a turn; finite."""
        with np.errstate(invalid="ignore"):  # of an infinite angle, which is lost
            off[..., self._turns] = (off[..., self._turns] + np.pi) % (2 * np.pi) - np.pi
        return np.nan_to_num(off, nan=LOST, posinf=LOST, neginf=-LOST).clip(-FARTHEST, FARTHEST)

    def unit_noise(self, obs: np.ndarray) -> np.ndarray:
        """What noise of one spread of each column of `obs` [n, columns] is in the entries of a state, [entries]."""
        small = 1e-4 * np.random.default_rng(0).standard_normal(obs.shape) * self._spread
        return np.asarray(self.turned(self.seen(obs + small) - self.seen(obs)).std(axis=0) / 1e-4)

    def unbiased(self, variant: Physics, obs: np.ndarray) -> np.ndarray:
        """The states that `obs` [n, columns] show where the sensors are a variant's, [n, entries]."""
        return self.seen(obs - self.bias(variant))

    def ahead(self, variants: Sequence[Physics], states: np.ndarray, rows: Evidence) -> np.ndarray:
        """The states that m variants are in one step after `states` [m, n, entries], with the actions of `rows`."""
        acts = self._acting(variants, rows)
        m, n = states.shape[:2]
        full = np.zeros((m * n, self.family.model.nq + self.family.model.nv))
        full[:, self._seen] = states.reshape(m * n, -1)
        qpos, qvel = np.split(full, [self.family.model.nq], axis=1)
        return self.step([v.model for v in variants], qpos, qvel, acts.reshape(m * n, -1)).reshape(m, n, -1)

    def rollout(
        self, values: np.ndarray, rows: Evidence, starts: np.ndarray, length: int, rule: Rule | None = None
    ) -> np.ndarray:
        """The states that a variant `values` [parameters], with a `rule` of its motors, is in `length` steps after
        those of `starts` (numbers of rows that are followed by as many of their episode), [starts, entries]."""
        (variant,) = self.family.variants(values[None])
        qpos, qvel = self.states(rows.obs[starts] - self.bias(variant))
        found = np.zeros((len(starts), 0))
        for t in range(length):
            taken = rows.take(starts + t)
            if rule is not None:
                taken = self.moved(variant, taken, rule(self.inputs(variant, taken, (qpos, qvel))))
            (acts,) = self._acting([variant], taken)
            found = self.step([variant.model], qpos, qvel, acts)
            qpos, qvel = self._after
        return found

    def inputs(
        self, variant: Physics, rows: Evidence, state: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """Of a rule of a variant's motors, [INPUTS, n, motors], in a `state` (qpos and qvel), or as the steps show."""
        late = rows.commanded[variant.delay : variant.delay + 2].clip(*self.box)
        now, before = share(late, *self.box)
        return inputs(variant.model, now, before, *(state or self.states(rows.obs - self.bias(variant))))

    def moved(self, variant: Physics, rows: Evidence, added: np.ndarray) -> Evidence:
        """The steps with commands that are others by `added` [n, motors], as shares of half their range."""
        commanded = rows.commanded.copy()
        commanded[variant.delay] = commanded[variant.delay].clip(*self.box) + added * (self.high - self.low) / 2
        return replace(rows, commanded=commanded)

    def step(self, models: list[object], qpos: np.ndarray, qvel: np.ndarray, ctrl: np.ndarray) -> np.ndarray:
        """The states one control step later, [rows, entries]; an equal number of rows in turn on each model."""
        rows, each = len(qpos), len(qpos) // len(models)
        out, self._after = np.empty((rows, len(self._seen))), (qpos.copy(), qvel.copy())
        self.steps += rows
        for a in range(0, rows, ROWS):
            k = min(ROWS, rows - a)
            at = slice(a, a + k)
            of = np.arange(a, a + ROWS).clip(max=rows - 1) // each
            self._batch.set_models([models[i] for i in of.tolist()])
            ids = None if k == ROWS else np.arange(k)
            self._batch.reset(ids, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
            self._qpos[:k], self._qvel[:k], self._ctrl[:k] = qpos[at], qvel[at], ctrl[at]
            with quiet(), suppress(SimulationError):  # what diverged is far from everything
                self._batch.step(ids, nstep=self.robot.frame_skip)
            out[at] = self._entries(self._qpos[:k], self._qvel[:k])
            self._after[0][at], self._after[1][at] = self._qpos[:k], self._qvel[:k]
        self._batch.set_models(None)
        return out

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the entries of a state."""
        return tuple(e.name for e in self.entries)


def _seen(robot: Robot, columns: int, model: object) -> np.ndarray:
    """Which of qpos and qvel an observation shows, [nq + nv] bool.

    Raises:
        RequestError: it does not show the state.
    """
    if robot.invert is None:
        raise RequestError(
            f"'{robot.name}' observes no whole state (its row has no `invert`), so no simulation can be put where an "
            f"observation was made: give the row one, or use a method without a simulator"
        )
    obs = np.random.default_rng(0).uniform(0.1, 0.9, (8, columns))
    state = np.concatenate(robot.invert(obs, model.nq, model.nv), axis=1)  # pyright: ignore
    return np.ptp(state, axis=0) > 0


def showing(robot: Robot, columns: int, model: object) -> np.ndarray:
    """Which columns of an observation say something of the state, [columns] bool."""
    assert robot.invert is not None
    obs = np.random.default_rng(0).uniform(0.1, 0.9, columns)
    plain, *moved = np.concatenate(
        robot.invert(obs + 0.1 * np.eye(columns + 1, columns, -1), model.nq, model.nv), axis=1
    )  # pyright: ignore
    return np.array([(state != plain).any() for state in moved])


@contextmanager
def quiet() -> Iterator[None]:
    """Within it MuJoCo's warnings go nowhere: a fit tries robots that cannot stand."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)
