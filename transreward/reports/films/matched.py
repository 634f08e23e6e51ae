"""A picture of a bridge: both robots as they begin, what does the same in the same colour."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import colorsys
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transreward.bridges.linear import blocks
from transreward.domains.across import Across
from transreward.domains.bridged import Bridged
from transreward.domains.domain import Domain, TableRobot, altered, table_robot
from transreward.domains.history import without_history
from transreward.domains.names import action_entries
from transreward.interruption import whole
from transreward.reports.anatomy.outline import joint_name
from transreward.reports.films.painter import Painter
from transreward.reports.films.panel import BACKGROUND, INK, LINE, TITLE
from transreward.reports.films.take import Film
from transreward.runs import store
from transreward.tree import above
from transreward.types import Pair, RequestError

SIZE = Film(480, 360)
GREY = (0.62, 0.64, 0.68)  # of what stands for nothing, and of trunks
TURN = 0.381966  # of the circle of hues between two colours, so that any number of them are apart

NEAR, SPREAD = 0.03, 0.5  # m, within which two legs hide each other, and rad, by which they are then apart

Colour = tuple[float, float, float]


def picture(bridge: Across | Bridged, path: str | Path) -> Path:
    """Write a PNG of both robots of a bridge: the source on the left, and what does the same in the same colour.

    Raises RequestError for a robot without a model, where nothing draws here, and where nothing can be written.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix != ".png":
        raise RequestError(f"{path} must name a file that ends in .png")
    store.require_writable(path)
    with whole(path) as partial:
        Image.fromarray(drawn(bridge)).save(partial, "PNG")
    return path


