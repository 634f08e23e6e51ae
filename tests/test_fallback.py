"""`loop.fallback`: what is believed of the candidates, who acts, and who is delivered."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward.fallback import (
    LEAST,
    MEMORY,
    SPREAD,
    Belief,
    Episode,
    beliefs,
    best,
    drawn,
    enough,
    expected,
    opening,
)  # fmt: skip
from transreward.methods import METHODS
from transreward.plan.compile import compile, walked
from transreward.reports.page import write_report
from transreward.request.resolve import resolve
from transreward.streams.choice import Choice

NAMES = ("source", "learner")
SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()} | {"loop.fallback": True}


def acted(**returns):
    """Episodes of ten steps, of one candidate after the other."""
    flat = [(who, total) for who, totals in returns.items() for total in totals]
    return [Episode(who, total, 10 * (i + 1)) for i, (who, total) in enumerate(flat)]


@pytest.mark.parametrize(
    ("budget", "first"), [(10_000, 2_000), (4_000, 2_000), (3_999, 1_000), (2_000, 1_000), (500, 250), (1, 1)]
)
def test_the_source_policy_acts_first_in_two_episodes_or_in_half_of_a_small_budget(budget, first):
    assert opening(budget, 1_000) == first


def test_a_policy_that_never_acted_is_believed_to_be_like_the_source_with_much_doubt():
    belief = beliefs(acted(source=[100.0, 100.0]), NAMES, "learner", None, 20)
    assert belief.mean.tolist() == [100, 100] and belief.sd[1] == pytest.approx(SPREAD * 100)
    assert best(belief) == 0


def test_where_the_source_policy_lost_much_as_much_may_be_won_back():
    """Returns of an episode each of a policy that learns, where the source policy's 4,700 became 230."""
    episodes = acted(source=[233.0, 219.0, 250.0], learner=[884.0, 2703.0])
    shut, open_ = (beliefs(episodes, NAMES, "learner", None, 50, reach) for reach in (None, 4_700.0))
    assert best(shut) == 0 and best(open_) == 1
    unknown = beliefs(acted(source=[250.0, 210.0]), NAMES, "learner", None, 20, 4_700.0)
    assert unknown.sd[1] == pytest.approx(SPREAD * (4_700 - 230)) and best(unknown) == 0  # nobody untested is delivered
    kept = acted(source=[100.0, 100.0])  # it lost less than it kept, or gained less
    near = [beliefs(kept, NAMES, "learner", None, 20, reach).sd[1] for reach in (None, 180.0, 20.0)]
    assert near == pytest.approx([SPREAD * 100] * 3)
    simulated = np.array([[100.0, 100.0], [200.0, 200.0]])
    assert expected(simulated, 0.0, 1_100.0).sd[1] == pytest.approx(SPREAD * 1_000)
    assert expected(simulated, 1.0, 1_100.0).sd[1] == pytest.approx(LEAST * 100)


def test_what_may_be_won_back_is_not_feared_as_a_loss():
    """A walker that fell at once, whose source policy returned 4,900 elsewhere, and what a learner made of it."""
    fell = [118, -40, 16, 58, -81, 33, 69, -15, 37, 130, -38, 31, 18, -40, -28, 42, 36, 67, -43, 16]
    rose = [59, 52, -37, 459, 272, 292, 382, 98, 129, 142, 380, 350, 92]
    episodes = [Episode("source", total, 100 * (i + 1)) for i, total in enumerate(fell)]
    episodes += [Episode("learner", total, 2_000 + 230 * (i + 1)) for i, total in enumerate(rose)]
    belief = beliefs(episodes, NAMES, "learner", None, 5_000, 4_900.0)
    assert best(belief) == 1 and 22 < belief.low[1] < belief.mean[1] and belief.sd[1] > 3 * belief.down[1]
    once = beliefs(episodes[:21], NAMES, "learner", None, 2_500, 4_900.0)  # one episode that is no better than others
    assert best(once) == 0


def test_where_nobody_ever_returned_anything_the_source_policy_stays():
    belief = beliefs(acted(source=[0.0, 0.0], learner=[0.0, 0.0]), NAMES, "learner", None, 100)
    assert np.isfinite(belief).all() and best(belief) == 0


