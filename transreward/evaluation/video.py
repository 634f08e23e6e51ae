"""Video of a policy in both domains side by side, H.264, with what it earns and a moving trace under each robot.

The episodes are simulated first and drawn afterwards, so that the trace may be anything that is computed from their
steps. Robots of the table are drawn by MuJoCo from the domain's own compiled model, shifts included; Gymnasium
environments draw themselves. Without a display MuJoCo draws by EGL or, failing that, OSMesa: which of them works is
tried in a process of its own, since a broken driver may end the process that asks it.
"""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.domain import Domain, Drawn, control_rate, table_robot
from transreward.evaluation.returns import SEED
from transreward.interruption import undone, whole
from transreward.types import Array, Pair, RequestError, Transition

Policy = Callable[[Array], Array]  # [n, obs] -> [n, action]
Trace = Callable[[Pair[Transition]], Pair[Array]]  # steps [n, ...] of each domain -> a number for each, [n]

BACKENDS = ("egl", "osmesa", "glfw")  # in the order in which they are tried
PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
with mujoco.Renderer(model, 16, 16) as renderer:
    renderer.update_scene(mujoco.MjData(model))
    renderer.render()
"""
RAW = "raw reward a step"
EARNED = "return {:,.1f}"
UNKNOWN_RATE = 30.0  # Hz, of an environment that does not say how many control steps make a second
TITLE, STRIP = 24, 48  # pixels: a caption of one line above a robot, the trace below it
LINE = 14  # pixels that each further line of the caption takes
SKY = (38, 43, 52)  # where a model has none
BACKGROUND, INK, FAINT = (20, 22, 27), (232, 234, 238), (140, 146, 158)
COLOURS = Pair((92, 170, 245), (247, 160, 82))  # blue and orange: told apart by most who do not see all colours


@dataclass(frozen=True)
class Film:
    """How a video is made."""

    width: int = 320  # pixels of each robot's picture
    height: int = 240
    rate: float = 20.0  # pictures a second, about: a whole number of control steps lies between two
    seconds: float = 10.0  # of each episode, at most
    episodes: int = 1

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            if not 64 <= getattr(self, name) <= 1920 or getattr(self, name) % 2:
                raise RequestError(
                    f"{name} must be an even number of pixels from 64 to 1920, not {getattr(self, name)}"
                )
        if not 0 < self.seconds <= 600 or not 1 <= self.rate <= 60:
            raise RequestError("seconds must be above 0 and at most 600, and the rate from 1 to 60 pictures a second")
        if not 1 <= self.episodes <= 100:
            raise RequestError(f"episodes must be from 1 to 100, not {self.episodes}")


SMALL = Film(256, 192, seconds=4.0)  # two videos of this, 320 pictures, take less than 30 s drawn in software


class Take(NamedTuple):
    """One robot in one episode."""

    pictures: list[np.ndarray]  # a physics state [nq], or a picture [height, width, 3], per picture of the video
    steps: Transition  # [n, ...]
    every: int  # control steps between two pictures
    rate: float  # control steps a second
    end: str  # "" where the film is over first


# -- acting --------------------------------------------------------------------------------------------------------


def act(domain: Domain, policy: Policy, seed: int, film: Film) -> list[Take]:
    """The first `episodes` evaluation episodes of a seed, without exploration, each until it or the film ends."""
    known = control_rate(domain)
    rate = known or UNKNOWN_RATE
    every, most = max(round(rate / film.rate), 1), min(max(int(film.seconds * rate), 1), domain.episode_steps)
    simulation = domain.simulate(film.episodes, SEED + seed)
    look = _look(domain, simulation)
    pictures: list[list[np.ndarray]] = [[] for _ in range(film.episodes)]
    steps, lengths, ends = [], np.full(film.episodes, most), [""] * film.episodes
    for t in range(most):
        if t % every == 0:
            for of, picture in zip(pictures, look(), strict=True):
                of.append(picture)
        step = simulation.step(policy(simulation.obs.astype(np.float32)))
        steps.append(Transition(*(np.asarray(x, np.float32) for x in step)))
        for i in np.flatnonzero((step.terminated | step.truncated) & (lengths > t + 1)):
            lengths[i] = t + 1
        for i in np.flatnonzero(step.terminated & (lengths == t + 1)):
            ends[i] = f"ended after {(t + 1) / rate:.1f} s" if known else f"ended after {t + 1} steps"
        if (lengths <= t + 1).all():
            break
    stacked = Transition(*(np.stack(x) for x in zip(*steps, strict=True)))
    return [
        Take(pictures[i][: -(-n // every)], Transition(*(x[:n, i] for x in stacked)), every, rate, ends[i])
        for i, n in enumerate(lengths)
    ]


def _look(domain: Domain, simulation: Any) -> Callable[[], Sequence[np.ndarray]]:
    """What is kept of the robots for a picture: the physics where MuJoCo draws it later, else the picture itself."""
    if table_robot(domain):
        return lambda: simulation.qpos
    return simulation.pictures


def drawable(domain: Domain) -> Domain:
    """The domain with environments that draw themselves, where MuJoCo does not draw it.

    Raises RequestError, `no video: ...`, where nothing draws it.
    """
    if table_robot(domain):
        return domain
    if isinstance(domain, Drawn):
        return domain.drawn()
    raise RequestError(f"no video: nothing draws '{domain.name}'")


# -- drawing -------------------------------------------------------------------------------------------------------


@cache
def backend() -> str:
    """The way in which MuJoCo draws on this machine, and from now on in this process: $MUJOCO_GL, or what works first.

    Raises RequestError, `no video: ...`, where nothing does.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    for name in (wanted,) if wanted else BACKENDS:
        if _works(name):
            os.environ["MUJOCO_GL"] = name  # for environments that draw themselves
            return name
    what = f"MUJOCO_GL={wanted} does not work" if wanted else "neither EGL nor OSMesa nor a display works"
    raise RequestError(f"no video: {what} here (Debian, Ubuntu: apt-get install libegl1 libegl-mesa0)")


