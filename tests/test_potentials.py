"""Runs of the methods that shape the target's rewards by what the source agent knows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from test_grid import LEARNERS, move
from test_transfer import same

import transreward as tr
from transreward.engine.programs import Programs
from transreward.learners.learner import Learner
from transreward.learners.sac import SAC
from transreward.methods import METHODS
from transreward.types import RequestError
from transreward.uses.use import Use
from transreward.wrapper import WANTED

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """Directory of a SAC run with a source agent."""
    directory = tmp_path_factory.mktemp("potentials") / "run"
    move("value_potential", learner=LEARNERS["sac"], out=directory)
    return directory


@dataclass(frozen=True)
class Nothing(Use):
    """A use that asks for the source agent and does nothing."""

    name = "nothing"
    needs = ("source_value",)


@pytest.fixture(scope="module")
def plain(agent):
    """The base learner, from nothing on target steps, with the source agent beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "value_potential", replace(METHODS["value_potential"], use=Nothing()))
        return move("value_potential", source_run=agent)


@pytest.mark.parametrize(
    "name",
    [
        "value_potential",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("policy_advice", "kickstart", "qavatar", "cup")),
    ],
)  # fmt: skip
def test_without_strength_it_is_the_base_learner_bit_for_bit(agent, plain, name):
    scratch = {"use.start": "nothing"} if name == "cup" else {}
    assert same(move(name, {"use.strength": 0.0, **scratch}, source_run=agent).agents, plain.agents)
    assert not same(move(name, scratch, source_run=agent).agents, plain.agents)


@pytest.mark.slow
def test_without_strength_it_is_fine_tuning_bit_for_bit(agent):
    tuned = move("fine_tune", source_run=agent)
    for name in ("dpba", "cup"):
        assert same(move(name, {"use.strength": 0.0}, source_run=agent).agents, tuned.agents)
    guided = move("cup", source_run=agent)
    assert not same(guided.agents, tuned.agents) and set(guided.guided) == {tuned.config["source"]}


def test_advice_needs_a_learner_that_takes_it():
    for name in ("policy_advice", "kickstart", "qavatar", "cup"):
        with pytest.raises(RequestError, match=f"'{name}' asks the source agent while it learns, which ppo cannot"):
            move(name, learner=LEARNERS["ppo"])


def test_a_value_potential_pays_ever_less(agent):
    result = move("value_potential", {"use.fade": 1.0, "loop.evaluations": 4}, source_run=agent)
    rows = [row for row in result.log if row["method"] == "value_potential" and row["seed"] == 4]
    worth = [abs(row["gap_std"]) / max(abs(row["reward_std"]), 1e-8) for row in rows]
    assert len(rows) == 4 and np.isfinite(worth).all() and rows[0]["gap_std"] > 0


@dataclass(frozen=True)
class Valueless(SAC):
    """A learner that takes advice and has no critic of actions to ask."""

    name = "valueless"
    q = Learner.q


def test_a_critic_that_is_asked_has_to_be_there():
    with pytest.raises(RequestError, match="'qavatar' asks the source agent's critic, and valueless has no `q`"):
        move("qavatar", learner=Valueless(hidden=(4,)))


def test_qavatar_says_how_much_of_the_source_agents_critic_it_follows(agent):
    result = move("qavatar", source_run=agent)
    rows = [row for row in result.log if row["method"] == "qavatar"]
    assert len(rows) == 4 and all(0 < row["source_share"] < 1 for row in rows)
    assert all(row["own_error"] > 0 and row["source_error"] > 0 for row in rows)
    extras, obs = result.extras(1), np.ones((3, 4), np.float32)
    its = extras["source_q"](obs, extras["source_act"](obs))
    np.testing.assert_allclose(its, extras["source_value"](obs), rtol=1e-4, atol=1e-5)
    assert set(extras) <= set(WANTED)


SGFT = {"use.start": "source", "use.horizon": 10, "use.fade": 0.0}


@pytest.mark.slow
def test_with_a_horizon_it_goes_on_from_the_source_agent(agent):
    """Whose own discount is as it was."""
    result = move("value_potential", {**SGFT, "learner.actor_wait": 0.99}, source_run=agent)
    assert same(result.agents.actor, move("zero_shot", source_run=agent).agents.actor)  # it waits to the end
    assert not same(result.agents.critics, move("zero_shot", source_run=agent).agents.critics)
    plain = LEARNERS["sac"].discount
    assert result.learner.discount == pytest.approx(0.9 * plain) and result.config["replaced"]["discount"] == plain
    assert result.config["use"]["start"] == "source"
    paid = [row for row in result.log if row["method"] == "value_potential"]
    assert all(row["gap_std"] > 0 for row in paid)


@pytest.mark.slow
def test_successor_knows_the_task_of_the_target_from_the_sources_terms():
    """Its terms and squares: backward is a sum of them. It learns while the first target steps are still random."""
    tasks = {"source": "halfcheetah", "target": "halfcheetah+backward", "target_steps": 400}
    result = move("successor", {"loop.evaluations": 2, "loop.gap_updates": 4.0}, **tasks, learner=LEARNERS["sac"])
    rows = [row for row in result.log if row["method"] == "successor"]
    assert len(rows) == 2 * 2 and min(row["gap_explained"] for row in rows) > 0.9
    assert result.config["gap"]["terms"] == len(tr.domain("halfcheetah").stored_terms)


def test_successor_needs_tasks_of_one_robot():
    with pytest.raises(RequestError, match="'successor' needs two tasks of one robot of the table"):
        move("successor", source="inverted_pendulum:gravity=2", target="gym:InvertedPendulum-v5")


BACKWARD = {"source": "halfcheetah", "target": "halfcheetah+backward", "target_steps": 400}


@pytest.mark.long
@pytest.mark.slow
def test_a_run_with_a_source_that_is_seen(tmp_path):
    """It is the source of the whole run, and a compensation of its rewards is for nobody else's steps."""
    result = move("darc", out=tmp_path / "run", learner=LEARNERS["sac"], **BACKWARD)
    assert result.config["source"] == "halfcheetah@mirrored"
    with pytest.raises(RequestError, match=r"run it with `bridge=none`"):
        result.compensation(0)
    again = tr.load(tmp_path / "run")
    assert again.config["source"] == "halfcheetah@mirrored"
    as_it_is = move("fine_tune", {"loop.symmetry": "none"}, source_run=tmp_path / "run", **BACKWARD)
    seen = move("fine_tune", source_run=tmp_path / "run", **BACKWARD)
    assert as_it_is.config["source"] == "halfcheetah" and seen.config["source"] == "halfcheetah@mirrored"
    np.testing.assert_allclose(seen.returns.source.shape, as_it_is.returns.source.shape)
    assert not np.allclose(seen.zero_shot, as_it_is.zero_shot)


@pytest.mark.slow
def test_a_reward_model_has_half_the_pace(monkeypatch):
    """Of `loop.gap_updates`, which another gap has in full."""
    asked, compensate = [], Programs.compensate

    def counting(self, *args, updates, **more):
        asked.append(updates)
        return compensate(self, *args, updates=updates, **more)

    monkeypatch.setattr(Programs, "compensate", counting)
    for name in ("reward_gap", "mean_gap"):
        move(name, {"loop.gap_updates": 2.0}, learner=LEARNERS["sac"])
    counts = sorted(set(asked))
    assert len(counts) == 2 and counts[1] == 2 * counts[0] == 2 * LEARNERS["sac"].burst
