"""Pictures of robots of the table, drawn by MuJoCo from the domain's own compiled model, shifts included.

Without a display MuJoCo draws by EGL or, failing that, OSMesa: which of them works is tried in a process of its own,
since a broken driver may end the process that asks it.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import os
import subprocess
import sys
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from transreward.reports.films.stage import Stage
from transreward.reports.films.take import Film
from transreward.types import RequestError

BACKENDS = ("egl", "osmesa", "glfw")  # in the order in which they are tried
PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
with mujoco.Renderer(model, 16, 16) as renderer:
    renderer.update_scene(mujoco.MjData(model))
    renderer.render()
"""
SKY = (38, 43, 52)  # where a model has none


@cache
def backend() -> str:
    """How MuJoCo draws on this machine, and from now on in this process: $MUJOCO_GL, or the first that works.

    Raises RequestError, `no video: ...`, where nothing does.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    for name in (wanted,) if wanted else BACKENDS:
        if _works(name):
            os.environ["MUJOCO_GL"] = name  # for environments that draw themselves
            return name
    what = f"MUJOCO_GL={wanted} does not work" if wanted else "neither EGL nor OSMesa nor a display works"
    raise RequestError(f"no video: {what} here (Debian, Ubuntu: apt-get install libegl1 libegl-mesa0)")


def _works(name: str) -> bool:
    environment = {**os.environ, "MUJOCO_GL": name}
    try:
        tried = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, capture_output=True, timeout=60, close_fds=False
        )  # close_fds: where it is False nothing forks, which JAX's threads would not bear
    except subprocess.TimeoutExpired:
        return False
    return tried.returncode == 0


class Painter:
    """Draws states of a domain's robot: its model with soft shadows, by the camera of its row in the table."""

    def __init__(self, domain: Any, film: Film) -> None:
        import mujoco

        self.mujoco, self.view = mujoco, domain.robot.view
        self.model = model = copy.deepcopy(domain.model)  # only its looks are changed here
        model.vis.global_.offwidth, model.vis.global_.offheight = film.width, film.height
        model.vis.quality.shadowsize = 1024  # a quarter of the default in each direction: a third of the time
        model.vis.map.shadowclip = 0.4  # near the robot alone: farther out the map's edge would show on the floor
        suns = model.light_type == mujoco.mjtLightType.mjLIGHT_DIRECTIONAL.value
        model.light_pos[suns, 2] = np.maximum(model.light_pos[suns, 2], 4.0)  # what is above one throws odd shadows
        self.stage = Stage(mujoco, model)
        if self.stage.bare or len(self.stage.plain):
            model.vis.map.shadowclip = 1.0  # an arm's shadow falls farther from it than it is high
        model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 0.35, 0.45
        _calm_floor(model)
        plane = (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE.value) & (model.geom_size[:, :2] > 0).all(axis=1)
        self.floor = np.flatnonzero(plane & (model.geom_matid >= 0))  # one without an end stays where it is
        self.squares = 2 * model.geom_size[self.floor, :2] / model.mat_texrepeat[model.geom_matid[self.floor]]
        self.data, self.scene = mujoco.MjData(model), mujoco.MjvScene(model, 2000)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self.option, self.camera = mujoco.MjvOption(), mujoco.MjvCamera()
        mujoco.mjv_defaultFreeCamera(model, self.camera)
        if self.view is not None:
            for angle in ("distance", "elevation", "azimuth"):
                setattr(self.camera, angle, getattr(self.view, angle))
        self.gl = import_module(f"mujoco.{backend()}").GLContext(film.width, film.height)
        self.gl.make_current()
        self.context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)
        self.sky = mujoco.mjtTexture.mjTEXTURE_SKYBOX in model.tex_type
        self.place = mujoco.MjrRect(0, 0, film.width, film.height)

    def paint(self, qpos: np.ndarray) -> np.ndarray:
        """The picture of a state [nq], uint8 [height, width, 3]."""
        mujoco, model, data = self.mujoco, self.model, self.data
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        if self.view is not None:
            middle = data.body(self.view.follow).xpos[:2] if self.view.follow else np.zeros(2)
            self.camera.lookat[:] = (*middle, self.view.height)
            if self.view.follow:  # the lights go along, or the robot would walk out of them
                data.light_xpos[:, :2] = model.light_pos[:, :2] + middle
                # and so does the floor, by whole squares: it is drawn 80 m long, and simulated without an end
                data.geom_xpos[self.floor, :2] += self.squares * np.round(middle / self.squares)
        self.gl.make_current()
        mujoco.mjv_updateScene(
            model, data, self.option, None, self.camera, mujoco.mjtCatBit.mjCAT_ALL.value, self.scene
        )
        if self.stage.bare and self.stage.height is None:
            self.stage.stand([qpos])
        self.stage.add(self.scene, self.camera)
        for geom in self.scene.geoms[: self.scene.ngeom]:
            if geom.type == mujoco.mjtGeom.mjGEOM_PLANE.value:
                geom.category = mujoco.mjtCatBit.mjCAT_DECOR.value  # it bears shadows and throws none: not on itself
        mujoco.mjr_render(self.place, self.scene, self.context)
        picture = np.empty((self.place.height, self.place.width, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, self.place, self.context)
        if not self.sky:
            picture[(picture == 0).all(axis=-1)] = SKY
        return picture[::-1]

    def close(self) -> None:
        """Free the memory of the graphics driver."""
        self.gl.make_current()
        self.context.free()
        self.gl.free()


def _calm_floor(model: Any) -> None:
    """Black and white squares become two greys, so that a thin robot is seen before them."""
    for material in {int(m) for m, kind in zip(model.geom_matid, model.geom_type, strict=True) if kind == 0 and m >= 0}:
        for texture in {int(t) for t in np.ravel(model.mat_texid[material]) if t >= 0}:
            start = int(model.tex_adr[texture])
            size = int(model.tex_height[texture] * model.tex_width[texture] * model.tex_nchannel[texture])
            pixels = model.tex_data[start : start + size]
            pixels[:] = 120 + 0.2 * pixels
