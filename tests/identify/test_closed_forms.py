"""What is found in steps that no simulator made: solutions of equations whose constants are known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm, logm

import transreward as tr
from transreward.domains.robot import Robot, of_state
from transreward.domains.robots import ROBOTS

SPRING = """<mujoco><option timestep="0.002" integrator="RK4"/><worldbody><body name="block">
<joint name="rail" type="slide" axis="1 0 0" stiffness="8" damping="0.5"/>
<geom type="box" size=".1 .1 .1" mass="1"/></body></worldbody>
<actuator><motor name="push" joint="rail" gear="5" ctrllimited="true" ctrlrange="-1 1"/></actuator></mujoco>"""
ROD = """<mujoco><option timestep="0.002" integrator="RK4"/><worldbody><body name="rod">
<joint name="pivot" type="hinge" axis="0 1 0" damping="0.01"/>
<geom type="box" size=".02 .02 .25" pos="0 0 -.25" density="1000"/></body></worldbody>
<actuator><motor name="turn" joint="pivot" gear="0.2" ctrllimited="true" ctrlrange="-1 1"/></actuator></mujoco>"""
DT = 0.02  # s, of a control step
LENGTH, WIDTH, GRAVITY = 0.5, 0.04, 9.81  # of the rod, m, and m/s^2


@pytest.fixture
def robot(tmp_path, monkeypatch):
    """Makes a robot of one joint of an MJCF text."""

    def make(xml):
        file = tmp_path / "robot.xml"
        file.write_text(xml)
        row = Robot(
            "one_joint", "", "", str(file), frame_skip=10, observe=lambda s: np.concatenate([s.qpos, s.qvel], axis=1),
            terms={"rest": lambda s: np.zeros(len(s.qpos))}, draw=lambda rng, qpos, qvel: (qpos, qvel),
            healthy=lambda s: np.ones(len(s.qpos), bool), episode_steps=100, invert=of_state(skip=0),
        )  # fmt: skip
        monkeypatch.setitem(ROBOTS, "one_joint", row)

    return make


def identified(path, next_state, action, first):
    """What differs between the robot and one that goes from a state to the next by `next_state(state, action)`."""
    states = [np.array(first, float)]
    for u in action:
        states.append(next_state(states[-1], u))
    obs = np.array(states)
    np.savez(path, obs=obs[:-1], action=action[:, None], next_obs=obs[1:], terminated=np.zeros(len(action), bool))
    found = tr.identify("one_joint", logs=path)
    return obs, found, {one.parameter.kind.name: one.value for one in found.named}


def held(n, seed=0):
    """Random actions, each for five control steps."""
    return np.repeat(np.random.default_rng(seed).uniform(-1, 1, n // 5), 5)


def test_a_mass_on_a_spring(robot, tmp_path):
    """x'' = -k x - c x' + g u, whose solution over a step is a matrix's exponential. What is found has these constants,
    whether it calls the damper that of the joint or of a fluid: one joint alone does not tell."""
    robot(SPRING)
    law = np.array([[0, 1, 0], [-20, -1.5, 5], [0, 0, 0]])  # where the simulator has 8 and 0.5
    step = expm(DT * law)[:2]
    _, found, named = identified(tmp_path / "log.npz", lambda x, u: step @ [*x, u], held(200), (0.3, 0))
    assert named["stiffness"] == pytest.approx(2.5, rel=0.01) and len(named) == 2 and found.explained > 0.999
    simulation = tr.domain(found.id).simulate(3)
    simulation.put(np.eye(3, 2))
    moved = simulation.step(np.eye(3, 1, -2)).next_obs.T
    np.testing.assert_allclose(logm(np.vstack([moved, (0, 0, 1)])) / DT, law, rtol=0.01, atol=0.02)


def acceleration(length, width, t, x, u):
    """Of a rod of wood, hung at its end, with a torque of 0.2 u N m: its inertia about that end, and its weight."""
    mass = 1000 * length * width**2
    inertia = mass * (length**2 / 3 + width**2 / 12)
    return x[1], (0.2 * u - 0.01 * x[1] - mass * GRAVITY * length / 2 * np.sin(x[0])) / inertia


def test_a_period_says_the_length(robot, tmp_path):
    """Of a rod that swings: T = 2 pi sqrt(2 L / 3 g). The one whose steps are read is 1.3 times as large; it is driven
    first, since what weighs less and what is weaker swing alike, and left alone then."""
    robot(ROD)
    scaled = 1.3 * LENGTH, 1.3 * WIDTH

    def next_state(x, u):
        return solve_ivp(partial(acceleration, *scaled), (0, DT), x, args=(u,), rtol=1e-9, atol=1e-9).y[:, -1]

    driven, free = held(200), np.zeros(300)
    obs, _, named = identified(tmp_path / "log.npz", next_state, np.concatenate([driven, free]), (0.1, 0))
    assert named == pytest.approx({"size": 1.3}, rel=0.01)
    angle = obs[201:, 0]
    down = np.flatnonzero((angle[:-1] > 0) & (angle[1:] <= 0))
    crossing = down + angle[down] / (angle[down] - angle[down + 1])
    period = np.diff(crossing).mean() * DT
    assert 3 * GRAVITY / 2 * (period / (2 * np.pi)) ** 2 == pytest.approx(named["size"] * LENGTH, rel=0.02)
