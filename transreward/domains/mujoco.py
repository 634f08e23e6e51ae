"""Robots of the table, simulated by `mujoco.batch.Batch`: n of them, stepped on a native thread pool."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError

from transreward.domains import robots
from transreward.domains.actuators import controls, remembers
from transreward.domains.domain import (
    TableRobot,
    Unstable,
    in_range,
    require_action,
    require_box,
    require_finite,
    row_seeds,
    without,
)
from transreward.domains.fleet import Fleet
from transreward.domains.generators import pack, unpack
from transreward.domains.layers import model_traits
from transreward.domains.names import Entry, numbered
from transreward.domains.paid import total_of
from transreward.domains.robot import Robot, Rows, Term, physics_state, went_wrong
from transreward.domains.shifts import Shift, build, of_plan
from transreward.domains.shifts.acts import Motors
from transreward.domains.shifts.sensors import Sensors, spread
from transreward.domains.tasks import Task, ingredients, is_own, pay, with_tasks
from transreward.domains.users import in_one_line, numbers, read_only, truths
from transreward.types import BrokenRun, RequestError, Spaces, Transition

# With these warnings MuJoCo has reset the robot or zeroed its controls, so the step is no valid transition.
_BAD = [int(getattr(mujoco.mjtWarning, f"mjWARN_BAD{what}")) for what in ("QPOS", "QVEL", "QACC", "CTRL")]


class MujocoDomain:
    """A robot of the table with its tasks and shifts. Read-only: `robot` (with the tasks' rewards), `tasks`, `shifts`,
    their `physics` and, of these, the compiled `model`.

    `columns` is the width of an observation, needed if the row has no `show`. Nothing is simulated here: a user's
    functions are first called in a simulation, which `trial.tried` runs for every domain that an id names.

    Raises RequestError for a task or shift that the robot cannot have, and for an unbounded action.
    """

    def __init__(
        self, robot: Robot, shifts: Sequence[Shift] = (), tasks: Sequence[Task] = (), columns: int | None = None
    ):
        self.tasks, self.shifts = tuple(tasks), tuple(shifts)
        # Whether robot and tasks are the package's own, which its tests check; a user's are checked as they run.
        self._own = robots.is_own(robot) and all(map(is_own, tasks))
        self.robot = robot = with_tasks(robot, tasks)
        self.name = ":".join(filter(None, ["+".join(map(str, (robot.name, *tasks))), ",".join(map(str, shifts))]))
        self.physics = build(robot, shifts)
        self.model = self.physics.model
        self.variants, self.redrawn = (self.physics,), False  # which rows may have, and whether a reset draws another
        self.reward_terms = tuple(robot.terms)
        self.stored_terms = tuple(ingredients(robots.row(robot.name)))
        self.episode_steps = int(robot.episode_steps)
        self.success = robot.judged
        low, high = self.model.actuator_ctrlrange.astype(np.float32).T  # float32, as Gymnasium's boxes
        require_box(self.name, [e.name for e in self.action_entries], low, high, "give its actuator a ctrlrange")
        columns = len(robot.show(self.model)) if columns is None and robot.show else columns or 0
        self.spaces = Spaces(columns, self.model.nu, low, high)

    @property
    def traits(self) -> dict[str, str]:
        """See `Traced`: hashes of the model's physics."""
        return model_traits(self.model)

    @property
    def changing(self) -> list[str]:
        """See `Traced`: empty, as there are no wrappers."""
        return []

    @property
    def invertible(self) -> bool:
        """True if the observation shows the whole state, so that `MujocoSimulation.put` works."""
        return self.shown_with(0)

    def shown_with(self, sent: int) -> bool:
        """See `TableRobot`."""
        shown = self.robot.invert is not None and not remembers(self.model)
        return shown and all(p.shown_with(sent) for p in self.variants)

    @property
    def control_rate(self) -> float:
        """Control steps per second (Hz)."""
        return round(1 / (self.model.opt.timestep * self.robot.frame_skip), 9)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Name, unit and range of each column of an observation; see `names.entries`."""
        show = self.robot.show
        return tuple(show(self.model)) if show else numbered("obs", self.spaces.obs)

    @property
    def action_entries(self) -> tuple[Entry, ...]:
        """Name, unit and range of each column of an action; see `names.action_entries`."""
        return controls(self.model)

    def pay(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """This domain's reward [n] for steps that the same robot took in any task and physics.

        `obs` and `next_obs` [n, obs]; `action` [n, nu] as commanded; `stored` [n, stored_terms], the value of
        `MujocoSimulation.stored` after each step. Raises BrokenSimulation if a reward is not finite in float32.
        """
        action = np.clip(action, self.spaces.low, self.spaces.high)
        paid = pay(robots.row(self.robot.name), self.tasks, obs, action, next_obs, stored)
        require_finite(self.name, "stored steps", "a reward", "what it pays", paid)
        return paid

    def paid_as(self, other: TableRobot) -> MujocoDomain:
        """See `TableRobot`."""
        return MujocoDomain(robots.row(self.robot.name), self.shifts, other.tasks, self.spaces.obs)

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    def __reduce__(self):
        return _remake, (self.robot.name, self.shifts, self.tasks, self.spaces.obs), {"name": self.name}

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> MujocoSimulation:
        """n robots, freshly reset; see `Domain`."""
        return MujocoSimulation(self, row_seeds(n, seed), threads)


def _remake(robot: str, shifts: tuple[Shift, ...], tasks: tuple[Task, ...], columns: int) -> MujocoDomain:
    return MujocoDomain(robots.row(robot), shifts, tasks, columns)


def spread_of(domain: MujocoDomain) -> np.ndarray:
    """Of each entry of an observation, [obs], by a robot of the same parts and tasks without other shifts; see
    `sensors.spread`."""
    row, plan = robots.row(domain.robot.name), of_plan(domain.shifts)
    return spread(row, (*domain.tasks, *plan), lambda: MujocoDomain(row, plan, domain.tasks, domain.spaces.obs))


class MujocoSimulation:
    """n robots of one `MujocoDomain`; see `Simulation`.

    The robot's functions get read-only views in `_rows`; what they return is copied and checked.
    """

    def __init__(
        self, domain: MujocoDomain, seeds: Sequence[tuple[int, int]], threads: int = 0, of: np.ndarray | None = None
    ):
        """`of` [rows]: which of the domain's variants each row has, None = the first."""
        model, n = domain.model, len(seeds)
        self.domain, self.robot, self._own = domain, domain.robot, domain._own
        contacts = "cfrc_ext" in self.robot.fields
        self._batch = Batch(model, n, threads, persistent=contacts)
        self._fleet = fleet = Fleet(self._batch, domain.variants, np.zeros(n, int) if of is None else of)
        self.variant, bind = fleet.of, self._batch.bind  # [n]: which of the domain's variants each row has now
        self._qpos, self._qvel = bind("qpos"), bind("qvel")
        self._rows = Rows(timestep=model.opt.timestep, dt=model.opt.timestep * self.robot.frame_skip)
        self._rows.body_mass = read_only(fleet.body_mass)
        if not fleet.several:
            self._rows.model = model
        self._rows.row_variant, self._total = read_only(fleet.of), total_of(self.robot, fleet.of)
        self._rows.qpos, self._rows.qvel = read_only(self._qpos), read_only(self._qvel)
        try:
            for field in self.robot.fields:
                setattr(self._rows, field, read_only(bind(field)))
            for body in self.robot.bodies:
                if body in Rows.STEP or hasattr(self._rows, body):
                    raise ValueError(f"s.{body} is something else than the body '{body}': rename it in the model")
                setattr(self._rows, body, read_only(bind("xpos")[:, model.body(body).id]))
        except (AttributeError, KeyError, ValueError) as error:
            raise RequestError(f"'{domain.name}': its fields or bodies: {in_one_line(error)}") from error
        if contacts:
            self._cfrc_ext = np.zeros((n, model.nbody, 6))
            self._rows.cfrc_ext = read_only(self._cfrc_ext)
        self._ctrl = bind("ctrl")
        self._warnings = self._batch.warning[:, min(_BAD) : max(_BAD) + 1, 1]
        low, high = model.actuator_ctrlrange.astype(np.float32).astype(float).T
        self._motors = Motors(fleet.variants, fleet.now, fleet.of, low, high, self._qpos, self._qvel, seeds)
        blurred = any(not variant.sees for variant in fleet.variants)
        self._sensors = Sensors(fleet.variants, fleet.now, spread_of(domain), seeds) if blurred else None
        self._generators = [np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))) for seed in seeds]
        self.clock = np.zeros(n, np.int64)  # control steps since each row's reset
        self.steps = 0  # control steps since the start
        self._before = np.zeros((n, 1 if self.robot.side is None else 2))  # `_place` at the previous step
        self.terms = {name: np.zeros(n) for name in self.robot.terms}
        self.sparing, self.diverged = False, {}  # see `SparingSimulation`
        self.storing = False  # whether each step fills `stored`
        self.stored = np.zeros((n, len(domain.stored_terms)))  # of the latest step; see `MujocoDomain.pay`
        self._ingredients = ingredients(robots.row(self.robot.name))
        self.obs = np.zeros((n, 0))  # as wide as the first observation
        self._reset(np.arange(n))

    @property
    def qpos(self) -> np.ndarray:
        """Copy of the positions, [n, nq]."""
        return self._qpos.copy()

    @property
    def qvel(self) -> np.ndarray:
        """Copy of the velocities, [n, nv]."""
        return self._qvel.copy()

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all rows; see `Simulation`.

        Raises BrokenSimulation if an action is not finite, or a robot diverged and the simulation is not `sparing`; for
        errors of a user's function see `_told`.
        """
        s, robot, n = self._rows, self.robot, len(self.clock)
        told, self.diverged = (self.domain.name, self.steps), {}
        spared = self.diverged if self.sparing else None
        shut = (lambda x: x) if self._own else read_only
        action = np.asarray(action, float)
        require_action(self.domain.name, self.steps, action, self._ctrl.shape)
        s.action = shut(self._motors.acting(action, self.steps))
        self._ctrl[:] = s.action
        self._advance()
        place = self._place(s)
        s.velocity, *sideways = map(shut, ((place - self._before) / s.dt).T)
        if sideways:
            s.sideways = sideways[0]
        healthy = self._told("healthy(s)", robot.healthy, (n,), s, read=truths)
        s.healthy = shut(healthy)
        self._before = place
        obs, next_obs = self.obs, self._observed(s, n)
        s.obs, s.next_obs = shut(obs if self._sensors is None else self._sensors.true), shut(next_obs)
        if not (self._own and in_range(next_obs)):
            require_finite(*told, "an observation", "obs", next_obs, spared)
        self.terms = {name: self._paid(name, term) for name, term in robot.terms.items()}
        reward = self._told("total(terms)", self._total, (n,), list(map(shut, self.terms.values())))
        if self.storing:
            own = {robot.terms[name]: paid for name, paid in self.terms.items()}  # already computed
            columns = [own[t] if t in own else self._paid(name, t) for name, t in self._ingredients.items()]
            self.stored = np.stack(columns, axis=1)
        if not (self._own and in_range(reward)):
            for name, paid in self.terms.items():
                require_finite(*told, "a reward", f"the term '{name}'", paid, spared)
            require_finite(*told, "a reward", "total(terms)", reward, spared)
        if self._sensors is not None:
            next_obs = self._sensors.seen(next_obs, self.steps)
        self.steps += 1
        self.clock += 1
        t = Transition(obs, action, reward, next_obs, ~healthy, self.clock >= robot.episode_steps)
        if self.diverged:
            t = self._without_diverged(t)
        ended = np.logical_or(t.terminated, t.truncated)
        self.obs = t.next_obs
        if ended.any():
            self.obs = t.next_obs.copy()
            self._reset(np.flatnonzero(ended))
        return t

    def _without_diverged(self, t: Transition) -> Transition:
        """See `without`; the reward terms are set to 0 as well."""
        rows = list(self.diverged)
        for told in (*self.terms.values(), self.stored, self._batch.warning):
            told[rows] = 0
        return without(t, rows)

    def set_physics(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Put every row into a physics state, [n, nq] and [n, nv]. Clocks start at zero, and delayed actions and other
        memory are cleared; random streams go on."""
        self._batch.reset(stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        self._qpos[:], self._qvel[:] = qpos, qvel
        self._rows.without_step()
        self.obs = self.obs.copy()  # the latest transition keeps its own
        self._settle(np.arange(len(self.clock)))

    def recall(self, sent: np.ndarray) -> None:
        """See `TableSimulation`."""
        self._motors.recall(sent)

    def put(self, obs: np.ndarray) -> np.ndarray:
        """Put every row into the state that `obs` [n, obs] shows, by `set_physics`. Only for `invertible` domains.

        Returns [n] bool, True where the state is exact: a velocity at the observation's clip may have been larger.
        """
        state = self._told("invert(obs, nq, nv)", self._inverted, None, obs)
        qpos, qvel = np.split(state, [self.domain.model.nq], axis=1)
        self.set_physics(qpos, qvel)
        return np.asarray((np.abs(qvel) < self.robot.clip).all(axis=1))

    def ended(self, obs: np.ndarray) -> np.ndarray:
        """[n] bool: whether the task is terminated in the states that `obs` [n, obs] show. The rows stay there."""
        self.put(obs)
        return ~self._told("healthy(s)", self.robot.healthy, self.clock.shape, self._rows, read=truths)

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything that later steps depend on, as arrays; without the `terms` of the latest step."""
        state = {
            "physics": self._batch.state.copy(),
            "obs": self.obs.copy(),
            "before": self._before.copy(),
            "clock": self.clock.copy(),
            "steps": np.array(self.steps),
            "generators": pack(self._generators),
            **self._motors.get_state(),
        }
        state |= {"variants": self._fleet.of.copy()} if self._fleet.several else {}
        return state if self._sensors is None else state | self._sensors.get_state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`, of a simulation of the same domain and number of rows."""
        if self._fleet.several:
            self._fleet.assign(np.arange(len(self.clock)), state["variants"])
        self._batch.state[:] = state["physics"]
        self.obs, self._before, self.clock = (np.array(state[key]) for key in ("obs", "before", "clock"))
        self.steps = int(state["steps"])
        unpack(self._generators, state["generators"])
        self._motors.set_state(state)
        if self._sensors is not None:
            self._sensors.set_state(state)

    def _advance(self) -> None:
        try:
            self._batch.step(nstep=self.robot.frame_skip)
        except SimulationError as error:
            self._lose({int(row): self._batch.error(int(row)) for row in error.ids})
        if self._warnings.any():
            rows = np.flatnonzero(self._warnings.any(axis=1)).tolist()
            self._lose(dict.fromkeys(rows, "MuJoCo found the state unstable and reset it"))
        if "cfrc_ext" in self.robot.fields:
            self._fleet.contact_forces(self._cfrc_ext)

    def _lose(self, why: dict[int, str]) -> None:
        """Mark unstable rows as diverged; raise the first as `Unstable` if the simulation is not `sparing`."""
        errors = {row: Unstable(self.domain.name, self.steps, row, text) for row, text in why.items()}
        if not self.sparing:
            raise next(iter(errors.values()))
        self.diverged |= errors
        rows, fleet = list(errors), self._fleet
        self._batch.state[rows] = fleet.fresh[fleet.of[rows]]  # valid; `without` discards what is observed of it

    def _place(self, s: Rows) -> np.ndarray:
        """The positions whose velocities are measured, [n, 1 or 2], m."""
        place = [self._told("position(s)", self.robot.position, (len(s.qpos),), s)]
        if self.robot.side is not None:
            place.append(self._told("side(s)", self.robot.side, (len(s.qpos),), s))
        return np.stack(place, axis=1)

    def _observed(self, s: Rows, n: int) -> np.ndarray:
        if self._own:
            return np.array(self.robot.observe(s), float)

        def observe(s: Rows) -> np.ndarray:
            seen = self.robot.observe(s)
            width = self.obs.shape[1] or (np.shape(seen)[1] if np.ndim(seen) == 2 else 1)
            return numbers("observe(s)", seen, (n, width))

        return self._told("observe(s)", observe, None, s)

    def _paid(self, name: str, term: Term, s: Rows | None = None) -> np.ndarray:
        """A reward term [n], of the current rows or of `s`."""
        s = self._rows if s is None else s
        return self._told(f"the term '{name}'", term, (len(s.qpos),), s)

    def _told(
        self, what: str, function: Callable[..., Any], shape: tuple[int, ...] | None, *given: Any, read: Any = numbers
    ) -> np.ndarray:
        """Call a function of the robot and check what it returns by `read`; with shape None it is already checked.

        The function gets a `Rows` of its own, so that `s.qpos = ...` in it affects no other. Errors are RequestErrors
        before the first valid step and BrokenRuns afterwards.
        """
        if self._own:
            return function(*given) if shape is None else np.array(function(*given), bool if read is truths else float)
        try:
            found = function(*(Rows(**vars(x)) if isinstance(x, Rows) else x for x in given))
            return found if shape is None else read(what, found, shape)
        except BrokenRun:
            raise
        except (Exception, SystemExit) as error:
            why = went_wrong(what, error)
            if self.steps:
                raise BrokenRun(f"{self.domain.name}, control step {self.steps}: {why}") from error
            raise RequestError(f"'{self.domain.name}': {why}") from error

    def require_rowwise(self) -> None:
        """Call the robot's functions again on the latest rows, on a permutation of them and on half of them.

        Raises:
            RequestError: a function is not deterministic, or its result for a row depends on other rows.
        """
        s, n, robot = self._rows, len(self.clock), self.robot
        order = np.random.default_rng(0).permutation(n)
        asked: dict[str, Callable[[Rows], np.ndarray]] = {
            "observe(s)": lambda s: self._observed(s, len(s.qpos)),
            "healthy(s)": lambda s: self._told("healthy(s)", robot.healthy, (len(s.qpos),), s),
            "position(s) or side(s)": self._place,
        }
        for name, term in {**robot.terms, **robot.more}.items():
            asked[f"the term '{name}'"] = partial(self._paid, name, term)
        for what, ask in asked.items():
            whole = ask(s)
            if not np.array_equal(whole, ask(s), equal_nan=True):
                raise RequestError(f"'{self.domain.name}': {what} answers the same question in two ways")
            for rows in (order, order[: n // 2]):
                if not np.allclose(ask(s.take(rows)), whole[rows], equal_nan=True):
                    raise RequestError(f"'{self.domain.name}': {what} of a row depends on the rows beside it")

    def _reset(self, rows: np.ndarray) -> None:
        """Start new episodes in `rows`."""
        fleet = self._fleet
        if self.domain.redrawn:
            fleet.assign(rows, [self._generators[i].integers(len(fleet.variants)) for i in rows])
        self._batch.state[rows] = fleet.fresh[fleet.of[rows]]  # as Batch.reset, without waking its threads
        for i in rows:
            state = self._told("draw(generator, qpos, qvel)", self._drawn, None, i)
            self._qpos[i], self._qvel[i] = np.split(state, [self.domain.model.nq])
        at = f"reset after control step {self.steps - 1}" if self.steps else "reset"
        for entry, drawn in (("qpos", self._qpos), ("qvel", self._qvel)):  # MuJoCo would silently reset such a row
            require_finite(self.domain.name, at, "a drawn state", entry, drawn)
        self._settle(rows)
        require_finite(self.domain.name, at, "an observation", "obs", self.obs)

    def _drawn(self, row: int) -> np.ndarray:
        """The state in which a new episode of a row begins, [nq + nv]: qpos and qvel."""
        model = self._fleet.model(row)
        found = self.robot.draw(self._generators[row], self.robot.posed(model), np.zeros(model.nv))
        return physics_state("draw(generator, qpos, qvel)", found, (model.nq,), (model.nv,))

    def _inverted(self, obs: np.ndarray) -> np.ndarray:
        """The states that `invert` reads from observations, [n, nq + nv]: qpos and qvel."""
        assert self.robot.invert is not None
        model, n = self.domain.model, len(obs)
        obs = np.array(obs, float) if self._sensors is None else obs - self._sensors.bias
        found = self.robot.invert(obs, model.nq, model.nv)
        return physics_state("invert(obs, nq, nv)", found, (n, model.nq), (n, model.nv))

    def _settle(self, rows: np.ndarray) -> None:
        """Recompute derived fields and observations of rows that were just placed, and reset their clocks."""
        self._batch.forward(rows)
        if "cfrc_ext" in self.robot.fields:
            self._cfrc_ext[rows] = 0  # not computed by a reset in Gymnasium either
        s = self._rows.take(rows).without_step()
        observed = self._observed(s, len(rows))
        if not self.obs.shape[1]:
            self.obs = np.zeros((len(self.clock), observed.shape[1]))
        self._before[rows], self.clock[rows] = self._place(s), 0
        self.obs[rows] = observed if self._sensors is None else self._sensors.start(rows, observed)
        self._motors.start(rows)
