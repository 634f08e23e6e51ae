"""What every result of a benchmark says about itself, and how it is written."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("transreward", "jax", "jaxlib", "optax", "mujoco", "gymnasium", "numpy", "scipy")


def provenance() -> dict[str, Any]:
    """Machine, versions, date and how busy the machine is: the head of every result. Imports nothing heavy."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "machine": {"cpu": cpu, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"},
        **card(),
        "versions": {"python": platform.python_version(), **{p: v for p in PACKAGES if (v := version(p))}},
        "load_average_at_start": [round(load, 2) for load in os.getloadavg()],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def card() -> dict[str, str]:
    """The graphics card, where JAX was imported and computes on one."""
    jax = sys.modules.get("jax")
    return {} if jax is None or jax.default_backend() == "cpu" else {"card": jax.devices()[0].device_kind}


def version(package: str) -> str | None:
    """Of an installed package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def write(path: Path, result: Any) -> None:
    """Write JSON in one move, so that a reader never finds half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(result, indent=1) + "\n")
    partial.replace(path)


def read(path: Path) -> Any:
    """The JSON in `path`, or None where there is no such file."""
    return json.loads(path.read_text()) if path.exists() else None


def curve(log: Sequence[dict[str, Any]], method: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Target steps, and every seed's figures at that point where there are such, of the method's own phase."""
    points: dict[int, list[dict[str, Any]]] = {}
    for row in log:
        if row["method"] == method:
            points.setdefault(row["target_steps"], []).append(row)
    return [
        {"target_steps": steps, **{k: [r[k] for r in rows] for k in keys if k in rows[0]}}
        for steps, rows in points.items()
    ]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Minimum, median and maximum over repeats, and the repeats themselves."""
    rounded = [float(f"{value:.5g}") for value in values]
    return {"min": min(rounded), "median": statistics.median(rounded), "max": max(rounded), "values": rounded}


def table(rows: Sequence[Sequence[str]], markdown: bool = False) -> str:
    """Columns side by side, the first to the left and the others to the right; or a table of the documents."""
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )
