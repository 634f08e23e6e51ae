"""Where the tips of arms from files are: two that look alike may reach with different points, for different tasks.

It happens unseen where no site says which point it is: the centre of mass of the last link, which is taken then, is
another one when the link carries something.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transreward.domains.domain import Domain
from transreward.domains.files.arm import TIP
from transreward.domains.files.inside import from_file
from transreward.domains.files.inside import said as insides

LEAST = 1e-3  # m; nearer tips are one


class At(NamedTuple):
    """A point of a robot that reaches."""

    robot: str  # the domain's id
    joints: tuple[str, ...]
    body: str
    place: np.ndarray  # [3], m in the body's frame
    sites: tuple[str, ...]  # of the robot


def remarks(*domains: Domain) -> tuple[str, ...]:
    """What a person should know of robots from files before a step is spent, a sentence each."""
    return (*insides(*domains), *said(*domains))


def said(*domains: Domain) -> tuple[str, ...]:
    """A sentence where robots of the same joints reach with different points."""
    found = [one for one in map(_tip, domains) if one is not None]
    if not found:
        return ()
    first = found[0]
    other = next((one for one in found[1:] if one.joints == first.joints and _apart(first, one)), None)
    if other is None:
        return ()
    names = first.sites or (first.body,)
    return (
        f"What reaches in '{other.robot}' ({_words(other)}) is another point than in '{first.robot}' "
        f"({_words(first)}), so that they do different tasks: name one site or body for both, such as "
        f"tip={names[0]}, in brackets behind the file or in the YAML beside it.",
    )


def _tip(domain: Domain) -> At | None:
    robot = from_file(domain)
    if robot is None or TIP not in robot.robot.bodies:
        return None
    m = robot.model
    tip = m.body(TIP)
    joints = tuple(m.joint(i).name for i in range(m.njnt))
    sites = tuple(name for i in range(m.nsite) if (name := m.site(i).name))
    return At(domain.name, joints, m.body(int(tip.parentid[0])).name, np.array(tip.pos), sites)


def _apart(a: At, b: At) -> bool:
    return a.body != b.body or bool(np.linalg.norm(a.place - b.place) > LEAST)


def _words(one: At) -> str:
    return f"{np.round(one.place, 3).tolist()} m in {one.body}"
