"""A robot's file as MuJoCo reads it, and what is made of it before it is compiled."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import mujoco
import numpy as np

from transreward.domains.actuators import INTEGRATOR
from transreward.domains.files.place import apart
from transreward.domains.files.said import Said
from transreward.domains.names import BALL, FREE, SLIDE
from transreward.domains.robot import Draw, Robot, gaussian
from transreward.domains.shifts.elements import matched
from transreward.domains.shifts.kinds import Spec
from transreward.tree import ON_JOINT, SITE, TENDON, above, along
from transreward.types import Array, RequestError, nearest

HOME = ("home", "stand", "neutral_pose")  # keyframes in which robots begin
NEAR = 0.01  # of a control rate that is said, how far off the nearest that physics allows may be
EFFORT = 0.05  # reward per m/s of power over weight
LEVEL = 0.99  # cosine of the largest slope of a floor
WIDE = 1.0  # m, from its middle, of a box that is a floor
NOISE = 0.05  # rad or m: half the width of what joints begin with; and the standard deviation of velocities
TIPS = (
    "attachment_site", "end_effector", "ee_site", "eef", "ee", "tcp", "tool", "tool0", "pinch", "grasp_site", "gripper",
    "tip", "fingertip", "hand",
)  # fmt: skip


class Tip(NamedTuple):
    """What reaches: a point of a site or body."""

    kind: str  # "site" or "body"
    name: str
    at: tuple[float, ...] = (0.0, 0.0, 0.0)  # in its frame, m

    def of(self, data: Any) -> np.ndarray:
        """Where it is, [3], m in the world's frame."""
        one = getattr(data, self.kind)(self.name)
        return one.xpos + one.xmat.reshape(3, 3) @ self.at


