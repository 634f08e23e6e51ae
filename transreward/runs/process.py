"""What a process does before it computes."""

from __future__ import annotations

from contextlib import suppress

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def prepare_process() -> None:
    """Keep compiled programs between runs, so that a second run starts at once; none where TRANSREWARD_CACHE is ''.
    And have the C library keep freed memory in two places, not in one for each of XLA's threads."""
    import ctypes

    import jax

    from transreward.runs.store import cache

    with suppress(AttributeError, OSError, TypeError):  # not the GNU C library: it does as it always does
        ctypes.CDLL(None).mallopt(ARENA_MAX, 2)
    place = cache()
    if place is None:
        return
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
