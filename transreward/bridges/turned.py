"""An ant after quarter turns to the left: exact, but for what its resets draw."""

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
    """Which of its columns shows in a column's place, and with which sign."""
    if name in TURNED:
        return TURNED[name]
    part = next((part for part in BEFORE if f"{name} ".startswith(f"{part} ")), "")
    name = BEFORE.get(part, "") + name[len(part) :]
    if name.endswith((" x", " y")):  # to the left becomes ahead, and what was ahead shows as to the right
        return name[:-1] + ("y" if name[-1] == "x" else "x"), -1.0 if name[-1] == "x" else 1.0
    return name, -1.0 if part in ("ankle_2", "ankle_4") else 1.0  # whose axes point the other way round


def turned(quarters: int) -> Symmetry:
    """After so many of them."""
    return Symmetry(f"turned{90 * quarters}", {"ant": ant}, quarters, 4)
