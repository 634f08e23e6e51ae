"""Rows of one simulation with physics of their own are, to the bit, those of a simulation of each."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from transreward.domains.changes import changes
from transreward.domains.difference import measure, require_difference
from transreward.domains.ids import domain
from transreward.domains.robots import ROBOTS
from transreward.domains.robots.hopper import ROBOT as HOPPER
from transreward.domains.shifts import Range, parse
from transreward.domains.varied import VARIANTS, Varied, of_seed
from transreward.identify.identified import identifiable
from transreward.request.resolve import resolve
from transreward.types import RequestError

HOPPERS = (
    "gravity=2", "", "delay=2", "deadzone=0.2,bias(leg_joint)=0.1", "sensor_noise=0.1,sensor_delay=1", "friction=0.3",
    "size=1.2", "mass=2", "noise=0.1,delay=1", "sensor_bias=0.2", "friction(floor)=0.3,frictionloss=1",
)  # fmt: skip
EACH = 3  # rows of a variant


def varied(robot, texts, by="seed"):
    return Varied(ROBOTS[robot], [parse(text) if text else [] for text in texts], by=by)


def both(robot, texts):
    """A simulation of all variants, and one of each with the same seeds."""
    made = varied(robot, texts)
    plain = [domain(f"{robot}:{text}" if text else robot) for text in texts]
    seeds = range(5, 5 + len(texts))
    one = made.simulate(EACH * len(texts), seeds, threads=1)
    return one, [d.simulate(EACH, seed, threads=1) for d, seed in zip(plain, seeds, strict=True)]


def require_same(one, others, steps, seed=0):
    """Step both with the same actions: whatever is told of a row is the same in both."""
    spaces, rng, ended = one.domain.spaces, np.random.default_rng(seed), 0
    for _ in range(steps):
        action = rng.uniform(spaces.low, spaces.high, (len(one.obs), spaces.action))
        together = one.step(action)
        alone = [s.step(a) for s, a in zip(others, np.split(action, len(others)), strict=True)]
        for x, ys in zip(together, zip(*alone, strict=True), strict=True):
            assert np.array_equal(x, np.concatenate(ys))
        for of in (lambda s: s.obs, lambda s: s.qpos, lambda s: s.qvel, lambda s: s.clock):
            assert np.array_equal(of(one), np.concatenate([of(s) for s in others]))
        for name, paid in one.terms.items():
            assert np.array_equal(paid, np.concatenate([s.terms[name] for s in others]))
        ended += (together.terminated | together.truncated).sum()
    return ended


@pytest.mark.parametrize(
    ("robot", "texts"),
    [
        ("hopper", HOPPERS),
        ("ant", ("mass=2", "gravity=0.5", "friction=0.3")),
        ("humanoid", ("mass(torso)=2", "", "size=1.1")),
    ],
)
def test_rows_are_those_of_each_variant_alone(robot, texts):
    one, others = both(robot, texts)
    assert require_same(one, others, 60) or robot == "ant"


def test_a_saved_simulation_goes_on():
    one, others = both("hopper", HOPPERS)
    require_same(one, others, 20)
    states = [s.get_state() for s in (one, *others)]
    require_same(one, others, 20, seed=1)
    for simulation, state in zip((one, *others), states, strict=True):
        simulation.set_state(state)
    require_same(one, others, 20, seed=2)
    other = one.domain.simulate(len(one.obs), range(len(HOPPERS)), threads=2)
    other.set_state(states[0])
    one.set_state(states[0])
    require_same(other, [one], 20)


def test_rows_are_put_where_observations_were_made():
    texts = ("gravity=2", "size=1.2", "sensor_bias=0.2", "mass=2,deadzone=0.2")
    one, others = both("hopper", texts)
    assert one.domain.invertible
    assert not varied("hopper", (*texts, "delay=1")).invertible
    require_same(one, others, 10)
    seen = [s.obs.copy() for s in others]
    require_same(one, others, 10)
    assert (
        one.put(np.concatenate(seen)).tolist()
        == np.concatenate([s.put(x) for s, x in zip(others, seen, strict=True)]).tolist()
    )
    assert np.array_equal(one.ended(one.obs), np.concatenate([s.ended(s.obs) for s in others]))
    require_same(one, others, 30)


def test_a_view_shows_the_same_rows():
    texts = ("gravity=2", "friction=0.3")
    one = domain("ant@turned90:gravity=2|friction=0.3").simulate(4, [0, 1], threads=1)
    others = [domain(f"ant@turned90:{text}").simulate(2, seed, threads=1) for seed, text in enumerate(texts)]
    for action in np.random.default_rng(0).uniform(-1, 1, (20, 4, 8)):
        alone = [s.step(a) for s, a in zip(others, np.split(action, 2), strict=True)]
        assert np.array_equal(one.step(action).next_obs, np.concatenate([t.next_obs for t in alone]))


@pytest.mark.parametrize(
    ("id", "second"),
    [
        ("hopper+stand:gravity=2|gravity=0.5,delay=1", "hopper+stand:gravity=0.5,delay=1"),
        ("ant@turned90:gravity=2|friction=0.3@history=1", "ant@turned90:friction=0.3@history=1"),
        ("halfcheetah:gravity=2|mass=2@named(halfcheetah:legs=3)", "halfcheetah:mass=2@named(halfcheetah:legs=3)"),
        ("hopper:gravity=0.5..2", "hopper:gravity=0.5..2"),
        ("hopper:gravity=2", "hopper:gravity=2"),
    ],
)
def test_a_domain_as_a_run_s_second_seed_has_it(id, second):
    assert of_seed(made := domain(id), 1).name == second
    assert (of_seed(made, 0) is made) == ("|" not in id)


@pytest.mark.parametrize(
    ("id", "differs"), [("hopper:|gravity=2", True), ("hopper:gravity=2|", True), ("hopper:|", False)]
)
def test_a_pair_differs_if_any_seed_s_robots_do(id, differs):
    if differs:
        assert require_difference(domain("hopper"), domain(id)).share == 1
    else:
        with pytest.raises(RequestError, match="are the same"):
            require_difference(domain("hopper"), domain(id))


def episodes(made, n, threads, steps=80):
    """What random actions show, and which variant each row has."""
    simulation, rng, found = made.simulate(n, [3, 4], threads), np.random.default_rng(0), []
    for _ in range(steps):
        simulation.step(rng.uniform(-1, 1, (n, 3)))
        found.append((simulation.obs.copy(), simulation.get_state()["variants"]))
    return [np.stack(column) for column in zip(*found, strict=True)]


def test_each_episode_draws_a_variant_whatever_the_threads():
    made = varied("hopper", HOPPERS, by="episode")
    (obs, of), (again, also) = episodes(made, 8, 1), episodes(made, 8, 2)
    assert np.array_equal(obs, again)
    assert np.array_equal(of, also)
    assert len(np.unique(of)) > 5
    fewer = made.simulate(4, [3, 4], threads=1).get_state()["variants"]  # a row's draws are its own
    assert np.array_equal(fewer, made.simulate(8, [3, 4], threads=1).get_state()["variants"][[0, 1, 4, 5]])


@pytest.mark.parametrize(("robot", "steps"), [("hopper", 200), ("ant", 60)])
def test_an_episode_is_one_of_the_variant_it_drew(robot, steps):
    texts = ("gravity=2,delay=1", "size=1.1", "deadzone=0.3")
    made = varied(robot, texts, by="episode")
    made.robot = replace(made.robot, episode_steps=20)
    one, rng = made.simulate(4, 0, threads=1), np.random.default_rng(0)
    plain = [domain(f"{robot}:{text}").simulate(4, 0, threads=1) for text in texts]
    begun = set()
    for _ in range(steps):
        of, fresh = one.get_state()["variants"], one.clock == 0
        for k, other in enumerate(plain):  # where an episode begins, rows are put where it does; the others go on
            state = other.get_state()
            other.set_physics(one.qpos, one.qvel)
            placed = other.get_state()
            for name, x in state.items():
                if x.ndim and name != "generators":
                    x[fresh] = placed[name][fresh]
            other.set_state(state)
            begun |= {k} if (fresh & (of == k)).any() else set()
        action = rng.uniform(-1, 1, (4, made.spaces.action))
        steps_of = [one.step(action), *(other.step(action) for other in plain)]
        for row, k in enumerate(of):
            for what in ("next_obs", "reward", "terminated"):
                assert np.array_equal(getattr(steps_of[0], what)[row], getattr(steps_of[1 + k], what)[row])
    assert begun == {0, 1, 2}


@pytest.mark.parametrize(
    "id", ["hopper:gravity=2|mass=0.5,delay=1|", "hopper:gravity=2~size=1.2", "hopper:gravity=0.5..2,delay=0..2"]
)
def test_a_name_makes_the_domain_again(id):
    made = domain(id)
    assert made.name == id
    forward = made.paid_as(domain("hopper+walk(speed=1)"))
    assert forward.name == id.replace("hopper", "hopper+walk(speed=1)", 1)
    for other in (domain(id), pickle.loads(pickle.dumps(made)), forward):
        starts = [d.simulate(6, [0, 1], threads=1).get_state() for d in (made, other)]
        assert all(np.array_equal(starts[0][name], starts[1][name]) for name in starts[0])
        assert [v.model.opt.gravity[2] for v in made.variants] == [v.model.opt.gravity[2] for v in other.variants]


def test_the_name_of_a_users_reward_stands_in_a_name():
    made = domain("halfcheetah+tests.domains.made:ahead:gravity=2|mass=2")
    assert made.name == "halfcheetah+tests.domains.made:ahead:gravity=2|mass=2"
    assert made.traits["variants"] == "gravity=2|mass=2"
    assert varied("hopper", [""]).name == "hopper"


def test_a_family_covers_its_ranges():
    made = domain("hopper:gravity=0.5..2,slope=-4..4,delay=0..3,damping=2")
    drawn = made.each
    assert len(made.variants) == len(drawn) == VARIANTS
    gravity, slope, delay = (np.array([shifts[i].value for shifts in drawn]) for i in range(3))
    part = np.floor(np.sort(np.log(gravity / 0.5) / np.log(4)) * VARIANTS)  # one in each part of the logarithm
    assert np.array_equal(part, np.arange(VARIANTS))
    assert np.array_equal(np.floor(np.sort((slope + 4) / 8) * VARIANTS), np.arange(VARIANTS))
    assert np.array_equal(np.bincount(delay), [VARIANTS // 4] * 4)
    assert all(shifts[3] == parse("damping=2")[0] for shifts in drawn)
    assert abs(np.corrcoef(np.log(gravity), slope)[0, 1]) < 0.4
    assert np.allclose([np.linalg.norm(v.model.opt.gravity) for v in made.variants], 9.81 * gravity)
    base = domain("hopper:damping=2")
    assert np.array_equal(made.model.dof_damping, base.model.dof_damping)
    assert np.array_equal(made.model.opt.gravity, base.model.opt.gravity)
    other = domain("hopper:gravity=0.5..2.1,slope=-4..4,delay=0..3,damping=2")
    assert [s[1].value for s in other.each] != slope.tolist()


def test_where_a_family_differs_from_its_robot_is_said():
    source, target = domain("hopper"), domain("hopper:gravity=0.5..2,mass(torso)=0.5..2")
    assert not measure(source, target, n=8).null
    said = [change for change in changes(source, target) if "episode" in change.what]
    assert said == [
        ("gravity in each episode", "all", "not drawn", "drawn from 0.5..2"),
        ("mass in each episode", "torso", "not drawn", "drawn from 0.5..2"),
    ]
    assert not changes(target, target)


def test_what_cannot_be():
    with pytest.raises(RequestError, match="2 variants, one a seed"):
        varied("hopper", ["gravity=2", "mass=2"]).simulate(6, [0, 1, 2])
    with pytest.raises(RequestError, match="name one robot of it, such as hopper"):
        identifiable("hopper:gravity=0.5..2")
    with pytest.raises(RequestError, match="has other physics in every episode: name one robot of the family"):
        resolve(
            "hopper:gravity=0.5..2", "hopper:mass=2", "paired_branched", learner="sac", source_steps=20_000,
            target_steps=1_000, seeds=1, seed=0, settings={}, controls=(), source_run=None,
        )  # fmt: skip
    with pytest.raises(RequestError, match="leave ranges to a family's id"):
        varied("hopper", ["gravity=0.5..2"])


def test_a_reward_of_the_users_reads_no_shared_model(monkeypatch):
    monkeypatch.setitem(
        ROBOTS,
        "own",
        replace(HOPPER, name="own", terms={"weight": lambda s: -s.model.body_mass.sum() + 0 * s.velocity}),
    )
    assert domain("own:mass=2").variants
    with pytest.raises(
        RequestError, match=r"reads s.model, which rows of several physics do not share: read s.body_mass"
    ):
        domain("own:mass=0.5..2")


def test_ranges_are_shifts_whose_text_parses_to_themselves():
    shifts = parse("gravity=5e-1..2,delay=0..3,slope=-3..-.5,mass(torso)=.5..1")
    assert ",".join(map(str, shifts)) == "gravity=0.5..2,delay=0..3,slope=-3..-0.5,mass(torso)=0.5..1"
    assert parse(",".join(map(str, shifts))) == shifts
    assert [s.value for s in shifts[:2]] == [Range(0.5, 2.0, log=True), Range(0, 3)]
