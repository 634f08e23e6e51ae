"""The weights of a task's terms, told from its rewards."""

from __future__ import annotations

import numpy as np
import pytest

import transreward as tr
from tests.identify.test_pay import walked
from transreward.domains.domain import table_robot
from transreward.domains.weighed import Span, task_weights
from transreward.identify.weights import Known, inferred, weights_from

TRUE = np.array([0.7, -1.3, 2.0])
FAMILY = Known(np.zeros(3), np.full(3, -3.0), np.full(3, 3.0))


def terms(n=1000, seed=0):
    """Three terms of very different size, whose steps resemble those before them."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=(n, 3)), axis=0) * 0.1 + rng.normal(size=(n, 3))
    return walk * np.array([1.0, 100.0, 0.01])


def test_weights_are_recovered_without_noise():
    x = terms()
    found = weights_from(x, x @ TRUE, FAMILY)
    assert found.weights == pytest.approx(TRUE, rel=1e-6) and found.enough and found.explained == pytest.approx(1.0)
    assert found.told.all() and (found.half < 1e-6).all()
    offset = weights_from(x, x @ TRUE + 5.0, FAMILY)
    assert offset.weights == pytest.approx(TRUE, rel=1e-6) and offset.explained == pytest.approx(1.0)
    alive = np.concatenate([x, np.ones((len(x), 1))], axis=1)  # a term that is the constant itself
    assert weights_from(
        alive, x @ TRUE + 5.0, Known(np.zeros(4), np.full(4, -9.0), np.full(4, 9.0))
    ).weights == pytest.approx([*TRUE, 5.0], rel=1e-6)


def test_intervals_hold_the_weights_under_noise():
    held = []
    for seed in range(60):
        x, rng = terms(400, seed), np.random.default_rng([seed, 1])
        noise = np.convolve(rng.normal(size=420), np.ones(5) / np.sqrt(5), "valid")[:400]  # which lasts some steps
        reward = x @ TRUE
        found = weights_from(x, reward + 0.2 * reward.std() * noise, FAMILY)
        assert found.enough
        held.append(np.abs(found.weights - TRUE) < found.half)
    assert 0.88 < np.mean(held) < 0.995


def test_what_is_no_combination_is_refused():
    x, rng = terms(), np.random.default_rng(3)
    for reward in (rng.normal(size=1000), np.zeros(1000), np.sin(20 * x[:, 0])):
        found = weights_from(x, reward, FAMILY)
        assert not found.enough and found.explained < 0.5
        said = found.words(["a", "b", "c"])
        assert f"the other {1 - found.explained:.1%} nothing does: the policy is told nothing of its task" in said


def test_what_the_steps_do_not_show_stays_in_the_middle():
    x = terms()
    x[:, 2] = 3.0 * x[:, 0]  # the same, as far as these steps go
    found = weights_from(x, x @ TRUE, FAMILY._replace(usual=np.array([0.0, 0.0, 0.5])))
    assert found.told.tolist() == [False, True, False] and found.weights[1] == pytest.approx(TRUE[1])
    assert x @ found.weights == pytest.approx(x @ TRUE)
    assert "a, c, which the steps do not tell apart" in found.words(["a", "b", "c"])
    assert found.as_json(["a", "b", "c"])["weights"]["a"]["half"] is None


def test_a_reward_in_another_unit_is_told_within_the_family():
    x = terms()
    found = weights_from(x, 10 * x @ np.array([3.0, 0.0, 0.0]), FAMILY)
    assert found.weights == pytest.approx([30.0, 0.0, 0.0], abs=1e-6) and found.explained == pytest.approx(1.0)
    assert not weights_from(x, -x @ TRUE, Known(TRUE, TRUE, TRUE)).enough  # of which only the opposite could be told


def test_weights_that_no_task_has_explain_nothing():
    """Terms that hardly move fit anything that hardly moves."""
    x, rng = terms(400), np.random.default_rng(5)
    reward = np.cos(x[:, 0]) + 0.3 * np.sin(3 * x[:, 0])
    still = x * np.array([1e-4, 1e-4, 1e-4]) + 1e-4 * np.outer(reward, [1.0, 30.0, 0.01])
    assert not weights_from(still, reward, FAMILY).enough
    blurred = np.concatenate([x[:, :1], 1e-6 * rng.normal(size=(400, 1)), x[:, 2:]], axis=1)
    found = weights_from(blurred, blurred[:, 0] + 0.05 * rng.normal(size=400), FAMILY)
    assert found.enough and found.told.tolist() == [True, False, True] and found.weights[1] == 0.0


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("halfcheetah+backward", {"forward": -1, "speed(2)": 0, "still": 0, "control": 1}),
        ("halfcheetah+run(speed=2)", {"speed(2)": 1, "control": 1}),
        ("halfcheetah+stand", {"still": 1}),
    ],
)
def test_a_robot_s_task_is_told_from_its_steps(target, wanted):
    ids = ("halfcheetah", "halfcheetah+backward", "halfcheetah+run(speed=2)", "halfcheetah+stand")
    span = Span.of([task_weights(tr.domain(x)) for x in ids])
    steps = walked(tr.domain(target))
    robot = table_robot(tr.domain("halfcheetah"))
    for found in inferred(robot, span, [0, 1], steps):
        weights = dict(zip(map(str, span.parts), found.weights, strict=True))
        assert found.enough and found.explained > 0.999
        assert {name: weights[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)


def test_another_s_reward_is_refused():
    span = Span.of([task_weights(tr.domain(x)) for x in ("hopper", "hopper+stand")])
    steps = walked(tr.domain("hopper"))
    strange = steps._replace(reward=np.sin(5 * steps.obs[..., 3]))
    for found in inferred(table_robot(tr.domain("hopper")), span, [0, 1], strange):
        assert not found.enough
