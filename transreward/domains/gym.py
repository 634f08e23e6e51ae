"""Gymnasium environments with Box spaces as domains: n copies, stepped one after another."""

from __future__ import annotations

import contextlib
import copy
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from transreward.domains.domain import (
    BrokenSimulation,
    altered,
    require_action,
    require_box,
    require_finite,
    row_seeds,
    without,
)
from transreward.domains.layers import apart, changing, layers, model_names, require_fixed_units, traits
from transreward.domains.names import Entry, numbered
from transreward.domains.users import in_one_line, look_beside_user, named, numbers, truths, unpacked
from transreward.types import BrokenRun, RequestError, Spaces, Transition, nearest

EPISODE_STEPS = 1000  # for environments that declare no limit
TRIAL = 8  # steps by which two environments with one seed are compared
LONGEST = 1_000_000  # control steps: a larger limit counts as none
REPEATING = {"RepeatAction": "num_repeats", "MaxAndSkipObservation": "_skip"}  # wrapper -> its number of repeats
FIVE = ("observation", "reward", "terminated", "truncated", "info")  # what `step` returns
# Packages of well-known namespaces and names, whose names often differ from the package's.
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
    look_beside_user()
    try:
        return GymDomain(name, lambda: gymnasium.make(id, disable_env_checker=True))
    except RequestError:
        raise
    except ModuleNotFoundError as error:
        module = getattr(error.__cause__ or error, "name", None) or id.partition(":")[0]  # Gymnasium raises its own
        missing = module.partition(".")[0]
        if missing not in _PACKAGES:  # a package of that name may be anybody's, so none is suggested
            raise RequestError(f"'{name}' cannot be made: there is no module {module} to import here") from error
        package = _PACKAGES[missing]
        raise RequestError(f"'{name}': the package {missing} is missing: pip install {package}") from error
    except (gymnasium.error.NameNotFound, gymnasium.error.NamespaceNotFound) as error:
        bare = id.rpartition(":")[2]
        package = next((package for prefix, package in _PACKAGES.items() if bare.startswith(prefix)), None)
        if package is None:
            raise nearest(id, gymnasium.registry, "Gymnasium id") from error
        hint = " and write gym:gymnasium_robotics:" + bare if package == "gymnasium-robotics" else ""
        raise RequestError(f"'{name}': its package is missing: pip install '{package}'{hint}") from error
    except (Exception, SystemExit) as error:  # an environment's constructor may raise anything
        raise RequestError(f"'{name}' cannot be made: {in_one_line(error)}") from error


