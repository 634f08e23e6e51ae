"""Four legs: walk forward without flipping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from transreward.domains import names
from transreward.domains.names import Entry
from transreward.domains.robot import (
    Plan,
    Robot,
    Rows,
    View,
    columns,
    contact,
    control,
    forward,
    gaussian,
    in_halves,
    of_state,
    show_state,
    sideways,
    survive,
)
from transreward.domains.shifts.body_plan import copied
from transreward.types import Array

LEGS = ("front_left_leg", "front_right_leg", "back_leg", "right_back_leg")  # 1 to 4
MORE = (-90, 90, 180, 0)  # where legs 5 to 8 point, degrees from its front


def healthy(s: Rows) -> Array:
    return (s.qpos[:, 2] >= 0.2) & (s.qpos[:, 2] <= 1.0)


def position(s: Rows) -> Array:
    return s.torso[:, 0]


def side(s: Rows) -> Array:
    return s.torso[:, 1]


def observe(s: Rows) -> Array:
    return columns(s.qpos[:, 2:], s.qvel, s.cfrc_ext[:, 1:].clip(-1, 1).reshape(len(s.qpos), -1))


def show(model: Any) -> list[Entry]:
    return [*show_state(skip=2)(model), *names.contacts(model, clip=1)]


def shown(obs: Array, nq: int, nv: int) -> dict[str, Array]:
    forces = obs[:, nq - 2 + nv :].reshape(len(obs), -1, 6)
    return {"cfrc_ext": np.concatenate([np.zeros_like(forces[:, :1]), forces], axis=1)}


def legs(spec: Any, n: int) -> None:
    """Remove the last legs, or add copies of the first between them, of which the first points as in QAvatar
    (arXiv:2603.12087)."""
    for leg in LEGS[n:]:
        spec.delete(spec.body(leg))
    for k, at in enumerate(MORE[: max(n - 4, 0)], 5):
        turn = math.radians(at - 45) / 2  # the first points to 45 degrees

        def renamed(name: str, k: int = k) -> str:
            return {LEGS[0]: f"leg_{k}"}.get(name, name.replace("_1", f"_{k}").replace("left_", f"{k}_"))

        copied(spec, spec.body(LEGS[0]), spec.body("torso"), renamed, (math.cos(turn), 0, 0, math.sin(turn)))


ROBOT = Robot(
    "ant",
    "four legs: walk forward without flipping",
    "Ant-v5",
    "ant.xml",
    frame_skip=5,
    observe=observe,
    show=show,
    invert=of_state(skip=2),
    shown=shown,
    terms={
        "forward": forward(1),
        "survive": survive(1),
        "control": control(0.5),
        "contact": contact(5e-4, force=1),
    },
    draw=gaussian(0.1),
    healthy=healthy,
    position=position,
    side=side,
    more={"sideways": sideways(1)},
    fields=("cfrc_ext",),
    bodies=("torso",),
    total=in_halves,
    plans={"legs": Plan(2, 8, legs)},
    view=View(4.2, 0.4, -25),
)
