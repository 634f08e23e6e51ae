"""What is installed, and whether it works."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

from transreward.runs.store import versions

EXTRAS = {  # what each brings
    "export": "policies as ONNX files, and those that come as such",
    "robots": "robots of MuJoCo Menagerie",
    "logs": "logs in HDF5 and Parquet, and LeRobot's and Minari's folders",
    "notebook": "plots and frames of results, figures for papers",
    "ray": "studies on a Ray cluster",
    "slurm": "studies on Slurm",
    "search": "settings chosen by a study",
    "tensorboard": "evaluations in TensorBoard",
    "trackio": "evaluations in Trackio",
    "wandb": "evaluations in Weights & Biases",
    "cuda": "JAX on a card of NVIDIA",
}


def report(say: Callable[[str], object] = print) -> bool:
    """Say a line per thing; False if something that the main job needs does not work."""
    say(f"python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    say(", ".join(f"{name} {version}" for name, version in versions().items()))
    for extra, purpose in EXTRAS.items():
        say(_extra(extra, purpose))
    works = all([_try(say, "JAX computes", _jax), _try(say, "MuJoCo simulates half-cheetah", _mujoco)])
    _try(say, "MuJoCo draws, for videos", _draws, "without")
    _try(say, "ffmpeg writes H.264, for videos", _films, "without")
    _try(say, "ONNX and onnxruntime, for exports", _exports, "without")
    return works


def packages(extra: str, of: str = "transreward") -> list[str]:
    """Those that an extra brings, by the installed metadata; where it is another package's extra, those of that."""
    found = []
    for line, _, when in (line.partition(";") for line in metadata.requires(of) or ()):
        if re.search(rf"""extra *== *['"]{extra}['"]""", when):
            package, *inner = re.findall(r"^[\w.-]+|(?<=\[)[\w.-]+(?=\])", line)
            found += packages(inner[0], package) if inner and of == "transreward" else [package]
    return found


def _extra(extra: str, purpose: str) -> str:
    found, missing = [], []
    for package in packages(extra):
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        return f"without: {purpose} ({', '.join(missing)} missing): pip install 'transreward[{extra}]'"
    return f"ok: {purpose} ({', '.join(found)})"


def _try(say: Callable[[str], object], what: str, check: object, failed: str = "FAILED") -> bool:
    began = time.perf_counter()
    try:
        found = check()  # type: ignore[operator]
    except Exception as error:
        say(f"{failed}: {what}: {' '.join(str(error).split())}")
        return False
    say(f"ok: {what}: {found} ({time.perf_counter() - began:.1f} s)")
    return True


def _jax() -> str:
    import jax
    import jax.numpy as jnp

    assert float(jax.jit(lambda x: (x @ x).sum())(jnp.ones((8, 8)))) == 512
    return f"on {jax.devices()[0]}"


def _mujoco() -> str:
    import numpy as np

    from transreward.domains.ids import domain

    simulation = domain("halfcheetah").simulate(64, 0)
    action = np.zeros((64, 6))
    simulation.step(action)
    began = time.perf_counter()
    for _ in range(50):
        simulation.step(action)
    return f"{50 * 64 / (time.perf_counter() - began):,.0f} steps/s with 64 robots"


def _draws() -> str:
    import numpy as np

    from transreward.domains.ids import domain
    from transreward.reports.films.painter import Painter, backend
    from transreward.reports.films.take import SMALL

    hopper: Any = domain("hopper")
    painter = Painter(hopper, SMALL)
    began = time.perf_counter()
    pictures = [painter.paint(hopper.model.qpos0) for _ in range(5)]
    painter.close()
    assert np.ptp(pictures[-1]) > 50, "the picture is empty"
    rate = len(pictures) / (time.perf_counter() - began)
    return f"by {backend()}, {rate:.0f} pictures of {SMALL.width}x{SMALL.height} a second"


def _films() -> str:
    import subprocess

    from transreward.reports.films.video import require_ffmpeg

    said = subprocess.run(
        [require_ffmpeg(), "-hide_banner", "-encoders"], capture_output=True, text=True, close_fds=False, check=True
    )
    assert "libx264" in said.stdout, "it has no libx264"
    return f"imageio-ffmpeg {metadata.version('imageio-ffmpeg')}"


def _exports() -> str:
    import jax.numpy as jnp
    import numpy as np

    from transreward.reports.export import difference, require_packages, to_onnx
    from transreward.types import Spaces

    require_packages()
    box, states = np.ones(2, np.float32), np.eye(2, dtype=np.float32)
    graph = to_onnx(jnp.tanh, Spaces(2, 2, -box, box))
    assert difference(graph, jnp.tanh, states, box) < 1e-6
    return f"onnx {metadata.version('onnx')}, onnxruntime {metadata.version('onnxruntime')}"
