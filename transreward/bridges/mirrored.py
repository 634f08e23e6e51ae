"""A mirrored half-cheetah: approximate, since its hind and fore legs differ in length, range and strength."""

from __future__ import annotations

from transreward.bridges.linear import Symmetry


def cheetah(name: str) -> tuple[str, float]:
    """The robot's column that shows in place of `name`, and its sign."""
    part, _, rest = name.partition(" ")
    if part in ("velocity", "forward", "control"):
        return name, 1.0 if part == "control" else -1.0
    other = {"b": "f", "f": "b"}.get(part[0], part[0]) + part[1:]  # hind and fore
    return " ".join(filter(None, (other, rest))), 1.0 if part == "rootz" else -1.0


MIRRORED = Symmetry("mirrored", {"halfcheetah": cheetah})
