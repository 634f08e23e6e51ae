"""Four legs: walk forward without flipping."""

from __future__ import annotations

from typing import Any

from transreward.domains import names
from transreward.domains.names import Entry
from transreward.domains.robot import (
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
from transreward.types import Array


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


ROBOT = Robot(
    "ant",
    "four legs: walk forward without flipping",
    "Ant-v5",
    "ant.xml",
    frame_skip=5,
    observe=observe,
    show=show,
    invert=of_state(skip=2),
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
    view=View(4.2, 0.4, -25),
)
