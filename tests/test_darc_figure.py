"""DARC's own illustrations (Eysenbach et al. 2021, arXiv:2006.13916, section 6.1), without a learner in between.

A gridworld whose target alone has a wall, and an archer who practises in the wind. The classifier is ours, trained on
steps of both domains through the compensation of the method; what it pays is then optimised exactly, by value iteration
or over a grid of angles, in the SOURCE. So a failure here is the compensation's and not a learner's.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from transreward.gaps.classifier import Classifier
from transreward.gates.chain import Chain
from transreward.gates.transforms import Clip
from transreward.methods import METHODS
from transreward.types import Pair, Spaces, Transition
from transreward.uses.compensation import Compensation
from transreward.uses.penalty import Penalty

DARC, UPDATES, BATCH = METHODS["darc"], 2000, Classifier().batch


@partial(jax.jit, static_argnums=(0, 1))
def fit(compensation, spaces, data, key):
    """The compensation's state after training on random rows of `data`, a Pair of transitions."""

    def update(state, key):
        picks = (
            jax.random.randint(k, (BATCH,), 0, len(d.reward)) for k, d in zip(jax.random.split(key), data, strict=True)
        )
        batches = Pair(*(jax.tree.map(lambda x, p=p: x[p], d) for d, p in zip(data, picks, strict=True)))
        return compensation.update(state, batches, key, done=1.0)[0], None

    return jax.lax.scan(update, compensation.init(key, spaces), jax.random.split(key, UPDATES))[0]


def transitions(obs, action, reward, next_obs):
    none = np.zeros(len(reward))
    return Transition(*(jnp.asarray(x, jnp.float32) for x in (obs, action, reward, next_obs, none, none)))


def paid(compensation, state, t):
    """The compensated rewards of source steps."""
    return np.asarray(compensation.adjust(state, Pair(t, t), done=1.0).source.reward)


# -- gridworld -----------------------------------------------------------------------------------------------------

SIZE, HORIZON = 7, 30
CELLS = np.array([(row, column) for row in range(SIZE) for column in range(SIZE)])
MOVES = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
START, GOAL = 3 * SIZE, 3 * SIZE + SIZE - 1  # the middle row's ends
WALL = {(row, 3) for row in range(1, 6)}  # across the middle, open at the top and at the bottom
GRID = Spaces(2, 2, -np.ones(2), np.ones(2))  # a cell's row and column; the move as a vector
# -1 a step until the goal, where the robot may stay at 0. Did the episode end there instead, every reward would be -1
# and the gate, which scales what it pays to the rewards' own spread, would pay nothing.
REWARD = np.where(np.arange(SIZE**2) == GOAL, 0.0, -1.0)  # of the cell entered
SOURCE_STEPS, TARGET_STEPS = 20_000, 2_000  # the paper's one target step in ten
RANDOM = 0.7  # share of random moves among the source policy's, in both domains


def successors(wall):
    """[cell, move] -> cell: a robot that bumps into something stays."""
    to = CELLS[:, None] + MOVES
    free = ((to >= 0) & (to < SIZE)).all(axis=-1) & ~np.array([[tuple(cell) in wall for cell in row] for row in to])
    return np.where(free, to[..., 0] * SIZE + to[..., 1], np.arange(SIZE**2)[:, None])


DOMAINS = Pair(successors(set()), successors(WALL))


def moves(domain, cell, move):
    """Steps of a domain as transitions."""
    after = domain[cell, move]
    return transitions(CELLS[cell], MOVES[move], REWARD[after], CELLS[after])


EVERY_STEP = moves(DOMAINS.source, *np.divmod(np.arange(SIZE**2 * 4), 4))


def plan(domain, reward):
    """The optimal move of each cell, by value iteration; reward is [cell, move]."""
    value = np.zeros(SIZE**2)
    for _ in range(500):
        q = reward + 0.97 * value[domain]
        value = q.max(axis=1)
    return q.argmax(axis=1)


def path(domain, policy):
    """The cells of an episode."""
    cells = [START]
    for _ in range(HORIZON):
        cells.append(domain[cells[-1], policy[cells[-1]]])
    return cells


def explore(domain, policy, steps, random):
    """Episodes of a policy that often moves at random."""
    moved = np.where(random.random(steps) < RANDOM, random.integers(0, 4, steps), -1)
    cells = np.zeros(steps, int)
    for i in range(steps):
        cells[i] = START if i % HORIZON == 0 else domain[cells[i - 1], moved[i - 1]]
        moved[i] = policy[cells[i]] if moved[i] < 0 else moved[i]
    return moves(domain, cells, moved)


PLAIN = plan(DOMAINS.source, REWARD[DOMAINS.source])
BEST = plan(DOMAINS.target, REWARD[DOMAINS.target])


@lru_cache
def trained(seed):
    """The state of the row `darc` after steps of both domains, which the source's optimum led."""
    random, steps = np.random.default_rng(seed), Pair(SOURCE_STEPS, TARGET_STEPS)
    data = Pair(*(explore(d, PLAIN, n, random) for d, n in zip(DOMAINS, steps, strict=True)))
    return fit(DARC.compensation(), GRID, data, jax.random.key(seed))


