"""Our offline learners beside an implementation in PyTorch of the same formulas, on the same steps.

    python benchmarks/offline_peers.py speed [--hidden 256]             # updates a second, in turns; run it alone
    python benchmarks/offline_peers.py soundness --robot hopper --medium DIR --expert DIR

`speed`: IQL, TD3+BC and BC with batches of 256, one seed and three side by side; PyTorch has as many cores as we have.
`soundness`: what they learn from 20,000 steps, with their noise, of the policies in the runs of two source agents, one
cut short (medium) and one trained to the end (expert); 20 episodes of each learned policy. Each part is written as soon
as it is there, and a second call goes on. Needs torch (2.13.0).
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import record
import torch
from torch import nn

import transreward as tr
from transreward import replay as rp
from transreward.domains.domain import Domain
from transreward.engine.programs import programs
from transreward.evaluation.returns import evaluate
from transreward.learners import LEARNERS
from transreward.request.config import PLAIN
from transreward.runs.source_agent import SourceAgent
from transreward.types import Pair, Steps, Transition

TORCH = ("iql", "td3_bc", "bc")
BATCH, RATE = 256, 3e-4
RESULT = record.RESULTS / "offline_peers.json"
Data = dict[str, np.ndarray]  # obs, action in [-1, 1], reward, next_obs, terminated


# -- in PyTorch ----------------------------------------------------------------------------------------------------


def layers(*sizes: int) -> nn.Sequential:
    """A network."""
    made: list[nn.Module] = []
    for a, b in pairwise(sizes):
        made += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*made[:-1])


class Peer:
    """One agent. Observations are standardised and rewards divided by their mean size, as ours are."""

    def __init__(self, kind: str, data: Data, hidden: int, updates: int, seed: int):
        torch.manual_seed(seed)
        self.kind, (n, obs), action = kind, data["obs"].shape, data["action"].shape[1]
        self.mean, self.std = data["obs"].mean(0), data["obs"].std(0) + 1e-4
        seen = {name: (data[name] - self.mean) / self.std for name in ("obs", "next_obs")}
        reward = data["reward"] / np.abs(data["reward"]).mean()
        columns = seen["obs"], data["action"], reward, seen["next_obs"], data["terminated"]
        self.data, self.n = [torch.as_tensor(np.asarray(x, np.float32)) for x in columns], n
        self.actor = layers(obs, hidden, hidden, action)
        self.log_std = nn.Parameter(torch.zeros(action))
        self.critics = [layers(obs + action, hidden, hidden, 1) for _ in range(2)]
        self.value = layers(obs, hidden, hidden, 1)
        self.slow, self.slow_actor = copy.deepcopy(self.critics), copy.deepcopy(self.actor)
        self.of_actor = torch.optim.Adam([*self.actor.parameters(), self.log_std], RATE)
        rest = [p for net in (*self.critics, self.value) for p in net.parameters()]
        self.of_rest = torch.optim.Adam(rest, RATE)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.of_actor, updates)
        self.updates = 0

    def act(self, obs: np.ndarray) -> np.ndarray:
        """[..., obs] -> [..., action] in [-1, 1]."""
        with torch.no_grad():
            x = torch.as_tensor((obs - self.mean) / self.std, dtype=torch.float32)
            return torch.tanh(self.actor(x)).numpy()

    def q(self, critics: list[nn.Module], obs: Any, action: Any) -> list[Any]:
        """Of both critics."""
        return [net(torch.cat([obs, action], 1))[:, 0] for net in critics]

    def log_prob(self, obs: Any, action: Any) -> Any:
        """Of actions."""
        spread = self.log_std.clamp(-5, 2).exp()
        return torch.distributions.Normal(torch.tanh(self.actor(obs)), spread).log_prob(action).sum(1)

    def update(self) -> None:
        """One step."""
        rows = torch.randint(self.n, (BATCH,))
        getattr(self, f"_{self.kind}")(*(x[rows] for x in self.data))
        self.updates += 1

    def _iql(self, obs: Any, action: Any, reward: Any, next_obs: Any, ended: Any) -> None:
        with torch.no_grad():
            slow = torch.minimum(*self.q(self.slow, obs, action))
            target = reward + 0.99 * (1 - ended) * self.value(next_obs)[:, 0]
        advantage = slow - self.value(obs)[:, 0]
        steep = torch.where(advantage > 0, 0.7, 0.3)
        loss = (steep * advantage**2).mean() + sum(
            ((q - target) ** 2).mean() for q in self.q(self.critics, obs, action)
        )
        self._step(self.of_rest, loss)
        share = (3.0 * advantage.detach()).exp().clamp(max=100.0)
        self._step(self.of_actor, -(share * self.log_prob(obs, action)).mean())
        self.schedule.step()
        self._follow(self.slow, self.critics)

    def _td3_bc(self, obs: Any, action: Any, reward: Any, next_obs: Any, ended: Any) -> None:
        with torch.no_grad():
            noise = (0.2 * torch.randn_like(action)).clamp(-0.5, 0.5)
            follows = (torch.tanh(self.slow_actor(next_obs)) + noise).clamp(-1, 1)
            target = reward + 0.99 * (1 - ended) * torch.minimum(*self.q(self.slow, next_obs, follows))
        self._step(self.of_rest, sum(((q - target) ** 2).mean() for q in self.q(self.critics, obs, action)))
        if self.updates % 2:
            mode = torch.tanh(self.actor(obs))
            q = self.q(self.critics, obs, mode)[0]
            self._step(self.of_actor, -2.5 * q.mean() / q.abs().mean().detach() + ((mode - action) ** 2).mean())
            self._follow([*self.slow, self.slow_actor], [*self.critics, self.actor])

    def _bc(self, obs: Any, action: Any, *rest: Any) -> None:
        self._step(self.of_actor, -self.log_prob(obs, action).mean())

    @staticmethod
    def _step(optimiser: Any, loss: Any) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    @staticmethod
    def _follow(slow: list[nn.Module], fast: list[nn.Module]) -> None:
        with torch.no_grad():
            for a, b in zip(slow, fast, strict=True):
                for p, q in zip(a.parameters(), b.parameters(), strict=True):
                    p.lerp_(q, 0.005)


# -- ours ----------------------------------------------------------------------------------------------------------


def ours(kind: str, domain: Domain, data: list[Data], hidden: int, updates: int) -> Callable[[int], Any]:
    """A function that trains on for a number of bursts and gives the agents, a seed per data set."""
    learner: Any = LEARNERS[kind](hidden=(hidden, hidden), batch=BATCH, updates=updates)  # type: ignore[call-arg]
    spaces = domain.spaces
    box = [spaces.centre + spaces.half_width * d["action"] for d in data]
    columns = [
        [d["obs"], a, d["reward"], d["next_obs"], d["terminated"], np.zeros(len(a))]
        for d, a in zip(data, box, strict=True)
    ]
    t = Transition(*(np.stack(x)[:, :, None].astype(np.float32) for x in zip(*columns, strict=True)))
    seeds, n = t.reward.shape[:2]
    replay = rp.of(Steps(t, np.empty((seeds, n, 1, 0), np.float32), np.zeros((seeds, n, 1), np.int32)), spaces)
    compiled = programs(learner, PLAIN.compensation(), spaces)
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    agents, state = compiled.init(keys)
    held = [compiled.see(agents, t.obs), keys]

    def train(bursts: int) -> Any:
        for _ in range(bursts):
            held[1], fresh = compiled.next_keys(held[1])
            held[0], _ = compiled.improve(
                held[0], state, Pair(replay, None), fresh, updates=learner.burst, target_share=0.0
            )
        jax.block_until_ready(held[0])
        return held[0]

    train.act = compiled.act  # type: ignore[attr-defined]
    return train


# -- parts ---------------------------------------------------------------------------------------------------------


def speed(hidden: int, found: dict[str, Any], write: Callable[[], None]) -> None:
    """Into `found`: updates a second, each in turns with the other, five times; medians and their ratios."""
    domain, rng = tr.domain("hopper"), np.random.default_rng(0)
    data = {
        "obs": rng.normal(size=(20_000, 11)), "action": rng.uniform(-1, 1, (20_000, 3)),
        "reward": rng.normal(size=20_000), "next_obs": rng.normal(size=(20_000, 11)), "terminated": np.zeros(20_000),
    }  # fmt: skip
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    found["cores"] = len(os.sched_getaffinity(0))
    for kind in TORCH:
        one, three = (ours(kind, domain, [data] * n, hidden, 10**6) for n in (1, 3))
        peer = Peer(kind, data, hidden, 10**6, 0)

        def theirs(bursts: int, peer: Peer = peer) -> None:
            for _ in range(100 * bursts):
                peer.update()

        rates: dict[str, list[float]] = {}
        for train in (one, three, theirs):
            train(1)
        for _ in range(5):
            for name, train, seeds in (("ours", one, 1), ("ours, three seeds", three, 3), ("torch", theirs, 1)):
                began = time.perf_counter()
                train(2)
                rates.setdefault(name, []).append(200 * seeds / (time.perf_counter() - began))
        medians = {name: float(np.median(x)) for name, x in rates.items()}
        ratios = {f"{name} / torch": x / medians["torch"] for name, x in medians.items() if name != "torch"}
        found[kind] = {"updates a second, of all seeds": medians, **ratios}
        print(kind, found[kind], flush=True)
        write()


def soundness(
    robot: str, run: Path, updates: int, hidden: int, found: dict[str, Any], write: Callable[[], None]
) -> None:
    """Into `found`: raw returns [seeds] of 20 episodes, by learner and library, beside the policies' own."""
    domain, learner = tr.domain(robot), tr.load(run).learner
    agent = SourceAgent.load(run, domain, learner, SourceAgent.about(run)["seeds"])
    data, seeds = walked(domain, learner, agent), list(range(len(agent.seeds)))
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if "taken by" not in found:
        act = jax.jit(jax.vmap(learner.act))
        own = evaluate(domain, act, agent.agents, seeds, 20).returns.mean(axis=1)
        found |= {
            "steps": len(data[0]["obs"]),
            "source steps": SourceAgent.about(run)["steps"],
            "taken by": own.tolist(),
        }
        write()
    for kind in TORCH:
        if kind in found:
            continue
        train = ours(kind, domain, data, hidden, updates)
        agents = train(updates // 100)
        mine = evaluate(domain, train.act, agents, seeds, 20).returns.mean(axis=1)  # type: ignore[attr-defined]
        peers = [Peer(kind, d, hidden, updates, k) for k, d in enumerate(data)]
        for peer in peers:
            for _ in range(updates):
                peer.update()
        theirs = evaluate(domain, partial(acted, domain), peers, seeds, 20).returns.mean(axis=1)
        found[kind] = {"ours": mine.tolist(), "torch": theirs.tolist()}
        print(robot, run.name, kind, mine.round(), theirs.round(), flush=True)
        write()


def acted(domain: Domain, peers: list[Peer], obs: np.ndarray, noise: None) -> np.ndarray:
    """The actions of all peers, [seeds, episodes, action]."""
    unit = np.stack([peer.act(x) for peer, x in zip(peers, obs, strict=True)])
    return domain.spaces.centre + domain.spaces.half_width * unit


def walked(domain: Domain, learner: Any, agent: SourceAgent, steps: int = 20_000, robots: int = 20) -> list[Data]:
    """Steps of each seed's last policy, with its noise."""
    found = []
    for k in range(len(agent.seeds)):
        one = jax.tree.map(lambda x, k=k: x[k], agent.agents)
        act, rng = jax.jit(partial(learner.act, one)), np.random.default_rng(k)
        simulation = domain.simulate(robots, k)
        taken = []
        obs = simulation.obs
        for _ in range(steps // robots):
            noise = rng.standard_normal((robots, domain.spaces.action)).astype(np.float32)
            step = simulation.step(np.asarray(act(jnp.asarray(obs, jnp.float32), noise)))
            taken.append(step)
            obs = simulation.obs
        found.append(data_of(Transition(*(np.concatenate(x) for x in zip(*taken, strict=True))), domain.spaces))
    return found


def data_of(t: Transition, spaces: Any) -> Data:
    """Steps as both read them."""
    action = (t.action - spaces.centre) / spaces.half_width
    return {"obs": t.obs, "action": np.clip(action, -1, 1), "reward": t.reward, "next_obs": t.next_obs,
            "terminated": np.asarray(t.terminated, float)}  # fmt: skip


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("speed", "soundness"))
    parser.add_argument("--robot", default="hopper")
    parser.add_argument("--medium", type=Path, help="a run that trained its source agent with SAC, and not to the end")
    parser.add_argument("--expert", type=Path, help="one that trained it to the end")
    parser.add_argument("--updates", type=int, default=20_000)
    parser.add_argument("--hidden", type=int, default=128)
    args = parser.parse_args()
    result = record.read(RESULT) or {}
    result |= record.provenance() | {"torch": torch.__version__}
    write = partial(record.write, RESULT, result)
    if args.part == "speed":
        speed(args.hidden, result.setdefault("speed", {}).setdefault(f"({args.hidden}, {args.hidden})", {}), write)
        return
    of = result.setdefault("soundness", {}).setdefault(args.robot, {"updates": args.updates, "hidden": args.hidden})
    if (of["updates"], of["hidden"]) != (args.updates, args.hidden):
        parser.error(f"{RESULT.name} has {args.robot} with {of['updates']} updates of {of['hidden']}: take these")
    for name in ("medium", "expert"):
        if getattr(args, name):
            soundness(args.robot, getattr(args, name), args.updates, args.hidden, of.setdefault(name, {}), write)


if __name__ == "__main__":
    main()
