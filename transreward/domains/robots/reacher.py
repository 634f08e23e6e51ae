"""A two-joint arm: bring the fingertip to the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.names import Entry
from transreward.domains.robot import Robot, Rows, View, columns, control, distance
from transreward.types import Array


def observe(s: Rows) -> Array:
    angles = s.qpos[:, :2]
    return columns(np.cos(angles), np.sin(angles), s.qpos[:, 2:], s.qvel[:, :2], (s.fingertip - s.target)[:, :2])


def show(model: Any) -> list[Entry]:
    positions = names.positions(model)
    angles, goal = positions[:2], positions[2:]
    turned = [*names.function("cos", angles), *names.function("sin", angles)]
    return [*turned, *goal, *names.velocities(model)[:2], *names.place("fingertip - target", "xy")]


def invert(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
    angles = np.arctan2(obs[:, 2:4], obs[:, :2])
    return columns(angles, obs[:, 4:6]), columns(obs[:, 6:8], np.zeros((len(obs), 2)))


def draw(rng, qpos, qvel):
    qpos = rng.uniform(-0.1, 0.1, qpos.size) + qpos
    while True:
        goal = rng.uniform(-0.2, 0.2, 2)
        if np.linalg.norm(goal) < 0.2:
            break
    qvel = qvel + rng.uniform(-0.005, 0.005, qvel.size)
    qpos[-2:], qvel[-2:] = goal, 0
    return qpos, qvel


ROBOT = Robot(
    "reacher",
    "a two-joint arm: bring the fingertip to the target",
    "Reacher-v5",
    "reacher.xml",
    frame_skip=2,
    observe=observe,
    show=show,
    invert=invert,
    terms={"distance": distance("fingertip", "target", 1), "control": control(1)},
    draw=draw,
    bodies=("fingertip", "target"),
    episode_steps=50,
    view=View(0.85, 0.0, -75, follow=None),
)
