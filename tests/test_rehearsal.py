"""`transreward transfer --dry-run`: what would be done, before a target step is taken."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

import transreward as tr
from transreward import cli
from transreward.rehearsal import in_all, rehearse
from transreward.streams.walk import Walk
from transreward.transfer import planned

pytestmark = pytest.mark.usefixtures("hurry")

SMALL = tr.learner("ppo", robots=4, rollout_steps=16, minibatches=2, epochs=1, hidden=(4,))
LONG = replace(SMALL, rollout_steps=128)  # of whose rounds there are two
PAIR = ("hopper", "hopper:gravity=0.5")


def rehearsed(method="auto", **more):
    request = {"source_steps": 4_000, "target_steps": 2_000, "seeds": 2, "learner": SMALL, **more}
    return rehearse(planned(*PAIR, method, **request))


@pytest.mark.slow
def test_it_names_each_stage_with_its_steps_and_takes_no_target_step(monkeypatch):
    walked, collect = [], Walk.collect

    def watched(self, *given):
        walked.append(self.stream.name)
        return collect(self, *given)

    monkeypatch.setattr(Walk, "collect", watched)
    title, agent, evidence, own, trial, *rest = rehearsed()
    assert set(walked) == {"source"}
    assert "hopper -> hopper:gravity=0.5, ppo, 2 seeds" in title
    assert "source-2400: the source agent is trained: 2,400 source steps, about" in agent
    assert "auto-evidence: the source policy acts, and nobody learns: 1,000 target steps" in evidence
    assert "auto: it learns in the identified simulator alone: 1,600 source steps" in own
    assert "at most 1,000 target steps; source, auto may act" in trial
    assert rest[0] == "target steps a seed: at most 2,000 learning in each method, about 16 s of the robot's time"
    assert rest[-2].startswith("4,000 source steps may be too few to learn the source's task: the robot's")
    assert "nothing was run" in rest[-1]


def test_the_last_line_has_the_sum_of_all_times_or_says_which_are_not_in_it():
    *_, all_known = rehearsed("fine_tune", controls=())
    assert all_known.startswith("about") and " in all on this machine; compiling" in all_known
    *_, without = rehearsed("darc", controls=())
    assert " on this machine, without what the gap of darc learns, whose time is not known; " in without
    assert in_all(300, ["the identification of a", "b"]) == (
        "about 5 min on this machine, without the identification of a and b, whose time is not known"
    )
    assert "not known" in in_all(0, [])


def test_controls_are_in_it_and_what_learns_nothing_says_so():
    text = "\n".join(rehearsed("darc", controls=("zero_shot", "fine_tune")))
    assert "zero_shot: the policy is unchanged" in text and "fine_tune: it learns: 2,000 target steps" in text


def test_a_ceiling_alone_is_rehearsed_and_its_steps_are_the_targets():
    text = "\n".join(rehearsed("oracle", controls=()))
    assert "oracle: it learns in the target, beyond its budget: 4,000 target steps\n" in text
    assert "target steps a seed: at most 0 learning in each method\n" in text  # and no robot's time


@pytest.mark.slow
def test_a_trial_too_short_for_an_episode_is_said_to_be():
    assert not any("is not tested" in line for line in rehearsed(target_steps=2_000))
    (trial,) = (line for line in rehearsed(target_steps=1_500) if "is not tested: give more target steps" in line)
    assert "auto-trial" in trial and "an episode has 1,000" in trial


@pytest.mark.slow
def test_an_agent_of_few_rounds_is_timed_by_these():
    assert (
        "source-1200: the source agent is trained: 1,200 source steps" in rehearsed(source_steps=2_000, learner=LONG)[1]
    )


@pytest.mark.slow
def test_beside_a_source_run_the_learner_is_timed_as_well(tmp_path):
    small = {"learner.robots": 4, "learner.rollout_steps": 16, "learner.minibatches": 2, "learner.hidden": (4,)}
    asked = {"learner": "ppo", "source_steps": 2_000, "seeds": 1, "settings": small, "controls": ()}
    tr.transfer(*PAIR, "zero_shot", out=tmp_path / "run", **asked)
    lines = rehearse(planned(*PAIR, "auto", **{**asked, "source_steps": 4_000}, source_run=tmp_path / "run"))
    assert lines[-1].startswith("about") and "on this machine" in lines[-1]
    with pytest.raises(tr.RequestError, match=r"has the seeds \[0\]: ask for the same"):
        rehearse(planned(*PAIR, "auto", **{**asked, "source_steps": 4_000, "seed": 7}, source_run=tmp_path / "run"))


@pytest.mark.slow
def test_a_control_that_goes_on_from_a_source_run_s_agent_is_in_it(tmp_path):
    small = {"learner.robots": 4, "learner.rollout_steps": 16, "learner.minibatches": 2, "learner.hidden": (4,)}
    asked = {"learner": "ppo", "seeds": 1, "settings": small}
    tr.transfer(*PAIR, "zero_shot", out=tmp_path / "run", source_steps=1_000, **asked)
    lines = rehearse(
        planned(*PAIR, "auto", **asked, source_steps=4_000, controls=("zero_shot",), source_run=tmp_path / "run")
    )
    (agent,) = (line for line in lines if "the source agent is trained" in line)
    assert "source-4000: the source agent is trained: 3,000 source steps" in agent


@pytest.mark.slow
def test_the_command_prints_it_and_leaves_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ["learner.robots=4", "learner.rollout_steps=16", "learner.minibatches=2", "learner.hidden=4"]
    command = ["transfer", *PAIR, "--learner", "ppo", "--source-steps", "4000", "--target-steps", "2000", "--dry-run"]
    cli.main([*command, "--set", *settings])
    assert "nothing was run" in capsys.readouterr().out and not os.listdir(tmp_path)


def test_a_wrong_request_is_refused_by_it_too():
    with pytest.raises(tr.RequestError, match="did you mean"):
        planned(*PAIR, "autom")
