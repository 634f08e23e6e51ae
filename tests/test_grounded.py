"""The methods `identified` and `grounded`: evidence by the source policy, a simulator for each seed, training in it,
and what remains."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward import replay as rp
from transreward.domains.varied import Varied
from transreward.engine import grounding, record, state
from transreward.ground import Ground
from transreward.plan.compile import compile
from transreward.request.resolve import resolve
from transreward.types import Steps

SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()}
LEARNER = tr.learner("sac", **bits.LEARNERS["sac"])


def config(target=bits.TARGET, **more):
    request = {**bits.REQUEST, "target_steps": 400, **more}
    return resolve(
        "hopper", target, "identified", learner=LEARNER, settings=SETTINGS, controls=(), source_run=None, **request
    )


def test_the_first_target_steps_are_taken_by_the_source_policy():
    (track,) = compile(config()).tracks
    first, then = track.stages
    assert (first.name, first.budget, first.schedule.updates) == ("identified-evidence", tr.Pair(0, 400), 0)
    assert first.schedule.warm == first.schedule.rounds and then.after == first.name
    assert then.budget.target == 0 and then.budget.source > 0 and then.ground == track.method.ground


@pytest.mark.parametrize("same", [True, False])
def test_seeds_that_have_the_same_steps_are_identified_once_and_told_once(monkeypatch, same):
    fits = []

    def refused(source, steps, known):
        fits.append(steps)
        return f"too few, {len(fits)}"

    monkeypatch.setattr(grounding, "_of", refused)
    domains = tr.Pair(tr.domain("hopper"), tr.domain("hopper:gravity=0.5"))
    held = np.zeros((1, 3)) if same else np.arange(2.0)[:, None] * np.ones(3) * 0.5
    walks = [domains.target.simulate(1, 0, 1) for _ in range(2)]
    steps = [[walks[k].step(held[k % len(held)][None]) for _ in range(8)] for k in range(2)]
    columns = [np.stack([[getattr(t, name) for t in one] for one in steps]) for name in tr.Transition._fields]
    stored = Steps(tr.Transition(*columns), np.zeros((2, 8, 1, 0)), np.ones((2, 8, 1)))
    found = grounding.grounded(domains, [0, 1], Ground(), rp.of(stored, domains.target.spaces))
    assert len(fits) == (1 if same else 2)
    whose = ["every seed"] if same else ["seed 0", "seed 1"]
    assert [line.partition(":")[0] for line in found.said[: len(fits)]] == whose


@pytest.mark.long
@pytest.mark.slow
def test_each_seed_trains_in_what_its_own_steps_show(tmp_path, monkeypatch):
    sources, kept = [], state.grounded

    def grounded(*given):
        found = kept(*given)
        sources.append(found[0])
        return found

    monkeypatch.setattr(state, "grounded", grounded)
    told = []
    result = tr.transfer(
        "hopper", bits.TARGET, "identified", learner=LEARNER, settings=SETTINGS, out=tmp_path / "run",
        watch=lambda progress: told.extend(progress.said), **{**bits.REQUEST, "target_steps": 400},
    )  # fmt: skip
    (source,) = sources
    assert isinstance(source, Varied) and source.by == "seed" and len(source.variants) == 2
    assert [v.model.opt.gravity[2] for v in source.variants] == pytest.approx([-9.81 / 2] * 2, rel=0.02)
    assert [line.partition(" (")[0].partition(";")[0] for line in told] == [
        state.IDENTIFYING.format("the target steps of each seed"), "seed 4: gravity x 0.5", "seed 5: gravity x 0.5"
    ]  # fmt: skip
    assert result.steps.target == 400 and result.updates > 0
    found = json.loads((tmp_path / "run" / "identification.json").read_text())
    assert found["id"] == found["ids"][0] == "hopper:gravity=0.5"
    assert [seed["sure"] for seed in found["seeds"]] == [True, True], "their intervals can be believed"


def test_too_few_target_steps_are_refused():
    with pytest.raises(tr.RequestError, match="from its first steps, and 40 are too few: raise `target_steps` to 60"):
        config(target_steps=40)


@pytest.mark.parametrize(("steps", "least"), [(10, 0.2), (500, 2.0)])
def test_settings_out_of_range_are_refused(steps, least):
    with pytest.raises(tr.RequestError, match=r"ground\.(steps|least) must be"):
        resolve(
            "hopper", bits.TARGET, "identified", learner=LEARNER, controls=(), source_run=None,
            settings=SETTINGS | {"ground.steps": steps, "ground.least": least}, **bits.REQUEST,
        )  # fmt: skip


def learns_the_rest(**more):
    settings = SETTINGS | {"ground.steps": 300, "feed.branches": 2} | more.pop("settings", {})
    return resolve(
        "hopper", bits.TARGET, "grounded", learner=LEARNER, settings=settings, controls=(), source_run=None,
        **{**bits.REQUEST, "source_steps": 4_000, "target_steps": 400, **more},
    )  # fmt: skip


def test_what_remains_is_learned_in_a_stage_of_its_own_and_all_is_paid_for():
    plan = compile(learns_the_rest())
    (track,) = plan.tracks
    first, alone, last = track.stages
    assert [s.name for s in track.stages] == ["grounded-evidence", "grounded-alone", "grounded"]
    assert (first.budget.target, alone.budget.target, last.budget.target) == (300, 0, 100)
    assert last.budget.source == 3 * 100 + 300  # branches and counterparts of its own, and the evidence once more
    (agent,) = plan.agents.values()
    assert sum(s.budget.source for s in (agent, alone, last)) == 4_000
    assert alone.ground and not last.ground and alone.method.gap is None and last.method is track.method
    rounds = [s.schedule.rounds - s.schedule.warm for s in (alone, last)]
    (plain,) = compile(config(source_steps=4_000)).tracks
    assert abs(rounds[0] - rounds[1]) <= 1
    assert sum(rounds) == plain.stages[-1].schedule.rounds  # as many updates as any row


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"ground.steps": 400},
            "learns from the target steps behind the first 400, and 400 are all: raise `target_steps` above 400",
        ),
        ({"ground.walk": 1.0}, "ground.walk must be at least 0 and below 1"),
        ({"use.strength": 2.0}, "use.strength of 'trust' must be in"),
    ],
)
def test_a_request_that_leaves_nothing_to_learn_is_refused(settings, said):
    with pytest.raises(tr.RequestError, match=said):
        learns_the_rest(settings=settings)


def test_ppo_is_told_what_to_use_instead():
    with pytest.raises(tr.RequestError, match='steps that another policy took, which ppo cannot: use `learner="sac"`'):
        resolve(
            "hopper", bits.TARGET, "grounded", learner=tr.learner("ppo", **bits.LEARNERS["ppo"]), settings={},
            controls=(), source_run=None, **{**bits.REQUEST, "source_steps": 40_000, "target_steps": 1_000},
        )  # fmt: skip


def asked(monkeypatch, settings):
    """The last run of `grounded` with these settings, its result, and where policies were evaluated meanwhile."""
    runs, places, kept, evaluated = [], [], state.open_streams, record.evaluated

    def open_streams(run, *given):
        kept(run, *given)
        runs.append(run)

    monkeypatch.setattr(state, "open_streams", open_streams)
    monkeypatch.setattr(
        record, "evaluated", lambda c, domain, *rest: places.append(domain) or evaluated(c, domain, *rest)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = tr.transfer(
            "hopper", bits.TARGET, "grounded", learner=LEARNER,
            settings=SETTINGS | {"ground.steps": 300, "feed.branches": 2, "gap.hidden": (8,)} | settings,
            **{**bits.REQUEST, "source_steps": 4_000, "target_steps": 400},
        )  # fmt: skip
    return runs[-1], result, places


@pytest.mark.slow
def test_where_the_physics_explains_all_the_steps_count_and_the_correction_is_tiny(monkeypatch):
    run, result, places = asked(monkeypatch, {})
    assert (result.steps.source, result.steps.target) == (4_000, 400)
    assert run.grounded is not None and (run.grounded.explained > 0.999).all()
    replay, pair = (rp.in_order(run.state.buffers[name]).transition for name in ("target", "counterpart"))
    assert replay.obs.shape[1] == 400 and (replay.obs == pair.obs).all() and (replay.action == pair.action).all()
    known = pair.truncated == 0
    assert np.abs(replay.next_obs - pair.next_obs)[known].max() < 1e-3  # of the grounded twin, the evidence as well
    row = result.log[-1]
    assert row["twin"] == "simulator" and row["grounded_explained"] > 0.999 and row["effective_sample_size"] > 0.999
    paid = {row["round"] for row in result.log if "gap_by_time" in row}
    assert places.count(run.grounded.compared) == len(paid) > 0  # it is shown what its own steps there are paid


@pytest.mark.slow
def test_as_a_control_the_source_stays_and_nothing_is_corrected(monkeypatch):
    run, result, places = asked(monkeypatch, {"ground.physics": False, "use.strength": 0.0})
    assert run.grounded.source is run.config.domains.source and run.asked.explained is None
    assert len(places) % 2 == 0 and set(places) == {*run.config.judged}  # nothing more is evaluated
    target, pair = (rp.in_order(run.state.buffers[name]).transition for name in ("target", "counterpart"))
    assert np.abs(target.next_obs - pair.next_obs).max() > 1e-2
    assert (result.steps.source, result.steps.target) == (4_000, 400) and result.log[-1]["effective_sample_size"] == 1


@pytest.mark.long
@pytest.mark.slow
def test_a_delay_that_commanded_actions_show_stays_in_the_twin(monkeypatch, tmp_path):
    found, kept = [], state.grounded
    monkeypatch.setattr(state, "grounded", lambda *given: found.append(kept(*given)) or found[-1])
    settings = SETTINGS | {"loop.history": 1, "ground.steps": 200}
    request = {**bits.REQUEST, "target_steps": 400, "source_steps": 9_000}
    result = tr.transfer(
        "hopper", "hopper:delay=1", "grounded", learner=LEARNER, settings=settings, out=tmp_path / "run", **request
    )
    (one,) = found
    assert one.source.name == one.twin.name == "hopper:delay=1|delay=1@history=1" and one.twin.invertible
    assert one.explained.min() > 0.99
    assert result.config["source"] == "hopper@history=1"
    again = tr.load(tmp_path / "run")
    assert np.array_equal(again.returns.target, result.returns.target)


@pytest.mark.parametrize(
    ("method", "learner"), [("identified", "sac"), ("grounded", "sac"), ("auto", "sac"), ("auto", "ppo")]
)
def test_rounds_of_identification_share_the_budgets(method, learner):
    def planned(rounds):
        settings = SETTINGS | {"ground.steps": 100, "ground.rounds": rounds}
        return compile(
            resolve(
                "hopper", bits.TARGET, method, learner=tr.learner(learner, **bits.LEARNERS[learner]), settings=settings,
                controls=(), source_run=None, **{**bits.REQUEST, "source_steps": 200_000, "target_steps": 5_000},
            )
        )  # fmt: skip

    plans = [planned(1), planned(3)]
    (one,), (three,) = (plan.tracks for plan in plans)
    rounds = [s for s in three.stages if s.name.startswith(f"{method}-round-")]
    evidence = [s for s in three.stages if s.phase == "evidence"]
    assert [s.phase for s in three.stages[:5]] == ["evidence", "walk"] * 2 + ["evidence"]
    assert len(rounds) == 2 and len(evidence) == 3 and len({s.name for s in three.stages}) == len(three.stages)
    assert [s for s in three.stages if s.ground] == [*rounds, three.stages[5]]
    assert sum(s.budget.target for s in three.stages) == sum(s.budget.target for s in one.stages) + (
        200 if method == "identified" else 0
    )
    walked = [sum(s.budget.source for s in track.stages) for track in (one, three)]
    turned = 0 if method == "identified" or learner == "ppo" else walked[0] - walked[1]  # fewer target steps are left
    assert abs(walked[0] - walked[1] - turned) <= bits.LEARNERS[learner].get("robots", 64)
    updates = [
        sum((s.schedule.rounds - s.schedule.warm) * s.schedule.updates for s in track.stages)
        / one.stages[1].schedule.updates
        for track in (one, three)
    ]
    assert abs(updates[0] - updates[1]) <= 3
    if method == "auto":
        assert [s.stream("target").acting for s in evidence] == [("source",), ("auto-round-1",), ("auto-round-2",)]
        assert three.stages[-1].candidates[:3] == ("source", "auto-round-1", "auto-round-2")


def test_rounds_that_the_target_budget_does_not_pay_are_refused():
    settings = SETTINGS | {"ground.steps": 150, "ground.rounds": 3}
    with pytest.raises(tr.RequestError, match="takes 450 target steps to identify the physics in 3 rounds, and"):
        resolve(
            "hopper", bits.TARGET, "identified", learner=LEARNER, settings=settings, controls=(), source_run=None,
            **{**bits.REQUEST, "target_steps": 400},
        )  # fmt: skip
    with pytest.raises(tr.RequestError, match=r"ground\.rounds must be at least 1"):
        config_of = SETTINGS | {"ground.rounds": 0}
        resolve(
            "hopper", bits.TARGET, "identified", learner=LEARNER, settings=config_of, controls=(), source_run=None,
            **{**bits.REQUEST, "target_steps": 400},
        )  # fmt: skip


def test_after_several_rounds_each_robot_has_to_have_a_target_step_left():
    """Else a part that learns from target steps had none, and broke off once they were spent."""
    settings = SETTINGS | {"ground.steps": 120, "ground.rounds": 2, "loop.target_robots": 2}
    request = {"learner": LEARNER, "settings": settings, "controls": (), "source_run": None}
    request |= {**bits.REQUEST, "source_steps": 20_000}
    with pytest.raises(tr.RequestError, match="takes 240 target steps to identify the physics in 2 rounds, and 241"):
        resolve("hopper", bits.TARGET, "grounded", **{**request, "target_steps": 241})
    (track,) = compile(resolve("hopper", bits.TARGET, "grounded", **{**request, "target_steps": 242})).tracks
    assert track.stages[-1].schedule.controls.target == 1


@pytest.mark.slow
def test_each_round_identifies_from_all_target_steps_so_far(monkeypatch):
    seen, kept = [], state.grounded

    def grounded(*given):
        seen.append(len(rp.in_order(given[3]).transition.reward[0]))
        return kept(*given)

    monkeypatch.setattr(state, "grounded", grounded)
    settings = SETTINGS | {"ground.steps": 150, "ground.rounds": 2}
    result = tr.transfer(
        "hopper", bits.TARGET, "identified", learner=LEARNER, settings=settings,
        **{**bits.REQUEST, "source_steps": 4_000, "target_steps": 400},
    )  # fmt: skip
    assert seen == [150, 300] and result.steps.target == 300


class Nameless:
    """A half-cheetah that is paid backward, of which only the steps are seen."""

    def __init__(self):
        self._plain, self.name = tr.domain("halfcheetah+backward:gravity=1.5"), "nameless"
        self.spaces, self.reward_terms = self._plain.spaces, self._plain.reward_terms
        self.episode_steps = self._plain.episode_steps

    def simulate(self, n, seed=0, threads=0):
        return self._plain.simulate(n, seed, threads)


@pytest.mark.slow
def test_a_policy_goes_on_in_another_view_once_and_not_in_each_round(monkeypatch):
    """The second mirror would be the first one undone."""
    taken, kept = [], state.take_up
    monkeypatch.setattr(state, "take_up", lambda *given: (taken.append(given[2]), kept(*given))[1])
    settings = SETTINGS | {"ground.steps": 100, "ground.rounds": 2}
    tr.transfer(
        "halfcheetah", Nameless(), "identified", learner=LEARNER, settings=settings,
        **{**bits.REQUEST, "seeds": 1, "source_steps": 2_000, "target_steps": 300},
    )  # fmt: skip
    assert len(taken) == 1
