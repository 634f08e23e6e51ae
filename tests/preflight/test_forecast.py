"""What a source policy would return in a target that it never acted in."""

from __future__ import annotations

import pytest

import transreward as tr
from transreward.evaluation.returns import evaluate
from transreward.preflight.forecast import EPISODES, Forecast, forecast
from transreward.preflight.show import show
from transreward.preflight.steps import source_policy

pytestmark = pytest.mark.usefixtures("hurry")

POLE, HEAVY = "inverted_pendulum", "inverted_pendulum:gravity=2"


@pytest.fixture(scope="module")
def run(hurry, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs") / "run"
    settings = {
        "learner.hidden": (8,), "learner.robots": 8, "learner.rollout_steps": 16, "learner.minibatches": 2,
        "learner.epochs": 1, "loop.final_episodes": 1, "loop.eval_episodes": 1, "loop.source_evaluations": 1,
    }  # fmt: skip
    tr.transfer(POLE, HEAVY, "zero_shot", learner="ppo", source_steps=256, seeds=1, settings=settings, out=place)
    return place


def returned(run, name: str) -> float:
    act = source_policy(run, tr.domain(POLE))
    found = evaluate(tr.domain(name), lambda _, obs, __: act(obs), None, [0], EPISODES)
    return float(found.returns.mean())


def test_it_is_what_the_policy_returns_where_all_is_found(run, capsys):
    one = tr.check(POLE, HEAVY, source_run=run, target_steps=600)
    assert one.identification.id == HEAVY
    assert one.forecast == Forecast(pytest.approx(returned(run, POLE)), pytest.approx(returned(run, HEAVY)))
    assert one.as_json()["forecast"] == one.forecast._asdict()
    show(one)
    assert "forecast: the source policy returns" in capsys.readouterr().out


def test_what_is_not_known_is_not_foreseen(run):
    assert forecast(None, tr.domain(POLE), "not known", False, 0) is None
    assert forecast(run, tr.domain(POLE), "not known", False, 0) is None
    alike = forecast(run, tr.domain(POLE), "nothing differs", True, 0)
    assert alike is not None and alike.source == alike.target == pytest.approx(returned(run, POLE))
    one = tr.check(POLE, f"{POLE}+terms(survive=-1)", source_run=run, target_steps=600)
    assert one.figures.tasks_differ and one.forecast is None
