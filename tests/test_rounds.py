"""How budgets are cut into rounds, computed without a run: all of them is spent, and every method gets as many updates
as its controls."""

from __future__ import annotations

import pytest
from test_config import ask, measured_once  # noqa: F401

from transreward import replay as rp
from transreward.learners.ppo import PPO
from transreward.learners.sac import SAC
from transreward.methods import METHODS
from transreward.plan.compile import compile
from transreward.plan.plan import Schedule
from transreward.presets import LEGGED
from transreward.request.budgets import pretrain_steps
from transreward.request.learner import for_method
from transreward.request.resolve import resolve
from transreward.streams.stream import Opening, unpaid
from transreward.streams.walk import Walk
from transreward.types import Pair, RequestError

HOPPER = {"source_steps": 600_000, "target_steps": 10_000}
LEARNERS = {"sac": LEGGED, "ppo": PPO(), "sac by default": SAC()}


def plans(name, learner, settings=None, **budgets):
    """Config and rounds of each part of a method's transfer, after a source agent that left it its share."""
    other = {"target": "inverted_pendulum+terms(survive=2)"} if METHODS[name].relabels else {}
    config = ask(name, learner=learner, settings=settings or {}, **{**HOPPER, **budgets}, **other)
    (track,) = compile(config, pretrain_steps(config, config.method)).tracks
    return for_method(config, config.method), [stage.schedule for stage in track.stages]


def updates(name, learner, settings=None, **budgets):
    config, parts = plans(name, learner, settings, **budgets)
    if config.method.feed is None:
        return 0
    return sum((plan.total - plan.warm) * plan.updates for plan in parts)


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if row.offline is None])
def test_a_method_and_its_controls_get_equal_numbers_of_updates(name, learner):
    """But for rlpd, whose many updates are its idea, and for the oracle, which is no control but a ceiling."""
    wanted = {"sac": 60_000, "ppo": 58 * 160, "sac by default": 15_008}[learner]
    if name in ("zero_shot", "randomised", "universal", "oracle"):
        assert updates("fine_tune", LEARNERS[learner]) == wanted
        return
    try:
        found = updates(name, LEARNERS[learner])
    except RequestError as error:
        assert learner == "ppo" and "ppo" in str(error)
        return
    assert found == (106_688 if name == "rlpd" else wanted)


def test_who_learns_offline_has_updates_of_its_own_and_shares_them():
    rows = [name for name, row in METHODS.items() if row.offline is not None]
    assert {updates(name, LEGGED) for name in rows} == {50_000}
    config = resolve(
        "hopper", "hopper:gravity=0.5", "iql", learner=LEGGED, source_steps=300_000, target_steps=10_000, seeds=1,
        seed=0, settings={"offline.updates": 300, "dara.offline.updates": 200}, controls=("igdf", "dara"),
        source_run=None,
    )  # fmt: skip
    assert [row.offline.updates for row in (config.method, *config.controls)] == [300, 300, 200]


@pytest.mark.parametrize(("name", "wanted"), [("darc", 60_000), ("mix", 60_000), ("fine_tune", 10_016)])
def test_paced_gives_what_the_feeding_steps_ask_for(name, wanted):
    found = updates(name, LEGGED, {"loop.updates": "paced"})
    assert 0.97 * wanted <= found <= 1.001 * wanted  # warm-up steps bring none


@pytest.mark.parametrize("budgets", [(600_000, 10_000), (512, 100), (999, 77), (100_003, 9_973), (5_000, 5_001)])
@pytest.mark.parametrize("name", ["darc", "fine_tune", "target_only", "mix", "darail", "paired_branched"])
@pytest.mark.parametrize("kind", ["ppo", "sac"])
def test_all_of_both_budgets_is_spent(kind, name, budgets):
    """To the last control step of all robots side by side."""
    small = {
        "ppo": PPO(robots=4, rollout_steps=16, minibatches=2, target_rollout=32),
        "sac": SAC(robots=4, burst=4, steps_per_update=4.0, target_updates_per_step=0.25),
    }
    settings = {"feed.branches": 2} if name == "paired_branched" else {}
    try:
        _, parts = plans(name, small[kind], settings, source_steps=budgets[0], target_steps=budgets[1])
    except RequestError as error:
        assert "ppo" in str(error) or "source steps for each target step" in str(error)
        return
    for plan in parts:
        taken = [plan.steps(i) for i in range(plan.total)]
        for side, controls in enumerate(plan.controls):
            steps = [one[side] for one in taken]
            assert sum(steps) == controls and min(steps) >= 0
            assert not controls or steps[0] > 0, "something is there to learn from in the first round"
            rollout = plan.rollout[side]
            assert not rollout or (
                set(steps[:-1]) <= {rollout} and rollout <= steps[-1] < rollout + plan.total + rollout
            )
            assert rollout or max(steps) - min(steps) <= 1


