"""How fast a log was taken: by what is said and by its times, where steps are missing, and robots of another rate."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest

from transreward.cli import main
from transreward.domains import logs
from transreward.domains.ids import domain
from transreward.domains.logs import table
from transreward.domains.logs.recorded import pair
from transreward.domains.logs.slower import slower
from transreward.domains.logs.summary import summary
from transreward.preflight.identify import identify
from transreward.types import RequestError


def steps(n, obs=2, action=1, seed=0):
    """One episode, with successors."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(n + 1, obs))
    return {"obs": states[:-1], "next_obs": states[1:], "action": rng.uniform(-1, 1, (n, action)), "reward": np.ones(n)}


def test_the_rate_is_told_by_times():
    log = logs.from_arrays(steps(50) | {"time": 100 + 0.02 * np.arange(50)})
    assert log.rate == 50 and not log.missing.any() and summary(log).pace() == "50 Hz, by its times"
    jitter = np.cumsum(np.random.default_rng(0).uniform(0.016, 0.024, 50))
    log = logs.from_arrays(steps(50) | {"timestamp": jitter})
    np.testing.assert_allclose(log.rate, 49 / (jitter[-1] - jitter[0]), rtol=1e-3)
    assert re.fullmatch(r"[\d.]+ Hz, by its times, 0.016 to 0.024 s from step to step", summary(log).pace())


def test_the_rate_is_said(tmp_path):
    for rate in (20, np.array([20.0])):
        assert logs.from_arrays(steps(5) | {"rate": rate}).rate == 20
    assert logs.from_arrays(steps(5) | {"rate": np.ones(5)}).rate is None  # something else of that name
    np.savez(tmp_path / "log.npz", **steps(5), rate=20)
    with h5py.File(tmp_path / "log.hdf5", "w") as file:
        for name, x in (steps(5) | {"rate": np.float32(20)}).items():
            file[name] = x
    for name in ("log.npz", "log.hdf5"):
        log = logs.read(tmp_path / name)
        assert log.rate == 20 and summary(log).as_json()["rate"] == 20
    with pytest.raises(RequestError, match="rate must be control steps a second, not 0"):
        logs.from_arrays(steps(5) | {"rate": 0})


def test_what_is_said_and_the_times_must_agree():
    times = {"time": 0.02 * np.arange(20)}
    assert logs.from_arrays(steps(20) | times | {"rate": 49}).rate == 49
    with pytest.raises(RequestError, match=r"its times are 0.02 s apart, and its rate is said to be 100 Hz"):
        logs.from_arrays(steps(20) | times | {"rate": 100})


def flat(n, time):
    """In columns, without successors."""
    rows = steps(n)
    columns = {"obs.a": rows["obs"][:, 0], "obs.b": rows["obs"][:, 1], "action": rows["action"][:, 0], "time": time}
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))])


@pytest.mark.parametrize("said", [{}, {"rate": 50.0}])
def test_how_long_a_robot_stands_between_episodes_is_no_rate(said):
    """Of many short episodes it was what passes between most rows: the rate was said to be wrong, and no gap seen."""
    last = np.tile([True, False, True], 8)  # episodes of a step, and of two
    short = steps(24) | {
        "truncated": last,
        "time": 9.0 * np.cumsum(np.tile([1, 1, 0], 8)) + 0.02 * np.tile([0, 0, 1], 8),
    }
    short["next_obs"] = np.where(last[:, None], 7.0, short["next_obs"])
    log = logs.from_arrays(short | said)
    assert log.rate == 50 and len(log) == 24 and log.episode[-1] == 15 and not log.missing.any()
    late = short["time"] + 0.06 * (np.arange(24) > 22)  # within the last episode
    assert logs.from_arrays(short | {"time": late} | said).missing.max() == pytest.approx(0.06)


