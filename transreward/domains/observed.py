"""What a step pays, read from its observations: for a robot that knows no rewards.

A task is composed of terms over a robot's state, and observations show most of it, but for one thing: many robots are
paid for how far they came, and do not see where they are. Between two observations the robot as a whole moved at the
mean of its centre of mass's velocity before and after, give or take what it touched; and how the paid point moved
against that centre is shown. What the robot's own simulator says to that is measured before anybody relies on it.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np

from transreward.bridges.bridge import Crossing
from transreward.domains.across import Across
from transreward.domains.bridged import Bridged
from transreward.domains.domain import Domain, table_robot
from transreward.domains.history import History
from transreward.domains.robot import Robot, Rows, went_wrong
from transreward.types import RequestError

ROWS, STEPS = 4, 100  # that are simulated to know how exact it is
MOST = 0.15  # rms error, as a share of the rewards' standard deviation, beyond which it is refused
NEAR = 1e-4  # s, before and after a moment, where a point is looked at for its velocity
EXACT = 1e-3  # of that share: what is told in single precision is no more exact


class Observed:
    """Computes the rewards of a robot of the table, or of one in a file, in its own columns, or in those of a view or a
    bridge.

    `error` is the rms difference per step from its own simulator's rewards, whose standard deviation is `spread`,
    measured there in 400 steps of random actions.

    Raises:
        RequestError: its rewards cannot be read from its observations, or not well enough.
    """

    def __init__(self, domain: Domain) -> None:
        self._ways: list[Crossing | int] = []  # out of the domain's columns into the robot's own
        plain = domain
        while isinstance(plain, (Across, Bridged, History)):
            self._ways.append(plain.plain.spaces.obs if isinstance(plain, History) else plain.crossing)
            plain = plain.plain
        told = table_robot(plain)
        if told is None:
            raise _refused(domain, "its task is not one of named terms")
        self._robot: Robot = told.robot
        self._model, self._data = told.model, mujoco.MjData(told.model)
        self._box = plain.spaces.low.astype(float), plain.spaces.high.astype(float)
        try:
            self.error, self.spread = self._measured(domain)
        except (Exception, SystemExit) as error:  # a row or a task may be a user's
            raise _refused(domain, went_wrong("its task, read from observations,", error)) from error
        if not self.error <= MOST * self.spread + EXACT:
            raise _refused(
                domain,
                f"they do not show all that it is paid for (computed rewards are {self.error:.2g} off where its own "
                f"vary by {self.spread:.2g})",
            )

    def __call__(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray) -> float:
        """The reward of a step from `obs` to `next_obs`, each [obs], by the `action` [action] that was taken."""
        before, after, taken = (np.asarray(x, float)[None] for x in (obs, next_obs, action))
        for way in self._ways:
            if isinstance(way, int):
                before, after = before[:, :way], after[:, :way]
            else:
                before, after, taken = way.back.obs(before), way.back.obs(after), way.back.action(taken)
        return self._paid(before, taken.clip(*self._box), after)

    @property
    def said(self) -> str:
        """How exact it is, in a few words."""
        if self.error <= EXACT * max(self.spread, 1.0):
            return "as exact as observations are"
        return f"within {self.error:.2g} a step (rms) in its simulator, where they vary by {self.spread:.2g}"

    def _paid(self, before: np.ndarray, taken: np.ndarray, after: np.ndarray) -> float:
        robot, m = self._robot, self._model
        s = Rows(timestep=m.opt.timestep, dt=m.opt.timestep * robot.frame_skip, body_mass=m.body_mass[None], model=m)
        if robot.invert is not None:
            ended = self._state(after, taken)
            vars(s).update(vars(ended))
            s.velocity, *aside = self._speeds(self._state(before, taken), ended, s.dt)[:, None]
            vars(s).update({"sideways": aside[0]} if aside else {})
            s.healthy = np.asarray(robot.healthy(s))
        shown = {} if robot.shown is None else robot.shown(after, m.nq, m.nv)
        vars(s).update({"obs": before, "action": taken, "next_obs": after, **shown})
        return float(robot.total([term(s) for term in robot.terms.values()])[0])

    def _state(self, seen: np.ndarray, taken: np.ndarray) -> Rows:
        """The state that an observation [1, obs] shows, with the centre of mass and its velocity, each [3]."""
        m, d, robot = self._model, self._data, self._robot
        assert robot.invert is not None
        qpos, qvel = robot.invert(seen, m.nq, m.nv)
        d.qpos[:], d.qvel[:], d.ctrl[:] = qpos[0], qvel[0], taken[0]
        mujoco.mj_forward(m, d)
        mujoco.mj_subtreeVel(m, d)
        s = Rows(qpos=d.qpos[None].copy(), qvel=d.qvel[None].copy(), body_mass=m.body_mass[None])
        s.centre, s.going = d.subtree_com[0].copy(), d.subtree_linvel[0].copy()
        if m.opt.integrator != mujoco.mjtIntegrator.mjINT_RK4:  # derived fields are one MuJoCo step behind
            mujoco.mj_integratePos(m, d.qpos, d.qvel, -m.opt.timestep)
            mujoco.mj_forward(m, d)
        self._derived(s)
        return s

    def _derived(self, s: Rows) -> None:
        d = self._data
        vars(s).update({field: np.array(getattr(d, field))[None] for field in self._robot.fields})
        vars(s).update({body: d.body(body).xpos[None].copy() for body in self._robot.bodies})

    def _speeds(self, begun: Rows, ended: Rows, dt: float) -> np.ndarray:
        """The mean velocity of the paid point over a step of `dt` s, [1 or 2], m/s."""
        come = (self._place(ended) - self._place(begun)) / dt
        if self._robot.placed:
            return come
        if max(np.abs(s.qvel).max() for s in (begun, ended)) >= self._robot.clip:  # the centre's is not known
            return (self._speed(begun) + self._speed(ended)) / 2
        went = (begun.going + ended.going) / 2 - (ended.centre - begun.centre) / dt
        return come + went[: len(come)]

    def _place(self, s: Rows) -> np.ndarray:
        """The point whose velocity is paid, [1 or 2], m, with the robot where an observation leaves it."""
        robot = self._robot
        return np.array([robot.position(s)[0], *([] if robot.side is None else [robot.side(s)[0]])])

    def _speed(self, s: Rows) -> np.ndarray:
        """The velocity of that point in a state, [1 or 2], m/s."""
        m, d, found = self._model, self._data, []
        for t in (-NEAR, NEAR):
            d.qpos[:] = s.qpos[0]
            mujoco.mj_integratePos(m, d.qpos, s.qvel[0], t)
            mujoco.mj_forward(m, d)
            near = Rows(**{**vars(s), "qpos": d.qpos[None].copy()})
            self._derived(near)
            found.append(self._place(near))
        return (found[1] - found[0]) / (2 * NEAR)

    def _measured(self, domain: Domain) -> tuple[float, float]:
        """`error` and `spread`: half of the rows hold each action for four steps, half of them take small ones."""
        simulation, rng = domain.simulate(ROWS, 0, 1), np.random.default_rng(0)
        low, high = domain.spaces.low, domain.spaces.high
        held, apart, own = np.zeros((ROWS, len(low))), [], []
        for i in range(STEPS):
            new = rng.uniform(low, high, held.shape) * np.array([1.0, 0.3] * (ROWS // 2))[:, None]
            held = np.where((np.arange(ROWS) % ROWS < ROWS // 2)[:, None] | (i % 4 == 0), new, held)
            t = simulation.step(held)
            seen = (np.asarray(x, np.float32) for x in (t.obs, held, t.next_obs))
            apart += [self(*step) - paid for *step, paid in zip(*seen, t.reward, strict=True)]
            own += t.reward.tolist()
        return float(np.sqrt(np.mean(np.square(apart)))), float(np.std(own))


def _refused(domain: Domain, why: str) -> RequestError:
    return RequestError(f"the rewards of '{domain.name}' cannot be computed from its observations: {why}; tell them")
