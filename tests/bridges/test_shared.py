"""Methods that compare steps compare those of unlike bodies by the columns that both have."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from crossed import SMALL

import transreward as tr
from transreward.gaps.classifier import Classifier
from transreward.methods import METHODS
from transreward.types import Pair, Shared, Spaces, Transition
from transreward.uses.compensation import Compensation
from transreward.uses.penalty import Penalty

SPACES = Spaces(3, 2, -np.ones(2), np.ones(2))
SHARED = Shared((0, 1), (0,))
OFFLINE = {"offline.hidden": (4,), "offline.batch": 16, "offline.updates": 24, "offline.burst": 8}
ACROSS = "halfcheetah", "halfcheetah:legs=3"


def steps(rng, n, filled):
    """Steps of one dynamics, whose last column and motor only one body has; of the other they are `filled`."""
    obs, action = rng.normal(size=(n, 3)), rng.uniform(-1, 1, (n, 2))
    next_obs = obs + 0.1 * action[:, :1] + 0.1 * rng.normal(size=(n, 3))
    if filled:
        obs[:, 2] = next_obs[:, 2] = 0.3
    flat = np.zeros(n)
    return Transition(*(np.asarray(x, np.float32) for x in (obs, action, flat, next_obs, flat, flat)))


@pytest.mark.parametrize("shared", [None, SHARED])
def test_bodies_are_told_apart_by_what_only_one_has(shared):
    """By the fill at once; by what they share not at all, for there they move alike."""
    rng = np.random.default_rng(0)
    one = Compensation(Classifier(hidden=(32,), noise=0.0), Penalty(), shared=shared)
    state, update = one.init(jax.random.key(0), SPACES), jax.jit(one.update)
    for i in range(400):
        state, _ = update(state, Pair(steps(rng, 256, True), steps(rng, 256, False)), jax.random.key(i))
    found = one.evaluate(state, Pair(steps(rng, 4000, True), steps(rng, 4000, False)))
    assert (float(found["gap_accuracy"]) > 0.95) == (shared is None)
    assert abs(float(found["gap_accuracy"]) - 0.5) < 0.03 or shared is None


@pytest.mark.slow
def test_what_is_not_shared_changes_nothing():
    rng = np.random.default_rng(1)
    one = Compensation(Classifier(hidden=(8,)), Penalty(), shared=SHARED)
    state = one.init(jax.random.key(0), SPACES)
    batches = Pair(steps(rng, 64, True), steps(rng, 64, False))
    state, _ = one.update(state, batches, jax.random.key(1))
    found = one.change(state, batches)
    t = batches.source
    moved = t._replace(obs=t.obs + np.eye(3)[2], next_obs=t.next_obs - np.eye(3)[2], action=t.action + np.eye(2)[1])
    np.testing.assert_array_equal(one.change(state, batches._replace(source=moved)).source.delta, found.source.delta)
    moved = t._replace(obs=t.obs + np.eye(3)[1])
    assert (one.change(state, batches._replace(source=moved)).source.delta != found.source.delta).any()


def test_the_crossing_says_what_is_shared():
    crossing = tr.bridge(*ACROSS).crossing
    obs, action = crossing.shared
    names = [e.name for i, e in enumerate(crossing.shown.entries) if i not in obs]
    assert names == [f"{part}2 {what}" for what in ("angle", "velocity") for part in ("bthigh", "bshin", "bfoot")]
    assert len(action) == 6


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(row.name, marks=() if row.name in ("darc", "gaifo") else pytest.mark.long)
        for row in METHODS.values()
        if row.compares
    ],
)
def test_rows_that_compare_cross(name, tmp_path):
    small = OFFLINE if METHODS[name].offline is not None else {}
    found = tr.transfer(
        *ACROSS, name, controls=[], out=tmp_path / "run", **{**SMALL, "settings": {**SMALL["settings"], **small}}
    )
    assert found.config["source"] == "halfcheetah@named(halfcheetah:legs=3)"
    again = tr.load(tmp_path / "run")
    assert (again.target_return == found.target_return).all()
    assert again.config == found.config
    assert again.compensation()[0].shared == tr.bridge(*ACROSS).crossing.shared
