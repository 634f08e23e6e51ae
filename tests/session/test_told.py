"""A session's journal as a log: all that its robot told, however the session ended."""

from __future__ import annotations

import json
from contextlib import closing

import numpy as np
import pytest

from transreward.cli import main
from transreward.domains import logs
from transreward.domains.ids import domain
from transreward.runs.places import JOURNAL, REQUEST, SESSION
from transreward.session.told import require_no_session, told
from transreward.streams.journal import ABORT, ACT, RESET, STEP, Event, Journal
from transreward.types import RequestError, Spaces

SPACES = Spaces(4, 1, -np.full(1, 3.0), np.full(1, 3.0))


def at(x):
    return np.full(4, x, np.float32)


def act(x, seconds, robot=0):
    return Event(ACT, robot, 1e9 + seconds, "source", at(x), np.zeros(1, np.float32))


def step(x, terminated=False, truncated=False, robot=0):
    return Event(STEP, robot, 0.0, "", at(x), np.full(1, 0.5, np.float32), 2.0, terminated, truncated)


def session(place, events, robots=1, target="asked:inverted_pendulum", **more):
    """A directory as a session leaves it that was killed behind these events."""
    (place / SESSION).mkdir(parents=True)
    (place / SESSION / REQUEST).write_text(json.dumps({"target": target, **more}))
    with closing(Journal(place / SESSION / JOURNAL, robots, SPACES, 100, writes=True)) as journal:
        for event in events:
            journal.write(event)
    return place


WALK = [
    act(0, 0.0), step(1), act(1, 0.04), step(2, terminated=True), Event(RESET, 0, 0.0, "", at(5), steps=9),
    act(5, 3.0), step(6), act(6, 3.04), step(7), act(7, 3.08), step(8), act(8, 3.12),
]  # fmt: skip