class GymDomain:
    """A domain of Gymnasium environments. `make` returns a new one at each call; `first`, if given, is one already
    made. All are closed when their simulation, or the domain, is deleted.

    Warns if an environment declares no episode limit; episodes are then truncated after `EPISODE_STEPS`.

    Raises:
        RequestError: `make` returns something else, the same environment twice, or one without Box observations and a
            bounded Box of float actions.
    """

    reward_terms: tuple[str, ...] = ("reward",)

    def __init__(self, name: str, make: Callable[[], gymnasium.Env], first: object = None):
        self.name, self.make = name, make
        self._id = name  # makes it again, whatever it is renamed to
        self._idle: list[gymnasium.Env] = []  # made, but in no simulation
        self._made: list[weakref.ref[gymnasium.Env]] = []
        self._keeps = False
        weakref.finalize(self, _close, self._idle)
        env = self._new(make() if first is None else first)
        self._idle.append(env)
        obs, action = env.observation_space, env.action_space
        if not isinstance(action, Box):
            kind = "discrete" if isinstance(action, gymnasium.spaces.Discrete) else type(action).__name__
            raise RequestError(f"'{name}' has a {kind} action space: only Box actions can be transferred")
        if action.dtype.kind != "f":
            raise RequestError(f"'{name}' has actions of {action.dtype}: let a wrapper take floats and round them")
        if not isinstance(obs, Box):
            raise RequestError(f"'{name}' has {type(obs).__name__} observations: only Box; flatten them with a wrapper")
        if 0 in obs.shape:
            raise RequestError(f"'{name}' observes nothing: its observations have the shape {obs.shape}")
        require_fixed_units(f"'{name}'", env, "leave it out, since the learners here normalise observations themselves")
        self.changing, self.traits, self.model_names = changing(env), traits(env), model_names(env)
        self.shape, self.action_space = obs.shape, action
        low, high = (np.asarray(bound, np.float32).ravel() for bound in (action.low, action.high))
        names = [entry.name for entry in numbered("action", low.size)]
        require_box(name, names, low, high, "let a wrapper such as gymnasium's TransformAction bound it")
        self.spaces = Spaces(int(np.prod(obs.shape)), low.size, low, high)
        bounds = zip(numbered("obs", self.spaces.obs), obs.low.ravel().tolist(), obs.high.ravel().tolist(), strict=True)
        self.entries: tuple[Entry, ...] = tuple(replace(entry, low=a, high=b) for entry, a, b in bounds)
        self.control_rate = _control_rate(env)
        limit = _episode_steps(env)
        if limit is None:
            _warn(
                f"'{name}' names no limit of its episodes, so they are cut at {EPISODE_STEPS:,} control steps: "
                f"wrap it in gymnasium's TimeLimit, or register it with max_episode_steps"
            )
        self.episode_steps = limit or EPISODE_STEPS
        self._repeats = False  # whether the test that one seed gives one episode was made

    def __repr__(self) -> str:
        return f"domain({self.name!r})"

    def __reduce__(self):
        return _remake, (self._id,), {"name": self.name}

    def drawn(self) -> GymDomain:
        """The same domain with environments that render to arrays. Raises RequestError, `no video: ...`, if they
        cannot."""
        drawing = GymDomain(self.name, lambda: _drawing(self.name, self.make()))
        drawing._repeats = True
        return drawing

    def simulate(self, n: int, seed: int | Sequence[int] = 0, threads: int = 0) -> GymSimulation:
        """n environments, freshly reset; see `Domain`. `threads` has no effect.

        The first time that several environments are made, warns if one seed gives two different episodes. A single
        environment is not tested: it may be a real robot, which no seed can repeat.
        """
        rows = row_seeds(n, seed)
        if n > 1 and not self._repeats and not self._keeps:
            self._repeats = True
            self._repeat()
        envs = self._take(n)
        simulation = GymSimulation(self, envs, rows)
        if not self._keeps:
            weakref.finalize(simulation, _close, envs)
        return simulation

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """A context in which each simulation uses the environments of the previous one, which must not be stepped any
        more; they are closed at the end. So a real robot is one environment, however many simulations are made.
        """
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            self.close()

    def close(self) -> None:
        """Close all environments that are in no simulation."""
        _close(self._idle)

    def _take(self, n: int) -> list[gymnasium.Env]:
        """n environments, idle ones first. Raises RequestError if no more can be made."""
        while len(self._idle) < n:
            try:
                env = self._new(self.make())
                if env.action_space != self.action_space:
                    other = f"{self.action_space} and then {env.action_space}"
                    raise RequestError(f"'{self.name}' makes environments whose action boxes differ: {other}")
            except RequestError:
                raise
            except (Exception, SystemExit) as error:
                raise RequestError(f"'{self.name}' cannot be made again: {in_one_line(error)}") from error
            self._idle.append(env)
        envs = self._idle[:n]
        if not self._keeps:
            del self._idle[:n]
        return envs

    def _new(self, env: object) -> gymnasium.Env:
        """The environment. Raises RequestError if it is none, or one made before, even in another wrapper."""
        if not isinstance(env, gymnasium.Env):
            raise RequestError(f"'{self.name}' makes a {type(env).__name__}, not a Domain or a gymnasium.Env")
        core = layers(env)[-1]
        if any(made() is core for made in self._made):
            raise RequestError(f"'{self.name}' returns the same environment again, not a new one at each call")
        self._made = [made for made in self._made if made() is not None] + [weakref.ref(core)]
        return env

    def untried(self) -> GymDomain:
        """See `Tried`."""
        return altered(self, _repeats=True)

    def _repeat(self) -> None:
        """Warn unless two environments with one seed agree in their first steps and in the reset that follows."""
        walk = self.simulate(2, [0, 0])
        action = np.tile(self.spaces.low + 0.75 * (self.spaces.high - self.spaces.low), (2, 1))
        alike = np.array_equal(*walk.obs)
        for _ in range(TRIAL):
            if alike:
                t = walk.step(action)
                alike = t.reward[0] == t.reward[1] and np.array_equal(*t.next_obs)
        if alike:
            walk._ended[:] = True
            if np.array_equal(*walk.obs):
                return
        _warn(
            f"'{self.name}' behaves differently with the same seed, so no run of it can be repeated: let the "
            f"environment draw all its random numbers from self.np_random, which reset(seed=...) sets and reset() keeps"
        )


def _remake(id: str) -> GymDomain:
    module, _, factory = id.partition(":")
    return gym_domain(factory) if module == "gym" else GymDomain(id, named(module, factory, "factory"))


