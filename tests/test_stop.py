"""Nothing is aligned with a source agent that is no more than an untrained one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from test_transfer import LEARNERS, SETTINGS, SOURCE, TARGET

import transreward as tr
from transreward.engine import stop
from transreward.evaluation import diagnostics
from transreward.request.resolve import resolve

pytestmark = pytest.mark.usefixtures("hurry")
REQUEST = {"learner": LEARNERS["sac"], "source_steps": 640, "target_steps": 96, "seeds": 2, "seed": 4}


@pytest.mark.parametrize("enough", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_target_is_aligned_with_what_was_learned_alone(monkeypatch, enough):
    """The target does what the source agent does; whether that is much decides."""
    monkeypatch.setattr(diagnostics, "LEARNED", -1e9 if enough else 1e9)
    monkeypatch.setattr(stop, "ALIGNED_EPISODES", 1)
    settings = {**SETTINGS, "loop.aligned": 0.05, "loop.evaluations": 8}
    result = tr.transfer(SOURCE, TARGET, "fine_tune", settings=settings, **REQUEST)
    assert result.stopped == ("aligned" if enough else "budget")
    assert any("has not learned its own task" in text for text in result.warnings) == (not enough)
    assert repr(result).startswith("the source agent has not learned") == (not enough)


def test_the_untrained_agent_is_judged_within_the_limits_of_the_run(monkeypatch):
    """A simulator that stands still there, or loses a robot, is what it is in every other evaluation."""
    settings, seen = {**SETTINGS, "loop.patience": 7.0, "loop.diverged": 0.2}, []

    def evaluate(*given):
        seen.append(given[-1])
        return SimpleNamespace(returns=np.zeros((2, 1)))

    monkeypatch.setattr(stop, "evaluate", evaluate)
    monkeypatch.setattr(stop, "scale", lambda robot, learner: None)  # of no robot that is known
    config = resolve(SOURCE, TARGET, "fine_tune", settings=settings, controls=(), source_run=None, **REQUEST)
    programs = SimpleNamespace(act=None, init=lambda keys: (None, None))
    ledger = SimpleNamespace(payer=lambda account: None)
    assert stop.learned(SimpleNamespace(config=config, reference=1.0, programs=programs, ledger=ledger))
    assert seen == [config.loop.limits] and config.loop.limits.patience == 7.0
