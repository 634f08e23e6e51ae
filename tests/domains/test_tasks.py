"""Tasks pay what they say, on the same physics and the same observations as the robot's own."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from transreward.domains.difference import measure, require_difference, require_other_pay
from transreward.domains.ids import domain
from transreward.domains.names import entry_names
from transreward.domains.robot import always
from transreward.domains.robots import ROBOTS
from transreward.domains.tasks import ANY, TASKS, parse, with_tasks
from transreward.types import BrokenRun, RequestError

VALUES = {"degrees": 30, "x": 0.1, "y": -0.05, "speed": 1.5}


def written(kind, robot):
    """A task with all its parameters."""
    if ANY in kind.values:
        return f"{kind.name}({list(robot.terms)[-1]}=0.5)"
    inside = ",".join(f"{key}={VALUES[key]}" for key in kind.values)
    return f"{kind.name}({inside})" if inside else kind.name


ALL = [f"{r.name}+{written(k, r)}" for r in ROBOTS.values() for k in TASKS.values() if k.suits(r)]


def steps(id, n=20, rows=3, seed=1):
    """n control steps of random actions: the transitions, the terms of each, and the simulation."""
    simulation = domain(id).simulate(rows, 5)
    rng, box = np.random.default_rng(seed), simulation.domain.spaces
    found = []
    for _ in range(n):
        t = simulation.step(rng.uniform(box.low, box.high, (rows, box.action)))
        found.append((t, simulation.terms))
    return found, simulation


@pytest.mark.parametrize("id", ALL)
def test_a_task_changes_the_reward_and_nothing_else(id):
    robot = id.partition("+")[0]
    made = domain(id)
    assert made.name == id and domain(made.name).name == made.name
    found, _ = steps(id)
    assert made.reward_terms == tuple(found[0][1])
    for t, terms in found:
        np.testing.assert_allclose(sum(terms.values()), t.reward, rtol=1e-12, atol=1e-12)
    if "goal" in id:  # reacher sees its goal
        return
    plain, _ = steps(robot)
    assert any((a.reward != b.reward).any() for (a, _), (b, _) in zip(found, plain, strict=True))
    for (a, _), (b, _) in zip(found, plain, strict=True):
        for mine, own in zip(a._replace(reward=0), b._replace(reward=0), strict=True):
            np.testing.assert_array_equal(mine, own)
    assert measure(domain(robot), made, n=64).reward > 0


@pytest.mark.parametrize("id", ["halfcheetah+stand+backward", "ant+goal(x=1,y=0)+backward", "hopper+run+backward"])
def test_a_task_that_the_one_before_leaves_nothing_to_change_is_refused(id):
    with pytest.raises(RequestError, match=r"pays for no 'forward' of \w+ any more: leave one of the two out"):
        domain(id)


def test_a_term_that_a_task_added_is_weighed_again_by_the_next():
    """Of a direction half the sideways velocity was half of all of it, whatever the direction."""
    (once, _), (twice, _) = (steps(f"ant+direction(degrees=30){more}", 5) for more in ("", "+terms(sideways=0.5)"))
    for (_, one), (_, other) in zip(once, twice, strict=True):
        np.testing.assert_allclose(other["sideways"], 0.5 * one["sideways"])
        np.testing.assert_array_equal(other["forward"], one["forward"])


@pytest.mark.parametrize("robot", ["swimmer", "hopper", "walker2d", "halfcheetah", "ant"])
def test_velocities_are_paid_as_the_own_task_measures_them(robot):
    own, _ = steps(robot)
    for task, pay in {
        "backward": lambda v: ("forward", -v),
        "run(speed=2.5)": lambda v: ("speed", -abs(v - 2.5)),
        "stand": lambda v: ("still", -abs(v)),
        "terms(forward=3)": lambda v: ("forward", 3 * v),
    }.items():
        found, _ = steps(f"{robot}+{task}")
        for (t, terms), (plain, was) in zip(found, own, strict=True):
            name, paid = pay(was["forward"])
            np.testing.assert_allclose(terms[name], paid, rtol=1e-12)
            np.testing.assert_allclose(t.reward, plain.reward - was["forward"] + paid, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("robot", "weight"), [("ant", 1.0), ("humanoid", 1.25)])
def test_sideways_is_the_way_to_the_left(robot, weight):
    """The velocities of an episode add up to the way gone, but for MuJoCo's one substep of lag."""
    simulation = domain(f"{robot}+direction(degrees=90)").simulate(2, 0)
    assert simulation.domain.reward_terms.count("forward") == 0
    simulation.set_physics(simulation.qpos, np.tile(np.eye(1, simulation.qvel.shape[1], 1) * 2.0, (2, 1)))
    start, way = simulation.qpos[:, 1], 0.0
    for _ in range(8):
        simulation.step(np.zeros((2, simulation.domain.spaces.action)))
        way += simulation.terms["sideways"] / weight * simulation._rows.dt
    went = simulation.qpos[:, 1] - start
    assert (went > 0.1).all()
    np.testing.assert_allclose(way, went, atol=0.05)


