"""An ant after quarter turns to the left: exact, except for the distribution of its resets."""

from __future__ import annotations

from transreward.bridges.linear import Symmetry

ROUND = (  # what a quarter turn moves to the next place
    ("front_left_leg", "front_right_leg", "back_leg", "right_back_leg"),
    ("aux_1", "aux_2", "aux_3", "aux_4"),
    ("body 4", "body 7", "body 10", "body 13"),
    ("hip_1", "hip_2", "hip_3", "hip_4"),
    ("ankle_1", "ankle_2", "ankle_3", "ankle_4"),
)
BEFORE = {part: places[i - 1] for places in ROUND for i, part in enumerate(places)}  # what shows in a part's place
TURNED = {"forward": ("sideways", -1.0), "velocity": ("sideways", -1.0), "sideways": ("forward", 1.0)}


def ant(name: str) -> tuple[str, float]:
    """The robot's column that shows in place of `name`, and its sign."""
    if name in TURNED:
        return TURNED[name]
    part = next((part for part in BEFORE if f"{name} ".startswith(f"{part} ")), "")
    name = BEFORE.get(part, "") + name[len(part) :]
    if name.endswith((" x", " y")):  # left becomes forward, and forward becomes right
        return name[:-1] + ("y" if name[-1] == "x" else "x"), -1.0 if name[-1] == "x" else 1.0
    return name, -1.0 if part in ("ankle_2", "ankle_4") else 1.0  # whose axes point the other way


def turned(quarters: int) -> Symmetry:
    """The ant after so many quarter turns."""
    return Symmetry(f"turned{90 * quarters}", {"ant": ant}, quarters, 4)
