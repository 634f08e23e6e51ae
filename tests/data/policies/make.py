"""Made the files beside it, once, with torch 2.13.0 and Stable-Baselines3 2.9.2: python make.py DIR."""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

out = Path(sys.argv[1])
(out / "normalised").mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)


class Cart(gym.Env):
    """A pole on a cart, roughly."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)
    action_space = gym.spaces.Box(-3.0, 3.0, (1,), np.float32)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = self.np_random.normal(size=4) * [0.1, 0.1, 0.5, 0.5] + [0.3, 0, 0, 0], 0
        return self.x.copy(), {}

    def step(self, a):
        self.x = self.x + 0.05 * np.array([self.x[2], self.x[3], a[0], self.x[1] * 9 - a[0]])
        self.t += 1
        return self.x.copy(), 1.0 - abs(self.x[1]), abs(self.x[1]) > 1, self.t >= 50, {}


def net(sizes, activation):
    layers = []
    for i in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[i], sizes[i + 1]), *([activation()] if i < len(sizes) - 2 else [])]
    return nn.Sequential(*layers)


class Agent(nn.Module):
    """CleanRL's of PPO."""

    def __init__(self):
        super().__init__()
        self.critic, self.actor_mean = net([4, 8, 8, 1], nn.Tanh), net([4, 8, 8, 1], nn.Tanh)
        self.actor_logstd = nn.Parameter(torch.full((1, 1), -0.5))


class Actor(nn.Module):
    """CleanRL's of SAC."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 8), nn.Linear(8, 8)
        self.fc_mean, self.fc_logstd = nn.Linear(8, 1), nn.Linear(8, 1)
        self.register_buffer("action_scale", torch.tensor([3.0]))
        self.register_buffer("action_bias", torch.tensor([0.0]))

    def forward(self, x):
        x = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        return torch.tanh(self.fc_mean(x)) * self.action_scale + self.action_bias


class Q(nn.Module):
    """CleanRL's of SAC."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 1)


states = (np.random.default_rng(0).normal(size=(1000, 4)) * [0.3, 0.1, 1.0, 1.0]).astype(np.float32)
seen, gold = torch.as_tensor(states), {"states": states}

sac = SAC("MlpPolicy", Cart(), policy_kwargs={"net_arch": [12, 8]}, learning_starts=100, seed=0, buffer_size=1000)
sac.learn(600).save(out / "sb3_sac.zip")
gold["sb3_sac"] = sac.predict(states, deterministic=True)[0]
gold["sb3_sac_alpha"] = np.array(sac.log_ent_coef.exp().item())
with torch.no_grad():
    gold["sb3_sac_q"] = torch.stack(sac.critic(seen, torch.zeros(1000, 1) + 0.3)).min(0)[0].numpy()[:, 0]

shape = {"net_arch": {"pi": [10, 6], "vf": [10, 6]}}
env = VecNormalize(DummyVecEnv([Cart]))
ppo = PPO("MlpPolicy", env, policy_kwargs=shape, n_steps=64, batch_size=32, seed=0)
ppo.learn(640).save(out / "normalised" / "sb3_ppo.zip")
env.save(str(out / "normalised" / "vecnormalize.pkl"))
scaled = env.normalize_obs(states.copy())
gold["sb3_ppo_normalised"] = ppo.predict(scaled, deterministic=True)[0]
gold["sb3_ppo_normalised_value"] = ppo.policy.predict_values(torch.as_tensor(scaled).float()).detach().numpy()[:, 0]

ppo = PPO("MlpPolicy", Cart(), policy_kwargs=shape, n_steps=64, batch_size=32, seed=1)
ppo.learn(640).save(out / "sb3_ppo.zip")
gold["sb3_ppo"] = ppo.predict(states, deterministic=True)[0]
PPO("MlpPolicy", Cart(), policy_kwargs={"net_arch": [4, 4], "activation_fn": nn.ReLU}).save(out / "sb3_relu.zip")

agent, actor, elu = Agent(), Actor(), net([4, 8, 8, 1], nn.ELU)
torch.save(agent.state_dict(), out / "cleanrl_ppo.cleanrl_model")
torch.save((actor.state_dict(), Q().state_dict(), Q().state_dict()), out / "cleanrl_sac.pt")
torch.save(actor.state_dict(), out / "cleanrl_sac_actor.pt")
weights = {f"actor.{name}": x for name, x in elu.state_dict().items()}
torch.save({"model_state_dict": weights | {"std": torch.ones(1)}, "iter": 1, "infos": None}, out / "rsl_rl.pt")
gold["cleanrl_ppo"] = agent.actor_mean(seen).detach().numpy().clip(-3, 3)
gold["cleanrl_sac"], gold["rsl_rl"] = actor(seen).detach().numpy(), elu(seen).detach().numpy()
np.savez_compressed(out / "golden.npz", **gold)
