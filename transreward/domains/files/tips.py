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
from transreward.domains.files.place import apart, split

LEAST = 1e-3  # m; nearer tips are one


class At(NamedTuple):
    """A point of a robot that reaches."""

    robot: str  # the domain's id
    joints: tuple[str, ...]
    body: str
    place: np.ndarray  # [3], m in the body's frame
    sites: tuple[str, ...]  # of that body
    known: frozenset[str]  # sites and bodies of the robot


def remarks(*domains: Domain) -> tuple[str, ...]:
    """What a person should know of robots from files before a step is spent, a sentence each."""
    return (*insides(*domains), *said(*domains))


def said(*domains: Domain) -> tuple[str, ...]:
    """A sentence where robots of the same joints reach with different points."""
    if (both := _parted(*domains)) is None:
        return ()
    first, other = both
    return (
        f"What reaches in '{other.robot}' ({_words(other)}) is another point than in '{first.robot}' "
        f"({_words(first)}), so that they do different tasks: name one site or body for both, such as "
        f"tip={_name(first, other)}, in brackets behind the file or in the YAML beside it.",
    )


def agreed(*domains: Domain) -> tuple[str, ...]:
    """The ids of robots that reach with different points, with the tip that `said` proposes; empty where they agree."""
    both = _parted(*domains)
    return () if both is None else tuple(_with_tip(one.name, _name(*both)) for one in domains)


def _with_tip(id: str, tip: str) -> str:
    name, rest = split(id) or (id, "")
    file, told = apart(name)
    others = [one for one in told.split(",") if one and not one.startswith("tip=")]
    return f"{file}({','.join([*others, f'tip={tip}'])}){rest}"


def _parted(*domains: Domain) -> tuple[At, At] | None:
    """The first robot, and another one of the same joints that reaches with another point."""
    found = [one for one in map(_tip, domains) if one is not None]
    others = [one for one in found[1:] if one.joints == found[0].joints and _apart(found[0], one)]
    return (found[0], others[0]) if others else None


def _name(one: At, other: At) -> str:
    """A site of what reaches, or that body itself, which both robots have."""
    names = (*one.sites, *other.sites, one.body, other.body)
    return next((name for name in names if name in one.known and name in other.known), one.body)


def _tip(domain: Domain) -> At | None:
    robot = from_file(domain)
    if robot is None or TIP not in robot.robot.bodies:
        return None
    m = robot.model
    tip = m.body(TIP)
    joints = tuple(m.joint(i).name for i in range(m.njnt))
    carrier = int(tip.parentid[0])
    sites = {m.site(i).name: int(m.site_bodyid[i]) for i in range(m.nsite) if m.site(i).name}
    own = tuple(name for name, body in sites.items() if body == carrier)
    known = frozenset((*sites, *(m.body(i).name for i in range(1, m.nbody))))
    return At(domain.name, joints, m.body(carrier).name, np.array(tip.pos), own, known)


def _apart(a: At, b: At) -> bool:
    return a.body != b.body or bool(np.linalg.norm(a.place - b.place) > LEAST)


def _words(one: At) -> str:
    return f"{np.round(one.place, 3).tolist()} m in {one.body}"
