"""Policies that other libraries trained, brought to a changed robot by the default method.

    $PEERS_PYTHON benchmarks/policies.py train         # torch, stable-baselines3 and gymnasium[mujoco]: the files
    python benchmarks/policies.py move                 # into results/policies.json

`train` makes a policy of each kind on Gymnasium's own robot: SAC and PPO of Stable-Baselines3, SAC in CleanRL's shapes,
and Stable-Baselines3's SAC once more as an ONNX graph that torch wrote. `move` adopts each file and moves it with
2,000 target steps, beside controls that have the same agent, steps and number of updates. Both skip what is done; names
of kinds after them choose some.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import record

ROBOT, WIDTH, EPISODES = "inverted_pendulum", 64, 20
GYM = "InvertedPendulum-v5"
RUNS = Path("runs/policies")
PEERS = ("torch", "stable-baselines3", "gymnasium", "mujoco")
TARGET = f"{ROBOT}:size(pole)=2"
FILES = {
    "sb3_sac": "sb3_sac.zip",
    "sb3_ppo": "sb3_ppo.zip",
    "cleanrl_ppo": "cleanrl_ppo.cleanrl_model",
    "onnx": "policy.onnx",
}
SEEDS, TARGET_STEPS, ADOPT_STEPS = 3, 2_000, 10_000  # the source budget is the preset's of the learner
LOOP: dict[str, Any] = {
    "loop.evaluations": 2,
    "loop.eval_episodes": 5,
    "loop.final_episodes": EPISODES,
    "loop.fallback": True,
}
HIDDEN = (WIDTH, WIDTH)
# PPO cannot be fine-tuned by 2,000 target steps, of which the fallback takes a half: the control learns off-policy.
METHODS: dict[str, dict[str, Any]] = {"auto": {}, "fine_tune": {"learner": "sac"}}
RESULT = record.RESULTS / "policies.json"
Act = Callable[[np.ndarray], np.ndarray]


def of_sb3_sac(folder: Path) -> tuple[Act, dict[str, Any]]:
    """Four copies of the robot, an update for each four steps, small networks and fast slow critics: minutes on a slow
    core. The rest are the library's defaults."""
    from stable_baselines3 import SAC
    from stable_baselines3.common.vec_env import DummyVecEnv

    settings: dict[str, Any] = {"learning_rate": 1e-3, "learning_starts": 1_000, "tau": 0.02, "batch_size": 128}
    env = DummyVecEnv([lambda: gymnasium.make(GYM)] * 4)
    net = {"net_arch": [WIDTH, WIDTH]}
    model = SAC("MlpPolicy", env, seed=0, device="cpu", policy_kwargs=net, **settings).learn(24_000)
    model.save(folder / "sb3_sac.zip")
    return lambda obs: model.predict(obs, deterministic=True)[0], {"steps": 24_000, "settings": settings}


