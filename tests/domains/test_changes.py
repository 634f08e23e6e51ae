"""What changed in the model is what the shift says, by name."""

from __future__ import annotations

import pytest

from tests.domains import robots_in_files as files
from transreward.domains.changes import Change, changes
from transreward.domains.ids import domain

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("robot", "shifted", "expected"),
    [
        ("halfcheetah", "halfcheetah:broken=bthigh", [Change("gain", "bthigh", "1", "0")]),
        (
            "hopper",
            "hopper:gravity=0.5",
            [Change("gravity (m/s²)", "world", f"0, 0, {MINUS}9.81", f"0, 0, {MINUS}4.905")],
        ),
        ("walker2d", "walker2d:friction=2", [Change("sliding friction", "all 8", "unchanged", "x 2")]),
        (
            "ant",
            "ant:range(hip_1)=0.5",
            [Change("range", "hip_1", f"{MINUS}0.5236, 0.5236", f"{MINUS}0.2618, 0.2618")],
        ),
        ("ant", "ant:noise=0.1", [Change("noise on the action (std)", "all 8", "0", "0.1")]),
        ("ant", "ant:delay=2", [Change("delay (control steps)", "all", "0", "2")]),
        ("hopper", "hopper:gear(leg_joint)=2", [Change("gear", "leg_joint", "200", "400")]),
        ("hopper", "hopper+backward", [Change("task", "reward", "the robot's own", "backward")]),
        ("hopper", "hopper", []),
        ("hopper", "walker2d", []),
    ],
)
def test_changes(robot, shifted, expected):
    assert changes(domain(robot), domain(shifted)) == expected


def test_a_heavier_body_is_named():
    found = changes(domain("hopper"), domain("hopper:mass(torso)=2"))
    assert [(c.what, c.element) for c in found] == [("mass (kg)", "torso"), ("inertia (kg m²)", "torso")]
    assert float(found[0].target) == pytest.approx(2 * float(found[0].source), rel=1e-3)
    whole = changes(domain("hopper"), domain("hopper:mass=2"))
    assert [(c.element, c.target) for c in whole] == [("all 4", "x 2")] * 2


def test_what_has_no_model_has_no_parts_that_could_change():
    assert changes(domain("gym:Pendulum-v1"), domain("gym:Pendulum-v1")) == []


def test_axes_and_how_bodies_are_turned_are_told_of_two_files(tmp_path):
    """A motor that is mounted the other way round is among the usual differences, and nothing was said of it."""
    (tmp_path / "one.xml").write_text(files.ARM.format(mass=1))
    other = files.ARM.format(mass=1).replace('"elbow" axis="0 1 0"', '"elbow" axis="0 -1 0"')
    (tmp_path / "other.xml").write_text(other.replace('"lower" pos', '"lower" quat="0 0 0 1" pos'))
    told = changes(*(domain(f"mjcf:{tmp_path / name}.xml") for name in ("one", "other")))
    assert [(one.what, one.element) for one in told] == [
        ("turn in what it is part of (quaternion)", "lower"), ("axis", "elbow"),
    ]  # fmt: skip
