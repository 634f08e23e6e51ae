"""A family whose robots have tasks of their own: each row is paid as in a simulation of that task alone."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domains.made import names_a_domain_or_is_refused
from transreward.domains.domain import table_robot
from transreward.domains.ids import domain
from transreward.domains.several import apart
from transreward.domains.tasks import Task
from transreward.domains.varied import Varied, nominal
from transreward.domains.views import viewed
from transreward.domains.weighed import Span, task_weights, weights_of
from transreward.types import Pair, RequestError

CHEETAHS = "halfcheetah~halfcheetah+backward~halfcheetah+run(speed=2):gravity=2~halfcheetah+stand"
ANTS = "ant~ant+direction(degrees=90)~ant+stand+terms(contact=0)~ant+backward+terms(control=3):mass=2"
ROWS = 4  # of each task


def each_alone(id):
    """A family's rows, ROWS of each of its robots, and a simulation of each robot."""
    made = domain(id)
    assert isinstance(made, Varied)
    one = made.simulate(ROWS * len(made.ids), 5, threads=1)
    one._fleet.assign(np.arange(len(one.clock)), np.repeat(np.arange(len(made.ids)), ROWS))
    return one, [domain(x).simulate(ROWS, 5, threads=1) for x in made.ids]


@pytest.mark.parametrize(
    "id",
    [
        CHEETAHS,
        ANTS,
        "hopper~hopper+terms(forward=2,control=0)~hopper+hop(speed=1)+terms(survive=0.5)",
        "halfcheetah+tests.domains.made:ahead~halfcheetah",
        "ant+goal(x=3,y=0)~ant+sparse_goal(x=0,y=3)~ant+goal(x=1,y=1)",
    ],
)
def test_rows_are_paid_as_their_task_alone(id):
    one, others = each_alone(id)
    state = one.get_state()
    for k, other in enumerate(others):
        rows = slice(k * ROWS, (k + 1) * ROWS)
        for simulation in (other, one):
            simulation.sparing = True
        other.set_physics(one.qpos[rows], one.qvel[rows])
    one.set_physics(one.qpos, one.qvel)
    rng, spaces = np.random.default_rng(0), one.domain.spaces
    for _ in range(12):  # before any episode ends, whose next one draws another robot
        action = rng.uniform(spaces.low, spaces.high, (len(one.clock), spaces.action))
        together = one.step(action)
        alone = [s.step(a) for s, a in zip(others, np.split(action, len(others)), strict=True)]
        if together.terminated.any():
            break
        assert np.array_equal(together.reward, np.concatenate([t.reward for t in alone]))
        assert np.array_equal(together.next_obs, np.concatenate([t.next_obs for t in alone]))
        for name, paid in one.terms.items():
            wanted = [s.terms.get(name, np.zeros(ROWS)) for s in others]
            assert np.array_equal(paid, np.concatenate(wanted))
    assert len(set(together.reward)) > 1 and state["variants"].shape == (len(one.clock),)


def test_each_episode_draws_a_task_and_a_state_brings_it_back():
    made = domain("inverted_pendulum~inverted_pendulum+terms(survive=-1)")
    one, other = made.simulate(8, 3, threads=1), made.simulate(8, 9, threads=2)
    first = one.variant.copy()
    for _ in range(40):
        one.step(np.full((8, 1), 3.0))
    assert (one.variant != first).any()
    other.set_state(one.get_state())
    for _ in range(40):
        a, b = (simulation.step(np.full((8, 1), -3.0)) for simulation in (one, other))
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        assert set(a.reward) <= {1.0, -1.0, 0.0, -0.0} and np.array_equal(one.variant, other.variant)


