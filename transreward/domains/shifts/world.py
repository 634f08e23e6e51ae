"""Shifts of what is around a robot: gravity and the fluid it moves in."""

from __future__ import annotations

import math

import numpy as np

from transreward.domains.shifts.kinds import Elements, Kind, Spec


def _gravity(spec: Spec, chosen: Elements, factor: float) -> None:
    spec.option.gravity = spec.option.gravity * factor


def _slope(spec: Spec, chosen: Elements, degrees: float) -> None:
    """The ground stays as it is and gravity is turned about y, so that walking in +x leads uphill."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    x, y, z = spec.option.gravity
    spec.option.gravity = np.array([cos * x + sin * z, y, cos * z - sin * x])


def _viscosity(spec: Spec, chosen: Elements, value: float) -> None:
    spec.option.viscosity = value


def _density(spec: Spec, chosen: Elements, value: float) -> None:
    spec.option.density = value


KINDS = (
    Kind("gravity", "scales gravity", edit=_gravity),
    Kind(
        "slope", "tilts the ground, in degrees; above 0 is uphill in +x", edit=_slope, low=-90, high=90,
        value="degrees", words=("incline", "hill", "tilt", "ramp"), neutral=0.0, sided=True,
    ),
    # both are 0 in the models of robots that are in no fluid
    Kind(
        "viscosity", "sets the viscosity of the fluid around the robot, in Pa s", edit=_viscosity, value="Pa s",
        words=("fluid", "drag", "thick"), neutral=0.0, sets=True,
    ),
    Kind(
        "density", "sets the density of the fluid around the robot, in kg/m^3 (air 1.2, water 1000)", edit=_density,
        high=20_000, value="kg/m^3", words=("water", "air", "medium"), neutral=0.0, sets=True,
    ),
)  # fmt: skip
