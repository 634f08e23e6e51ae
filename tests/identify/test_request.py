"""What `identify` says of a wrong request, of steps that can be no robot's, and how it is asked on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import transreward as tr
from transreward.cli.main import main
from transreward.domains.shifts import Shift, together
from transreward.types import RequestError

DEGREES = 180 / np.pi


def steps(robot="halfcheetah", n=200, action=None, begins=None):
    """Columns of a log: random actions, unless told."""
    domain = tr.domain(robot)
    simulation, rng = domain.simulate(1, seed=0), np.random.default_rng(0)
    low, high = domain.spaces.low, domain.spaces.high
    rows = [simulation.step(rng.uniform(low, high, (1, len(low))) if action is None else action) for _ in range(n)]
    rows = [[np.array(x) for x in row] for row in rows]
    obs, act, _, next_obs, terminated, truncated = (np.concatenate(x) for x in zip(*rows, strict=True))
    return {"obs": obs, "action": act, "next_obs": next_obs, "terminated": terminated, "truncated": truncated}


@pytest.fixture(scope="module")
def recorded():
    return steps()


def written(path, columns):
    np.savez(path, **columns)
    return path


def refused(*arguments, **named):
    with pytest.raises(RequestError) as error:
        tr.identify(*arguments, **named)
    assert "\n" not in str(error.value)
    return str(error.value)


def at_random(obs):
    """Numbers that are no robot's."""
    return np.random.default_rng(0).standard_normal(obs.shape)


def in_degrees(obs):
    out = obs.copy()
    out[:, 1:8] *= DEGREES
    out[:, 10:] *= DEGREES
    return out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (in_degrees, r"^.bthigh angle. goes from .* rad: are these degrees\? .* unit: deg.* of \d+ entries"),
        (at_random, "cannot foretell where .*columns may be others"),
        (lambda obs: obs[:, ::-1], "columns may be others"),
        (lambda obs: obs[:, :11], "has 11 observations and 6 actions"),
    ],
)
def test_logs_of_other_columns_or_units(tmp_path, recorded, changed, words):
    obs = changed(np.concatenate([recorded["obs"], recorded["next_obs"][-1:]]))
    columns = recorded | {"obs": obs[:-1], "next_obs": obs[1:]}
    with pytest.raises(RequestError, match=words):
        tr.identify("halfcheetah", logs=written(tmp_path / "log.npz", columns))


def test_a_log_is_a_target(tmp_path, recorded):
    path = written(tmp_path / "log.npz", recorded)
    assert tr.identify("halfcheetah", f"data:{path}").lines() == tr.identify("halfcheetah", logs=path).lines()


def test_a_robot_that_only_stands_still(tmp_path):
    """A cart under an upright pole, both at rest: its motor may be anything."""
    zeros = np.zeros((100, 4))
    columns = {"obs": zeros, "action": zeros[:, :1], "next_obs": zeros, "terminated": np.zeros(100, bool)}
    said = refused("inverted_pendulum", logs=written(tmp_path / "log.npz", columns))
    assert "only stands still" in said and "friction, mass, size" in said


def test_steps_that_cannot_be_used(tmp_path, recorded):
    """Each is an episode of its own."""
    columns = recorded | {"next_obs": recorded["next_obs"] + 1}
    assert "0 of 200 steps can be used" in refused("halfcheetah", logs=written(tmp_path / "log.npz", columns))


def test_not_a_number(tmp_path, recorded):
    columns = recorded | {"obs": np.where(np.arange(200)[:, None] == 7, np.nan, recorded["obs"])}
    assert "nan" in refused("halfcheetah", logs=written(tmp_path / "log.npz", columns))


