"""Which geoms can touch, and the parameters that MuJoCo gives to a contact between two of them."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

Pair = tuple[int, int]


def pairs(model: Any) -> dict[Pair, int]:
    """The explicit `<pair>`s of a model: (lower geom id, higher geom id) -> id of the pair."""
    found = zip(model.pair_geom1.tolist(), model.pair_geom2.tolist(), strict=True)
    return {(min(pair), max(pair)): i for i, pair in enumerate(found)}


def touching(model: Any) -> Iterator[Pair]:
    """(lower geom id, higher geom id) of all geoms that masks and bodies let collide, as in `mj_collision`. Explicit
    pairs are not added."""
    of, types, affinities = (x.tolist() for x in (model.geom_bodyid, model.geom_contype, model.geom_conaffinity))
    collide = {pair for pair in combinations(range(model.nbody), 2) if _collide(model, *pair)}
    for a, b in combinations(range(model.ngeom), 2):
        masks = (types[a] & affinities[b]) or (types[b] & affinities[a])
        if masks and (min(of[a], of[b]), max(of[a], of[b])) in collide:
            yield a, b


def _collide(model: Any, a: int, b: int) -> bool:
    """Whether bodies a < b may collide: at least one moves, and they are neither welded together, nor parent and child,
    nor excluded."""
    import mujoco

    welds = [int(model.body_weldid[body]) for body in (a, b)]
    parents = [int(model.body_weldid[model.body_parentid[weld]]) for weld in welds]
    if welds[0] == welds[1] or not any(model.body_dofnum[weld] for weld in welds):
        return False
    family = welds[0] == parents[1] or welds[1] == parents[0]
    if family and all(welds) and not model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_FILTERPARENT:
        return False
    return (a << 16) + b not in model.exclude_signature


def parameters(model: Any, a: int, b: int) -> dict[str, Any]:
    """Parameters of a contact between two geoms without an explicit pair, named as the attributes of a `<pair>`.

    The geom of higher priority decides alone. With equal priorities the larger friction and dimension are taken, and
    the solver's parameters are averaged by `solmix`.
    """
    top = max(model.geom_priority[[a, b]])
    deciding = [g for g in (a, b) if model.geom_priority[g] == top]
    mix = np.where(model.geom_solmix[deciding] >= 1e-15, model.geom_solmix[deciding], 0.0)
    mix = mix / mix.sum() if mix.any() else np.full(len(deciding), 1 / len(deciding))
    solref = model.geom_solref[deciding]
    return {
        "condim": int(model.geom_condim[deciding].max()),
        "friction": model.geom_friction[deciding].max(axis=0)[[0, 0, 1, 2, 2]],
        "solref": mix @ solref if (solref[:, 0] > 0).all() else solref.min(axis=0),
        "solimp": mix @ model.geom_solimp[deciding],
        "margin": float(model.geom_margin[[a, b]].sum()),
        "gap": float(model.geom_gap[[a, b]].sum()),
        "adhesion": float(model.geom_adhesion[deciding].sum()),
    }


def of_contact(model: Any, a: int, b: int, what: str) -> np.ndarray:
    """A parameter of a contact between two geoms: `friction` [5] (two sliding, one torsional, two rolling coefficients)
    or `solref` [2]."""
    explicit = pairs(model).get((min(a, b), max(a, b)))
    return parameters(model, a, b)[what] if explicit is None else getattr(model, f"pair_{what}")[explicit]
