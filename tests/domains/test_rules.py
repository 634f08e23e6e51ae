"""A rule of the motors does what a robot does whose motors are known to do the same."""

from __future__ import annotations

import numpy as np
import pytest

import transreward as tr
from transreward.domains.shifts.rules import INPUTS, Rule, inputs
from transreward.types import RequestError

NOW, BEFORE, POSITION, VELOCITY = range(INPUTS)


def rule(motors=6, **weights):
    """Linear in the inputs that are named, the same for all motors."""
    weight = np.zeros((motors, 1 + INPUTS + 2))
    for name, x in weights.items():
        weight[:, 0 if name == "constant" else 1 + globals()[name]] = x
    return Rule(np.zeros((INPUTS, motors)), np.ones((INPUTS, motors)), np.zeros((INPUTS, 2)), np.zeros(2), weight)


def walked(id, steps=40, change=lambda now, before: now, seed=3):
    simulation, random, before, seen = tr.domain(id).simulate(4, seed, 1), np.random.default_rng(0), 0.0, []
    for _ in range(steps):
        action = random.uniform(-1, 1, (4, 6))
        seen.append(simulation.step(change(action, before)).next_obs)
        before = action
    return np.stack(seen)


def at(rule, folder, name="motors.npz"):
    return f"halfcheetah:motors={rule.save(folder / name)}"


def test_weaker_commands_are_weaker_motors(tmp_path):
    assert np.allclose(walked(at(rule(NOW=-0.3), tmp_path)), walked("halfcheetah:gear=0.7"), atol=1e-9)


def test_a_constant_is_a_bias_and_comes_before_a_dead_zone(tmp_path):
    constant = rule(constant=0.2)
    assert np.allclose(walked(at(constant, tmp_path)), walked("halfcheetah:bias=0.2"), atol=1e-9)
    after = walked("halfcheetah:deadzone=0.1", change=lambda now, _: np.clip(now + 0.2, -1, 1))
    assert np.allclose(walked(f"{at(constant, tmp_path)},deadzone=0.1"), after, atol=1e-9)


def test_what_is_lost_to_speed_is_damping_of_the_motor(tmp_path):
    """An explicit torque against the velocity at the beginning of a control step."""
    domain, plain = tr.domain(at(rule(VELOCITY=-0.01), tmp_path)), tr.domain("halfcheetah")
    one, other = domain.simulate(4, 0, 1), plain.simulate(4, 0, 1)
    random = np.random.default_rng(0)
    for _ in range(30):
        action = random.uniform(-0.5, 0.5, (4, 6))
        velocity = other.qvel[:, plain.model.jnt_dofadr[plain.model.actuator_trnid[:, 0]]].clip(-4, 4)
        assert np.allclose(one.step(action).next_obs, other.step(action - 0.01 * velocity).next_obs, atol=1e-9)


def test_it_knows_the_command_before_and_forgets_it_when_an_episode_starts(tmp_path):
    lag = rule(NOW=-0.4, BEFORE=0.4)
    assert np.allclose(
        walked(at(lag, tmp_path)),
        walked("halfcheetah", change=lambda now, before: 0.6 * now + 0.4 * before),
        atol=1e-9,
    )
    simulation = tr.domain(at(lag, tmp_path)).simulate(2, 0, 1)
    qpos, qvel = simulation.qpos, simulation.qvel
    first = simulation.step(np.ones((2, 6))).next_obs
    simulation.set_physics(qpos, qvel)
    assert np.array_equal(simulation.step(np.ones((2, 6))).next_obs, first)


def test_its_memory_is_in_the_state(tmp_path):
    simulation = tr.domain(at(rule(NOW=-0.4, BEFORE=0.4), tmp_path)).simulate(2, 0, 1)
    simulation.step(np.ones((2, 6)))
    state = simulation.get_state()
    then = simulation.step(-np.ones((2, 6))).next_obs
    simulation.step(np.ones((2, 6)))
    simulation.set_state(state)
    assert np.array_equal(simulation.step(-np.ones((2, 6))).next_obs, then)


def test_rows_have_the_rule_of_their_seed(tmp_path):
    from transreward.domains.robots import ROBOTS
    from transreward.domains.shifts import Shift
    from transreward.domains.varied import Varied

    both = Varied(ROBOTS["halfcheetah"], [(Shift("motors", rule(NOW=-0.3)),), ()])
    obs = both.simulate(4, [7, 8], 1).step(np.full((4, 6), 0.5)).next_obs
    weak = tr.domain("halfcheetah:gear=0.7").simulate(2, [7], 1).step(np.full((2, 6), 0.5)).next_obs
    plain = tr.domain("halfcheetah").simulate(2, [8], 1).step(np.full((2, 6), 0.5)).next_obs
    assert np.allclose(obs[:2], weak, atol=1e-9) and np.allclose(obs[2:], plain, atol=1e-9)


def test_a_simulator_with_a_rule_cannot_be_put_where_an_observation_was_made(tmp_path):
    assert not tr.domain(at(rule(NOW=-0.3), tmp_path)).invertible


def test_a_motor_that_drives_no_joint_knows_its_command_alone():
    model = tr.domain("halfcheetah").model
    kinds = np.array(model.actuator_trntype)
    names = ("actuator_trnid", "actuator_ctrlnum", "jnt_qposadr", "jnt_dofadr")
    told = type("Model", (), {n: getattr(model, n) for n in names})()
    told.actuator_trntype = np.where(np.arange(6) == 2, 3, kinds)  # a tendon
    x = inputs(told, np.ones((1, 6)), np.ones((1, 6)), np.full((1, model.nq), 2.0), np.full((1, model.nv), 3.0))
    assert x[POSITION, 0, 2] == 0 and x[VELOCITY, 0, 2] == 0 and x[POSITION, 0, 1] == 2 and x[VELOCITY, 0, 1] == 3


def test_a_saved_rule_is_the_same_and_its_id_is_an_id(tmp_path):
    one = rule(NOW=-0.3)
    kept = one.save(tmp_path / "a.npz")
    assert Rule.read(str(kept)) == one == kept and hash(one) == hash(kept) and one != rule(NOW=-0.2)
    assert str(one).startswith("learned-") and str(kept) == str(tmp_path / "a.npz")
    domain = tr.domain(at(one, tmp_path))
    assert tr.domain(domain.name).physics.motors == one


def test_what_is_no_rule_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", a=1)
    damaged = rule(NOW=np.nan).save(tmp_path / "nan.npz")
    for file in (tmp_path / "none.npz", tmp_path / "text.npz", tmp_path / "other.npz"):
        with pytest.raises(RequestError, match=r"is no file that `identify` wrote"):
            tr.domain(f"halfcheetah:motors={file}")
    with pytest.raises(RequestError, match="damaged"):
        tr.domain(f"halfcheetah:motors={damaged}")
    with pytest.raises(RequestError, match="of 6 motors, and the robot has 3"):
        tr.domain(f"hopper:motors={rule().save(tmp_path / 'six.npz')}")
    with pytest.raises(RequestError, match="has no value"):
        tr.domain("halfcheetah:motors=")
    with pytest.raises(RequestError, match="has the name of a file, not a number"):
        tr.domain("halfcheetah:motors=0..1")
    with pytest.raises(RequestError, match="motors that were learned already"):
        tr.identify(at(rule(NOW=-0.3), tmp_path), "halfcheetah")
