"""The weights of several sources while a stage runs: what `gaps/mixture.py` learns from the stored steps."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward import replay as rp
from transreward.draws import stream as draw
from transreward.engine.programs import started
from transreward.gaps.mixture import Mixture, MixtureState
from transreward.plan.streams import weighs
from transreward.replay import Replay
from transreward.request.config import Config
from transreward.row import Method
from transreward.types import Array, Key, Metrics, Pair, Transition

HELD_OUT = 1024  # target steps, drawn from those kept from training, by which sources are judged


def begun(config: Config, row: Method, replays: Pair[Replay | None], keys: Key) -> MixtureState | None:
    """Equal weights [seeds, K]; None for a stage that does not ask for any, or stores no steps of both sides."""
    if not weighs(config, row) or replays.source is None or replays.target is None:
        return None
    return started(Mixture(len(config.sources)), replays.source.spaces, draw(keys, "sources"))


def learned(state: MixtureState, replays: Pair[Any], keys: Key, updates: int) -> tuple[MixtureState, Metrics]:
    """The state [seeds] after so many updates, and its figures of each source [seeds]. `keys` [seeds] are the
    round's."""
    sources = state.weights.shape[-1]
    state = _program(Mixture(sources))(state, replays, draw(keys, "sources"), updates)
    return state, {f"source_{k + 1}_{name}": x for k in range(sources) for name, x in _figures(state, k).items()}


def told(state: MixtureState | None, k: int) -> dict[str, Any]:
    """What result.json says of the k-th source, seed by seed; nothing without weights."""
    return {} if state is None else {name: np.asarray(x).tolist() for name, x in _figures(state, k).items()}


def _figures(state: MixtureState, k: int) -> dict[str, Array]:
    return {"weight": state.weights[:, k], "divergence": state.divergence[:, k]}


@lru_cache(maxsize=8)
def _program(mixture: Mixture) -> Any:
    return jax.jit(partial(_learn, mixture), static_argnums=3)


def _learn(mixture: Mixture, states: MixtureState, replays: Pair[Replay], keys: Key, updates: int) -> MixtureState:
    """Train on as many steps of each source as of the target, then judge the sources on held-out target steps."""
    n, alone = mixture.classifier.batch, jnp.eye(mixture.sources)

    def one(state: MixtureState, replays: Pair[Replay], key: Key) -> MixtureState:
        def of_source(weights: Array, key: Key) -> Transition:
            return rp.sample(rp.weighted(replays.source, weights), key, n, "train").transition

        def step(state: MixtureState, key: Key) -> tuple[MixtureState, None]:
            source_key, target_key, update_key = jax.random.split(key, 3)
            sources = jax.vmap(of_source)(alone, jax.random.split(source_key, mixture.sources))
            target = rp.sample(replays.target, target_key, n, "train").transition
            return mixture.update(state, sources, target, update_key), None

        keys = jax.random.split(key, updates + 1)
        state, _ = jax.lax.scan(step, state, keys[:-1])
        return mixture.judge(state, rp.sample(replays.target, keys[-1], HELD_OUT, "held_out").transition)

    return jax.vmap(one, in_axes=(0, replays.map(lambda r: r.axes), 0))(states, replays, keys)
