"""Stable-Baselines3's PPO and SAC on Gymnasium's MuJoCo robots: learning curves and speeds to stand beside ours.

    python benchmarks/peers_sb3.py curve --algo ppo --env Hopper-v5 --settings ours --steps 1000000 --seed 0 \
        --eval-every 50000 --out benchmarks/results/peers/ppo-ours-hopper-s0.json
    python benchmarks/peers_sb3.py speed --algo sac --settings default --seconds 30 --threads 2 --update-only

It needs an environment of its own (stable-baselines3, torch, gymnasium, mujoco); the package itself needs no torch.

A curve counts training steps alone: evaluation has its own environments, whose returns are raw, whose observations are
normalised with the training's statistics, and which never add to those statistics. It is written after each point, and
a file that is complete is never run again. Curves in steps do not depend on how busy the machine is; speeds do.
"""

import argparse
import copy
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import stable_baselines3
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, sync_envs_normalization

Settings = dict[str, Any]

EVAL_EPISODES = 10
EVAL_SEED = 10_000  # evaluation's environments start here, plus the seed, apart from the training's

# What SB3 2.9 does when it is told nothing, written out so that a result says all that was used.
PPO_DEFAULTS: Settings = {
    "n_envs": 1,
    "normalize": False,  # VecNormalize on observations and rewards, with the learner's gamma
    "learning_rate": 3e-4,
    "n_steps": 2048,
    "batch_size": 64,
    "n_epochs": 10,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "ent_coef": 0.0,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "policy_kwargs": {"net_arch": [64, 64], "activation_fn": "tanh", "log_std_init": 0.0, "ortho_init": True},
}
SAC_DEFAULTS: Settings = {
    "n_envs": 1,
    "normalize": False,
    "learning_rate": 3e-4,
    "buffer_size": 1_000_000,
    "learning_starts": 10_000,  # SB3's own is 100; its zoo takes 10,000 on MuJoCo; --learning-starts replaces it
    "batch_size": 256,
    "tau": 0.005,
    "gamma": 0.99,
    "train_freq": 1,
    "gradient_steps": 1,
    "ent_coef": "auto",
    "policy_kwargs": {"net_arch": [256, 256], "activation_fn": "relu"},
}

# 'zoo': RL Baselines3 Zoo (github.com/DLR-RM/rl-baselines3-zoo), hyperparams/ppo.yml and sac.yml at commit 22e3ff2
# (2026-04-23). The zoo tuned the v4 robots and has no entries for v5.
ZOO_NETWORK: Settings = {
    "net_arch": {"pi": [256, 256], "vf": [256, 256]},
    "activation_fn": "relu",
    "log_std_init": -2.0,
    "ortho_init": False,
}
ZOO_PPO: dict[str, Settings] = {
    "HalfCheetah-v5": {
        "normalize": True,
        "n_steps": 512,
        "batch_size": 64,
        "n_epochs": 20,
        "gamma": 0.98,
        "gae_lambda": 0.92,
        "learning_rate": 2.0633e-05,
        "ent_coef": 0.000401762,
        "clip_range": 0.1,
        "max_grad_norm": 0.8,
        "vf_coef": 0.58096,
        "policy_kwargs": ZOO_NETWORK,
    },
    "Hopper-v5": {
        "normalize": True,
        "n_steps": 512,
        "batch_size": 32,
        "n_epochs": 5,
        "gamma": 0.999,
        "gae_lambda": 0.99,
        "learning_rate": 9.80828e-05,
        "ent_coef": 0.00229519,
        "clip_range": 0.2,
        "max_grad_norm": 0.7,
        "vf_coef": 0.835671,
        "policy_kwargs": ZOO_NETWORK,
    },
}
ZOO_SAC: Settings = {"learning_starts": 10_000}  # for both robots: the rest is SB3's default

# 'ours': TransReward's PPO, said in SB3's words.
OURS_PPO: Settings = {"n_envs": 32, "normalize": True, "n_steps": 256, "batch_size": 256}
# 'batch64': the same with SB3's own minibatch.
BATCH64_PPO: Settings = OURS_PPO | {"batch_size": 64}

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}
ROBOTS = tuple(ZOO_PPO)


def settings_of(algo: str, name: str, env: str, learning_starts: int | None = None) -> Settings:
    """Return the settings called `name`, in full; exit with one line where there are none."""
    tables: dict[tuple[str, str], Settings] = {
        ("ppo", "default"): {},
        ("ppo", "zoo"): ZOO_PPO[env],
        ("ppo", "ours"): OURS_PPO,
        ("ppo", "batch64"): BATCH64_PPO,
        ("sac", "default"): {},
        ("sac", "zoo"): ZOO_SAC,
    }
    if (algo, name) not in tables:
        sys.exit(f"no settings {name!r} for {algo}: choose from {sorted(s for a, s in tables if a == algo)}")
    settings = copy.deepcopy((PPO_DEFAULTS if algo == "ppo" else SAC_DEFAULTS) | tables[algo, name])
    if learning_starts is not None:
        if algo != "sac":
            sys.exit("--learning-starts is for sac alone")
        settings["learning_starts"] = learning_starts
    return settings


