"""Shifts of the body plan: parts that are left out, and robots of other numbers of legs or links.

They are made before all other shifts of an id, so that a pattern of those may name a part that is new. How a robot
comes to have another number of parts is in its row of the table (`Robot.plans`), by the functions here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transreward.domains.shifts.kinds import Elements, Kind, Spec, label
from transreward.types import RequestError

MARK = "~"  # at the end of a copy's names, which no id can contain


def _without(spec: Spec, bodies: Elements, pattern: str) -> None:
    """The model without some bodies, all that hangs on them, and what drives these.

    Raises:
        RequestError: a body that hangs on nothing is the robot itself, or something else that a task needs.
    """
    spec.compile()  # which gives all elements their numbers
    roots = {root.id for root in spec.worldbody.bodies}
    for body in bodies:
        if body.id in roots:
            name = label(body, "body")
            raise RequestError(
                f"the shift 'without={pattern}' would leave out {name}, on which all else hangs: name parts of it"
            )
    within = {below.id for body in bodies for below in body.find_all("body")}
    for body in [body for body in bodies if body.id not in within]:
        spec.delete(body)


def copied(spec: Spec, body: Any, onto: Any, rename: Callable[[str], str], turn: Any = (1, 0, 0, 0)) -> Any:
    """A copy of a body, with all that hangs on it and drives it, as one more part of the body `onto`, there turned by
    the quaternion `turn`. `rename` makes the name of each copied element from that of its original."""
    spec.copy_during_attach = True
    copy = onto.add_frame(quat=turn).attach_body(body, "", MARK)
    for element in (*spec.bodies, *spec.joints, *spec.geoms, *spec.sites, *spec.actuators):
        if element.name.endswith(MARK):
            element.name = rename(element.name.removesuffix(MARK))
    for actuator in spec.actuators:
        if actuator.target.endswith(MARK):
            actuator.target = rename(actuator.target.removesuffix(MARK))
    return copy


KINDS = (
    Kind(
        "without", "leaves bodies out, with all that hangs on them and what drives it", "body", _without,
        value="pattern", words=("amputate", "remove", "missing", "lacking"), neutral=None, first=True, sided=True,
    ),
    Kind("legs", "this many legs", low=1, high=8, value="number", neutral=None, first=True, planned=True, sided=True),
    Kind(
        "links", "this many links", low=1, high=12, value="number", words=("segments",), neutral=None, first=True,
        planned=True, sided=True,
    ),
)  # fmt: skip