@pytest.mark.parametrize("id", [CHEETAHS, ANTS, "halfcheetah+tests.domains.made:ahead~halfcheetah:gravity=2,mass=2"])
def test_a_list_of_tasks_is_named_by_its_id(id):
    made = domain(id)
    assert isinstance(made, Varied) and made.name == id == "~".join(made.ids) and len(made.variants) == len(made.ids)
    assert made.traits["variants"] == id and made.spaces == domain(made.ids[0]).spaces
    for other in (domain(made.name), pickle.loads(pickle.dumps(made))):
        a, b = (d.simulate(6, [0, 1], threads=1) for d in (made, other))
        action = np.ones((6, made.spaces.action))
        assert np.array_equal(a.step(action).reward, b.step(action).reward)
    first = domain(made.ids[0])
    assert table_robot(made).tasks == first.tasks and table_robot(nominal(made)).tasks == first.tasks
    assert domain(f"{id}@history=2").simulate(4, 0, threads=1).step(np.ones((4, made.spaces.action)))


def test_robots_of_one_task_are_the_list_of_shifts():
    assert domain("hopper+hop(speed=1):gravity=2~hopper+hop(speed=1)").name == "hopper+hop(speed=1):gravity=2~"
    assert not domain("hopper:gravity=2~gravity=3").ids


def test_a_list_may_be_one_of_several_sources():
    both = "halfcheetah:gravity=2,mass=2~halfcheetah+run(speed=2),halfcheetah+stand"
    assert apart(both) == ["halfcheetah:gravity=2,mass=2~halfcheetah+run(speed=2)", "halfcheetah+stand"]


def test_no_view_is_chosen_for_several_tasks():
    pair = Pair(domain("halfcheetah~halfcheetah+stand"), domain("halfcheetah+backward"))
    assert viewed(pair) is pair


WRONG = {
    "halfcheetah~hopper": "a list is of one robot, and",
    "halfcheetah~gravity=2~halfcheetah+stand": "'gravity=2' in the list",
    "halfcheetah~halfcheetah+stand~": "write each in full",
    "halfcheetah~halfcheetah@mirrored": "in its robot's own columns",
    "halfcheetah~halfcheetah+jump": "unknown task of halfcheetah 'jump'",
    "halfcheetah~halfcheetah+stand~halfcheetah": "'halfcheetah' is named twice in a list",
    "halfcheetah~halfcheetah+stand:gravity=0.5..2": "leave ranges to a family's id",
    "halfcheetah~halfcheetah+stand:legs=3": "its variants have different parts",
    "ant~ant+goal(x=3,y=0)": "tasks of one list have the same columns",
    "reacher~reacher+goal(x=0.1,y=0)": "a fixed goal is where an episode begins, which is observed",
    "hopper+hop(speed=1)~hopper+walk(speed=1)@informed=0.2": "differs in nothing that a policy could be told",
}


@pytest.mark.parametrize("id", WRONG)
def test_what_does_not_fit_is_refused(id):
    with pytest.raises(RequestError) as caught:
        domain(id)
    assert WRONG[id] in str(caught.value) and "\n" not in str(caught.value)


def test_a_list_pays_for_no_stored_steps():
    made = domain("hopper~hopper+stand")
    with pytest.raises(RequestError, match="has no one task that could pay for stored steps: name one of its robots"):
        made.pay(*(np.zeros((1, n)) for n in (11, 3, 11, len(made.stored_terms))))


one_robot = st.tuples(
    st.sampled_from(["", "+backward", "+stand", "+run(speed=2)", "+terms(control=0)", "+stand+terms(control=2)", "+x"]),
    st.sampled_from(["", ":gravity=2", ":mass=0.5,gravity=3", ":", "@history=2", ":gravity=1..2"]),
).map(lambda x: f"halfcheetah{x[0]}{x[1]}")


@settings(max_examples=60, deadline=None)
@given(st.lists(one_robot | st.sampled_from(["hopper", "gravity=2", "", "~"]), min_size=2, max_size=4).map("~".join))
def test_any_list_names_a_domain_or_is_a_request_error(text):
    names_a_domain_or_is_refused(text)


# -- what a policy is told ------------------------------------------------------------------------------------------


def named(id):
    return {str(part): weight for part, weight in task_weights(domain(id)).items()}


