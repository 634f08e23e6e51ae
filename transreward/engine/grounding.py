"""The source as a method's first target steps show it: for each seed the simulator identified from that seed's own."""

from __future__ import annotations

import warnings
from typing import Any

from transreward import replay as rp
from transreward.domains.bridged import plain
from transreward.domains.domain import Domain, table_robot
from transreward.domains.ids import domain
from transreward.domains.mujoco import MujocoDomain
from transreward.domains.robots import ROBOTS
from transreward.domains.varied import Varied
from transreward.ground import Ground
from transreward.identify.evidence import of_walks
from transreward.identify.identification import Identification
from transreward.identify.identified import identifiable, identified
from transreward.replay import Replay
from transreward.types import Pair, RequestError, Transition


def grounded(domains: Pair[Domain], seeds: list[int], ground: Ground, stored: Replay) -> tuple[Domain, dict[str, Any]]:
    """The source with the physics that the `stored` target steps of each seed show, paid as the target is, and what
    identification.json keeps of it.

    Where too little is explained, or the steps cannot be the robot's own, the source stays as it is for that seed. What
    was found is told, seed by seed, as a warning.
    """
    source, t = identifiable(domains.source), rp.in_order(stored).transition  # [seeds, steps, robots]
    found = [_of(source, Transition(*(x[k] for x in t))) for k in range(len(seeds))]
    simulators = [_simulator(source, one, ground.least) for one in found]
    for seed, one, simulator in zip(seeds, found, simulators, strict=True):
        said = one if isinstance(one, str) else one.lines()[0]
        warnings.warn(
            f"seed {seed}: {said}{': the source stays as it is' if simulator is source else ''}", stacklevel=2
        )
    whole = Varied(ROBOTS[source.robot.name], [s.shifts for s in simulators], source.tasks, source.spaces.obs)
    target = table_robot(plain(domains.target))
    first = next((one for one in found if isinstance(one, Identification)), None)
    kept = {} if first is None else {**first.as_json(), "ids": [s.name for s in simulators]}
    return whole if target is None or target.tasks == source.tasks else whole.paid_as(target), kept


def _of(source: MujocoDomain, steps: Transition) -> Identification | str:
    """What one seed's steps [control steps, robots] show, or why they show nothing."""
    try:
        return identified(source, of_walks(steps))
    except RequestError as error:
        return str(error)


def _simulator(source: MujocoDomain, found: Identification | str, least: float) -> MujocoDomain:
    """The source with what was found, or as it is where that is too little."""
    if isinstance(found, str) or not found.named or not (found.noisy or found.explained >= least):
        return source
    other = domain(found.id)
    assert isinstance(other, MujocoDomain)
    return other
