"""What all tests share: a process that does not run out of room for compiled programs."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

# XLA's older emitters compile in half the time and make programs that run as fast; the bits are others, so tests of
# bits set flags of their own. Read once, when jax starts, and by the processes that tests start.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
    ]
)

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


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    """What one worker compiled, or let go of, is there for all: most programs are wanted by several files of tests."""
    place = (
        tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else tmp_path_factory.getbasetemp()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSREWARD_CACHE", str(place / "compiled"))
        patch.setenv("TRANSREWARD_AGENTS", "")  # every test trains its own
        jax.config.update("jax_compilation_cache_dir", str(place / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        yield


@pytest.fixture(scope="module")
def hurry():
    """The same for a file of tests: `pytestmark = pytest.mark.usefixtures("hurry")`."""
    with compiler(hurried=True):
        yield


@pytest.fixture
def heard():
    """Signals as in a terminal's foreground: what runs in the background or under nohup ignores some, and so do the
    processes that it starts."""
    heard = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
