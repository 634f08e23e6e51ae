"""What is found in steps of a robot whose shifts are known."""

from types import SimpleNamespace

import numpy as np
import pytest

import transreward as tr
from tests.domains import robots_in_files as files
from transreward.identify.fit import ROUNDING, _freed, _settled, _zoomed, enough
from transreward.identify.identified import identifiable, identified, variants_of
from transreward.identify.problem import Problem
from transreward.identify.simulator import Simulator
from transreward.preflight.identify import walked
from transreward.types import RequestError

QUICK = [("inverted_pendulum", "gravity=0.5", {"gravity": 0.5})]
SOME = [
    ("halfcheetah", "broken=bthigh", {"gear(bthigh)": 0.0}),
    ("halfcheetah", "delay=2", {"delay": 2.0}),
    ("hopper", "mass(torso)=2", {"mass(torso)": 2.0}),
    ("hopper", "damping=2", {"damping": 2.0}),
    ("hopper", "payload(torso)=2", {"payload": 2.0}),
    ("hopper", "deadzone=0.2", {"deadzone": 0.2}),
    ("hopper", "size(thigh)=1.2", {"size(thigh)": 1.2}),
    ("hopper", "sensor_bias=0.1", {"sensor_bias": 0.1}),  # of velocities at the clip, too
    ("walker2d", "friction=0.3", {"friction": 0.3}),
]
OTHERS = [
    ("halfcheetah", "gravity=2", {"gravity": 2.0}),
    ("halfcheetah", "stiffness=2", {"stiffness": 2.0}),
    ("halfcheetah", "size(torso)=1.2", {"size(torso)": 1.2}),
    ("hopper", "armature=2", {"armature": 2.0}),
    ("hopper", "gear=0.7", {"gear": 0.7}),
    ("hopper", "slope=5", {"slope": 5.0}),
    ("hopper", "softness=2", {"softness": 2.0}),
    ("hopper", "frictionloss=3", {"frictionloss": 3.0}),
    ("hopper", "bias(leg_joint)=0.1", {"bias(leg_joint)": 0.1}),
    ("hopper", "bias=0.1", {"bias": 0.1}),
    ("hopper", "viscosity=1", {"viscosity": 1.0}),
    ("hopper", "density=300", {"density": 300.0}),
    ("swimmer", "gear=0.5", {"gear": 0.5}),
]
LONG = (pytest.mark.slow, pytest.mark.long)


@pytest.mark.parametrize(
    ("robot", "shifts", "named"),
    [
        *QUICK,
        *(pytest.param(*case, marks=pytest.mark.slow) for case in SOME),
        *(pytest.param(*case, marks=LONG) for case in OTHERS),
    ],
)
def test_a_shift_is_found(robot, shifts, named):
    steps = 1500 if robot == "walker2d" else 500  # which falls at once, its velocities beyond what is observed
    found = tr.identify(robot, f"{robot}:{shifts}", target_steps=steps)
    assert {n.parameter.name: n.value for n in found.named} == pytest.approx(named, rel=0.02, abs=0.01)
    assert found.explained > 0.999 and not found.remains
    assert [shift.name for shift in tr.domain(found.id).shifts] == [shifts.partition("(")[0].partition("=")[0]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("robot", "shifts", "named"),
    [
        ("hopper", "gravity=0.8,damping=3", {"gravity": 0.8, "damping": 3.0}),
        ("halfcheetah", "gear=0.7,friction=0.3", {"gear": 0.7, "friction": 0.3}),
        ("halfcheetah", "gravity=0.5,delay=1", {"gravity": 0.5, "delay": 1.0}),
    ],
)
def test_pairs_are_found(robot, shifts, named):
    found = tr.identify(robot, f"{robot}:{shifts}")
    assert {n.parameter.name: n.value for n in found.named} == pytest.approx(named, rel=0.02)


@pytest.mark.parametrize("shifts", ["gravity=1.7,mass=1.3", "mass=1.5,gravity=0.7"])
def test_two_for_which_one_other_stands_nearly(shifts):
    """A heavier pole, or a larger cart, explains 99% of what these do, and with it neither of the two helps."""
    found = tr.identify("inverted_pendulum", f"inverted_pendulum:{shifts}")
    assert {f"{n.parameter.name}={n.value:.3g}" for n in found.named} == set(shifts.split(","))
    assert found.explained > 0.9999 and not found.remains


def test_nothing_is_found_where_nothing_differs():
    found = tr.identify("hopper", "hopper")
    assert not found.named and found.id == "hopper" and not found.remains


