"""Half a cheetah in a plane: run forward."""

from __future__ import annotations

from typing import Any

from transreward.domains.robot import (
    UPRIGHT,
    Plan,
    Robot,
    View,
    control,
    forward,
    gaussian,
    of_state,
    show_state,
    state,
)
from transreward.domains.shifts.body_plan import copied


def legs(spec: Any, n: int) -> None:
    """A second hind leg (as in QAvatar, arXiv:2603.12087), then a second fore leg, beside the first, which is as heavy
    for its size."""
    for thigh in ("bthigh", "fthigh")[: n - 2]:
        leg = copied(spec, spec.body(thigh), spec.body("torso"), "{}2".format)
        leg.pos[1] += 0.12


ROBOT = Robot(
    "halfcheetah",
    "half a cheetah in a plane: run forward",
    "HalfCheetah-v5",
    "half_cheetah.xml",
    frame_skip=5,
    observe=state(skip=1),
    show=show_state(skip=1),
    invert=of_state(skip=1),
    terms={"forward": forward(1), "control": control(0.1)},
    draw=gaussian(0.1),
    posture=(UPRIGHT,),
    plans={"legs": Plan(2, 4, legs)},
    view=View(2.9, 0.45),
)
