"""How a session and its learner end: closed, killed in the middle of a word, or interrupted while it opens."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from session.test_server import TOKEN, bare, drive, served

from transreward.session import process
from transreward.session import server as serving
from transreward.session.client import Client
from transreward.session.process import LearnerProcess
from transreward.session.protocol import send
from transreward.types import BrokenRun, RequestError

ACTING = '{"event": "acting", "version": 1}'


@pytest.fixture
def learner(tmp_path, monkeypatch):
    """A learner's process that runs some lines of Python; it is told the session's directory first."""
    began, popen = [], subprocess.Popen

    def begin(code, told=lambda said: None):
        monkeypatch.setattr(
            process.subprocess, "Popen", lambda words, **more: popen([sys.executable, "-Sc", code], **more)
        )
        began.append(LearnerProcess(tmp_path, tmp_path, told))
        return began[-1]

    yield begin
    for one in began:
        one.close()


def waited(learner, until=lambda: False):
    """Wait as `improve` does, without end; a test that would is failed."""
    thread = threading.Thread(target=learner.wait, args=(until, None), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it waits for ever"


@pytest.mark.parametrize("last", ['{"event": "progr', "", '{"version": 3}', "[]", "7", r"\xff\xfe"])
def test_a_learner_that_was_killed_in_the_middle_of_a_word_has_failed(learner, last):
    one = learner(f"import os; os.write(1, b'''{ACTING}\\n{last}'''); os.kill(os.getpid(), 9)")
    waited(one)
    with pytest.raises(BrokenRun, match=r"its process ended with -9; see .*learner\.log"):
        one.require()
    assert one.version == 1


def test_a_learner_that_cannot_be_heard_any_more_is_ended(learner):
    """Whatever the reason: it would stop where the pipe is full, and `improve` wait for it."""

    def told(said):
        raise ZeroDivisionError("mine")

    one = learner('print(\'{"event": "warning", "text": ""}\', flush=True); import time; time.sleep(60)', told)
    began = time.monotonic()
    waited(one)
    with pytest.raises(BrokenRun, match="what it said was not taken in: ZeroDivisionError: mine"):
        one.require()
    assert time.monotonic() - began < 20 and one._process.wait(10) == -15


def test_a_closed_session_says_so(tmp_path, learner):
    """And not that its learner has failed, or that a file is closed; an `improve` that waits comes back."""
    session, waiting, obs = bare(tmp_path, robots=1), [], np.zeros(3)
    session._learner = learner("import sys; sys.stdin.read(); sys.exit(143)")
    session.tell(obs, session.act(obs), 1.0, obs + 1)

    def improve():
        try:
            session.improve()
        except RequestError as error:
            waiting.append(str(error))

    thread = threading.Thread(target=improve, daemon=True)
    thread.start()
    time.sleep(0.05)
    assert session.status["learner"] == "learns"
    session.close()
    thread.join(10)
    assert not thread.is_alive() and session.status["learner"] == "closed" and "is closed" in repr(session)
    for call in (session.save, session.improve, lambda: session.act(obs), session.abort, lambda: session.reset(obs)):
        with pytest.raises(RequestError, match=r"this session is closed: go on with tr\.Session\.resume\('") as caught:
            call()
    assert waiting == [str(caught.value)]
    session.close()  # once more


def test_a_learner_that_failed_before_it_was_closed_is_told(tmp_path, learner):
    session = bare(tmp_path, robots=1)
    session._learner = learner("raise SystemExit(3)")
    waited(session._learner)
    session.close()
    assert session.status["learner"].startswith("its process ended with 3; see ")


def test_the_last_step_may_be_lost_as_any_other(tmp_path):
    """The learner would wait for what came of it for ever, and `over` never be so."""
    session, obs = bare(tmp_path, robots=1, granted=2), np.zeros(3)
    session.tell(obs, session.act(obs), 1.0, obs + 1)
    action = session.act(obs + 1)
    np.testing.assert_array_equal(session.act(obs + 1), action)  # who asks again may still tell
    assert session.status["lost"] == 0
    with pytest.raises(RequestError, match="target steps are taken"):
        session.act(obs + 2)
    assert session.status["lost"] == 1 and session._journal.book.robots[0].settled == 2
    with pytest.raises(RequestError, match="was not asked for"):
        session.tell(obs + 1, action, 1.0, obs + 2)
    session._journal.close()


def test_a_robot_that_has_had_its_share_is_told_of_its_share(tmp_path):
    """Others may go on: not all steps are taken."""
    session, obs = bare(tmp_path, robots=2, granted=1), np.zeros(3)
    session.tell(obs, session.act(obs, robot=1), 1.0, obs + 1, robot=1)
    with pytest.raises(RequestError, match=r"^all 1 target steps, robot 1's share of 2, are taken"):
        session.act(obs + 1, robot=1)
    assert session.left == 1
    session.act(obs, robot=0)
    session._journal.close()


def test_a_robot_whose_program_was_ended_while_it_waited_comes_back(tmp_path, monkeypatch):
    """Ctrl-C in `improve(600)`: the server answers that client for ten minutes more, and it is gone."""
    monkeypatch.setattr(serving, "LEAVING", 0.05)
    began, through = threading.Event(), threading.Event()

    def improve(seconds):
        began.set()
        return through.wait(seconds)

    with served(tmp_path) as (address, session, said):
        session.improve = improve
        with Client(address, TOKEN) as old:
            send(old._connection, {"do": "improve", "seconds": 60})
            assert began.wait(10)
            with pytest.raises(RequestError, match="robot 0 is already connected"):  # it waits for its answer
                Client(address, TOKEN)
        with Client(address, TOKEN) as new:
            drive(new, 1)
            through.set()
            time.sleep(0.1)  # the old one's answer reaches nobody
            drive(new, 1)
        assert session._journal.book.acts == 2 and "robot 0 hung up, and another client takes its place" in said


@pytest.mark.parametrize("seconds", [None, "soon", np.nan, np.inf, -20, 1e12, [1, 2]])
def test_seconds_that_are_none_are_refused_in_a_line_and_the_client_goes_on(tmp_path, seconds):
    """Such as None, which a session itself takes."""
    with served(tmp_path) as (address, session, _), Client(address, TOKEN) as client:
        with pytest.raises(RequestError, match="seconds"):
            client.improve(seconds)
        drive(client, 1)
        assert session._journal.book.acts == 1