def make_env(env: str, n_envs: int, seed: int, normalize: bool, gamma: float) -> VecEnv:
    """Make `n_envs` copies stepped in this process, each under a Monitor, normalised if asked."""
    venv = make_vec_env(env, n_envs=n_envs, seed=seed)
    return VecNormalize(venv, gamma=gamma) if normalize else venv


def make_model(algo: str, env: str, settings: Settings, seed: int) -> BaseAlgorithm:
    """Make the learner on its training environments, on the CPU."""
    kwargs = copy.deepcopy(settings)
    venv = make_env(env, kwargs.pop("n_envs"), seed, kwargs.pop("normalize"), kwargs["gamma"])
    kwargs["policy_kwargs"]["activation_fn"] = ACTIVATIONS[kwargs["policy_kwargs"]["activation_fn"]]
    return (PPO if algo == "ppo" else SAC)("MlpPolicy", venv, seed=seed, device="cpu", **kwargs)


def provenance(algo: str, env: str, name: str, settings: Settings, threads: int) -> dict[str, Any]:
    """Say what ran, on what: the head of every result."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "peer": "stable-baselines3",
        "algo": algo,
        "env": env,
        "settings_name": name,
        "settings": settings,
        "threads": threads,
        "versions": {
            "python": platform.python_version(),
            "stable_baselines3": stable_baselines3.__version__,
            "torch": torch.__version__,
            "gymnasium": gymnasium.__version__,
            "mujoco": mujoco.__version__,
            "numpy": np.__version__,
        },
        "machine": {"cpu": cpu, "cores": os.cpu_count()},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(path: Path, result: dict[str, Any]) -> None:
    """Write `result` in one move, so that a reader never finds half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(result, indent=1) + "\n")
    partial.replace(path)


