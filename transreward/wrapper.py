"""A compensated reward for any other library: Gymnasium wrappers over a compensation that was learned here.

A compensation works on batches of both domains. A wrapped environment gives it the steps of one, on the side whose
rewards the compensation changes, with what it learned held fixed; the other side's batch is empty.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from transreward.domains.layers import changing, require_fixed_units, traits
from transreward.types import SHOWN, Adjusted, Array, BrokenRun, Pair, RequestError, Transition, nearest
from transreward.uses.compensation import Compensation

STATE_VALUE = "a function [n, obs] -> [n] of JAX arrays"
POLICY = "a function [n, obs] -> [n, action] of JAX arrays"
WANTED = {  # extras of `adjust` that a user can give -> what they are
    "value": f"the learner's state value, {STATE_VALUE}",
    "source_value": f"the source agent's state value, {STATE_VALUE}",
    "source_q": "the source agent's value of actions, a function [n, obs], [n, action] -> [n] of JAX arrays",
    "act": f"the learner's policy, {POLICY}",
    "source_act": f"the source agent's policy, {POLICY}",
    "source_acts": "each source agent's policy, a function [n, obs] -> [sources, n, action] of JAX arrays",
    "discount": "the learner's discount",
    "done": "how much of what fades is over, in [0, 1]",
}


class Adjusting:
    """The compensation of n steps at a time, compiled once.

    Raises RequestError for a compensation that a single step does not have, an extra that it asks for and was not
    given, and environments whose spaces are not those that it was learned on.
    """

    def __init__(
        self, env: Any, observation: gymnasium.Space, action: gymnasium.Space, n: int, compensation: Compensation,
        state: Any, extra: dict[str, Any],
    ) -> None:  # fmt: skip
        for name, space in (("observations", observation), ("actions", action)):
            if not isinstance(space, Box):
                raise RequestError(
                    f"only Box {name} can be compensated, not {type(space).__name__}: flatten them first"
                )
        require_fixed_units("this environment", env, "wrap it around CompensatedReward")
        if isinstance(compensation, LearnedOn):
            compensation.require(env, observation, action)
        use = compensation.use
        if use.relative:
            raise RequestError(f"'{use.name}' {use.relative}: wrap a method that pays, such as penalty(classifier)")
        for name in extra:
            if name not in WANTED:
                raise nearest(name, WANTED, "extra of a compensation")
        self.n, self.obs, self.action = n, int(np.prod(observation.shape or ())), int(np.prod(action.shape or ()))
        self.state = jax.tree.map(jnp.asarray, state)
        self.steps = 0  # calls so far
        given = {name: value for name, value in extra.items() if value is not None}
        self._adjust = jax.jit(on_its_side(compensation, {**dict.fromkeys((*SHOWN, "source_model")), **given}))
        self._require(use.name)

    def _require(self, use: str) -> None:
        """Trace the compensation without computing anything: what it lacks shows."""
        shapes = (self.n, self.obs), (self.n, self.action), self.n, (self.n, self.obs), self.n, self.n
        blank = self._steps(*(np.zeros(shape) for shape in shapes))
        try:
            made = {x.shape for x in jax.eval_shape(self._adjust, self.state, blank)}
            if made != {(self.n,)}:
                raise TypeError(f"it makes {made} of {self.n} rewards")
        except KeyError as missing:
            name = missing.args[0] if missing.args else None
            if name not in WANTED:
                raise
            raise RequestError(
                f"'{use}' asks for {name}, {WANTED[name]}: pass {name}=..., or **result.extras(seed) of the run"
            ) from None
        except (AttributeError, TypeError, ValueError) as error:
            why = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise RequestError(
                f"the compensation does not take {self.obs} observations and {self.action} actions: wrap the "
                f"environment that it was learned on, with its state of one seed ({why})"
            ) from error

    def _steps(self, *parts: Any) -> Transition:
        """As the replay would hold them."""
        obs, action, reward, next_obs, terminated, truncated = (np.asarray(x, np.float32) for x in parts)
        wide, flat = (self.n, self.obs), (self.n,)
        return Transition(
            obs.reshape(wide), action.reshape(self.n, self.action), reward.reshape(flat), next_obs.reshape(wide),
            terminated.reshape(flat), truncated.reshape(flat),
        )  # fmt: skip

    def __call__(self, *steps: Any) -> tuple[np.ndarray, np.ndarray]:
        """What is added to the rewards of n steps (the fields of a Transition), and their weights; each [n] float64.

        Raises BrokenRun where one of them is not finite.
        """
        self.steps += 1
        delta, weight = (np.asarray(x, float) for x in self._adjust(self.state, self._steps(*steps)))
        if not (np.isfinite(delta).all() and np.isfinite(weight).all()):
            row = int(np.argmin(np.isfinite(delta) & np.isfinite(weight)))
            raise BrokenRun(f"the compensation of row {row} is not finite at step {self.steps}")
        return delta, weight


@dataclass(frozen=True)
class LearnedOn(Compensation):
    """A compensation that knows the run that it was learned in."""

    config: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)  # as config.json

    def require(self, env: Any, observation: Any, action: Any) -> None:
        """Raise RequestError for an environment whose columns mean something else than those that it was learned on, or
        that is the other domain's; warn where a wrapper may have changed them."""
        spaces, pays = self.config["spaces"], self.side
        if action.low.size == spaces["action"]:
            _require_bounds("actions", action, spaces["low"], spaces["high"])
        if "changing" not in spaces:  # of a version that did not write down more
            return
        if observation.low.size == spaces["obs"]:
            _require_bounds("observations", observation, spaces["obs_low"], spaces["obs_high"])
        if self.use.both:
            pays = "source" if changing(env) == spaces["changing"]["source"] else "target"
        else:
            self._require_side(env, pays)
        if changing(env) != spaces["changing"][pays]:
            there, here = (", ".join(x) or "none" for x in (spaces["changing"][pays], changing(env)))
            warnings.warn(
                f"this environment's numbers went through other wrappers ({here}) than those that the compensation was "
                f"learned on ({there}): wrap CompensatedReward around what was learned on, and the rest around it",
                stacklevel=4,
            )

    def _require_side(self, env: Any, pays: str) -> None:
        """Raise RequestError for the other domain's environment, by what tells it from the one that is paid."""
        own, other = (0, 1) if pays == "source" else (1, 0)
        found, apart = traits(env), self.config["spaces"]["apart"]
        votes = [[found.get(key) == values[side] for key, values in apart.items()] for side in (own, other)]
        if any(votes[1]) and not any(votes[0]):
            names = self.config["source"], self.config["target"]
            raise RequestError(
                f"'{self.config['method']}' pays the steps of the {pays}, '{names[own]}', and this environment is "
                f"'{names[other]}': {', '.join(key for key in apart)} differ"
            )


