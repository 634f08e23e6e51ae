"""What a policy would earn where only a log is: an estimate by fitted Q evaluation (Le et al. 2019, arXiv:1903.08738).

Q learns r + gamma Q_slow(s', a') from the logged steps, with a' the policy's; the mean over the first observations of
the log's episodes is the estimate. It extrapolates wherever the policy does what nobody did, and is no return: whoever
took the log is estimated in the same way, with a' the next logged action, for comparison.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from transreward.domains.logs.log import Log
from transreward.networks import Layers, Normaliser, blended, mlp, mlp_init
from transreward.types import Array, Key

HIDDEN, RATE, BATCH, POLYAK, UPDATES = (64, 64), 1e-3, 256, 0.01, 4_000


class Estimate(NamedTuple):
    """Discounted returns from the first observations of a log's episodes."""

    per_seed: np.ndarray  # [seeds], of the policies
    log: float  # of whoever took it
    discount: float


def fitted(first: np.ndarray, following: np.ndarray, log: Log, discount: float) -> Estimate:
    """Of policies that do `first` [seeds, episodes, action] at the first observation of each episode of a log and
    `following` [seeds, n, action] at its next observations."""
    own = np.concatenate([log.action[1:], log.action[-1:]])  # of who took the log; not known where an episode is cut
    counts = np.ones((len(following) + 1, len(log)), np.float32)
    counts[-1] = ~(log.truncated & ~log.terminated)
    following = np.concatenate([following, own[None]]).astype(np.float32)
    first = np.concatenate([first, log.action[log.begins][None]]).astype(np.float32)
    unit = max(float(np.abs(log.reward).mean()), 1e-8)
    columns = (log.obs, log.action, log.reward / unit, log.next_obs, log.terminated)
    steps = tuple(jnp.asarray(x, jnp.float32) for x in columns)
    keys = jax.random.split(jax.random.key(0), len(first))
    found = np.asarray(_all(keys, steps, following, counts, steps[0][log.begins], first, jnp.float32(discount))) * unit
    return Estimate(found[:-1], float(found[-1]), discount)


@jax.jit
def _all(
    keys: Key, steps: tuple[Array, ...], following: Array, counts: Array, begins: Array, first: Array, discount: Array
) -> Array:
    """The estimate of each policy, [policies]."""
    seen, action = (Normaliser.start(x.shape[-1]).see(x) for x in steps[:2])

    def q(layers: Layers, obs: Array, act: Array) -> Array:
        return mlp(layers, jnp.concatenate([seen(obs), action(act)], axis=-1))[..., 0]

    def one(key: Key, following: Array, counts: Array, first: Array) -> Array:
        init_key, key = jax.random.split(key)
        layers = mlp_init(init_key, (steps[0].shape[-1] + steps[1].shape[-1], *HIDDEN, 1))
        optimiser = optax.adam(optax.cosine_decay_schedule(RATE, UPDATES))

        def update(carry: tuple, key: Key) -> tuple[tuple, None]:
            layers, slow, moments = carry
            rows = jax.random.choice(key, len(counts), (BATCH,), p=counts / counts.sum())
            obs, act, reward, next_obs, ended = (x[rows] for x in steps)
            target = reward + discount * (1.0 - ended) * q(slow, next_obs, following[rows])
            grads = jax.grad(lambda layers: jnp.mean((q(layers, obs, act) - target) ** 2))(layers)
            step, moments = optimiser.update(grads, moments)
            layers = optax.apply_updates(layers, step)
            return (layers, blended(slow, layers, POLYAK), moments), None

        (layers, _, _), _ = jax.lax.scan(
            update, (layers, layers, optimiser.init(layers)), jax.random.split(key, UPDATES)
        )
        return q(layers, begins, first).mean()

    return jax.vmap(one)(keys, following, counts, first)
