"""Whose policy a film shows, and in which robot: those of its seed, whatever the run's own learner and columns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import jax
import numpy as np
import pytest

import transreward as tr
from transreward.evaluation.returns import evaluate
from transreward.reports.export import opened
from transreward.reports.films import play
from transreward.reports.films.take import Film, act
from transreward.runs.source_agent import SourceAgent


def still(obs):
    return np.zeros((*obs.shape[:-1], 1), np.float32)


def test_it_is_the_robot_that_its_seed_had():
    """Where each seed of a run has a robot of its own; and so is what is exported."""
    id = "inverted_pendulum:gravity=2|gravity=20"
    config = {"source": "inverted_pendulum", "target": id, "seed": 3, "seeds": 2}
    run: Any = SimpleNamespace(config=config, eval_target="simulated", require=lambda seed: None)
    whole = evaluate(tr.domain(id), lambda agents, obs, noise: still(obs), None, [3, 4], 1)
    for seed in (0, 1):
        of = play._domains(run, seed)
        assert of.target.name == opened(run, seed).target.name == f"inverted_pendulum:gravity={[2, 20][seed]}"
        (take,) = act(of.target, still, 3 + seed, Film(seconds=600))
        assert np.isclose(take.steps.reward.sum(), whole.returns[seed, 0])
    assert whole.lengths[0, 0] != whole.lengths[1, 0]


@pytest.mark.parametrize(
    ("trained", "source", "method", "size"),
    [
        ("inverted_pendulum", "inverted_pendulum", "iql", (4, 1)),
        ("halfcheetah", "halfcheetah@named(halfcheetah:legs=3)", "fine_tune", (23, 9)),
        ("inverted_pendulum:gravity=1..2@informed=0.2", "inverted_pendulum", "universal", None),
    ],
)
def test_the_source_policy_of_another_learner_or_in_other_columns(trained, source, method, size, tmp_path):
    """Than the run's own: before a method that learns offline, and across a bridge."""
    learner, keys = tr.learner("sac", hidden=(4,)), jax.random.split(jax.random.key(0), 2)
    agents = jax.vmap(lambda key: learner.init(key, tr.domain(trained).spaces))(keys)
    SourceAgent(trained, learner, agents, None, keys, 9, [0, 1], []).save(tmp_path / "source")
    shown = {"seeds": 2, "source": source, "spaces": {"obs": size and size[0]}}
    policy = play.source_policy(cast(Any, SimpleNamespace(method=method, controls={}, config=shown)), tmp_path, 1)
    assert (policy and policy(np.zeros(size[0])).shape) == (size and size[1:])
