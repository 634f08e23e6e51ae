"""A server that strangers, slow clients and broken robots meet. The session behind it has no learner."""

from __future__ import annotations

import json
import resource
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import transreward as tr
from transreward.runs import store
from transreward.session import published
from transreward.session import server as serving
from transreward.session.process import LearnerProcess
from transreward.session.protocol import receive, send
from transreward.session.published import UNIFORM, Acting
from transreward.session.reported import Heard
from transreward.session.safety import Safety
from transreward.session.server import Server, listening
from transreward.session.session import Session
from transreward.streams.journal import Journal
from transreward.types import BrokenRun, RequestError, Spaces

SPACES, TOKEN, ROBOTS = Spaces(3, 1, -np.ones(1), np.ones(1)), "a token of a test", 8


class Pays:
    """In the place of `Payment`."""

    said = ""

    def __call__(self, obs, action, next_obs):
        return float(next_obs.sum())


def bare(folder, robots=ROBOTS, granted=10_000):
    """A session whose robots act at random, and nobody learns."""
    one: Any = Session.__new__(Session)
    one.out, one._folder, one.spaces, one.counts = folder, folder, SPACES, Counter()
    one.config = SimpleNamespace(seed=0, target_steps=granted * robots)
    one.safety, one.background = Safety(SPACES), True
    one._lock, one._heard, one._rate, one._granted = threading.RLock(), Heard(lambda said: None), None, granted
    one.acting, one._policies = Acting([UNIFORM], {}), {}
    one._asked_at = [0.0] * robots
    one._journal = Journal(folder / "steps.journal", robots, SPACES, granted, writes=True)
    one._learner = SimpleNamespace(version=0, over=False, alive=True, failed=None, close=lambda: None)
    one.payment = Pays()
    return one


@contextmanager
def served(folder):
    """A server, its address, its session, and what it says."""
    session, said = bare(folder), []
    with listening("127.0.0.1:0") as listener:
        threading.Thread(target=Server(listener, session, TOKEN, said.append).serve, daemon=True).start()
        yield "{}:{}".format(*listener.getsockname()), session, said
        listener.shutdown(socket.SHUT_RDWR)
    session._journal.close()


@pytest.fixture
def at(tmp_path):
    with served(tmp_path) as found:
        yield found


def drive(client, steps, pause=0.0):
    """Returns how long each step took, s."""
    obs, took = np.zeros(3), []
    client.reset(obs)
    for i in range(steps):
        began = time.perf_counter()
        action = client.act(obs)
        client.tell(obs, action, None if i % 2 else 1.0, led := obs + 1)
        took.append(time.perf_counter() - began)
        obs = led
        time.sleep(pause)
    return took


def test_a_long_reason_of_an_abort_is_cut_and_the_client_goes_on(at):
    """A message may have 1 MiB."""
    address, session, _ = at
    with tr.Client(address, TOKEN) as client:
        client.act(np.zeros(3))
        client.abort("x" * 2**21)
        drive(client, 1)
    assert session.status["aborted"] == 1


