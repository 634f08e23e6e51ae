"""The reward told from steps: weights of the terms that the simulator has, and what none explain."""

from __future__ import annotations

import numpy as np
import pytest

import transreward as tr
from transreward import replay as rp
from transreward.domains.domain import altered
from transreward.domains.tasks import Task
from transreward.engine.grounding import _told, grounded
from transreward.ground import Ground
from transreward.identify.evidence import held_out
from transreward.identify.pay import Pay, pay_of, told
from transreward.types import Pair, Steps, Transition


def walked(target, n=240, robots=4):
    """Steps [2 seeds, n, robots] of random actions in a target."""
    simulation, rng = target.simulate(2 * robots, [0, 1]), np.random.default_rng(0)
    low, high = target.spaces.low, target.spaces.high
    taken = [simulation.step(rng.uniform(low, high, (2 * robots, target.spaces.action))) for _ in range(n)]
    columns = (np.stack(column) for column in zip(*taken, strict=True))  # [n, seeds * robots, ...]
    return Transition(*(x.reshape(n, 2, robots, *x.shape[2:]).swapaxes(0, 1) for x in columns))


@pytest.mark.parametrize(
    ("source", "target", "tasks"),
    [
        ("halfcheetah", "halfcheetah", ()),
        ("halfcheetah", "halfcheetah+backward", (Task("terms", (("forward", -1.0),)),)),
        ("halfcheetah", "halfcheetah+terms(control=5)", (Task("terms", (("control", 5.0),)),)),
        ("halfcheetah+backward", "halfcheetah", ()),
        ("ant", "ant+direction(degrees=90)", (Task("terms", (("forward", 0.0), ("sideways", 1.0))),)),
        ("hopper", "hopper+terms(forward=2,control=0)", (Task("terms", (("forward", 2.0), ("control", 0.0))),)),
    ],
)
def test_the_weights_of_its_terms_are_told(source, target, tasks):
    found = pay_of(tr.domain(source), [0, 1], walked(tr.domain(target)))
    assert found.tasks == tasks and found.explained > 0.999


def test_what_no_weights_explain_leaves_the_source_its_own():
    source = tr.domain("halfcheetah")
    steps = walked(tr.domain("halfcheetah+run(speed=1)"))
    found = pay_of(source, [0, 1], steps)
    assert found.explained < 0.9 and found.tasks == ()
    (line,) = _told(source, altered(source, reward_terms=("reward",)), found, None)
    assert "the simulator pays for another task" in line
    none = pay_of(source, [0, 1], steps._replace(reward=np.zeros_like(steps.reward)))
    assert none == Pay((), 0.0)


def test_a_reward_that_never_varies_is_the_sources_as_far_as_it_pays_the_same():
    """A pole that stands is paid 1 in every step."""
    pole = tr.domain("inverted_pendulum")
    steps = walked(pole)
    steps = steps._replace(reward=np.ones_like(steps.reward))  # where it fell, too
    found = pay_of(pole, [0, 1], steps)
    assert found.tasks == () and 0.7 < found.explained < 1
    assert pay_of(pole, [0, 1], steps._replace(reward=2 * steps.reward)).explained == 0


class Nameless:
    """A robot of which only the steps are seen."""

    def __init__(self, id):
        self._plain, self.name = tr.domain(id), "nameless"
        self.spaces, self.reward_terms = self._plain.spaces, ("reward",)
        self.episode_steps = self._plain.episode_steps

    def simulate(self, n, seed=0, threads=0):
        return self._plain.simulate(n, seed, threads)


@pytest.mark.parametrize(
    ("task", "paid", "believed"),
    [
        ("+backward", "halfcheetah+terms(forward=-1)", True),
        pytest.param("+run(speed=1)", "halfcheetah", False, marks=pytest.mark.slow),
        pytest.param("", "halfcheetah", True, marks=pytest.mark.slow),
    ],
)
def test_a_simulator_is_paid_as_the_steps_of_its_target_are(task, paid, believed):
    """And believed for no more than it knows of that."""
    target = Nameless(f"halfcheetah{task}")
    steps = Steps(walked(target), np.zeros((2, 240, 4, 0)), np.ones((2, 240, 4)))
    found = grounded(Pair(tr.domain("halfcheetah"), target), [0, 1], Ground(), rp.of(steps, target.spaces))
    assert found.source.name.partition(":")[0] == found.twin.name.partition(":")[0] == paid
    assert (found.believed == 1).all() if believed else (found.believed < 0.9).all()
    assert len(found.said) == 2 + (task != "") + (task == "+backward")
    assert (found.crossing is not None) == (task == "+backward")


@pytest.mark.parametrize(("paid", "explained"), [(1.0, 1.0), (0.5, 0.0)])
def test_held_out_steps_whose_reward_is_one_number_tell_whether_it_is_the_simulators(paid, explained):
    """As of a pole that fell once; a warning would be an error here."""
    pole = tr.domain("inverted_pendulum")
    obs, action = np.zeros((1, 200, 1, 4)), np.zeros((1, 200, 1, 1))
    reward = np.full((1, 200, 1), paid)
    reward[0, 0] = 0.0
    steps = Transition(obs, action, reward, obs, *np.zeros((2, 1, 200, 1)))
    assert not held_out(200)[0]
    assert pay_of(pole, [0], steps).explained == explained


def test_a_weight_that_the_steps_do_not_tell_is_the_usual():
    rng = np.random.default_rng(0)
    terms = rng.normal(size=(300, 3)) * [1.0, 1e-3, 0.0]
    reward = -2.0 * terms[:, 0] + 0.01 * rng.normal(size=300)
    assert told(terms, reward, np.array([1.0, 1.0, 0.0])).tolist() == [-2.0, 1.0, 0.0]