def test_where_time_is_missing_an_episode_ends(tmp_path):
    time = 0.02 * np.arange(30) + 0.1 * (np.arange(30) >= 12)
    (tmp_path / "log.csv").write_text(flat(30, time) + "\n")
    log = logs.read(tmp_path / "log.csv")
    assert np.bincount(log.episode).tolist() == [11, 17] and log.dropped == 2
    found = summary(log)
    np.testing.assert_allclose(found.missing, [0.1, 0.0])
    assert "gaps      1 gap in time, 0.1 s together; an episode is cut off at each (the first: episode 0)" in str(found)
    assert log.rate == 50  # to which the gap says nothing
    full = logs.from_arrays(steps(30) | {"time": time})  # the next row's observation is no successor of row 11
    assert len(full) == 29 and np.bincount(full.episode).tolist() == [11, 18]
    np.testing.assert_allclose(full.missing[10], 0.1)


@pytest.mark.parametrize("says", ["episode", "timeouts", "a group", ""])
def test_rows_that_were_cut_out_are_a_gap_with_successors_too(says):
    """Rows 12 to 16 of the first of two episodes. The robot was reset between them, which took a while."""
    rows, kept = steps(40), np.delete(np.arange(40), range(12, 17))
    rows["next_obs"] = rows["next_obs"].copy()
    rows["next_obs"][29] += 5
    rows["time"] = 0.008 * np.arange(40) + 3 * (np.arange(40) >= 30)
    rows = {name: x[kept] for name, x in rows.items()}
    if says == "episode":
        columns = {"obs_0": rows["obs"][:, 0], "next_obs_0": rows["next_obs"][:, 0], "action": rows["action"][:, 0]}
        columns |= {"episode": 1.0 * (kept >= 30), "time": rows["time"]}
        rows = table.arrays(table.by_name(list(columns), ""), columns.__getitem__, str)
    elif says == "timeouts":
        rows["timeouts"] = kept == 29
    elif says:
        rows = {f"{i}/{name}": x[(kept >= 30) == i] for i in (0, 1) for name, x in rows.items()}
    log = logs.from_arrays(rows)
    assert len(log) == 35 and np.bincount(log.episode).tolist() == [12, 13, 10]
    np.testing.assert_allclose(summary(log).missing, [0.04 if says else 0, 0, 0])  # or the first one ended there


def test_a_clock_that_begins_anew_is_no_gap():
    arrays = steps(20)
    arrays["next_obs"] = arrays["next_obs"].copy()
    arrays["next_obs"][9] += 5  # another episode begins behind it
    log = logs.from_arrays(arrays | {"time": np.tile(0.05 * np.arange(10), 2)})
    assert log.episode[-1] == 1 and not log.missing.any() and log.rate == 20
    groups = {f"episode_{i}/{name}": x for i in (0, 1) for name, x in (steps(10, seed=i)).items()}
    groups |= {f"episode_{i}/time": 7.0 * i + 0.05 * np.arange(10) for i in (0, 1)}
    log = logs.from_arrays(groups)
    assert log.rate == 20 and not log.missing.any() and len(log.time) == 20


def test_time_that_runs_backwards():
    with pytest.raises(RequestError, match="its time does not go on from row 4 to the next"):
        logs.from_arrays(steps(10) | {"time": [0, 1, 2, 3, 4, 1, 2, 3, 4, 5]})
    with pytest.raises(RequestError, match=r"time\[2\] is nan"):
        logs.from_arrays(steps(4) | {"time": [0, 1, np.nan, 3]})


# -- a robot of another rate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (250, "has 250 steps a second, and 'hopper' has 125: write it with one step for each 2, by transreward data"),
        (50, "a log that is slower than the robot's steps cannot be used: log it at 125 Hz; if its time is not in s"),
        (300, "2.4 steps of the log would be one: log at 125 Hz, or at a multiple of it"),
    ],
)
def test_a_log_of_another_rate_is_refused(tmp_path, rate, said):
    path = tmp_path / "log.npz"
    np.savez(path, **steps(40, 11, 3), rate=rate)
    for ask in (lambda: identify("hopper", logs=path), lambda: pair("hopper", f"data:{path}")):
        with pytest.raises(RequestError) as caught:
            ask()
        assert said in str(caught.value) and "\n" not in str(caught.value)
    logs.require_fit(logs.from_arrays(steps(40, 11, 3) | {"rate": 122}), domain("hopper"))  # a loop that runs late


