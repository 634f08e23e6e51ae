"""What is found in steps of a robot whose shifts are known."""

import numpy as np
import pytest

import transreward as tr
from transreward.types import RequestError

QUICK = [
    ("halfcheetah", "broken=bthigh", {"gear(bthigh)": 0.0}),
    ("hopper", "mass(torso)=2", {"mass(torso)": 2.0}),
    ("inverted_pendulum", "gravity=0.5", {"gravity": 0.5}),
]
OTHERS = [
    ("halfcheetah", "gravity=2", {"gravity": 2.0}),
    ("halfcheetah", "delay=2", {"delay": 2.0}),
    ("halfcheetah", "stiffness=2", {"stiffness": 2.0}),
    ("halfcheetah", "size(torso)=1.2", {"size(torso)": 1.2}),
    ("hopper", "damping=2", {"damping": 2.0}),
    ("hopper", "armature=2", {"armature": 2.0}),
    ("hopper", "gear=0.7", {"gear": 0.7}),
    ("hopper", "payload(torso)=2", {"payload(torso)": 2.0}),
    ("hopper", "slope=5", {"slope": 5.0}),
    ("hopper", "softness=2", {"softness": 2.0}),
    ("hopper", "frictionloss=3", {"frictionloss": 3.0}),
    ("hopper", "deadzone=0.2", {"deadzone": 0.2}),
    ("hopper", "bias(leg_joint)=0.1", {"bias(leg_joint)": 0.1}),
    ("hopper", "size(thigh)=1.2", {"size(thigh)": 1.2}),
    ("walker2d", "friction=0.3", {"friction": 0.3}),
    ("swimmer", "gear=0.5", {"gear": 0.5}),
]


@pytest.mark.parametrize(
    ("robot", "shifts", "named"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in OTHERS)]
)
def test_a_shift_is_found(robot, shifts, named):
    steps = 1500 if robot == "walker2d" else 500  # which falls at once, its velocities beyond what is observed
    found = tr.identify(robot, f"{robot}:{shifts}", target_steps=steps)
    assert {n.parameter.name: n.value for n in found.named} == pytest.approx(named, rel=0.02, abs=0.01)
    assert found.explained > 0.999 and not found.remains
    assert [shift.name for shift in tr.domain(found.id).shifts] == [shifts.partition("(")[0].partition("=")[0]]


def test_nothing_is_found_where_nothing_differs():
    found = tr.identify("hopper", "hopper")
    assert not found.named and found.id == "hopper" and not found.remains


def test_a_period_says_the_gravity():
    """Of a pendulum that swings freely: half the gravity is a period sqrt(2) longer, in the identified robot, too."""
    found = tr.identify("inverted_pendulum", "inverted_pendulum:gravity=0.5")
    times = []
    for id in ("inverted_pendulum", found.id):
        model = tr.domain(id).model
        times.append(1 / np.sqrt(-model.opt.gravity[2]))
    assert times[1] / times[0] == pytest.approx(np.sqrt(2), rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("hopper",), "name the target, or `logs`"),
        (("pusher", "pusher:gravity=0.5"), "does not observe its whole state"),
        (("hopper", "halfcheetah"), "unlike robots"),
    ],
)
def test_wrong_requests(arguments, words):
    with pytest.raises(RequestError, match=words):
        tr.identify(*arguments)


def test_too_few_steps():
    with pytest.raises(RequestError, match="too few"):
        tr.identify("hopper", "hopper:gravity=0.5", target_steps=30)