class GymSimulation:
    """n environments of one `GymDomain`; see `Simulation`.

    Environments are closed when nothing refers to the simulation any more. Its state is opaque: deep copies of the
    environments' attributes, valid in this process only, which cannot be saved as arrays.

    Raises:
        RequestError: the environments cannot be made or reset, or break the interface before the first step is done.
        BrokenSimulation: an observation of a reset is not finite in float32.
    """

    def __init__(self, domain: GymDomain, envs: list[gymnasium.Env], seeds: Sequence[tuple[int, int]]):
        self.domain, self._envs = domain, envs
        self._low, self._high = (b.astype(float).ravel() for b in (domain.action_space.low, domain.action_space.high))
        self.clock, self.steps = np.zeros(len(seeds), np.int64), 0
        self._obs, self._ended = np.zeros((len(seeds), domain.spaces.obs)), np.zeros(len(seeds), bool)
        self.terms = {"reward": np.zeros(len(seeds))}
        self.sparing, self.diverged = False, {}  # see `SparingSimulation`
        for i, seed in enumerate(seeds):
            self._reset(i, int(np.random.SeedSequence(seed).generate_state(1)[0]))
        require_finite(domain.name, "reset", "an observation", "obs", self.obs)

    @property
    def obs(self) -> np.ndarray:
        """[n, obs]. Environments whose episode ended are reset only when this is read."""
        self._begin()
        return self._obs

    def step(self, action: np.ndarray) -> Transition:
        """One step of all rows; see `Simulation`.

        Raises:
            RequestError: an environment breaks the interface in its first step.
            BrokenSimulation: an action is not finite in float32, or an environment fails in a later step; or an
                observation or reward is not finite and the simulation is not `sparing`.
        """
        name, n = self.domain.name, len(self._envs)
        obs, next_obs, reward = self.obs, np.empty_like(self.obs), np.empty(n)
        terminated, truncated = np.zeros(n, bool), np.zeros(n, bool)
        require_action(name, self.steps, np.asarray(action, float), (n, self.domain.spaces.action))
        # clipped in the precision of the box: its bounds rounded to float32 may lie outside
        acts = np.clip(np.asarray(action, float), self._low, self._high).astype(self.domain.action_space.dtype)
        for i, env in enumerate(self._envs):
            try:
                found = env.step(acts[i].reshape(self.domain.action_space.shape))
                seen, paid, over, cut, _ = unpacked("step()", found, FIVE)
                next_obs[i] = numbers("the observation of step()", seen, self.domain.shape).ravel()
                reward[i] = numbers("the reward of step()", paid, ())
                terminated[i] = truths("terminated of step()", over, ())
                truncated[i] = truths("truncated of step()", cut, ())
            except (Exception, SystemExit) as error:
                raise self._wrong(i, "step()", error) from error
        self.diverged = {}
        spared = self.diverged if self.sparing else None
        require_finite(name, self.steps, "an observation", "obs", next_obs, spared)
        require_finite(name, self.steps, "a reward", "the reward", reward, spared)
        self.steps += 1
        self.clock += 1
        truncated |= self.clock >= self.domain.episode_steps
        t = without(Transition(obs, action, reward, next_obs, terminated, truncated), self.diverged)
        self.terms = {"reward": t.reward.copy()}
        self._obs, self._ended = t.next_obs.copy(), np.logical_or(t.terminated, t.truncated)
        return t

    def pictures(self) -> list[np.ndarray]:
        """A picture of each environment, uint8 [height, width, 3]. Only for domains returned by `drawn`.

        Raises RequestError, `no video: ...`, if an environment renders anything else.
        """
        self._begin()
        return [_picture(self.domain.name, env) for env in self._envs]

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything that later steps depend on; `layers` holds opaque objects.

        Raises:
            RequestError: an environment cannot be copied.
        """
        layers, obs = np.empty(len(self._envs), object), self.obs.copy()
        try:
            for i, env in enumerate(self._envs):
                layers[i] = _copy(env)
        except Exception as error:
            raise RequestError(f"the state of '{self.domain.name}' cannot be taken: {error}") from error
        return {"layers": layers, "obs": obs, "clock": self.clock.copy(), "steps": np.array(self.steps)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`, of a simulation of the same domain and number of rows."""
        for env, saved in zip(self._envs, state["layers"], strict=True):
            for layer, attributes in zip(layers(env), copy.deepcopy(saved), strict=True):
                layer.__dict__.update(attributes)
        self._ended[:] = False
        self._obs, self.clock, self.steps = state["obs"].copy(), state["clock"].copy(), int(state["steps"])

    def _begin(self) -> None:
        """Reset the environments whose episode just ended."""
        if not self._ended.any():
            return
        for i in np.flatnonzero(self._ended):
            self._reset(int(i))
        require_finite(
            self.domain.name, f"reset after control step {self.steps - 1}", "an observation", "obs", self._obs
        )

    def _reset(self, i: int, seed: int | None = None) -> None:
        try:
            found = self._envs[i].reset(seed=seed)
            obs, _ = unpacked("reset()", found, ("observation", "info"))
            self._obs[i] = numbers("the observation of reset()", obs, self.domain.shape).ravel()
        except (Exception, SystemExit) as error:
            raise self._wrong(i, "reset()", error) from error
        self.clock[i], self._ended[i] = 0, False

    def _wrong(self, row: int, method: str, error: BaseException) -> Exception:
        """The error for what an environment did: a RequestError before the first valid step, then a BrokenRun."""
        if isinstance(error, BrokenRun):
            return error
        why = str(error) if isinstance(error, RequestError) else f"{method} failed: {in_one_line(error)}"
        if isinstance(error, TypeError) and "'seed'" in why:
            why = "reset() takes no seed: write def reset(self, *, seed=None, options=None)"
        if self.steps:
            return BrokenSimulation(self.domain.name, self.steps, row, why)
        return RequestError(f"'{self.domain.name}': {why}")


