"""Whole sessions: a robot that asks, a learner in another process, and whatever comes between them."""

from __future__ import annotations

import _thread
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import transreward as tr
from transreward.domains.asked import readable
from transreward.reports.page import write_report
from transreward.runs import store
from transreward.session.protocol import receive, send
from transreward.streams.journal import KINDS, STEP, unpacked
from transreward.streams.log import records
from transreward.types import RequestError

pytestmark = pytest.mark.slow

SMALL = {
    "learner": tr.learner("sac", hidden=(8,), batch=16, robots=4, random_steps=32, steps_per_update=8.0),
    "source_steps": 640, "target_steps": 96,
    "settings": {"loop.eval_episodes": 1, "loop.final_episodes": 1, "loop.evaluations": 2, "loop.source_evaluations": 1,
                 "loop.threads": 1, "loop.aligned": 0},
}  # fmt: skip
PAGE = Path(__file__).parents[2] / "docs" / "robot.md"
POLE, HEAVY = "inverted_pendulum", "inverted_pendulum:gravity=2"


class Robot:
    """A simulated robot that knows nothing of sessions, and counts its own steps."""

    def __init__(self, seed=1):
        self.simulation, self.steps = tr.domain(HEAVY).simulate(1, seed, 1), 0

    @property
    def obs(self):
        return self.simulation.obs[0].copy()

    def move(self, action):
        self.steps += 1
        t = self.simulation.step(np.asarray(action, float)[None])
        return float(t.reward[0]), t.next_obs[0], bool(t.terminated[0]), bool(t.truncated[0])

    def drive(self, asked, steps):
        for _ in range(steps):
            obs = self.obs
            action = asked.act(obs)
            reward, led, *over = self.move(action)
            asked.tell(obs, action, reward, led, *over)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A session that has had all its steps, and what it said before."""
    out, robot = tmp_path_factory.mktemp("session") / "run", Robot()
    with tr.Session(POLE, method="fine_tune", out=out, **SMALL) as session:
        begun = session.status
        robot.drive(session, 96)
        assert session.improve(120) and session.over
        with pytest.raises(RequestError, match="all 96 target steps are taken"):
            session.act(robot.obs)
        assert robot.steps == session.status["steps"] == 96 and begun["steps"] == 0
        episodes = session.status["episodes"]
    return out, episodes


def test_a_session_ends_as_a_run(finished):
    out, episodes = finished
    run = tr.load(out)
    assert run.provenance["command"] == store.provenance()["command"]  # this process's, not the learner's
    assert (run.method, run.steps.target, run.stopped) == ("fine_tune", 96, "budget")
    assert run.config["target"] == f"asked:{POLE}" and run.config["loop"]["eval_target"] == "training"
    assert len(episodes) > 1 and {e["who"] for e in episodes} == {"learner"}
    np.testing.assert_allclose(run.target_return[0][-1], episodes[-1]["return"])
    assert run.policy()(np.zeros(4)).shape == (1,)


def test_its_page_names_the_robot_as_a_reader_knows_it(finished, tmp_path):
    """Its id in config.json says in which columns it acts."""
    text = write_report([finished[0]], tmp_path / "page.html").read_text()
    assert f"<h1>{POLE} → a robot that asks</h1>" in text and "<title>" in text.partition("asked:")[0]
    assert "transreward transfer" not in text and "no command repeats it" in text
    assert repr(tr.load(finished[0])).splitlines()[-3].startswith(f"fine_tune: {POLE} -> a robot that asks, 1 seed")


@pytest.mark.parametrize(
    ("id", "name"),
    [("asked:my/arm.yaml", "arm"), ("asked:hopper", "a robot that asks"), ("hopper:gravity=2", "hopper:gravity=2"),
     ("hopper@map.yaml(asked:arm.yaml)", "hopper@map.yaml(arm)"), ("asked:ant:mass(torso)=2", "a robot that asks")],
)  # fmt: skip
def test_an_id_as_a_reader_sees_it(id, name):
    assert readable(id) == name


def test_every_step_is_learned_from_once(finished):
    """The stored steps are those that the robot took, in their order."""
    from transreward.engine.checkpoint import Rows  # noqa: F401, they are in its files

    rows = sorted((finished[0] / "state" / "fine_tune").glob("0-target-*.rows"))
    stored = np.fromfile(rows[-1], np.float32)
    assert stored.size % 96 == 0 and np.isfinite(stored).all()


def test_what_is_wrong_is_refused_and_nothing_is_kept(tmp_path):
    out, robot = tmp_path / "run", Robot()
    with tr.Session(POLE, method="fine_tune", out=out, change=0.5, **SMALL) as session:
        obs = robot.obs
        for wrong, words in ((obs[:2], "shape (4,)"), (obs * np.nan, "finite"), ("up", "numbers of shape (4,)")):
            with pytest.raises(RequestError, match=re.escape(words)):
                session.act(wrong)
        with pytest.raises(RequestError, match="was not asked for"):
            session.tell(obs, None, 1.0, obs)
        action = session.act(obs)
        np.testing.assert_array_equal(session.act(obs), action)  # asked again, and no further step
        for told, words in (
            ((obs + 1, action, 1.0, obs), "begins elsewhere"), ((obs, action + 100, 1.0, obs), "beyond the robot's"),
            ((obs, action, np.nan, obs), "finite"),
            ((obs, action, 1.0, obs, 3), "`terminated`"),
        ):  # fmt: skip
            with pytest.raises(RequestError, match=words):
                session.tell(*told)
        reward, led, *over = robot.move(action)
        session.tell(obs, action, reward, led, *over)
        with pytest.raises(RequestError, match="was not asked for"):  # told twice
            session.tell(obs, action, reward, led, *over)
        with pytest.warns(UserWarning, match="is asked for elsewhere"):
            session.act(led + 1)
        with pytest.warns(UserWarning, match="nothing was told"):
            session.act(led + 2)
        session.abort("a hand came too near")
        session.abort("twice")  # there is no other episode to end
        session.reset(led, steps=7)
        with pytest.raises(RequestError, match="`robot` 1 is not there: this session has one robot: 0"):
            session.act(led, robot=1)
        found = session.status
    assert (found["steps"], found["lost"], found["reset_steps"], found["aborted"]) == (3, 2, 7, 1)
    assert found["asked twice"] == found["jumped"] == found["untold"] == 1
    with pytest.raises(RequestError, match="is closed: go on with"):
        session.act(obs)
    with pytest.raises(RequestError, match="holds a session with 3 of 96 steps"):
        tr.Session(POLE, method="fine_tune", out=out, **SMALL)


def test_a_robot_that_tells_no_rewards_is_paid_by_its_task(tmp_path, monkeypatch):
    """In the journal there is what its simulator paid; over a bridge, too, whose columns show the task."""
    monkeypatch.chdir(tmp_path)
    robot, own = Robot(), []
    with tr.Session(POLE, method="fine_tune", out="run", unpaid=True, **SMALL) as session:
        for _ in range(20):
            obs = robot.obs
            action = session.act(obs)
            reward, led, *over = robot.move(np.sign(action) * 3)  # it falls
            own.append(reward)
            session.tell(obs, np.sign(action) * 3, None, led, *over)
        assert "may be left out" in session.status["rewards"]
    with Path("run/session/steps.journal").open("rb") as file:
        told = [payload for _, kind, _, payload in records(file, KINDS) if kind == STEP]
    paid = [unpacked(STEP, one, session.spaces).reward for one in told]
    assert paid == own and 0 in paid and 1 in paid


def test_rewards_that_cannot_be_computed_are_refused_before_anything_is_trained(tmp_path):
    asked = {"method": "fine_tune", "out": tmp_path / "run", **SMALL}
    with pytest.raises(RequestError, match="do not show all that it is paid for") as caught:
        tr.Session(POLE, f"{POLE}:sensor_noise=5", unpaid=True, **asked)
    assert "tell them" in str(caught.value) and not (tmp_path / "run").exists()
    with tr.Session(POLE, f"{POLE}:sensor_noise=5", **asked) as session:  # which may be told them
        robot = Robot()
        obs = robot.obs
        action = session.act(obs)
        reward, led, *over = robot.move(action)
        with pytest.raises(RequestError, match="do not show all that it is paid for"):
            session.tell(obs, action, None, led, *over)
        session.tell(obs, action, reward, led, *over)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"method": "oracle"}, "only a simulated target has"), ({"method": "jsrl"}, "cannot yet"),
        ({"method": "zero_shot"}, "does not learn from the robot's steps"),
        ({"learner": "ppo", "source_steps": 10_000, "target_steps": 10_000}, 'use `learner="sac"`'),
        ({"target": "hopper"}, "unlike robots need a bridge"),
        ({"low": -9}, "beyond the robot's own limits"), ({"target": "robot.yaml"}, "robot.yaml"),
    ],
)  # fmt: skip
def test_a_wrong_session_leaves_nothing(tmp_path, asked, words):
    with pytest.raises(RequestError, match=re.escape(words)):
        tr.Session(POLE, **{"method": "fine_tune", "out": tmp_path / "run", **SMALL, **asked})
    assert not (tmp_path / "run").exists()
    with pytest.raises(RequestError, match="holds no session"):
        tr.Session.resume(tmp_path)


KILLED = """
import sys
sys.path[:0] = {path!r}
from tests.session.test_session import POLE, SMALL, Robot
import transreward as tr
if __name__ == "__main__":
    session, robot = tr.Session(POLE, method="auto", out=sys.argv[1], **SMALL), Robot()
    robot.drive(session, 40)
    session.act(robot.obs)
    print("now", flush=True)
    input()
