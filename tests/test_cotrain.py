"""Co-training: both agents learn from nothing at once, within their budgets, each compensated by the other's steps."""

from __future__ import annotations

import io
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console
from test_grid import move
from test_transfer import LEARNERS, SEEDS, SETTINGS, SOURCE, SOURCE_STEPS, TARGET_STEPS, same

import transreward as tr
from transreward import replay as rp
from transreward.engine.loop import loop
from transreward.engine.stages import kept
from transreward.engine.state import begin
from transreward.engine.taken import target_steps
from transreward.evaluation.verdict import number
from transreward.live import PHASES, View
from transreward.plan.compile import beside, turned
from transreward.reports.repeat import repeat
from transreward.request.resolve import resolve
from transreward.runs import store
from transreward.transfer import over

pytestmark = pytest.mark.usefixtures("hurry")

TASK_OF_THREE = "inverted_pendulum+terms(survive=3):gravity=2"
TASK = {"target": "inverted_pendulum+terms(survive=2):gravity=2", "learner": LEARNERS["sac"], "cotrain": True}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A small run and its directory."""
    place = tmp_path_factory.mktemp("cotrain") / "run"
    return move("reward_gap", {"loop.gap_updates": 1.0}, out=place, **TASK), place


def test_both_learn_within_their_budgets(both):
    result, _ = both
    partner = result.partner
    assert (result.config["source"], result.config["target"]) == (partner.config["target"], partner.config["source"])
    assert 0 < result.steps.target <= TARGET_STEPS and 0.9 * SOURCE_STEPS < result.steps.source <= SOURCE_STEPS
    assert partner.steps == result.steps[::-1]
    assert np.isfinite([result.target_return, partner.target_return]).all()
    for one in (result, partner):
        rows = [row for row in one.log if row["seed"] == 4]
        assert len(rows) == 2 and rows[-1]["round"] == one.rounds and rows[-1]["target_steps"] == one.steps.target
        assert {row["phase"] for row in rows} == {"cotrain"}


def test_each_is_paid_by_what_the_other_domain_pays(both):
    """The target pays twice what the source does, at every step: the one's gap is -1, the other's +1, of which half."""
    result, _ = both
    lower, higher = (one.log[-1]["gap_mean"] for one in (result, result.partner))
    assert lower == pytest.approx(-0.5, abs=0.2) and higher == pytest.approx(0.5, abs=0.2)  # after some 50 updates


@pytest.mark.slow
def test_without_strength_each_is_its_plain_learner_bit_for_bit():
    learner = LEARNERS["sac"]
    both = move("reward_gap", {"use.strength": 0.0}, **TASK)
    alone = move("target_only", target=TASK["target"], learner=learner)
    assert same(both.agents, alone.agents)
    config = resolve(
        SOURCE, TASK["target"], "target_only", learner=learner, source_steps=SOURCE_STEPS, target_steps=TARGET_STEPS,
        seeds=2, seed=SEEDS[0], settings=SETTINGS, controls=(), source_run=None,
    )  # fmt: skip
    config = turned(config)
    partner = begin(config, beside(config, config.method, "partner"), None, None, lambda progress: None, kept(None))
    loop(partner)
    assert same(both.partner.agents, partner.state.agents) and not same(both.agents, both.partner.agents)


def test_who_watches_sees_both_budgets(tmp_path):
    seen = []
    move("reward_gap", {"loop.evaluations": 1}, watch=seen.append, **TASK)
    last = [p for p in seen if p.phase == "cotrain"][-1]
    assert last.budget == (SOURCE_STEPS, TARGET_STEPS) and 0 < last.steps.source <= SOURCE_STEPS
    assert all(p.phase in PHASES for p in seen)
    console = Console(file=io.StringIO(), width=100)
    view = View({"source": "a", "target": "b"})
    console.print(view._render(last))
    assert f"{last.steps.target} of {TARGET_STEPS} a seed" in console.file.getvalue()


def test_it_comes_back_from_its_directory(both):
    result, place = both
    found = tr.load(place)
    assert same(found.agents, result.agents) and same(found.partner.agents, result.partner.agents)
    assert store.read_json(place / "config.json")["cotrain"] and (place / "partner" / "metrics.jsonl").exists()
    assert "--cotrain" in repeat(result.records()[0], result.records())


def test_its_target_steps_are_those_of_the_run_and_not_of_its_partner(both):
    """The target pays twice what the source does for each step that the pole stands."""
    taken = target_steps(both[1])
    assert len(taken) == both[0].steps.target and set(taken.reward) == {0.0, 2.0}


PAID = ["inverted_pendulum", "inverted_pendulum+terms(survive=2)"]  # and the target 3 at every step


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A small run from two sources and its directory."""
    place = tmp_path_factory.mktemp("cotrain") / "three"
    several = {**TASK, "source": PAID, "target": TASK_OF_THREE}
    return move("reward_gap", {"loop.gap_updates": 1.0}, out=place, **several), place


