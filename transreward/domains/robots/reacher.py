"""A two-joint arm: bring the fingertip to the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.domain import Success
from transreward.domains.names import Entry
from transreward.domains.robot import Plan, Robot, Rows, View, columns, control, distance, nearer
from transreward.domains.shifts.body_plan import copied
from transreward.types import Array

TIP = "fingertip"  # a body and its geom


def observe(s: Rows) -> Array:
    angles, goal = s.qpos[:, :-2], s.qpos[:, -2:]
    return columns(np.cos(angles), np.sin(angles), goal, s.qvel[:, :-2], (s.fingertip - s.target)[:, :2])


def show(model: Any) -> list[Entry]:
    positions = names.positions(model)
    angles, goal = positions[:-2], positions[-2:]
    turned = [*names.function("cos", angles), *names.function("sin", angles)]
    return [*turned, *goal, *names.velocities(model)[:-2], *names.place("fingertip - target", "xy")]


def invert(obs: Array, nq: int, nv: int) -> tuple[Array, Array]:
    n = nq - 2  # joints
    angles = np.arctan2(obs[:, n : 2 * n], obs[:, :n])
    goal, turning = np.split(obs[:, 2 * n : nq + 2 * n], [2], axis=1)
    return columns(angles, goal), columns(turning, np.zeros((len(obs), 2)))


def shown(obs: Array, nq: int, nv: int) -> dict[str, Array]:
    apart = np.pad(obs[:, -2:], ((0, 0), (0, 1)))  # they are at one height
    return {"fingertip": apart, "target": np.zeros_like(apart)}


def draw(rng, qpos, qvel):
    qpos = rng.uniform(-0.1, 0.1, qpos.size) + qpos
    while True:
        goal = rng.uniform(-0.2, 0.2, 2)
        if np.linalg.norm(goal) < 0.2:
            break
    qvel = qvel + rng.uniform(-0.005, 0.005, qvel.size)
    qpos[-2:], qvel[-2:] = goal, 0
    return qpos, qvel


def links(spec: Any, n: int) -> None:
    """Cut the outer link into n - 1, each with a joint and a motor: the same reach."""
    part = 0.1 / (n - 1)
    spec.geom("link1").fromto = [0, 0, 0, part, 0, 0]
    spec.body("fingertip").pos = [part + 0.01, 0, 0]
    for k in range(2, n):
        before, tip = spec.body(f"body{k - 1}"), spec.body("fingertip")
        link = copied(spec, before, before, lambda name, k=k: name.replace(str(k - 1), str(k)) + "'" * (name == TIP))
        link.pos = [part, 0, 0]
        spec.delete(tip)
        spec.body(f"{TIP}'").name, spec.geom(f"{TIP}'").name = TIP, TIP


ROBOT = Robot(
    "reacher",
    "a two-joint arm: bring the fingertip to the target",
    "Reacher-v5",
    "reacher.xml",
    frame_skip=2,
    observe=observe,
    show=show,
    invert=invert,
    shown=shown,
    terms={"distance": distance("fingertip", "target", 1), "control": control(1)},
    draw=draw,
    bodies=("fingertip", "target"),
    success=(Success("reached", "", "distance", nearer(0.02)),),
    episode_steps=50,
    plans={"links": Plan(2, 6, links)},
    view=View(0.85, 0.0, -75, follow=None),
)