class Model:
    """The model in a file, with what is said beside it. `now` is the compiled model, as its file has it but for the
    limits that are said and, where it has no actuators, motors.

    Raises:
        RequestError: MuJoCo cannot read it, it has no actuators or joints, or what is said names what it does not have.
    """

    def __init__(self, name: str, path: Path, said: Said) -> None:
        self.name, self.path, self.said = name, path, said
        self.motors: dict[str, float] = {}  # joint -> the largest force of the motor that it needs
        spec = self.read()
        self.now: Any = compiled(name, spec)
        if not self.now.nactuator:
            self.motors = _forces(name, self.now)
            self.move(spec)
            self.now = compiled(name, spec)
        if said.limits:
            self.limit(spec)
            self.now = compiled(name, spec)
        self.base = self._base()
        self.pose = self._pose()
        called = apart(name)[0].partition(":")[2]
        self.title = path.stem if called.endswith(path.suffix) else called
        self.frame_skip = self._frame_skip()

    def read(self) -> Spec:
        """The file as it is. Raises RequestError with MuJoCo's own words."""
        try:
            spec = mujoco.MjSpec.from_file(str(self.path))
        except ValueError as error:
            raise RequestError(f"'{self.name}' cannot be read: {' '.join(str(error).split())}") from error
        whole(spec)
        return spec

    def ready(self, spec: Spec) -> None:
        """What is done to every file as it was read: see `whole`, `move` and `limit`."""
        whole(spec)
        self.move(spec)
        self.limit(spec)

    def move(self, spec: Spec) -> None:
        """Give a motor to each joint that needs one; a URDF has none, but says the largest force of each joint."""
        for joint, force in self.motors.items():
            spec.add_actuator(
                name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT, ctrllimited=True, ctrlrange=[-force, force]
            )

    def limit(self, spec: Spec) -> None:
        """Set the control ranges that are said beside the model. Raises RequestError for an unknown actuator."""
        for pattern, (low, high) in self.said.limits.items():
            for actuator in matched(spec, "actuator", pattern, f"{self.name}, whose limits are said"):
                actuator.ctrllimited, actuator.ctrlrange, actuator.inheritrange = True, [low, high], 0

    def row(self, does: str, episode_steps: int, **parts: Any) -> Robot:
        """The row of the robot in the file, which consists of these parts."""
        return Robot(
            self.name,
            f"{self.title}: {does}",
            "",
            "",
            file=self.path,
            pose=self.pose,
            frame_skip=self.frame_skip,
            fields=("qfrc_actuator",),
            episode_steps=self.said.episode_steps or episode_steps,
            **parts,
        )

    @property
    def free(self) -> bool:
        """Whether the base moves freely."""
        joints = self.joints_of(self.base)
        return bool(joints) and int(self.now.jnt_type[joints[0]]) == FREE

    @property
    def driven(self) -> list[int]:
        """The joints that actuators drive, themselves or by a tendon."""
        m, found = self.now, set()
        for kind, (target, _) in zip(m.actuator_trntype.tolist(), m.actuator_trnid.tolist(), strict=True):
            found |= {target} if kind in ON_JOINT else set(along(m, target)) if kind == TENDON else set()
        return sorted(found)

    @property
    def slides(self) -> list[int]:
        """The joints along which the base slides that nothing drives, such as those of a planar robot."""
        driven = self.driven
        return [j for j in self.joints_of(self.base) if self.now.jnt_type[j] == SLIDE and j not in driven]

    def joints_of(self, body: int) -> list[int]:
        """The joints of a body."""
        return np.flatnonzero(self.now.jnt_bodyid == body).tolist()

    def depth(self, body: int) -> int:
        """How many moving bodies there are from the world to a body."""
        return int((self.now.body_jntnum[above(self.now, body)] > 0).sum())

    def data(self) -> Any:
        """MuJoCo's data in the pose in which an episode begins, with derived positions."""
        data = mujoco.MjData(self.now)
        if self.pose:
            mujoco.mj_resetDataKeyframe(self.now, data, self.now.key(self.pose).id)
        mujoco.mj_kinematics(self.now, data)
        return data

    def tip(self) -> Tip:
        """What reaches. Raises RequestError for an unknown one."""
        m = self.now
        sites = {m.site(i).name: ("site", int(m.site_bodyid[i])) for i in range(m.nsite)}
        bodies = {m.body(i).name: ("body", i) for i in range(1, m.nbody)}
        known = {name: found for name, found in {**bodies, **sites}.items() if name}
        if self.said.tip:
            if self.said.tip not in known:
                raise nearest(self.said.tip, known, f"site or body of {self.name}, for its tip")
            return Tip(known[self.said.tip][0], self.said.tip)
        for usual in TIPS:
            for name, (kind, body) in known.items():
                if name.rpartition("/")[2] == usual and self.depth(body):
                    return Tip(kind, name)
        deepest = max(range(1, m.nbody), key=lambda body: (self._on_base(body), self.depth(body), -body))
        there = [name for name, (kind, body) in known.items() if kind == "site" and body == deepest]
        if len(there) == 1:
            return Tip("site", there[0])
        if not m.body(deepest).name:
            raise RequestError(
                f"'{self.name}': the last link of its longest chain would reach, and has no name: name that body, or a "
                f"site in it, or say another `tip`"
            )
        return Tip("body", m.body(deepest).name, tuple(m.body_ipos[deepest].tolist()))

    def _on_base(self, body: int) -> bool:
        return int(self.now.body_rootid[body]) == int(self.now.body_rootid[self.base])

    def _base(self) -> int:
        """The body that is said, or else the one that hangs on the world and on which most motors hang."""
        m = self.now
        if self.said.base:
            names = [m.body(i).name for i in range(1, m.nbody)]
            if self.said.base not in names:
                raise nearest(self.said.base, names, f"body of {self.name}, for its base")
            named = m.body(self.said.base).id
            return int(m.body_weldid[named]) or named  # what carries it along, of a body without joints of its own
        if m.nbody < 2 or not m.njnt:
            raise RequestError(f"'{self.name}' has no joint, so nothing of it moves")
        pushed = [m.site_bodyid[m.actuator_trnid[i, 0]] for i in range(m.nactuator) if m.actuator_trntype[i] == SITE]
        roots = [int(m.body_rootid[body]) for body in [*m.jnt_bodyid[self.driven]] or pushed] or [1]
        return max(sorted(set(roots)), key=roots.count)

    def _frame_skip(self) -> int:
        rate, timestep = self.said.control_rate, float(self.now.opt.timestep)
        if rate != Said.control_rate and rate * timestep > 1 + 1e-6:
            raise RequestError(
                f"'{self.name}': a control_rate of {rate:g} Hz is faster than its physics, which has a step of "
                f"{timestep:g} s: say at most {1 / timestep:g}, or give the file a shorter timestep"
            )
        steps = 1 / (rate * timestep)
        whole = max(1, round(steps))
        if rate != Said.control_rate and abs(steps / whole - 1) > NEAR:
            raise RequestError(
                f"'{self.name}': a control_rate of {rate:g} Hz is no whole number of physics steps, which are "
                f"{timestep:g} s: say {1 / (timestep * int(steps)):.4g} or {1 / (timestep * (int(steps) + 1)):.4g}, or "
                "give the file another timestep"
            )
        return whole

    def _pose(self) -> str:
        names = [self.now.key(i).name for i in range(self.now.nkey)]
        if self.said.pose:
            if self.said.pose not in names:
                raise nearest(self.said.pose, names, f"keyframe of {self.name}, for its pose")
            return self.said.pose
        return next((name for name in (*HOME, *names) if name in names), "")


def about(model: Model) -> Draw:
    """Joints within +-NOISE of the pose and Gaussian velocities. What moves freely or on a ball begins where it is in
    the pose: a quaternion with noise is none, and what lies on the floor would begin inside it."""
    wide, m = {FREE: 7, BALL: 4}, model.now
    turning = [(int(m.jnt_qposadr[j]), wide.get(int(m.jnt_type[j]), 0)) for j in range(m.njnt)]
    still = np.array([at + i for at, entries in turning for i in range(entries)], int)

    def draw(rng: np.random.Generator, qpos: Array, qvel: Array) -> tuple[Array, Array]:
        moved, velocities = gaussian(NOISE)(rng, qpos, qvel)
        there = still[still < len(qpos)]  # parts may be left out
        moved[there] = qpos[there]
        return moved, velocities

    return draw


