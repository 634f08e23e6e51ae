"""Shifts of joints."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable

from transreward.domains.shifts.kinds import Elements, Kind, Spec, driving, label, type_of
from transreward.types import RequestError


def _scale(attribute: str) -> Callable[[Spec, Elements, float], None]:
    """Of joints, with what their actuators add to it."""

    def edit(spec: Spec, joints: Elements, factor: float) -> None:
        for element in (*joints, *driving(spec, joints)):
            setattr(element, attribute, getattr(element, attribute) * factor)

    return edit


def _stiffness(spec: Spec, joints: Elements, factor: float) -> None:
    for joint in joints:
        joint.stiffness = joint.stiffness * factor


def _frictionloss(spec: Spec, joints: Elements, force: float) -> None:
    for joint in joints:
        joint.frictionloss += force


def _driven(spec: Spec) -> Elements:
    """The joints that an actuator acts on.

    Raises:
        RequestError: there are none.
    """
    driven = [joint for joint in spec.joints if driving(spec, [joint])]
    if not driven:
        raise RequestError(
            "the shift 'frictionloss' without a pattern is of the joints that an actuator acts on, and there are none: "
            "name joints, as in frictionloss(*)=1"
        )
    return driven


def _range(spec: Spec, joints: Elements, factor: float) -> None:
    """About a joint's `ref`, where it is at rest, if its range has it, so that an end stop there stays; about the
    middle otherwise.

    Raises:
        RequestError: none of the joints has a range.
    """
    limited = spec.compile().jnt_limited
    if not any(limited[joint.id] for joint in joints):
        names = ", ".join(label(joint, "joint") for joint in joints)
        raise RequestError(f"the shift 'range' of {names} changes nothing: no limits are set there; name another joint")
    for joint in joints:
        if limited[joint.id]:
            low, high = joint.range
            ref = joint.ref if type_of(joint.type) in ("HINGE", "SLIDE") else 0.0
            fixed = ref if low <= ref <= high else (low + high) / 2
            joint.range = [fixed + factor * (low - fixed), fixed + factor * (high - fixed)]


KINDS = (
    Kind("damping", "scales the damping of joints", "joint", _scale("damping")),
    Kind("armature", "scales the rotor inertia of joints", "joint", _scale("armature")),
    Kind("stiffness", "scales the springs of joints", "joint", _stiffness, words=("spring", "stiff")),
    Kind(
        "frictionloss", "dry friction added to joints, in N m or N; without a pattern to those with an actuator",
        "joint", _frictionloss, value="N m", words=("dry", "coulomb", "stiction"), neutral=0.0, default=_driven,
    ),
    Kind("range", "scales how far joints move, about their rest", "joint", _range, above=True),
)  # fmt: skip