"""


def test_a_session_whose_process_is_killed_goes_on(tmp_path):
    """With each step in the journal once, the one in flight counted, and its learner ended with it."""
    out, script = tmp_path / "run", tmp_path / "robot.py"
    script.write_text(KILLED.format(path=[p for p in sys.path if p] + [str(Path(__file__).parents[2])]))
    process = subprocess.Popen([sys.executable, script, out], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)
    robot = Robot(2)
    deadline = time.monotonic() + 60
    while True:  # its learner writes a checkpoint first
        try:
            session = tr.Session.resume(out)
            break
        except (tr.BrokenRun, RequestError) as error:
            assert "another process" in str(error) and time.monotonic() < deadline
            time.sleep(0.5)
    with session:
        assert session.status["steps"] == 41 and session.status["lost"] == 1
        robot.drive(session, 55)
        for wrong in (-3, np.nan, "x"):
            with pytest.raises(tr.RequestError, match="must be a number from 0, or None"):
                session.improve(wrong)
        assert session.left == 0 and session.improve(200)
        assert session.over and session.result.steps.target == 96 and session.result.delivered
        with pytest.raises(RequestError, match="another process answers the robot"):
            tr.Session.resume(out)
    with tr.Session.resume(out) as again:  # which is over: the delivered policy acts, and nothing is learned anew
        assert again.over and again.acting.names == ["delivered"] and again.result.steps.target == 96


def test_an_opening_that_is_interrupted_goes_on(tmp_path):
    """Ctrl-C while the source agent is trained: what it has learned is in the checkpoint that its learner leaves."""
    told, out, asked = [], tmp_path / "run", {**SMALL, "source_steps": 4000}

    def watch(said):
        told.append(said)
        if len(told) == 3:
            _thread.interrupt_main()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may ignore it
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            tr.Session(POLE, method="fine_tune", out=out, watch=watch, **asked)
    finally:
        signal.signal(signal.SIGINT, before)
    assert f"tr.Session.resume('{out}') goes on with it" in caught.value.__notes__[0]
    first = [said for said in told if said["event"] == "progress"]
    assert first[-1]["phase"] == "source" and 0 < first[-1]["done"] < 1
    told.clear()
    with tr.Session.resume(out, watch=told.append) as session:
        second = [said for said in told if said["event"] == "progress"]
        # not from the beginning; a round that was told may end before its state is held
        assert second[0]["steps"][0] >= first[-2]["steps"][0] > 0
        Robot().drive(session, 3)
        assert session.status["steps"] == 3


def test_a_robot_with_columns_of_its_own(tmp_path, monkeypatch):
    """Those of the page, in degrees and percent."""
    monkeypatch.chdir(tmp_path)
    told = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)
    for name, text in zip(("robot.yaml", "map.yaml"), told, strict=True):
        Path(name).write_text(text)
    robot, factors = Robot(), np.array([57.3, 1, 1, 57.3])

    def seen():  # slider position, hinge angle, slider velocity, hinge velocity
        return robot.obs[[1, 0, 2, 3]] * factors

    asked = {**SMALL, "bridge": "map.yaml", "target": "robot.yaml"}
    with tr.Session(POLE, method="fine_tune", out="run", **asked) as session:
        for _ in range(10):
            obs = seen()
            action = session.act(obs)
            assert action.shape == (1,) and abs(action[0]) <= 100
            _, _, *over = robot.move(action * 0.03)
            session.tell(obs, action, None, seen(), *over)
            assert session._journal.book.robots[0].total == session._journal.book.robots[0].clock  # 1 a step
        assert (
            session.status["steps"] == 10 and session.config.domains.source.name == f"{POLE}@map.yaml(asked:robot.yaml)"
        )


@pytest.mark.filterwarnings("ignore:what came of a step was told")  # a core with other work makes a step late
def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python slow\n(.*?)```", PAGE.read_text(), re.S)
    space: dict = {}
    exec(compile(code, str(PAGE), "exec"), space)
    assert space["session"].result.delivered and space["session"].over


# -- over a socket -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server of two robots, its address and its token."""
    out = tmp_path_factory.mktemp("serve") / "run"
    learner = ["learner.hidden=8", "learner.batch=16", "learner.robots=4", "learner.steps_per_update=8"]
    settings = [f"{k}={v}" for k, v in SMALL["settings"].items()]
    command = [sys.executable, "-m", "transreward", "serve", POLE, "--method", "fine_tune", "--learner", "sac"]
    command += ["--source-steps", "640", "--target-steps", "20000", "--robots", "4", "--port", "0", "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--set", *learner, *settings], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = ""
    for said in process.stdout:
        if said.startswith("listening"):
            break
    assert "listening" in said, process.stderr and process.stderr.read()
    reader = threading.Thread(target=process.stdout.read, daemon=True)
    reader.start()
    yield re.findall(r"listening at (\S+);", said)[0], out / "session" / "token"
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    with process:
        reader.join()
        last = process.stderr.read()
    assert process.returncode == 143 and "goes on with it" in last


