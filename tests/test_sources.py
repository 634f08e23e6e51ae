"""Several sources of one transfer: `transfer S1,S2,S3 T`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward import replay as rp
from transreward.compare import leader
from transreward.domains.several import Several, apart, joined
from transreward.engine.state import Run
from transreward.evaluation.diagnostics import guided_by
from transreward.fallback import of_source, opening
from transreward.methods import METHODS
from transreward.plan.compile import compile
from transreward.reports.page import write_report
from transreward.request.resolve import resolve
from transreward.streams.choice import Choice
from transreward.study.jobs import jobs_of
from transreward.study.plan import parsed
from transreward.types import Steps, Transition

POLES = ["inverted_pendulum", "inverted_pendulum:gravity=2", "inverted_pendulum:size(pole)=1.5,mass=2"]
TARGET = "inverted_pendulum:size(pole)=2"
SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()}


@pytest.mark.parametrize(
    "ids",
    [
        ["hopper"],
        ["hopper:gravity=0.5,mass(torso)=0.7", "walker2d"],
        ["hopper:without(foot),broken=leg", "ant@turned90+direction(degrees=45):friction=0.3", "hopper"],
        [
            "mjcf:a/arm.xml(tip=lower,pose=ready)+reach(x=0.1,y=0.2,z=0.3):payload=1",
            "gym:Pendulum-v1",
            "my.module:make",
        ],
        ["hopper:gravity=0.5..2,mass=0.7..1.5", "data:logs/monday.npz"],
    ],
)
def test_a_text_of_several_ids_is_taken_apart_where_one_of_them_begins(ids):
    assert apart(joined(ids)) == ids
    assert apart(", ".join(ids)) == ids


def test_a_misspelt_shift_is_no_source():
    with pytest.raises(tr.RequestError, match="unknown shift 'gravty'"):
        tr.domain("hopper:mass=2,gravty=0.5")


def test_a_domain_is_one():
    with pytest.raises(tr.RequestError, match="names 2 domains: name one"):
        tr.domain("hopper,walker2d")


@pytest.mark.parametrize(("sources", "first"), [(1, 2_000), (2, 2_000), (3, 3_000), (9, 5_000)])
def test_each_source_policy_has_an_episode_within_half_of_the_budget(sources, first):
    assert opening(10_000, 1_000, sources) == first
    assert opening(3_000, 1_000, sources) == 1_000


def test_robots_of_several_domains_walk_side_by_side():
    """Each row as in its own domain, and put back to the bit."""
    several = Several([tr.domain(one) for one in POLES])
    mine, seeds = several.simulate(10, [3, 4]), np.repeat([3, 4], 5)
    own = [tr.domain(one).simulate(2 * n, [3, 4]) for one, n in zip(POLES, (2, 2, 1), strict=True)]
    rows = [[0, 3, 5, 8], [1, 4, 6, 9], [2, 7]]
    random, kept, before = np.random.default_rng(0), {}, np.zeros((10, 1))
    for step in range(60):
        action = random.uniform(-3, 3, (10, 1))
        if step == 30:
            kept = mine.get_state()
        if step == 31:
            mine.set_state(kept)
            mine.step(before)
        t = mine.step(action)
        for part, of in zip(own, rows, strict=True):
            theirs = part.step(action[of])
            for a, b in zip(t, theirs, strict=True):
                assert np.array_equal(np.asarray(a)[of], b)
        before = action
    assert mine.obs.shape == (10, 4) and len(seeds) == 10 and several.restorable
    with pytest.raises(tr.RequestError, match="2 robots a seed cannot be of 3 sources"):
        several.simulate(4, [3, 4])


def test_steps_of_several_agents_become_those_of_one_replay():
    spaces = tr.domain(POLES[0]).spaces
    assert spaces.obs == 4
    made = []
    for value, size, terms in ((1.0, 5, 2), (2.0, 3, 2), (3.0, 4, 1)):
        t = Transition(
            obs=np.full((1, size, 4, 4), value), action=np.full((1, size, 4, 1), value),
            reward=np.arange(size)[None, :, None] + np.zeros((1, size, 4)),
            next_obs=np.full((1, size, 4, 4), value), terminated=np.zeros((1, size, 4)),
            truncated=np.zeros((1, size, 4)),
        )  # fmt: skip
        made.append(rp.of(Steps(t, np.full((1, size, 4, terms), value), np.zeros((1, size, 4))), spaces))
    steps = rp.in_order(rp.dealt(made))
    assert steps.transition.obs[0, :, :, 0].tolist() == [[1, 2, 3, 1]] * 3
    assert steps.transition.reward[0, :, 0].tolist() == [2, 3, 4] and steps.terms.shape[-1] == 0  # the newest
    assert rp.in_order(rp.dealt(made[:2])).terms[0, 0, :, 0].tolist() == [1, 2, 1, 2]


def test_at_first_all_act_equally_often_in_order():
    choice = Choice(("source a", "source b", "source c"), [0], 1)
    choice.in_turn, clock = True, np.zeros((1, 1), int)
    act = choice.among(
        lambda agents, obs, noise: np.full((1, 1, 1), agents), dict.fromkeys(choice.acting, 0.0), lambda: clock
    )
    for episode in range(7):
        for step in range(3):
            clock[:] = step
            act(None, np.zeros((1, 1, 2)), None)
        assert choice.ended(0, 0, float(episode)) is False  # none of them is the policy that learns
    assert [e.who[-1] for e in choice.episodes[0]] == list("abcabca")


WEIGHTED = {"settings": {"loop.sources": "weighted"}}
DARC = {**WEIGHTED, "method_name": "darc"}


def asked(**changes):
    request = {
        "source": ",".join(POLES), "target": TARGET, "method_name": "auto", "learner": "sac", "source_steps": 20_000,
        "target_steps": 2_000, "seeds": 2, "seed": 0, "settings": {}, "controls": (), "source_run": None,
    }  # fmt: skip
    return resolve(**(request | changes))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"source": [POLES[0], POLES[0]]}, "named twice"),
        ({"source": []}, "the list of sources is empty"),
        ({"method_name": "zero_shot"}, "takes no target steps, in which candidates could act: name one"),
        ({"method_name": "cup", "settings": {"use.start": "nothing"}}, "does not start from the source policy"),
        ({"method_name": "rlpd"}, "does not start from the source policy: name one, or use darc"),
        ({"method_name": "randomised"}, "trains in a family around one source"),
        ({"source_run": "runs/x"}, "several sources train an agent each"),
        ({"source": "hopper,inverted_pendulum"}, "hopper"),
        ({"settings": {"loop.sources": "near"}}, "must be equal or weighted"),
        ({**DARC, "source": POLES[0]}, "weighs several sources, and there is one: name more"),
        ({**WEIGHTED}, "drawn from all sources, and 'auto' draws none: leave it out, or use darc, "),
        ({**WEIGHTED, "method_name": "fine_tune"}, "'fine_tune' draws none"),
        ({**WEIGHTED, "method_name": "paired"}, "'paired' draws none"),
        ({**DARC, "learner": "ppo"}, "steps that are kept, and ppo keeps none"),
        (
            {**DARC, "source": ["hopper", "walker2d"], "target": "hopper:gravity=0.5"},
            "compares steps of one body, and some sources have another",
        ),
        ({"settings": {"learner.robots": 2}}, "raise learner.robots to 3 or more"),
        ({"source": f"{POLES[0]},{POLES[0]}:mass=1.2|mass=2", "seeds": 3}, "2 variants, one a seed, and 3 seeds are"),
        ({"source": POLES[0], "target": f"{POLES[0]}:mass=1.2|mass=2", "seeds": 3}, "2 variants, one a seed, and 3"),
    ],
)
def test_a_wrong_request_of_several_sources_says_why(changes, why):
    with pytest.raises(tr.RequestError, match=why):
        asked(**changes)


def test_one_source_in_a_list_is_one_source():
    one, same = asked(source=POLES[0]), asked(source=[POLES[0]])
    assert not same.others and one.as_json(one.method) == same.as_json(same.method)


def test_an_agent_is_planned_in_each_source_and_all_are_candidates():
    config = asked()
    plan = compile(config)
    assert [list(part.agents) for part in plan.others] == [list(plan.agents)] * 2
    first, *_, last = plan.tracks[0].stages
    assert first.candidates == tuple(f"source {one}" for one in POLES) == first.streams[0].acting
    assert last.candidates[:3] == first.candidates and not any(map(of_source, last.candidates[3:]))
    assert config.as_json(config.method)["sources"] == POLES


def test_a_study_may_have_a_pair_of_several_sources(tmp_path):
    text = {"pairs": [[",".join(POLES), TARGET]], "methods": ["darc"], "learner": "sac", "source_steps": 20_000}
    (job,) = jobs_of(parsed({**text, "target_steps": 2_000}), tmp_path)
    assert job.agent is None and job.command()[1] == ",".join(POLES)


def test_beside_a_method_of_several_sources_a_control_of_a_study_takes_the_leading_one(tmp_path):
    """As beside it in one run, whatever their order."""
    text = {"pairs": [[",".join(POLES), TARGET]], "learner": "sac", "source_steps": 20_000, "target_steps": 2_000}
    agent, alone, several = jobs_of(parsed({**text, "methods": ["zero_shot", "fine_tune"]}), tmp_path)
    assert alone.request["source"] == agent.request["source"] == POLES[0] and alone.agent is agent
    assert several.request["source"] == ",".join(POLES)
    with pytest.raises(tr.RequestError, match="takes no target steps, in which candidates could act: name one"):
        jobs_of(parsed({**text, "methods": ["zero_shot"]}), tmp_path)


def test_a_comparison_of_several_sources_is_led_by_a_method_that_chooses_between_them():
    rows = [METHODS["zero_shot"], METHODS["target_only"], METHODS["fine_tune"]]
    assert leader(rows, {}, several=True).name == "fine_tune" and leader(rows, {}).name == "zero_shot"


@pytest.mark.parametrize(
    ("method", "more"),
    [
        pytest.param("darc", {}, marks=pytest.mark.slow),
        pytest.param("cup", {}, marks=[pytest.mark.slow, pytest.mark.long]),
        pytest.param("mix", WEIGHTED["settings"], marks=pytest.mark.slow),
        pytest.param("auto", {"ground.steps": 200}, marks=[pytest.mark.slow, pytest.mark.long]),
    ],
)
def test_several_sources_to_the_same_bits_after_an_interruption(tmp_path, method, more):
    """The ledger counts each agent's steps; the page says which source helped, and how often each was drawn."""
    settings = {"learner.hidden": [16, 16], **more}

    def transfer(out, watch=None):
        return tr.transfer(
            POLES, TARGET, method, learner="sac", source_steps=6_000, target_steps=500, seeds=2, out=out,
            settings=settings, watch=watch,
        )  # fmt: skip

    whole = transfer(tmp_path / "whole")
    assert [one["id"] for one in whole.sources] == POLES and whole.steps.target == 500
    trained = {one["steps"] for one in whole.sources}
    walked = whole.steps.source - 3 * trained.pop()
    assert not trained and (walked > 0) == (method != "cup") and whole.steps.source < 3 * 6_000
    assert all(seed["began"] in {f"source {one}" for one in POLES} for seed in whole.fallback["seeds"])

    def stop(progress):
        if progress.phase in ("transfer", "walk") and progress.done > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(tmp_path / "cut", stop)
    again = tr.resume(tmp_path / "cut")
    leaves = zip(jax.tree.leaves(whole.agents), jax.tree.leaves(again.agents), strict=True)
    assert all(np.array_equal(a, b) for a, b in leaves) and again.fallback == whole.fallback
    assert tr.load(tmp_path / "whole").sources == whole.sources == again.sources
    weights = [one.get("weight") for one in whole.sources]
    if more == WEIGHTED["settings"]:
        assert np.sum(weights, axis=0) == pytest.approx(1) and np.ptp(weights) > 1e-3
        last = [row for row in whole.log if row["method"] == method][-2:]
        assert [row["source_2_weight"] for row in last] == weights[1]
        assert [row["source_2_divergence"] for row in last] == whole.sources[1]["divergence"]
    else:
        assert weights == [None] * 3
    page = Path(write_report([tmp_path / "whole"])).read_text()
    assert "Which source helped" in page and json.dumps(POLES[1])[1:-1] in page
    assert ("nats a step from the target" in page) == (more == WEIGHTED["settings"])
    assert list(whole.guided) == (POLES if method == "cup" else [])
    assert (guided_by(whole.guided) in page and "guided in" in page) == (method == "cup")
    assert 0 <= sum(whole.guided.values()) <= 1


