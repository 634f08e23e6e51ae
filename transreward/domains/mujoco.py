"""The robots of the table on `mujoco.batch.Batch`: n of them, stepped on a native thread pool."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError

from transreward.domains.actuators import controls
from transreward.domains.domain import BrokenSimulation, row_seeds
from transreward.domains.names import Entry, numbered
from transreward.domains.robots import ROBOTS, Robot, Rows
from transreward.domains.shifts import Shift, build
from transreward.domains.tasks import Task, ingredients, pay, require_rowwise, with_tasks
from transreward.types import Spaces, Transition

NOISE_STEPS = 64  # control steps of action noise drawn at a time
_WORD = 2**64 - 1
# After these MuJoCo has reset the robot (or zeroed its controls) by itself: no transition may cross that.
_BAD = [int(getattr(mujoco.mjtWarning, f"mjWARN_BAD{what}")) for what in ("QPOS", "QVEL", "QACC", "CTRL")]


class MujocoDomain:
    """A robot of the table with its tasks and shifts; `robot` (paid as the tasks say), `tasks`, `shifts` and the
    compiled `model` are there to be read.

    Raises RequestError for a task or shift that the robot cannot have.
    """

    def __init__(self, robot: Robot, shifts: Sequence[Shift] = (), tasks: Sequence[Task] = ()):
        self.tasks, self.shifts = tuple(tasks), tuple(shifts)
        self.robot = robot = with_tasks(robot, tasks)
        self.name = ":".join(filter(None, ["+".join(map(str, (robot.name, *tasks))), ",".join(map(str, shifts))]))
        self.model, self.noise, self.delay = build(robot, shifts)
        self.reward_terms = tuple(robot.terms)
        self.stored_terms = tuple(ingredients(ROBOTS[robot.name]))
        self.episode_steps = robot.episode_steps
        low, high = self.model.actuator_ctrlrange.astype(np.float32).T  # float32, as Gymnasium's boxes
        obs = MujocoSimulation(self, row_seeds(1, 0), threads=1).obs.shape[1]
        self.spaces = Spaces(obs, self.model.nu, low, high)
        for task in self.tasks:
            if ":" in task.name:
                self._try(task.name)

    @property
    def invertible(self) -> bool:
        """Whether `MujocoSimulation.put` works: the observation shows the whole state, but for actions on their way."""
        return self.robot.invert is not None and not self.delay

    @property
    def control_rate(self) -> float:
        """Control steps a second, Hz."""
        return round(1 / (self.model.opt.timestep * self.robot.frame_skip), 9)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What each column of an observation is; see `names.entries`."""
        show = self.robot.show
        return tuple(show(self.model)) if show else numbered("obs", self.spaces.obs)

    @property
    def action_entries(self) -> tuple[Entry, ...]:
        """What each column of an action is; see `names.action_entries`."""
        return controls(self.model)

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """What this domain's task pays for steps [n] that the same robot took with whatever task and physics, [n].

        `action` [n, nu] as commanded; `stored` [n, stored_terms] is what `MujocoSimulation.stored` was then.
        """
        action = np.clip(action, self.spaces.low, self.spaces.high)
        return pay(ROBOTS[self.robot.name], self.tasks, obs, action, next_obs, stored)

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    def __reduce__(self):
        return _remake, (self.robot.name, self.shifts, self.tasks), {"name": self.name}

    def _try(self, reward: str) -> None:
        """A user's reward on steps of random actions, before anything is trained on it."""
        before = takewhile(lambda task: ":" not in task.name, self.tasks)  # a goal changes what is observed
        walk = MujocoDomain(ROBOTS[self.robot.name], self.shifts, tuple(before)).simulate(16, 0, 1)
        rng, (low, high) = np.random.default_rng(0), (self.spaces.low, self.spaces.high)
        steps = [walk.step(rng.uniform(low, high, (16, self.model.nu))) for _ in range(8)]
        require_rowwise(
            reward, *(np.concatenate([getattr(t, x) for t in steps]) for x in ("obs", "action", "next_obs"))
        )

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> MujocoSimulation:
        """n robots, freshly reset; see `Domain`."""
        return MujocoSimulation(self, row_seeds(n, seed), threads)


def _remake(robot: str, shifts: tuple[Shift, ...], tasks: tuple[Task, ...]) -> MujocoDomain:
    return MujocoDomain(ROBOTS[robot], shifts, tasks)