class Curve(BaseCallback):
    """Evaluate every `every` training steps, write each point, and stop at `steps` or at a mean return of `stop_at`."""

    def __init__(
        self, eval_env: VecEnv, every: int, steps: int, stop_at: float | None, out: Path, result: dict[str, Any]
    ) -> None:
        super().__init__()
        self.eval_env, self.every, self.steps, self.stop_at = eval_env, every, steps, stop_at
        self.out, self.result = out, result
        self.due = every
        self.evaluation_cpu = 0.0
        self.began_cpu = time.process_time()

    def _on_step(self) -> bool:
        last = self.num_timesteps >= self.steps
        if self.num_timesteps < self.due and not last:
            return True
        self.due = (self.num_timesteps // self.every + 1) * self.every
        mean = self._evaluate()
        if self.stop_at is not None and mean >= self.stop_at:
            self.result["stopped"] = "return reached"
            return False
        if last:
            self.result["stopped"] = "steps spent"
            return False
        return True

    def _evaluate(self) -> float:
        """Add one point: ten deterministic episodes, one in each of ten environments."""
        train_cpu = time.process_time() - self.began_cpu - self.evaluation_cpu
        if isinstance(self.eval_env, VecNormalize):
            sync_envs_normalization(self.training_env, self.eval_env)
        returns, lengths = evaluate_policy(
            self.model, self.eval_env, n_eval_episodes=EVAL_EPISODES, deterministic=True, return_episode_rewards=True
        )
        assert isinstance(returns, list) and isinstance(lengths, list)
        point = {
            "steps": self.num_timesteps,
            "return_mean": float(np.mean(returns)),
            "returns": [round(float(r), 3) for r in returns],
            "lengths": [int(n) for n in lengths],
            # This process's own seconds of computing, training alone: a hint of the cost, not a speed.
            "train_cpu_seconds": round(train_cpu, 1),
        }
        self.result["points"].append(point)
        write(self.out, self.result)
        print(f"{self.out.stem}: {point['steps']:,} steps, return {point['return_mean']:,.0f}", flush=True)
        self.evaluation_cpu = time.process_time() - self.began_cpu - train_cpu
        return point["return_mean"]


def run_curve(args: argparse.Namespace) -> None:
    """Train once and record the curve; do nothing if it is already there."""
    if args.out.exists() and json.loads(args.out.read_text())["complete"]:
        print(f"{args.out.stem}: complete already", flush=True)
        return
    settings = settings_of(args.algo, args.settings, args.env, args.learning_starts)
    result = provenance(args.algo, args.env, args.settings, settings, args.threads)
    result |= {
        "seed": args.seed,
        "steps": args.steps,
        "eval_every": args.eval_every,
        "eval_episodes": EVAL_EPISODES,
        "stop_at": args.stop_at,
        "complete": False,
        "stopped": None,
        "points": [],
    }
    model = make_model(args.algo, args.env, settings, args.seed)
    eval_env = make_env(args.env, EVAL_EPISODES, EVAL_SEED + args.seed, settings["normalize"], settings["gamma"])
    if isinstance(eval_env, VecNormalize):
        eval_env.training = False  # adds nothing to the statistics
        eval_env.norm_reward = False
    model.learn(args.steps, callback=Curve(eval_env, args.eval_every, args.steps, args.stop_at, args.out, result))
    result["complete"] = True
    write(args.out, result)


class Stopwatch(BaseCallback):
    """Time whole iterations (rollout and learning) for `seconds`, once `warm_steps` are past."""

    def __init__(self, warm_steps: int, seconds: float) -> None:
        super().__init__()
        self.warm_steps, self.seconds = warm_steps, seconds
        self.start: tuple[float, int] | None = None
        self.end: tuple[float, int] | None = None

    def _on_rollout_start(self) -> None:
        now = (time.perf_counter(), self.num_timesteps)
        if self.start is None:
            if self.num_timesteps >= self.warm_steps:
                self.start = now
        elif self.end is None and now[0] - self.start[0] >= self.seconds:
            self.end = now

    def _on_step(self) -> bool:
        return self.end is None

    def measured(self) -> tuple[int, float]:
        """Return the steps and the seconds between the first and the last iteration's start."""
        assert self.start is not None and self.end is not None
        return self.end[1] - self.start[1], self.end[0] - self.start[0]


def time_training(model: BaseAlgorithm, settings: Settings, seconds: float) -> tuple[int, float]:
    """Time whole training: PPO after two iterations, SAC from 500 steps after its first update."""
    ppo = isinstance(model, PPO)
    warm_steps = 2 * settings["n_envs"] * settings["n_steps"] if ppo else settings["learning_starts"] + 500
    watch = Stopwatch(warm_steps, seconds)
    model.learn(10**9, callback=watch)
    return watch.measured()


def time_updates(model: SAC, settings: Settings, seconds: float, per_call: int = 100) -> tuple[int, float]:
    """Time SAC's `train` alone, on a buffer filled with `learning_starts` random steps."""
    model.learn(settings["learning_starts"])  # ends before its first update
    model.train(gradient_steps=2 * per_call, batch_size=settings["batch_size"])
    updates, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.train(gradient_steps=per_call, batch_size=settings["batch_size"])
        updates += per_call
    return updates, time.perf_counter() - start


def run_speed(args: argparse.Namespace) -> None:
    """Print one line of JSON: steps per second of whole training, or updates per second of SAC's `train` alone."""
    settings = settings_of(args.algo, args.settings, args.env, args.learning_starts)
    result = provenance(args.algo, args.env, args.settings, settings, args.threads) | {"seed": args.seed}
    model = make_model(args.algo, args.env, settings, args.seed)
    if args.update_only:
        if not isinstance(model, SAC):
            sys.exit("--update-only is for sac alone")
        count, seconds = time_updates(model, settings, args.seconds)
        measured = {"what": "updates_per_second", "updates": count}
    else:
        count, seconds = time_training(model, settings, args.seconds)
        measured = {"what": "steps_per_second", "steps": count}
    print(json.dumps(result | measured | {"seconds": round(seconds, 3), "value": round(count / seconds, 2)}))


def main() -> None:
    """Read the command line and run one subcommand."""
    parser = argparse.ArgumentParser(description="Stable-Baselines3 beside TransReward: learning curves and speeds.")
    commands = parser.add_subparsers(dest="command", required=True)
    curve = commands.add_parser("curve", help="train once and record evaluation returns against steps")
    speed = commands.add_parser("speed", help="measure speed; the machine must be idle")
    for command in (curve, speed):
        command.add_argument("--algo", choices=("ppo", "sac"), required=True)
        command.add_argument("--settings", choices=("zoo", "ours", "batch64", "default"), required=True)
        command.add_argument("--env", choices=ROBOTS, default="HalfCheetah-v5")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--learning-starts", type=int, help="SAC: random steps before the first update")
    curve.add_argument("--threads", type=int, default=1, help="torch's threads")
    curve.add_argument("--steps", type=int, required=True, help="training steps, evaluation not counted")
    curve.add_argument("--eval-every", type=int, required=True, help="training steps between evaluations")
    curve.add_argument("--stop-at", type=float, help="stop when the mean evaluation return reaches this")
    curve.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    curve.set_defaults(run=run_curve)
    speed.add_argument("--threads", type=int, default=2, help="torch's threads")
    speed.add_argument("--seconds", type=float, default=30.0, help="how long to measure after warm-up")
    speed.add_argument("--update-only", action="store_true", help="SAC: time gradient updates alone")
    speed.set_defaults(run=run_speed)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == "__main__":
    main()
