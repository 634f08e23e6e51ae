"""Most of the time of small runs is the compiler's."""

from __future__ import annotations

from contextlib import contextmanager

import jax


@contextmanager
def compiler(hurried):
    """Whether the compiler is told not to try hard: most of the time of these tests is its."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", hurried)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