def test_beliefs_are_the_posterior_of_a_normal_with_its_prior():
    belief = beliefs(acted(source=[90.0, 110.0], learner=[150.0]), NAMES, None, None, 30)
    noise = np.sqrt((2 * 10**2 + 200) / (2 + 1))  # two episodes' worth of 10% of the source's return; two seen
    lead = noise**2 / 1 + noise**2 / 2  # variance of what its episode says beside the source policy's two
    precision = 1 / 30**2 + 1 / lead
    assert belief.sd[0] == pytest.approx(noise / np.sqrt(2))
    assert belief.mean[1] == pytest.approx((100 / 30**2 + 150 / lead) / precision)
    assert belief.sd[1] == pytest.approx(precision**-0.5)
    assert belief.low[0] == belief.high[0] == belief.mean[0] == 100
    assert belief.low[1] == pytest.approx(belief.mean[1] - 0.8416 * belief.sd[1])


def test_old_episodes_of_a_policy_that_learns_fade_and_those_of_the_source_policy_do_not():
    early = acted(source=[100.0, 20.0], learner=[20.0, 100.0])
    late = [*early[:3], early[3]._replace(at=int(40 + MEMORY * 1_000))]
    belief = beliefs(early, NAMES, "learner", None, 1_000)
    assert belief.mean[0] == 60 and belief.sd[1] > beliefs(early, NAMES, None, None, 1_000).sd[1]
    assert beliefs(late, NAMES, "learner", None, 1_000).mean[1] > beliefs(early, NAMES, "learner", None, 1_000).mean[1]


def test_what_an_old_episode_told_comes_back_into_doubt():
    """A policy that learned for long since it failed once is tried again; one that no longer learns is not."""
    episodes = [*acted(source=[100.0] * 4), Episode("learner", 60.0, 50)]
    soon, late = (beliefs(episodes, NAMES, "learner", None, now) for now in (50, 1_000))
    still = beliefs(episodes, NAMES, None, None, 1_000)
    assert soon.sd[1] == still.sd[1] < 0.6 * SPREAD * 100 < 0.75 * SPREAD * 100 < late.sd[1] < SPREAD * 100
    assert soon.mean[1] == still.mean[1] < late.mean[1] < 100
    random = np.random.default_rng(0)
    tried = [np.mean([drawn(belief, random) for _ in range(2_000)]) for belief in (still, late)]
    assert tried[0] < 0.05 < 0.2 < tried[1]


def test_a_simulator_is_believed_for_the_share_that_it_explains():
    simulated = np.array([[100.0, 100.0], [200.0, 200.0]])
    whole, half, none = (expected(simulated, e) for e in (1.0, 0.5, -3.0))
    for belief, mean, doubt in ((whole, 200, 2), (half, 150, 30 * 0.5**0.5), (none, 100, 30)):
        assert belief.mean.tolist() == [100, mean] and belief.sd[1] == pytest.approx(doubt)
    spread = expected(np.array([[100.0, 100.0], [150.0, 250.0]]), 1.0)  # episodes that do not agree
    assert spread.sd[1] == pytest.approx(np.hypot(2, 50 / np.sqrt(2)))
    sure = beliefs(acted(source=[80.0, 80.0]), NAMES, None, whole, 20)
    assert sure.mean.tolist() == pytest.approx([80, 180]) and best(sure) == 1
    assert best(beliefs(acted(source=[80.0]), NAMES, None, none, 20)) == 0
    assert best(beliefs([], NAMES, None, whole, 20)) == 1  # nothing was tested on the target


@pytest.mark.parametrize("sign", [1, -1])
def test_of_clear_differences_the_better_one_is_delivered_whatever_the_sign_of_returns(sign):
    good, bad = sorted((sign * 100.0, sign * 200.0), reverse=True)
    worse = acted(source=[good] * 2, learner=[bad] * 6)
    better = acted(source=[bad] * 2, learner=[good] * 6)
    assert [best(beliefs(x, NAMES, "learner", None, 80)) for x in (worse, better)] == [0, 1]