def test_eight_robots_at_once_and_a_slow_one_delays_no_other(at):
    """Each step of each is in the journal once; half a message, and a client that reads nothing, hold up nobody."""
    address, session, _ = at
    silent = tr.Client(address, TOKEN, 7)
    silent._connection.sendall(struct.pack(">I", 1000) + b"{")
    took: dict[int, list[float]] = {}

    def robot(i):
        with tr.Client(address, TOKEN, i) as client:
            took[i] = drive(client, 50, 0.01)

    threads = [threading.Thread(target=robot, args=(i,)) for i in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    silent.close()
    assert session._journal.book.acts == 350 and [one.acts for one in session._journal.book.robots] == [50] * 7 + [0]
    assert max(max(x) for x in took.values()) < serving.PATIENCE / 2


def test_a_robot_that_leaves_may_come_back_at_once(at):
    address, session, _ = at
    for _ in range(20):
        with tr.Client(address, TOKEN) as client:
            drive(client, 1)
    assert session._journal.book.acts == 20


def test_a_robot_whose_cable_was_pulled_takes_its_own_place(at, monkeypatch):
    monkeypatch.setattr(serving, "LEAVING", 0.05)
    address, session, said = at
    with tr.Client(address, TOKEN) as old:
        drive(old, 2)
        with pytest.raises(RequestError, match=r"robot 0 is already connected \(last heard 0\.\d s ago\)"):
            tr.Client(address, TOKEN)
        monkeypatch.setattr(serving, "SILENT", 0.01)
        with tr.Client(address, TOKEN) as new:
            drive(new, 2)
            with pytest.raises(OSError):
                old.act(np.zeros(3))
            drive(new, 1)
    assert session._journal.book.acts == 5 and any("another client takes its place" in line for line in said)


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system has its own times")
def test_a_machine_that_is_gone_is_found_out_while_it_is_answered():
    """Which may take an hour in `improve`, where nobody is silent; a cable that was pulled closes no connection."""
    with socket.socket() as connection:
        serving._prepared(connection)
        told = [connection.getsockopt(socket.IPPROTO_TCP, vars(socket)[name]) for name in serving.PROBED]
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    idle, between, often = told
    assert idle + between * often < 2 * serving.SILENT


WRONG = [
    ({"do": "act", "obs": [10**400, 0, 0]}, "an observation"), ({"do": "act", "obs": [[1], 2, 3]}, "an observation"),
    ({"do": "act", "obs": None}, "an observation"), ({"do": "act", "obs": "abc"}, "an observation"),
    ({"do": "act", "obs": [True, False, {}]}, "an observation"), ({"do": "tell", "obs": [0, 0, 0]}, "tell needs"),
    ({"do": "tell", "obs": [0] * 3, "next_obs": [1] * 3, "reward": 1, "terminated": "no"}, "`terminated`"),
    ({"do": "tell", "obs": [0] * 3, "next_obs": [1] * 3, "reward": [1, 2]}, "`reward`"),
    ({"do": "tell", "obs": [0] * 3, "next_obs": [1] * 3, "reward": 10**400}, "`reward`"),
    ({"do": "reset", "obs": [0] * 3, "steps": -1}, "`steps`"),
    ({"do": "reset", "obs": [0] * 3, "steps": 1.5}, "`steps`"),
    ({"do": "improve", "seconds": "soon"}, "seconds"), ({"do": "improve", "seconds": None}, "seconds"),
    ({"do": ["act"]}, "unknown request"), ({"do": "abort", "why": "x", "at": 3}, "abort does not take"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "words"), WRONG, ids=range(len(WRONG)))
def test_wrong_types_are_answered_in_one_line_and_nothing_is_kept(at, asked, words):
    address, session, _ = at
    with tr.Client(address, TOKEN) as client:
        client.act(np.zeros(3))
        send(client._connection, asked)
        found = receive(client._connection, 5.0)
        assert found is not None and not found["ok"] and words in found["error"] and len(found["error"]) < 600
        assert "\n" not in found["error"]
        client.tell(np.zeros(3), None, 1.0, np.ones(3))
    assert session._journal.book.acts == 1 and session._journal.book.robots[0].total == 1


def test_a_key_that_the_session_itself_misses_is_not_asked_of_the_robot(at, monkeypatch):
    address, session, _ = at
    monkeypatch.setattr(session, "_action", lambda who, obs: {}["weights"])
    with tr.Client(address, TOKEN) as client, pytest.raises(RequestError, match=r"act failed: KeyError: 'weights'"):
        client.act(np.zeros(3))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["obs", "action", "reward", "next_obs", "terminated", "truncated", "steps", "why", "seconds", "robot", "token"]


@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from([*serving.CALLS, "hello"]), st.dictionaries(st.sampled_from(KEYS), anything, max_size=5)
        ),
        max_size=6,
    )
)
@settings(deadline=None, max_examples=60)
def test_whatever_is_asked_is_answered(tmp_path_factory, requests):
    with served(tmp_path_factory.mktemp("any")) as (address, session, _), tr.Client(address, TOKEN) as client:
        for do, keys in requests:
            if do == "improve":
                continue
            content = json.dumps({"do": do, **keys}, allow_nan=True).replace("Infinity", "1e999").encode()
            client._connection.sendall(struct.pack(">I", len(content)) + content)
            found = receive(client._connection, 5.0)
            assert found is not None and isinstance(found["ok"], bool)
        book = session._journal.book
        assert all(np.isfinite(one.total) for one in book.robots)
        drive(client, 1)


