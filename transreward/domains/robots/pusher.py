"""A seven-joint arm: push the cylinder to the goal."""

from __future__ import annotations

from math import hypot
from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.domain import Success
from transreward.domains.names import Entry
from transreward.domains.robot import PUSHED, Robot, Rows, View, columns, control, distance, nearer
from transreward.types import Array

NEAR = 0.05  # m along the table, from the object's middle to the goal's
ABOVE = 0.048  # m, by which the object's middle is above the goal's


def observe(s: Rows) -> Array:
    return columns(s.qpos[:, :7], s.qvel[:, :7], s.tips_arm, s.object, s.goal)


def show(model: Any) -> list[Entry]:
    places = [entry for body in ("tips_arm", "object", "goal") for entry in names.place(body)]
    return [*names.positions(model)[:7], *names.velocities(model)[:7], *places]


def shown(obs: Array, nq: int, nv: int) -> dict[str, Array]:
    return {"tips_arm": obs[:, 14:17], "object": obs[:, 17:20], "goal": obs[:, 20:23]}


def draw(rng, qpos, qvel):
    while True:
        cylinder = np.concatenate([rng.uniform(-0.3, 0, 1), rng.uniform(-0.2, 0.2, 1)])
        if np.linalg.norm(cylinder) > 0.17:
            break
    qpos, qvel = qpos.copy(), qvel + rng.uniform(-0.005, 0.005, qvel.size)
    qpos[-4:-2], qpos[-2:], qvel[-4:] = cylinder, 0, 0
    return qpos, qvel


ROBOT = Robot(
    "pusher",
    "a seven-joint arm: push the cylinder to the goal",
    "Pusher-v5",
    "pusher_v5.xml",
    frame_skip=5,
    observe=observe,
    show=show,
    shown=shown,
    terms={
        "distance": distance("object", "goal", 1),
        "control": control(0.1),
        "near": distance("object", "tips_arm", 0.5),
    },
    draw=draw,
    success=(Success(PUSHED, "", "distance", nearer(hypot(NEAR, ABOVE))),),
    bodies=("tips_arm", "object", "goal"),
    episode_steps=100,
    view=View(2.7, -0.1, -35, 160, follow=None),
)