def require_tools() -> None:
    """Raise RequestError, `no video: ...`, unless there is something that draws and something that writes."""
    require_ffmpeg()
    backend()


def _works(name: str) -> bool:
    environment = {**os.environ, "MUJOCO_GL": name}
    try:
        tried = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, capture_output=True, timeout=60, close_fds=False
        )  # close_fds: where it is False nothing forks, which JAX's threads would not bear
    except subprocess.TimeoutExpired:
        return False
    return tried.returncode == 0


class Painter:
    """Draws the states of a domain's robot: its model with soft shadows, seen from where its row says."""

    def __init__(self, domain: Any, film: Film) -> None:
        import mujoco

        self.mujoco, self.view = mujoco, domain.robot.view
        self.model = model = copy.deepcopy(domain.model)  # what is changed here is looks alone
        model.vis.global_.offwidth, model.vis.global_.offheight = film.width, film.height
        model.vis.quality.shadowsize = 1024  # a quarter of the default in each direction: a third of the time
        model.vis.map.shadowclip = 0.4  # near the robot alone: farther out the map's edge would show on the floor
        suns = model.light_type == mujoco.mjtLightType.mjLIGHT_DIRECTIONAL.value
        model.light_pos[suns, 2] = np.maximum(model.light_pos[suns, 2], 4.0)  # what is above one throws odd shadows
        model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 0.35, 0.45
        _calm_floor(model)
        plane = (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE.value) & (model.geom_size[:, :2] > 0).all(axis=1)
        self.floor = np.flatnonzero(plane & (model.geom_matid >= 0))  # one without an end stays where it is
        self.squares = 2 * model.geom_size[self.floor, :2] / model.mat_texrepeat[model.geom_matid[self.floor]]
        self.data, self.scene = mujoco.MjData(model), mujoco.MjvScene(model, 2000)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self.option, self.camera = mujoco.MjvOption(), mujoco.MjvCamera()
        mujoco.mjv_defaultFreeCamera(model, self.camera)
        if self.view is not None:
            for angle in ("distance", "elevation", "azimuth"):
                setattr(self.camera, angle, getattr(self.view, angle))
        self.gl = import_module(f"mujoco.{backend()}").GLContext(film.width, film.height)
        self.gl.make_current()
        self.context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)
        self.sky = mujoco.mjtTexture.mjTEXTURE_SKYBOX in model.tex_type
        self.place = mujoco.MjrRect(0, 0, film.width, film.height)

    def paint(self, qpos: np.ndarray) -> np.ndarray:
        """The picture of a state [nq], uint8 [height, width, 3]."""
        mujoco, model, data = self.mujoco, self.model, self.data
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        if self.view is not None:
            middle = data.body(self.view.follow).xpos[:2] if self.view.follow else np.zeros(2)
            self.camera.lookat[:] = (*middle, self.view.height)
            if self.view.follow:  # the lights go along, or the robot would walk out of them
                data.light_xpos[:, :2] = model.light_pos[:, :2] + middle
                # and so does the floor, by whole squares: it is drawn 80 m long, and simulated without an end
                data.geom_xpos[self.floor, :2] += self.squares * np.round(middle / self.squares)
        self.gl.make_current()
        mujoco.mjv_updateScene(
            model, data, self.option, None, self.camera, mujoco.mjtCatBit.mjCAT_ALL.value, self.scene
        )
        for geom in self.scene.geoms[: self.scene.ngeom]:
            if geom.type == mujoco.mjtGeom.mjGEOM_PLANE.value:
                geom.category = mujoco.mjtCatBit.mjCAT_DECOR.value  # it bears shadows and throws none: not on itself
        mujoco.mjr_render(self.place, self.scene, self.context)
        picture = np.empty((self.place.height, self.place.width, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, self.place, self.context)
        if not self.sky:
            picture[(picture == 0).all(axis=-1)] = SKY
        return picture[::-1]

    def close(self) -> None:
        """Give back what the driver holds."""
        self.gl.make_current()
        self.context.free()
        self.gl.free()


def _calm_floor(model: Any) -> None:
    """Black and white squares become two greys, so that a thin robot is seen before them."""
    for material in {int(m) for m, kind in zip(model.geom_matid, model.geom_type, strict=True) if kind == 0 and m >= 0}:
        for texture in {int(t) for t in np.ravel(model.mat_texid[material]) if t >= 0}:
            start = int(model.tex_adr[texture])
            size = int(model.tex_height[texture] * model.tex_width[texture] * model.tex_nchannel[texture])
            pixels = model.tex_data[start : start + size]
            pixels[:] = 120 + 0.2 * pixels


class Panel:
    """One robot's column of the video: caption, picture, trace."""

    def __init__(self, title: str, colour: tuple[int, int, int], film: Film, painter: Painter | None, label: str):
        from PIL import ImageFont

        self.colour, self.film, self.painter, self.label = colour, film, painter, label
        self.font: Any = ImageFont.load_default(13)
        self.small: Any = ImageFont.load_default(11)
        self.lines = [title]
        room = film.width - 24 - self.small.getlength(EARNED.format(-10_000))  # beside the return
        if self.font.getlength(title) > room:  # an id of many parts goes below, whole
            side, name = title.split(": ", 1) if room > 60 else ("", title)
            self.lines = [side, *_wrapped(name, self.small, film.width - 16)]
        self.top = TITLE + LINE * (len(self.lines) - 1)  # the picture begins here

    def picture(self, take: Take, frame: int) -> Any:
        """The robot; where its episode is over, as it was last seen."""
        from PIL import Image

        state = take.pictures[min(frame, len(take.pictures) - 1)]
        if self.painter is not None:
            return Image.fromarray(self.painter.paint(state))
        drawn = Image.fromarray(np.asarray(state, np.uint8))
        drawn.thumbnail((self.film.width, self.film.height))
        return drawn

    def column(self, take: Take, frame: int, trace: np.ndarray, bounds: tuple[float, float], frames: int) -> np.ndarray:
        """The whole column at one time, uint8 [top + height + STRIP, width, 3].

        `trace` [steps] is drawn up to now between `bounds`, over the `frames` that the video has.
        """
        from PIL import Image, ImageDraw

        width, height = self.film.width, self.film.height
        canvas = Image.new("RGB", (width, self.top + height + STRIP), BACKGROUND)
        picture = self.picture(take, frame)
        canvas.paste(picture, ((width - picture.width) // 2, self.top + (height - picture.height) // 2))
        draw = ImageDraw.Draw(canvas)
        done = min((frame + 1) * take.every, len(take.steps.reward))
        for i, line in enumerate(self.lines):
            draw.text((8, TITLE // 2 + i * LINE), line, self.colour, self.small if i else self.font, "lm")
        draw.text((width - 8, TITLE // 2), EARNED.format(take.steps.reward[:done].sum()), INK, self.small, "rm")
        if take.end and done == len(take.steps.reward):
            _badge(draw, (width // 2, self.top + height - 14), take.end, self.small)
        self._trace(draw, trace[:done], bounds, frames * take.every, self.top + height)
        return np.asarray(canvas)

    def _trace(self, draw: Any, trace: np.ndarray, bounds: tuple[float, float], steps: int, top: int) -> None:
        low, high = bounds
        first, last = top + 16, top + STRIP - 5  # pixels; the text is above

        def at(i: Any, value: Any) -> tuple[Any, Any]:
            return 8 + i / max(steps - 1, 1) * (self.film.width - 16), last - (value - low) / (high - low) * (
                last - first
            )

        if low < 0 < high:
            draw.line([at(0, 0.0), at(steps - 1, 0.0)], FAINT)
        points = list(zip(*at(np.arange(len(trace)), trace), strict=True))
        if len(points) > 1:
            draw.line(points, self.colour, 2)
        x, y = points[-1]
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), self.colour)
        draw.text((8, top + 8), self.label, FAINT, self.small, "lm")
        draw.text((self.film.width - 8, top + 8), f"{trace[-1]:+.2f}", INK, self.small, "rm")


def _wrapped(name: str, font: Any, room: float) -> list[str]:
    """An id in lines of at most `room` pixels: broken between its parts, and within one that is wider than a line."""
    lines = [""]
    for part in re.split(r"(?<=[,:+])", name):
        if lines[-1] and font.getlength(lines[-1] + part) > room:
            lines.append("")
        for letter in part:
            if lines[-1] and font.getlength(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return lines


def _badge(draw: Any, middle: tuple[int, int], text: str, font: Any) -> None:
    """A text over the picture that is read on any ground."""
    left, top, right, bottom = draw.textbbox(middle, text, font, "mm")
    draw.rounded_rectangle((left - 6, top - 4, right + 6, bottom + 4), 4, BACKGROUND)
    draw.text(middle, text, INK, font, "mm")


# -- the whole -----------------------------------------------------------------------------------------------------


def write_video(
    domains: Pair[Domain],
    policy: Policy,
    path: Path,
    seed: int,
    film: Film | None = None,
    trace: Trace | None = None,
    label: str = RAW,
) -> int:
    """Write an mp4 of `policy` in both domains, source left and target right; answers with its number of pictures.

    `trace` makes of all steps that were taken the curve under each robot, and `label` names it; without it, and where
    it is zero everywhere, that is the raw reward. The file appears when it is whole.

    Raises:
        RequestError: `no video: ...`, where nothing draws here or a domain cannot be drawn; `path` cannot be written.
    """
    film = film or Film()
    require_tools()
    domains = domains.map(drawable)
    takes = [Pair(*pair) for pair in zip(*(act(d, policy, seed, film) for d in domains), strict=True)]
    curves = [trace(take.map(lambda t: t.steps)) for take in takes] if trace else []
    if not any(np.any(x) for pair in curves for x in pair):
        curves, label = [take.map(lambda t: t.steps.reward) for take in takes], RAW
    rate = takes[0].source.rate / takes[0].source.every
    painters = domains.map(lambda d: Painter(d, film) if table_robot(d) else None)
    titles = Pair(*(f"{side}: {d.name}" for side, d in zip(Pair._fields, domains, strict=True)))
    panels = Pair(*(Panel(t, c, film, p, label) for t, c, p in zip(titles, COLOURS, painters, strict=True)))
    for panel in panels:  # pictures side by side
        panel.top = max(p.top for p in panels)
    try:
        return _encode(path, _frames(panels, takes, curves), rate)
    finally:
        for painter in painters:
            if painter is not None:
                painter.close()


def _frames(panels: Pair[Panel], takes: list[Pair[Take]], curves: list[Pair[Array]]) -> Iterator[np.ndarray]:
    """All pictures of the video, one episode after the other; the robot that ends first waits for the other."""
    values = np.concatenate([np.asarray(x) for pair in curves for x in pair])
    low, high = float(values.min()), float(values.max())
    room = max(0.05 * (high - low), 1e-6)
    for take, curve in zip(takes, curves, strict=True):
        count = max(len(t.pictures) for t in take)
        for frame in range(count):
            columns = [
                panel.column(t, frame, np.asarray(c), (low - room, high + room), count)
                for panel, t, c in zip(panels, take, curve, strict=True)
            ]
            yield np.concatenate(columns, axis=1)


def _encode(path: Path, frames: Iterator[np.ndarray], rate: float) -> int:
    """Write H.264 that browsers play, and start to play before they have all of it."""
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        first = next(frames)
        with whole(path) as partial:
            process = _ffmpeg(partial, first.shape, rate)
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
    """At once, and until it is gone: it would write its file once more when its input ends."""
    process.kill()
    os.waitpid(process.pid, 0)


def _ffmpeg(path: Path, shape: tuple[int, ...], rate: float) -> subprocess.Popen[bytes]:
    """Takes raw pictures of `shape` [height, width, 3] on its standard input."""
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{shape[1]}x{shape[0]}", "-r", f"{rate:g}", "-i", "-"]
    made = [
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
    ]
    return subprocess.Popen(
        [require_ffmpeg(), "-y", "-v", "error", *given, *made, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=False,  # as above
    )  # fmt: skip


def require_ffmpeg() -> str:
    """The program. Raises RequestError where the package that brings it is missing, or brings none."""
    try:
        return import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except ImportError:
        raise RequestError("no video: the package imageio-ffmpeg is missing: pip install imageio-ffmpeg") from None
    except RuntimeError as error:
        raise RequestError(f"no video: {' '.join(str(error).split())}") from None


# -- live ----------------------------------------------------------------------------------------------------------


def watch_live(domain: Any, policy: Policy, seed: int, film: Film) -> None:
    """The robot in MuJoCo's own viewer, at its own speed, until its window is closed or the episodes are over.

    Raises RequestError where there is no display, or MuJoCo does not draw the domain.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise RequestError("no live view: there is no display here; leave `live` out to write a video")
    if not table_robot(domain):
        raise RequestError(f"no live view: MuJoCo does not draw '{domain.name}'; leave `live` out to write a video")
    mujoco, viewer = import_module("mujoco"), import_module("mujoco.viewer")
    data, simulation = mujoco.MjData(domain.model), domain.simulate(1, SEED + seed)
    ended = 0
    with viewer.launch_passive(domain.model, data) as window:
        while window.is_running() and ended < film.episodes:
            began = time.perf_counter()
            data.qpos[:] = simulation.qpos[0]
            mujoco.mj_forward(domain.model, data)
            window.sync()
            step = simulation.step(policy(simulation.obs.astype(np.float32)))
            ended += int(step.terminated[0] or step.truncated[0])
            time.sleep(max(1 / domain.control_rate - (time.perf_counter() - began), 0.0))
