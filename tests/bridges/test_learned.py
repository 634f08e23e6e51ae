"""A map that is found in steps: of robots against themselves it is known, so that it can be compared."""

from __future__ import annotations

import re

import numpy as np
import pytest
from crossed import SMALL

import transreward as tr
from transreward.bridges.learned import matched, modelled
from transreward.types import RequestError, Transition

pytestmark = pytest.mark.usefixtures("hurry")


def signed(size, rng):
    return np.eye(size)[rng.permutation(size)] * rng.choice([-1.0, 1.0], size)


def made(rng, obs, action, n=3000):
    """Two sets of steps of one random linear robot, [n] each."""
    drift, push, pay = (rng.normal(size=s) for s in ((obs, obs), (obs, action), (obs + action,)))
    drift *= 0.2
    found = []
    for _ in range(2):
        s, a = rng.normal(size=(n, obs)) ** 3 + 0.5, rng.uniform(-1, 1, (n, action))
        flags = np.zeros(n, bool)
        reward, after = np.concatenate([s, a], axis=1) @ pay, s + s @ drift.T + a @ push.T
        found.append(Transition(s, a, reward, after, flags, flags))
    return found


def model(t):
    return modelled("these steps", t, [f"m{i}" for i in range(t.action.shape[1])])


@pytest.mark.parametrize("seed", range(3))
def test_a_permuted_robot_with_turned_signs_is_found_in_itself(seed):
    rng = np.random.default_rng(seed)
    one, other = made(rng, 7, 3)
    columns, motors = signed(7, rng), signed(3, rng)
    seen = other._replace(
        obs=other.obs @ columns.T, next_obs=other.next_obs @ columns.T, action=other.action @ motors.T
    )
    found = matched(model(one), model(seen))
    np.testing.assert_array_equal(found.columns, columns)
    np.testing.assert_array_equal(found.motors, motors)


def test_columns_of_other_units_and_those_that_never_vary_are_no_pairs():
    one, other = made(np.random.default_rng(0), 5, 2)
    able = np.eye(5, dtype=bool)[::-1]
    assert not matched(model(one), model(other), able).columns[~able].any()
    still = other._replace(obs=other.obs * [1, 1, 0, 1, 1], next_obs=other.next_obs * [1, 1, 0, 1, 1])
    found = matched(model(one), model(still)).columns
    assert not found[2].any() and np.abs(found).sum(axis=0).max() == 1


def log_of(id, path, n=2000, seed=1):
    """The file of a target's random steps."""
    domain, rng = tr.domain(id), np.random.default_rng(seed)
    walk = domain.simulate(1, seed)
    steps = [walk.step(rng.uniform(domain.spaces.low, domain.spaces.high)[None]) for _ in range(n)]
    t = Transition(*(np.concatenate(part) for part in zip(*steps, strict=True)))
    names = ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")
    np.savez(path, **dict(zip(names, t, strict=True)))
    return str(path)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return log_of("halfcheetah:legs=3", tmp_path_factory.mktemp("steps") / "legs.npz")


def test_what_a_second_hind_leg_leaves_is_found_without_names(log):
    named = tr.bridge("halfcheetah", "halfcheetah:legs=3").crossing
    found = tr.bridge("halfcheetah", "halfcheetah:legs=3", f"learned({log})")
    ends = ("", " angle", " velocity", "2", "2 angle", "2 velocity")
    hind = {f"b{part}{end}" for part in ("thigh", "shin", "foot") for end in ends}
    for entries, one, other in (
        (found.entries, found.crossing.there.obs, named.there.obs),
        (found.action_entries, found.crossing.there.action, named.there.action),
    ):
        apart = [e.name for e, a, b in zip(entries, one.matrix, other.matrix, strict=True) if not np.allclose(a, b)]
        assert set(apart) <= hind  # one hind leg is as the other
    assert found.said().startswith(f"bridge 'learned({log})': 6 of 9 motors of halfcheetah:legs=3 do as 6 of 6")
    assert tr.domain(found.name).crossing is not None


@pytest.mark.slow
def test_an_agent_crosses_a_map_that_was_learned(log, tmp_path):
    how = f"learned({log})"
    found = tr.transfer("halfcheetah", "halfcheetah:legs=3", "fine_tune", bridge=how, out=tmp_path / "run", **SMALL)
    assert found.config["source"] == f"halfcheetah@{how}(halfcheetah:legs=3)"
    assert tr.load(tmp_path / "run").config == found.config


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("learned(no.npz)", "no.npz"),
        ("clone(learned(LOG))", "has no parts that could be cloned or shuffled"),
        ("learned(FEW)", "are too few to learn from"),
        ("learned(HOPPER)", "has steps of 11 observations and 3 actions, and halfcheetah:legs=3 has 23 and 9"),
        ("learned", "name their file, such as learned(steps.npz)"),
    ],
)
def test_refused_to_learn(how, words, log, tmp_path):
    files = {"LOG": log, "FEW": "halfcheetah:legs=3", "HOPPER": "hopper"}
    for word, id in files.items():
        if word in how:
            how = how.replace(word, id if word == "LOG" else log_of(id, tmp_path / "steps.npz", 300))
    with pytest.raises(RequestError, match=re.escape(words)) as problem:
        tr.bridge("halfcheetah", "halfcheetah:legs=3", how)
    assert "\n" not in str(problem.value)


def test_a_log_of_another_rate_is_refused_to_learn_from(log, tmp_path):
    """What a column does in one of its steps is what it does in several of the robot's, or in a part of one."""
    np.savez(tmp_path / "slow.npz", **np.load(log), rate=np.array(5.0))
    with pytest.raises(RequestError, match=r"has 5 steps a second, and 'halfcheetah:legs=3' has 20"):
        tr.bridge("halfcheetah", "halfcheetah:legs=3", f"learned({tmp_path / 'slow.npz'})")


def test_robots_that_move_otherwise_are_refused(tmp_path):
    steps = log_of("walker2d", tmp_path / "steps.npz")
    with pytest.raises(
        RequestError, match=r"hopper moves too unlike walker2d, of which the best matching explains \d+%"
    ):
        tr.bridge("hopper", "walker2d", f"learned({steps})")


def test_a_motor_that_is_held_shows_nothing():
    one, _ = made(np.random.default_rng(0), 4, 2)
    with pytest.raises(RequestError, match="the motor 'm1' always does the same"):
        model(one._replace(action=one.action * [1, 0]))
