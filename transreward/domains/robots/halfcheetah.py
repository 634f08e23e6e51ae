"""Half a cheetah in a plane: run forward."""

from __future__ import annotations

from transreward.domains.robot import Robot, View, control, forward, gaussian, of_state, show_state, state

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
    view=View(2.9, 0.45),
)
