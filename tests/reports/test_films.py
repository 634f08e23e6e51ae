"""What `play` writes can be decoded and is as long as it says; where nothing draws, it is one line."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from drawing import draws
from PIL import Image

import transreward as tr
from transreward import cli
from transreward.domains.robots import ROBOTS
from transreward.evaluation.returns import SEED, evaluate
from transreward.methods import METHODS
from transreward.reports.films import painter as drawing
from transreward.reports.films import panel as panels
from transreward.reports.films import play, video
from transreward.reports.films.take import Film, act, drawable
from transreward.runs.result import Result
from transreward.types import Pair, RequestError

TINY = Film(64, 64, seconds=0.3)  # of an inverted pendulum, seven pictures


def upright(obs):
    """Keeps an inverted pendulum up for a while: a policy that acts on what it sees."""
    return (obs @ np.array([[1.0], [8.0], [0.5], [1.0]], np.float32)).clip(-3, 3)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory of two seeds with a zero-shot control, of networks that were never trained."""
    source, target = "inverted_pendulum", "inverted_pendulum:gravity=2"
    learner, spaces = tr.learner("ppo", hidden=(4,)), tr.domain(source).spaces
    shapes = jax.eval_shape(lambda key: learner.init(key, spaces), jax.random.key(0))

    def agents(seed: int):
        rng = np.random.default_rng(seed)
        return jax.tree.map(lambda x: jnp.asarray(np.abs(rng.normal(0, 0.3, (2, *x.shape))), x.dtype), shapes)

    def result(method: str, seed: int) -> Result:
        config = {
            "schema": 1, "versions": {}, "source": source, "target": target, "method": method, "controls": [],
            "source_steps": 9, "target_steps": 9, "seeds": 2, "seed": 0, "learner": {"name": "ppo", "hidden": [4]},
            "source_run": None, "loop": {},
            "spaces": {"obs": 4, "action": 1, "low": [-3.0], "high": [3.0]},
        }  # fmt: skip
        return Result(
            config, learner, agents(seed), Pair(*np.ones((2, 2, 2))), np.ones((2, 2)), Pair(9, 9), "budget", 1
        )

    whole = result("darc", 0)
    whole.controls = {"zero_shot": result("zero_shot", 1)}
    place = tmp_path_factory.mktemp("videos") / "run"
    whole.save(place)
    return place


def decoded(path: Path) -> tuple[list[np.ndarray], str]:
    """All pictures of an mp4, and what ffmpeg says it is."""
    about = subprocess.run(
        [video.require_ffmpeg(), "-i", str(path)], capture_output=True, text=True, close_fds=False
    ).stderr
    found = re.search(r"Video:.*?, (\d+)x(\d+)", about)
    assert found is not None, about
    width, height = (int(x) for x in found.groups())
    raw = subprocess.run(
        [video.require_ffmpeg(), "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, close_fds=False, check=True,
    ).stdout  # fmt: skip
    return list(np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)), about


# -- what is filmed ------------------------------------------------------------------------------------------------


