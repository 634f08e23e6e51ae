"""The robot in MuJoCo's own viewer, where there is a display."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from typing import Any

import numpy as np

from transreward.domains.across import body
from transreward.evaluation.returns import SEED
from transreward.reports.films.take import Film, Policy
from transreward.types import RequestError


def watch_live(domain: Any, policy: Policy, seed: int, film: Film) -> None:
    """The robot in MuJoCo's own viewer, at its own speed, until its window is closed or the episodes are over.

    Raises RequestError where there is no display, or MuJoCo does not draw the domain.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise RequestError("no live view: there is no display here; leave `live` out to write a video")
    robot = body(domain)
    if robot is None:
        raise RequestError(f"no live view: MuJoCo does not draw '{domain.name}'; leave `live` out to write a video")
    mujoco, viewer = import_module("mujoco"), import_module("mujoco.viewer")
    data, simulation = mujoco.MjData(robot.model), domain.simulate(1, SEED + seed)
    ended = 0
    with viewer.launch_passive(robot.model, data) as window:
        while window.is_running() and ended < film.episodes:
            began = time.perf_counter()
            data.qpos[:] = simulation.qpos[0]
            mujoco.mj_forward(robot.model, data)
            window.sync()
            step = simulation.step(policy(simulation.obs.astype(np.float32)))
            ended += int(step.terminated[0] or step.truncated[0])
            time.sleep(max(1 / domain.control_rate - (time.perf_counter() - began), 0.0))
