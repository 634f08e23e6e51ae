"""What no parameter describes, but motors could have done, is learned as a rule of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import transreward as tr
from transreward.cli import main
from transreward.domains.mujoco import MujocoDomain
from transreward.identify import motors
from transreward.identify.fit import Fit
from transreward.identify.identified import identifiable, posed
from transreward.identify.motors import _regressed
from transreward.preflight.identify import walked


def test_the_weights_of_a_linear_world_are_found():
    random, n = np.random.default_rng(0), 400
    slopes, features, weight = (random.standard_normal(x) for x in ((n, 5, 2), (n, 2, 3), (2, 3)))
    rest = -np.einsum("nej,njf,jf->ne", slopes, features, weight)
    assert np.allclose(_regressed(rest, slopes, features), weight, atol=1e-3)
    noise = 0.5 * random.standard_normal(rest.shape)
    assert np.abs(_regressed(rest + noise, slopes, features) - weight).max() < 0.2


def test_a_rule_reads_the_command_before_the_one_that_acts_however_late_that_is():
    robot = identifiable("reacher:delay=3")
    told = walked(robot, robot, None, 120, 0)
    simulator = posed(robot, told).simulator
    now, before = simulator.inputs(simulator.family.base, told)[:2]
    follows = np.flatnonzero(told.follows)
    assert np.ptp(now) > 0 and np.array_equal(before[follows], now[follows - 1])


def beside(monkeypatch, clearly, alone, both):
    """Which of the fit, the rule alone and both is taken; each has a loss and an error ten steps ahead, the fit 1."""
    fit, *others = (Fit(np.full(1, i), (0,), 2.0, loss) for i, loss in enumerate((1.0, alone[0], both[0])))
    errors = (1.0, alone[1], both[1])
    monkeypatch.setattr(motors, "ahead", lambda _, values, *__: errors[values[0]])
    ruled = motors.Ruled(None, None)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(motors.Ruled, "_both", lambda *_: others[1])
    ruled.__dict__["alone"] = others[0]
    return ("fit", "alone", "both")[ruled.beside(fit, clearly).values[0]]


def test_a_rule_is_taken_by_both_errors(monkeypatch):
    assert beside(monkeypatch, True, (0.5, 0.8), (0.48, 0.8)) == "alone"  # nearly as good without the parameters
    assert beside(monkeypatch, True, (0.5, 1.1), (0.48, 0.9)) == "both"  # which alone leads astray ten steps ahead
    assert beside(monkeypatch, True, (0.9, 0.5), (0.2, 0.9)) == "both"  # clear one step ahead, if not worse further
    assert beside(monkeypatch, True, (0.9, 0.8), (0.9, 0.8)) == "fit"  # as noise in velocities would do it
    assert beside(monkeypatch, False, (0.85, 0.99), (0.84, 0.98)) == "alone"
    assert beside(monkeypatch, False, (0.95, 0.9), (0.95, 0.9)) == "fit"


SLOW = ("halfcheetah", "halfcheetah:gravity=2,friction=0.3")


class Tired(MujocoDomain):
    """Half-cheetah whose motors do a third where their command is negative, and less the faster their joint turns."""

    def simulate(self, n, seed=0, threads=0):
        simulation = super().simulate(n, seed, threads)
        step, driven = simulation.step, self.model.jnt_dofadr[self.model.actuator_trnid[:, 0]]

        def weaker(action):
            share = np.where(action < 0, 1 / 3, 1.0) / (1 + np.abs(simulation.qvel[:, driven]) / 10)
            return step(action * share)

        simulation.step = weaker
        return simulation


@pytest.mark.slow
def test_motors_that_no_parameter_describes_are_learned(tmp_path, monkeypatch, capsys):
    from transreward.domains.robots import ROBOTS

    target = Tired(ROBOTS["halfcheetah"])
    found = tr.identify("halfcheetah", target)
    assert found.motors is not None and found.explained > 0.9
    before, after = found.ten_step_error
    assert after < 0.5 * before and "a rule of what the motors do" in str(found)

    kept = found.keeping(tmp_path / "motors.npz")
    assert str(kept).splitlines()[-1] == f"id: {kept.id}" and kept.as_json()["motors"] == str(tmp_path / "motors.npz")
    learned, plain = tr.domain(kept.id), tr.domain("halfcheetah")
    action = np.random.default_rng(1).uniform(-1, 1, (8, 6))
    truth, near, far = (d.simulate(8, 5, 1).step(action).next_obs for d in (target, learned, plain))
    assert np.abs(near - truth).mean() < 0.35 * np.abs(far - truth).mean()

    monkeypatch.setattr("transreward.preflight.identify.identify", lambda *_, **__: found)
    main(["identify", "halfcheetah", "halfcheetah"])
    assert "once --motors FILE has kept" in capsys.readouterr().out
    main(["identify", "halfcheetah", "halfcheetah", "--motors", str(tmp_path / "b.npz"), "--out", str(tmp_path / "o")])
    told = json.loads((tmp_path / "o").read_text())
    assert told["id"] in capsys.readouterr().out and tr.domain(told["id"]).physics.motors == found.motors


@pytest.mark.parametrize(
    "target",
    ["halfcheetah:gear=0.7", *(pytest.param(t, marks=pytest.mark.slow) for t in SLOW)],
)
def test_no_rule_is_learned_where_parameters_explain_all(target):
    found = tr.identify("halfcheetah", target)
    assert found.motors is None and found.as_json()["motors"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "target",
    [
        "halfcheetah:noise=0.2",
        *(pytest.param(f"{robot}:sensor_noise=0.01", marks=pytest.mark.long) for robot in ("halfcheetah", "hopper")),
    ],
)
def test_noise_is_no_rule(target):
    assert tr.identify(target.partition(":")[0], target).motors is None
