"""Relabelling: stored steps are paid as if the target's task had been running all along, or by a model, and say so."""

from __future__ import annotations

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from quick import robots
from test_grid import LEARNERS, move
from test_transfer import SEEDS, same

import transreward as tr
from transreward.domains.difference import relabels
from transreward.replay import in_order
from transreward.runs import store
from transreward.runs.source_agent import SourceAgent
from transreward.streams.walk import relabel

pytestmark = pytest.mark.usefixtures("hurry")

OWN = "tests.domains.made:ahead"
PAIRS = [
    ("halfcheetah", "halfcheetah+backward"),
    ("halfcheetah+backward", "halfcheetah+run(speed=3)+terms(control=0)"),
    ("halfcheetah:delay=1,noise=0.1", "halfcheetah+terms(control=2):delay=1,noise=0.1"),
    ("halfcheetah", f"halfcheetah+{OWN}"),
    (f"halfcheetah+{OWN}", "halfcheetah"),
    ("hopper+hop(speed=1)", "hopper+stand"),
    ("ant", "ant+direction(degrees=30)"),
    ("ant+direction(degrees=30)", "ant"),
    ("humanoid", "humanoid+stand+terms(contact=3)"),
    ("ant+goal(x=1,y=0)", "ant+sparse_goal(x=0,y=0.3)"),
    ("reacher", "reacher+terms(control=0)"),
    ("pusher+terms(near=0)", "pusher"),
    ("inverted_double_pendulum", "inverted_double_pendulum+terms(velocity=5)"),
    ("humanoid_standup", "humanoid_standup+terms(height=0.5)"),
]


def taken(id, steps=40):
    """Random steps, the same for every task of a robot."""
    return robots(tr.domain(id), [3, 4], 2, 1, terms=1).collect(None, None, None, steps)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_relabelling_equals_running_the_task(source, target):
    known, wanted = taken(source), taken(target)
    found, reward = relabel(tr.domain(target), known), wanted.transition.reward
    np.testing.assert_allclose(found.transition.reward, reward, rtol=2e-6, atol=2e-6)
    assert (known.transition.reward != reward).any()
    found = found._replace(transition=found.transition._replace(reward=reward))
    assert same(found, wanted)  # the steps, what ended them and what was stored


def test_a_step_that_ended_an_episode_is_paid_for_what_it_did():
    """Not for the state after the reset."""
    known = taken("hopper", 200)
    assert known.transition.terminated.sum() > 2
    wanted = taken("hopper+run(speed=2)", 200).transition.reward
    found = relabel(tr.domain("hopper+run(speed=2)"), known).transition.reward
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("source", "target", "exact"),
    [
        ("halfcheetah", "halfcheetah+backward:gravity=2", True),
        ("halfcheetah:delay=1", f"halfcheetah+{OWN}", False),  # it is asked for the action that acted
        ("ant+goal(x=1,y=0):delay=1", "ant+goal(x=0,y=2)", True),
        ("ant+goal(x=1,y=0):sensor_noise=0.1", "ant+goal(x=0,y=2)", False),  # and a goal for where the robot is
        ("ant+goal(x=1,y=0):sensor_delay=2", "ant+sparse_goal(x=0,y=2)", False),
        ("ant:sensor_bias=0.5", "ant+direction(degrees=90)", True),
        ("halfcheetah:deadzone=0.1", f"halfcheetah+{OWN}", False),
        ("halfcheetah:sensor_bias=0.1", f"halfcheetah+{OWN}", False),  # and for the true state
        ("halfcheetah:sensor_bias=0.1", "halfcheetah+backward", True),
        ("halfcheetah:gravity=2", f"halfcheetah+{OWN}", True),
        ("halfcheetah", "walker2d", False),
        ("inverted_pendulum", "gym:InvertedPendulum-v5", False),
    ],
)
def test_what_can_be_computed_is(source, target, exact):
    assert relabels(tr.domain(source), tr.domain(target)) == exact


# -- a run ---------------------------------------------------------------------------------------------------------

