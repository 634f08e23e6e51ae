"""Rows of the table as their users write them: what a robot's functions return is copied and checked."""

from __future__ import annotations

import numpy as np
import pytest

from transreward.domains import names
from transreward.domains.domain import domain
from transreward.domains.robots import ROBOTS, Robot, of_state
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
            "episode_steps": 40,
        }
        monkeypatch.setitem(ROBOTS, "slider", Robot("slider", "", "", str(file), 5, **{**row, **given}))
        return domain("slider")

    return make


def walk(where, steps=60):
    simulation, taken = where.simulate(3, 0), []
    for action in np.random.default_rng(0).uniform(-1, 1, (steps, 3, 1)):
        t = simulation.step(action)
        terms = simulation.terms
        taken.append(((*t, *terms.values()), [np.array(x) for x in (*t, *terms.values())]))
    return taken


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
    r"draw\(generator, qpos, qvel\) must return \(qpos, qvel\), not a NoneType": {"draw": lambda *_: None},
    r"qpos of draw\(.*\) must be numbers of shape \(1,\), not of shape \(\)": {"draw": lambda g, q, v: (q[0], v)},
    "a reset with the same seed is another: draw from the generator": {"draw": no_generator},
    r"qvel of invert\(.*\) must be numbers of shape \(8, 1\), not of shape \(8,\)": {
        "invert": lambda obs, nq, nv: (obs[:, :1], obs[:, 1])
    },
    r"invert\(obs, nq, nv\) is not the state that observe\(s\) shows": {
        "invert": lambda obs, nq, nv: (obs[:, 1:], obs[:, :1])
    },
    r"show\(model\) must name the 2 columns of observe\(s\), not 1": {"show": names.positions},
    "its fields or bodies: KeyError": {"bodies": ("torso",)},
    "episode_steps is a whole number above 0, not 0.5": {"episode_steps": 0.5},
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
