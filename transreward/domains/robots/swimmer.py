"""Three links in a viscous fluid: swim forward."""

from __future__ import annotations

from transreward.domains.robot import Robot, View, control, forward, of_state, show_state, state, uniform

ROBOT = Robot(
    "swimmer",
    "three links in a viscous fluid: swim forward",
    "Swimmer-v5",
    "swimmer.xml",
    frame_skip=4,
    observe=state(skip=2),
    show=show_state(skip=2),
    invert=of_state(skip=2),
    terms={"forward": forward(1), "control": control(1e-4)},
    draw=uniform(0.1),
    view=View(5.0, 0.0, -50),
)
