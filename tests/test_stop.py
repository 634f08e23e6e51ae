"""Nothing is aligned with a source agent that is no more than an untrained one."""

from __future__ import annotations

import pytest
from test_transfer import LEARNERS, SETTINGS, SOURCE, TARGET

import transreward as tr
from transreward.engine import stop
from transreward.evaluation import diagnostics

pytestmark = pytest.mark.usefixtures("hurry")
REQUEST = {"learner": LEARNERS["sac"], "source_steps": 640, "target_steps": 96, "seeds": 2, "seed": 4}


@pytest.mark.parametrize("enough", [True, False])
def test_a_target_is_aligned_with_what_was_learned_alone(monkeypatch, enough):
    """The target does what the source agent does; whether that is much decides."""
    monkeypatch.setattr(diagnostics, "LEARNED", -1e9 if enough else 1e9)
    monkeypatch.setattr(stop, "ALIGNED_EPISODES", 1)
    settings = {**SETTINGS, "loop.aligned": 0.05, "loop.evaluations": 8}
    result = tr.transfer(SOURCE, TARGET, "fine_tune", settings=settings, **REQUEST)
    assert result.stopped == ("aligned" if enough else "budget")
    assert any("has not learned its own task" in text for text in result.warnings) == (not enough)
    assert repr(result).startswith("the source agent has not learned") == (not enough)
