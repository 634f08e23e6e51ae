"""Settings of fine-tuning from end to end: who has them, and that a run with all of them is the run that it says."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from test_grid import LEARNERS, move
from test_transfer import ROBOTS, SOURCE, SOURCE_STEPS, TARGET_STEPS, same

import transreward as tr
from transreward.engine.programs import programs
from transreward.streams.walk import Walk

pytestmark = pytest.mark.usefixtures("hurry")

TUNING = {
    "learner.warmup_share": 0.4, "learner.actor_rate": 1e-4, "learner.policy_delay": 2, "learner.actor_wait": 0.3
}  # fmt: skip
FEED = {"feed.source": "replay", "feed.anneal": 0.5, "feed.deterministic": True}
LEARNER = replace(LEARNERS["sac"], layer_norm=True, warmup_steps=1000)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of `fine_tune` with all of them, its directory, and whose control steps were taken with noise."""
    directory, noisy = tmp_path_factory.mktemp("tuning") / "run", set()
    collect = Walk.collect

    def spied(self, act, agents, noise, steps):
        if act is not None:
            noisy.add((self.stream.name, noise is not None))
        return collect(self, act, agents, noise, steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Walk, "collect", spied)
        result = move("fine_tune", {**TUNING, **FEED}, learner=LEARNER, out=directory)
    return result, directory, noisy


@pytest.mark.slow
def test_a_run_with_all_settings_keeps_its_budgets_and_compiles_once(run):
    """The share of source steps falls from all to none meanwhile, and none of the source's budget is left unspent."""
    result, *_ = run
    assert result.steps.target == TARGET_STEPS and SOURCE_STEPS - ROBOTS < result.steps.source <= SOURCE_STEPS
    assert np.isfinite(result.target_return).all()
    traces = programs(result.learner, tr.method("fine_tune").compensation(), SOURCE.spaces).traces
    assert traces["improve"] == 1


@pytest.mark.slow
def test_only_the_source_is_explored(run):
    *_, noisy = run
    assert noisy == {("source", True), ("target", False)}


@pytest.mark.slow
def test_the_source_agent_is_that_of_a_run_without_them(run):
    result, directory, _ = run
    about = json.loads((directory / "source" / "agent.json").read_text())["learner"]
    assert about.pop("name") == "sac" and about == {**asdict(LEARNER), "hidden": list(LEARNER.hidden)}
    plain = move("fine_tune", source_run=directory)
    assert plain.learner == LEARNER and not same(plain.agents, result.agents)
    assert np.array_equal(plain.zero_shot, result.zero_shot)
    again = move("fine_tune", {**TUNING, **FEED}, source_run=directory)
    assert same(again.agents, result.agents)
    asked = replace(LEARNER, warmup_share=0.4, actor_rate=1e-4, policy_delay=2, actor_wait=0.3)
    assert same(move("fine_tune", FEED, source_run=directory, learner=asked).agents, result.agents)


@pytest.mark.slow
def test_a_source_agent_with_other_networks_is_refused(run):
    *_, directory, _ = run
    with pytest.raises(
        tr.RequestError, match=r"trained with learner\.layer_norm=True, so it cannot be trained on with"
    ):
        move("fine_tune", {"learner.layer_norm": False}, source_run=directory)