def _require_bounds(what: str, space: Box, low: list[float | None], high: list[float | None]) -> None:
    """Raise RequestError where both boxes end, and not in one place. Actions' boxes always end."""
    here = np.stack([np.ravel(space.low), np.ravel(space.high)]).astype(float)
    there = np.array([low, high], float)  # null becomes nan
    known = np.isfinite(there) & (np.isfinite(here) | (what == "actions"))
    differ = (known & ~np.isclose(here, there)).any(axis=0)
    if differ.any():
        first = int(np.argmax(differ))
        ours, theirs = (f"[{x[0, first]:g}, {x[1, first]:g}]" for x in (here, there))
        raise RequestError(
            f"this environment's {what} lie in {ours}, and those that the compensation was learned on in {theirs}: "
            f"wrap CompensatedReward around the environment that it was learned on, and what rescales that around both"
        )


def on_its_side(compensation: Compensation, extra: dict[str, Any]) -> Callable[[Any, Transition], tuple[Array, Array]]:
    """state, steps [n] of the compensation's side -> what it adds to their rewards, and their weights."""

    def adjust(state: Any, steps: Transition) -> tuple[Array, Array]:
        none = jax.tree.map(lambda x: x[:0], steps)
        batches = Pair(none, none)._replace(**{compensation.side: steps})
        found: Adjusted = getattr(compensation.adjust(state, batches, **extra), compensation.side)
        return found.reward - steps.reward, found.weight

    return adjust


