"""A trial of the functions that a user wrote for a robot: on a few rows, when its domain is made, before any training
depends on them."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from transreward.domains.domain import BrokenSimulation, Unstable
from transreward.domains.mujoco import MujocoDomain, MujocoSimulation
from transreward.types import RequestError

ROWS = 8


def tried(domain: MujocoDomain) -> MujocoDomain:
    """The domain, after a trial of its functions if a user wrote any of them. (The package's own have tests.)

    Raises:
        RequestError: a function breaks the contract of `Robot`.
        BrokenSimulation: a robot is reset into a state that is not finite.
    """
    if domain._own:
        return domain
    compiled = _saved(domain.model)
    walk = MujocoSimulation(domain, [(0, row) for row in range(ROWS)], threads=1)
    _require_columns(domain, walk.obs.shape[1])
    _try(domain, walk)
    if not np.array_equal(_saved(domain.model), compiled):
        raise RequestError(f"'{domain.name}': a function writes into s.model, which all rows share: let it only read")
    return domain


def _require_columns(domain: MujocoDomain, found: int) -> None:
    """Raise RequestError unless there are columns, as many as `show` names; without `show`, set the domain's spaces."""
    if not found:
        raise RequestError(f"'{domain.name}': observe(s) returns no columns, so there is nothing to act on")
    if domain.robot.show is None:
        domain.spaces = replace(domain.spaces, obs=found)
    if domain.spaces.obs != found:
        columns = f"the {found} columns of observe(s)"
        raise RequestError(f"'{domain.name}': show(model) must name {columns}, not {domain.spaces.obs}")


def _try(domain: MujocoDomain, walk: MujocoSimulation) -> None:
    """Test two random steps, a second reset with the same seed, and `invert` on the first observation."""
    again, start = domain.simulate(ROWS, 0, 1), walk.obs.copy()
    if not np.array_equal(again.obs, start):
        raise RequestError(f"'{domain.name}': two resets with the same seed differ: draw from the generator alone")
    rng, size = np.random.default_rng(0), (ROWS, domain.spaces.action)
    try:
        for _ in range(2):
            reward = walk.step(rng.uniform(domain.spaces.low, domain.spaces.high, size)).reward
            if not np.allclose(sum(walk.terms.values()), reward):
                raise RequestError(f"'{domain.name}': total(terms) must add the terms up, as tasks do that change one")
    except Unstable:
        return  # the physics, not a function; a run that gets there reports it
    except BrokenSimulation as error:
        raise RequestError(str(error)) from error
    walk.require_rowwise()
    if domain.robot.invert is None or not domain.physics.sees:
        return
    known = again.put(start)
    if not np.allclose(again.obs[known], start[known], atol=1e-6):
        raise RequestError(f"'{domain.name}': invert(obs, nq, nv) is not the state that observe(s) shows as obs")
    again.ended(start)


def _saved(model: mujoco.MjModel) -> np.ndarray:
    """The whole model as bytes."""
    saved = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, saved)
    return saved
