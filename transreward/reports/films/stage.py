"""A floor and a light for the drawing of a model that lacks either, as the file of a robot alone often does: what it is
given to stand on is one grey, and lamps light a spot of it.

They are put into the scene behind what MuJoCo draws of the model: nothing that is simulated has them.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

SKY = (0.55, 0.61, 0.68, 1.0)  # a wall behind the floor: to nothing there the last of the floor would have a dark edge
SQUARES = 24  # of the floor, along each side; half of them are drawn, on a ground that goes on
GROUND, SQUARE = (0.55, 0.58, 0.63, 1.0), (0.47, 0.50, 0.55, 1.0)
FAR, BELOW = 40.0, 0.002  # of the ground, in sizes of the model: how far it goes, and how far below the squares
WIDE = 3.0  # m: of a plane of its own that is a floor, and no table, half the width
BRIGHT, FILL = 0.65, 0.3  # the light, alone and where the model has lamps or a floor of its own, of any brightness
DIRECTION = (-0.35, 0.45, -0.85)  # in which the light shines: from above, and from the side of most cameras


class Stage:
    """See the top. `bare`: whether a model has no plane, and `plain` those in its place of which a floor is laid, since
    they have neither a material nor an end; `dim`: whether no sun shines on it."""

    def __init__(self, mujoco: Any, model: Any) -> None:
        self.mujoco, self.model, self.data = mujoco, model, mujoco.MjData(model)
        planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE.value
        self.bare, self.plain = not planes.any(), _plain(model, np.flatnonzero(planes))
        self.dim = not (model.light_type == mujoco.mjtLightType.mjLIGHT_DIRECTIONAL.value).any()
        self.height: float | None = None  # of the floor; None where the model has one to be seen, or it is not laid yet
        if len(self.plain):
            self.height = float(model.geom_pos[self.plain, 2].max())
            model.geom_rgba[self.plain, 3] = 0.0

    def stand(self, states: Iterable[np.ndarray]) -> None:
        """Lay the floor below all that is seen in these states [nq]: a robot whose model has none may reach through
        any other, and would be hidden by it."""
        if self.bare:
            self.height = min((self._lowest(qpos) for qpos in states), default=None)

    def _lowest(self, qpos: np.ndarray) -> float:
        """The lowest point of the boxes about all geoms."""
        model, data = self.model, self.data
        data.qpos[:] = qpos
        self.mujoco.mj_kinematics(model, data)
        up = data.geom_xmat[:, 6:9]  # each geom's axes, upwards
        middle, half = model.geom_aabb[:, :3], model.geom_aabb[:, 3:]
        low = data.geom_xpos[:, 2] + (up * middle).sum(axis=1) - (np.abs(up) * half).sum(axis=1)
        return float(low[model.geom_rgba[:, 3] > 0].min(initial=0.0))

    def add(self, scene: Any, camera: Any) -> None:
        """Into a scene that was just updated for a camera, about the point at which it looks."""
        if self.height is not None:
            self._floor(scene, camera, self.height)
        if self.dim:
            self._light(scene, np.array(camera.lookat))

    def _floor(self, scene: Any, camera: Any, height: float) -> None:
        """Squares on a ground, and a wall behind."""
        middle, around = np.array(camera.lookat), np.deg2rad(camera.azimuth)
        side = 0.5 * self.model.stat.extent
        first = np.round(middle[:2] / side).astype(int) - SQUARES // 2  # squares stay where they are
        for cell in np.argwhere(np.indices((SQUARES, SQUARES)).sum(axis=0) % 2 == first.sum() % 2):
            self._plane(scene, SQUARE, side / 2, (*(side * (first + cell)), height))
        down = height - BELOW * self.model.stat.extent
        self._plane(scene, GROUND, FAR * self.model.stat.extent, (*middle[:2], down))
        away = np.array([np.cos(around), np.sin(around), 0.0])
        facing = np.stack([np.cross((0.0, 0.0, 1.0), -away), (0.0, 0.0, 1.0), -away], axis=1)
        wall = middle + 0.95 * FAR * self.model.stat.extent * away
        self._plane(scene, SKY, 4 * FAR * self.model.stat.extent, wall, facing)

    def _light(self, scene: Any, middle: np.ndarray) -> None:
        """A sun; weaker and without shadows where the model has lamps."""
        light, direction = scene.lights[scene.nlight], np.array(DIRECTION) / np.linalg.norm(DIRECTION)
        light.pos[:], light.dir[:] = middle - 3 * self.model.stat.extent * direction, direction
        light.type = self.mujoco.mjtLightType.mjLIGHT_DIRECTIONAL.value
        lamps = self.model.nlight > 0
        bright = BRIGHT if self.height is not None and not lamps else FILL
        light.ambient[:], light.diffuse[:], light.specular[:] = 0.0, bright, 0.3
        light.attenuation[:] = (1, 0, 0)
        light.headlight, light.castshadow, light.texid = 0, int(not lamps), -1
        scene.nlight += 1

    def _plane(self, scene: Any, colour: tuple[float, ...], half: float, at: Any, axes: Any = None) -> None:
        geom, kind = scene.geoms[scene.ngeom], self.mujoco.mjtGeom.mjGEOM_PLANE
        size, turned = np.array([half, half, half]), np.ravel(np.eye(3) if axes is None else axes)
        self.mujoco.mjv_initGeom(geom, kind, size, np.array(at), turned, np.array(colour, np.float32))
        geom.specular, geom.category = 0.0, self.mujoco.mjtCatBit.mjCAT_DECOR.value
        scene.ngeom += 1


def _plain(model: Any, planes: np.ndarray) -> np.ndarray:
    """Those of the planes that are a floor of one colour: level, in the world, without a material and without an end
    that would be seen."""
    size = model.geom_size[planes, :2]
    wide = ((size == 0) | (size >= WIDE)).all(axis=1)
    level = np.abs(model.geom_quat[planes, 1:3]).max(axis=1, initial=0.0) < 1e-3
    grey = np.ptp(model.geom_rgba[planes, :3], axis=1) < 0.05
    return planes[wide & level & grey & (model.geom_matid[planes] < 0) & (model.geom_bodyid[planes] == 0)]
