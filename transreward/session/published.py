"""Policies that the learner's process hands to the one who answers the robot: files that are replaced as a whole.

`acting.json` says who may act; each policy is a file of those arrays of an agent that its actions depend on.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward.learners.learner import Learner
from transreward.runs import store
from transreward.types import RequestError, Spaces

ACTING = "acting.json"
DELIVERED = "delivered"  # who acts once the learner has ended
UNIFORM = "uniform"  # who acts while a policy from scratch has learned nothing


@dataclass
class Acting:
    """Who may act, and what their choice depends on."""

    names: list[str]  # candidates, the source policy first; or one that acts alone
    files: dict[str, str]  # of each
    noisy: list[str] = field(default_factory=list)  # of those, who explores
    learning: str | None = None
    simulated: dict[str, list[list[float]]] = field(default_factory=dict)  # see `Choice`
    explained: list[float] = field(default_factory=list)
    reach: float | None = None
    over: bool = False  # the learner has ended: this is what is delivered
    version: int = 0


def write(folder: Path, acting: Acting, policies: dict[str, dict[str, np.ndarray]]) -> None:
    """Publish. A policy that stays as it is keeps its file; those that nobody names any more are removed later."""
    folder.mkdir(exist_ok=True)
    for name, arrays in policies.items():
        store.save_tree(folder / acting.files[name], arrays)
    store.write_json(folder / ACTING, {"schema": store.SCHEMA, **asdict(acting)})
    kept = {*acting.files.values(), ACTING}
    for old in sorted(folder.iterdir(), key=os.path.getmtime)[:-8]:
        if old.name not in kept:
            old.unlink(missing_ok=True)


def read(folder: Path) -> Acting | None:
    """Who may act now; None while nobody may."""
    if not (folder / ACTING).exists():
        return None
    told = store.read_json(folder / ACTING)
    told.pop("schema", None)
    return Acting(**told)


@lru_cache(maxsize=4)
def template(learner: Learner, spaces: Spaces) -> tuple[dict[str, Any], Any, tuple[str, ...]]:
    """The leaves of an agent as shapes, by their paths; its structure; and those paths that its actions depend on."""
    like = jax.eval_shape(lambda: learner.init(jax.random.key(0), spaces))
    found, structure = jax.tree_util.tree_flatten_with_path(like)
    leaves = {jax.tree_util.keystr(path): x for path, x in found}
    zeros = [jnp.zeros(x.shape, x.dtype) for x in leaves.values()]

    def act(leaves: list[Any]) -> Any:
        return learner.act(
            jax.tree_util.tree_unflatten(structure, leaves), jnp.zeros(spaces.obs), jnp.zeros(spaces.action)
        )

    jaxpr = jax.make_jaxpr(act)(zeros).jaxpr
    used = {id(v) for equation in jaxpr.eqns for v in equation.invars} | {id(v) for v in jaxpr.outvars}
    return leaves, structure, tuple(name for name, v in zip(leaves, jaxpr.invars, strict=True) if id(v) in used)


def arrays_of(learner: Learner, spaces: Spaces, agents: Any) -> dict[str, np.ndarray]:
    """What the actions of the first of agents [seeds, ...] depend on."""
    leaves = {jax.tree_util.keystr(path): x for path, x in jax.tree_util.tree_flatten_with_path(agents)[0]}
    return {name: np.asarray(leaves[name][0]) for name in template(learner, spaces)[2]}


class Policy:
    """A published policy, ready to act at once. Raises RequestError for a file that is gone, damaged or not finite."""

    def __init__(self, learner: Learner, spaces: Spaces, file: Path) -> None:
        found = store.load_arrays(file)
        names = template(learner, spaces)[2]
        if not all(np.isfinite(found[f"[{name!r}]"]).all() for name in names):
            raise RequestError(f"the policy in {file} holds numbers that are not finite")
        self._arrays = tuple(jax.device_put(found[f"[{name!r}]"]) for name in names)
        self._act = acts(learner, spaces)

    def __call__(self, obs: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        """[obs] -> [action] in the domain's units; without noise the mode."""
        return np.array(self._act(self._arrays, obs, noise))


@lru_cache(maxsize=4)
def acts(learner: Learner, spaces: Spaces) -> Any:
    """(arrays, obs, noise or None) -> action, compiled once for all policies of the learner."""
    leaves, structure, used = template(learner, spaces)

    def act(arrays: tuple[Any, ...], obs: Any, noise: Any) -> Any:
        known = dict(zip(used, arrays, strict=True))
        agent = [known.get(name, jnp.zeros(x.shape, x.dtype)) for name, x in leaves.items()]
        return learner.act(jax.tree_util.tree_unflatten(structure, agent), obs, noise)

    return jax.jit(act)
