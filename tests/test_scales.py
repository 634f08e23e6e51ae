"""One scale for the rewards of several tasks, while their agent is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import bits

import transreward as tr
from transreward import replay as rp
from transreward.engine.scales import MOST, Scales, scaled, seen
from transreward.runs import store
from transreward.types import Pair, Spaces, Steps, Transition

SPACES = Spaces(2, 1, -np.ones(1, np.float32), np.ones(1, np.float32))
SEEDS, STEPS, ROBOTS, TASKS, DISCOUNT = 2, 60, 4, 3, 0.9
LEARNERS = {name: tr.learner(name, **settings) for name, settings in bits.LEARNERS.items()}
SETTINGS = {f"loop.{name}": value for name, value in bits.LOOP.items()}
FAMILY = "hopper~hopper+terms(forward=100,survive=100,control=100)"


def steps(seed=0, n=STEPS):
    """Steps whose rewards are of another size in each task, with one more term beside it."""
    rng, shape = np.random.default_rng(seed), (SEEDS, n, ROBOTS)
    task, ended = rng.integers(TASKS, size=shape), rng.random(shape) < 0.1
    t = Transition(
        obs=np.zeros((*shape, 2), np.float32),
        action=np.zeros((*shape, 1), np.float32),
        reward=(rng.normal(1, 1, shape) * np.array([1.0, 30.0, 0.01])[task]).astype(np.float32),
        next_obs=np.zeros((*shape, 2), np.float32),
        terminated=ended.astype(np.float32),
        truncated=np.zeros(shape, np.float32),
    )
    terms = np.stack([rng.normal(size=shape), task], axis=-1).astype(np.float32)
    return Steps(t, terms, np.zeros(shape, np.int32))


def by_hand(every):
    """[seeds, tasks]: the scales after all these steps."""
    returns = [[[] for _ in range(TASKS)] for _ in range(SEEDS)]
    total = np.zeros((SEEDS, ROBOTS))
    for part in every:
        for i in range(part.domain.shape[1]):
            total = DISCOUNT * total + part.transition.reward[:, i]
            for seed in range(SEEDS):
                for robot in range(ROBOTS):
                    returns[seed][int(part.terms[seed, i, robot, -1])].append(total[seed, robot])
            total = np.where(part.transition.terminated[:, i], 0.0, total)
    return np.array([[max(np.std(x), np.abs(x).max() / MOST) for x in of_seed] for of_seed in returns])


def test_a_scale_is_the_spread_of_a_task_s_returns():
    scales, every = Scales.start(SEEDS, ROBOTS, TASKS), [steps(0), steps(1, 7), steps(2)]
    assert (np.asarray(scales.scale) == 1).all()
    for k, part in enumerate(every):
        scales = seen(scales, part, DISCOUNT)
        assert np.asarray(scales.scale) == pytest.approx(by_hand(every[: k + 1]), rel=1e-4)
    constant = steps(3)
    constant = constant._replace(
        transition=constant.transition._replace(reward=np.ones_like(constant.domain, np.float32))
    )
    assert (np.asarray(seen(Scales.start(SEEDS, ROBOTS, TASKS), constant, 0.0).scale) == np.float32(1 / MOST)).all()


def test_rewards_are_divided_by_their_task_s():
    scales, some = seen(Scales.start(SEEDS, ROBOTS, TASKS), steps(), DISCOUNT), steps(1)
    scale, task = np.asarray(scales.scale), some.terms[..., -1].astype(int)
    wanted = some.transition.reward / np.stack([scale[seed][task[seed]] for seed in range(SEEDS)])
    assert np.array_equal(scaled(scales, some).transition.reward, wanted)
    replay = rp.of(some, SPACES)
    one = jax.tree.map(lambda x: x[0] if np.ndim(x) == 4 else x, replay)
    raw, paid = (
        rp.windows(Pair(one, None), 0.0, SPACES, scale)(jax.random.key(0), 32, 3).steps.source
        for scale in (None, scales.scale[0])
    )
    ratio = np.asarray(raw.reward / paid.reward)
    assert np.unique(ratio.round(3)).size == TASKS and np.array_equal(raw.obs, paid.obs)
    assert np.sort(np.unique(ratio.round(3))) == pytest.approx(np.sort(scale[0]), rel=2e-2, abs=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("name", LEARNERS)
def test_what_is_learned_is_scaled_and_what_is_said_is_raw(name, tmp_path):
    found = {}
    for scale in (True, False):
        place = tmp_path / str(scale)
        tr.transfer(
            FAMILY, "hopper", "universal", learner=LEARNERS[name], out=place,
            settings={**SETTINGS, "loop.eval_episodes": 16, "randomise.scale": scale}, **bits.REQUEST,
        )  # fmt: skip
        rows = [row for row in store.read_lines(place / "metrics.jsonl") if "source_tasks" in row]
        assert rows and all(set(row["source_tasks"]) <= set(FAMILY.split("~")) for row in rows)
        both = [row["source_tasks"] for row in rows if len(row["source_tasks"]) == 2]
        assert all(each["hopper"] * 20 < each[FAMILY.split("~")[1]] for each in both) and both
        found[scale] = store.load_arrays(place / "source" / "agent.safetensors")
    assert any(
        not np.array_equal(found[True][key], found[False][key])
        for key in found[True]
        if "networks" in key or "actor" in key
    )
