"""Three links in a viscous fluid: swim forward."""

from __future__ import annotations

from typing import Any

from transreward.domains.robot import Plan, Robot, View, control, forward, of_state, show_state, state, uniform
from transreward.domains.shifts.body_plan import copied


def links(spec: Any, n: int) -> None:
    """Remove the last link, or put as long ones behind it, each with a joint and a motor."""
    if n == 2:
        spec.delete(spec.body("back"))
    last = spec.body("back")
    for k in range(3, n):
        last = copied(spec, last, last, {last.name: f"back{k - 1}", f"motor{k - 1}_rot": f"motor{k}_rot"}.__getitem__)


SLOW = 0.1  # m/s, twice as fast as it drifts whatever its motors do


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
    pace=SLOW,
    plans={"links": Plan(2, 12, links)},
    view=View(5.0, 0.0, -50),
)
