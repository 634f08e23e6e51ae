"""A family whose observations end with what an episode's robot is."""

from __future__ import annotations

import numpy as np
import pytest

from transreward.domains.domain import restorable, table_robot
from transreward.domains.ids import domain
from transreward.domains.informed import Reading, Told, informed, uninformed
from transreward.domains.robots import row
from transreward.domains.shifts import parse
from transreward.domains.varied import nominal
from transreward.types import RequestError

FAMILY = "hopper:gravity=0.5..2,delay=0..2,payload=0..4"
N = 256


def begun(id, seed=0):
    """A simulation, and what it shows of each row at its start, [N, parameters + 1]."""
    made = domain(id)
    simulation = made.simulate(N, seed, threads=1)
    return made, simulation, simulation.obs[:, made.width :]


def test_columns_are_what_the_row_s_robot_is():
    made, simulation, shown = begun(f"{FAMILY}@informed=0")
    assert [e.name for e in made.entries[-4:]] == [
        "parameter gravity", "parameter delay", "parameter payload", "parameters known",
    ]  # fmt: skip
    assert made.spaces.obs == 15 and table_robot(made) is None
    own = made.plain
    for i in range(0, N, 16):
        gravity, delay, payload = (s.value for s in own.each[simulation.variant[i]])
        wanted = [np.log(gravity) / np.log(2), delay - 1, payload / 2 - 1, 1]
        assert shown[i] == pytest.approx(wanted)
    assert shown[:, :3].min() > -1.0001 and shown[:, :3].max() < 1.0001 and shown[:, 0].std() > 0.4


def test_the_robots_are_the_family_s_own_and_a_share_is_dropped():
    _, told, known = begun(f"{FAMILY}@informed=0.25")
    plain = domain(FAMILY).simulate(N, 0, threads=1)
    unknown = known[:, -1] == 0
    assert 0.15 < unknown.mean() < 0.35 and not known[unknown].any()  # 1,000 episodes' share is in (0.21, 0.29)
    assert begun(f"{FAMILY}@informed=0")[2][~unknown] == pytest.approx(known[~unknown])
    before = told.obs
    for _ in range(12):
        action = np.zeros((N, 3))
        one, other = told.step(action), plain.step(action)
        assert np.array_equal(one.next_obs[:, :11], other.next_obs) and np.array_equal(one.reward, other.reward)
        assert np.array_equal(one.obs, before) and np.array_equal(one.obs[:, 11:], one.next_obs[:, 11:])
        before = told.obs  # of ended rows the columns of another robot
    assert not begun(f"{FAMILY}@informed=1")[2].any()


def test_episodes_have_their_own_and_a_state_brings_them_back():
    _, simulation, first = begun("inverted_pendulum:gravity=0.5..2@informed=0.5")
    push, taken = np.full((N, 1), 3.0), 0
    while not np.any(simulation.obs[:, 4:] != first):
        simulation.step(push)
        taken += 1
    assert taken > 1
    state, seen = simulation.get_state(), []
    assert restorable(simulation.domain)
    other = domain("inverted_pendulum:gravity=0.5..2@informed=0.5").simulate(N, 9, threads=1)
    other.set_state(state)
    for one in (simulation, other):
        seen.append([one.step(push) for _ in range(40)][-1])
    assert all(np.array_equal(x, y) for x, y in zip(*seen, strict=True))


def test_what_a_list_and_views_are_told():
    listed = domain("hopper:gravity=0.5,mass=2~mass=2~gravity=2,mass=2@informed=0.2")
    assert listed.parameters == (Told("gravity", None, 0.5, 2.0),) and nominal(listed.plain).name == "hopper:mass=2"
    assert listed.columns.tolist() == [[-1.0], [0.0], [1.0]]
    broken = domain("hopper:broken=foot_joint,gravity=0.5~broken=foot_joint,gravity=2@informed=0.2")
    assert broken.parameters == (Told("gravity", None, 0.5, 2.0),)  # what all have need be no number
    seen = domain("ant@turned90:gravity=0.5..2@history=2@informed=0.2")
    assert seen.simulate(4, 0, threads=1).obs.shape == (4, seen.plain.spaces.obs + 2)
    nothing = uninformed(domain("hopper:gravity=3"), 2)
    assert nothing.name == "hopper:gravity=3@uninformed=2" and domain(nothing.name).spaces == nothing.spaces
    assert not nothing.simulate(4, 0, threads=1).obs[:, 11:].any()


@pytest.mark.parametrize(
    ("shifts", "parameter", "value"),
    [
        ("gravity=0.5,mass=2", "gravity", 0.5),
        ("mass=2", "gravity", 1.0),
        ("mass=2,mass(torso)=1.5", "mass(torso)", 3.0),
        ("mass(torso)=2", "mass", None),
        ("mass(*)=2", "mass", 2.0),
        ("gear(*)=0.5", "gear", 0.5),
        ("broken=foot_joint", "gear(foot_joint)", 0.0),
        ("broken=foot_joint", "gear", None),
        ("payload=2,payload(torso)=1", "payload(torso)", 3.0),
    ],
)
def test_a_parameter_is_read_from_shifts_that_name_other_parts(shifts, parameter, value):
    (told,) = [Told(s.name, s.pattern, s.value.low, s.value.high) for s in parse(f"{parameter}=0.1..4")]
    found = Reading(row("hopper"), parse(shifts), [told])
    assert found.of(told) == (value if value is None else pytest.approx(value))


def test_what_parameters_cover():
    found = Reading(
        row("hopper"), parse("mass(foot)=2,gravity=2"), [Told("mass", None, 0.5, 2), Told("gravity", None, 1, 3)]
    )
    assert [found.covers(s) for s in parse("mass(foot)=2,gravity=2,delay=1")] == [False, True, False]


def test_what_is_refused():
    with pytest.raises(RequestError, match="is one robot, and a policy is told which of a family it is in"):
        domain("hopper:gravity=2@informed=0.2")
    with pytest.raises(RequestError, match="no number that a policy could be told"):
        domain("hopper:broken=foot_joint~gravity=2@informed=0.2")
    with pytest.raises(RequestError, match="a factor, whose logarithm a policy is told: begin above 0"):
        domain("hopper:gravity=0~gravity=1@informed=0.2")
    with pytest.raises(RequestError, match="in a share of the episodes"):
        informed(domain("hopper:gravity=1..2"), 2.0)
    with pytest.raises(RequestError, match="told 1 to 100 parameters"):
        domain("hopper@uninformed=0")