@pytest.mark.parametrize(
    ("shifts", "named", "told"),
    [
        pytest.param("sensor_delay=2", {"sensor_delay": 2}, True, marks=pytest.mark.slow),
        pytest.param("delay=1,sensor_delay=1", {"delay": 1, "sensor_delay": 1}, True, marks=pytest.mark.slow),
        pytest.param("delay=1", {"delay": 1}, False, marks=pytest.mark.slow),  # in the midst of an episode
    ],
)
def test_acting_late_and_seeing_late(shifts, named, told):
    """They differ in the first steps of an episode alone."""
    robot = identifiable("hopper")
    steps = walked(robot, tr.domain(f"hopper:{shifts}"), None, 250, 0)
    if not told:
        middle = np.flatnonzero(steps.known & steps.follows)
        steps = steps.take(middle)
    found = identified(robot, steps)
    assert {n.parameter.name: n.value for n in found.named} == named
    assert (("delay", "sensor_delay") in found.alike) is not told
    assert {s.name: s.value for s in tr.domain(found.id).shifts} == named


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


@pytest.mark.slow
def test_four_at_once_are_found_although_a_rule_of_the_motors_explains_more_than_two_of_them():
    shifts = {"gear": 0.8, "damping": 1.5, "friction": 0.5, "mass(torso)": 1.5}
    found = tr.identify("halfcheetah", "halfcheetah:" + ",".join(f"{name}={value}" for name, value in shifts.items()))
    assert {n.parameter.name: n.value for n in found.named} == pytest.approx(shifts, rel=0.02)


class Caught:
    """A fit of one parameter that is 0.7, with a contact that holds it at 0.715 when it comes from above."""

    parameters = (SimpleNamespace(counts=False),)
    fine = None

    def bounds(self, free):
        return np.array([0.1]), np.array([2.0])

    def at(self, values, free):
        return values[free]

    def moved(self, values, free, x):
        return x.copy()

    def loss(self, values, rows):
        return (values[:, 0] - 0.7) ** 2 + 0.01 * (values[:, 0] > 0.705)

    def held_out(self, values):
        return float(self.loss(values[None], None)[0])

    def refine(self, values, chosen, rows, iterations):
        return np.array([0.715 if values[0] > 0.705 else 0.7])


def test_a_fit_that_a_contact_holds_is_freed():
    problem = Caught()
    held = problem.refine(np.array([0.8]), [0], None, 8)
    loss, values, chosen = _freed(problem, (problem.held_out(held), held, [0]))  # pyright: ignore[reportArgumentType]
    assert values[0] == pytest.approx(0.7) and loss == pytest.approx(0) and chosen == [0]
    there = (loss, values, chosen)
    assert _freed(problem, there) is there  # pyright: ignore[reportArgumentType]


def test_a_contact_holds_no_fit_of_which_nearly_nothing_is_left():
    """A search that began in what another target told may end there before it is looked beside."""
    problem, held = Caught(), np.array([0.715])
    loss = problem.held_out(held)
    before = 1e6 * loss
    assert ROUNDING * before < loss <= enough(before)
    left, values, _ = _settled(problem, (loss, held, [0]), before)  # pyright: ignore[reportArgumentType]
    assert values[0] == pytest.approx(0.7) and left < ROUNDING * before


@pytest.fixture
def heavy_tool(tmp_path):
    """The problem of an arm whose tool weighs 0.7 kg in place of 0.2."""
    files.arm(tmp_path)
    site, ids = '<site name="gripper"', {}
    for name, mass in (("light", 0.2), ("heavy", 0.7)):
        tool = f'<body name="tool" pos="0 0 0.3"><geom size="0.03" mass="{mass}"/></body>'
        (tmp_path / f"{name}.xml").write_text((tmp_path / "arm.xml").read_text().replace(site, tool + site))
        ids[name] = f"mjcf:{tmp_path / name}.xml"
    robot = identifiable(ids["light"])
    told = walked(robot, tr.domain(ids["heavy"]), None, 200, 0)
    return Problem(Simulator(variants_of(robot), told.obs.shape[1]), told)


def test_of_two_that_explain_nearly_all_the_better_is_taken(heavy_tool):
    """A load in the middle of a ball is nearly a heavier ball."""
    names, neutral = [p.name for p in heavy_tool.parameters], heavy_tool.family.neutral
    before, load = heavy_tool.held_out(neutral), names.index("payload(tool)")
    values = heavy_tool.refine(neutral.copy(), [load], heavy_tool.fine, 8)
    loaded = heavy_tool.held_out(values), values, [load]
    assert ROUNDING * before < loaded[0] <= enough(before) and values[load] == pytest.approx(0.5, abs=0.01)
    loss, values, chosen = _settled(heavy_tool, loaded, before)
    assert [names[i] for i in chosen] == ["mass(tool)"] and loss < ROUNDING * before
    assert values[chosen[0]] == pytest.approx(3.5, rel=1e-4)
    assert _settled(heavy_tool, (loss, values, chosen), before) == (loss, values, chosen)


def test_what_is_not_linear_is_looked_for_from_the_end_of_its_range_on(heavy_tool):
    site = [p.name for p in heavy_tool.parameters].index("payload(gripper)")
    found = _zoomed(heavy_tool, heavy_tool.family.neutral, site)
    assert 0.3 < found[site] < 0.7
