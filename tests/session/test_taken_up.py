"""A session's folder that was copied by halves, or whose process ended while it was opened."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import transreward as tr
from transreward.runs import store
from transreward.runs.places import JOURNAL, REQUEST, SESSION
from transreward.session import folder as folders
from transreward.session import session as module
from transreward.session.learner import ABOUT
from transreward.session.session import Session
from transreward.transfer import planned, requested
from transreward.types import BrokenRun, RequestError

WHOLE = {"robots": 1, "low": None, "high": None, "change": None, "background": True, "counts": {}, "safety": {}}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (REQUEST, None, "has no request.json"), (REQUEST, '{"a": ', "is not JSON"), (ABOUT, '{"schema"', "is not JSON"),
        (ABOUT, "[1]", "must hold a JSON object"), (ABOUT, '{"schema": 1}', "has no 'robots', as if it was cut"),
        (ABOUT, None, "has no session.json, as if it was cut: copy .* again"),
    ],
)  # fmt: skip
def test_half_a_folder_is_refused_in_one_line(tmp_path, name, text, words):
    folder, pole = tmp_path / SESSION, "inverted_pendulum"
    folder.mkdir()
    config = planned(pole, f"asked:{pole}", "fine_tune", learner="sac", settings={"loop.eval_target": "training"})
    store.write_json(folder / REQUEST, requested(config, "sac", {"loop.eval_target": "training"}, ()))
    store.write_json(folder / ABOUT, {"schema": store.SCHEMA, **WHOLE})
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(RequestError, match=words) as caught:
        Session.resume(tmp_path)
    assert "\n" not in str(caught.value) and not (folder / "steps.journal").exists()


class Learner:
    """In the place of `LearnerProcess`: it has published nothing, and ends the wait for it as a test says."""

    error: BaseException | None = None
    reported, version, waiting, over, failed, alive, closing = False, 1, None, False, None, True, False

    def __init__(self, out, folder, told):
        assert (folder / ABOUT).exists()

    def wait(self, until, seconds):
        if self.error is not None:
            raise self.error

    def allow(self, learning):
        pass

    def require(self):
        pass

    def close(self):
        pass


@pytest.fixture
def learner(monkeypatch):
    """As whose subclass a session's learner is made."""
    one = type("Own", (Learner,), {})
    monkeypatch.setattr(module, "LearnerProcess", one)
    return one


def opened(out, **more):
    return tr.Session("inverted_pendulum", method="fine_tune", learner="sac", source_steps=5000, out=out, **more)


@pytest.mark.parametrize(
    ("error", "reported", "kept"),
    [
        (KeyboardInterrupt(), True, True), (KeyboardInterrupt(), False, False), (BrokenRun("NaN"), True, True),
        (RequestError("no"), True, False), (SystemExit(3), False, False),
    ],
)  # fmt: skip
def test_what_the_source_agent_has_learned_is_kept(tmp_path, learner, error, reported, kept):
    """Where its training is interrupted the folder goes on; where nothing was learned there is none."""
    learner.error, learner.reported = error, reported
    with pytest.raises(type(error)) as caught:
        opened(tmp_path / "run", low=-2, change=0.5)
    assert (tmp_path / "run").exists() == kept
    if not kept:
        return
    assert f"tr.Session.resume('{tmp_path / 'run'}') goes on with it" in caught.value.__notes__[0]
    learner.error = None
    with Session.resume(tmp_path / "run") as session:
        assert session.safety.low == -2 and session.safety.change == 0.5 and session.left == 10_000
    with pytest.raises(RequestError, match="holds a session with 0 of 10,000 steps"):
        opened(tmp_path / "run")


LEFT = [f"{folders.PART}/", "config.json", "provenance.json.part", "provenance.json"]
LEFT += [f"{folders.PART}/{name}" for name in (REQUEST, ABOUT)]


def left(out, names):
    """What a process left that was killed."""
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).mkdir() if name[-1] == "/" else (out / name).touch()


