"""A twin of the target: what would the source have done in the states that the target visited?

`Twin` puts the source's simulator into the states that the target's observations show. If that is not possible, a model
learned from the source agent's steps answers instead (`learn_model`). The target's hidden state is never read, so this
also works for a real robot.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.nn import silu, softplus

from transreward import replay as rp
from transreward.domains.domain import Domain, table_robot
from transreward.networks import Normaliser, mlp, mlp_init
from transreward.replay import Replay
from transreward.streams.stream import unpaid
from transreward.types import Array, Key, Spaces, Steps, Transition

MODEL_HIDDEN, MODEL_UPDATES, MODEL_BATCH, MODEL_RATE = (128, 128), 5_000, 256, 1e-3


class Twin:
    """The source, for each seed, in states of the target. Its steps count as source steps: `pay` is called with a
    number of steps per seed before they are taken, and raises if they are not granted."""

    def __init__(
        self, domain: Domain, seeds: list[int], threads: int, model: Model | None, pay: Callable[[int], None] = unpaid
    ) -> None:
        self.domain, self.seeds, self.threads, self.model, self.pay = domain, seeds, threads, model, pay
        self._simulations: dict[int, Any] = {}  # rows -> simulation

    @property
    def kind(self) -> str:
        """What answers, "simulator" or "model"."""
        return "model" if self.model else "simulator"

    def replay(self, steps: Steps) -> Steps:
        """Target steps [seeds, steps, robots] repeated in the source: same states and actions, with the source's reward
        and successor. `truncated` marks states that could not be rebuilt exactly."""
        t, shape = steps.transition, steps.domain.shape
        obs, action = (x.reshape(shape[0], -1, x.shape[-1]) for x in (t.obs, t.action))
        taken = self.step(obs, action)
        return of_source(Transition(*(np.reshape(x, (*shape, *x.shape[2:])) for x in taken)))

    def step(self, obs: Array, action: Array) -> Transition:
        """One step from the states that `obs` [seeds, n, obs] show. `truncated` marks states that were not rebuilt
        exactly."""
        self.pay(obs.shape[1])
        if self.model is not None:
            change, terminated = self.model.answer(obs, action)
            successor, reward, unknown = obs + change[..., :-1], change[..., -1], np.zeros_like(terminated)
            return Transition(obs, action, reward, successor, terminated, unknown)
        simulation, shape = self._simulation(obs), obs.shape[:2]
        known = simulation.put(obs.reshape(-1, obs.shape[-1]))
        t = simulation.step(np.asarray(action).reshape(known.size, -1))
        successor, reward = t.next_obs.reshape(obs.shape), t.reward.reshape(shape)
        return Transition(obs, action, reward, successor, t.terminated.reshape(shape), ~known.reshape(shape))

    def ended(self, obs: Array) -> np.ndarray:
        """[seeds, n] bool: whether the task is terminated in the states that `obs` [seeds, n, obs] show."""
        if self.model is not None:
            return self.model.ended(obs)
        return self._simulation(obs).ended(obs.reshape(-1, obs.shape[-1])).reshape(obs.shape[:2])

    def branch(
        self,
        starts: np.ndarray,
        act: Callable[[Array, int], Array],
        correct: Callable[[Transition, int], Transition],
    ) -> Steps:
        """Short rollouts from `starts` [seeds, length, n, obs]. Returns steps [seeds, length, n].

        `act(obs, i)` chooses the actions of control step i; `correct(steps, i)` turns source steps into what the target
        would have done. A rollout that terminates continues from the next start; the last step is truncated.
        """
        obs, taken = starts[:, 0], []
        for i in range(starts.shape[1]):
            action = np.asarray(act(obs, i))
            t = correct(self.step(obs, action), i)
            next_obs = np.asarray(t.next_obs)
            terminated, last = self.ended(next_obs), i + 1 == starts.shape[1]
            taken.append(t._replace(terminated=terminated, truncated=np.full(terminated.shape, last)))
            obs = next_obs if last else np.where(terminated[..., None], starts[:, i + 1], next_obs)
        return of_source(Transition(*(np.stack(column, axis=1) for column in zip(*taken, strict=True))))

    def state(self) -> dict[str, np.ndarray]:
        """All that its next answers depend on: the states of its simulations, by their number of rows."""
        if table_robot(self.domain) is None:
            return {}
        found = {n: simulation.get_state() for n, simulation in self._simulations.items()}
        return {f"{n} {name}": x for n, state in found.items() for name, x in state.items()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continue from a `state`."""
        for n in sorted({int(name.partition(" ")[0]) for name in arrays}):
            state = {k.partition(" ")[2]: x for k, x in arrays.items() if k.startswith(f"{n} ")}
            self._simulation(np.empty((1, n, 0))).set_state(state)

    def _simulation(self, obs: Array) -> Any:
        n = obs.shape[0] * obs.shape[1]
        if n not in self._simulations:
            self._simulations[n] = self.domain.simulate(n, self.seeds, self.threads)
        return self._simulations[n]


