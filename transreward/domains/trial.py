"""A trial of the functions that a user wrote for a robot of the table, where its domain enters: on a few rows, before
anything is trained on what they say."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from transreward.domains.domain import BrokenSimulation
from transreward.domains.mujoco import MujocoDomain, MujocoSimulation, Unstable
from transreward.types import RequestError

ROWS = 8


def tried(domain: MujocoDomain) -> MujocoDomain:
    """The domain. Its functions are asked where a user wrote any of them; the package's own are held by its tests.

    Raises:
        RequestError: a function does not answer as `Robot` says.
        BrokenSimulation: a robot is reset into a state that is not finite.
    """
    if domain._own:
        return domain
    compiled = _saved(domain.model)
    walk = MujocoSimulation(domain, [(0, row) for row in range(ROWS)], threads=1)
    _require_columns(domain, walk.obs.shape[1])
    _try(domain, walk)
    if not np.array_equal(_saved(domain.model), compiled):
        raise RequestError(f"'{domain.name}': a function writes into s.model, which all rows share: let it read alone")
    return domain


def _require_columns(domain: MujocoDomain, found: int) -> None:
    """Columns that are there, and as many as are named; without names the domain is told how many."""
    if not found:
        raise RequestError(f"'{domain.name}': observe(s) returns no columns, so there is nothing to act on")
    if domain.robot.show is None:
        domain.spaces = replace(domain.spaces, obs=found)
    if domain.spaces.obs != found:
        columns = f"the {found} columns of observe(s)"
        raise RequestError(f"'{domain.name}': show(model) must name {columns}, not {domain.spaces.obs}")


def _try(domain: MujocoDomain, walk: MujocoSimulation) -> None:
    """Two steps of random actions, another reset with the same seed, and back to it from what was observed."""
    again, start = domain.simulate(ROWS, 0, 1), walk.obs.copy()
    if not np.array_equal(again.obs, start):
        raise RequestError(f"'{domain.name}': a reset with the same seed is another: draw from the generator alone")
    rng, size = np.random.default_rng(0), (ROWS, domain.spaces.action)
    try:
        for _ in range(2):
            reward = walk.step(rng.uniform(domain.spaces.low, domain.spaces.high, size)).reward
            if not np.allclose(sum(walk.terms.values()), reward):
                raise RequestError(f"'{domain.name}': total(terms) must add the terms up, as tasks do that change one")
    except Unstable:
        return  # the physics, which a run that comes so far will name
    except BrokenSimulation as error:
        raise RequestError(str(error)) from error
    walk.require_rowwise()
    if domain.robot.invert is None:
        return
    known = again.put(start)
    if not np.allclose(again.obs[known], start[known], atol=1e-6):
        raise RequestError(f"'{domain.name}': invert(obs, nq, nv) is not the state that observe(s) shows as obs")
    again.ended(start)


def _saved(model: mujoco.MjModel) -> np.ndarray:
    """All of the model, as bytes."""
    saved = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, saved)
    return saved