def test_there_are_as_many_evaluations_as_were_asked_for():
    """As long as there are as many rounds; evenly, and the last at the end."""
    for total in range(1, 120):
        plan = Schedule(total, 0, Pair(total, 0), Pair(0, 0), 0, 0)
        for times in range(1, total + 1):
            at = [i for i in range(total) if plan.due(i, times)]
            assert len(at) == times and at[-1] == total - 1
            assert at == [-(-total * k // times) - 1 for k in range(1, times + 1)]


def test_an_agent_that_is_trained_on_has_a_batch_of_target_steps_before_its_first_update():
    """Or a tenth of the budget; and as many updates all the same."""
    for steps, wanted in ((10_000, 256), (1_000, 100)):
        _, (plan,) = plans("fine_tune", LEGGED, target_steps=steps)
        stored = sum(plan.steps(i).target for i in range(plan.warm + 1))
        assert 0.95 * wanted <= stored <= wanted + steps // 100
        assert updates("fine_tune", LEGGED, target_steps=steps) == 60_000
    _, (plan,) = plans("fine_tune", LEGGED, {"learner.warmup_steps": 0})
    assert plan.warm == 0


def test_a_warm_up_may_be_longer_than_a_tenth_where_that_is_said():
    """With as many updates all the same."""
    settings = {"learner.warmup_steps": 5_000, "learner.warmup_share": 0.5}
    _, (plan,) = plans("fine_tune", LEGGED, settings)
    assert sum(plan.steps(i).target for i in range(plan.warm)) == 5_000
    assert updates("fine_tune", LEGGED, settings) == 60_000
    _, (plan,) = plans("fine_tune", LEGGED, {"learner.warmup_steps": 5_000})
    assert sum(plan.steps(i).target for i in range(plan.warm)) == pytest.approx(1_000, rel=0.01)


def test_the_source_agents_last_step_is_followed_by_no_other_robots_step():
    """What its robots did last is cut off from what new ones do first."""
    config, _ = plans("darc", SAC(robots=4), source_steps=4000, target_steps=100)
    spaces = config.domains.source.spaces
    old = rp.add(rp.empty(spaces, 3, 600, 4), rp.no_steps(spaces, 3, 600, 4))
    stage = compile(config, pretrain_steps(config, config.method)).tracks[0].stages[0]
    opening = Opening(config.domains, config.seed_list, 1, lambda account: unpaid, stored=old)
    taken_up = Walk.open(stage.stream("source"), opening).buffer(opening)
    flags = rp.in_order(taken_up).transition.truncated
    assert (flags[:, -1] == 1).all() and not flags[:, :-1].any()


def test_a_gap_beside_ppo_is_updated_by_the_steps_that_feed_it():
    _, (plan,) = plans("darc", PPO())
    assert plan.total * plan.gap_updates == pytest.approx(240_000 / 16, rel=0.01)
    _, (plan,) = plans("darc", LEGGED)
    assert (plan.total - plan.warm) * plan.gap_updates == 60_000


def test_an_agent_of_ppo_that_is_trained_on_takes_steps_by_the_size_of_its_minibatches():
    """With the root of it; not where learning starts from scratch, and not where the user named the rate."""
    learner = PPO()

    def rate(name, settings=None):
        return plans(name, learner, settings)[0].learner.learning_rate

    _, (plan,) = plans("fine_tune", learner)
    share = plan.rollout.target / learner.round_steps(False)
    assert 0 < share < 0.1
    assert rate("fine_tune") == pytest.approx(learner.learning_rate * share**0.5)
    assert rate("target_only") == rate("darc") == learner.learning_rate
    assert rate("fine_tune", {"learner.learning_rate": 2e-4}) == 2e-4
