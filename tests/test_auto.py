"""The method `auto`: its stages, what it keeps of a stage without target steps, and when its trials stop."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward.engine import delivery
from transreward.fallback import Belief, Episode, decided
from transreward.plan.compile import compile, walked
from transreward.request.resolve import resolve
from transreward.runs.result import restore_method

SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()}
BUDGETS = {**bits.REQUEST, "source_steps": 4_000, "target_steps": 400}


def config(learner, **more):
    settings = SETTINGS | more.pop("settings", {})
    return resolve(
        "hopper", bits.TARGET, "auto", learner=tr.learner(learner, **bits.LEARNERS[learner]), settings=settings,
        source_run=None, controls=(), **{**BUDGETS, **more},
    )  # fmt: skip


def stages(learner, **more):
    (track,) = compile(config(learner, **more)).tracks
    assert sum(walked(stage).target for stage in track.stages) <= BUDGETS["target_steps"]
    return {stage.phase: stage for stage in track.stages}


def test_with_sac_target_steps_train_what_the_simulator_does_not_explain():
    found = stages("sac", settings={"ground.steps": 100})
    assert list(found) == ["evidence", "walk", "transfer"]
    assert found["evidence"].budget.target == 200  # half of a small budget
    assert found["walk"].budget.target == 0 and found["walk"].ground is not None
    assert found["transfer"].target_share == 0.5 and found["transfer"].method.gap is not None
    assert found["transfer"].candidates == ("source", "auto-alone", "auto")


@pytest.mark.parametrize(("learner", "steps"), [("ppo", 100), ("sac", 500)])
def test_where_no_target_steps_can_train_it_the_rest_are_trials(learner, steps):
    found = stages(learner, settings={"ground.steps": steps})
    assert found["transfer"].target_share == 0 and found["transfer"].method.gap is None
    assert list(found) == ["evidence", "transfer", *(["trial"] if steps == 100 else [])]
    if steps == 100:
        trial = found["trial"]
        assert trial.candidates == trial.stream("target").acting == ("source", "auto")
        assert (trial.schedule.updates, trial.schedule.warm, trial.budget.target) == (0, 0, 200)


@pytest.mark.parametrize(
    ("low", "high", "tested", "over"),
    [
        ([100, 60], [100, 90], True, True),
        ([100, 60], [100, 90], False, False),  # it never acted in the target
        ([100, 60], [100, 104], True, False),
        ([100, 60], [100, 101.9], True, True),  # within the margin
        ([100, 101], [100, 200], True, True),  # surely ahead of the source policy, by whatever
        ([-100, -160], [-100, -120], True, True),
    ],
)
def test_trials_are_over_when_no_other_candidate_could_be_better(low, high, tested, over):
    low, high = np.array(low, float), np.array(high, float)
    doubt = (high - low) / (2 * 0.8416)
    belief = Belief((low + high) / 2, doubt, doubt)
    assert decided(belief, tested) is over


def test_a_policy_that_a_poor_simulator_expects_much_of_is_tried_twice(monkeypatch):
    monkeypatch.setattr(delivery, "delivered", lambda run: ["auto", "auto", "source"])
    tried = [[Episode("source", 3.0, 10), Episode("auto", 5.0, 20)] for _ in range(3)]
    choice = SimpleNamespace(episodes=tried, explained=[0.99, 0.76, 0.0])
    run = SimpleNamespace(choice=choice, config=SimpleNamespace(seeds=3))
    assert delivery.tested(run) == [True, False, True]
    tried[1].append(Episode("auto", 1.0, 30))
    assert delivery.tested(run) == [True, True, True]
    choice.explained = []  # no simulator says anything
    assert delivery.tested(run) == [False, True, True]


def test_of_agents_each_seed_has_its_own():
    agents = [{"w": jnp.arange(6.0).reshape(3, 2) + 10 * i} for i in range(2)]
    assert delivery.chosen(agents, [0, 1, 0])["w"].tolist() == [[0, 1], [12, 13], [4, 5]]


@pytest.fixture(scope="module", params=["ppo", "sac"])
def run(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("auto") / "run"
    result = tr.transfer(
        "hopper", bits.TARGET, "auto", learner=tr.learner(request.param, **bits.LEARNERS[request.param]),
        settings=SETTINGS | {"ground.steps": 150, "loop.eval_episodes": 2}, out=out, **BUDGETS,
    )  # fmt: skip
    return result, out


@pytest.mark.slow
def test_a_run_keeps_its_budgets_and_says_what_it_delivers(run):
    result, out = run
    assert result.steps.target <= 400 and result.steps.source <= 4_000
    assert len(result.delivered) == 2 and set(result.delivered) <= {"source", "auto-alone", "auto"}
    said = json.loads((out / "fallback.json").read_text())
    assert said["target_steps"] == result.steps.target
    assert json.loads((out / "identification.json").read_text())["id"].startswith("hopper:gravity=0.5")
    assert tr.load(out).delivered == result.delivered


@pytest.mark.parametrize(("learner", "other"), [("ppo", "darc"), ("sac", "mix")])
def test_without_a_simulator_of_the_source_it_does_as_another_row_with_a_fallback(learner, other):
    made = tr.learner(learner, **bits.LEARNERS[learner])
    with pytest.warns(UserWarning, match=f"'auto' does as '{other}' does, .* is no robot of the table"):
        found = resolve(
            "gym:InvertedPendulum-v5", "inverted_pendulum:gravity=0.5", "auto", learner=made, settings=SETTINGS,
            source_run=None, controls=(), **BUDGETS,
        )  # fmt: skip
    row = tr.method(other)
    assert (found.method.feed, found.method.gap, found.method.use) == (row.feed, row.gap, row.use)
    (track,) = compile(found).tracks
    assert found.method.name == "auto" and track.stages[-1].candidates == ("source", "auto")
    assert restore_method(found.as_json(found.method)).gap == row.gap


@pytest.mark.parametrize("learner", ["ppo", "sac"])
def test_a_config_says_which_variant_ran(learner):
    found = config(learner)
    row = restore_method(json.loads(json.dumps(found.as_json(found.method))))
    assert (row.gap, row.use, row.feed) == (found.method.gap, found.method.use, found.method.feed)