@cache
def _warn(text: str) -> None:
    """Warn once per process and text."""
    warnings.warn(text, stacklevel=3)


def _close(envs: list[gymnasium.Env]) -> None:
    """Close the environments and empty the list."""
    while envs:
        with contextlib.suppress(Exception):  # may run at exit, where no error can be handled
            envs.pop().close()


def _drawing(name: str, env: gymnasium.Env) -> gymnasium.Env:
    """The environment if its render mode is rgb_array, else one made anew from its spec with that mode."""
    if env.render_mode == "rgb_array":
        return env
    if "rgb_array" not in (env.metadata or {}).get("render_modes", ()):
        raise RequestError(f"no video: '{name}' does not draw itself: it has no render_mode 'rgb_array'")
    if env.spec is None:
        raise RequestError(f"no video: '{name}' was made without a render_mode: make it with render_mode='rgb_array'")
    try:
        drawing = gymnasium.make(env.spec, render_mode="rgb_array")
        changed = apart(env, drawing)  # by whoever made it, as by env.unwrapped.model.opt.gravity[:] *= 2
        drawing.reset(seed=0)
        drawing.render()  # a missing graphics library shows only here
    except Exception as error:  # an environment may raise anything
        raise RequestError(f"no video: '{name}' does not draw itself: {in_one_line(error)}") from error
    env.close()
    if changed:
        drawing.close()
        what = f"'{name}' was changed after gymnasium.make ({changed[0]}), and what its spec makes was not"
        raise RequestError(f"no video: {what}: make it with render_mode='rgb_array'")
    return drawing


def _picture(name: str, env: gymnasium.Env) -> np.ndarray:
    try:
        drawn = np.array(env.render())
    except Exception as error:
        raise RequestError(f"no video: '{name}' does not draw itself: {in_one_line(error)}") from error
    if drawn.dtype != np.uint8 or drawn.ndim != 3 or drawn.shape[2] != 3:
        seen = f"{drawn.dtype} {drawn.shape}" if drawn.shape else str(drawn)
        raise RequestError(f"no video: render() of '{name}' must return uint8 (height, width, 3), not {seen}")
    return drawn


def _episode_steps(env: gymnasium.Env) -> int | None:
    """Control steps after which the environment truncates an episode; None if no layer declares a limit."""
    stack, each = layers(env), [1]  # steps of each layer per control step: the wrappers around it may repeat actions
    for layer in stack:
        each.append(each[-1] * getattr(layer, REPEATING.get(type(layer).__name__, ""), 1))
    named = [getattr(layer, "_max_episode_steps", None) for layer in stack]  # TimeLimit has it, and many others
    specs = [getattr(layer.spec, "max_episode_steps", None) for layer in stack]
    for limits in (named, specs):
        given = zip(limits, each, strict=False)
        known = [-(-int(n) // k) for n, k in given if isinstance(n, (int, float, np.number)) and 1 <= n <= LONGEST]
        if known:
            return min(known)
    return None


def _control_rate(env: gymnasium.Env) -> float | None:
    """Control steps per second (Hz) of Gymnasium's MuJoCo environments; None = not known.

    Elsewhere `dt` may be a physics step, and `render_fps` is about pictures. A wrapper with a `step` of its own may
    repeat actions, so the rate is not known either.
    """
    *wrappers, core = layers(env)
    try:
        seconds = core.model.opt.timestep * core.frame_skip  # type: ignore[attr-defined]
        said = float(core.dt)  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError):
        return None
    plain = all(type(layer).step.__module__ in ("gymnasium.core", "gymnasium.wrappers.common") for layer in wrappers)
    return round(1 / seconds, 9) if plain and said == seconds > 0 else None


def _copy(env: gymnasium.Env) -> list[dict[str, object]]:
    """Deep copies of the attributes, layer by layer. Copying the whole environment would lose its state if it is an
    EzPickle, as MuJoCo's are: those are copied by making them anew."""
    fixed = ("env", "spec", "_cached_spec", "mujoco_renderer")
    return copy.deepcopy([{k: v for k, v in vars(layer).items() if k not in fixed} for layer in layers(env)])
