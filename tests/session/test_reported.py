"""What a person sees of a session's learner."""

from __future__ import annotations

import re
import sys
import threading
import warnings

import pytest

import transreward as tr
from transreward.request.resolve import resolve
from transreward.session.asked import opens
from transreward.session.reported import Heard, Reported, only_found

PROGRESS = {"event": "progress", "phase": "source", "said": [], "done": 0.0, "rows": []}


def test_training_without_a_robot_says_how_it_goes():
    """And a phase in which the robot acts, which may last a day, says that it began, and what was found."""
    said = []
    reported = Reported(said.append, every=0.0)
    reported(PROGRESS)
    reported({**PROGRESS, "done": 0.5, "rows": [{"source_return": 30.0}, {"source_return": 34.0}]})
    assert said[0] == "training the source agent ..."
    assert said[1].startswith("training the source agent: 50%, return 32.0 in the source, about ")
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


def test_a_phase_that_was_over_before_is_not_announced_again():
    """As of a session that is resumed, or takes up a kept source agent."""
    said = []
    reported = Reported(said.append)
    reported({**PROGRESS, "done": 1.0})
    reported({**PROGRESS, "phase": "evidence", "done": 0.25})
    assert said == ["the source policy acts first ..."]


def test_while_a_robot_acts_only_what_was_found_is_said():
    said = []
    for line in ([], ["gravity x 2"]):
        only_found(said.append)({**PROGRESS, "said": line})
    only_found(said.append)({"event": "over"})
    assert said == ["gravity x 2"]


def test_several_robots_at_once_are_warned_once_of_each():
    """Of two threads one came to an empty list, and the step that it had told, which was kept, passed for refused."""
    before, wrong, rounds, robots = sys.getswitchinterval(), [], 60, 4

    def robot(heard, together):
        together.wait()
        try:
            heard.pass_on()
        except IndexError as error:
            wrong.append(error)

    sys.setswitchinterval(1e-6)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for k in range(rounds):
                heard, together = Heard(lambda said: None), threading.Barrier(robots)
                heard({"event": "warning", "text": f"number {k}"})
                for _ in range(50):
                    heard(PROGRESS)
                threads = [threading.Thread(target=robot, args=(heard, together)) for _ in range(robots)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong and [str(w.message) for w in caught] == [f"number {k}" for k in range(rounds)]


@pytest.mark.parametrize(
    ("method", "steps", "words"),
    [
        ("auto", 500, r"first 500 of 500 steps, since what differs .* no other policy will act: raise `target_steps`"),
        ("auto", 3000, r"the first 1,000 of 3,000 steps, since it is judged by whole episodes, .* last 1,000 steps$"),
        ("fine_tune", 500, "^$"),
    ],
)
def test_it_is_said_beforehand_how_long_the_source_policy_acts(method, steps, words):
    asked = {"target_steps": steps, "seeds": 1, "settings": {"loop.eval_target": "training"}, "source_run": None}
    asked |= {"source_steps": 100_000, "seed": 0}
    config = resolve("hopper", "asked:hopper", method, controls=(), learner="sac", **asked)
    assert tr.domain("hopper").episode_steps == 1000
    assert re.search(words, opens(config))
