"""What a person sees of a session's learner."""

from __future__ import annotations

from transreward.session.reported import Reported

PROGRESS = {"event": "progress", "phase": "source", "said": [], "done": 0.0, "rows": []}


def test_training_without_a_robot_says_how_it_goes():
    """And a phase in which the robot acts, which may last a day, says that it began, and what was found."""
    said = []
    reported = Reported(said.append, every=0.0)
    reported(PROGRESS)
    reported({**PROGRESS, "done": 0.5, "rows": [{"source_return": 30.0}, {"source_return": 34.0}]})
    assert said[0] == "training the source agent ..."
    assert said[1].startswith("training the source agent: 50%, return 32 in the source, about ")
    said.clear()
    reported({**PROGRESS, "phase": "transfer", "said": ["gravity is 2 times the source's"]})
    reported({**PROGRESS, "phase": "transfer", "done": 0.5})
    assert said == ["gravity is 2 times the source's", "learning ..."]


def test_a_short_wait_says_little():
    said = []
    reported = Reported(said.append, every=60.0)
    for done in (0.0, 0.4, 1.0):
        reported({**PROGRESS, "done": done})
    reported({"event": "warning", "text": "of the session"})
    assert said == ["training the source agent ..."]