def test_a_session_is_not_begun_where_one_is(tmp_path, capsys):
    """The robot's steps are in there: nobody is told to remove it, and the steps are counted."""
    out = session(tmp_path / "run", WALK)
    (out / SESSION / REQUEST).write_text(json.dumps({"target_steps": 100}))
    with pytest.raises(RequestError, match=r"holds a session with 6 of 100 steps: tr\.Session\.resume") as caught:
        require_no_session(out)
    assert f"'transreward serve {out}'" in str(caught.value) and "remove" not in str(caught.value)
    (out / SESSION / REQUEST).unlink()  # it was killed while it began
    with pytest.raises(RequestError, match="holds a session: "):
        require_no_session(out)
    require_no_session(tmp_path)
    for words, told_so in (
        (["serve", "hopper", "--out", str(out)], "goes on with it"),
        (["serve", str(tmp_path / "nosuch")], "nosuch is no folder: name the directory of a session"),
        (["serve", str(tmp_path)], "holds no session: name the directory of a session"),
        (["serve", str(out), "--target-steps", "9000", "--on-request"], "leave --target-steps, --on-request out, or"),
        (["serve", "hopper", "--out", str(tmp_path / "new"), "--token-file", str(tmp_path / "none")], "with a token"),
        (["serve", "hopper", "hopper:gravity=", "--out", str(tmp_path / "new"), "--unix", str(tmp_path / "u")], ""),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2 and told_so in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # no socket either


def test_a_session_that_was_killed(tmp_path):
    """Of its last action nothing was told; the step before it is kept, and where it led."""
    found = told(session(tmp_path, WALK), 25.0)
    log = found.log
    assert log.obs[:, 0].tolist() == [0, 1, 5, 6, 7] and log.next_obs[:, 0].tolist() == [1, 2, 6, 7, 8]
    assert log.terminated.tolist() == [False, True, False, False, False] and log.truncated.tolist() == [False] * 4 + [
        True
    ]
    assert log.action[:, 0].tolist() == [0.5] * 5 and log.reward.tolist() == [2.0] * 5 and log.rate == 25
    np.testing.assert_allclose(log.time, [0, 0.04, 3, 3.04, 3.08], atol=1e-6)
    assert (found.acts, found.lost, found.resets, found.aborted, found.pace) == (6, 1, 9, 0, None)
    assert str(found) == "session   6 actions handed out, of 1 nothing was told; 9 steps of resets"


def test_a_step_that_was_told_and_nothing_after_it(tmp_path):
    log = told(session(tmp_path, WALK[:-1])).log
    assert log.next_obs[-1, 0] == 8 and log.truncated[-1] and log.rate == 25  # by its times


@pytest.mark.parametrize("to", ["log.npz", "log.csv"])
def test_a_session_whose_robot_paused_is_written_with_all_its_steps(tmp_path, to, capsys):
    """Its times were written, too, and read again as steps that are missing: the one before the pause was left out."""
    late = [act(8, 3.12), step(9), act(9, 9.0), step(10), act(10, 9.04), step(11)]
    out = session(tmp_path / "run", [*WALK[:-1], *late], target="asked:nosuch.yaml")
    main(["data", str(out), "--to", str(tmp_path / to)])
    assert "without its own times, since the robot paused within episodes" in capsys.readouterr().out
    before, after = told(out).log, logs.read(tmp_path / to)
    assert after.rate == before.rate == 25 and after.dropped == 0 and not after.missing.any()
    for name in ("obs", "next_obs", "action", "reward", "episode", "truncated"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_a_robot_that_asks_at_another_rate_than_its_own(tmp_path):
    found = told(session(tmp_path, WALK), 100.0)
    assert (found.log.rate, found.log.time, found.pace) == (100.0, None, 25.0)
    assert "they were asked for 25 times a second, which is not the robot's rate" in str(found)


def test_a_robot_with_columns_of_its_own(tmp_path, capsys, monkeypatch):
    """In a file beside the script that began it; once that is gone its names are those of the run."""
    names = {"obs_names": ["slider", "hinge", "slider/s", "hinge/s"], "action_names": ["motor"]}
    motor = {"name": "motor", "low": -3, "high": 3}
    told_so = {"observation": names["obs_names"], "action": [motor], "control_rate": 100}
    (tmp_path / "robot.yaml").write_text(json.dumps(told_so))
    out = session(tmp_path / "runs", WALK, target="asked:robot.yaml", begun_in=str(tmp_path))

    main(["data", str(out)])
    said = capsys.readouterr().out
    assert "rate      100 Hz\n" in said and "25 times a second, which is not the robot's rate" in said
    assert "those of robot.yaml" in said and "\nhinge/s " in said and "\nmotor " in said

    monkeypatch.chdir(tmp_path)
    main(["data", "runs", "--to", "log.csv"])
    main(["data", "log.csv", "--robot", "robot.yaml"])
    assert "those of robot.yaml" in capsys.readouterr().out

    with pytest.raises(RequestError, match=r"and 'robot\.yaml' has 4 \(slider, "):
        logs.require_fit(logs.from_arrays({"obs": np.ones((3, 2)), "action": np.ones(2)}), domain("asked:robot.yaml"))

    (tmp_path / "robot.yaml").unlink()
    (out / "config.json").write_text(json.dumps({"spaces": names}))
    main(["data", str(out)])
    assert "\nhinge/s " in capsys.readouterr().out


def test_several_robots_each_in_turn(tmp_path):
    events = [
        act(0, 0.0),
        act(10, 0.01, 1),
        step(1),
        step(11, robot=1),
        act(1, 0.04),
        act(11, 0.05, 1),
        step(2),
        step(12, robot=1),
    ]
    found = told(session(tmp_path, [*events, Event(ABORT, 1, 0.0, "hand")], robots=2))
    assert found.log.obs[:, 0].tolist() == [0, 1, 10, 11] and found.log.truncated.tolist() == [
        False,
        True,
        False,
        False,
    ]
    assert found.log.terminated[-1] and found.aborted == 1 and "2 robots" in str(found)


@pytest.mark.parametrize("cut", [1, 40, 90])
def test_a_record_that_was_cut_is_left_out(tmp_path, cut):
    path = session(tmp_path, WALK) / SESSION / JOURNAL
    path.write_bytes(path.read_bytes()[:-cut])
    assert 4 <= len(told(tmp_path).log) <= 5


def test_what_is_damaged_or_empty(tmp_path):
    path = session(tmp_path / "a", WALK) / SESSION / JOURNAL
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged after 5 steps: the rest is left out"):
        assert len(told(tmp_path / "a").log) == 5
    with pytest.raises(RequestError, match="has told nothing yet"):
        told(session(tmp_path / "b", []))
    (tmp_path / "c" / SESSION).mkdir(parents=True)
    for content, said in ((b"", "holds nothing yet"), (b"x" * 99, "is damaged, or no journal")):
        (tmp_path / "c" / SESSION / JOURNAL).write_bytes(content)
        with pytest.raises(RequestError, match=said):
            told(tmp_path / "c")


@pytest.mark.parametrize("to", ["log.hdf5", "log.csv", "lerobot:set", "minari:walk-v0"])
def test_the_command_reads_and_converts_it(tmp_path, monkeypatch, capsys, to):
    monkeypatch.chdir(tmp_path)
    session(tmp_path / "run", WALK)
    main(["data", "run", "--to", to, "--picture", "run.svg"])
    said = capsys.readouterr().out
    assert "run: 5 steps in 2 episodes" in said and "hinge angle" in said and "of 1 nothing was told" in said
    log = logs.read(to.rpartition(":")[2])
    assert log.rate == 25 and np.bincount(log.episode).tolist() == [2, 3]
    assert "hinge angle" in (tmp_path / "run.svg").read_text()


@pytest.mark.parametrize("rate", [None, 25.0])
def test_a_clock_that_was_set_back(tmp_path, rate):
    """The steps have no times, rather than such as no reader takes; a pause is none of the robot's rate."""
    back = [act(0, 0.0), step(1), act(1, 0.04), step(2), act(2, -50.0), step(3), act(3, -49.96), step(4)]
    with pytest.warns(UserWarning, match="was set back or stood still: its steps have no times"):
        found = told(session(tmp_path / "back", back), rate)
    assert found.log.time is None and found.log.rate == rate and found.pace is None
    paused = [act(0, 0.0), step(1), act(1, 0.04), step(2), act(2, 0.08), step(3), act(3, 60.0), step(4)]
    found = told(session(tmp_path / "paused", paused), rate)
    assert found.log.rate == 25 and found.log.time is not None and found.pace is None