def test_all_sources_policies_are_asked_in_their_order():
    config = asked(method_name="cup")
    kept = {name: name for name in ("cup", *reversed(config.candidates))}

    def policies(method, candidates):
        state = SimpleNamespace(candidates=candidates, guide="the source agent")
        run = SimpleNamespace(stage=SimpleNamespace(method=METHODS[method]), config=config, state=state)
        asks: Any = Run.policies
        return asks.fget(run)

    assert policies("cup", kept) == config.candidates and policies("cup", {}) == ("the source agent",)
    assert policies("fine_tune", kept) is None
    (first, last) = compile(config).tracks[0].stages
    assert first.candidates == config.candidates and last.guided and last.candidates[-1] == last.name


@pytest.mark.slow
@pytest.mark.long
def test_of_a_good_policy_and_one_that_falls_the_good_one_guides(monkeypatch):
    """From scratch, so that nobody's critics know the one or the other; the one that falls pushes the other way."""

    def both(run):
        if not run.stage.guided:
            return None
        *before, last = run.state.guide.actor
        falling = run.state.guide._replace(actor=[*before, jax.tree.map(jnp.negative, last)])
        return falling, run.state.guide

    monkeypatch.setattr(Run, "policies", property(both))
    found = tr.transfer(
        POLES[0], POLES[1], "cup", learner="sac", source_steps=20_000, target_steps=2_000, seeds=2,
        settings={"use.start": "nothing", "learner.hidden": [32, 32], "loop.final_episodes": 2},
    )  # fmt: skip
    rows = [row for row in found.log if row["method"] == "cup"]
    fell, good = (np.mean([row[f"guided_{k}"] for row in rows[len(rows) // 2 :]]) for k in (0, 1))
    assert good > 2 * fell and good > 0.1


@pytest.mark.slow
def test_the_source_that_is_like_the_target_is_drawn_most():
    """The middle one of three gravities; its equal by name would be refused."""
    result = tr.transfer(
        ["inverted_pendulum", "inverted_pendulum:gravity=3", "inverted_pendulum:gravity=2.01"],
        "inverted_pendulum:gravity=2", "darc", learner="sac", source_steps=6_000, target_steps=1_000, seeds=2,
        settings={"learner.hidden": [16, 16], **WEIGHTED["settings"]},
    )  # fmt: skip
    weights = np.array([one["weight"] for one in result.sources])
    assert (weights.argmax(axis=0) == 2).all() and weights[2].mean() > 0.4