def test_weights_of_tasks():
    assert named("halfcheetah") == {"forward": 1, "control": 1}
    assert named("halfcheetah+backward+terms(forward=2)") == {"forward": -2, "control": 1}
    assert named("halfcheetah@mirrored+run(speed=2):gravity=2") == {"speed(2)": 1, "control": 1}
    assert named("halfcheetah+run(speed=2)+terms(control=0)") == {"speed(2)": 1}
    assert named("ant+goal(x=3,y=0)")["near(3,0)"] == 1 and task_weights(domain("gym:Pendulum-v1")) is None
    across = named("ant+direction(degrees=30)")
    assert across["forward"] == pytest.approx(np.sqrt(0.75)) and across["sideways"] == pytest.approx(0.5)
    speeds = [weights_of(domain(f"hopper+hop(speed={x})").robot) for x in (1, 1, 2)]
    assert speeds[0] == speeds[1] != speeds[2]
    function = "halfcheetah+tests.domains.made:ahead"
    assert named(function) == {"ahead": 1} and task_weights(domain(function)) == task_weights(domain(function))


def test_columns_are_the_weights_of_the_row_s_task():
    made = domain(f"{CHEETAHS}@informed=0")
    assert [e.name for e in made.entries[17:]] == [
        "weight of forward", "weight of speed(2)", "weight of still", "task known",
        "parameter gravity", "parameters known",
    ]  # fmt: skip
    simulation = made.simulate(32, 0, threads=1)
    wanted = np.array([[1, -1, -1], [-1, -1, -1], [0, 1, -1], [0, -1, 1]])[simulation.variant]
    assert simulation.obs[:, 17:20] == pytest.approx(wanted) and (simulation.obs[:, [20, 22]] == 1).all()
    assert np.array_equal(simulation.obs[:, 21], np.where(simulation.variant == 2, 1.0, -1.0))
    assert made.told([1, 0, 0], None) == [1, -1, -1, 1, 0, 0] and made.told(None, [1.5])[:4] == [0, 0, 0, 0]
    assert made.told([3, 0, 0.5], None)[:4] == [1, -1, 0, 1]  # within the range


def test_task_and_physics_are_dropped_each_by_itself():
    made = domain(f"{CHEETAHS}@informed=0.3")
    simulation = made.simulate(400, 0, threads=1)
    task, physics = (simulation.obs[:, i] == 1 for i in (20, 22))
    assert 0.6 < task.mean() < 0.8 and 0.6 < physics.mean() < 0.8 and 0.4 < (task & physics).mean() < 0.58
    assert not simulation.obs[~task, 17:20].any() and not simulation.obs[~physics, 21].any()
    state = simulation.get_state()
    other = made.simulate(400, 1, threads=1)
    other.set_state(state)
    assert np.array_equal(other.obs, simulation.obs)


def test_what_lies_in_the_span_of_a_family():
    span = Span.of([task_weights(domain(x)) for x in domain(CHEETAHS).ids])
    assert [str(one) for one in span.differing] == ["forward", "speed(2)", "still"]

    def outside(id):
        return span.outside(task_weights(domain(id)))

    assert not outside("halfcheetah+backward:mass=2") and not outside("halfcheetah+stand")
    assert "pays speed(3), which no task of the family does" in outside("halfcheetah+run(speed=3)")
    assert "pays 0 times control, and all tasks of the family 1 times" in outside("halfcheetah+terms(control=0)")
    halfway = {part: {"forward": 0.5, "still": 0.5, "control": 1.0}.get(str(part), 0.0) for part in span.parts}
    assert not span.outside(halfway) and span.values(halfway) == [0.5, 0.0, 0.5]
    ahead = Span.of([task_weights(domain(f"ant+direction(degrees={x})")) for x in (0, 90)])
    assert not ahead.outside(task_weights(domain("ant+direction(degrees=60)")))
    assert ahead.mixes(task_weights(domain("ant"))) and span.mixes(halfway)
    assert not ahead.mixes(task_weights(domain("ant+direction(degrees=60)")))


def test_a_task_has_its_place_in_the_id():
    assert domain(CHEETAHS).listed[2] == (Task("run", (("speed", 2.0),)),)
