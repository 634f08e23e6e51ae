"""The contract of bridges: there and back, a robot's steps in other columns, and an agent taken up there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import numpy as np
import pytest
from crossed import agents_of, require_maps, require_plain_steps, require_taken_up
from quick import robots

import transreward as tr
from transreward import replay as rp
from transreward.bridges import BRIDGES, view
from transreward.bridges.bridge import Bridge, Columns, Crossing, Maps, require_sound
from transreward.bridges.linear import Linear, Symmetry
from transreward.bridges.take_up import take_up
from transreward.learners.ppo import PPO
from transreward.learners.sac import SAC
from transreward.runs.source_agent import SourceAgent
from transreward.types import Entry, RequestError, Spaces

pytestmark = pytest.mark.usefixtures("hurry")

ROWS = [(name, robot) for name, bridge in BRIDGES.items() for robot in bridge.robots]
LEARNERS = [SAC(hidden=(8, 8)), PPO(hidden=(8, 8))]
every_learner = pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: learner.name)


@dataclass(frozen=True)
class Wider(Bridge):
    """A slower unit, one column more, one less, and a motor that the robot has not: sides of different sizes."""

    @property
    def robots(self):
        return ("hopper",)

    def across(self, robot, other=None):
        own, n, motors = Columns.of(robot), robot.spaces.obs, robot.spaces.action
        lift = np.zeros((n, n))  # its last column is left out, and the last shown is new
        lift[range(n - 1), range(n - 1)] = np.linspace(0.5, 2.0, n - 1)
        see = np.linalg.pinv(lift)
        moves = np.eye(motors + 1, motors)[:, ::-1]
        there = Maps(Linear(lift, np.arange(n) / n), Linear(moves, np.zeros(motors + 1)), same(own.stored_terms))
        back = Maps(Linear(see, -see @ there.obs.fill), Linear(moves.T, np.zeros(motors)), same(own.stored_terms))
        entries = (*own.entries[:-1], Entry("something else", "1"))
        spaces = Spaces(n, motors + 1, -np.ones(motors + 1, np.float32), np.ones(motors + 1, np.float32))
        shown = Columns(spaces, entries, (*own.action_entries, Entry("tail", "N m")), own.stored_terms)
        return Crossing(there, back, own, shown, lost=(own.entries[-1].name,))


def same(terms):
    return Linear(np.eye(len(terms)), np.zeros(len(terms)))


@pytest.fixture
def wider(monkeypatch):
    monkeypatch.setitem(BRIDGES, "wider", Wider())


@pytest.mark.parametrize(("name", "robot"), [*ROWS, ("wider", "hopper")])
def test_steps_are_the_plain_robots_in_other_columns(name, robot, wider):
    plain, bridged = tr.domain(robot), tr.domain(f"{robot}@{name}")
    crossing = view(plain, name)
    require_maps(crossing)
    require_plain_steps(plain, bridged, crossing)
    assert bridged.name == f"{robot}@{name}" and len(bridged.entries) == bridged.spaces.obs


@every_learner
@pytest.mark.parametrize(("name", "robot"), [("mirrored", "halfcheetah"), ("wider", "hopper")])
def test_an_agent_is_taken_up(name, robot, learner, wider):
    domain = tr.domain(robot)
    require_taken_up(learner, domain, view(domain, name))


def test_stored_steps_are_taken_up_with_their_agent(wider):
    plain, learner, seeds = tr.domain("hopper"), LEARNERS[0], [5, 6]
    steps = robots(plain, seeds, 3, 1, terms=1).collect(None, None, None, 4)
    stored = rp.of(steps, plain.spaces)
    agent = SourceAgent("hopper", learner, agents_of(learner, plain), stored, None, 12, seeds, [])
    found, there = agent.taken_up(tr.domain("hopper@wider")), view(plain, "wider").there
    assert found.source == "hopper@wider" and found.replay.spaces.action == 4
    for one, other in zip(jax.tree.leaves(there.steps(steps)), jax.tree.leaves(rp.in_order(found.replay)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@every_learner
def test_a_symmetry_changes_no_bit_of_a_weight(learner):
    """An earlier agent in another view goes on from the same numbers, in other places."""
    domain = tr.domain("ant")
    agents, crossing = agents_of(learner, domain), view(domain, "turned90")
    (order, sign), (moves, turns) = ((m.order, m.sign) for m in crossing.there[:2])
    taken = take_up(learner, agents, crossing)
    network = (lambda a: a.actor) if learner.name == "sac" else (lambda a: a.networks.policy)
    before, after = network(agents), network(taken)
    np.testing.assert_array_equal(after[0]["w"], before[0]["w"][:, order] * sign[:, None])
    np.testing.assert_array_equal(after[0]["b"], before[0]["b"])
    np.testing.assert_array_equal(after[-1]["w"][..., : len(moves)], before[-1]["w"][..., moves] * turns)
    np.testing.assert_array_equal(taken.normaliser.mean, agents.normaliser.mean[:, order] * sign)
    np.testing.assert_array_equal(taken.normaliser.var, agents.normaliser.var[:, order])
    if learner.name == "sac":
        both = np.append(order, len(order) + moves)
        wanted = agents.critics[0]["w"][..., both, :] * np.append(sign, turns)[:, None]
        np.testing.assert_array_equal(taken.critics[0]["w"], wanted)


def test_an_agent_whose_ends_nobody_knows_is_not_taken_up():
    domain = tr.domain("halfcheetah")
    learner = SAC(hidden=(4,))
    object.__setattr__(learner, "ends", None)
    with pytest.raises(RequestError, match="an agent of 'sac' cannot be taken up in another view of its robot"):
        take_up(learner, (), view(domain, "mirrored"))


def broken(crossing, way, part, **changes):
    maps = getattr(crossing, way)
    one = getattr(maps, part)
    one = Linear(changes.get("matrix", one.matrix), changes.get("fill", one.fill))
    return replace(crossing, **{way: maps._replace(**{part: one})})


@pytest.mark.parametrize(
    ("way", "part", "changes", "said"),
    [
        ("there", "obs", {"matrix": np.eye(3)}, r"'odd': there.obs must have a matrix of shape \(11, 11\)"),
        ("back", "action", {"fill": np.zeros(1)}, r"back.action must have .* a fill of \(3,\)"),
        ("there", "obs", {"fill": np.full(11, np.nan)}, "there.obs must be finite"),
        ("back", "obs", {"matrix": 3 * np.eye(11)}, "does not give 'rootz position' back as it was"),
        ("there", "action", {"fill": np.ones(4)}, "does not give 'thigh_joint' back as it was"),
        ("there", "action", {"matrix": np.eye(4, 3) / 2, "fill": np.zeros(4)}, "does not give 'thigh_joint' back"),
    ],
)
def test_an_unsound_bridge_is_refused(way, part, changes, said):
    crossing = Wider().across(tr.domain("hopper"))
    assert require_sound("even", crossing) is crossing
    with pytest.raises(RequestError, match=said):
        require_sound("odd", broken(crossing, way, part, **changes))


@pytest.mark.parametrize(
    ("bridge", "said"),
    [
        (
            Symmetry("odd", {"hopper": lambda name: (name + "s", 1.0)}),
            "in the place of 'rootz position': 'rootz positions'",
        ),
        (
            Symmetry("odd", {"hopper": lambda name: 1 / 0}),
            "the bridge 'odd' failed: ZeroDivisionError",
        ),
        (Symmetry("odd", {"hopper": lambda name: (name, 2.0)}), "does not give 'rootz position' back as it was"),
        (Symmetry("odd", {"hopper": None}), "the bridge 'odd' failed: TypeError"),
    ],
)
def test_a_users_bridge_that_fails_says_so_in_one_line(bridge, said, monkeypatch):
    monkeypatch.setitem(BRIDGES, "odd", bridge)
    with pytest.raises(RequestError, match=said) as caught:
        tr.domain("hopper@odd")
    assert "\n" not in str(caught.value)


def test_a_bridge_asks_no_more_of_a_motor_than_it_has():
    crossing = Wider().across(tr.domain("hopper"))
    half = broken(crossing, "there", "action", matrix=crossing.there.action.matrix / 2)
    double = broken(half, "back", "action", matrix=crossing.back.action.matrix * 2)
    with pytest.raises(RequestError, match=r"asks more of 'thigh_joint' than its box allows, by 1: 0\.5 times"):
        require_sound("strong", double)