class MujocoSimulation:
    """n robots of one `MujocoDomain`; see `Simulation`."""

    def __init__(self, domain: MujocoDomain, seeds: Sequence[tuple[int, int]], threads: int = 0):
        model, n = domain.model, len(seeds)
        self.domain, self.robot = domain, domain.robot
        contacts = "cfrc_ext" in self.robot.fields
        self._batch = Batch(model, n, threads, persistent=contacts)
        bind = self._batch.bind
        self._rows = Rows(model=model, dt=model.opt.timestep * self.robot.frame_skip)
        for field in ("qpos", "qvel", *self.robot.fields):
            setattr(self._rows, field, bind(field))
        for body in self.robot.bodies:
            setattr(self._rows, body, bind("xpos")[:, model.body(body).id])
        if contacts:
            self._rows.cfrc_ext = np.zeros((n, model.nbody, 6))
            self._ncon, self._scratch = bind("ncon"), mujoco.MjData(model)
        self._ctrl, self._fresh = bind("ctrl"), self._batch.state[0].copy()
        self._warnings = self._batch.warning[:, min(_BAD) : max(_BAD) + 1, 1]
        self._low, self._high = model.actuator_ctrlrange.astype(np.float32).astype(float).T

        self._generators = [np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))) for seed in seeds]
        self.clock = np.zeros(n, np.int64)  # control steps since each row's reset
        self.steps = 0  # control steps since the start
        self._plane = self.robot.side is not None
        self._before = np.zeros((n, 1 + self._plane))  # the place from which the next velocity is measured
        self._queue = np.zeros((n, domain.delay, model.nu))  # actions on their way, the oldest first
        if self._noisy:
            streams = [np.random.SeedSequence([*seed, 1]) for seed in seeds]  # so that resets stay as without noise
            self._noise_generators = [np.random.Generator(np.random.PCG64(stream)) for stream in streams]
            self._noise = np.zeros((n, NOISE_STEPS, model.nu))
        self.terms = {name: np.zeros(n) for name in self.robot.terms}
        self.storing = False  # whether each step fills `stored`
        self.stored = np.zeros((n, len(domain.stored_terms)))  # of the latest step; see `MujocoDomain.pay`
        self._ingredients = ingredients(ROBOTS[self.robot.name])
        self.obs = np.zeros_like(self.robot.observe(self._rows))
        self._reset(np.arange(n))

    @property
    def _noisy(self) -> bool:
        return bool(self.domain.noise.any())

    @property
    def qpos(self) -> np.ndarray:
        """Copy of the positions, [n, nq]."""
        return self._rows.qpos.copy()

    @property
    def qvel(self) -> np.ndarray:
        """Copy of the velocities, [n, nv]."""
        return self._rows.qvel.copy()

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`.

        Raises:
            BrokenSimulation: an action, observation or reward is not finite, or MuJoCo gave up on a row.
        """
        s, robot = self._rows, self.robot
        s.action = self._act(np.asarray(action, float))
        self._ctrl[:] = s.action
        self._advance()
        place = self._place(s)
        s.velocity, *sideways = ((place - self._before) / s.dt).T
        if sideways:
            s.sideways = sideways[0]
        s.healthy = robot.healthy(s)
        self._before = place
        obs, next_obs = s.obs, s.next_obs = self.obs, robot.observe(s)
        self.terms = {name: term(s) for name, term in robot.terms.items()}
        reward = robot.total(list(self.terms.values()))
        if self.storing:
            own = {robot.terms[name]: paid for name, paid in self.terms.items()}  # so that nothing is computed twice
            columns = [own[term] if term in own else term(s) for term in self._ingredients.values()]
            self.stored = np.stack(columns, axis=1)
        self._check(np.isfinite(next_obs).all(axis=1) & np.isfinite(reward), "an observation or reward is not finite")
        self.steps += 1
        self.clock += 1
        terminated, truncated = ~s.healthy, self.clock >= robot.episode_steps
        ended = terminated | truncated
        self.obs = next_obs
        if ended.any():
            self.obs = next_obs.copy()
            self._reset(np.flatnonzero(ended))
        return Transition(obs, action, reward, next_obs, terminated, truncated)

    def set_physics(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Put every row into a physics state, [n, nq] and [n, nv], at rest otherwise: clocks at zero, no action on
        its way, nothing remembered from before. Random streams go on."""
        self._batch.reset(stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        self._rows.qpos[:], self._rows.qvel[:] = qpos, qvel
        self.obs = self.obs.copy()  # the latest transition keeps its own
        self._settle(np.arange(len(self.clock)))

    def put(self, obs: np.ndarray) -> np.ndarray:
        """Put every row into the state that `obs` [n, obs] shows, as `set_physics`; for `invertible` domains.

        Returns which rows show it, [n] bool: a velocity at the observation's clip may have been any above it.
        """
        assert self.robot.invert is not None
        model = self.domain.model
        qpos, qvel = self.robot.invert(np.asarray(obs, float), model.nq, model.nv)
        self.set_physics(qpos, qvel)
        return (np.abs(qvel) < self.robot.clip).all(axis=1)

    def ended(self, obs: np.ndarray) -> np.ndarray:
        """Whether the task is over in the states that `obs` [n, obs] show, [n] bool. The rows are left there."""
        self.put(obs)
        return ~self.robot.healthy(self._rows)

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the continuation depends on, as arrays; `terms` of the latest step are not among it."""
        state = {
            "physics": self._batch.state.copy(),
            "obs": self.obs.copy(),
            "before": self._before.copy(),
            "clock": self.clock.copy(),
            "steps": np.array(self.steps),
            "generators": _pack(self._generators),
            "queue": self._queue.copy(),
        }
        if self._noisy:
            state |= {"noise": self._noise.copy(), "noise_generators": _pack(self._noise_generators)}
        return state

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`, of a simulation of the same domain and number of rows."""
        self._batch.state[:] = state["physics"]
        self.obs, self._before, self.clock = (np.array(state[key]) for key in ("obs", "before", "clock"))
        self._queue, self.steps = np.array(state["queue"]), int(state["steps"])
        _unpack(self._generators, state["generators"])
        if self._noisy:
            self._noise = np.array(state["noise"])
            _unpack(self._noise_generators, state["noise_generators"])

    def _act(self, action: np.ndarray) -> np.ndarray:
        """What acts, of what is commanded: clipped, late, noisy and clipped again."""
        if action.shape != self._ctrl.shape:
            raise ValueError(f"{self.domain.name} takes actions {self._ctrl.shape}, not {action.shape}")
        self._check(np.isfinite(action).all(axis=1), "an action is not finite")
        action = np.clip(action, self._low, self._high)
        if self.domain.delay:
            self._queue = np.concatenate([self._queue, action[:, None]], axis=1)
            action, self._queue = self._queue[:, 0], self._queue[:, 1:]
        if self._noisy:
            at = self.steps % NOISE_STEPS
            if at == 0:
                for row, rng in zip(self._noise, self._noise_generators, strict=True):
                    rng.standard_normal(out=row)
            action = np.clip(action + self.domain.noise * self._noise[:, at], self._low, self._high)
        return action

    def _advance(self) -> None:
        try:
            self._batch.step(nstep=self.robot.frame_skip)
        except SimulationError as error:
            row = int(error.ids[0])
            raise BrokenSimulation(self.domain.name, self.steps, row, self._batch.error(row)) from error
        if self._warnings.any():
            self._check(~self._warnings.any(axis=1), "MuJoCo found the state unstable and reset it")
        if "cfrc_ext" in self.robot.fields:
            self._contact_forces()

    def _contact_forces(self) -> None:
        """External forces after the step, by `mj_rnePostConstraint` as Gymnasium calls it: the batch itself would run
        that for sensors alone, and before the last substep. Without a contact they are zero."""
        forces, data = self._rows.cfrc_ext, self._scratch
        forces[:] = 0
        for i in np.flatnonzero(self._ncon):
            self._batch.get_data(int(i), data)
            mujoco.mj_rnePostConstraint(self.domain.model, data)
            forces[i] = data.cfrc_ext

    def _place(self, s: Rows) -> np.ndarray:
        """Where the velocities are measured, [n, 1 or 2]."""
        place = [self.robot.position(s)]
        if self._plane:
            assert self.robot.side is not None
            place.append(self.robot.side(s))
        return np.stack(place, axis=1)

    def _check(self, good: Any, why: str) -> None:
        if not good.all():
            raise BrokenSimulation(self.domain.name, self.steps, int(np.argmin(good)), why)

    def _reset(self, rows: np.ndarray) -> None:
        """Start new episodes in `rows`."""
        s, model = self._rows, self.domain.model
        self._batch.state[rows] = self._fresh  # as Batch.reset, without waking its threads
        start, rest = model.qpos0, np.zeros(model.nv)
        for i in rows:
            s.qpos[i], s.qvel[i] = self.robot.draw(self._generators[i], start, rest)
        self._settle(rows)

    def _settle(self, rows: np.ndarray) -> None:
        """Make derived fields, observations and clocks those of a robot that was just put where it is."""
        self._batch.forward(rows)
        if "cfrc_ext" in self.robot.fields:
            self._rows.cfrc_ext[rows] = 0  # not computed by a reset in Gymnasium either
        s = self._rows.take(rows)
        self.obs[rows], self._before[rows] = self.robot.observe(s), self._place(s)
        self.clock[rows], self._queue[rows] = 0, np.clip(0, self._low, self._high)


def _pack(generators: Sequence[np.random.Generator]) -> np.ndarray:
    """PCG64 states as uint64 [n, 6]: state and increment in two words each, and the buffered half word."""
    words = np.empty((len(generators), 6), np.uint64)
    for row, rng in zip(words, generators, strict=True):
        state = rng.bit_generator.state
        value, inc = state["state"]["state"], state["state"]["inc"]
        row[:] = [value >> 64, value & _WORD, inc >> 64, inc & _WORD, state["has_uint32"], state["uinteger"]]
    return words


def _unpack(generators: Sequence[np.random.Generator], words: np.ndarray) -> None:
    for rng, row in zip(generators, words.tolist(), strict=True):
        state = {"state": row[0] << 64 | row[1], "inc": row[2] << 64 | row[3]}
        rng.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": state,
            "has_uint32": row[4],
            "uinteger": row[5],
        }
