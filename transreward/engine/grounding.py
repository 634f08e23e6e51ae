"""The source as a method's first target steps show it: for each seed the simulator identified from that seed's own."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from transreward import replay as rp
from transreward.domains.bridged import plain
from transreward.domains.domain import Domain, table_robot
from transreward.domains.ids import domain
from transreward.domains.mujoco import MujocoDomain
from transreward.domains.robots import ROBOTS
from transreward.domains.varied import Varied
from transreward.ground import Ground
from transreward.identify.evidence import Evidence, evidence
from transreward.identify.identification import Identification
from transreward.identify.identified import identifiable, identified
from transreward.replay import Replay
from transreward.types import Pair, RequestError


def grounded(domains: Pair[Domain], seeds: list[int], ground: Ground, stored: Replay) -> tuple[Domain, dict[str, Any]]:
    """The source with the physics that the `stored` target steps of each seed show, paid as the target is, and what
    identification.json keeps of it.

    Where too little is explained, or the steps cannot be the robot's own, the source stays as it is for that seed. What
    was found is told, seed by seed, as a warning.
    """
    source = identifiable(domains.source)
    found = [_of(source, told) for told in _steps_of(stored)]
    variants, ids = [], []
    for seed, one in zip(seeds, found, strict=True):
        kept = isinstance(one, Identification) and (one.noisy or one.explained >= ground.least) and bool(one.named)
        said = one if isinstance(one, str) else one.lines()[0]
        warnings.warn(f"seed {seed}: {said}{'' if kept else ': the source stays as it is'}", stacklevel=2)
        other = domain(one.id) if kept and isinstance(one, Identification) else source
        assert isinstance(other, MujocoDomain)
        variants.append(other.shifts)
        ids.append(other.name)
    simulator: Domain = Varied(ROBOTS[source.robot.name], variants, source.tasks, source.spaces.obs)
    target = table_robot(plain(domains.target))
    if target is not None and target.tasks != source.tasks:
        simulator = simulator.paid_as(target)  # pyright: ignore[reportAttributeAccessIssue]
    first = next((one for one in found if isinstance(one, Identification)), None)
    return simulator, {} if first is None else {**first.as_json(), "ids": ids}


def _of(source: MujocoDomain, told: Evidence) -> Identification | str:
    try:
        return identified(source, told)
    except RequestError as error:
        return str(error)


def _steps_of(stored: Replay) -> list[Evidence]:
    """The stored steps of each seed, its robots one after the other."""
    t = rp.in_order(stored).transition  # [seeds, steps, robots]

    def column(x: Any) -> np.ndarray:
        x = np.asarray(x, float)
        return x.swapaxes(1, 2).reshape(x.shape[0], -1, *x.shape[3:])

    ended = np.logical_or(np.asarray(t.terminated) > 0, np.asarray(t.truncated) > 0)
    begins = np.roll(ended, 1, axis=1)
    begins[:, 0] = True
    steps = map(column, (t.obs, t.action, t.next_obs, t.reward, begins))
    return [
        evidence(obs, action, after, reward, first > 0)
        for obs, action, after, reward, first in zip(*steps, strict=True)
    ]
