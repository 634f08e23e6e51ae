"""Video of a policy in both domains side by side, H.264, with what it earns and a moving trace above each robot."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transreward.domains.across import body
from transreward.domains.domain import Domain
from transreward.interruption import undone, whole
from transreward.reports.films.painter import Painter, backend
from transreward.reports.films.panel import Panel
from transreward.reports.films.take import Film, Policy, Take, act, drawable
from transreward.types import Array, Pair, RequestError, Transition

Trace = Callable[[Pair[Transition]], Pair[Array]]  # steps [n, ...] of each domain -> a number for each, [n]
RAW = "raw reward a step"
COLOURS = Pair((92, 170, 245), (247, 160, 82))  # blue and orange: told apart by most who do not see all colours


SLOWER = "fps=fps=min(source_fps\\,12)"  # pictures a second at most, where each costs much
ENDINGS = {  # what ffmpeg is told of a file with this ending
    ".mp4": [
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-crf",
        "27",
        "-preset",
        "veryfast",
        "-movflags",
        "+faststart",
        "-f",
        "mp4",
    ],
    ".gif": f"-vf {SLOWER},split[a][b];[a]palettegen[p];[b][p]paletteuse -loop 0 -f gif".split(),
    ".webp": f"-vf {SLOWER} -c:v libwebp_anim -quality 60 -loop 0 -f webp".split(),
}


def require_tools() -> None:
    """Raise RequestError, `no video: ...`, unless there is something that draws and something that writes."""
    require_ffmpeg()
    backend()


def write_video(
    domains: Pair[Domain],
    policy: Policy,
    path: Path,
    seed: int,
    film: Film | None = None,
    trace: Trace | None = None,
    label: str = RAW,
    when: str = "",
) -> int:
    """Write a film of `policy` in both domains, source left and target right, in the format that the ending of `path`
    says, of `ENDINGS`. Returns its number of pictures.

    `trace` computes the curve above each robot from all steps, and `label` names it; without it, and where it is zero
    everywhere, the curve is the raw reward. `when`, such as "before", stands in the target's title. The file appears
    when it is complete.

    Raises:
        RequestError: `no video: ...`, where nothing draws here or a domain cannot be drawn; `path` cannot be written.
    """
    film = film or Film()
    with shot(domains, policy, seed, film, trace, label, when) as taken:
        return encode(path, taken.frames(), taken.rate)


class Shot(NamedTuple):
    """What was recorded of a policy in both domains, and what draws it."""

    panels: Pair[Panel]
    takes: list[Pair[Take]]  # an episode each
    curves: list[Pair[Array]]
    rate: float  # pictures a second

    def frames(self) -> Iterator[np.ndarray]:
        """All pictures of the video, one episode after the other; the robot that ends first stands still."""
        values = np.concatenate([np.asarray(x) for pair in self.curves for x in pair])
        low, high = float(values.min()), float(values.max())
        room = max(0.05 * (high - low), 1e-6)
        for take, curve in zip(self.takes, self.curves, strict=True):
            count = max(len(t.pictures) for t in take)
            for frame in range(count):
                columns = [
                    panel.column(t, frame, np.asarray(c), (low - room, high + room), count)
                    for panel, t, c in zip(self.panels, take, curve, strict=True)
                ]
                yield np.concatenate(columns, axis=1)


@contextmanager
def shot(
    domains: Pair[Domain],
    policy: Policy,
    seed: int,
    film: Film,
    trace: Trace | None = None,
    label: str = RAW,
    when: str = "",
) -> Iterator[Shot]:
    """Let a policy act in both domains, as `write_video` says; within it what was recorded can be drawn."""
    require_tools()
    domains = domains.map(drawable)
    takes = [Pair(*pair) for pair in zip(*(act(d, policy, seed, film) for d in domains), strict=True)]
    curves = [trace(take.map(lambda t: t.steps)) for take in takes] if trace else []
    if not any(np.any(x) for pair in curves for x in pair):
        curves, label = [take.map(lambda t: t.steps.reward) for take in takes], RAW
    painters = domains.map(lambda d: Painter(robot, film) if (robot := body(d)) else None)
    for k, painter in enumerate(painters):
        if painter is not None:
            painter.stage.stand(state for take in takes for state in take[k].pictures)
    titles = Pair(f"source: {domains.source.name}", f"target{when and f', {when}'}: {domains.target.name}")
    panels = Pair(*(Panel(t, c, film, p, label) for t, c, p in zip(titles, COLOURS, painters, strict=True)))
    for panel in panels:  # pictures side by side
        panel.top = max(p.top for p in panels)
    try:
        yield Shot(panels, takes, curves, takes[0].source.rate / takes[0].source.every)
    finally:
        for painter in painters:
            if painter is not None:
                painter.close()


def encode(path: Path, frames: Iterator[np.ndarray], rate: float) -> int:
    """Write the pictures; an mp4 is H.264 that browsers can play, and start playing before it is loaded."""
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        first = next(frames)
        with whole(path) as partial:
            process = _ffmpeg(partial, path.suffix, first.shape, rate)
            with process, undone(lambda: _kill(process)):
                assert process.stdin is not None and process.stderr is not None
                for frame in itertools.chain((first,), frames):
                    process.stdin.write(np.ascontiguousarray(frame).data)
                    count += 1
                process.stdin.close()
                said = process.stderr.read().decode(errors="replace")
            if process.returncode:
                raise RequestError(f"{path} cannot be written: ffmpeg: {' '.join(said.split())}")
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror or error}") from None
    return count


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it and wait until it is gone: at the end of its input it would write the file once more."""
    process.kill()
    os.waitpid(process.pid, 0)


def _ffmpeg(path: Path, ending: str, shape: tuple[int, ...], rate: float) -> subprocess.Popen[bytes]:
    """A process that encodes raw pictures of `shape` [height, width, 3] from its standard input, in the format that a
    file of this ending has."""
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{shape[1]}x{shape[0]}", "-r", f"{rate:g}", "-i", "-"]
    return subprocess.Popen(
        [require_ffmpeg(), "-y", "-v", "error", *given, *ENDINGS[ending], str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=False,  # as above
    )  # fmt: skip


def require_ffmpeg() -> str:
    """Path of the program. Raises RequestError if imageio-ffmpeg is missing or brings none."""
    try:
        return import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except ImportError:
        raise RequestError("no video: the package imageio-ffmpeg is missing: pip install imageio-ffmpeg") from None
    except RuntimeError as error:
        raise RequestError(f"no video: {' '.join(str(error).split())}") from None
