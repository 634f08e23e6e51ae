"""What is said of a compensation follows from its figures."""

import numpy as np
import pytest

from transreward.evaluation.diagnostics import felt, unlearned, warnings, warnings_of
from transreward.evaluation.returns import Evaluation
from transreward.types import Adjusted, Transition


def evaluation(rewards, alive):
    rewards, alive = np.array([rewards], float), np.array([alive], bool)
    blank = np.zeros((1, rewards.shape[1], 1))
    steps = Transition(blank + np.arange(rewards.shape[1])[:, None], blank, rewards, blank, rewards * 0, rewards * 0)
    return Evaluation(np.array([[1.0, 2.0]]), np.array([[2, 2]]), {}, steps, alive)


def test_figures_are_of_the_steps_that_count():
    seen = evaluation([1.0, 99.0, 3.0, 99.0], [True, False, True, False])
    ordered = seen.first_episodes_first()
    assert ordered.reward.tolist() == [[1, 3, 1, 3]] and ordered.obs[0, :, 0].tolist() == [0, 2, 0, 2]
    found = felt(seen, Adjusted(np.array([2.0, 5.0, 77.0, 77.0]), np.array([1.0, 3.0, 77.0, 77.0])), 0)
    assert found["gap_mean"] == 1.5 and found["gap_std"] == 0.5 and found["reward_std"] == 1.0
    assert found["gap_per_episode"] == 1.5  # 3 over two episodes
    assert (found["gap_q05"], found["gap_q50"], found["gap_q95"]) == pytest.approx((1.05, 1.5, 1.95))
    assert found["effective_sample_size"] == pytest.approx(16 / (2 * 10))
    half = felt(seen, Adjusted(np.array([2.0, 5.0, 77.0, 77.0]), np.ones(4)), 0, kept=0.5)
    assert half["gap_mean"] == 2.5 and half["gap_std"] == 1.0  # 2 - 0.5 and 5 - 1.5
    nothing = felt(seen, None, 0)
    assert nothing["gap_mean"] == nothing["gap_q95"] == 0 and nothing["effective_sample_size"] == 1


GOOD = {"gap_accuracy": 0.8, "gap_held_out_loss": 0.5, "gap_loss": 0.45, "effective_sample_size": 0.9}


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({}, None),
        ({"gap_accuracy": 0.995}, "saturated"),
        ({"gap_held_out_loss": 1.2}, "memorised"),
        ({"gap_accuracy": 0.505, "gap_held_out_loss": 0.693}, "null"),
        ({"effective_sample_size": 0.05}, "a tenth"),
        ({"effective_sample_size": 1.0, "gap_std": 0.0, "gap_mean": 0.0, "reward_std": 0.0}, "pays nothing"),
        ({"effective_sample_size": 1.0, "gap_std": 0.0, "reward_std": 0.5}, None),
        ({"gap_trust": 0.1}, "close to fine-tuning"),
        ({"gap_trust": 0.0, "grounded_explained": 0.8}, "close to fine-tuning"),
        ({"gap_trust": 0.0, "grounded_explained": 1.0}, None),  # nothing is left to learn
        ({"gap_trust": 0.5, "twin": "simulator"}, None),
        ({"twin": "model"}, "a learned model of it"),
    ],
)
def test_warnings(changed, word):
    found = warnings(GOOD | changed)
    assert found == [] if word is None else len(found) == 1 and word in found[0]
    assert warnings({}) == []


