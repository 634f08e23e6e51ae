"""Small networks as plain pytrees: multilayer perceptrons, the tanh-normal, and the running normaliser.

Everything here is pure, so that `jit`, `vmap` over seeds and safetensors work on it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from transreward.types import Array, Key

Layers = list[dict[str, Array]]  # [{"w": [in, out], "b": [out]}, ...]

LOG_2 = 0.6931471805599453
LOG_SQRT_2PI = 0.9189385332046727


def mlp_init(key: Key, sizes: Sequence[int], last_scale: float = 1.0) -> Layers:
    """Orthogonal weights (gain sqrt 2, the last layer `last_scale`), zero biases."""
    keys = jax.random.split(key, len(sizes) - 1)
    gains = [2**0.5] * (len(sizes) - 2) + [last_scale]
    return [
        {"w": gain * orthogonal(k, fan_in, fan_out), "b": jnp.zeros(fan_out)}
        for k, gain, fan_in, fan_out in zip(keys, gains, sizes[:-1], sizes[1:], strict=True)
    ]


def orthogonal(key: Key, rows: int, columns: int) -> Array:
    """A random matrix with orthonormal rows or columns, whichever are fewer: the polar factor of a normal one.

    By Newton and Schulz's iteration, X <- (3 X - X X' X) / 2, which is matrix products alone: a QR decomposition takes
    seconds to compile on a CPU.
    """
    x = jax.random.normal(key, (max(rows, columns), min(rows, columns)))
    x = x / jnp.linalg.norm(x)  # singular values in (0, 1]; each step lifts the small ones by half
    x = jax.lax.fori_loop(0, 40, lambda _, x: 1.5 * x - 0.5 * x @ (x.T @ x), x)
    return x if rows >= columns else x.T


def mlp(
    layers: Layers, x: Array, activation: Callable[[Array], Array] = jax.nn.relu, layer_norm: bool = False
) -> Array:
    """[..., in] -> [..., out]. `layer_norm` standardises each hidden layer before its activation."""
    *hidden, last = layers
    for layer in hidden:
        x = x @ layer["w"] + layer["b"]
        x = activation(jax.nn.standardize(x) if layer_norm else x)
    return x @ last["w"] + last["b"]


def blended(slow: Any, fast: Any, share: float) -> Any:
    """Slow networks a step on their way to fast ones (Polyak averaging)."""
    return jax.tree.map(lambda s, f: s + share * (f - s), slow, fast)


def normal_log_prob(x: Array, mean: Array, log_std: Array) -> Array:
    """Log density of a diagonal normal, summed over the last axis."""
    return jnp.sum(-0.5 * ((x - mean) * jnp.exp(-log_std)) ** 2 - log_std - LOG_SQRT_2PI, axis=-1)


def tanh_normal(noise: Array, mean: Array, log_std: Array) -> tuple[Array, Array]:
    """A draw of tanh(N(mean, std)), [..., action] in (-1, 1), and its log density [...] (SAC paper, appendix C).

    `noise` [..., action] is a draw of the standard normal.
    """
    raw = mean + noise * jnp.exp(log_std)
    log_density = jnp.sum(-0.5 * noise**2 - log_std - LOG_SQRT_2PI, axis=-1)
    # log(1 - tanh(u)^2) in a form that does not lose digits at large |u|
    log_slope = jnp.sum(2.0 * (LOG_2 - raw - jax.nn.softplus(-2.0 * raw)), axis=-1)
    return jnp.tanh(raw), log_density - log_slope


class Normaliser(NamedTuple):
    """Running mean and variance of vectors (Chan et al. 1979), shared by both domains and saved with the policy."""

    mean: Array  # [d]
    var: Array  # [d]
    count: Array  # []

    @staticmethod
    def start(size: int) -> Normaliser:
        """No data yet: the identity."""
        return Normaliser(jnp.zeros(size), jnp.ones(size), jnp.zeros(()))

    def see(self, x: Array) -> Normaliser:
        """Take in the rows of x [..., d]. Sums are of differences from the first row, so that float32 keeps a spread
        far below the mean, and a constant has none."""
        x = x.reshape(-1, x.shape[-1])
        apart = x - x[0]
        n, mean, var = x.shape[0], apart.mean(axis=0), apart.var(axis=0)
        total = self.count + n
        delta = (x[0] - self.mean) + mean
        spread = self.var * self.count + var * n + delta**2 * self.count * n / total
        return Normaliser(self.mean + delta * n / total, spread / total, total)

    def __call__(self, x: Array) -> Array:
        """Standardised, clipped to +-10: for what a network is asked about."""
        return jnp.clip((x - self.mean) * jax.lax.rsqrt(self.var + 1e-8), -10.0, 10.0)

    @property
    def unit(self) -> Array:
        """Standard deviation, [d]; 1 where nothing has varied."""
        none = 1e-13 * self.mean**2  # what float32's rounding of the mean may leave of a variance
        return jnp.where(self.var > none, jnp.sqrt(self.var + 1e-8), 1.0)

    def scaled(self, x: Array) -> Array:
        """(x - mean) / unit, not clipped: for what a network is to answer. A clipped target would be learned as the
        bound, and the loss would not show it."""
        return (x - self.mean) / self.unit

    def restored(self, x: Array) -> Array:
        """The inverse of `scaled`."""
        return x * self.unit + self.mean