def test_a_full_disk_costs_the_step_that_it_does_not_hold(tmp_path):
    """Nothing half-written stays in front of what is written later."""
    session = bare(tmp_path, robots=1)
    obs = np.zeros(3)
    session.tell(obs, session.act(obs), 1.0, obs + 1)
    size = (tmp_path / "steps.journal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))  # a part of the next record fits
    try:
        for _ in range(2):
            with pytest.raises(RequestError, match=r"cannot be written: .*; make room, and go on"):
                session.act(obs + 1)
        assert (tmp_path / "steps.journal").stat().st_size == size and session._journal.book.acts == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    session.tell(obs + 1, session.act(obs + 1), 1.0, obs + 2)
    session._journal.close()
    again = bare(tmp_path, robots=1)
    assert again._journal.book.acts == 2 and again._journal.book.robots[0].lost == 0
    again._journal.close()


def test_a_session_that_goes_on_is_not_warned_of_where(tmp_path):
    """The robot was put back meanwhile; within a session the same is worth a warning."""
    obs = np.zeros(3)
    session = bare(tmp_path, robots=1)
    session.tell(obs, session.act(obs), 1.0, obs + 1)
    session._journal.close()
    again = bare(tmp_path, robots=1)
    again.tell(obs + 5, again.act(obs + 5), 1.0, obs + 6)  # warnings are errors
    assert not again.counts["jumped"]
    with pytest.warns(UserWarning, match="is asked for elsewhere"):
        again.act(obs)
    again._journal.close()


def test_an_operator_ends_an_episode_once(tmp_path):
    session, obs = bare(tmp_path, robots=1), np.zeros(3)
    session.abort("nothing has begun")
    session.act(obs)
    session.abort("a hand")
    session.abort("and again")
    assert session.status["aborted"] == 1
    session._journal.close()


def test_a_client_says_what_is_wrong_as_a_session_does(at):
    address, session, _ = at
    with tr.Client(address, TOKEN, 2) as client:
        assert repr(client).startswith(f"Client of {address}, robot 2: observations of 3 numbers, actions of 1; 80,000")
        for obs, words in (([0, np.nan, 0], "entry 1 is not"), (None, "must be numbers"), ("up", "must be numbers")):
            with pytest.raises(RequestError, match=words):
                client.act(obs)
        with pytest.raises(RequestError, match="`reward` must be finite, not nan"):
            client.tell(np.zeros(3), None, np.nan, np.zeros(3))
    assert session._journal.book.acts == 0
    with pytest.raises(ConnectionError, match=r"nothing listens at 127\.0\.0\.1:1: is 'transreward serve' running"):
        tr.Client("127.0.0.1:1", TOKEN)


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    session = bare(tmp_path, robots=1)
    session._rate = 50.0
    obs = np.zeros(3)
    for i, now in enumerate((1e9, 0.0, 4e9, -5.0)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        session.tell(obs + i, session.act(obs + i), 1.0, obs + i + 1)
    session._journal.close()
    again = bare(tmp_path, robots=1)
    assert again._journal.book.acts == 4 and again._journal.book.robots[0].lost == 0 and not session.counts["late"]
    again._journal.close()


def test_paths_that_are_too_long_and_tokens_that_are_wrong(tmp_path, at):
    with pytest.raises(RequestError, match=r"nothing can listen at .*too long"):
        listening(str(tmp_path / ("x" * 200)))
    address, session, _ = at
    for wrong in ("", "x" * 100_000, f"{TOKEN}!", "\udcff"):
        with pytest.raises(RequestError, match="wrong token"):
            tr.Client(address, wrong)
    with tr.Client(address, TOKEN) as client:
        drive(client, 1)
        client.abort("a hand \udcff")
    assert session._journal.book.robots[0].aborted == 1


def test_the_largest_change_counts_from_what_the_robot_did(tmp_path):
    """Also where an operator had it do something else, after `resume`, and where an observation was read anew."""

    def opened():
        session = bare(tmp_path, robots=1)
        session.safety = Safety(SPACES, change=0.1)
        session.acting = Acting(["one"], {})
        session._policies = {"one": lambda obs, noise: -np.ones(1, np.float32)}
        return session

    session, obs = opened(), np.zeros(3)
    assert session.act(obs) == -1
    session.tell(obs, [0.9], 1.0, obs + 1)
    assert session.act(obs + 1) == pytest.approx(0.8)
    session.tell(obs + 1, None, 1.0, obs + 2)
    session._journal.close()
    session = opened()
    session.acting = Acting(["other", "one"], {})  # the episode stays with who began it
    assert session.act(obs + 2) == pytest.approx(0.7) and session._journal.book.robots[0].who == "one"
    session.tell(obs + 2, None, 1.0, obs + 3)
    with pytest.warns(UserWarning, match="is asked for elsewhere"):
        session.acting = Acting(["one"], {})
        assert session.act(obs + 3.1) == pytest.approx(0.6)
    with pytest.warns(UserWarning, match="nothing was told before the next"):
        assert session.act(obs + 3.2) == pytest.approx(0.5)
    session.reset(obs)
    assert session.act(obs) == -1
    session._journal.close()


@pytest.mark.parametrize("end", ["terminated", "truncated", "abort", "abort in motion"])
def test_the_largest_change_counts_from_one_episode_to_the_next(tmp_path, end):
    """A robot whose episode is over is where it was, until `reset` says that it was put back."""
    session, obs = bare(tmp_path, robots=1), np.zeros(3)
    session.safety, session.acting = Safety(SPACES, change=0.1), Acting(["one"], {})
    session._policies = {"one": lambda obs, noise: -np.ones(1, np.float32)}
    session.act(obs)
    session.tell(obs, [0.9], 1.0, obs + 1, **({end: True} if end in ("terminated", "truncated") else {}))
    wanted = 0.8
    if end == "abort in motion":
        assert session.act(obs + 1) == pytest.approx(wanted)
        wanted = 0.7
    if end.startswith("abort"):
        session.abort("a hand")
    assert session.act(obs + 5) == pytest.approx(wanted)
    session.abort()
    session.reset(obs)
    assert session.act(obs) == -1
    session._journal.close()


def test_a_reward_is_what_the_journal_can_hold(tmp_path):
    session, obs = bare(tmp_path, robots=1), np.zeros(3)
    session.act(obs)
    for wrong in (1e39, -1e300, np.inf):
        with pytest.raises(RequestError, match="`reward` must be finite in float32, not"):
            session.tell(obs, None, wrong, obs + 1)
    with pytest.raises(RequestError, match="entry 0 is not"):
        session.tell(obs, None, 1.0, obs + 1e39)
    session.tell(obs, None, 0.1, obs + 1)
    session.tell(obs + 1, session.act(obs + 1), 0.1, obs, terminated=True)
    session._journal.close()
    again = bare(tmp_path, robots=1)
    assert again._journal.book.episodes == session._journal.book.episodes
    again._journal.close()


def test_what_is_no_number_reaches_no_robot(tmp_path):
    session, obs = bare(tmp_path, robots=1), np.zeros(3)
    session.acting, session._policies = Acting(["one"], {}), {"one": lambda obs, noise: np.float32([np.nan])}
    with pytest.raises(RequestError, match="the policy gives no number here"):
        session.act(obs)
    assert session._journal.book.acts == 0
    session._journal.close()


def test_a_policy_that_is_not_finite_is_not_taken_over(tmp_path, monkeypatch):
    """A learner that diverges publishes once more before its loss tells."""
    monkeypatch.setattr(published, "template", lambda learner, spaces: ({}, None, ("w",)))
    store.save_tree(tmp_path / "policy", {"w": np.array([1.0, np.nan])})
    with pytest.raises(RequestError, match="holds numbers that are not finite"):  # which the session passes over
        published.Policy(None, SPACES, tmp_path / "policy")


def test_a_watch_that_fails_ends_nothing(tmp_path):
    """It is called in the thread that hears the learner; without that, `improve` would wait for ever."""
    session, called = bare(tmp_path, robots=1), []

    def watch(said):
        called.append(said)
        raise ZeroDivisionError("mine")

    session._heard.watch = watch
    for _ in range(2):
        session._heard({"event": "progress", "said": []})
    with pytest.warns(UserWarning, match="`watch` failed, and is not called again: ZeroDivisionError: mine") as caught:
        session.abort()
    assert caught[0].filename == __file__
    assert len(called) == 1
    session._journal.close()


def test_a_session_that_cannot_be_saved_is_closed_all_the_same(tmp_path, monkeypatch):
    """Its journal is whole, and free for who goes on with it once there is room."""
    session, obs = bare(tmp_path, robots=1), np.zeros(3)
    session.tell(obs, session.act(obs), 1.0, obs + 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(BrokenRun, match="cannot be written"):
            session.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = bare(tmp_path, robots=1)
    assert again.status["steps"] == 1

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RequestError, match="cannot be written: No space left on device; make room"):
        again.save()
    again._journal.close()


def test_numbers_of_numpy_are_numbers_to_a_client(at):
    address, session, _ = at
    with tr.Client(address, TOKEN, np.int64(1)) as client:
        client.reset(np.zeros(3), steps=np.int64(3))
        with pytest.raises(RequestError, match="improve failed"):  # nobody learns here
            client.improve(np.float32(0.0))
        client.abort(ValueError("why"))
    assert session._journal.book.robots[1].resets == 3


def test_two_robots_that_let_the_learner_learn(tmp_path):
    """Who is through first does not stop it for the other, and an interrupted one lets it no longer."""
    one: Any = LearnerProcess.__new__(LearnerProcess)
    asked: list[str] = []
    one._news, one._letting, one._send = threading.Condition(), 0, lambda what: asked.append(what["do"])
    with one.learning(False):
        with pytest.raises(KeyboardInterrupt), one.learning(False):
            raise KeyboardInterrupt
        assert asked[-1] == "learn"
    assert asked[-1] == "pause"
    with one.learning(True):
        pass
    assert asked[-1] == "learn"
