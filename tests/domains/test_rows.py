"""Rows of the table as their users write them: what a robot's functions return is copied and checked."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transreward.domains import names
from transreward.domains.ids import domain
from transreward.domains.mujoco import MujocoSimulation
from transreward.domains.robot import Robot, forward, of_state
from transreward.domains.robots import ROBOTS
from transreward.types import BrokenRun, RequestError

XML = """<mujoco><worldbody><body name="block"><joint name="rail" type="slide" axis="1 0 0" damping="0.5"/>
<geom type="box" size=".1 .1 .1" mass="1"/></body></worldbody><actuator>{actuator}</actuator>
<sensor><jointpos joint="rail"/></sensor></mujoco>"""
MOTOR = '<motor name="push" joint="rail" gear="5" ctrlrange="-1 1"/>'


@pytest.fixture
def slider(tmp_path, monkeypatch):
    """A domain of a block on a rail, whose row differs from a right one in what is given."""

    def make(actuator=MOTOR, **given):
        file = tmp_path / "slider.xml"
        file.write_text(XML.format(actuator=actuator))
        row = {
            "observe": lambda s: np.concatenate([s.qpos, s.qvel], axis=1),
            "terms": {"near": lambda s: -np.abs(s.qpos[:, 0]), "slow": lambda s: -np.square(s.qvel).sum(axis=1)},
            "draw": lambda rng, qpos, qvel: (qpos + rng.uniform(-1, 1, qpos.size), qvel),
            "invert": None if "observe" in given else of_state(skip=0),
            "healthy": lambda s: np.abs(s.qpos[:, 0]) < 3,
            "frame_skip": 5,
            "episode_steps": 40,
        }
        monkeypatch.setitem(ROBOTS, "slider", Robot("slider", "", "", str(file), **{**row, **given}))
        return domain("slider")

    return make


def walk(where, steps=60):
    simulation, taken = where.simulate(3, 0), []
    for action in np.random.default_rng(0).uniform(-1, 1, (steps, 3, 1)):
        t = simulation.step(action)
        terms = simulation.terms
        taken.append(((*t, *terms.values()), [np.array(x) for x in (*t, *terms.values())]))
    return taken


def rebound(s, name, factor):
    """A column of what is there, which a function may call something else for itself."""
    found = getattr(s, name)[:, 0].copy()
    setattr(s, name, factor * getattr(s, name))
    return found


def in_place(rng, qpos, qvel):
    qpos += rng.uniform(-1, 1, qpos.size)
    return qpos, qvel


@pytest.mark.parametrize(
    "given",
    [
        {"observe": lambda s: s.qpos, "terms": {"near": lambda s: s.qpos[:, 0]}},
        {"observe": lambda s: s.sensordata, "fields": ("sensordata",)},
        {"position": lambda s: s.qpos[:, 0], "terms": {"fast": lambda s: s.velocity}},
        {"draw": in_place},
        {"healthy": lambda s: (np.abs(s.qpos[:, 0]) < 3).astype(int)},
        {"healthy": lambda s: np.where(np.abs(s.qpos[:, 0]) < 3, 1.0, 0.0)},
        {"observe": lambda s: np.stack([rebound(s, "qpos", 0.0), s.qvel[:, 0]], axis=1)},
        {"episode_steps": np.int64(40), "frame_skip": np.int32(5)},
    ],
)  # fmt: skip
def test_a_step_stays_what_it_was(slider, given):
    found, plain = walk(slider(**given)), walk(slider())
    for t, copied in found:
        assert all(np.array_equal(x, y) for x, y in zip(t, copied, strict=True))
    obs, *_, next_obs, terminated, truncated = found[0][0][:6]
    assert (obs != next_obs).any(axis=1).all()
    for (t, _), (expected, _) in zip(found, plain, strict=True):
        for i in (4, 5):  # terminated and truncated
            assert np.array_equal(t[i], expected[i])
        assert "fields" in given or np.array_equal(t[0][:, 0], expected[0][:, 0])  # sensors are a substep behind
    assert not (terminated | truncated).any()


def no_generator(rng, qpos, qvel):
    return qpos + np.random.uniform(-1, 1, qpos.size), qvel


def near(f):
    return {"terms": {"near": f}}


WRONG = {
    r"observe\(s\) must be numbers of shape \(8, 1\), not of shape \(8,\)": {"observe": lambda s: s.qpos[:, 0]},
    r"observe\(s\) must be numbers of shape \(8, 1\), not None": {"observe": lambda s: None},
    r"observe\(s\) reads s.site_xpos, which is not there: `fields` and `bodies` name": {
        "observe": lambda s: s.site_xpos[:, 0]
    },
    r"observe\(s\) writes into what it is given": {"observe": lambda s: np.add(s.qpos, 1, out=s.qpos)},
    r"observe\(s\) of a row depends on the rows beside it": {"observe": lambda s: s.qpos - s.qpos.mean()},
    r"observe\(s\) answers the same question in two ways": {
        "observe": lambda s: s.qpos + (0 if len(s.qpos) < 8 or "next_obs" not in vars(s) else np.random.normal())
    },
    r"the term 'near' must be numbers of shape \(8,\), not of shape \(8, 1\)": near(lambda s: -np.abs(s.qpos)),
    r"the term 'near' must be numbers of shape \(8,\), not of shape \(1,\)": near(lambda s: s.qpos[:1, 0]),
    r"the term 'near' must be numbers of shape \(8,\), not of shape \(\)": near(lambda s: 1.0),
    r"the term 'near' must be numbers of shape \(8,\), not None": near(lambda s: None),
    "the term 'near' failed: SystemExit: far": near(lambda s: sys.exit("far")),
    "the term 'near' of a row depends on the rows beside it": near(lambda s: s.qpos[:, 0] / s.qpos[:, 0].std()),
    "the term 'near' writes into what it is given": near(lambda s: s.next_obs.sort(axis=0)),
    "slider, control step 0, row 0: a reward is not finite: the term 'near' is nan": near(
        lambda s: s.qpos[:, 0] * np.nan
    ),
    "control step 0, row 0: a reward is not finite in float32: the term 'near' is 1e": near(
        lambda s: np.full(len(s.qpos), 1e39)
    ),
    r"healthy\(s\) must be numbers of shape \(8,\), not of shape \(8, 1\)": {"healthy": lambda s: s.qpos < 3},
    r"healthy\(s\) must be numbers of shape \(8,\), not of shape \(\)": {"healthy": lambda s: True},
    r"healthy\(s\) must be true or false, or 0 or 1, not 2": {"healthy": lambda s: np.full(len(s.qpos), 2)},
    r"position\(s\) must be numbers of shape \(8,\), not of shape \(8, 1\)": {"position": lambda s: s.qpos},
    r"side\(s\) must be numbers of shape \(8,\), not None": {"side": lambda s: None},
    r"total\(terms\) must be numbers of shape \(8,\), not of shape \(2, 8\)": {"total": np.stack},
    r"total\(terms\) must add the terms up": {"total": lambda terms: terms[0] * terms[1]},
    r"the term 'near' must be numbers of shape \(8,\), not masked: 8 are hidden": near(
        lambda s: np.ma.masked_less(s.qpos[:, 0], 9)
    ),
    r"draw\(generator, qpos, qvel\) must return \(qpos, qvel\), not a NoneType": {"draw": lambda *_: None},
    r"qpos of draw\(.*\) must be numbers of shape \(1,\), not of shape \(\)": {"draw": lambda g, q, v: (q[0], v)},
    "two resets with the same seed differ: draw from the generator": {"draw": no_generator},
    r"qvel of invert\(.*\) must be numbers of shape \(8, 1\), not of shape \(8,\)": {
        "invert": lambda obs, nq, nv: (obs[:, :1], obs[:, 1])
    },
    r"invert\(obs, nq, nv\) is not the state that observe\(s\) shows": {
        "invert": lambda obs, nq, nv: (obs[:, 1:], obs[:, :1])
    },
    r"show\(model\) must name the 2 columns of observe\(s\), not 1": {"show": names.positions},
    "its fields or bodies: KeyError": {"bodies": ("torso",)},
    "'slider': episode_steps is a whole number above 0, not 0.5": {"episode_steps": 0.5},
    "'slider': episode_steps is a whole number above 0, not True": {"episode_steps": True},
    "'slider': frame_skip is a whole number above 0, not 0": {"frame_skip": 0},
    "'slider': frame_skip is a whole number above 0, not None": {"frame_skip": None},
    "terms must be a dict of names and their functions, at least one": {"terms": {}},
    "'slider': terms must be a dict of names": {"terms": [lambda s: s.qpos[:, 0]]},
    "a term cannot be called 'action'": {"terms": {"action": lambda s: s.qvel[:, 0]}},
    "a term cannot be called 'velocity'": {
        "terms": {"forward": lambda s: s.velocity, "velocity": lambda s: -np.square(s.qvel[:, 0])}
    },
    r"observe\(s\) returns no columns": {"observe": lambda s: s.qpos[:, :0]},
    "a function writes into s.model, which all rows share": near(
        lambda s: np.multiply(s.model.body_mass, 2, out=s.model.body_mass)[0] * s.qpos[:, 0]
    ),
    r"healthy\(s\) reads s.velocity, which is not there": {"healthy": lambda s: s.velocity < 9},
    "slider does not compile: Error: unknown": {"actuator": '<motor joint="rial" ctrlrange="-1 1"/>'},
    "slider does not compile: XML Error": {"actuator": '<moter joint="rail" ctrlrange="-1 1"/>'},
    "its action push goes from 0 to 0, .*; give its actuator a ctrlrange": {
        "actuator": '<motor name="push" joint="rail"/>'
    },
    "unbounded action box: rail goes from -1 to 1e.30; give": {"actuator": '<motor joint="rail" ctrlrange="-1 1e30"/>'},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_function_is_one_line_when_the_domain_is_made(slider, message):
    with pytest.raises(RequestError, match=message) as caught:
        slider(**WRONG[message])
    assert "slider" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["action", "qvel", "model"])
def test_a_body_is_not_taken_for_something_else(name, slider, monkeypatch):
    slider()
    file = Path(ROBOTS["slider"].xml)
    file.write_text(file.read_text().replace('name="block"', f'name="{name}"'))
    monkeypatch.setitem(ROBOTS, "slider", replace(ROBOTS["slider"], bodies=(name,)))
    with pytest.raises(
        RequestError, match=f"'slider': its fields or bodies: .*s.{name} is something else than the body"
    ):
        domain("slider")


def test_a_task_does_not_take_the_place_of_a_term_of_the_same_name(slider):
    slider(terms={"forward": forward(1.0), "speed": lambda s: -np.square(s.qvel[:, 0])})
    with pytest.raises(RequestError, match="a task of slider cannot pay for 'speed', which its own task has: rename"):
        domain("slider+run")
    assert domain("slider+stand").reward_terms == ("speed", "still")


def test_a_row_goes_by_its_own_name(slider, monkeypatch):
    slider()
    for row, seen in ((ROBOTS["slider"], "the name 'slider'"), (vars(ROBOTS["slider"]), "a dict")):
        monkeypatch.setitem(ROBOTS, "copied", row)
        with pytest.raises(RequestError, match=f"row 'copied' of ROBOTS must be a Robot of that name, not {seen}"):
            domain("copied")
    monkeypatch.setitem(ROBOTS, "copied", replace(ROBOTS["slider"], name="copied", xml="/no/such.xml"))
    with pytest.raises(RequestError, match=r"^copied does not compile: .*'/no/such.xml'$"):
        domain("copied")


@pytest.mark.parametrize("remembers", ['dyntype="filter" dynprm="0.5"', 'delay="0.02" nsample="5"', ""])
def test_what_an_actuator_remembers_is_in_no_observation(slider, remembers):
    made = slider(f'<general name="push" joint="rail" {remembers} gainprm="5" ctrlrange="-1 1"/>')
    walk, put = made.simulate(1, 0), made.simulate(1, 1)
    for _ in range(9):
        t = walk.step(np.ones((1, 1)))
    put.put(t.next_obs)
    same = np.allclose(walk.step(np.zeros((1, 1))).next_obs, put.step(np.zeros((1, 1))).next_obs, atol=1e-5)
    assert made.invertible == same == (not remembers)


def test_what_one_function_calls_something_else_is_nobody_elses(slider):
    terms = {"near": lambda s: rebound(s, "action", 0.0), "fast": lambda s: s.action[:, 0]}
    for t, _ in walk(slider(terms=terms), steps=3):
        assert np.array_equal(t[-2], t[1][:, 0]) and np.array_equal(t[-1], t[1][:, 0])


def test_a_reset_knows_nothing_of_the_step_before(slider):
    def observe(s):
        return np.stack([s.qpos[:, 0], getattr(s, "velocity", np.zeros(len(s.qpos)))], axis=1)

    simulation = slider(observe=observe, episode_steps=2).simulate(1, 0)
    for _ in range(2):
        t = simulation.step(np.ones((1, 1)))
    assert t.next_obs[0, 1] > 0 and simulation.obs[0, 1] == 0


def test_an_actuator_is_chosen_by_its_name_whatever_is_in_it(slider):
    slider('<motor name="push[0]" joint="rail" gear="5" ctrlrange="-1 1"/>')
    assert domain("slider:gear(push[0])=2").model.actuator_gear[0, 0] == 10


def test_what_breaks_later_is_a_broken_run(slider):
    simulation = slider(terms={"near": lambda s: s.qpos[:, 0] if s.qvel[0, 0] < 1 else None}).simulate(1, 0)
    with pytest.raises(BrokenRun, match=r"slider, control step \d+: the term 'near' must be .*, not None"):
        for _ in range(500):
            simulation.step(np.ones((1, 1)))


def test_a_reset_that_is_not_finite_is_named(slider):
    draws = iter([0.0] * 16 + [0.5, np.nan])
    simulation = slider(draw=lambda rng, qpos, qvel: (qpos + next(draws), qvel), episode_steps=3).simulate(1, 0)
    with pytest.raises(
        BrokenRun, match=r"slider, reset after control step 2, row 0: a drawn state is not finite: qpos\[0\] is nan"
    ):
        for _ in range(3):
            simulation.step(np.zeros((1, 1)))


def test_what_is_tried_is_what_a_user_brought(slider, monkeypatch):
    """The package's own robots and tasks are named without a simulation, and a copy knows its size without one."""
    made, other = slider(), replace(ROBOTS["hopper"], episode_steps=9)
    again = pickle.loads(pickle.dumps(made))
    simulated = []
    monkeypatch.setattr(
        MujocoSimulation, "__init__", lambda self, domain, *_, **__: simulated.append(domain.name) or 1 / 0
    )
    assert domain("ant+goal(x=1,y=2)+terms(control=0):gravity=0.5").spaces.obs == 107
    assert again.spaces.obs == pickle.loads(pickle.dumps(made)).spaces.obs == 2
    assert domain("halfcheetah@mirrored").spaces.obs == 17 and not simulated
    monkeypatch.setitem(ROBOTS, "hopper", other)
    for id in ("hopper", "slider", "halfcheetah+tests.domains.made:ahead"):
        with pytest.raises(ZeroDivisionError):
            domain(id)
        assert simulated.pop() == id