def test_a_client_does_as_a_session(served):
    robot = Robot()
    with tr.Client(*served) as client:
        assert client.obs == 4 and client.low.tolist() == [-3] and client.high.tolist() == [3]
        left = client.left
        robot.drive(client, 30)
        assert client.left == left - 30 and client.status["steps"] >= 30
        client.save()
        client.reset(robot.obs, steps=2)
        client.abort()
        assert client.improve(0.01) in (True, False)
        with pytest.raises(RequestError, match="was not asked for"):
            client.tell(robot.obs, None, 1.0, robot.obs)
        robot.drive(client, 3)  # it goes on
        obs, before = robot.obs, client.status["steps"]
        client.tell(obs, client.act(obs), None, robot.move([0.0])[1])
        assert client.status["steps"] == before + 1


def test_strangers_are_refused_and_the_session_goes_on(served):
    address, token = served
    with pytest.raises(RequestError, match="wrong token"):
        tr.Client(address, "guess")
    with pytest.raises(RequestError, match="this session has the robots 0 to 3"):
        tr.Client(address, token, robot=7)
    host, port = address.split(":")
    for content in (b"\0\0\0", struct.pack(">I", 2**27), b"GET / HTTP/1.1\r\n\r\n", struct.pack(">I", 3) + b"nul"):
        with socket.create_connection((host, int(port))) as stranger:
            try:
                stranger.sendall(content)
                stranger.shutdown(socket.SHUT_WR)
                found = receive(stranger, 5.0)
            except OSError:  # the server has read enough and was first to close
                continue
            assert found is None or found["ok"] is False
    with tr.Client(address, token, 2) as client:
        with pytest.raises(RequestError, match="robot 2 is already connected"):
            tr.Client(address, token, 2)
        connection = client._connection
        for asked, words in (
            ({"do": "jump"}, "unknown request 'jump'"), ({"do": "act"}, "act needs 'obs'"),
            ({}, "unknown request None"),
            ({"do": "act", "obs": [0] * 4, "speed": 3}, "act does not take 'speed'"),
            ({"do": "act", "obs": {"a": 1}}, "numbers of shape (4,)"), ({"do": "improve", "seconds": -1}, "from 0 to"),
        ):  # fmt: skip
            send(connection, asked)
            found = receive(connection, 5.0)
            assert found and not found["ok"] and words in found["error"]
        Robot().drive(client, 5)


