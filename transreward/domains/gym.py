"""Any Gymnasium environment with Box spaces as a domain: n copies, stepped one after another."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from transreward.domains.domain import BrokenSimulation, row_seeds
from transreward.domains.names import Entry, numbered
from transreward.types import RequestError, Spaces, Transition, nearest

EPISODE_STEPS = 1000  # of an environment that names no limit
# Packages behind well-known namespaces and names; what an id needs is often not what its package is called.
_PACKAGES = {
    "ALE/": "ale-py",
    "dm_control/": "shimmy[dm-control]",
    "Meta-World/": "metaworld",
    "gymnasium_robotics": "gymnasium-robotics",
    "Fetch": "gymnasium-robotics",
    "HandManipulate": "gymnasium-robotics",
    "HandReach": "gymnasium-robotics",
    "AntMaze": "gymnasium-robotics",
    "PointMaze": "gymnasium-robotics",
    "Adroit": "gymnasium-robotics",
    "FrankaKitchen": "gymnasium-robotics",
}


def gym_domain(id: str) -> GymDomain:
    """The domain of a Gymnasium id, `EnvId` or `module:EnvId`.

    Raises:
        RequestError: no such id, a missing package, or spaces that are not Box.
    """
    if "=" in id:
        raise RequestError(f"'gym:{id}': shifts work on the robots of the table only")
    name = f"gym:{id}"
    try:
        return GymDomain(name, lambda: gymnasium.make(id, disable_env_checker=True))
    except RequestError:
        raise
    except ModuleNotFoundError as error:
        missing = (error.name or id.partition(":")[0]).partition(".")[0]
        package = _PACKAGES.get(missing, missing.replace("_", "-"))
        raise RequestError(f"'{name}': the package {missing} is missing: pip install {package}") from error
    except (gymnasium.error.NameNotFound, gymnasium.error.NamespaceNotFound) as error:
        bare = id.rpartition(":")[2]
        package = next((package for prefix, package in _PACKAGES.items() if bare.startswith(prefix)), None)
        if package is None:
            raise nearest(id, gymnasium.registry, "Gymnasium id") from error
        hint = " and write gym:gymnasium_robotics:" + bare if package == "gymnasium-robotics" else ""
        raise RequestError(f"'{name}': its package is missing: pip install '{package}'{hint}") from error
    except Exception as error:  # an environment's constructor may raise anything
        raise RequestError(f"'{name}' cannot be made: {' '.join(str(error).split())}") from error


class GymDomain:
    """Environments that `make` makes, a new one at each call.

    Raises:
        RequestError: `make` does not make environments with Box spaces, the action box bounded.
    """

    reward_terms: tuple[str, ...] = ("reward",)

    def __init__(self, name: str, make: Callable[[], gymnasium.Env], first: object = None):
        self.name, self.make = name, make
        env = make() if first is None else first
        if not isinstance(env, gymnasium.Env):
            raise RequestError(f"'{name}' makes a {type(env).__name__}, not a Domain or a gymnasium.Env")
        obs, action = env.observation_space, env.action_space
        if not isinstance(action, Box):
            kind = "discrete" if isinstance(action, gymnasium.spaces.Discrete) else type(action).__name__
            raise RequestError(f"'{name}' has a {kind} action space: only Box actions can be transferred")
        if not isinstance(obs, Box):
            raise RequestError(f"'{name}' has {type(obs).__name__} observations: only Box; flatten them with a wrapper")
        if not action.is_bounded():
            raise RequestError(f"'{name}' has an unbounded action box: bound it with gymnasium's RescaleAction wrapper")
        low, high = (np.asarray(bound, np.float32).ravel() for bound in (action.low, action.high))
        self.spaces = Spaces(int(np.prod(obs.shape)), low.size, low, high)
        bounds = zip(numbered("obs", self.spaces.obs), obs.low.ravel().tolist(), obs.high.ravel().tolist(), strict=True)
        self.entries: tuple[Entry, ...] = tuple(replace(entry, low=a, high=b) for entry, a, b in bounds)
        # Hz, where the environment says so: MuJoCo's have a step's seconds, others at best the rate of their pictures
        rate = env.metadata.get("render_fps") if not hasattr(env.unwrapped, "dt") else 1 / float(env.unwrapped.dt)  # type: ignore[attr-defined]
        self.control_rate: float | None = None if rate is None else round(float(rate), 9)
        self.episode_steps = (env.spec and env.spec.max_episode_steps) or EPISODE_STEPS
        if first is None:
            env.close()

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    def __reduce__(self):
        from transreward.domains.domain import domain

        return domain, (self.name,)

    def drawn(self) -> GymDomain:
        """The same with environments that draw themselves. Raises RequestError, `no video: ...`, where they cannot."""
        return GymDomain(self.name, lambda: _drawing(self.name, self.make()))

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> GymSimulation:
        """n environments, freshly reset; see `Domain`. `threads` is without effect."""
        return GymSimulation(self, row_seeds(n, seed))


class GymSimulation:
    """n environments of one `GymDomain`; see `Simulation`.

    Its state is opaque: deep copies of what the environments hold, good in this process, not to be saved as arrays.
    """

    def __init__(self, domain: GymDomain, seeds: Sequence[tuple[int, int]]):
        self.domain, self._envs = domain, [domain.make() for _ in seeds]
        if len({id(env) for env in self._envs}) < len(seeds):
            raise RequestError(f"'{domain.name}' returns the same environment again, not a new one at each call")
        self.clock, self.steps = np.zeros(len(seeds), np.int64), 0
        self.obs = np.zeros((len(seeds), domain.spaces.obs))
        self.terms = {"reward": np.zeros(len(seeds))}
        for i, seed in enumerate(seeds):
            self._reset(i, int(np.random.SeedSequence(seed).generate_state(1)[0]))

    def step(self, action: np.ndarray) -> Transition:
        """One step of all rows; see `Simulation`."""
        spaces, n = self.domain.spaces, len(self._envs)
        obs, next_obs, reward = self.obs, np.empty_like(self.obs), np.empty(n)
        terminated, truncated = np.zeros(n, bool), np.zeros(n, bool)
        clipped = np.clip(np.asarray(action, float), spaces.low, spaces.high)
        self._check(np.isfinite(clipped).all(axis=1), "an action is not finite")
        for i, env in enumerate(self._envs):
            space = env.action_space
            act = clipped[i].reshape(space.shape or ()).astype(space.dtype)
            seen, reward[i], terminated[i], truncated[i], _ = env.step(act)
            next_obs[i] = np.ravel(seen)
        self._check(np.isfinite(next_obs).all(axis=1) & np.isfinite(reward), "an observation or reward is not finite")
        self.steps += 1
        self.clock += 1
        truncated |= self.clock >= self.domain.episode_steps
        self.terms = {"reward": reward.copy()}
        self.obs = next_obs.copy()
        for i in np.flatnonzero(terminated | truncated):
            self._reset(int(i))
        return Transition(obs, action, reward, next_obs, terminated, truncated)

    def pictures(self) -> list[np.ndarray]:
        """What each environment draws, uint8 [height, width, 3]; of a domain that is `drawn`."""
        return [np.asarray(env.render()) for env in self._envs]

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the continuation depends on; `layers` holds opaque objects.

        Raises:
            RequestError: an environment that cannot be copied.
        """
        layers = np.empty(len(self._envs), object)
        try:
            for i, env in enumerate(self._envs):
                layers[i] = _copy(env)
        except Exception as error:
            raise RequestError(f"the state of '{self.domain.name}' cannot be taken: {error}") from error
        return {"layers": layers, "obs": self.obs.copy(), "clock": self.clock.copy(), "steps": np.array(self.steps)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`, of a simulation of the same domain and number of rows."""
        for env, saved in zip(self._envs, state["layers"], strict=True):
            for layer, attributes in zip(_layers(env), copy.deepcopy(saved), strict=True):
                layer.__dict__.update(attributes)
        self.obs, self.clock, self.steps = state["obs"].copy(), state["clock"].copy(), int(state["steps"])

    def _reset(self, i: int, seed: int | None = None) -> None:
        self.obs[i] = np.ravel(self._envs[i].reset(seed=seed)[0])
        self.clock[i] = 0

    def _check(self, good: Any, why: str) -> None:
        if not good.all():
            raise BrokenSimulation(self.domain.name, self.steps, int(np.argmin(good)), why)


def _drawing(name: str, env: gymnasium.Env) -> gymnasium.Env:
    """The environment, or one made as it was, that draws itself into an array."""
    if env.render_mode == "rgb_array":
        return env
    if env.spec is None or "rgb_array" not in env.metadata.get("render_modes", ()):
        raise RequestError(f"no video: '{name}' does not draw itself: it has no render_mode 'rgb_array'")
    try:
        drawing = gymnasium.make(env.spec, render_mode="rgb_array")
        drawing.reset(seed=0)
        drawing.render()  # what drawing needs may be missing, and shows only here
    except Exception as error:  # an environment may raise anything
        raise RequestError(f"no video: '{name}' does not draw itself: {' '.join(str(error).split())}") from error
    env.close()
    return drawing


def _layers(env: gymnasium.Env) -> list[gymnasium.Env]:
    """The wrappers of an environment from the outside in, and itself."""
    layers = [env]
    while isinstance(layers[-1], gymnasium.Wrapper):
        layers.append(layers[-1].env)
    return layers


def _copy(env: gymnasium.Env) -> list[dict[str, object]]:
    """Deep copies of the attributes, layer by layer. A copy of the whole environment would not do: one that is an
    EzPickle, as MuJoCo's are, is copied by making it anew, without its state."""
    fixed = ("env", "spec", "_cached_spec", "mujoco_renderer")
    return copy.deepcopy([{k: v for k, v in vars(layer).items() if k not in fixed} for layer in _layers(env)])