def drawn(bridge: Across | Bridged, size: Film = SIZE) -> np.ndarray:
    """The same as uint8 [height, width, 3], with a line for each pair below the robots."""
    from PIL import Image, ImageDraw, ImageFont

    robots, (colours, pairs) = Pair(_robot(bridge.plain), _robot(bridge.other)), matched(bridge)
    font: Any = ImageFont.load_default(13)
    top, below = TITLE, TITLE + size.height
    canvas = Image.new("RGB", (2 * size.width, below + LINE * len(pairs) + TITLE // 2), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for i, (robot, of) in enumerate(zip(robots, colours, strict=True)):
        draw.text((i * size.width + 8, TITLE // 2), f"{Pair._fields[i]}: {robot.name}", INK, font, "lm")
        canvas.paste(Image.fromarray(painted(robot, of, size)), (i * size.width, top))
    for row, (ours, theirs, colour) in enumerate(pairs):
        at = below + LINE * row + LINE
        for i, text in enumerate((ours, theirs)):
            draw.text((i * size.width + 8, at), text, tuple(round(90 + 165 * x) for x in colour), font, "lm")
    return np.asarray(canvas)


def matched(bridge: Across | Bridged) -> tuple[Pair[dict[str, Colour]], list[tuple[str, str, Colour]]]:
    """The colour of each part of both robots that stands for another one, and in words which those of a colour are."""
    groups, left = paired(bridge)
    found: Pair[dict[str, Colour]] = Pair({}, {})
    for k, group in enumerate(groups):
        for side, names in zip(found, group, strict=True):
            side.update(dict.fromkeys(names, hue(k)))
    words = [(", ".join(ours), ", ".join(theirs), hue(k)) for k, (ours, theirs) in enumerate(groups)]
    return found, words + [(", ".join(left.source), ", ".join(left.target), GREY)] * any(left)


def paired(bridge: Across | Bridged) -> tuple[list[Pair[list[str]]], Pair[list[str]]]:
    """Parts of both robots that do the same, group by group, and those of each that stand for nothing.

    Parts that move the same body are of one group, since that is what is drawn. Raises RequestError for a robot without
    a model.
    """
    robots = Pair(_robot(bridge.plain), _robot(bridge.other))
    parts = Pair(_parts(bridge.plain), _parts(bridge.other))
    of = Pair(*(_grouped(robot.model, some) for robot, some in zip(robots, parts, strict=True)))  # [bodies, motors]
    groups: list[Pair[list[str]]] = []
    for places in blocks(of.target @ np.abs(bridge.shares.matrix) @ of.source.T):
        moved = (np.flatnonzero(of[side][places[1 - side]].any(axis=0)) for side in (0, 1))
        groups.append(Pair(*(list(dict.fromkeys(parts[side][m] for m in some)) for side, some in enumerate(moved))))
    taken = [{name for group in groups for name in group[side]} for side in (0, 1)]
    left = [list(dict.fromkeys(x for x in some if x not in has)) for some, has in zip(parts, taken, strict=True)]
    return groups, Pair(*left)


def _parts(domain: Domain) -> list[str]:
    """What each motor of a domain's columns drives in its robot: in a view that may be another part than it is called
    by."""
    plain = without_history(domain)
    motors = action_entries(plain)
    if isinstance(plain, Bridged):
        own = action_entries(plain.plain)
        motors = [own[i] for i in np.abs(plain.crossing.there.action.matrix).argmax(axis=1)]
    return [entry.part or entry.name for entry in motors]


def _grouped(model: Any, parts: Sequence[str]) -> np.ndarray:
    """Which motors move the same body, [bodies, motors] bool: one that moves none is by itself."""
    joints = {joint_name(model, j): int(model.jnt_bodyid[j]) for j in range(model.njnt)}
    bodies = [joints.get(part, -1 - i) for i, part in enumerate(parts)]
    return np.array([[body == other for body in bodies] for other in dict.fromkeys(bodies)])


def hue(k: int) -> Colour:
    """The k-th colour: as far from the ones before as hues go, every other one darker."""
    return colorsys.hls_to_rgb(k * TURN % 1.0, 0.56 if k % 2 else 0.48, 0.85)


def painted(robot: TableRobot, colours: Mapping[str, Colour], size: Film) -> np.ndarray:
    """A robot as it begins, with each part in its colour and the rest grey, uint8 [height, width, 3]."""
    painter = Painter(altered(robot, model=coloured(robot.model, colours)), size)
    try:
        return painter.paint(apart(robot))
    finally:
        painter.close()


def coloured(model: Any, colours: Mapping[str, Colour]) -> Any:
    """A copy of a model in which what a joint moves has the joint's colour, and the rest of the robot is grey."""
    model = copy.deepcopy(model)
    materials = model.mat_rgba[model.geom_matid, 3] if model.nmat else np.ones(model.ngeom)
    alpha = np.where(model.geom_matid >= 0, materials, model.geom_rgba[:, 3])
    stiff = model.body_weldid[model.geom_bodyid]  # the body that carries each geom along; 0: it is scenery
    moves = stiff > 0
    model.geom_rgba[moves, :3], model.geom_rgba[moves, 3], model.geom_matid[moves] = GREY, alpha[moves], -1
    for joint in reversed(range(model.njnt)):  # of several in one body the first
        if colour := colours.get(joint_name(model, joint)):
            model.geom_rgba[stiff == model.body_weldid[model.jnt_bodyid[joint]], :3] = colour
    return model


def apart(robot: TableRobot) -> np.ndarray:
    """The pose in which a robot begins, [nq], but with legs apart that would hide each other, seen along their axes."""
    import mujoco

    model = robot.model
    data, qpos, seen, turned = mujoco.MjData(model), robot.robot.posed(model), [], set()
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    for joint in np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE.value).tolist():
        body, axis, anchor = int(model.jnt_bodyid[joint]), data.xaxis[joint], data.xanchor[joint]
        if turned & set(above(model, body)):  # it went along
            continue
        hides = [np.linalg.norm(np.cross(axis, anchor - a)) < NEAR and abs(axis @ x) > 0.99 for x, a in seen]
        if sum(hides):
            low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (-np.pi, np.pi)
            at = model.jnt_qposadr[joint]
            qpos[at] += sum(hides) * (SPREAD if high - qpos[at] > qpos[at] - low else -SPREAD)
            turned.add(body)
        seen.append((axis.copy(), anchor.copy()))
    return qpos


def _robot(domain: Domain) -> TableRobot:
    robot = table_robot(domain)
    if robot is None:
        raise RequestError(f"no picture: '{domain.name}' has no model to draw")
    return robot