def of_sb3_ppo(folder: Path) -> tuple[Act, dict[str, Any]]:
    """Eight copies of the robot, observations and rewards normalised."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    settings: dict[str, Any] = {"n_steps": 128, "batch_size": 128, "policy_kwargs": {"log_std_init": -0.7}}
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make(GYM)] * 8))
    model = PPO("MlpPolicy", env, seed=0, device="cpu", **settings).learn(40_000)
    model.save(folder / "sb3_ppo.zip")
    env.save(str(folder / "vecnormalize.pkl"))
    env.training = False
    return lambda obs: model.predict(env.normalize_obs(obs), deterministic=True)[0], {
        "steps": 40_000,
        "settings": settings,
    }


def of_cleanrl_ppo(folder: Path) -> tuple[Act, dict[str, Any]]:
    import cleanrl_ppo
    import torch

    agent = cleanrl_ppo.train(GYM, steps := 60_000, 0)
    torch.save(agent.state_dict(), folder / "cleanrl_ppo.cleanrl_model")

    def act(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return agent.actor_mean(torch.as_tensor(obs, dtype=torch.float32)).numpy()  # cut off by the robot

    return act, {"steps": steps}


def of_onnx(folder: Path) -> tuple[Act, dict[str, Any]]:
    """Of Stable-Baselines3's PPO: its normaliser and its policy without noise, in one graph."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    place = folder.parent / "sb3_ppo"
    model = PPO.load(place / "sb3_ppo.zip", device="cpu")
    env = VecNormalize.load(str(place / "vecnormalize.pkl"), DummyVecEnv([lambda: gymnasium.make(GYM)]))
    mean, var = (torch.as_tensor(x, dtype=torch.float32) for x in (env.obs_rms.mean, env.obs_rms.var))
    high = torch.as_tensor(model.action_space.high)  # of a box about 0
    model.policy.requires_grad_(False)  # constants of the graph

    class Mode(torch.nn.Module):
        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            seen = torch.clamp((obs - mean) / torch.sqrt(var + 1e-8), -10, 10)
            hidden = model.policy.mlp_extractor.forward_actor(seen)
            return torch.maximum(torch.minimum(model.policy.action_net(hidden), high), -high)

    graph = Mode().eval()
    torch.onnx.export(
        graph, (torch.zeros(1, len(mean)),), folder / "policy.onnx", dynamo=False,
        input_names=["obs"], output_names=["action"], dynamic_axes={"obs": {0: "n"}, "action": {0: "n"}},
    )  # fmt: skip

    def act(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return graph(torch.as_tensor(obs, dtype=torch.float32)[None])[0].numpy()

    return act, {"of": "sb3_ppo"}


TRAIN = {"sb3_ppo": of_sb3_ppo, "sb3_sac": of_sb3_sac, "cleanrl_ppo": of_cleanrl_ppo, "onnx": of_onnx}


def train(kind: str) -> None:
    """A kind's file, and beside it what made it and what the library itself says that it returns."""
    import torch

    folder = RUNS / kind
    if (folder / "about.json").exists():
        return
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    act, about = TRAIN[kind](folder)
    about |= {"seconds": round(time.perf_counter() - began), "versions": {p: record.version(p) for p in PEERS}}
    about["return"] = returns(act)
    record.write(folder / "about.json", about)
    print(kind, json.dumps(about), flush=True)


def returns(act: Act) -> float:
    """Mean raw return of a policy in Gymnasium's own environment."""
    env, total = gymnasium.make(GYM), 0.0
    for episode in range(5):
        obs, _ = env.reset(seed=10_000 + episode)
        over = False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(act(obs))
            total, over = total + float(reward), terminated or truncated
    return total / 5


def move(kind: str, methods: Sequence[str]) -> None:
    """Adopt a kind's file and move it; then the control. What is done is kept, what was begun is gone on with."""
    import transreward as tr
    from transreward.runs.store import ADOPTED

    folder = RUNS / kind
    agent = folder / "agent"
    if not (agent / ADOPTED).exists():
        print(tr.adopt(folder / FILES[kind], ROBOT, agent, seeds=SEEDS, steps=ADOPT_STEPS, hidden=HIDDEN), flush=True)
    about = {"trained": record.read(folder / "about.json"), "adopted": record.read(agent / ADOPTED)}
    for method in methods:
        if method in kept().get(kind, ()):
            continue
        head, place = record.provenance(), folder / method
        found = (
            moved(method, agent, place, METHODS[method]) if not (place / "config.json").exists() else tr.resume(place)
        )
        row = {**head, **row_of(found)}
        kinds = kept()  # another kind may have ended since
        kinds[kind] = about | kinds.get(kind, {}) | {method: row}
        asked = {"source": ROBOT, "target": TARGET, "seeds": SEEDS, "settings": LOOP}
        record.write(RESULT, {**asked, "kinds": {name: kinds[name] for name in TRAIN if name in kinds}})
        print(kind, method, json.dumps(row["target_return"]), flush=True)


def kept() -> dict[str, Any]:
    """What is there of each kind."""
    return (record.read(RESULT) or {"kinds": {}})["kinds"]


def moved(method: str, agent: Path, place: Path, more: dict[str, Any]) -> Any:
    """One method's run. All have the same budgets, and keep the source policy as a candidate."""
    from dataclasses import replace

    import transreward as tr
    from transreward.presets import make_learner

    if more.get("learner") == "sac":
        more = {**more, "learner": replace(make_learner("sac", ROBOT), hidden=HIDDEN)}  # type: ignore[type-var]
    return tr.transfer(
        ROBOT, TARGET, method, source_run=agent, target_steps=TARGET_STEPS, seeds=SEEDS,
        settings=LOOP, out=place, **more,
    )  # fmt: skip


def row_of(found: Any) -> dict[str, Any]:
    """What came out, beside what the same policy returned in the target before."""
    before, after = found.zero_shot.mean(axis=1), found.target_return.mean(axis=1)
    return {
        "learner": found.learner.name, "zero_shot": told(before), "target_return": told(after),
        "above_zero_shot": told(after - before), "delivered": found.delivered, "target_steps": found.steps.target,
        "source_steps": found.steps.source, "updates": found.updates, "seconds": round(found.wall_seconds),
    }  # fmt: skip


def told(per_seed: np.ndarray) -> dict[str, Any]:
    """Mean, 95% interval over seeds, and each seed's."""
    from transreward.evaluation.statistics import interval

    return {"mean": float(per_seed.mean()), "interval": list(interval(per_seed)), "per_seed": per_seed.tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("train", "move"))
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(TRAIN))
    parser.add_argument("--only", choices=METHODS, help="one method of `move`")
    args = parser.parse_args()
    if unknown := set(args.kinds) - set(TRAIN):
        parser.error(f"there is no kind {min(unknown)}: {', '.join(TRAIN)}")
    for kind in args.kinds or TRAIN:
        if args.part == "train":
            train(kind)
        else:
            move(kind, [args.only] if args.only else list(METHODS))


if __name__ == "__main__":
    main()
