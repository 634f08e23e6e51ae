"""What all tests share: a process that does not run out of room for compiled programs."""

from __future__ import annotations

import gc
from pathlib import Path

import jax
import pytest
from quick import compiler

from transreward.engine.programs import programs

MAPS = Path("/proc/self/maps")
MOST = 20_000  # of the 65,530 memory maps that Linux gives a process; a compiled program takes about six of them


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """Let go of what earlier files compiled, where there is much of it: without maps left the compiler crashes."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST:
        programs.cache_clear()
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="module")
def hurry():
    """The same for a file of tests: `pytestmark = pytest.mark.usefixtures("hurry")`."""
    with compiler(hurried=True):
        yield