@pytest.mark.parametrize(
    ("arguments", "named", "words"),
    [
        (("hopper", "hopper:gravity=2"), {"logs": "some.npz"}, "not both"),
        (("hopper",), {"logs": []}, "names no file"),
        (("hopper",), {"logs": "nowhere.npz"}, "no such file"),
        (("hopper", "data:nowhere.npz"), {}, "no such file"),
        (("hopper", "data:"), {}, "write the file behind the colon"),
        (("hopper", "data:some.npz"), {"logs": "some.npz"}, "not both"),
        (("data:some.npz", "hopper"), {}, "takes no step"),
        (("hopper",), {"logs": "some.npz", "source_run": "runs/x"}, "leave one of them"),
        (("hopper",), {"logs": "some.npz", "seed": 3}, "`seed` is of a robot that takes steps, and logs are of what"),
        (("hopper", "hopper:gravity=2"), {"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        (("hopper", "hopper:gravity=2"), {"source_run": "runs/nowhere"}, "no such directory"),
        (
            ("hopper", "hopper:gravity=2"),
            {"target_steps": 0},
            "target_steps must be a whole number of at least 1, not 0",
        ),
        (("gym:Pendulum-v1", "gym:Pendulum-v1"), {}, "no robot of the table"),
        (("pusher", "pusher:gravity=0.5"), {}, "no column .*obj_slidex velocity"),
        (("hopper:sensor_noise=0.1", "hopper"), {}, "through noise or late"),
    ],
)
def test_wrong_requests(arguments, named, words):
    with pytest.raises(RequestError, match=words):
        tr.identify(*arguments, **named)


@pytest.mark.slow
def test_several_logs_are_read_one_after_the_other_and_short_episodes_have_no_ten_steps(tmp_path):
    """All of them together are enough, and each alone is not."""
    columns = steps("hopper:gravity=0.5", 120)
    halves = [{name: x[part] for name, x in columns.items()} for part in (slice(0, 50), slice(50, 120))]
    files = [written(tmp_path / f"{i}.npz", half) for i, half in enumerate(halves)]
    assert "too few" in refused("hopper", logs=files[:1])
    found = tr.identify("hopper", logs=files)
    assert found.target_steps == 120 and found.id == "hopper:gravity=0.5"


def test_the_source_policy_acts(tmp_path):
    run = Path(__file__).parents[1] / "data" / "runs" / "1" / "transfer-sac"
    found = tr.identify("inverted_pendulum", "inverted_pendulum:gravity=0.5", source_run=run, target_steps=100)
    assert found.id == "inverted_pendulum:gravity=0.5" and found.target_steps == 100


def test_an_angle_that_turned_is_where_it_is():
    """Reacher shows its angles by sine and cosine: ten steps on, a turn more is no error."""
    found = tr.identify("reacher", "reacher:damping=3", target_steps=200)
    assert found.ten_step_error[1] < 0.01 < found.ten_step_error[0]


def test_the_command_writes_what_it_says(tmp_path, recorded, capsys):
    path, out = written(tmp_path / "log.npz", recorded), tmp_path / "found.json"
    main(["identify", "halfcheetah", "--logs", str(path), "--out", str(out)])
    said, found = capsys.readouterr().out, json.loads(out.read_text())
    assert said.splitlines() == found["words"] == ["nothing differs that 200 steps can show"]
    assert found["id"] == found["source"] == "halfcheetah" and found["parameters"] == []


def test_an_empty_file_is_one_line_and_exit_2(tmp_path):
    (tmp_path / "log.npz").write_bytes(b"")
    command = [sys.executable, "-m", "transreward", "identify", "hopper", "--logs", str(tmp_path / "log.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "it is empty" in done.stderr


def test_what_is_found_is_joined_with_the_sources_own_shifts():
    """Factors multiply, what is added adds up, and what is set is set."""
    source = tr.domain("hopper+hop(speed=1):gravity=2,frictionloss=1,viscosity=0.5,broken=leg_joint")
    found = [Shift("gravity", 1.5), Shift("frictionloss", 2.0), Shift("viscosity", 3.0), Shift("mass", 2.0, "foot")]
    text = ",".join(map(str, together(source.shifts, found)))
    assert text == "gravity=3,frictionloss=3,viscosity=3,broken=leg_joint,mass(foot)=2"
    assert tr.domain(f"hopper:{text}").name == f"hopper:{text}"


def test_noise_that_is_found_takes_the_place_of_the_sources_own():
    """No step tells how much of it the source has already."""
    source = tr.domain("halfcheetah:noise=0.1,noise(bfoot)=0.2,mass=2")
    assert list(map(str, together(source.shifts, [Shift("noise", 0.3)]))) == ["mass=2", "noise=0.3"]


@pytest.mark.slow
def test_a_source_that_acts_late_itself_has_less_that_is_looked_for():
    found = tr.identify("hopper:delay=1", "hopper:delay=2")
    assert [str(one) for one in found.named] == ["delay 1 control step"] and found.id == "hopper:delay=2"
    assert not tr.identify("hopper:delay=3", "hopper:delay=3", target_steps=300).named
    with pytest.raises(RequestError, match="acts late by more than 3 steps"):
        tr.identify("hopper:delay=4", "hopper")