@pytest.mark.slow
def test_three_learn_at_once_each_compensated_by_the_others(three):
    """On average the others pay 1.5 less, 1.5 more and as much; half of that is the compensation."""
    result, place = three
    assert len(result.partners) == 2 and result.partner is result.partners[0]
    gaps = [one.log[-1]["gap_mean"] for one in (result, *result.partners)]
    assert gaps == pytest.approx([-0.75, 0.75, 0.0], abs=0.3)
    assert 0 < result.steps.target <= TARGET_STEPS and 1.8 * SOURCE_STEPS < result.steps.source <= 2 * SOURCE_STEPS
    for k, one in enumerate(result.partners):
        assert one.config["target"] == PAID[k] and one.config["sources"] == [TASK_OF_THREE, PAID[1 - k]]
        assert one.steps.source == result.steps.target + result.partners[1 - k].steps.target
        assert sum(one.evaluation_steps) == sum(result.evaluation_steps)  # of all three, each seen from its own side
    found = tr.load(place)
    assert [p.name for p in sorted(place.glob("partner*"))] == ["partner", "partner-2"]
    assert all(same(a.agents, b.agents) for a, b in zip(found.partners, result.partners, strict=True))
    view = View({"source": "a", "target": "b"})
    view.console = Console(file=io.StringIO(), width=200)
    view.conclude(result, str(place))
    said = view.console.file.getvalue()
    for k, one in enumerate(result.partners):
        assert f"the agent that learned in {PAID[k]}: {number(one.target_return.mean())} after" in said


def test_of_several_replays_each_gives_an_equal_part():
    spaces = tr.domain(SOURCE).spaces
    parts = [rp.of(rp.no_steps(spaces, 1, 10, 2)._replace(domain=np.full((1, 10, 2), k)), spaces) for k in (0, 1, 2)]
    one = jax.tree.map(lambda x: x[0] if x.ndim > 1 else x, rp.mixed(parts))
    drawn = rp.sample(one, jax.random.key(0), 8)
    assert drawn.domain.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert rp.mixed(parts[:1]) is parts[0]


@pytest.mark.slow
def test_without_strength_each_of_three_is_its_plain_learner_bit_for_bit():
    several = {**TASK, "source": [SOURCE, "inverted_pendulum:gravity=0.5"]}
    three = move("reward_gap", {"use.strength": 0.0}, **several)
    two = move("reward_gap", {"use.strength": 0.0}, **TASK)
    assert same(three.agents, two.agents) and same(three.partner.agents, two.partner.agents)
    assert not same(three.partners[1].agents, two.partner.agents)


@pytest.mark.parametrize(
    ("method", "more", "why"),
    [
        ("darc", {}, "'darc' cannot be trained from both sides"),
        (
            "reward_gap",
            {"source": [f"inverted_pendulum:gravity={k}" for k in range(2, 11)]},
            "`cotrain` is of 8 sources at most, and 9 are named",
        ),
        ("gaifo", {}, "'gaifo' cannot be trained from both sides"),
        ("reward_gap", {"learner": LEARNERS["ppo"]}, "`cotrain` needs a learner that keeps its steps"),
        ("reward_gap", {"source_run": "somewhere", "learner": None}, "leave `source_run` out"),
        ("reward_gap", {"settings": {"feed.source": "replay"}}, r"leave feed\.\* out"),
        ("reward_gap", {"settings": {"feed.target_share": 0.5}}, r"leave feed\.\* out"),
    ],
)
def test_what_makes_no_sense_is_refused(method, more, why):
    with pytest.raises(tr.RequestError, match=why):
        move(method, more.pop("settings", ()), **{**TASK, **more})


def test_a_finished_one_is_not_promised_more_target_steps():
    """Each agent has a budget of its own: `resume` says so before anything is read or written."""
    assert over(Path(__file__).parent / "data/runs/1/cotrain").startswith("trained from both sides")
    assert over(Path(__file__).parent / "data/runs/1/transfer-sac") == ""