def whole(spec: Spec) -> None:
    """Keep bodies without joints, which the compiler makes one of in a URDF: they may be a tip, or carry a payload. A
    keyframe without a name gets one, by which a pose can be told."""
    spec.compiler.fusestatic = False
    for i, key in enumerate(spec.keys):
        key.name = key.name or f"keyframe {i}"


def compiled(name: str, spec: Spec) -> Any:
    """The compiled model. Raises RequestError with MuJoCo's own words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of what is deprecated, which is not this user's to mend
            return spec.compile()
    except ValueError as error:
        raise RequestError(f"'{name}' does not compile: {' '.join(str(error).split())}") from error


def _forces(name: str, model: Any) -> dict[str, float]:
    """The largest force of each joint, from its limits, but of those that follow another (a URDF's mimic). Raises
    RequestError if there is none, or one has no name."""
    tied = model.eq_obj1id[(model.eq_type == mujoco.mjtEq.mjEQ_JOINT) & (model.eq_obj2id >= 0)].tolist()
    limited = [j for j in range(model.njnt) if model.jnt_actfrclimited[j] and j not in tied]
    if nameless := [j for j in limited if not model.joint(j).name]:
        on = model.body(int(model.jnt_bodyid[nameless[0]])).name
        raise RequestError(
            f"'{name}': the joint of '{on}' has no name of its own, so no motor can be put on it: give it one that no "
            f"other joint has"
        )
    found = {model.joint(j).name: float(model.jnt_actfrcrange[j, 1]) for j in limited}
    if not any(force > 0 for force in found.values()):
        raise RequestError(
            f"'{name}' has no actuator, so nothing acts on it: give its joints some (in a URDF, the effort of a limit)"
        )
    return {joint: force for joint, force in found.items() if force > 0}


def near_pose(model: Model, spec: Spec, share: float) -> None:
    """Let the target of each position servo be at most `share` (rad or m) from where its joint is in the pose; 0:
    anywhere."""
    if not share:
        return
    m, told = model.now, servos(model)
    for i, actuator in enumerate(spec.actuators):
        if i not in told:
            continue
        home, gear = told[i]
        low, high = m.actuator_ctrlrange[m.actuator_ctrladr[i]]  # other actuators may have several, or none
        far = share * gear
        low, high = max(low, home - far), min(high, home + far)
        if low < high:
            actuator.ctrllimited, actuator.ctrlrange, actuator.inheritrange = True, [low, high], 0


def servos(model: Model) -> dict[int, tuple[float, float]]:
    """Each servo of the position of a joint -> what it is told in the pose, and what a rad or m of the joint adds."""
    m, at, found = model.now, model.data().qpos, {}
    for i in range(m.nactuator):
        gain, bias, gear = m.actuator_gainprm[i, 0], m.actuator_biasprm[i, 1], m.actuator_gear[m.actuator_outadr[i]]
        if int(m.actuator_trntype[i]) not in ON_JOINT or not gain or bias != -gain:
            continue  # a force, or a tendon
        if int(m.actuator_dyntype[i]) == INTEGRATOR:
            continue  # which is told a velocity
        joint = m.actuator_trnid[i, 0]
        kind, home = int(m.jnt_type[joint]), m.jnt_qposadr[joint]
        if kind == BALL:
            turned = np.zeros(3)  # rad, about each axis
            mujoco.mju_quat2Vel(turned, at[home : home + 4], 1.0)
            found[i] = float(gear[:3] @ turned), float(np.linalg.norm(gear[:3]))
        elif kind != FREE:  # which has no length
            found[i] = gear[0] * at[home], abs(gear[0])
    return found


def floor(model: Model, below: float) -> float:
    """The height of the highest floor of the world that is below this height, m; 0 if it has none."""
    return max((height for height in _floors(model) if height < below), default=0.0)


def _floors(model: Model) -> list[float]:
    """The heights of the world's planes and wide boxes, m, but of those that slope."""
    m, data = model.now, model.data()
    reach = {int(mujoco.mjtGeom.mjGEOM_PLANE): np.zeros(m.ngeom), int(mujoco.mjtGeom.mjGEOM_BOX): m.geom_size[:, 2]}
    return [
        float(data.geom_xpos[g, 2] + reach[kind][g])
        for g, kind in enumerate(m.geom_type.tolist())
        if kind in reach and not m.body_weldid[m.geom_bodyid[g]] and data.geom_xmat[g, 8] > LEVEL
        if not reach[kind][g] or min(m.geom_size[g, :2]) >= WIDE
    ]


def add_floor(model: Model, spec: Spec) -> None:
    """Add a floor at height 0 if the world has none; most files of a robot alone have none."""
    m = model.now
    fixed = np.flatnonzero(m.body_weldid[m.geom_bodyid] == 0)
    grounds = int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_HFIELD)
    if not _floors(model) and not np.isin(m.geom_type[fixed], grounds).any():
        name = "floor" if "floor" not in {geom.name for geom in spec.geoms} else ""
        spec.worldbody.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05])