def test_a_direction_between_pays_both():
    found, _ = steps("ant+direction(degrees=30)")
    side, _ = steps("ant+direction(degrees=90)")
    own, _ = steps("ant")
    for (_, mixed), (_, left), (_, ahead) in zip(found, side, own, strict=True):
        np.testing.assert_allclose(mixed["forward"], np.cos(np.pi / 6) * ahead["forward"], rtol=1e-9)
        np.testing.assert_allclose(mixed["sideways"], 0.5 * left["sideways"], rtol=1e-9, atol=1e-12)


def test_a_fixed_goal_is_where_it_was_put():
    simulation = domain("reacher+goal(x=0.1,y=-0.05)").simulate(4, 0)
    for _ in range(60):  # past a reset
        np.testing.assert_allclose(simulation.obs[:, 4:6], np.tile([0.1, -0.05], (4, 1)), atol=1e-9)
        simulation.step(np.zeros((4, 2)))


@pytest.mark.parametrize("robot", ["ant", "humanoid"])
def test_who_walks_to_a_goal_sees_where_it_stands(robot):
    """And is paid by the distance that is left; the rest is the robot's own."""
    found, simulation = steps(f"{robot}+goal(x=0.3,y=-0.4)")
    sparse, _ = steps(f"{robot}+sparse_goal(x=0.3,y=-0.4)")
    plain, own = steps(robot)
    names, known = entry_names(simulation.domain), entry_names(own.domain)
    assert len(names) == simulation.domain.spaces.obs == len(known) + 2 and names[2:] == known
    for (t, terms), (_, rare), (was, its) in zip(found, sparse, plain, strict=True):
        apart = np.hypot(*(t.next_obs[:, :2] - [0.3, -0.4]).T)
        np.testing.assert_allclose(terms["near"], 5 / (1 + apart), rtol=1e-9)
        np.testing.assert_array_equal(rare["arrived"], 5.0 * (apart <= 0.5))
        np.testing.assert_array_equal(t.next_obs[:, 2:], was.next_obs)
        assert "forward" not in terms and all((terms[name] == its[name]).all() for name in set(terms) & set(its))
    assert {float(x) for _, rare in sparse for x in rare["arrived"]} == {0.0, 5.0}
    np.testing.assert_allclose(simulation.obs[:, :2], simulation.qpos[:, :2])


def test_a_walker_to_a_goal_can_be_put_where_it_was_seen():
    _, simulation = steps("ant+goal(x=1,y=2)", n=30)
    other = simulation.domain.simulate(3, 9)
    other.put(simulation.obs)
    np.testing.assert_allclose(other.qpos, simulation.qpos, atol=1e-12)
    np.testing.assert_allclose(other.qvel, simulation.qvel, atol=1e-12)


def test_of_two_goals_the_last_is_paid_and_the_place_seen_once():
    made = domain("ant+goal(x=1,y=2)+goal(x=0,y=1)+sparse_goal(x=3,y=0)")
    assert made.spaces.obs == domain("ant+goal(x=0,y=1)").spaces.obs and len(set(entry_names(made))) == made.spaces.obs
    assert made.reward_terms.count("near") == 1
    alone, _ = steps("ant+goal(x=0,y=1)")
    found, _ = steps("ant+goal(x=1,y=2)+goal(x=0,y=1)")
    assert all((a["near"] == b["near"]).all() for (_, a), (_, b) in zip(alone, found, strict=True))


