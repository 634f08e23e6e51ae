"""What is installed, and whether it works."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata

from transreward.runs.store import versions

OPTIONAL = {"gymnasium-robotics": "gym:gymnasium_robotics:...", "torch": "peers in benchmarks", "matplotlib": "plots"}


def report() -> bool:
    """Print a line per thing; False if something that the main job needs does not work."""
    print(f"python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    for package, purpose in OPTIONAL.items():
        try:
            print(f"{package} {metadata.version(package)} ({purpose})")
        except metadata.PackageNotFoundError:
            print(f"{package} is not installed ({purpose})")
    return all([_try("JAX computes", _jax), _try("MuJoCo simulates half-cheetah", _mujoco)])


def _try(what: str, check: object) -> bool:
    began = time.perf_counter()
    try:
        found = check()  # type: ignore[operator]
    except Exception as error:
        print(f"FAILED: {what}: {' '.join(str(error).split())}")
        return False
    print(f"ok: {what}: {found} ({time.perf_counter() - began:.1f} s)")
    return True


def _jax() -> str:
    import jax
    import jax.numpy as jnp

    assert float(jax.jit(lambda x: (x @ x).sum())(jnp.ones((8, 8)))) == 512
    return f"on {jax.devices()[0]}"


def _mujoco() -> str:
    import numpy as np

    from transreward.domains.domain import domain

    simulation = domain("halfcheetah").simulate(64, 0)
    action = np.zeros((64, 6))
    simulation.step(action)
    began = time.perf_counter()
    for _ in range(50):
        simulation.step(action)
    return f"{50 * 64 / (time.perf_counter() - began):,.0f} steps/s with 64 robots"