class CompensatedReward(gymnasium.Wrapper):
    """Pays `env`'s steps their compensated reward.

        result = tr.load("runs/low-gravity")
        env = tr.CompensatedReward(gymnasium.make("Hopper-v5"), *result.compensation(seed=0), **result.extras(seed=0))

    `compensation` and `state` (of one seed) are those of a finished run and stay as they are: the reward is a fixed
    function of (s, a, r, s', terminated). `env` is the domain whose steps the compensation pays: the source for a
    penalty, the target for an imitation or a blend, either for a potential. `info` has `raw_reward`; `compensation`,
    what was added to it; and `weight`, how much the step should count (1 but for `paired`), which this wrapper cannot
    make a learner do. A step that terminated has no successor's value; one that was truncated has.

    `extra` are for compensations that ask for them: `value`, `source_value` ([n, obs] -> [n], of JAX arrays, in units
    of the raw reward), `source_q` ([n, obs], [n, action] -> [n], in the same units), `act`, `source_act` ([n, obs] ->
    [n, action]), `discount` and `done` (in [0, 1]); `result.extras(seed)` has all that its own does.

    Raises RequestError for a compensation that needs a whole batch, a missing extra, and spaces that do not fit.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        compensation: Compensation,
        state: Any,
        **extra: Any,
    ) -> None:
        if isinstance(env, VectorEnv):
            raise RequestError("this is a vector environment: use CompensatedVectorReward")
        super().__init__(env)
        self._adjusting = Adjusting(env, env.observation_space, env.action_space, 1, compensation, state, extra)
        self._obs: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._obs = np.array(obs)  # a copy: an environment may write its next observation into the same array
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """As the environment's, with the compensated reward."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        raw = float(reward)
        delta, weight = self._adjusting(self._obs, action, raw, obs, terminated, truncated)
        self._obs = np.array(obs)
        told = {"raw_reward": raw, "compensation": float(delta[0]), "weight": float(weight[0])}
        return obs, raw + float(delta[0]), terminated, truncated, {**info, **told}


class CompensatedVectorReward(VectorWrapper):
    """`CompensatedReward` for a vector environment, all of its rows in one call.

    A row whose episode ended is reset by the next step (NEXT_STEP autoreset, Gymnasium's default) and not stepped: it
    is no transition and gets its raw reward, compensation 0 and weight 0. Under SAME_STEP the true successor is taken
    from `info["final_obs"]`.
    """

    def __init__(
        self,
        env: VectorEnv,
        compensation: Compensation,
        state: Any,
        **extra: Any,
    ) -> None:
        if not isinstance(env, VectorEnv):
            raise RequestError("this is no vector environment: use CompensatedReward")
        super().__init__(env)
        self._mode = env.metadata.get("autoreset_mode")
        if self._mode not in list(AutoresetMode):
            raise RequestError("the environment's metadata has no autoreset_mode, so its resets cannot be told apart")
        spaces = env.single_observation_space, env.single_action_space
        self._adjusting = Adjusting(env, *spaces, env.num_envs, compensation, state, extra)
        self._obs: Any = None
        self._ended = np.zeros(env.num_envs, bool)  # rows that the next step resets

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """As the environment's."""
        obs, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        renewed = (options or {}).get("reset_mask")  # None: all rows
        self._obs, self._ended = np.array(obs), self._ended & ~np.asarray(True if renewed is None else renewed)
        return obs, info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """As the environment's, with the compensated rewards."""
        obs, reward, terminated, truncated, info = self.env.step(actions)
        raw, ended = np.asarray(reward, float), np.logical_or(terminated, truncated)
        real, successor = ~self._ended, np.array(obs)
        if self._mode == AutoresetMode.SAME_STEP:
            for i in np.flatnonzero(ended):
                successor[i] = info["final_obs"][i]
        delta, weight = self._adjusting(self._obs, actions, raw, successor, terminated, truncated)
        delta, weight = np.where(real, delta, 0.0), np.where(real, weight, 0.0)
        self._obs = np.array(obs)
        self._ended = ended if self._mode == AutoresetMode.NEXT_STEP else np.zeros_like(ended)
        told = {"raw_reward": raw.copy(), "compensation": delta, "weight": weight}
        told |= {f"_{name}": np.ones(self.num_envs, bool) for name in tuple(told)}
        return obs, raw + delta, terminated, truncated, {**info, **told}
