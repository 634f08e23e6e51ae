"""A memory of target steps inside a gap's state, for the estimators that compare a step with them directly."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from transreward.types import Array


class Memory(NamedTuple):
    """A ring of rows; the oldest give way."""

    rows: Array  # [size, d]; raw, so that the scale may still move
    count: Array  # [] int32, rows ever put in

    @staticmethod
    def start(size: int, width: int) -> Memory:
        """Empty."""
        return Memory(jnp.zeros((size, width)), jnp.zeros((), jnp.int32))

    def put(self, rows: Array) -> Memory:
        """Put in rows [n, d], n <= size."""
        slots = (self.count + jnp.arange(rows.shape[0])) % self.rows.shape[0]
        return Memory(self.rows.at[slots].set(rows), self.count + rows.shape[0])

    @property
    def filled(self) -> Array:
        """Which slots hold a row, [size] bool."""
        return jnp.arange(self.rows.shape[0]) < self.count


def squared_distances(x: Array, y: Array) -> Array:
    """[n, d], [m, d] -> [n, m]; by a matrix product, so that nothing of size n * m * d is made."""
    squares = jnp.sum(x**2, axis=-1)[:, None] + jnp.sum(y**2, axis=-1)[None, :]
    return jnp.maximum(squares - 2.0 * x @ y.T, 0.0)