def test_a_slow_client_delays_no_other(served):
    address, token = served
    slow = tr.Client(address, token, 3)
    slow._connection.sendall(struct.pack(">I", 1000) + b"{")  # and never the rest
    took = []
    with tr.Client(address, token, 1) as client:
        robot = Robot(5)
        for _ in range(50):
            before = time.perf_counter()
            robot.drive(client, 1)
            took.append(time.perf_counter() - before)
    slow.close()
    assert np.median(took) < 1.0


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_a_robot_in_cpp(served, tmp_path):
    address, token = served
    header = subprocess.run([sys.executable, "-m", "transreward", "serve", "--header"], capture_output=True, check=True)
    (tmp_path / "transreward.hpp").write_bytes(header.stdout)
    assert header.stdout.count(b"\n") < 200
    program = Path(__file__).with_name("pendulum.cpp")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1", "-I", str(tmp_path)]
    subprocess.run(["g++", *flags, str(program), "-o", str(tmp_path / "pendulum")], check=True)
    command = [str(tmp_path / "pendulum"), address, token.read_text().strip(), "60"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    first, last = found.stdout.splitlines()
    assert re.fullmatch(r"left \d+ limits -3 3 done (yes|no)", first) and "was not asked for" in last


def test_a_port_in_use_is_said_before_anything_is_trained(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "transreward", "serve", POLE, "--out", str(tmp_path / "run"), "--port", port]
        found = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert found.returncode == 2 and "nothing can listen" in found.stderr and found.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
