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


def robots(domain, seeds, n, threads=0, *, terms=0, **more):
    """n robots of each seed that walk in a domain, and store terms if there are to be any."""
    from transreward.streams.stream import Stream
    from transreward.streams.walk import Walk

    return Walk(Stream("source", "walk", "source", "free", n, terms=terms), domain, seeds, threads, **more)


@contextmanager
def compilations():
    """A list that grows with each program that is compiled meanwhile."""
    compiled = []

    def listen(event, seconds, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield compiled
    jax.monitoring.unregister_event_duration_listener(listen)
