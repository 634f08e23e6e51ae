"""Stable-Baselines3's SAC, trained on a reward that was compensated here, beside the same on the raw reward.

    pip install torch==2.13.0 && pip install stable-baselines3 transreward     # an environment of its own
    python examples/sb3_compensated.py                                         # a few minutes on two cores
    python examples/sb3_compensated.py --seeds 1 --sb3-steps 1000              # a look at it

A point moves in a square to a goal. The target's floor is slippery: a push above half of its range finds no grip there
and hardly moves it, in the source it does. TransReward learns from a few target steps where the domains part (`darc`).
Then SAC of Stable-Baselines3 starts from nothing and trains in the source alone: once paid the compensated reward and
once the raw one. Both policies are judged in the target by its raw reward, in episodes that nothing is chosen by.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC

import transreward as tr

STEPS = 50  # an episode's
GOAL = np.array([0.8, 0.0])
GRIP = 0.5  # the largest push that finds hold on the slippery floor
SLIP = 0.2  # share of a movement that is left of a larger one
EPISODES = 50  # of an evaluation, the same starts for all policies


class Point(gymnasium.Env):
    """Move at most 0.1 a step in both directions; reward is minus the distance to the goal."""

    def __init__(self, slippery: bool) -> None:
        self.slippery = slippery
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1.0, 1.0, 2)  # anywhere: what is learned holds everywhere
        return self.place.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        push = np.clip(action, -1, 1)
        if self.slippery:
            push = np.where(np.abs(push) > GRIP, SLIP * push, push)
        self.place = np.clip(self.place + 0.1 * push + self.np_random.normal(0.0, 0.005, 2), -1, 1)
        return self.place.astype(np.float32), -float(np.linalg.norm(self.place - GOAL)), False, False, {}


def source() -> gymnasium.Env:
    """A floor with grip."""
    return gymnasium.wrappers.TimeLimit(Point(slippery=False), STEPS)


def target() -> gymnasium.Env:
    """The slippery floor."""
    return gymnasium.wrappers.TimeLimit(Point(slippery=True), STEPS)


def learn(seeds: int, source_steps: int, target_steps: int, out: Path | None) -> tr.Result:
    """A compensation for each seed, and the method's own agent with its controls."""
    return tr.transfer(
        "sb3_compensated:source",
        "sb3_compensated:target",
        "darc",
        learner=tr.learner("sac", hidden=(64, 64), robots=8, steps_per_update=4.0, random_steps=1_000, batch=128),
        source_steps=source_steps,
        target_steps=target_steps,
        seeds=seeds,
        controls=("zero_shot",),
        settings={"loop.aligned": 0.0, "loop.evaluations": 4},
        out=out,
    )


def train(env: gymnasium.Env, steps: int, seed: int) -> SAC:
    """SAC with its defaults but for smaller networks, for which a second thread is only a burden."""
    torch.set_num_threads(1)
    model = SAC("MlpPolicy", env, seed=seed, learning_starts=300, policy_kwargs={"net_arch": [64, 64]}, device="cpu")
    return model.learn(steps)


def returns(make: Callable[[], gymnasium.Env], model: SAC) -> float:
    """Mean raw return of the deterministic policy over EPISODES episodes."""
    env, total = make(), 0.0
    for episode in range(EPISODES):
        obs, _ = env.reset(seed=10_000 + episode)
        ended = False
        while not ended:
            obs, reward, terminated, truncated, _ = env.step(model.predict(obs, deterministic=True)[0])
            total += float(reward)
            ended = terminated or truncated
    return total / EPISODES


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train, judge, print, and return what came out; benchmarks/sb3_compensated.py keeps it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--source-steps", type=int, default=20_000, help="of TransReward, per seed")
    options.add_argument("--target-steps", type=int, default=4_000, help="of TransReward, per seed; SAC takes none")
    options.add_argument("--sb3-steps", type=int, default=3_000, help="of Stable-Baselines3 in the source, per seed")
    options.add_argument("--run", type=Path, help="keep TransReward's run there, or take up the one that is there")
    args = options.parse_args(arguments)
    taken_up = args.run is not None and (args.run / "result.json").exists()
    result = tr.load(args.run) if taken_up else learn(args.seeds, args.source_steps, args.target_steps, args.run)
    rows = []
    for seed in range(args.seeds):
        compensation, state = result.compensation(seed)
        paid = tr.CompensatedReward(source(), compensation, state, **result.extras(seed))
        for reward, env in (("raw", source()), ("compensated", paid)):
            model = train(env, args.sb3_steps, seed)
            row = {"seed": seed, "reward": reward}
            rows.append(row | {"target_return": returns(target, model), "source_return": returns(source, model)})
            print(json.dumps(rows[-1]), flush=True)
    found = {
        "settings": {key: getattr(args, key) for key in ("seeds", "source_steps", "target_steps", "sb3_steps")},
        "transreward": {
            "darc": result.target_return.mean(axis=1).tolist(),
            "zero_shot": result.controls["zero_shot"].target_return.mean(axis=1).tolist(),
        },
        "stable_baselines3": rows,
    }
    for reward in ("raw", "compensated"):
        own = [row["target_return"] for row in rows if row["reward"] == reward]
        print(f"SAC on the {reward} reward: {np.mean(own):.1f} in the target ({' '.join(f'{x:.1f}' for x in own)})")
    return found


if __name__ == "__main__":
    main()
