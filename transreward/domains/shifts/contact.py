"""Shifts of contacts."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from transreward.domains.contacts import pairs, parameters, touching
from transreward.domains.shifts.kinds import UNNAMED, Elements, Kind, Spec, label
from transreward.types import RequestError


def _friction(spec: Spec, chosen: Elements, factor: float) -> None:
    """MuJoCo makes a contact's friction of both geoms: the larger, or that of the geom of higher priority."""

    def scale(element: Any) -> None:
        element.friction = element.friction * factor

    _contacts(spec, chosen, scale)


def _softness(spec: Spec, chosen: Elements, factor: float) -> None:
    """Scale the time constant in which contacts give way, s.

    Raises:
        RequestError: a contact is given by stiffness and damping instead, as negative numbers.
    """

    def scale(element: Any) -> None:
        if element.solref[0] < 0:
            raise RequestError(
                "the shift 'softness' scales a time constant, solref[0], which is negative where a contact is given by "
                f"stiffness and damping, as at {_called(element)}: name other geoms"
            )
        element.solref = element.solref * np.array([factor, 1])

    _contacts(spec, chosen, scale)


def _called(element: Any) -> str:
    """A geom, flex or pair, for people."""
    import mujoco

    if isinstance(element, mujoco.MjsPair):
        return f"{element.geomname1} on {element.geomname2}"
    return label(element, "geom") if isinstance(element, mujoco.MjsGeom) else element.name


def _contacts(spec: Spec, chosen: Elements, change: Callable[[Any], None]) -> None:
    """Change every contact that a chosen geom takes part in, and no other.

    What a contact is, is made of both geoms. So all geoms are changed where all are chosen; where some are, their
    contacts become explicit pairs, the same but for the change.
    """
    names = {geom.name for geom in chosen if geom.name}
    for pair in spec.pairs:
        if {pair.geomname1, pair.geomname2} & names:
            change(pair)
    if len(chosen) == len(spec.geoms):
        for element in (*spec.geoms, *spec.flexes):
            change(element)
        return
    model, rows = spec.compile(), {geom.id for geom in chosen}
    geoms, explicit = {geom.id: geom for geom in spec.geoms}, pairs(model)
    for both in touching(model):
        if rows & set(both) and both not in explicit:
            for geom in (geoms[i] for i in both):  # a pair goes by names
                geom.name = geom.name or f"{geom.parent.name}{UNNAMED}{geom.id})"
            a, b = (geoms[i].name for i in both)
            change(spec.add_pair(geomname1=a, geomname2=b, **parameters(model, *both)))


KINDS = (
    Kind("friction", "scales the friction of contacts, both sides of each pair", "geom", _friction),
    Kind(
        "softness", "scales the time in which contacts give way", "geom", _softness, above=True,
        words=("soft", "hardness", "compliance", "solref"),
    ),
)  # fmt: skip