def test_draws_favour_what_is_better_and_try_what_is_unknown():
    random = np.random.default_rng(0)

    def share(mean, sd):
        return np.mean([drawn(Belief(np.array(mean), np.array(sd), np.array(sd)), random) for _ in range(2_000)])

    assert share([100.0, 100.0], [5.0, 30.0]) == 1  # a policy of which nothing is known acts at once
    assert 0.2 < share([100.0, 90.0], [5.0, 20.0]) < 0.4  # the chance that it is better: 0.31
    assert share([100.0, 50.0], [5.0, 10.0]) < 0.01
    assert share([0.0, 0.0], [0.0, 0.0]) == 1  # of equals, the one that learns


def test_two_policies_that_are_equal_cost_nothing_and_a_bad_one_is_kept_out():
    """Of a thousand runs of ten episodes with returns of 10% noise, the learner's shifted by `lead`."""
    random, delivered = np.random.default_rng(1), {}
    for lead in (-50.0, 0.0, 50.0):
        total = 0.0
        for _ in range(300):
            episodes = [Episode("source", random.normal(100, 10), 1_000 * (i + 1)) for i in range(2)]
            while len(episodes) < 10:
                now = 1_000 * len(episodes)
                who = drawn(beliefs(episodes, NAMES, "learner", None, now), random)
                episodes.append(Episode(NAMES[who], random.normal(100 + who * lead, 10), now + 1_000))
            total += (0.0, lead)[best(beliefs(episodes, NAMES, "learner", None, 10_000))]
        delivered[lead] = total / 300
    assert delivered[-50.0] > -1 and delivered[50.0] > 45 and delivered[0.0] == 0


@pytest.mark.parametrize(
    ("who", "sure", "episodes"),
    [("auto", True, 1), ("auto", False, 2), ("source", False, 1), ("source hopper", False, 1)],
)
def test_one_episode_is_enough_where_the_simulator_shows_how_far_they_are_apart(who, sure, episodes):
    assert enough(who, sure) == episodes


def test_a_choice_holds_for_a_whole_episode_and_episodes_of_several_do_not_count():
    choice, clock = Choice(("source",), [3], 2), np.zeros((1, 2), int)

    def act(agents, obs, noise):
        return np.full((1, 2, 1), agents)

    def step(act, ended=False):
        nonlocal clock
        action = act(7.0, None, None)[0, :, 0].tolist()
        if ended:
            for robot in range(2):
                choice.ended(0, robot, 5.0)
        clock = np.zeros_like(clock) if ended else clock + 1
        return action

    one = choice.among(act, {"source": 1.0}, lambda: clock)
    assert [step(one), step(one, ended=True), step(one)] == [[1, 1]] * 3
    choice.acting = ("learner",)  # the next stage's: in the middle of an episode
    two = choice.among(act, {"source": 1.0}, lambda: clock)
    assert step(two, ended=True) == [7, 7]
    again = Choice(("learner",), [3], 2)
    again.restore(json.loads(json.dumps(choice.state())))
    assert again.state() == choice.state()
    assert step(two, ended=True) == [7, 7]
    assert [(e.who, e.at) for e in choice.episodes[0]] == [("source", 4)] * 2 + [("learner", 10)] * 2


def config(method="mix", learner="sac", **more):
    settings = SETTINGS | more.pop("settings", {})
    return resolve(
        "hopper", bits.TARGET, method, learner=tr.learner(learner, **bits.LEARNERS[learner]), settings=settings,
        source_run=None, **{"controls": (), **bits.REQUEST, **more},
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", [row.name for row in METHODS.values() if row.start == "source" and row.target_share is not None]
)
def test_every_row_that_starts_from_a_source_agent_keeps_its_budget(name):
    learner = "sac" if METHODS[name].off_policy or METHODS[name].learner else "ppo"
    grounds = {"ground.steps": 60} if METHODS[name].ground else {}
    (track,) = compile(config(name, learner, target_steps=300, source_steps=8_000, settings=grounds)).tracks
    first, *_, last = track.stages
    assert first.phase == "evidence" and first.stream("target").acting == ("source",)
    assert sum(walked(stage).target for stage in track.stages) <= 300
    assert last.candidates[0] == "source" and last.candidates[-1] == name
    assert sum(walked(stage).source for stage in track.stages) <= 8_000


