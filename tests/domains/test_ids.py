"""Ids: what they name, their round trip, and that a wrong one is never anything but a clear line."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domains import made
from transreward.domains import shifts, tasks
from transreward.domains.bridged import plain_id
from transreward.domains.difference import require_difference
from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.domains.robots import ROBOTS
from transreward.presets import PRESETS, preset
from transreward.types import RequestError

WRONG = {
    "": "malformed domain id",
    ":": "nothing follows the colon",
    "a\nb": "malformed domain id",
    "hopper:": "nothing follows the colon",
    "hoper": "did you mean hopper",
    "hoper:gravity=2": "unknown robot 'hoper': did you mean hopper",
    "HALFCHEETAH": "did you mean halfcheetah?",
    "half_cheetah": "did you mean halfcheetah?",
    "half-cheetah:gravity=2": "did you mean halfcheetah?",
    "Foo-v5": "did you mean gym:Foo-v5?",
    "Hopper-v5": "did you mean gym:Hopper-v5, or hopper?",
    "arm.xml": "unknown robot 'arm.xml': did you mean mjcf:arm.xml?",
    "../worn/arm.xml(tip=hand)+reach(x=0.4,y=0,z=0.3):gravity=2": "did you mean mjcf:../worn/arm.xml(tip=hand)?",
    "arm.xml:broken": "unknown robot 'arm.xml': did you mean mjcf:arm.xml?",
    "arm.URDF:mass=2": "did you mean urdf:arm.URDF?",
    "logs/monday.csv": "did you mean data:logs/monday.csv?",
    "monday.parquet": "did you mean data:monday.parquet?",
    "hopper+backwrd": "unknown task of hopper 'backwrd': did you mean backward",
    "hopper:gravity": "has no value: write gravity=<factor>",
    "hopper:gravity=abc": "must be a number from 0 to 1000",
    "hopper:gravity=nan": "must be a number",
    "hopper:gravity=-1": "must be a number",
    "hopper:mass=0": "must be a number above 0",
    "hopper:mass=inf": "must be a number above 0",
    "hopper:delay=1.5": "must be a whole number from 0 to 100",
    "hopper:delay=-1": "must be a whole number",
    "hopper:gravity=-9.81": "must be a number from 0 to 1000; gravity is a factor of the robot's own: 0.5 halves it",
    "hopper:delay=20ms": "must be a whole number from 0 to 100, in control steps, written without a unit",
    "hopper:payload=500g": "to 1000, in kg, written without a unit",
    "hopper:gravity=0.5,gravity=2": "'gravity=2' comes twice",
    "hopper:gravity=0.5,": "malformed shift",
    "hopper:mass(torso=2": "malformed shift",
    "hopper:gravity(torso)=2": "takes no (pattern)",
    "hopper:gravty=2": "unknown shift 'gravty': did you mean gravity",
    "hopper:strength=2": "unknown shift 'strength': did you mean gear?",
    "hopper:torque(*)=2": "did you mean gear?",
    "hopper:latency=2": "did you mean delay?",
    "hopper:sensor=0.1": "did you mean sensor_noise?",
    "hopper:obs_delay=1": "did you mean sensor_delay?",
    "hopper:action_noise=0.1": "did you mean noise?",
    "hopper:mass(tors)=2": "unknown body of hopper 'tors': did you mean torso?",
    "hopper:damping(leg_join)=2": "unknown joint of hopper 'leg_join': did you mean leg_joint",
    "hopper:friction(foot)=2": "unknown geom of hopper 'foot': did you mean foot_geom?",
    "halfcheetah:broken=bthig": "unknown actuator of halfcheetah 'bthig': did you mean bthigh",
    "hopper:gravity=2..0.5": "'gravity=2..0.5' is a range upside down: write gravity=0.5..2",
    "hopper:gravity=1..1": "'gravity=1..1' is a range of one value: write gravity=1",
    "hopper:gravity=0..2": "factors are drawn in their logarithm, so begin the range above 0",
    "hopper:gravity=0.5..": "'gravity=': the value must be a number from 0 to 1000",
    "hopper:gravity=1..2..3": "'gravity=2..3': the value must be a number",
    "hopper:delay=0.5..2": "'delay=0.5': the value must be a whole number",
    "halfcheetah:broken=0..1": "not a number that could have a range",
    "hopper:gravity=0.5..2|mass=2": "leave ranges to a family's id",
    "mjcf:robot.xml": "there is no file robot.xml",
    "gym:CartPole-v1": "discrete action space",
    "gym:FrozenLake-v1": "discrete action space",
    "gym:pendulum-v1": "did you mean Pendulum-v1",
    "gym:Pendulum-v9": "cannot be made",
    "gym:Pendulum-v1:gravity=2": "shifts work on the robots",
    "gym:Exits-v0": "'gym:Exits-v0' cannot be made: SystemExit: no licence",
    "gym:ALE/Pong-v5": "pip install 'ale-py'",
    "gym:gymnasium_robotics:FetchReach-v4": "pip install gymnasium-robotics",
    "gym:Unbounded-v0": "unbounded action box",
    "no_such.module:factory": "there is no module no_such.module",
    "hopper@mirrored": "hopper' has no view; there are halfcheetah@mirrored, ant@turned90",
    "ant@mirrored": "unknown view of ant 'mirrored': there are",
    "halfcheetah@mirrored:noise=0.1": "cannot be seen mirrored",
    "halfcheetah@": "unknown view of halfcheetah",
    "tests.domains.made:pendulumm": "did you mean pendulum",
    "tests.domains.made:wrong": "OSError: no such robot at all",
    "tests.domains.made:exits": "'tests.domains.made:exits' failed: SystemExit: no licence",
    "tests.domains.made:no_space": "no attribute 'observation_space'",
    "os:getcwd": "cannot import os: it is Python's own",
}


class Unbounded(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))


gymnasium.register("Unbounded-v0", Unbounded)
gymnasium.register("Exits-v0", made.exits)


@pytest.mark.parametrize("id", WRONG)
def test_wrong_ids(id):
    with pytest.raises(RequestError, match=re.escape(WRONG[id])) as caught:
        domain(id)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 3, ["hopper"]])
def test_what_is_no_text(value):
    with pytest.raises(RequestError, match="malformed"):
        domain(value)


pieces = st.sampled_from(
    [
        *list(ROBOTS)[:4],
        *shifts.SHIFTS,
        *tasks.TASKS,
        "(speed=2)",
        *":,=()+*-. ",
        "torso",
        "hip_*",
        "0.5",
        "..",
        "2",
        "nan",
        "-1",
        "1e-7",
        "gym:",
        "é",
        "\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=9).map("".join) | st.text(max_size=20))
def test_any_text_parses_or_is_a_request_error(text):
    try:
        parsed = shifts.parse(text)
    except RequestError as error:
        assert str(error)
    else:
        canonical = ",".join(map(str, parsed))
        assert shifts.parse(canonical) == parsed


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces, max_size=7).map("".join))
def test_any_id_names_a_domain_or_is_a_request_error(text):
    made.names_a_domain_or_is_refused(text)


numbers = st.floats(0.01, 1000) | st.integers(1, 1000)
whole = st.tuples(st.sampled_from(["gravity", "friction", "mass", "gear"]), numbers).map(lambda s: f"{s[0]}={s[1]}")
parts = st.tuples(st.sampled_from(["mass(torso)", "damping(*_joint)", "noise(leg_joint)"]), numbers).map(
    lambda s: f"{s[0]}={s[1]}"
)


@settings(max_examples=50, deadline=None)
@given(st.lists(whole | parts, min_size=1, max_size=4, unique_by=lambda text: text.partition("=")[0]))
def test_round_trip_of_canonical_names(texts):
    made = domain("hopper:" + ",".join(texts))
    assert domain(made.name).name == made.name
    assert [shift.value for shift in made.shifts] == [float(text.partition("=")[2]) for text in texts]


def test_canonical_names():
    assert domain("hopper:gravity=2.0,mass(torso)=1.50").name == "hopper:gravity=2,mass(torso)=1.5"
    assert domain("ant:broken=hip_1,delay=01").name == "ant:broken=hip_1,delay=1"


def roll(simulation, steps, seed=0):
    rng, spaces = np.random.default_rng(seed), simulation.domain.spaces
    return [
        simulation.step(rng.uniform(spaces.low, spaces.high, (len(simulation.obs), spaces.action)))
        for _ in range(steps)
    ]


@pytest.mark.parametrize("id", ["gym:Pendulum-v1", "tests.domains.made:pendulum"])
def test_gymnasium_environments(id):
    source = domain(id)
    assert isinstance(source, Domain)
    assert (source.name, source.spaces.obs, source.spaces.action) == (id, 3, 1)
    simulation, alone = source.simulate(4, seed=[3, 4]), source.simulate(2, seed=4)
    assert np.array_equal(simulation.obs[2:], alone.obs)
    steps = roll(simulation, source.episode_steps)
    assert steps[-1].truncated.all() and not any(step.terminated.any() for step in steps)
    assert not np.array_equal(simulation.obs, steps[-1].next_obs)  # reset after the last was recorded
    assert np.array_equal(steps[3].obs, steps[2].next_obs)
    assert np.array_equal(simulation.terms["reward"], steps[-1].reward)


@pytest.mark.parametrize("id", ["gym:Pendulum-v1", "gym:Ant-v5", "gym:Reacher-v5"])
def test_a_gymnasium_simulation_continues_bit_for_bit(id):
    simulation = domain(id).simulate(2, seed=0)
    roll(simulation, 40)
    state = simulation.get_state()
    expected = roll(simulation, 60, seed=1)
    other = domain(id).simulate(2, seed=5)
    for continued in (other, simulation):
        continued.set_state(state)
        again = roll(continued, 60, seed=1)
        assert all(
            np.array_equal(x, y) for a, b in zip(expected, again, strict=True) for x, y in zip(a, b, strict=True)
        )


def test_factories():
    found = domain("tests.domains.made:light_hopper")
    assert str(found.shifts[0]) == "gravity=0.5"  # type: ignore[attr-defined]
    assert {d.name for d in (found, copy.copy(found), pickle.loads(pickle.dumps(found)))} == {
        "tests.domains.made:light_hopper"  # by which a run of it is opened again
    }
    domain("tests.domains.made:alias")
    assert made.PENDULUM.name == "gym:Pendulum-v1"  # what others may hold keeps its own
    assert domain("tests.domains.made:PENDULUM").name == "tests.domains.made:PENDULUM"
    with pytest.raises(RequestError, match="makes a domain whose name stays 'mine'"):
        domain("tests.domains.made:fixed")
    with pytest.raises(RequestError, match="returns the same environment again"):
        domain("tests.domains.made:shared").simulate(2)


def test_listing_and_parsing_import_neither_mujoco_nor_gymnasium():
    code = "import sys, transreward.domains.ids; print({'mujoco', 'gymnasium', 'jax'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_a_factory_of_a_robot_of_the_table_is_treated_as_that_robot():
    """It has its preset, each of its shifts is tried alone, and it has its views."""
    assert preset(domain("tests.domains.made:light_hopper")) is PRESETS["hopper"]
    plain = domain("inverted_pendulum")
    assert require_difference(plain, domain("tests.domains.made:twice")).share > 0
    with pytest.raises(RequestError, match="the shift 'range=2' of inverted_pendulum changes nothing"):
        require_difference(plain, domain("tests.domains.made:once"))
    seen = domain("tests.domains.made:cheetah@mirrored")
    assert seen.name == "tests.domains.made:cheetah@mirrored" and plain_id(seen.name) == "tests.domains.made:cheetah"
    assert (seen.simulate(1, 0).obs == domain("halfcheetah@mirrored:mass=2").simulate(1, 0).obs).all()
    for id in ("tests.domains.made:pendulum@mirrored", "gym:Pendulum-v1@mirrored"):
        with pytest.raises(RequestError):
            domain(id)


def test_a_gymnasium_id_of_a_module_beside_the_user_is_found(tmp_path, monkeypatch):
    (tmp_path / "bench_of_mine.py").write_text(
        "import gymnasium\ngymnasium.register('Mine-v0', 'tests.domains.made:pendulum')\n"
    )
    (tmp_path / "broken_of_mine.py").write_text("import no_such_package_at_all\n")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.chdir(tmp_path)
    assert domain("gym:bench_of_mine:Mine-v0").spaces.obs == 3
    for id, missing in {"nowhere": "nowhere", "broken_of_mine": "no_such_package_at_all"}.items():
        with pytest.raises(RequestError, match=f"there is no module {missing} to import") as caught:
            domain(f"gym:{id}:Mine-v0")
        assert "pip install" not in str(caught.value)
