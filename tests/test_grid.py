"""Every row of the table and every cell of the grid runs, keeps its budget, and says what it is."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from quick import robots
from test_transfer import LEARNERS as THEIRS
from test_transfer import (
    ROBOTS,
    SEEDS,
    SETTINGS,
    SOURCE,
    SOURCE_STEPS,
    TARGET,
    TARGET_STEPS,
    same,
    watch_training,
)

import transreward as tr
from transreward.domains.difference import relabels
from transreward.domains.domain import Domain
from transreward.feed import Feed
from transreward.gaps import GAPS
from transreward.live import PHASES
from transreward.methods import METHODS, method
from transreward.presets import PRESETS
from transreward.replay import in_order
from transreward.streams.stored import Stored
from transreward.streams.walk import Walk
from transreward.uses import USES

pytestmark = pytest.mark.usefixtures("hurry")

# not the same ones: programs are shared within a process, and test_transfer counts how often its own are traced
LEARNERS = {name: replace(learner, learning_rate=2e-3) for name, learner in THEIRS.items()}
# each gap and each use that no row has; and the form of the ensemble that none has
ROWS = {part.name for row in METHODS.values() for part in (row.gap, row.use) if part}
CELLS = [f"penalty({gap})" for gap in GAPS if gap not in ROWS] + ["penalty(ensemble)", "potential(value)"]
CELLS += [f"{use}(classifier)" for use in USES if use not in ROWS and use != "potential"]
SMALL = {"hidden": (4,), "batch": 16, "members": 2, "memory": 32}  # where a gap has such settings
OFFLINE = {"offline.hidden": (4,), "offline.batch": 16, "offline.updates": 24, "offline.burst": 8}


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """Directory of a SAC run whose source agent has had 60% of the budget."""
    directory = tmp_path_factory.mktemp("runs") / "darc"
    move("darc", out=directory, learner=LEARNERS["sac"])
    return directory


@pytest.fixture(scope="module")
def tuned(agent):
    """A run of fine_tune."""
    return move("fine_tune", source_run=agent)


def move(name, settings=(), source=SOURCE, target=TARGET, **request):
    exact = method(name).relabels and relabels(
        *(d if isinstance(d, Domain) else tr.domain(d) for d in (source, target))
    )
    own = getattr(None if exact else method(name).gap, "__dataclass_fields__", {})
    gap = {f"gap.{field}": value for field, value in SMALL.items() if field in own}
    gap |= {"ground.steps": 60} if method(name).ground and gap else {}  # so that some are left to learn from
    gap |= {"feed.branches": 1} if method(name).branched else {}  # twenty would be more than there is
    gap |= OFFLINE if method(name).offline is not None else {}
    plain = {"source_steps": SOURCE_STEPS, "target_steps": TARGET_STEPS, "seeds": len(SEEDS), "seed": SEEDS[0]}
    return tr.transfer(
        source, target, name, settings={**SETTINGS, "loop.gap_updates": 0.5, **gap, **dict(settings)},
        **{**plain, **request},
    )  # fmt: skip


# The golden bits run every row, too; these are the kinds of stage that a plan may have.
KINDS = ("mix", "paired_branched", "zero_shot")
ALL = [name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in METHODS if name != "darc"]


@pytest.mark.parametrize("name", [*ALL, CELLS[0], *(pytest.param(c, marks=pytest.mark.slow) for c in CELLS[1:])])
def test_every_row_and_cell_runs_within_its_budget(agent, name):
    other = {"target": "inverted_pendulum+terms(survive=2):gravity=2"} if method(name).relabels else {}
    taken_up = method(name).needs_source_agent and method(name).randomise is None
    result = move(name, source_run=agent if taken_up else None, **other,
                  learner=None if taken_up else LEARNERS["sac"])  # fmt: skip
    assert result.method == name
    assert np.isfinite(result.target_return).all() and result.target_return.shape == (2, 2)
    assert result.steps.target <= TARGET_STEPS or method(name).ceiling
    assert result.steps.source <= SOURCE_STEPS
    last = [row for row in result.log if row["method"] == name][-1:]
    for row in last:
        assert 0 < row["effective_sample_size"] <= 1 + 1e-6
        assert row["gap_q05"] <= row["gap_q50"] <= row["gap_q95"]
        moved = method(name).use is not None and method(name).use.name in (
            "penalty",
            "potential",
            "bellman",
            "imitation",
            "robust",
            "blend",
            "dpba",
        )
        faded = getattr(method(name).use, "fade", 0) > 0
        assert (row["gap_std"] > 0) == (moved and not faded and name != "mean_gap")  # whose only answer is a constant
        if "filter" in name or "weight" in name or "select" in name:
            assert row["effective_sample_size"] < 1


@pytest.mark.slow
def test_a_share_of_zero_is_the_base_learner_bit_for_bit(agent):
    mixed = move("mix", {"feed.target_share": 0.0}, source_run=agent)
    base = move("darc", {"use.strength": 0.0}, source_run=agent)
    assert same(mixed.agents, base.agents)
    other = move("mix", {"feed.target_share": 0.25}, source_run=agent)
    assert not same(mixed.agents, other.agents)


@pytest.mark.slow
def test_a_pairing_with_the_source_agents_old_steps_is_paid_for(agent):
    """It walks nowhere, and yet takes a source step for each target step."""
    result = move("paired", {"feed.source": "replay"}, source_run=agent)
    assert result.steps.target == TARGET_STEPS
    assert SOURCE_STEPS - ROBOTS < result.steps.source <= SOURCE_STEPS
    assert [row["target_steps"] for row in result.log if row["method"] == "paired"][-1] == TARGET_STEPS


@pytest.mark.slow
def test_rlpd_has_its_own_learner_but_for_what_the_user_says(agent):
    result = move("rlpd", {"learner.critics": 3}, learner=LEARNERS["sac"])
    assert (result.learner.critics, result.learner.subset, result.learner.layer_norm) == (3, 2, True)
    assert tr.load(save(result, agent)).learner == result.learner


def save(result, agent):
    place = agent.parent / "saved"
    result.save(place)
    return place


@pytest.mark.slow
def test_rlpd_learns_from_the_source_agents_steps(agent, monkeypatch):
    """Without them it learns something else; and it never takes a source step of its own."""
    result = move("rlpd", source_run=agent)
    row = METHODS["rlpd"]
    monkeypatch.setitem(METHODS, "rlpd", replace(row, feed=Feed(1.0)))
    alone = move("rlpd", learner=LEARNERS["sac"])
    assert not same(result.agents, alone.agents)
    agent_json = json.loads((agent / "source" / "agent.json").read_text())
    assert result.steps.source >= agent_json["steps"]


@pytest.fixture(scope="module")
def imitator(agent):
    """A run of gaifo."""
    return move("gaifo", source_run=agent)


def test_gaifo_is_paid_for_target_steps_alone(imitator):
    assert imitator.steps == (SOURCE_STEPS, TARGET_STEPS)
    rows = [row for row in imitator.log if row["method"] == "gaifo"]
    for row in rows:
        length = row["target_return"] + 1  # the reward is 1 a step, but for the last; nothing of it is kept
        assert row["compensated_return"] == pytest.approx(row["gap_mean"] * length, rel=1e-3, abs=1e-4)
    assert any(row["gap_std"] > 0 for row in rows)


def test_gaifo_never_sees_the_targets_reward(agent, imitator, monkeypatch):
    watch_training(
        monkeypatch, TARGET, lambda step, n: lambda action: (t := step(action))._replace(reward=t.reward * 7)
    )
    blind = move("gaifo", source_run=agent)
    assert same(blind.agents, imitator.agents)
    sighted = move("gaifo", {"use.keep": 0.5}, source_run=agent)
    assert not same(sighted.agents, imitator.agents)


def test_to_keep_the_reward_and_add_nothing_is_fine_tuning_bit_for_bit(agent, tuned):
    nothing = move("gaifo", {"use.keep": 1.0, "use.strength": 0.0}, source_run=agent)
    assert same(nothing.agents, tuned.agents)
    assert all(row["gap_mean"] == row["gap_std"] == 0 for row in nothing.log)


def test_a_blend_without_strength_is_fine_tuning_bit_for_bit(agent, tuned):
    nothing = move("reward_gap", {"use.strength": 0.0}, source_run=agent)
    assert same(nothing.agents, tuned.agents)


def test_the_demonstrations_are_the_newest_source_steps(agent, monkeypatch):
    seen = []
    make = Stored.buffer

    def spy(stored, opening):
        made = make(stored, opening)
        seen.append((in_order(opening.stored), in_order(made)))
        return made

    monkeypatch.setattr(Stored, "buffer", spy)
    move("gaifo", {"feed.newest": 0.25}, source_run=agent)
    ((whole, shown),) = seen
    n = shown.domain.shape[1]
    assert n == whole.domain.shape[1] // 4
    assert same(shown, newest(whole, n))


def newest(steps, n):
    """The last n control steps."""
    return jax.tree.map(lambda x: x[:, -n:], steps)


@pytest.mark.slow
def test_darail_is_shown_the_newest_steps_of_its_teacher_and_spends_both_budgets_once(agent, monkeypatch):
    lessons, shown = [], []
    module = sys.modules["transreward.engine.stages"]
    begin = module.begin

    def after(*args, lesson=None, **rest):
        run = begin(*args, lesson=lesson, **rest)
        if lesson is None:
            return run
        lessons.append(lesson)
        shown.append(in_order(run.shown["demonstrations"]))
        assert run.replays.source.size == 0  # the learner's own steps alone are compared with the demonstrations
        taken_up, left = (in_order(replay) for replay in (run.replays.target, lesson.replays.target))
        assert same(*(jax.tree.map(lambda x: x[:, :-1], steps) for steps in (taken_up, left)))
        assert (taken_up.transition.truncated[:, -1] == 1).all(), "the next step is of other robots"
        return run

    monkeypatch.setattr(module, "begin", after)
    result = move("darail", {"use.teach": 0.25, "use.newest": 0.5}, source_run=agent)
    (lesson,), (demonstrations,) = lessons, shown
    before = json.loads((agent / "source" / "agent.json").read_text())["steps"]
    taken, width = lesson.steps.source - before, lesson.takers["source"].stream.robots
    assert taken <= 0.25 * (SOURCE_STEPS - before) and lesson.steps.target <= 0.25 * TARGET_STEPS
    assert 0.9 * SOURCE_STEPS < result.steps.source <= SOURCE_STEPS
    assert 0.9 * TARGET_STEPS < result.steps.target <= TARGET_STEPS
    n = demonstrations.domain.shape[1]
    assert n == round(0.5 * taken / width)
    assert same(demonstrations, newest(in_order(lesson.replays.source), n))
    phases = [row["phase"] for row in result.log if row["method"] == "darail"]
    assert set(phases) == {"teacher", "transfer"} <= set(PHASES) and phases == sorted(phases)
    assert [row["step"] for row in result.log] == sorted(row["step"] for row in result.log)


@pytest.mark.slow
def test_a_method_with_a_teacher_that_is_done_stops_there(agent, monkeypatch):
    module = sys.modules["transreward.engine.loop"]
    monkeypatch.setattr(module, "stop_reason", lambda run: "aligned" if run.stage.phase == "teacher" else None)
    result = move("darail", source_run=agent)
    assert result.stopped == "aligned" and result.steps.target <= 0.5 * TARGET_STEPS
    assert np.isfinite(result.target_return).all()


def test_the_source_policy_leads_in_the_first_steps_of_every_episode():
    walk = robots(SOURCE, [4], 3)
    act = walk.guided(lambda agents, obs, noise: np.full((*obs.shape[:2], 1), agents), -3.0, steps=4)
    rows = walk.collect(act, 3.0, np.zeros((1, 60, 3, 1)), 60).transition
    assert rows.terminated.sum() > 3
    for robot in range(3):
        clock = 0
        for action, ended in zip(rows.action[0, :, robot, 0], rows.terminated[0, :, robot], strict=True):
            assert action == (-3.0 if clock < 4 else 3.0)
            clock = 0 if ended else clock + 1


def test_nothing_is_judged_by_episodes_that_the_guide_began():
    """However well the guide does, and whatever the window: first all episodes are led, then none."""

    def act(agents, obs, noise):
        return np.full((*obs.shape[:2], 1), agents)

    walk = robots(SOURCE, [4, 5], 3)
    rows = walk.collect(walk.guided(act, -3.0, steps=1), 3.0, np.zeros((2, 58, 3, 1)), 58).transition
    assert rows.terminated.sum() > 3 and walk.returns == [[], []]
    assert np.isnan(walk.recent_return(1)).all() and not walk.stalled(1)
    rows = walk.collect(act, 3.0, np.zeros((2, 60, 3, 1)), 60).transition
    begun = rows.terminated.sum(axis=(1, 2)) - 3  # the episodes that were under way had been led
    assert [len(returns) for returns in walk.returns] == begun.tolist()
    for seed, returns in enumerate(walk.returns):  # each is what its own episode paid, and nothing from before
        expected = []
        for paid, ended in zip(rows.reward[seed].T, rows.terminated[seed].T, strict=True):
            starts = np.flatnonzero(ended) + 1
            expected += [part.sum() for part in np.split(paid, starts)[1:-1]]
        assert sorted(returns) == sorted(expected)
    assert np.isfinite(walk.recent_return(1)).all()


def test_a_guide_that_knows_the_target_aligns_nobody():
    """With any return good enough, a run that the guide leads to its end spends its budget."""
    anything = {"loop.aligned": 1.0, "loop.target_returns": (-1e6, -1e5), "loop.converged": 1}
    led = move("jsrl", {**anything, "feed.guide": 1.0}, learner=LEARNERS["sac"])
    assert (led.stopped, led.steps.target) == ("budget", TARGET_STEPS)


def test_the_lead_shrinks_to_nothing_over_its_share_of_the_transfer(monkeypatch):
    seen = []
    guided = Walk.guided
    monkeypatch.setattr(
        Walk, "guided", lambda self, act, guide, steps: (seen.append(steps), guided(self, act, guide, steps))[1]
    )
    move("jsrl", {"feed.guide": 0.5}, learner=LEARNERS["sac"])
    assert seen[0] == SOURCE.episode_steps and seen == sorted(seen, reverse=True)
    assert 0 < len(seen) <= 0.5 * TARGET_STEPS + 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("filter(clasifier)", "unknown gap 'clasifier': did you mean classifier"),
        ("filtr(classifier)", "unknown use 'filtr': did you mean filter"),
        ("filter(classifier", "does not parse: write use(gap), such as filter(classifier)"),
        ("filter classifier)", "does not parse"),
        ("filter(classifier)(x)", "does not parse"),
        ("filter()", "unknown gap ''"),
        ("potential(classifier)", "is of the source agent's value, and has no gap: write potential(value)"),
    ],
)
def test_an_expression_that_does_not_parse(name, message):
    with pytest.raises(tr.RequestError) as caught:
        tr.method(name)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "learner", "message"),
    [
        ("mix", {"feed.target_share": 1.5}, "sac", "feed.target_share must be in [0, 1], not 1.5"),
        ("mix", {"feed.target_share": -0.1}, "sac", "feed.target_share must be in [0, 1]"),
        ("mix", {"feed.anneal": 1.5}, "sac", "feed.anneal must be in [0, 1], not 1.5"),
        ("darc", {"feed.anneal": 0.5}, "sac", "feed.anneal leads from source steps to feed.target_share, which is 0"),
        ("fine_tune", {"feed.anneal": 0.5}, "ppo", "trains on mix annealed to 1, steps that another policy took"),
        (
            "fine_tune",
            {"feed.deterministic": True},
            "ppo",
            "trains on target, deterministic, steps that another policy",
        ),
        ("mix", {"feed.source": "offline"}, "sac", "feed.source must be online, replay, branched or logs"),
        ("mix", {"feed.source": "branched"}, "sac", "feed.branches must be above 0 with feed.source=branched"),
        ("mix", {"feed.branches": 3}, "sac", "is not used without"),
        ("mix", {"feed.branch_length": 3}, "sac", "is not used without feed.source=branched"),
        ("paired_branched", {"feed.branch_length": 0}, "sac", "feed.branch_length must be at least 1"),
        ("paired_branched", {"feed.branches": 2000}, "sac", "takes 2001 source steps for each target step"),
        ("bellman(classifier)", {}, "sac", "'bellman' needs a gap that predicts the difference in next state: paired"),
        (
            "trust(latent)",
            {},
            "sac",
            "'trust' needs a gap that predicts the difference in next state: paired, not latent",
        ),
        ("paired", {"gap.members": 1}, "sac", "gap.members must be at least 2"),
        ("h2o", {"feed.target_share": 0.0}, "sac", "'conservative' compares the domains' steps in a batch"),
        ("h2o", {"feed.target_share": 1.0}, "sac", "so feed.target_share must be above 0 and below 1"),
        ("h2o", {}, "ppo", "which ppo cannot"),
        ("conservative(latent)", {}, "sac", "'conservative' needs a gap whose score is log p_T - log p_S"),
        ("paired_branched", {"feed.target_share": 1.0}, "sac", "feeds nobody with feed.target_share=1"),
        ("mix", {"feed.source": "branched", "feed.branches": 1}, "sac", "nothing to correct its branches by"),
        ("penalty(paired)", {"feed.source": "branched", "feed.branches": 1}, "sac", "nothing to correct"),
        ("mix", {}, "ppo", 'which ppo cannot: use `learner="sac"`'),
        ("darc", {"feed.target_share": 0.5}, "ppo", 'which ppo cannot: use `learner="sac"`'),
        ("filter(classifier)", {"use.keep": 0}, "sac", "use.keep must be in (0, 1]"),
        ("filter(classifier)", {"use.strength": 1}, "sac", "unknown setting 'use.strength'"),
        ("filter(classifier)", {"gate.clip": 1}, "sac", "has no gate, so 'gate.clip' would change nothing"),
        ("zero_shot", {"feed.target_share": 0.5}, "sac", "has no feed"),
        ("gaifo", {"feed.target_share": 0.0}, "sac", "'imitation' pays the target's steps, so feed.target_share must"),
        ("gaifo", {}, "ppo", "'gaifo' needs the stored steps of the source agent's training, which ppo does not keep"),
        ("gaifo", {"feed.newest": 0}, "sac", "feed.newest must be in (0, 1], and is not used without feed.source=rep"),
        ("mix", {"feed.newest": 0.5}, "sac", "feed.newest must be in (0, 1], and is not used without feed.source=rep"),
        ("fine_tune", {"feed.source": "replay"}, "sac", "looks at no source step, so feed.source=replay would change"),
        ("imitation(neighbours)", {}, "sac", "'imitation' needs a gap whose score is log p_T - log p_S"),
    ],
)
def test_what_does_not_go_together_is_refused(name, settings, learner, message):
    with pytest.raises(tr.RequestError) as caught:
        move(name, settings, learner=LEARNERS[learner])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_method_that_mixes_brings_its_learner():
    assert PRESETS["hopper"].chosen == "ppo"
    from transreward.request.resolve import resolve

    usual = {"source_steps": None, "target_steps": None, "seeds": 1, "seed": 0, "settings": {}, "controls": ()}
    for name, expected in (("mix", "sac"), ("darc", "ppo")):
        config = resolve("hopper", "hopper:gravity=0.5", name, learner=None, source_run=None, **usual)
        assert config.learner.name == expected