def test_a_learner_that_needs_its_own_steps_acts_alone_once_it_learns():
    for name, acting in (("fine_tune", ("fine_tune",)), ("darc", ("source", "darc"))):
        (track,) = compile(config(name, "ppo", target_steps=300)).tracks
        assert track.stages[-1].stream("target").acting == acting


def test_controls_that_have_no_source_policy_run_as_ever():
    tracks = compile(config("mix", controls=("zero_shot", "target_only", "fine_tune"))).tracks
    fell_back = {track.method.name for track in tracks if track.stages[-1].candidates}
    assert fell_back == {"mix", "fine_tune"}


@pytest.mark.parametrize(
    ("method", "more", "why"),
    [
        ("zero_shot", {}, "takes no target steps"),
        ("target_only", {}, "does not start from the source policy"),
        ("reward_gap", {"cotrain": True}, "there is no source policy"),
        ("fine_tune", {"target_steps": 1}, "raise `target_steps`"),
    ],
)
def test_what_cannot_fall_back_is_refused(method, more, why):
    with pytest.raises(tr.RequestError, match=why):
        config(method, **more)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("fallback") / "run"
    settings = SETTINGS | {"loop.eval_target": "training"}
    learner = tr.learner("sac", **bits.LEARNERS["sac"])
    request = {**bits.REQUEST, "target_steps": 400}
    return tr.transfer("hopper", bits.TARGET, "mix", learner=learner, settings=settings, out=out, **request), out


@pytest.mark.slow
def test_a_run_says_who_acted_and_who_was_delivered(run):
    result, out = run
    said = json.loads((out / "fallback.json").read_text())
    assert result.steps.target == said["target_steps"] == 400
    assert [one["seed"] for one in said["seeds"]] == [4, 5]
    for one in said["seeds"]:
        who, at = ([e[key] for e in one["episodes"]] for key in ("who", "target_steps"))
        assert who[0] == "source" and set(who) == {"source", "mix"} and at == sorted(at) and at[-1] <= 400
        low = {c["name"]: c["low"] for c in one["candidates"]}
        assert one["delivered"] == max(low, key=low.__getitem__)
        assert {c["name"]: c["episodes"] for c in one["candidates"]} == {n: who.count(n) for n in low}


@pytest.mark.slow
def test_returns_and_policy_are_those_of_what_was_delivered(run):
    result, out = run
    said = json.loads((out / "fallback.json").read_text())["seeds"]
    own = [[e["return"] for e in one["episodes"] if e["who"] == one["delivered"]] for one in said]
    n = min(bits.LOOP["final_episodes"], *map(len, own))
    assert result.target_return.tolist() == [returns[-n:] for returns in own]
    assert result.delivered == [one["delivered"] for one in said] == tr.load(out).delivered


@pytest.mark.slow
def test_the_page_says_who_acted_and_why_which_was_delivered(run):
    _, out = run
    section = write_report([out]).read_text().partition('<section id="delivery">')[2].partition("</section>")[0]
    said = json.loads((out / "fallback.json").read_text())["seeds"]
    kept = sum(one["delivered"] == "source" for one in said)
    assert f"The source policy was delivered for {kept} of 2 seeds" in section
    assert (
        section.count("<figcaption>What is known of the candidates") == 1 and "is believed to lead source by" in section
    )
    assert all(f"seed {one['seed']}: source" in section for one in said)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"seeds": [{"seed": 4}]}, {"target_steps": -1}, {"seeds": None}])
def test_a_damaged_account_is_refused(run, tmp_path, changed):
    place = Path(shutil.copytree(run[1], tmp_path / "run"))
    said = json.loads((place / "fallback.json").read_text())
    (place / "fallback.json").write_text(json.dumps(said | changed))
    with pytest.raises(tr.RequestError, match=f"fallback.json is damaged: '{next(iter(changed))}'"):
        write_report([place])
