"""Of all processes that want a claim one gets it, also where its holder has died, and nobody's clock is trusted."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import subprocess
import time

import pytest

from transreward import claims as module
from transreward.claims import DONE, FAILED, HELD, Claims, locked
from transreward.types import RequestError


def race(folder, name, begin, won):
    begin.wait()
    claims = Claims(folder)
    claim = claims.take(name)
    if claim is not None:
        won.put(claim.note.number)
        time.sleep(1.0)  # it stays its holder while the others try


@pytest.fixture
def elsewhere(monkeypatch):
    """What this process takes inside looks as if another machine had taken it."""

    def take(folder, name, **about):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "machine", lambda: "another")
            claim = Claims(folder).take(name, about)
            claim._over.set()  # it does not beat
            return claim

    return take


@pytest.mark.parametrize("stale", [False, True], ids=["free", "left by a dead process"])
def test_one_of_many_processes_gets_it(tmp_path, stale):
    if stale:
        dead = subprocess.Popen(["true"])
        dead.wait()
        claim = Claims(tmp_path).take("job")
        claim._over.set()
        claim.place.write_text(json.dumps(claim.note._replace(pid=dead.pid)._asdict()))
    context = multiprocessing.get_context("spawn")
    begin, won = context.Barrier(6), context.Queue()
    racers = [context.Process(target=race, args=(tmp_path, "job", begin, won)) for _ in range(6)]
    for one in racers:
        one.start()
    for one in racers:
        one.join(60)
        assert one.exitcode == 0
    assert won.get(timeout=10) == 1 + stale and won.empty()


def test_a_claim_is_taken_again_once_it_is_given_up(tmp_path):
    claims, others = Claims(tmp_path), Claims(tmp_path)
    first = claims.take("job")
    assert others.take("job") is None and others.taken("job").pid == os.getpid()
    first.release(FAILED, "it went wrong")
    assert others.taken("job") is None and others.newest("job").why == "it went wrong"
    second = others.take("job")
    assert (second.note.number, claims.newest("job").state, first.lost, second.lost) == (2, HELD, True, False)
    first.release(DONE)  # too late, and not its own any more
    assert claims.newest("job").state == HELD
    second.release(DONE)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_machine_that_died_is_known_by_the_beats_that_do_not_come(tmp_path, elsewhere, monkeypatch):
    """By the clock of who waits: what the file says of the time is not asked."""
    monkeypatch.setattr(module, "STALE", 0.3)
    theirs, claims = elsewhere(tmp_path, "job"), Claims(tmp_path)
    for _ in range(4):  # it beats
        time.sleep(0.15)
        theirs._write(beat=theirs.note.beat + 1)
        theirs.note = theirs.note._replace(at=0.0)
        assert claims.take("job") is None
    time.sleep(0.35)
    ours = claims.take("job")
    assert ours is not None and theirs.lost and not ours.lost
    theirs._write(beat=99)  # it wakes up
    assert claims.newest("job").token == ours.note.token
    ours.release()


def test_a_holder_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.01)
    claim = Claims(tmp_path).take("job")
    until = time.monotonic() + 20
    while Claims(tmp_path).newest("job").beat < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert Claims(tmp_path).newest("job").beat >= 2
    claim.release()


def test_where_there_are_no_links_or_a_link_s_answer_was_lost(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.EPERM, "no links")

    real = os.link

    def answered_late(old, new):
        real(old, new)
        raise FileExistsError

    monkeypatch.setattr(os, "link", none)
    assert Claims(tmp_path).take("job") is not None and Claims(tmp_path).take("job") is None
    monkeypatch.setattr(os, "link", answered_late)
    assert Claims(tmp_path).take("other") is not None


@pytest.mark.parametrize("text", ["", "[]", '{"pid": "x"}', '{"token": 3}', "\x00"])
def test_what_cannot_be_read_is_held_until_it_has_stood_still(tmp_path, monkeypatch, text):
    (tmp_path / "job.1").write_text(text)
    claims = Claims(tmp_path)
    assert claims.take("job") is None
    monkeypatch.setattr(module, "STALE", 0.0)
    assert claims.take("job") is not None


def test_a_file_system_without_locks_of_directories_is_gone_on_with(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EBADF, "as on NFS")

    with locked(tmp_path), pytest.raises(RequestError, match="goes on in another process"), locked(tmp_path):
        pass
    monkeypatch.setattr(fcntl, "flock", refused)
    with locked(tmp_path):
        pass