SOURCE, TARGET = "inverted_double_pendulum", "inverted_double_pendulum+terms(survive=0)"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that relabels exactly, its directory and the replay it learned from."""
    seen, directory = [], tmp_path_factory.mktemp("relabel") / "run"
    with pytest.MonkeyPatch.context() as patch:
        module = sys.modules["transreward.engine.stages"]
        begin = module.begin

        def spy(*args, **named):
            made = begin(*args, **named)
            seen.append(made)
            return made

        patch.setattr(module, "begin", spy)
        result = move("relabel", learner=LEARNERS["sac"], source=SOURCE, target=TARGET, out=directory)
    return result, directory, seen[-1]


def test_a_run_learns_from_the_old_steps_as_the_target_pays_them(run):
    result, directory, made = run
    agent = SourceAgent.load(directory, tr.domain(SOURCE), result.learner, SEEDS)
    old, paid = in_order(agent.replay), in_order(made.replays.source)
    assert (old.transition.reward > 5).any()  # the source pays 10 for living, the target nothing
    np.testing.assert_allclose(paid.transition.reward, old.terms[..., 1] + old.terms[..., 2], rtol=1e-6)
    assert {row["relabelled"] for row in result.log if row["method"] == "relabel"} == {"exactly"}
    assert result.warnings == [] or all("model" not in text for text in result.warnings)


def test_steps_that_were_stored_without_terms_are_not_guessed(run, tmp_path):
    _, directory, _ = run
    old = store.load_arrays(directory / "source" / "replay.safetensors")["['data']"]
    terms = len(tr.domain(SOURCE).stored_terms)
    (tmp_path / "source").mkdir()
    for name in ("agent.json", "agent.safetensors"):
        (tmp_path / "source" / name).write_bytes((directory / "source" / name).read_bytes())
    store.save_tree(tmp_path / "source" / "replay.safetensors", {"data": jnp.asarray(old)[..., :-terms]})
    with pytest.raises(tr.RequestError, match="were stored without their reward terms") as caught:
        move("relabel", source_run=tmp_path, source=SOURCE, target=TARGET, out=tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_fresh_source_steps_are_paid_as_well(monkeypatch):
    module, seen = sys.modules["transreward.engine.stages"], []
    loop = module.loop
    monkeypatch.setattr(module, "loop", lambda made, **saved: (loop(made, **saved), seen.append(made))[0])
    move("relabel", {"feed.source": "online"}, learner=LEARNERS["sac"], source=SOURCE, target=TARGET)
    steps = in_order(seen[-1].replays.source)
    assert seen[-1].takers["source"].steps > 0
    np.testing.assert_allclose(steps.transition.reward, steps.terms[..., 1] + steps.terms[..., 2], rtol=1e-6)


@pytest.mark.slow
def test_a_model_pays_where_nothing_can_be_computed():
    result = move("relabel", learner=LEARNERS["sac"], source="inverted_pendulum+terms(survive=-1)",
                  target="gym:InvertedPendulum-v5")  # fmt: skip
    last = [row for row in result.log if row["method"] == "relabel"][-1]
    assert last["relabelled"] == "by a model" and last["gap_mean"] > 0.5  # from -1 towards the target's 1
    assert any("a model of it" in text for text in result.warnings)


@pytest.mark.parametrize(
    ("name", "settings", "target", "message"),
    [
        ("relabel", {}, "inverted_double_pendulum:gravity=2", "pay alike for the same step, so relabelling would"),
        ("relabel", {"feed.target_share": 1.0}, TARGET, "pays the source's steps, so feed.target_share must be below"),
        ("relabel", {"gap.members": 3}, TARGET, "has no gap, so 'gap.members' would change nothing"),
        ("relabel", {"use.pessimism": -1}, TARGET, "use.pessimism must not be negative"),
        ("relabel(clasifier)", {}, TARGET, "unknown gap 'clasifier'"),
    ],
)
def test_what_would_change_nothing_is_refused(name, settings, target, message):
    with pytest.raises(tr.RequestError) as caught:
        tr.transfer(SOURCE, target, name, settings=settings, learner=LEARNERS["sac"], source_steps=512)
    assert message in str(caught.value) and "\n" not in str(caught.value)
