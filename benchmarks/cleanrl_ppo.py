"""Proximal policy optimisation as CleanRL has it in one file: its layers, its names, its settings, and what it saves.

Written anew for benchmarks/policies.py after cleanrl/ppo_continuous_action.py (github.com/vwxyzjn/cleanrl, MIT). That
one normalises observations in a wrapper, whose statistics its file does not have; this one does not. The names of the
layers are what a reader of its files goes by. It needs torch.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

ROBOTS, ROLLOUT, MINIBATCH, EPOCHS = 8, 128, 128, 10
RATE, DISCOUNT, LAMBDA, CLIP, MAX_NORM = 3e-4, 0.99, 0.95, 0.2, 0.5


class Agent(nn.Module):
    """A critic and the mean of a normal distribution, both of 64 x 64 tanh, and its standard deviation."""

    def __init__(self, obs: int, action: int) -> None:
        super().__init__()
        self.critic = nn.Sequential(_layer(obs, 64), nn.Tanh(), _layer(64, 64), nn.Tanh(), _layer(64, 1, 1.0))
        self.actor_mean = nn.Sequential(_layer(obs, 64), nn.Tanh(), _layer(64, 64), nn.Tanh(), _layer(64, action, 0.01))
        self.actor_logstd = nn.Parameter(torch.zeros(1, action))

    def normal(self, obs: Tensor) -> torch.distributions.Normal:
        mean = self.actor_mean(obs)
        return torch.distributions.Normal(mean, self.actor_logstd.expand_as(mean).exp())


def _layer(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def train(name: str, steps: int, seed: int) -> Agent:
    """An agent after so many steps of copies of a Gymnasium environment; its rate falls to 0."""
    torch.manual_seed(seed)
    same_step = gymnasium.vector.AutoresetMode.SAME_STEP  # a step is always one of an episode
    envs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make(name)] * ROBOTS, autoreset_mode=same_step)
    box: Any = envs.single_action_space
    agent = Agent(envs.single_observation_space.shape[0], len(box.low))
    optimiser = torch.optim.Adam(agent.parameters(), lr=RATE, eps=1e-5)
    obs, _ = envs.reset(seed=seed)
    rounds = steps // (ROBOTS * ROLLOUT)
    for number in range(rounds):
        optimiser.param_groups[0]["lr"] = RATE * (1 - number / rounds)
        obs, batch = walked(envs, agent, obs, box)
        for _ in range(EPOCHS):
            for rows in torch.randperm(ROBOTS * ROLLOUT).split(MINIBATCH):
                improve(agent, optimiser, *(x[rows] for x in batch))
    return agent


@torch.no_grad()
def walked(envs: Any, agent: Agent, obs: np.ndarray, box: Any) -> tuple[np.ndarray, list[Tensor]]:
    """The next observations, and a rollout: observations, actions, log densities, advantages and returns, flat."""
    kept: list[tuple[Tensor, ...]] = []
    for _ in range(ROLLOUT):
        seen = torch.as_tensor(obs, dtype=torch.float32)
        normal = agent.normal(seen)
        action = normal.sample()
        obs, reward, terminated, truncated, _ = envs.step(np.clip(action.numpy(), box.low, box.high))
        over = torch.as_tensor(terminated | truncated, dtype=torch.float32)  # as CleanRL: an end is an end
        paid = torch.as_tensor(reward, dtype=torch.float32)
        kept.append((seen, action, normal.log_prob(action).sum(1), agent.critic(seen)[:, 0], paid, over))
    seen, action, density, value, paid, over = map(torch.stack, zip(*kept, strict=True))
    later, ahead = agent.critic(torch.as_tensor(obs, dtype=torch.float32))[:, 0], torch.zeros(ROBOTS)
    advantage = torch.zeros_like(paid)
    for t in reversed(range(ROLLOUT)):
        error = paid[t] + DISCOUNT * later * (1 - over[t]) - value[t]
        advantage[t] = ahead = error + DISCOUNT * LAMBDA * (1 - over[t]) * ahead
        later = value[t]
    return obs, [x.flatten(0, 1) for x in (seen, action, density, advantage, advantage + value)]


def improve(agent: Agent, optimiser: Any, obs: Tensor, action: Tensor, before: Tensor, lead: Tensor, wanted: Tensor):
    """One step on a minibatch."""
    ratio = (agent.normal(obs).log_prob(action).sum(1) - before).exp()
    lead = (lead - lead.mean()) / (lead.std() + 1e-8)
    policy = torch.max(-lead * ratio, -lead * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
    value = ((agent.critic(obs)[:, 0] - wanted) ** 2).mean() / 2
    optimiser.zero_grad()
    (policy + 0.5 * value).backward()
    nn.utils.clip_grad_norm_(agent.parameters(), MAX_NORM)
    optimiser.step()
