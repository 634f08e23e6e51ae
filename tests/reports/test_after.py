"""What a run's end says to do next."""

from __future__ import annotations

import pytest

from transreward.evaluation.verdict import Verdict
from transreward.reports.repeat import after
from transreward.reports.subject import Subject
from transreward.runs.record import Record

CONFIG = {
    "source": "hopper", "target": "hopper:gravity=0.5", "method": "darc", "seeds": 3, "seed": 0, "source_steps": 1000,
    "target_steps": 10_000, "learner": {"name": "sac"}, "controls": ["zero_shot"], "loop": {"symmetry": "auto"},
}  # fmt: skip


class Judged(Subject):
    """A run of which the verdict is known."""

    def __init__(self, kind, comparison=False):
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "comparison", comparison)
        object.__setattr__(self, "records", [])
        object.__setattr__(self, "focus", Record(CONFIG, [], None))

    def verdicts(self):
        return [Verdict(self.kind, "")]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("helped", "transreward export 'runs/a b'   ("),
        ("hurt", "transreward check hopper hopper:gravity=0.5   ("),
        (
            "unknown",
            "transreward transfer hopper hopper:gravity=0.5 --method darc --controls zero_shot --learner sac "
            "--source-steps 1000 --seeds 6   (",
        ),
        ("unfinished", "transreward resume 'runs/a b'   ("),
        ("ceiling", ""),
    ],
)
def test_the_next_command_follows_the_verdict(kind, said):
    assert after(Judged(kind), "runs/a b").startswith(said) and bool(after(Judged(kind), "x")) == bool(said)
    assert after(Judged(kind, comparison=True), "x") == ""
