"""The wrappers of a Gymnasium environment: which of them change units or normalise by running statistics, and what
distinguishes the environment from another with the same spaces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import gymnasium
import numpy as np
from gymnasium import wrappers

from transreward.types import RequestError

CHANGING = (
    gymnasium.ObservationWrapper, gymnasium.ActionWrapper, gymnasium.RewardWrapper, wrappers.NormalizeObservation,
    wrappers.NormalizeReward, wrappers.vector.NormalizeObservation, wrappers.vector.NormalizeReward,
    gymnasium.vector.VectorObservationWrapper, gymnasium.vector.VectorActionWrapper,
    gymnasium.vector.VectorRewardWrapper,
)  # fmt: skip
SAME_NUMBERS = (wrappers.FlattenObservation, wrappers.ReshapeObservation, wrappers.DtypeObservation)
STATISTICS = ("mean", "var", "count", "update")  # what keeps running statistics has all of them
PHYSICS = (  # arrays of a MuJoCo model that shifts and users change
    "body_mass", "body_inertia", "body_ipos", "body_pos", "geom_friction", "geom_solref", "geom_size", "geom_pos",
    "pair_friction", "pair_solref", "dof_damping", "dof_armature", "dof_frictionloss", "jnt_range", "jnt_stiffness",
    "actuator_gear", "actuator_gainprm", "actuator_biasprm", "actuator_forcerange", "actuator_ctrlrange",
)  # fmt: skip
OPTIONS = ("gravity", "viscosity", "density")  # of its options


def layers(env: Any) -> list[Any]:
    """The wrappers of an environment from the outside in, then the environment itself; for a vector environment, then
    the layers of its first one."""
    found = [env]
    while isinstance(found[-1], (gymnasium.Wrapper, gymnasium.vector.VectorWrapper)):
        found.append(found[-1].env)
    first = _first(found[-1]) if isinstance(found[-1], gymnasium.vector.VectorEnv) else None
    return found if first is None else found + layers(first)


def _first(vector: Any) -> Any:
    """The first environment of a vector environment, or, where they are in other processes as AsyncVectorEnv's are, one
    more that was made as it was, and closed; None if neither is known."""
    if getattr(vector, "envs", None):
        return vector.envs[0]
    if vector not in _MORE and getattr(vector, "env_fns", None):
        _MORE[vector] = vector.env_fns[0]()
        _MORE[vector].close()
    return _MORE.get(vector)


_MORE: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # by the vector environment


def changing(env: Any) -> list[str]:
    """Class names of the wrappers that change the numbers of observations, actions or rewards, from the outside in."""
    return [type(x).__name__ for x in layers(env) if isinstance(x, CHANGING) and not isinstance(x, SAME_NUMBERS)]


def require_fixed_units(whose: str, env: Any, instead: str) -> None:
    """Raise RequestError if a wrapper normalises by running statistics, so that units drift from step to step."""
    for layer in layers(env):
        if getattr(layer, "update_running_mean", True) and any(_runs(x) for x in _held(layer)):
            raise RequestError(
                f"{whose} normalises by running statistics ({type(layer).__name__}), which each copy of it has of its "
                f"own: {instead}, or freeze it with update_running_mean = False"
            )


def _held(layer: Any) -> Iterator[Any]:
    """The attributes of a layer, and what the function of a wrapper such as TransformObservation refers to."""
    yield from getattr(layer, "__dict__", {}).values()
    function = getattr(layer, "func", None)
    yield getattr(function, "__self__", None)
    for cell in getattr(function, "__closure__", None) or ():
        yield cell.cell_contents


def _runs(x: Any) -> bool:
    return not isinstance(x, type) and all(hasattr(x, name) for name in STATISTICS)


def traits(env: Any) -> dict[str, Any]:
    """What distinguishes an environment from another, as JSON: its id, its layers and their settings, and hashes of its
    model's physics."""
    found: dict[str, Any] = {"id": env.spec.id} if getattr(env, "spec", None) else {}
    for layer in layers(env):
        kind = type(layer).__name__
        found[kind] = True
        for name, value in getattr(layer, "__dict__", {}).items():
            if isinstance(value, np.ndarray) and value.size <= 16:
                value = value.tolist()
            if isinstance(value, (bool, int, float, str, list)):
                found[f"{kind}.{name}"] = repr(value)[:200]
    return {**found, **model_traits(getattr(layers(env)[-1], "model", None))}


def apart(env: Any, other: Any) -> list[str]:
    """In which traits two environments of one id differ, but for their wrappers, how they are drawn, and the seed."""
    ours, theirs = (traits(layers(x)[-1]) for x in (env, other))
    keys = [key for key in {**ours, **theirs} if not key.endswith((".render_mode", "._np_random_seed"))]
    return [key for key in keys if ours.get(key) != theirs.get(key)]


def model_names(env: Any) -> dict[str, tuple[str, ...]]:
    """Names of the joints and actuators of an environment's MuJoCo model; empty if it has no model."""
    model: Any = getattr(layers(env)[-1], "model", None)
    if type(model).__name__ != "MjModel":
        return {}
    joints = (model.joint(i).name for i in range(model.njnt))
    actuators = (model.actuator(i).name for i in range(model.nu))
    return {"joint": tuple(filter(None, joints)), "actuator": tuple(filter(None, actuators))}


def model_traits(model: Any) -> dict[str, str]:
    """A hash of each array of a MuJoCo model that a shift may change; empty for anything that is not an MjModel."""
    if type(model).__name__ != "MjModel":
        return {}
    arrays = {name: getattr(model, name) for name in PHYSICS} | {name: getattr(model.opt, name) for name in OPTIONS}
    return {f"model.{name}": hashlib.sha256(np.asarray(x).tobytes()).hexdigest()[:12] for name, x in arrays.items()}
