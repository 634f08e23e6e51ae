"""The examples run, and do what they say. They need Stable-Baselines3, in an environment of its own (benchmarks/)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import transreward as tr
from transreward.types import Pair, Transition

sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed: see docs/wrapper.md")
pytestmark = pytest.mark.filterwarnings("default")  # torch's own are not ours
TINY = ["--seeds", "1", "--source-steps", "400", "--target-steps", "100", "--sb3-steps", "600"]


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "examples"))
        import sb3_compensated

        yield sb3_compensated
    sys.modules.pop("sb3_compensated", None)


def test_sac_of_another_library_trains_on_the_compensated_reward(example, tmp_path, capsys):
    """What its replay buffer holds is what the compensation makes of the same steps as one batch."""
    found = example.main([*TINY, "--run", str(tmp_path / "run")])
    assert [row["reward"] for row in found["stable_baselines3"]] == ["raw", "compensated"]
    assert all(np.isfinite(row["target_return"]) for row in found["stable_baselines3"])
    assert "SAC on the compensated reward" in capsys.readouterr().out

    result = tr.load(tmp_path / "run")
    compensation, state = result.compensation(0)
    model = example.train(tr.CompensatedReward(example.source(), compensation, state), 120, 0)
    buffer, n = model.replay_buffer, 120
    obs, next_obs, paid = buffer.observations[:n, 0], buffer.next_observations[:n, 0], buffer.rewards[:n, 0]
    raw = -np.linalg.norm(next_obs - example.GOAL, axis=1)
    none, actions = np.zeros(n, np.float32), buffer.actions[:n, 0]  # the box is [-1, 1], which SB3 scales to itself
    steps = Transition(obs, actions, raw.astype(np.float32), next_obs, none, none)
    assert np.allclose(paid, compensation.adjust(state, Pair(steps, steps)).source.reward, atol=1e-4)
    assert np.abs(paid - raw).max() > 1e-3
