"""How a session and its learner end: closed, killed in the middle of a word, or interrupted while it opens."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from transreward.session import process
from transreward.session.process import LearnerProcess
from transreward.types import BrokenRun

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