@pytest.mark.parametrize("many", range(1, len(LEFT) + 1))
def test_an_opening_that_was_killed_can_be_repeated(tmp_path, many):
    """At whichever of its files: there is no session, or a whole one."""
    left(tmp_path, LEFT[:many])
    folders.begun(tmp_path, {"target": "x"}, {"robots": 1})
    assert {path.name for path in tmp_path.iterdir()} == {SESSION, "config.json", "provenance.json"}
    assert {path.name for path in (tmp_path / SESSION).iterdir()} == {REQUEST, ABOUT}
    with pytest.raises(RequestError, match="already holds a run"):
        folders.begun(tmp_path, {"target": "x"}, {"robots": 1})


def test_nothing_else_makes_room_for_a_session(tmp_path):
    """Neither a run's directory, nor one where another process is at it."""
    for names in (["config.json"], [*LEFT, "result.json"], [*LEFT, f"{SESSION}/"], ["notes.txt"]):
        out = tmp_path / str(len(names)) / names[-1]
        left(out, names)
        before = sorted(out.rglob("*"))
        with pytest.raises(store.Taken):
            folders.begun(out, {}, {})
        assert sorted(out.rglob("*")) == before
    (out := tmp_path / "whole").mkdir()
    left(out, LEFT)
    (out / "config.json").write_text("{}")
    with pytest.raises(store.Taken, match="already holds a run"):
        folders.begun(out, {}, {})
    left(tmp_path / "now", LEFT)
    with store.locked(tmp_path / "now"), pytest.raises(RequestError, match="goes on in another process"):
        folders.begun(tmp_path / "now", {}, {})
    with pytest.raises(store.Taken, match="is a file"):
        folders.begun(out / "config.json", {}, {})


def test_an_opening_for_which_there_is_no_room_leaves_nothing(tmp_path, monkeypatch):
    def full(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.os, "rename", full)
    with pytest.raises(RequestError, match="cannot be made: No space left on device"):
        folders.begun(tmp_path / "run", {}, {})
    assert not (tmp_path / "run").exists()


def test_a_session_that_was_killed_before_its_journal_goes_on(tmp_path, learner, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(Session, "_open", lambda *given: 1 / 0)
        patch.setattr(module.shutil, "rmtree", lambda *given, **more: None)
        opened(tmp_path, high=2.5)
    assert not (tmp_path / SESSION / JOURNAL).exists()
    with pytest.raises(RequestError, match=r"holds a session: tr\.Session\.resume"):
        opened(tmp_path)
    with Session.resume(tmp_path) as session:
        assert session.safety.high == 2.5


def test_the_directory_of_a_session_is_resumed_by_no_run(tmp_path):
    """Which would remove its result and ask for other steps, and find only then that nobody answers the robot."""
    out = Path(shutil.copytree(Path(__file__).parents[1] / "data" / "runs" / "1" / "transfer-ppo", tmp_path / "run"))
    for folder in (SESSION, "state"):
        (out / folder).mkdir()
    told, pole = {"loop.eval_target": "training"}, "inverted_pendulum"
    config = planned(pole, f"asked:{pole}", "fine_tune", learner="sac", settings=told)
    store.write_json(out / "state" / REQUEST, requested(config, "sac", told, ()))

    def found():
        return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    before = found()
    with pytest.raises(RequestError, match="whose steps were granted as it began"):
        tr.resume(out, target_steps=10**6)
    assert tr.resume(out).method == tr.load(out).method and found() == before
    (out / "result.json").unlink()
    before = found()
    for more in ({}, {"target_steps": 10**6}):
        with pytest.raises(RequestError, match=r"holds a session, .* goes on with it, and so does 'transreward serve"):
            tr.resume(out, **more)
    assert found() == before


def test_a_robot_that_nobody_answers_is_refused_before_a_source_agent_is_trained(tmp_path):
    """As where the config.json of a session is asked for again."""
    pole, asked = "inverted_pendulum", {"learner": "sac", "seeds": 1, "settings": {"loop.eval_target": "training"}}
    with pytest.raises(RequestError, match="nobody answers it here: open a"):
        tr.transfer(pole, f"asked:{pole}", "fine_tune", out=tmp_path / "run", **asked)
    assert not (tmp_path / "run").exists()
