"""Which elements of a specification a pattern means: joints, bodies, geoms, sites or actuators, by their names."""

from __future__ import annotations

from fnmatch import fnmatchcase

from transreward.domains.actuators import distinct
from transreward.domains.shifts.kinds import ADDED, Elements, Spec, label
from transreward.types import nearest

WORLD = "world"  # the body that carries nothing


def labels(spec: Spec, element: str) -> list[str]:
    """The names of all elements that patterns match, in the specification's order: of joints, bodies, geoms, sites or
    actuators, of which those that share a target have names of their own."""
    return [names[-1] for names in called(spec, element)]


def every(spec: Spec, element: str) -> Elements:
    """All elements of a kind that patterns match."""
    if element == "body":
        return [body for body in spec.bodies[1:] if body.name not in ADDED]
    if element == "site":
        return [site for site in spec.sites if site.name and site.parent.name != WORLD]
    return list({"joint": spec.joints, "geom": spec.geoms, "actuator": spec.actuators}[element])


def called(spec: Spec, element: str) -> list[tuple[str, ...]]:
    """The names that each element goes by: of actuators that share a target, that of all and its own."""
    found = every(spec, element)
    names = [label(one, element) for one in found]
    own = distinct([one.name for one in found], names) if element == "actuator" else names
    return list(zip(names, own, strict=True))


def matched(spec: Spec, element: str, pattern: str, robot: str) -> Elements:
    """The elements that a pattern names or matches. Raises RequestError if there is none."""
    found = every(spec, element)
    return [found[i] for i in matching(called(spec, element), pattern, element, robot)]


def matching(names: list[tuple[str, ...]], pattern: str | None, what: str, robot: str) -> list[int]:
    """As `meant`. Raises RequestError if there is none."""
    if not (chosen := meant(names, pattern)):
        raise nearest(str(pattern), dict.fromkeys(known[-1] for known in names), f"{what} of {robot}")
    return chosen


def meant(names: list[tuple[str, ...]], pattern: str | None) -> list[int]:
    """Numbers of the elements, with these names, that a pattern names or matches: shell-style, case-sensitive; None
    matches all."""
    return [
        i
        for i, known in enumerate(names)
        if pattern is None or any(name == pattern or fnmatchcase(name, pattern) for name in known)
    ]
