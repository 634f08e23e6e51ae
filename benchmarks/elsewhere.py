"""Does identification read a target's model? The target runs in another process, and only steps come out of it.

    python benchmarks/elsewhere.py

identifies some shifts twice: from the domain that has the shift, and from a Gymnasium environment that asks a child
process for each step. The process has the robot; the environment has neither its model nor its id, so both answers
agree only where nothing but observations and actions is read.
"""

from __future__ import annotations

import multiprocessing
import weakref
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

import transreward as tr
from transreward.domains.domain import control_rate
from transreward.domains.gym import GymDomain

CASES = (("halfcheetah", "gravity=2"), ("halfcheetah", "broken=bthigh"), ("hopper", "mass(torso)=1.5,friction=0.3"))


def serve(id: str, pipe: Any) -> None:
    """Answer requests, in a process of its own: a seed or None resets, an array of one action steps."""
    domain = tr.domain(id)
    low, high = domain.spaces.low, domain.spaces.high
    pipe.send((domain.spaces.obs, low, high, domain.episode_steps, control_rate(domain)))
    simulation = domain.simulate(1, 0, 1)
    while True:
        try:
            asked = pipe.recv()
        except EOFError:  # the environment was closed
            return
        if isinstance(asked, np.ndarray):
            t = simulation.step(asked[None])
            pipe.send((t.next_obs[0], float(t.reward[0]), bool(t.terminated[0]), bool(t.truncated[0]), {}))
        else:
            simulation = simulation if asked is None else domain.simulate(1, asked, 1)
            pipe.send((simulation.obs[0], {}))


class Elsewhere(gymnasium.Env):
    """One robot in another process. An episode ends by `step` alone, so `reset` without a seed comes after its end."""

    def __init__(self, id: str):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=serve, args=(id, theirs), daemon=True)
        process.start()
        theirs.close()
        obs, low, high, self._max_episode_steps, rate = self._pipe.recv()
        self.observation_space = Box(-np.inf, np.inf, (obs,), np.float64)
        self.action_space = Box(low, high, dtype=np.float32)
        self.metadata = {"render_modes": [], "render_fps": rate}
        self._stop = weakref.finalize(self, _stop, process, self._pipe)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self._ask(seed)

    def step(self, action: np.ndarray) -> Any:
        return self._ask(np.asarray(action, float))

    def close(self) -> None:
        self._stop()

    def _ask(self, what: Any) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()


def _stop(process: Any, pipe: Any) -> None:
    pipe.close()
    process.join()


def main() -> None:
    for robot, shifts in CASES:
        id, make = f"{robot}:{shifts}", partial(Elsewhere, f"{robot}:{shifts}")
        for where, target in (("here", tr.domain(id)), ("elsewhere", GymDomain("elsewhere", make))):
            print(f"{where:10}", tr.identify(robot, target).lines()[0])


if __name__ == "__main__":
    main()
