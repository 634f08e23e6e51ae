"""The methods `universal` and `universal_identified`: a policy that is told which robot of a family it is in."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward.bridges.take_up import given
from transreward.domains.informed import informed
from transreward.engine.informing import read
from transreward.engine.programs import programs
from transreward.engine.stages import acting
from transreward.identify.evidence import of_walks
from transreward.identify.identified import identifiable, identified
from transreward.plan.compile import compile
from transreward.request.config import PLAIN
from transreward.request.resolve import resolve
from transreward.runs.source_agent import SourceAgent
from transreward.types import RequestError, Spaces

LEARNERS = {name: tr.learner(name, **settings) for name, settings in bits.LEARNERS.items()}
SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()}
OWN = Spaces(5, 2, -np.ones(2, np.float32), 2 * np.ones(2, np.float32))
WIDE = replace(OWN, obs=8)


def config(method="universal", target=bits.TARGET, source="hopper", controls=(), settings=None, **more):
    request = {**bits.REQUEST, "target_steps": 400, "learner": LEARNERS["sac"], "source_run": None, **more}
    return resolve(source, target, method, settings=SETTINGS | (settings or {}), controls=controls, **request)


def taught(learner, told):
    """Agents of two seeds whose normaliser has seen `told` [n, 3] behind random columns, with weights that matter."""
    fresh, _ = programs(learner, PLAIN.compensation(), WIDE).init(jax.vmap(jax.random.key)(jnp.arange(2)))
    rng = np.random.default_rng(0)
    agents = jax.tree.map(lambda x: x + 0.1 * rng.standard_normal(x.shape).astype(x.dtype), fresh)
    agents = agents._replace(**{name: getattr(fresh, name) for name in ("normaliser", "centre", "half_width")})
    seen = np.concatenate([rng.normal(1, 3, (len(told), 5)), told], axis=1).astype(np.float32)
    return agents._replace(normaliser=jax.vmap(lambda normaliser: normaliser.see(seen))(agents.normaliser))


@pytest.mark.parametrize("name", LEARNERS)
def test_what_it_is_told_goes_into_its_biases(name):
    """The same actions, draws and values as of the policy that reads it, each seed told its own."""
    learner, rng = LEARNERS[name], np.random.default_rng(1)
    known = rng.random((500, 1)) > 0.2
    wide = taught(learner, np.concatenate([rng.uniform(-1, 1, (500, 2)) * known, known], axis=1))
    told = np.array([[0.3, -1.0, 1.0], [0.0, 0.0, 0.0]])
    plain = given(learner, wide, OWN, told)
    obs, noise = rng.normal(1, 3, (2, 64, 5)), rng.standard_normal((2, 64, 2)).astype(np.float32)
    seen = np.concatenate([obs, np.tile(told[:, None], (1, 64, 1))], axis=-1)
    for ask in (
        lambda agent, x, z: learner.act(agent, x, None),
        lambda agent, x, z: learner.act(agent, x, z),
        lambda agent, x, z: learner.value(agent, x),
    ):
        one, other = (jax.vmap(ask)(a, jnp.asarray(x, jnp.float32), noise) for a, x in ((plain, obs), (wide, seen)))
        assert np.max(np.abs(one - other)) < 2e-6 * max(1, np.abs(other).max())
    others = given(learner, wide, OWN, told[::-1])
    assert np.abs(learner_acts(learner, plain, obs) - learner_acts(learner, others, obs)).max() > 1e-3
    fresh = programs(learner, PLAIN.compensation(), OWN).init(jax.vmap(jax.random.key)(jnp.arange(2)))[0]
    assert jax.tree.map(jnp.shape, plain) == jax.tree.map(jnp.shape, fresh)  # it learns on as any other
    assert plain.centre.shape == (2, 2)


def learner_acts(learner, agents, obs):
    return np.asarray(jax.vmap(lambda a, x: learner.act(a, x, None))(agents, jnp.asarray(obs, jnp.float32)))


@pytest.mark.parametrize("name", LEARNERS)
def test_never_told_it_listens_to_nothing(name):
    """Columns that were 0 in every episode have weights of the first hour: whatever is told then changes no bit."""
    learner = LEARNERS[name]
    wide = taught(learner, np.zeros((500, 3)))
    nothing, much = (given(learner, wide, OWN, np.full((2, 3), x)) for x in (0.0, 1.0))
    assert all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(nothing), jax.tree.leaves(much), strict=True))
    obs = np.random.default_rng(2).normal(1, 3, (2, 64, 5))
    seen = np.concatenate([obs, np.zeros((2, 64, 3))], axis=-1)
    assert learner_acts(learner, nothing, obs) == pytest.approx(learner_acts(learner, wide, seen), abs=2e-6)


def test_the_plan():
    (track,) = compile(config(target_steps=400)).tracks
    first, then = track.stages
    assert (first.phase, first.budget) == ("evidence", (0, 400)) and first.candidates == ("source",)
    assert (then.budget, then.ground, then.after) == ((0, 0), track.method.ground, first.name)
    assert then.candidates == ("source", "universal")
    *_, trial = compile(config(target_steps=9000)).tracks[0].stages
    assert trial.phase == "trial" and trial.candidates == ("source", "universal")
    found = config("universal_identified", controls=("universal", "randomised", "zero_shot"), target_steps=400)
    plan = compile(found)
    learned, *others = plan.tracks
    told, last = learned.stages[1:]
    assert [s.name for s in learned.stages[1:]] == ["universal_identified-told", "universal_identified"]
    assert told.ground and not last.ground and last.budget.source > 0 and len(last.candidates) == 3
    agents = {track.method.name: track.agent for track in (learned, *others)}
    assert plan.agents[agents["universal"]].after == agents["universal_identified"]  # one agent, trained on
    assert len({agents[name] for name in ("universal", "randomised", "zero_shot")}) == 3
    rounds = config(settings={"ground.physics": False, "loop.fallback": False})
    assert compile(rounds).tracks[0].stages[-1].name == "universal"


@pytest.mark.slow
def test_its_agent_sees_the_family_and_then_one_robot():
    found = config(source="hopper:gravity=0.5..2", target="hopper:gravity=1.5")
    (name,) = compile(found).agents
    training = found.of_agent(compile(found).agents[name].method)
    assert training.domains.map(lambda d: d.name) == (
        "hopper:gravity=0.5..2@informed=0.2", "hopper:gravity=1.5@uninformed=1",
    )  # fmt: skip
    spaces = training.domains.source.spaces
    assert spaces == training.domains.target.spaces
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    agents = programs(found.learner, PLAIN.compensation(), spaces).init(keys)[0]
    agent = SourceAgent(training.domains.source.name, found.learner, agents, None, keys, 0, found.seed_list, [])
    plain = acting(found, found.method, agent)
    assert plain.told is agents and plain.agents.normaliser.mean.shape == (2, 11)
    again = plain.of_family(found.domains.source.spaces, np.zeros((2, 2)))
    assert all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (again, plain.agents)), strict=True))


def seen(target, steps=300):
    """What random steps of a hopper show."""
    walk, rng, taken = tr.domain(target).simulate(1, 0, threads=1), np.random.default_rng(0), []
    for _ in range(steps):
        taken.append(walk.step(rng.uniform(-1, 1, (1, 3))))
    return identified(identifiable("hopper"), of_walks(tr.types.Transition(*map(np.stack, zip(*taken, strict=True)))))


OUTSIDE = ("hopper:gravity=3", {"gravity": 2.0, "mass": 1.0}, "gravity 3 is outside the family's 0.5..2")
EDGE = ("hopper:mass=1.49", {"gravity": 1.0, "mass": 1.49}, "mass 1.49 is at the edge of the family's 0.5..1.5")
ANOTHER = (
    "hopper:gravity=0.8,damping=3", {"gravity": 0.8, "mass": 1.0}, "not among the parameters that it is told of",
)  # fmt: skip


@pytest.mark.parametrize(
    ("target", "values", "said"),
    [
        ("hopper:gravity=0.8", {"gravity": 0.8, "mass": 1.0}, "the policy is told gravity 0.8, mass 1"),
        pytest.param(*OUTSIDE, marks=pytest.mark.slow),
        pytest.param(*EDGE, marks=pytest.mark.slow),
        ("hopper:damping=3", {}, "the policy is told nothing; not among the parameters that it is told of: damping"),
        pytest.param(*ANOTHER, marks=pytest.mark.slow),
        ("hopper", {"gravity": 1.0, "mass": 1.0}, "the policy is told gravity 1, mass 1"),
    ],
)
def test_what_is_identified_is_told_within_the_family(target, values, said):
    family = informed(tr.domain("hopper:gravity=0.5..2,mass=0.5..1.5"), 0.2)
    found, notes = read(identifiable("hopper"), family, seen(target))
    assert found == pytest.approx(values, rel=0.02) and said in "; ".join(notes)


def test_what_is_not_known_is_not_told():
    family = informed(tr.domain("hopper:gravity=0.5..2"), 0.2)
    assert read(identifiable("hopper"), family, None) == ({}, ["the policy is told nothing, for too little is known"])


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("method", [pytest.param("universal", marks=pytest.mark.long), "universal_identified"])
def test_what_is_delivered_is_a_plain_policy_that_was_told(tmp_path, method):
    lines = []
    result = tr.transfer(
        "hopper", "hopper:gravity=0.8", method, learner=LEARNERS["sac"], out=tmp_path / "run",
        settings={**SETTINGS, "randomise.ranges": "gravity=0.5..2,mass=0.7..1.4"},
        watch=lambda progress: lines.extend(progress.said), **{**bits.REQUEST, "target_steps": 400},
    )  # fmt: skip
    assert [line for line in lines if "the policy is told gravity 0.8" in line]
    told = json.loads((tmp_path / "run" / "identification.json").read_text())["told"]
    assert told[0] == pytest.approx({"gravity": 0.8, "mass": 1.0}, rel=0.02) and len(told) == 2
    assert result.policy(0)(np.zeros(11)).shape == (3,) and result.steps.target <= 400
    assert result.zero_shot is None and set(result.delivered) <= {"source", method, f"{method}-told"}
    assert json.loads((tmp_path / "run" / "source" / "agent.json").read_text())["source"].endswith("@informed=0.2")
    again = tr.load(tmp_path / "run")
    assert np.array_equal(again.policy(1)(np.ones(11)), result.policy(1)(np.ones(11)))


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
def test_one_agent_serves_other_targets(tmp_path):
    """It is taken up from an earlier run, and is told another robot; an agent of another family is refused."""
    ranges = {**SETTINGS, "randomise.ranges": "gravity=0.5..2"}
    asked = {"learner": LEARNERS["sac"], **bits.REQUEST, "target_steps": 96}
    short = ranges | {"ground.steps": 80}
    first = tr.transfer("hopper", "hopper:gravity=0.8", "universal", settings=short, out=tmp_path / "run", **asked)
    again = tr.transfer(
        "hopper", "hopper:gravity=0.8", "universal", settings=short, source_run=tmp_path / "run", **asked
    )
    assert again.steps == first.steps == (640, first.steps.target)
    assert all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (first.agents, again.agents)), strict=True))
    with pytest.raises(RequestError, match=r"was trained in hopper:mass=1\.\.2@informed=0\.2"):
        tr.transfer("hopper", "hopper:gravity=0.8", "universal", settings={"randomise.ranges": "mass=1..2"},
                    source_run=tmp_path / "run", **asked)  # fmt: skip


@pytest.mark.long
@pytest.mark.slow
def test_who_knows_of_a_bias_reaches_better():
    """Motors that pull to one side: an arm without memory that is not told stops beside its goal. No step in the target
    is learned from."""
    few = {"loop.eval_episodes": 20, "loop.source_evaluations": 1, "loop.aligned": 0.0, "loop.threads": 1}
    result = tr.transfer(
        "reacher:bias=-0.8..0.8", "reacher:bias=0.6", learner="ppo", method="universal", source_steps=100_000,
        target_steps=500, seeds=1, settings=few, fresh=True,
    )  # fmt: skip
    assert result.delivered == ["universal"] and result.steps == (100_000, 500) and result.updates == 0
    untold, told = (one["mean"] for one in result.fallback["seeds"][0]["candidates"])
    assert told > untold + 10.0


def test_what_is_refused():
    with pytest.raises(RequestError, match=r"randomise\.drop must be in \(0, 1\), not 1"):
        config(settings={"randomise.drop": 1.0})
    with pytest.raises(RequestError, match=r"learns nothing between two rounds of identifying: leave ground\.rounds"):
        config(settings={"ground.rounds": 2})
    with pytest.raises(
        RequestError, match=r"trains in the family hopper:gravity=0\.5\.\.2: leave randomise\.ranges out"
    ):
        config(source="hopper:gravity=0.5..2", settings={"randomise.ranges": "mass=1..2"})
    with pytest.raises(RequestError, match=r"'hopper:gravity=0\.5\.\.2' is a family of robots"):
        config("identified", source="hopper:gravity=0.5..2")
    with pytest.raises(RequestError, match="too few"):
        config(target_steps=40)
    with pytest.raises(RequestError, match=r"randomise\.infer is for a family of tasks, and all robots of .* have one"):
        config(settings={"randomise.infer": True})
    with pytest.raises(RequestError, match=r"leave randomise\.scale out"):
        config(source="hopper:gravity=0.5..2", settings={"randomise.scale": False})