def test_a_sparse_goal_out_of_reach_of_chance_is_another_task():
    pair = domain("ant+sparse_goal(x=6,y=0)"), domain("ant+sparse_goal(x=0,y=6)")
    assert require_difference(*pair).null  # nothing differs where it was looked
    require_other_pay(*pair)
    with pytest.raises(RequestError, match="differ in nothing"):
        require_difference(pair[0], domain("ant+sparse_goal(x=6,y=0)"))


def test_a_users_reward_sees_the_place_that_a_goal_brings():
    assert domain("ant+goal(x=3,y=0)+tests.domains.made:of_107").reward_terms == ("of_107",)


def test_tasks_follow_one_another_and_go_with_shifts():
    made = domain("halfcheetah+backward+terms(control=0,forward=2):gravity=0.5,mass(torso)=2")
    assert made.name == "halfcheetah+backward+terms(control=0,forward=2):gravity=0.5,mass(torso)=2"
    assert made.reward_terms == ("forward",)
    t = made.simulate(2, 0).step(np.ones((2, 6)))
    own = domain("halfcheetah:gravity=0.5,mass(torso)=2").simulate(2, 0)
    own.step(np.ones((2, 6)))
    np.testing.assert_allclose(t.reward, -2 * own.terms["forward"])
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.simulate(2, 0).step(np.ones((2, 6))).reward, t.reward)


def test_a_saved_simulation_goes_on_sideways():
    _, simulation = steps("ant+direction(degrees=45)", n=7)
    other = simulation.domain.simulate(3, 9)
    other.set_state(simulation.get_state())
    action = np.full((3, 8), 0.3)
    for mine, its in zip(simulation.step(action), other.step(action), strict=True):
        np.testing.assert_array_equal(mine, its)


# -- a user's own reward -------------------------------------------------------------------------------------------


def test_a_users_reward():
    found, simulation = steps("halfcheetah+tests.domains.made:ahead:gravity=0.5")
    assert simulation.domain.name == "halfcheetah+tests.domains.made:ahead:gravity=0.5"
    assert simulation.domain.reward_terms == ("ahead",)
    for t, _ in found:
        np.testing.assert_array_equal(t.reward, t.next_obs[:, 8] - np.square(t.action).sum(axis=1))
    both = domain("halfcheetah+tests.domains.made:ahead+terms(ahead=2)").simulate(3, 5)
    action = np.full((3, 6), 0.5)
    np.testing.assert_array_equal(
        both.step(action).reward,
        2 * domain("halfcheetah+tests.domains.made:ahead").simulate(3, 5).step(action).reward,
    )


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("by_place", "the term 'by_place' of a row depends on the rows beside it"),
        ("by_mean", "the term 'by_mean' of a row depends on the rows beside it"),
        ("one_column", r"the reward '.*one_column' must be numbers of shape \(8,\), not of shape \(8, 1\)"),
        ("nothing", "the reward '.*nothing' must be numbers of shape .*, not None"),
        ("no_number", "control step 0, row 0: a reward is not finite: the term 'no_number' is nan"),
        ("text", "must be numbers of shape .*, not a list of str96"),
        ("breaks", "'halfcheetah.*': the term 'breaks' failed: IndexError: index 99"),
        ("overwrites", "the term 'overwrites' writes into what it is given: let it return arrays of its own"),
        ("two_arguments", r"must take \(obs, action, next_obs\)"),
        ("ahed", "did you mean ahead"),
    ],
)
def test_a_users_reward_that_is_wrong_is_refused_at_once(function, message):
    with pytest.raises(RequestError, match=message) as caught:
        domain(f"halfcheetah+tests.domains.made:{function}")
    assert "\n" not in str(caught.value)


def test_what_is_paid_for_a_stored_step_is_finite():
    made = domain("halfcheetah+tests.domains.made:ahead")
    nowhere = np.full((2, 17), np.nan), np.zeros((2, 6)), np.full((2, 17), np.nan), np.zeros((2, 3))
    with pytest.raises(BrokenRun, match=r"halfcheetah\+tests.domains.made:ahead, stored steps, row 0: a reward is not"):
        made.pay(*nowhere)