def compensated_plan(seed, row):
    """The source's optimum on what the row's compensation, gate and strength included, makes of its rewards."""
    return plan(DOMAINS.source, paid(row.compensation(), trained(seed), EVERY_STEP).reshape(SIZE**2, 4))


def through_a_gap(cells):
    """Whether a path crosses the wall's column only where the wall is open."""
    return all(row in (0, SIZE - 1) for row, column in CELLS[cells] if column == 3)


def test_the_plain_plan_goes_straight_and_is_stuck_at_the_wall():
    assert path(DOMAINS.source, PLAIN)[: SIZE + 1] == [*range(START, GOAL + 1), GOAL]
    assert path(DOMAINS.target, PLAIN)[2:] == [START + 2] * (HORIZON - 1)
    assert path(DOMAINS.target, BEST).index(GOAL) == 12 and through_a_gap(path(DOMAINS.target, BEST))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_the_compensated_plan_takes_the_detour_and_is_the_targets_optimum(seed):
    policy = compensated_plan(seed, DARC)
    taken = path(DOMAINS.target, policy)
    assert GOAL in taken and through_a_gap(taken)
    assert REWARD[taken].sum() == REWARD[path(DOMAINS.target, BEST)].sum() > REWARD[path(DOMAINS.target, PLAIN)].sum()
    assert taken == path(DOMAINS.source, policy)  # all that it does in the source, the target can do


def test_without_strength_the_plan_is_the_plain_one():
    assert np.array_equal(compensated_plan(0, replace(DARC, use=Penalty(strength=0.0))), PLAIN)


# -- archery -------------------------------------------------------------------------------------------------------

WIND = Pair((1.0, 1.0), (0.0, 0.3))  # mean and std of the drift: outdoors to practise, indoors to compete
RANGE = Spaces(1, 1, -2 * np.ones(1), 2 * np.ones(1))  # one state; the angle in degrees
ANGLES = np.linspace(-2, 2, 81)
ARROWS = norm.ppf((np.arange(1000) + 0.5) / 1000)  # per angle, evenly through the wind
# In nats, unscaled: an archer has but one step, and the identity below holds for r + (log-ratio) and nothing else.
NATS = Compensation(Classifier(), Penalty(), Chain((Clip(10.0),)))


def shots(angle, drift):
    """Arrows at a target 70 m away; the reward is minus how far from its centre they land."""
    angle, theta = np.asarray(angle)[:, None], np.deg2rad(angle)
    landing = 70 * np.sin(theta) + drift / np.cos(theta) ** 2
    return transitions(np.zeros_like(angle), angle, -np.abs(landing), landing[:, None])


def everywhere(wind):
    """Every angle under every wind, [angle x arrow]."""
    mean, std = wind
    return shots(np.repeat(ANGLES, len(ARROWS)), np.tile(mean + std * ARROWS, len(ANGLES)))


SHOTS = WIND._make(map(everywhere, WIND))
RAW = SHOTS.map(lambda t: np.asarray(t.reward).reshape(len(ANGLES), -1))


def soft(reward):
    """J(angle) = log E exp(reward), as the paper aggregates. With the log-ratio of the dynamics added to the reward,
    the source's J is the target's: E_S[exp(r) p_T/p_S] = E_T[exp(r)]."""
    return np.log(np.exp(reward).mean(axis=1))


def best(score):
    return ANGLES[score.argmax()]


@lru_cache
def practised(seed, lean):
    """The compensated rewards [angle, arrow]. The archer tries angles evenly, or leans to one side outdoors and to the
    other indoors, which says nothing about the wind."""
    random = np.random.default_rng(seed)

    def practise(wind, side):
        angle = random.triangular(-2, side, 2, 10_000) if lean else random.uniform(-2, 2, 10_000)
        return shots(angle, random.normal(*wind, 10_000))

    data = Pair(*(practise(wind, side) for wind, side in zip(WIND, (2, -2), strict=True)))
    return paid(NATS, fit(NATS, RANGE, data, jax.random.key(seed)), SHOTS.source).reshape(len(ANGLES), -1)


def test_the_raw_optimum_aims_against_the_wind():
    assert best(soft(RAW.source)) == pytest.approx(-0.8, abs=0.051)  # 70 m x sin(0.82 degrees) = 1 m
    assert best(soft(RAW.target)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("lean", [False, True], ids=["even", "leaning"])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_compensated_optimum_is_the_targets(seed, lean):
    found = soft(practised(seed, lean))
    assert best(found) == pytest.approx(0.0, abs=0.15)
    near = np.abs(ANGLES) <= 1  # the whole curve is the target's, where both have shot enough
    assert np.abs(found - soft(RAW.target))[near].max() < 0.4
    hit = RAW.target.mean(axis=1)
    assert hit[found.argmax()] > hit.max() - 0.05 > hit[soft(RAW.source).argmax()] + 0.5


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_expected_compensated_reward_keeps_the_sources_optimum(seed):
    """A limit of the method, not of ours: E_S[r + log p_T/p_S] = E_S[r] - KL(p_S, p_T), and this wind is as unlike no
    wind at every angle. Where no action is more like the target than another, a penalty cannot choose for it."""
    assert best(practised(seed, lean=False).mean(axis=1)) < -0.5