@pytest.mark.parametrize("command", ["identify hopper --logs {}", "check hopper --logs {}", "transfer hopper data:{}"])
def test_every_command_refuses_it(tmp_path, capsys, command):
    np.savez(tmp_path / "log.npz", **steps(40, 11, 3), rate=250)
    with pytest.raises(SystemExit) as caught:
        main(command.format(tmp_path / "log.npz").split())
    assert caught.value.code == 2 and "by transreward data with --rate 125" in capsys.readouterr().err


def test_two_logs_of_different_rates(tmp_path):
    for name, rate in (("a", 50), ("b", 20)):
        np.savez(tmp_path / f"{name}.npz", **steps(40), rate=rate)
    with pytest.raises(RequestError, match=r"b.npz has 20 steps a second, and log .*a.npz has 50"):
        pair(f"data:{tmp_path / 'a.npz'}", f"data:{tmp_path / 'b.npz'}")


def test_several_steps_as_one():
    """Of two episodes, of seven steps cut off and of eight that terminated, at a third of the rate."""
    arrays = steps(15)
    arrays["next_obs"] = arrays["next_obs"].copy()
    arrays["next_obs"][6] += 5
    over = np.arange(15) == 14
    arrays["action"] = np.repeat([[0.1], [0.2], [0.3], [0.4], [0.5]], 3, axis=0)
    arrays["action"][7:] = np.array([9, 9, 6, 6, 6, 7, 7, 9])[:, None]
    log = logs.from_arrays(arrays | {"terminals": over, "rate": 60})
    found, changed = slower(log, 20)
    at = [0, 3, 9, 12]  # the last step of the second episode is in its last one
    np.testing.assert_array_equal(found.obs, log.obs[at])
    np.testing.assert_array_equal(found.next_obs, log.next_obs[[2, 5, 11, 14]])
    np.testing.assert_allclose(found.action[:, 0], [0.1, 0.2, 6, 23 / 3])
    assert found.reward.tolist() == [3, 3, 3, 3] and changed == 0.25 and found.rate == 20 and found.spare == 3
    assert found.terminated.tolist() == [False, False, False, True] and found.truncated.tolist() == [
        False,
        True,
        *[False] * 2,
    ]
    assert slower(log, 60) == (log, 0.0)
    for rate, words in (
        (45, "no multiple of 45"),
        (100, "a slower log cannot be made faster"),
        (5, "no episode has 12 steps"),
    ):
        with pytest.raises(RequestError, match=words):
            slower(log, rate)


def test_the_command_makes_a_log_slower(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("fast.npz", **steps(40), rate=100)
    main(["data", "fast.npz", "--rate", "20", "--to", "slow.csv"])
    said = capsys.readouterr().out
    assert "slower    100 Hz to 20 Hz: 5 steps are one" in said and "in 100% of them the action changed" in said
    log = logs.read("slow.csv")
    assert (len(log), log.rate) == (8, 20) and log.time is not None
    main(["data", "slow.csv", "--json"])
    assert json.loads(capsys.readouterr().out)["rate"] == 20
    main(["data", "fast.npz", "--rate", "34"])
    said = capsys.readouterr().out
    assert "slower    100 Hz to 33.3333 Hz (not 34, which is no whole part of it): 3 steps are one" in said
    assert (
        "left out  1 row at the ends of episodes, too few for a step of the slower log" in said
        and "without a next" not in said
    )
    main(["data", "fast.npz", "--rate", "98"])
    assert "rate      it stays 100 Hz (not 98, which is no whole part of it)" in capsys.readouterr().out
    for seed in ("0", "-1"):
        with pytest.raises(SystemExit):
            main(["data", "fast.npz", "--seed", seed])
        assert "fast.npz is no run, whose seed could be asked for: leave --seed out" in capsys.readouterr().err