# -- wrong requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("hopper+", r"malformed task '\+': write \+name"),
        ("hopper+stand)", r"not '\)' after the task"),
        ("hopper+stnd", "unknown task of hopper 'stnd': did you mean stand"),
        ("hopper+backwrd:gravity=2", "did you mean backward"),
        ("hopper+stand:gravty=2", "unknown shift 'gravty'"),
        (
            "hopper+direction(degrees=3)",
            "'hopper' has no task 'direction', which needs sideways; it has: backward",
        ),
        ("pusher+backward", "'pusher' has no task 'backward', which needs forward; it has: terms"),
        ("hopper+run(sped=3)", "did you mean speed"),
        ("hopper+run(speed=x)", r"'speed=x' in task 'run' is no key=number: write run\(speed=<number>\)"),
        ("hopper+run(speed=inf)", "is no key=number"),
        ("hopper+run(3)", "is no key=number"),
        ("hopper+run(speed=1,speed=3)", r"the task 'run\(speed=1,speed=3\)' has a parameter twice: give each once"),
        ("hopper+terms(control=0,control=2)", "has a parameter twice"),
        ("ant+direction", r"lacks degrees: write direction\(degrees=<number>\)"),
        ("hopper+terms", r"lacks a term: write terms\(<term>=<factor>\)"),
        ("hopper+terms(contrl=0)", "unknown reward term of hopper 'contrl': did you mean control"),
        ("hopper+terms(control=1)", "changes nothing"),
        ("hopper+terms(control=0,forward=0,survive=0)", "no reward term of hopper is left"),
        ("hopper+goal(x=3,y=1)", "'hopper' has no task 'goal', which needs reacher or sideways"),
        ("reacher+sparse_goal(x=0.1,y=0)", "'reacher' has no task 'sparse_goal', which needs sideways"),
        ("reacher+goal(x=3,y=1)", "nearer than 0.2 m"),
        ("hopper+no_such.module:f", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_wrong_task_is_a_clear_line(id, message):
    with pytest.raises(RequestError, match=message) as caught:
        domain(id)
    assert "\n" not in str(caught.value)


def test_a_task_that_changes_nothing_is_refused():
    with pytest.raises(RequestError, match="differ in nothing"):
        require_difference(domain("ant"), domain("ant+direction(degrees=0)"))
    assert require_difference(domain("halfcheetah"), domain("halfcheetah+backward")).obs == 0


# -- whether a task is done ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [*ROBOTS, *ALL])
def test_every_task_says_whether_it_is_done(id):
    name, _, text = id.partition("+")
    robot = with_tasks(ROBOTS[name], [parse(text, ROBOTS[name])] if text else [])
    assert robot.judged
    for one in robot.judged:
        assert set(one.terms) <= set(robot.terms)


@pytest.mark.parametrize(
    ("id", "slow", "fast"),
    [
        ("swimmer", {"forward": 0.09}, {"forward": 0.11}),
        ("swimmer+backward", {"forward": 0.09}, {"forward": 0.11}),  # the term as it pays, of swimming backward
        ("halfcheetah", {"forward": 0.49}, {"forward": 0.51}),
        ("halfcheetah+terms(forward=2)", {"forward": 0.98}, {"forward": 1.02}),
        ("sledge+direction(degrees=30)", {"forward": 1.25, "sideways": -0.63}, {"forward": 0.0, "sideways": 0.63}),
    ],
)
def test_moved_is_by_the_speed_along_the_way_that_is_paid_for(id, slow, fast):
    """At 1.25 for each m/s, as a humanoid is, ahead and to the left."""
    rows = {**ROBOTS, "sledge": replace(ROBOTS["humanoid"], healthy=always)}
    name, _, text = id.partition("+")
    robot = with_tasks(rows[name], [parse(text, rows[name])] if text else [])
    (one,) = (x for x in robot.judged if x.name == "moved")
    for mean, wanted in ((slow, 0.0), (fast, 1.0)):
        assert one.read(sum(np.array([mean[term]]) for term in one.terms), np.zeros(1)) == wanted


def test_what_is_not_paid_for_is_not_told(tmp_path, monkeypatch):
    """A user's function has none of the robot's terms, from which `reached` would be read."""
    (tmp_path / "own_pay.py").write_text("def still(obs, action, next_obs):\n    return -abs(action).sum(axis=1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert domain("reacher+own_pay:still").success == () == domain("swimmer+own_pay:still").success
    assert [one.name for one in domain("halfcheetah+own_pay:still").success] == ["upright"]
    assert [one.name for one in domain("halfcheetah@named(halfcheetah:legs=3)").success] == ["moved"]
