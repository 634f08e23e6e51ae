"""Symmetries: a robot that is seen turned moves as one that is, and whoever knew it knows it still."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import robots

import transreward as tr
from transreward import replay as rp
from transreward.bridges import BRIDGES, view, views
from transreward.domains.bridged import plain_id
from transreward.domains.difference import measure
from transreward.domains.domain import (
    ActionsDescribed,
    Described,
    Drawn,
    Kept,
    TableRobot,
    Timed,
    Traced,
    Tried,
)
from transreward.domains.ids import domain
from transreward.domains.views import best_view, likeness, own_views
from transreward.learners.sac import SAC
from transreward.request.resolve import resolve
from transreward.runs.source_agent import SourceAgent
from transreward.types import RequestError

pytestmark = pytest.mark.usefixtures("hurry")

ALL = [(robot, name) for name, bridge in BRIDGES.items() for robot in bridge.robots]
TURNS = ["turned90", "turned180", "turned270"]
GOAL = "ant+goal(x=3,y=0)"  # it observes where it stands, too


def random_actions(domain, rows=6, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (rows, domain.spaces.action))


def stacked(learner, domain, seeds):
    """Agents of several seeds: made one by one, since orthogonal weights take long to compile under vmap."""
    init = jax.jit(lambda key: learner.init(key, domain.spaces))
    each = [init(key) for key in jax.random.split(jax.random.key(0), seeds)]
    return jax.tree.map(lambda *x: jnp.stack(x), *each)


@pytest.mark.parametrize(("robot", "name"), [*ALL, (GOAL, "turned90")])
def test_what_a_step_stores_comes_back(robot, name):
    """Of steps that the robot took: two terms may show one, so not of any numbers."""
    domain = tr.domain(robot)
    crossing, walk = view(domain, name), domain.simulate(3, 0)
    assert all(set(part.sign) <= {1.0, -1.0} for part in crossing.there)
    walk.storing = True
    walk.step(random_actions(domain, 3))
    back = crossing.back.stored(crossing.there.stored(walk.stored))
    np.testing.assert_allclose(back, walk.stored, atol=1e-12)


@pytest.mark.parametrize("robot", ["ant", GOAL])
@pytest.mark.parametrize("name", TURNS)
def test_a_turned_ant_moves_as_an_ant_that_was_turned(robot, name):
    domain = tr.domain(robot)
    seen, walk = view(domain, name).there, domain.simulate(6, 0)
    here, there = domain.simulate(6, 0), domain.simulate(6, 0)
    here.storing = there.storing = True
    touched = 0.0
    for i in range(60):
        action = random_actions(domain, seed=i)
        here.put(walk.obs)
        there.put(seen.obs(walk.obs))
        a, b = here.step(action), there.step(seen.action(action))
        np.testing.assert_allclose(seen.obs(a.next_obs), b.next_obs, atol=1e-9)
        np.testing.assert_allclose(seen.stored(here.stored), there.stored, atol=1e-9)
        touched += np.abs(a.next_obs[:, 27:]).sum()
        walk.step(action)
    assert touched > 1  # contacts were among it


def test_four_quarter_turns_are_none_and_two_mirrors_are_none():
    quarter = view(tr.domain("ant"), "turned90").there.obs
    x = np.random.default_rng(0).normal(size=(2, 105))
    np.testing.assert_array_equal(quarter(quarter(quarter(quarter(x)))), x)
    np.testing.assert_array_equal(quarter(quarter(x)), view(tr.domain("ant"), "turned180").there.obs(x))
    mirror = view(tr.domain("halfcheetah"), "mirrored").there.obs
    np.testing.assert_array_equal(mirror(mirror(x[:, :17])), x[:, :17])
    assert (mirror(x[:, :17]) != x[:, :17]).any()


def test_a_mirrored_cheetah_has_its_hind_legs_in_front():
    domain = tr.domain("halfcheetah@mirrored")
    plain = [entry.name for entry in domain.plain.entries]
    there = domain.crossing.there
    shown = {name: (plain[i], sign) for name, i, sign in zip(plain, there.obs.order, there.obs.sign, strict=True)}
    assert shown["bthigh angle"] == ("fthigh angle", -1) and shown["ffoot velocity"] == ("bfoot velocity", -1)
    assert shown["rootz position"] == ("rootz position", 1) and shown["rootz velocity"] == ("rootz velocity", 1)
    assert shown["rootx velocity"] == ("rootx velocity", -1) and shown["rooty angle"] == ("rooty angle", -1)
    assert there.action.order.tolist() == [3, 4, 5, 0, 1, 2] and (there.action.sign == -1).all()
    hind, fore = domain.entries[plain.index("bthigh angle")], domain.plain.entries[plain.index("fthigh angle")]
    assert (hind.name, hind.low, hind.high) == ("bthigh angle", -fore.high, -fore.low)
    assert domain.action_entries[1].unit == domain.plain.action_entries[4].unit != domain.plain.action_entries[1].unit


def test_a_mirrored_cheetah_is_paid_for_running_backward_what_it_earned_ahead():
    seen, target = tr.domain("halfcheetah@mirrored"), tr.domain("halfcheetah+backward")
    walk = seen.simulate(4, 0)
    walk.storing = True
    for i in range(30):
        t = walk.step(random_actions(seen, 4, i))
        np.testing.assert_allclose(target.pay(t.obs, t.action, t.next_obs, walk.stored), t.reward, atol=1e-9)
        np.testing.assert_allclose(seen.pay(t.obs, t.action, t.next_obs, walk.stored), t.reward, atol=1e-9)


def test_what_is_seen_is_the_same_robot():
    plain, seen = tr.domain("ant+direction(degrees=30):gravity=0.5"), "ant@turned90+direction(degrees=30):gravity=0.5"
    domain = tr.domain(seen)
    assert isinstance(domain, tr.Domain) and domain.name == seen
    a, b = plain.simulate(3, 7), domain.simulate(3, 7)
    through = domain.crossing.there
    for i in range(5):
        np.testing.assert_array_equal(b.obs, through.obs(a.obs))
        action = random_actions(plain, 3, i)
        t, u = a.step(action), b.step(through.action(action))
        np.testing.assert_allclose(through.obs(t.next_obs), u.next_obs)
        np.testing.assert_allclose(t.reward, u.reward)
        np.testing.assert_array_equal(u.action, through.action(action))
    state, obs = b.get_state(), b.obs
    b.step(action)
    b.set_state(state)
    np.testing.assert_array_equal(b.obs, obs)
    known = b.put(obs)
    np.testing.assert_allclose(b.obs[known], obs[known], atol=1e-12)
    assert not b.ended(obs).any()
    fallen = plain.simulate(3, 7).obs
    fallen[:, 0] = 0.1  # too low
    assert b.ended(through.obs(fallen)).all()
    assert measure(plain, domain).null  # however it is looked at


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        ("halfcheetah", "halfcheetah+backward", "mirrored"),
        ("halfcheetah+backward", "halfcheetah:gravity=2", "mirrored"),
        ("halfcheetah", "halfcheetah+run(speed=3):gravity=1.5", None),
        ("halfcheetah", "halfcheetah+stand", None),
        ("ant", "ant+direction(degrees=90)", "turned90"),
        ("ant", "ant+direction(degrees=-90)", "turned270"),
        ("ant+direction(degrees=90)", "ant+direction(degrees=-90)", "turned180"),
        ("ant", "ant+direction(degrees=30)", None),
        ("hopper", "hopper+backward", None),
        ("ant+terms(control=8)", "ant+direction(degrees=90)+terms(control=8)", "turned90"),  # most of it is paid alike
        ("halfcheetah+stand", "halfcheetah+backward", None),  # neither fits
    ],
)
def test_the_source_is_seen_so_that_it_is_paid_most_like_the_target(source, target, wanted):
    name, found = best_view(tr.domain(source), tr.domain(target), own_views(tr.domain(source)))
    assert name == wanted
    assert set(found) == {None, *views(source.partition("+")[0])}
    if wanted:
        assert found[wanted] > 0.999 > found[None]


def asked(source, target, settings=(), **more):
    return resolve(
        source, target, "fine_tune", learner="sac", source_steps=None, target_steps=None, seeds=1, seed=0,
        settings=dict(settings), controls=(), source_run=None, **more,
    )  # fmt: skip


def request(source, target, **settings):
    return asked(source, target, settings).domains.source.name


@pytest.mark.slow
def test_a_transfer_sees_its_source_so_unless_told_otherwise():
    target = "halfcheetah+backward"
    assert request("halfcheetah", target) == "halfcheetah@mirrored"
    assert request("halfcheetah", target, **{"loop.symmetry": "none"}) == "halfcheetah"
    assert request("halfcheetah@mirrored", target) == "halfcheetah@mirrored"
    assert request("halfcheetah@mirrored", "halfcheetah:gravity=2") == "halfcheetah@mirrored"  # as it is written
    assert request("halfcheetah", "halfcheetah:gravity=2") == "halfcheetah"  # the task is the same
    sided = ("noise=0.1", "broken=bthigh", "gear(*thigh)=0.5", "bias=0.1", "slope=5", "sensor_bias=0.1")
    for shift in sided:  # which would be of other parts, or the other way round
        assert request(f"halfcheetah:{shift}", target) == f"halfcheetah:{shift}"
    assert request("halfcheetah:gravity=0.5", target) == "halfcheetah@mirrored:gravity=0.5"
    with pytest.raises(RequestError, match="gravity=1' of halfcheetah changes nothing"):
        request("halfcheetah@mirrored", "halfcheetah:gravity=1")
    assert request("halfcheetah@mirrored", "halfcheetah") == "halfcheetah@mirrored"  # another robot to a policy
    with pytest.raises(RequestError, match="are the same"):
        request("halfcheetah@mirrored", "halfcheetah@mirrored")
    with pytest.raises(RequestError, match=r"loop.symmetry must be auto or none, not 'mirrored'.*`bridge=mirrored`"):
        request("halfcheetah", target, **{"loop.symmetry": "mirrored"})


def test_a_bridge_names_the_view_too():
    target = "halfcheetah+backward"
    named = [asked("halfcheetah", id, bridge="mirrored") for id in (target, "halfcheetah:gravity=2", "halfcheetah")]
    assert {config.domains.source.name for config in named} == {"halfcheetah@mirrored"}
    assert asked("halfcheetah@mirrored", target, bridge="mirrored").domains.source.name == "halfcheetah@mirrored"
    sent = asked("ant", "ant+direction(degrees=90)", {"loop.history": 2}, bridge="turned90")
    assert sent.domains.source.name == "ant@turned90@history=2"
    as_it_is = asked("halfcheetah", target, bridge="none")
    assert as_it_is.domains.source.name == "halfcheetah" and as_it_is.loop.symmetry == "none"
    assert asked("halfcheetah@mirrored", target, bridge="none").domains.source.name == "halfcheetah@mirrored"


def test_another_body_and_task_at_once_are_seen_in_the_mirror():
    crossed = "halfcheetah@mirrored@named(halfcheetah+backward:legs=3)"
    assert request("halfcheetah", "halfcheetah+backward:legs=3") == crossed
    assert request("halfcheetah@mirrored", "halfcheetah+backward:legs=3") == crossed
    again = asked(crossed, "halfcheetah+backward:legs=3", bridge="none").domains.source
    assert again.name == crossed and plain_id(crossed) == "halfcheetah@named(halfcheetah+backward:legs=3)"
    plain = asked("halfcheetah", "halfcheetah+backward:legs=3", {"loop.symmetry": "none"}).domains.source
    np.testing.assert_array_equal(
        again.crossing.there.obs.matrix, plain.crossing.there.obs.matrix
    )  # the mirror is on this side of the bridge
    assert request("halfcheetah", "halfcheetah:legs=3") == "halfcheetah@named(halfcheetah:legs=3)"
    assert request("halfcheetah:legs=3", "halfcheetah+backward") == "halfcheetah:legs=3@named(halfcheetah+backward)"


@pytest.mark.parametrize(
    ("pair", "how", "words"),
    [
        (("halfcheetah", "halfcheetah+backward"), "turned90", "unknown view of halfcheetah 'turned90'"),
        (("hopper", "hopper+backward"), "mirrored", "'hopper' has no view"),
        (("ant@turned90", "ant+direction(degrees=90)"), "turned180", "names its own: leave one of the two out"),
        (("gym:Pendulum-v1", "gym:Pendulum-v1"), "mirrored", "is no robot of the table: leave `bridge` out"),
        (("halfcheetah", "walker2d"), "mirrored", "'walker2d' is another robot than halfcheetah"),
    ],
)
def test_a_view_is_refused_in_one_line(pair, how, words):
    with pytest.raises(RequestError) as problem:
        asked(*pair, bridge=how)
    assert words in str(problem.value) and "\n" not in str(problem.value)


def test_a_view_says_what_it_joins():
    found = tr.bridge("halfcheetah", "halfcheetah+backward", "mirrored")
    assert found.name == "halfcheetah@mirrored" and not (found.unseen or found.unshown or found.blurred)
    lines = [line.split("  ") for line in found.table().splitlines()]
    rows = {line[0].strip(): line[-1].strip() for line in lines}
    assert rows["bthigh angle"] == "-fthigh angle" and rows["rootz position"] == "rootz position"
    assert rows["bfoot"] == "-ffoot"
    assert found.said() == (
        "bridge 'mirrored': 6 of 6 motors of halfcheetah@mirrored do as 6 of 6 of halfcheetah; "
        "17 of 17 columns show its own"
    )


def test_nothing_is_alike_that_is_never_paid():
    far = tr.domain("ant+sparse_goal(x=30,y=0)+terms(survive=0,control=0,contact=0)")
    found = likeness(tr.domain(GOAL), far, own_views(tr.domain(GOAL)))
    assert set(found.values()) == {0.0}


def test_an_earlier_agent_is_taken_up_as_its_source_is_seen(tmp_path):
    plain, seen = tr.domain("ant"), tr.domain("ant@turned90")
    there, learner, seeds = seen.crossing.there, SAC(hidden=(4,), robots=2), [5, 6]
    keys, agents = jax.vmap(jax.random.key)(np.array(seeds)), stacked(learner, plain, 2)
    steps = robots(plain, seeds, 2, 1, terms=1).collect(None, None, None, 5)
    SourceAgent("ant", learner, agents, rp.of(steps, plain.spaces), keys, 10, seeds, []).save(tmp_path / "source")
    found = SourceAgent.load(tmp_path, seen, learner, seeds)
    assert found.source == seen.name
    looked, t = rp.in_order(found.replay), steps.transition
    for before, after in zip(jax.tree.leaves(there.steps(steps)), jax.tree.leaves(looked), strict=True):
        np.testing.assert_allclose(after, before)
    act, obs = jax.vmap(learner.act), np.asarray(t.obs[:, 0])
    np.testing.assert_allclose(act(found.agents, there.obs(obs), None), there.action(act(agents, obs, None)), atol=1e-6)
    found.save(tmp_path / "again" / "source")
    half = SourceAgent.load(tmp_path / "again", tr.domain("ant@turned180"), learner, seeds)
    np.testing.assert_allclose(
        half.replay.data[..., : plain.spaces.obs], tr.domain("ant@turned180").crossing.there.obs(t.obs)
    )
    again = SourceAgent.load(tmp_path / "again", plain, learner, seeds)
    np.testing.assert_allclose(rp.in_order(again.replay).transition.obs, t.obs)
    np.testing.assert_allclose(rp.in_order(again.replay).terms, steps.terms)
    for x, y in zip(jax.tree.leaves(again.agents), jax.tree.leaves(agents), strict=True):
        np.testing.assert_array_equal(x, y)
    with pytest.raises(RequestError, match="was trained in 'ant', not in 'hopper'"):
        SourceAgent.load(tmp_path, tr.domain("hopper"), learner, seeds)


def test_a_robot_that_is_seen_does_all_that_the_robot_does():
    """By name: what is added to a robot and forgotten here is missed, and not taken for the robot's as it is."""
    plain, seen = domain("halfcheetah"), domain("halfcheetah@mirrored")
    walks = plain.simulate(1, 0), seen.simulate(1, 0)
    inside = {"robot", "clock", "steps", "require_rowwise"}  # of a simulation, asked for by nobody
    for one, other, but in ((plain, seen, set()), (*walks, inside)):
        own = {name for name in dir(one) if name[0] != "_"} - but
        assert own <= set(dir(other))
    for ability in (Described, ActionsDescribed, Timed, Traced, TableRobot):
        assert isinstance(seen, ability) and isinstance(plain, ability)
    assert all(
        isinstance(domain("gym:Pendulum-v1"), ability) for ability in (Described, Timed, Traced, Drawn, Kept, Tried)
    )
