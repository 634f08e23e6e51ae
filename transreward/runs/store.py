"""A run directory: config.json, metrics.jsonl, policy.safetensors, result.json, and source/ with the source agent.

Everything is safetensors or JSON; nothing is pickled. Whole files are written beside their place and moved there.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from transreward.types import RequestError

SCHEMA = 1
RECORDED = ("transreward", "jax", "jaxlib", "optax", "mujoco", "gymnasium", "numpy", "scipy")


def versions() -> dict[str, str]:
    """Versions of what a result depends on, of what is installed."""
    found = {}
    for package in RECORDED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def provenance() -> dict[str, Any]:
    """What was asked for, when, and of which machine: the command, the local time, processor, cores and devices."""
    script, *arguments = sys.argv or [""]
    cli = Path(script).name in ("transreward", "__main__.py")
    return {
        "command": shlex.join([*(["transreward"] if cli else ["python", Path(script).name]), *arguments]),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "device": ", ".join(dict.fromkeys(d.device_kind for d in jax.devices())),
        },
    }


def _processor() -> str:
    """Its name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def claim(directory: Path) -> Path:
    """Make the run directory. Raises RequestError if it holds a run or anything else."""
    vacant(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"`out` {directory} cannot be made: {error.strerror}") from None
    return directory


def vacant(directory: Path) -> None:
    """Raise RequestError unless `directory` can become a run directory; touches nothing."""
    if directory.is_file():
        raise RequestError(f"`out` {directory} is a file: name a directory")
    if (directory / "config.json").exists():
        raise RequestError(f"`out` {directory} already holds a run: name another directory, or remove it first")
    if directory.is_dir() and any(directory.iterdir()):
        raise RequestError(f"`out` {directory} is not empty: name another directory")


def write_json(path: Path, value: Any) -> None:
    """Pretty JSON, atomically; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Atomically. Raises RequestError where the file cannot be written."""
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from None


def append_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON object a line."""
    with path.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def read_json(path: Path) -> Any:
    """Raises RequestError if the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise RequestError(f"{path.parent} is not a run directory: it has no {path.name}") from None
    except json.JSONDecodeError as error:
        raise RequestError(f"{path} is not JSON: {error}") from None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def save_tree(path: Path, tree: Any) -> None:
    """A pytree of arrays, each leaf under its path in the tree."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    partial = path.with_name(path.name + ".part")
    save_file({jax.tree_util.keystr(k): np.asarray(leaf, order="C") for k, leaf in leaves}, partial)
    os.replace(partial, path)


def load_tree(path: Path, like: Any) -> Any:
    """A pytree of the structure and shapes of `like`. Raises RequestError where the file holds something else."""
    if not path.exists():
        raise RequestError(f"{path.parent} has no {path.name}")
    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise RequestError(f"{path} is damaged: {error}") from None
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [jax.tree_util.keystr(k) for k, _ in leaves]
    shapes = [np.shape(leaf) for _, leaf in leaves]
    if set(names) != set(stored) or any(stored[n].shape != s for n, s in zip(names, shapes, strict=True)):
        raise RequestError(f"{path} was written with another robot, learner or number of seeds")
    return jax.tree_util.tree_unflatten(structure, [jax.numpy.asarray(stored[n]) for n in names])