@pytest.mark.parametrize(
    ("success", "returns", "word"),
    [
        ({"reached": [0.0, 0.0]}, [], "reached its goal in none"),
        ({"reached": [0.0, 0.1]}, [], None),
        ({"fallen": [1.0, 1.0]}, [[50, 60], [55, 54]], "has not risen"),
        ({"fallen": [1.0, 1.0]}, [[50, 60], [270, 80]], None),  # it falls, but later
        ({"fallen": [1.0, 1.0]}, [], None),  # of an agent from elsewhere nothing is known
        ({"fallen": [0.9, 1.0]}, [[50, 60], [55, 54]], None),
        ({"tracking error (m/s)": [0.0, 0.0]}, [], None),
        ({"pushed": [0.0], "stood": [0.0], "moved": [0.0], "upright": [0.0]}, [], None),  # a preset may do none yet
        ({}, [[50, 60], [20, 30]], None),  # a return has no scale that is known
    ],
)
def test_a_source_agent_that_has_not_learned_its_task(success, returns, word):
    rows = [{"phase": "source", "source_steps": k, "source_return": x} for k, one in enumerate(returns) for x in one]
    found = unlearned(success, [*rows, {"phase": "transfer", "source_steps": 0, "source_return": 900}])
    assert found == [] if word is None else len(found) == 1 and word in found[0]


@pytest.mark.parametrize(
    ("source", "learner", "returned", "word"),
    [
        (
            "halfcheetah",
            "sac",
            [400.0, 700.0],
            "returns 550 there, where the robot's preset reaches 7,500 with 400,000",
        ),
        ("halfcheetah", "sac", [900.0, 700.0], None),
        ("reacher", "ppo", [-4.5], None),  # costs alone: 0 is no untrained agent's return
        ("reacher", "ppo", [-60.0], "returns \N{MINUS SIGN}60 there"),
        ("ant", "ppo", [1000.0], "returns 1,000 there"),  # who stands still is paid 990 for it
        ("ant", "sac", [1000.0], None),  # what SAC reaches on it is not known
        ("halfcheetah:gravity=2", "sac", [400.0], None),
    ],
)
def test_a_return_is_judged_where_the_robots_preset_is_known(source, learner, returned, word):
    config = {"source": source, "learner": {"name": learner}}
    found = unlearned({}, [], returned, config)
    assert found == [] if word is None else len(found) == 1 and word in found[0]
    rows = [{"phase": "source", "source_steps": 1, "source_return": x} for x in returned]
    assert unlearned({}, rows, (), config) == found, "of a run that was cut short, by its training"


def test_shares_of_seeds_are_said_as_a_range():
    rows = [{"relabelled": "by a model", "gap_explained": x} for x in (0.96, 0.98, 0.97)]
    (found,) = warnings_of(rows)
    assert "it explains 96% to 98% over 3 seeds of the target's rewards" in found
    assert "it explains 96% of the target's rewards" in warnings_of(rows[:1])[0]
    less = [{"relabelled": "by a model", "gap_explained": x} for x in (-1e8, 0.5)]  # than their mean: of hardly any
    assert "it explains 0% to 50% over 2 seeds of the target's rewards" in warnings_of(less)[0]


def test_when_and_where_it_acts():
    """Two episodes of twenty steps side by side, one of which ends after four: what counts is each step's own time."""
    time = np.repeat(np.arange(20), 2)
    alive = np.ones((1, 40), bool)
    alive[0, 9::2] = False
    obs = np.stack([time, -time, np.ones(40)], axis=1)[None].astype(float)
    action = np.tile([1.0, -1.0], 20)[None, :, None]
    blank = np.zeros((1, 40))
    steps = Transition(obs, action, blank, obs, blank, blank)
    seen = Evaluation(np.zeros((1, 2)), np.array([[20, 4]]), {}, steps, alive)
    delta = 3.0 * time[alive[0]]
    found = felt(seen, Adjusted(np.resize(delta, 40), np.ones(40)), 0)
    assert found["gap_by_time"] == [3 * (2 * i + 0.5) for i in range(10)]
    assert found["gap_by_obs"] == [1.0, -1.0, 0.0]
    assert found["gap_by_action"] == [round(float(np.corrcoef(action[0, alive[0], 0], delta)[0, 1]), 3)]
    short = seen._replace(alive=alive & (time < 10))
    delta = np.ones(int(short.alive.sum()))
    found = felt(short, Adjusted(np.resize(delta, 40), np.ones(40)), 0)
    assert found["gap_by_time"] == [1.0] * 5 + [None] * 5 and found["gap_by_obs"] == [0.0, 0.0, 0.0]
    assert "gap_by_time" not in felt(seen, None, 0)