def of_source(t: Transition) -> Steps:
    """Source steps [...] without reward terms."""
    t = Transition(*(np.asarray(x, np.float32) for x in t))
    return Steps(t, np.empty((*t.reward.shape, 0), np.float32), np.zeros(t.reward.shape, np.int32))


class ModelState(NamedTuple):
    """One seed's model of the source."""

    nets: dict[str, Any]  # "step": (s, a) -> (s' - s, r); "ended": s' -> logit
    rows: Normaliser  # over [s, a]
    changes: Normaliser  # over [s' - s, r]


class Model(NamedTuple):
    """A learned model of the source for all seeds, instead of a simulator that cannot be put into a state."""

    state: ModelState  # [seeds]
    low: Array
    high: Array

    @property
    def one(self) -> Any:
        """A callable pytree with leaves [seeds, ...]. That of one seed maps obs [n, obs] and action [n, action], within
        the box, to [s' - s, r], [n, obs + 1]."""
        return jax.tree_util.Partial(_change_of_one, self.state)

    def answer(self, obs: Array, action: Array) -> tuple[np.ndarray, np.ndarray]:
        """[s' - s, r], [seeds, n, obs + 1], and whether s' is terminal, [seeds, n] bool."""
        change = np.asarray(_change(self.state, obs, jnp.clip(action, self.low, self.high)))
        return change, self.ended(obs + change[..., :-1])

    def ended(self, obs: Array) -> np.ndarray:
        """[seeds, n] bool: whether states [seeds, n, obs] are terminal."""
        return np.asarray(_ended_logit(self.state, obs)) > 0


def _change_of_one(state: ModelState, obs: Array, action: Array) -> Array:
    x = state.rows(jnp.concatenate([obs, action], axis=-1))
    return state.changes.restored(mlp(state.nets["step"], x, silu))


_change = jax.jit(jax.vmap(_change_of_one))


@jax.jit
@jax.vmap
def _ended_logit(state: ModelState, obs: Array) -> Array:
    return _ended(state.nets, state.rows, obs)


def _ended(nets: dict[str, Any], rows: Normaliser, obs: Array) -> Array:
    """Logit of `obs` being terminal, with obs normalised as part of [s, a]."""
    size = obs.shape[-1]
    return mlp(nets["ended"], Normaliser(rows.mean[:size], rows.var[:size], rows.count)(obs), silu)[..., 0]


def model_loss(nets: dict[str, Any], state: ModelState, t: Transition) -> Array:
    """Mean square error of the normalised [s' - s, r] plus the cross-entropy of terminations, over steps [n, ...]."""
    seen, change = _rows(t)
    error = mlp(nets["step"], state.rows(seen), silu) - state.changes.scaled(change)
    logit = _ended(nets, state.rows, t.next_obs)
    return jnp.mean(error**2) + jnp.mean(softplus(logit) - t.terminated * logit)


def learn_model(replay: Replay, keys: Key, spaces: Spaces) -> Model:
    """A model of the source for each seed, fitted by least squares to the steps of the source agent's training."""
    state = _fit(replay, keys, spaces=spaces, updates=MODEL_UPDATES)
    return Model(state, np.asarray(spaces.low), np.asarray(spaces.high))


@partial(jax.jit, static_argnames=("spaces", "updates"))
def _fit(replay: Replay, keys: Key, spaces: Spaces, updates: int) -> ModelState:
    optimiser = optax.adam(MODEL_RATE)

    def one(replay: Replay, key: Key) -> ModelState:
        init_key, scale_key, key = jax.random.split(key, 3)
        step_key, ended_key = jax.random.split(init_key)
        sizes = (spaces.obs + spaces.action, *MODEL_HIDDEN, spaces.obs + 1)
        nets = {"step": mlp_init(step_key, sizes), "ended": mlp_init(ended_key, (spaces.obs, *MODEL_HIDDEN, 1), 0.0)}
        seen, change = _rows(rp.sample(replay, scale_key, 10_000).transition)
        starts = (Normaliser.start(x.shape[-1]).see(x) for x in (seen, change))
        state = ModelState(nets, *starts)

        def update(carry: Any, key: Key) -> tuple[Any, None]:
            nets, moments = carry
            grads = jax.grad(model_loss)(nets, state, rp.sample(replay, key, MODEL_BATCH).transition)
            step, moments = optimiser.update(grads, moments)
            return (optax.apply_updates(nets, step), moments), None

        (nets, _), _ = jax.lax.scan(update, (nets, optimiser.init(nets)), jax.random.split(key, updates))
        return state._replace(nets=nets)

    return jax.vmap(one, in_axes=(replay.axes, 0))(replay, keys)


def _rows(t: Transition) -> tuple[Array, Array]:
    """[s, a] and [s' - s, r]."""
    return (
        jnp.concatenate([t.obs, t.action], axis=-1),
        jnp.concatenate([t.next_obs - t.obs, t.reward[..., None]], axis=-1),
    )