def test_it_is_the_evaluations_episodes():
    domain = tr.domain("inverted_pendulum:gravity=2")
    takes = act(domain, upright, 3, Film(seconds=600, episodes=3))
    whole = evaluate(domain, lambda agents, obs, noise: upright(obs), None, [3], 3)
    for take, returned, length in zip(takes, whole.returns[0], whole.lengths[0], strict=True):
        assert np.isclose(take.steps.reward.sum(), returned) and len(take.steps.reward) == length
        assert len(take.pictures) == -(-length // take.every)
        assert take.end == (f"ended after {length / 25:.1f} s" if length < 1000 else "")
    assert takes[0].rate == 25 and takes[0].every == 1


def test_pictures_are_control_steps_apart():
    """Of hopper's 125 steps a second every sixth is drawn; the states are the simulation's."""
    hopper = tr.domain("hopper")
    take = act(hopper, lambda obs: np.zeros((len(obs), 3), np.float32), 1, Film(seconds=0.2))[0]
    assert (take.every, len(take.pictures), len(take.steps.reward), take.end) == (6, 5, 25, "")
    simulation = hopper.simulate(1, SEED + 1)
    for i in range(25):
        if i % 6 == 0:
            assert np.array_equal(take.pictures[i // 6], simulation.qpos[0])
        simulation.step(np.zeros((1, 3)))


# -- what is written -----------------------------------------------------------------------------------------------


@draws
@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_a_picture_that_moves(tmp_path, ending):
    """For pages that show no video: at most twelve pictures a second, again and again."""
    path = tmp_path / f"a{ending}"
    hopper = tr.domain("hopper")
    video.write_video(
        Pair(hopper, hopper), lambda obs: np.zeros((len(obs), 3), np.float32), path, 0, Film(96, 64, seconds=0.6)
    )
    with Image.open(path) as film:
        assert film.size[0] == 2 * 96 and 5 <= film.n_frames <= 8 and film.info["loop"] == 0
        first = np.asarray(film.convert("RGB")).astype(int)
        film.seek(film.n_frames - 1)
        assert np.abs(np.asarray(film.convert("RGB")) - first).max() > 60


@draws
def test_the_file(tmp_path):
    """H.264 of the right length and size, source left and target right; the trace moves on and the robots move."""
    pair = Pair(tr.domain("hopper"), tr.domain("hopper:gravity=0.3"))
    film = Film(96, 64, seconds=0.6)
    count = video.write_video(
        pair, lambda obs: np.zeros((len(obs), 3), np.float32), tmp_path / "new" / "a.mp4", 0, film
    )
    pictures, about = decoded(tmp_path / "new" / "a.mp4")
    assert "h264" in about and "yuv420p" in about and "20.83 fps" in about
    assert count == len(pictures) == -(-75 // 6)
    top = panels.TITLE + 2 * panels.LINE  # the target's name goes on in two lines
    assert pictures[0].shape == (top + 64 + panels.STRIP, 2 * 96, 3)
    robots = [p[-64:].astype(int) for p in pictures]
    assert np.abs(robots[-1] - robots[0])[:, :96].max() > 60  # it falls
    assert np.abs(robots[-1][:, :96] - robots[-1][:, 96:]).max() > 40  # less far where gravity is less
    blue = [(p[top:-64].astype(int) @ [-1, 0, 1] > 60).sum() for p in pictures]  # clear of a player's controls
    assert blue[0] < blue[len(blue) // 2] < blue[-1]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    "name",
    [
        "halfcheetah+backward:broken=bthigh,friction(floor)=0.35,mass(torso)=1.5",
        "lab.robots.hands:the_third_hand_of_" * 3,
    ],
)
@pytest.mark.parametrize("width", [64, 256, 320])
def test_a_long_name_is_shown_whole(name, width):
    """In lines that are no wider than the picture; one that fits has one line, which leaves room for the return."""
    panel = panels.Panel(f"target: {name}", video.COLOURS.target, Film(width, 64), None, "")
    side, shown = panel.lines[0], "".join(panel.lines[1:])
    assert ": ".join(filter(None, (side, shown))) == f"target: {name}"
    assert max(map(panel.small.getlength, panel.lines[1:])) <= width - 16
    assert panel.top == panels.TITLE + (len(panel.lines) - 1) * panels.LINE
    assert panels.Panel("target: hopper", video.COLOURS.target, Film(256, 64), None, "").lines == ["target: hopper"]


@draws
def test_another_trace(tmp_path, monkeypatch):
    """It is given all steps of both domains, and one that is zero everywhere gives way to the reward."""
    seen, labels = [], []

    def trace(steps, factor):
        seen.append(steps.map(lambda t: len(t.reward)))
        return steps.map(lambda t: factor * t.obs[:, 1])

    make = panels.Panel
    monkeypatch.setattr(video, "Panel", lambda *given: labels.append(given[-1]) or make(*given))
    pair = Pair(tr.domain("inverted_pendulum"), tr.domain("inverted_pendulum:gravity=2"))
    for factor in (1.0, 0.0):
        video.write_video(pair, upright, tmp_path / "a.mp4", 0, TINY, partial(trace, factor=factor), "angle")
    assert seen == [Pair(7, 7)] * 2
    assert labels == ["angle", "angle", video.RAW, video.RAW]


@draws
def test_play(run, capsys):
    cli.main(["play", str(run), "--seconds", "0.4", "--episodes", "2", "--size", "64x64", "--seed", "1"])
    path = run / "videos" / "play.mp4"
    assert str(path) in capsys.readouterr().out
    assert len(decoded(path)[0]) == 2 * 10
    path.unlink()


@draws
def test_before_and_after(run):
    written = play.before_and_after(run, film=TINY)
    assert written == [run / "videos" / "before.mp4", run / "videos" / "after.mp4"]
    before, after = ([p.astype(int) for p in decoded(path)[0]] for path in written)
    assert len(before) == len(after) == 7
    assert np.abs(before[0] - after[0])[-TINY.height :].max() < 10  # the same start; titles say which is which
    assert np.abs(before[0] - after[0])[: -TINY.height].max() > 100
    assert max(np.abs(a - b).max() for a, b in zip(before, after, strict=True)) > 30  # of two policies


def test_the_source_policy(run, tmp_path):
    """Of the control where there is one, else of the agent that was kept, else there is none."""
    whole, obs = tr.load(run), np.ones((1, 4))
    policy = play.source_policy(whole, run, 1)
    assert policy is not None and np.array_equal(policy(obs), whole.controls["zero_shot"].policy(1)(obs))
    assert not np.array_equal(policy(obs), whole.policy(1)(obs))
    whole.controls = {}
    assert play.source_policy(whole, run, 1) is None


def test_the_compensation_is_traced(run, monkeypatch):
    """Where a run holds what its compensation learned; the figures are those that the learner is paid with."""
    row = METHODS["darc"]
    row = replace(row, gap=replace(row.gap, hidden=(4,)), gate=replace(row.gate, ramp=0.0))
    compensation = row.compensation()
    shapes = jax.eval_shape(
        lambda key: compensation.init(key, tr.domain("inverted_pendulum").spaces), jax.random.key(0)
    )
    rng = np.random.default_rng(0)
    state = jax.tree.map(
        lambda x: jnp.asarray(np.abs(rng.normal(0, 0.5, x.shape)) + (10**6 if x.dtype == jnp.int32 else 0), x.dtype),
        shapes,
    )
    monkeypatch.setattr(Result, "compensation", lambda self, seed: (compensation, state), raising=False)
    monkeypatch.setattr(Result, "extras", lambda self, seed: {"discount": 0.99}, raising=False)
    trace, label = play.compensation_trace(tr.load(run), 0)
    assert trace is not None and label == "compensation a step"
    pair = Pair(tr.domain("inverted_pendulum"), tr.domain("inverted_pendulum:gravity=2"))
    steps = pair.map(lambda domain: act(domain, upright, 0, TINY)[0].steps)
    added = trace(steps)
    extra = {"value": None, "source_value": None, "discount": 0.99}
    wanted = compensation.adjust(state, steps, **extra)
    assert np.allclose(added.source, wanted.source.reward - steps.source.reward, atol=1e-6)
    assert added.source.any() and not added.target.any()  # darc pays source steps


def test_without_a_compensation_the_reward_is_traced(run):
    assert play.compensation_trace(tr.load(run).controls["zero_shot"], 0) == (None, video.RAW)


@draws
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_gymnasium_environment_draws_itself(tmp_path):
    pendulum = tr.domain("gym:InvertedPendulum-v5")
    count = video.write_video(Pair(pendulum, pendulum), upright, tmp_path / "a.mp4", 0, TINY)
    pictures, _ = decoded(tmp_path / "a.mp4")
    assert count == len(pictures) == 7 and np.ptp(pictures[0][-64:]) > 100


# -- one line ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--seed", "2"], "seed 2 of a run with seeds 0 to 1"),
        (["--out", "strip.svg"], "must name a file that ends in .mp4, .gif, .webp, .png, .pdf"),
        (["--size", "320"], "write WIDTHxHEIGHT"),
        (["--size", "321x240"], "width must be an even number of pixels"),
        (["--seconds", "0"], "seconds must be above 0"),
        (["--episodes", "0"], "episodes must be from 1 to 100"),
        (["--before-after", "--out", "a.mp4"], "--before-after has its own sizes"),
        (["--live", "--before-after"], "not allowed with"),
    ],
)
def test_wrong_requests(arguments, why, run, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(video, "require_tools", lambda: None)
    assert one_line(["play", str(run), *arguments], capsys, why) == 2
    assert not list(tmp_path.iterdir())


def one_line(arguments, capsys, why):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    said = capsys.readouterr().err
    assert why in said and said.count("\n") == 1 and "Traceback" not in said
    return stopped.value.code


@pytest.mark.parametrize("command", ["play", "export"])
def test_not_a_run(command, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file", tmp_path / "nothing"):
        assert one_line([command, str(path)], capsys, "is not a run directory: it has no config.json") == 2


def test_nothing_draws(run, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(drawing, "_works", lambda name: False)
    drawing.backend.cache_clear()
    why = "no video: neither EGL nor OSMesa nor a display works here"
    assert one_line(["play", str(run), "--out", str(tmp_path / "a" / "b.mp4")], capsys, why) == 2
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert one_line(["play", str(run)], capsys, "no video: MUJOCO_GL=egl does not work here") == 2
    assert not list(tmp_path.iterdir())


def test_a_backend_that_does_not_work_is_passed_over(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(drawing, "_works", lambda name: name == "osmesa")
    drawing.backend.cache_clear()
    assert drawing.backend() == "osmesa"
    drawing.backend.cache_clear()


def test_the_probe_asks_a_process_of_its_own(monkeypatch):
    """A driver that kills the process that asks it costs that process alone."""
    monkeypatch.setattr(drawing, "PROBE", "import os; os.abort()")
    assert not drawing._works("egl")
    monkeypatch.setattr(drawing, "PROBE", "import os; assert os.environ['MUJOCO_GL'] == 'osmesa'")
    assert drawing._works("osmesa") and not drawing._works("egl")


def test_no_ffmpeg(run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert one_line(["play", str(run)], capsys, "no video: the package imageio-ffmpeg is missing: pip install") == 2


def test_no_display(run, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert one_line(["play", str(run), "--live"], capsys, "no live view: there is no display here") == 2


@draws
def test_both_bodies_are_drawn(tmp_path):
    """Of a source in the columns of an unlike target, the source's own body."""
    pair = Pair(tr.bridge("halfcheetah", "halfcheetah:without=ffoot"), tr.domain("halfcheetah:without=ffoot"))
    film = Film(192, 128, seconds=0.2)
    count = video.write_video(pair, lambda obs: np.zeros((len(obs), 5), np.float32), tmp_path / "a.mp4", 0, film)
    pictures, _ = decoded(tmp_path / "a.mp4")
    robots = pictures[0].astype(int)[-128:]
    pink = [(half[..., 0] - half[..., 1] > 30).sum() for half in (robots[:, :192], robots[:, 192:])]  # the legs
    assert count == len(pictures) and pink[0] > pink[1] > 0


def test_what_cannot_be_drawn():
    class Mute:
        name = "lab:robot"

    with pytest.raises(RequestError, match="no video: nothing draws 'lab:robot'"):
        drawable(Mute())  # type: ignore[arg-type]


@draws
@pytest.mark.parametrize("robot", ["halfcheetah", "hopper", "ant"])
def test_the_floor_goes_along(robot):
    """It is drawn 40 m to each side at most, and robots run farther than that."""
    domain = tr.domain(robot)
    painter, here = drawing.Painter(domain, Film(128, 96)), domain.simulate(1, 0).qpos[0].copy()
    far = here.copy()
    far[0] += 150 * painter.squares[0, 0]
    near, away = (painter.paint(qpos).astype(int) for qpos in (here, far))
    painter.close()
    assert far[0] > 90 and np.abs(near - away).mean() < 2
    floor = near[-8:].reshape(-1, 3)
    assert np.abs(floor - floor.mean(axis=0)).max() > 10  # squares, not a blank


@draws
def test_nothing_but_the_robot_throws_a_shadow():
    """In the light's eyes the floor is as near as itself, and would be striped, here or there by where the robot is."""
    domain = tr.domain("halfcheetah")
    painter, simulation = drawing.Painter(domain, Film(256, 192)), domain.simulate(1, 0)
    rng = np.random.default_rng(0)
    for x in np.linspace(0, 30, 60):
        qpos = simulation.qpos[0].copy()
        qpos[0] += x
        picture = painter.paint(qpos)
        assert not (picture[66:130, [*range(50), *range(206, 256)]].max(axis=-1) < 70).any()  # the floor beside it
        assert (picture[66:124].max(axis=-1) < 60).sum() < 4  # behind it: of the robot itself a dark edge at most
        assert (picture[124:140].max(axis=-1) < 60).sum() > 40  # its shadow
        simulation.step(rng.uniform(-1, 1, (1, 6)))
    painter.close()


@draws
def test_a_model_without_a_light_or_a_floor_is_drawn_with_both(tmp_path):
    """Grey on black an arm of a file could not be seen; the floor is below all that its film shows."""
    pillar = '<geom type="box" size=".05 .05 .1" pos="0 0 .1" rgba="1 0 0 1"/>'
    body = '<body pos="0 0 .25"><joint axis="0 1 0"/><geom type="capsule" fromto="0 0 0 .6 0 0" size=".02"/></body>'
    (tmp_path / "bare.xml").write_text(f"<mujoco><worldbody>{pillar}{body}</worldbody></mujoco>")
    robot = SimpleNamespace(model=mujoco.MjModel.from_xml_path(str(tmp_path / "bare.xml")), robot=ROBOTS["reacher"])
    painter = drawing.Painter(robot, Film(128, 96))
    picture = painter.paint(np.zeros(1))
    assert painter.stage.height == pytest.approx(0.0, abs=0.01) and picture.min(axis=-1).mean() > 80
    painter.stage.stand([np.zeros(1), np.array([1.5])])
    assert -0.4 < painter.stage.height < -0.3, "the arm hangs lower than what it stands on"
    assert (painter.paint(np.array([1.5])).astype(int) != picture).any()
    painter.close()
    assert not drawing.Stage(mujoco, tr.domain("halfcheetah").model).bare


@draws
@pytest.mark.parametrize(
    "world",
    ['<geom type="plane" size="0 0 .05"/>', '<geom type="plane" size="5 5 .1"/>', '<light pos="0 0 1.5"/>',
     '<geom type="plane" size="0 0 .05"/><light pos="0 0 3"/>',
     '<geom type="plane" size="0 0 .05"/><light pos="0 0 3" directional="true"/>'],
    ids=["a floor alone", "a floor with an end", "a lamp alone", "a floor and a lamp", "a floor and a sun"],
)  # fmt: skip
def test_a_model_that_lacks_a_light_or_a_floor_is_not_dark(tmp_path, world):
    """A grey floor under the camera's own light is nearly black, and beside a lamp the rest of it is."""
    body = '<body pos="0 0 .4"><joint axis="0 1 0"/><geom type="capsule" fromto="0 0 0 .3 0 0" size=".03"/></body>'
    (tmp_path / "some.xml").write_text(f"<mujoco><worldbody>{world}{body}</worldbody></mujoco>")
    robot = SimpleNamespace(
        model=mujoco.MjModel.from_xml_path(str(tmp_path / "some.xml")), robot=SimpleNamespace(view=None)
    )
    painter = drawing.Painter(robot, Film(128, 96))
    light = painter.paint(np.zeros(1)).mean(axis=-1)
    painter.close()
    assert np.percentile(light, 5) > 75 and light.mean() > 110 and np.percentile(light, 99) < 250
    stage = drawing.Stage(mujoco, tr.domain("halfcheetah").model)
    assert not (stage.bare or stage.dim or len(stage.plain)), "what a model brings is left as it is"


@draws
def test_a_table_stays_a_table():
    """A plane that ends is no floor."""
    stage = drawing.Stage(mujoco, tr.domain("pusher").model)
    assert stage.height is None and not len(stage.plain) and stage.dim
