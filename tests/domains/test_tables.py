"""Logs whose numbers have a column each: CSV, Parquet, LeRobot's folders; and Minari's."""

from __future__ import annotations

import json
import os
import re
import resource

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transreward import cli
from transreward.domains import logs
from transreward.domains.logs.recorded import Recorded, file_of, pair
from transreward.domains.logs.summary import summary
from transreward.domains.logs.table import distinct
from transreward.domains.logs.write import write
from transreward.types import Entry, RequestError

N = 12
OBS, ACTION, REWARD = np.arange(N * 2.0).reshape(N, 2), np.arange(N * 1.0)[:, None] / 10, np.arange(N) % 5.0
EPISODE = np.repeat([3, 3, 8], 4)
COLUMNS = {"obs.hip": OBS[:, 0], "obs.knee": OBS[:, 1], "action.u": ACTION[:, 0], "reward": REWARD, "episode": EPISODE}


def text(path, columns, by=","):
    rows = zip(*columns.values(), strict=True)
    lines = [by.join(columns), *(by.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def require_the_steps(log):
    """Two episodes, of eight and of four steps, whose last have no successor."""
    assert len(log) == N - 2 and log.dropped == 2 and log.rewarded
    kept = [i for i in range(N) if i not in (7, 11)]
    np.testing.assert_allclose(log.obs, OBS[kept])
    np.testing.assert_allclose(log.next_obs, OBS[[i + 1 for i in kept]])
    np.testing.assert_allclose(log.action, ACTION[kept])
    np.testing.assert_allclose(log.reward, REWARD[kept])
    assert log.episode.tolist() == [0] * 7 + [1] * 3 and log.truncated.sum() == 2 and not log.terminated.any()


@pytest.mark.parametrize("by", [",", ";", "\t"])
def test_text(tmp_path, by):
    require_the_steps(logs.read(text(tmp_path / "log.csv", COLUMNS, by)))


def test_rows_of_episodes_that_alternate(tmp_path):
    """With next observations each would be an episode of one step; numbers that begin anew do not alternate."""
    after = {"next_obs.hip": OBS[:, 0] + 1, "next_obs.knee": OBS[:, 1]}
    with pytest.raises(RequestError, match=r"episodes alternate \(0, 1, 0, 1, \.\.\.\): sort them by episode"):
        logs.read(text(tmp_path / "two.csv", {**COLUMNS, **after, "episode": np.arange(N) % 2}))
    again = logs.read(text(tmp_path / "again.csv", {**COLUMNS, **after, "episode": np.repeat([0, 1, 0, 1], 3)}))
    assert len(again) == N
    single = logs.read(text(tmp_path / "single.csv", {**COLUMNS, **after, "episode": np.arange(N)}))
    assert len(single) == N


@pytest.mark.parametrize(
    "named",
    [
        ("obs/hip", "obs/knee", "action"), ("observations[0]", "observations[1]", "actions[0]"),
        ("observation_0", "observation_1", "action_0"),
    ],
)  # fmt: skip
def test_other_names(tmp_path, named):
    columns = dict(zip((*named, "rewards", "episode_id"), COLUMNS.values(), strict=True))
    require_the_steps(logs.read(text(tmp_path / "log.csv", {**columns, "battery": np.ones(N)})))


def test_a_file_beside_it_says_what_the_columns_are(tmp_path):
    """In degrees, from 90, and with a clock in which two steps are missing."""
    columns = {"hip_deg": 90 + 180 / np.pi * OBS[:, 0], "k": OBS[:, 1], "pwm": 100 * ACTION[:, 0], "pay": REWARD}
    time = 0.02 * np.arange(N) + np.where(np.arange(N) > 7, 0.04, 0)
    path = text(tmp_path / "log.csv", {"stamp": time, **columns, "temperature": np.zeros(N)})
    (tmp_path / "log.yaml").write_text(
        "observation: [{column: hip_deg, factor: 0.017453292519943295, offset: -1.5707963267948966}, k]\n"
        "action: [{column: pwm, factor: 1e-2}]\nreward: pay\ntime: stamp\nrate: 5E+1\n"  # numbers, not texts
    )
    require_the_steps(logs.read(path))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("deg", np.pi / 180), ("deg/s", np.pi / 180), ("rpm", np.pi / 30), ("mm", 0.001), ("mm/s", 0.001), ("cm", 0.01),
     ("cm/s", 0.01), ("rad/s", 1.0)],
)  # fmt: skip
def test_a_column_in_another_unit_becomes_the_robots(tmp_path, unit, factor):
    path = text(tmp_path / "log.csv", {"a": OBS[:, 0] / factor, "k": OBS[:, 1], "u": ACTION[:, 0], "pay": REWARD,
                                       "ms": 20 * np.arange(N) + np.where(np.arange(N) > 7, 40, 0)})  # fmt: skip
    (tmp_path / "log.yaml").write_text(
        f"observation: [{{column: a, unit: {unit}}}, k]\naction: [u]\nreward: pay\ntime: {{column: ms, unit: ms}}\n"
    )
    require_the_steps(logs.read(path))


def test_flags_are_kept(tmp_path):
    fell, led = (np.arange(N) == 3).astype(int), OBS + 2
    led[[3, 7]] += 50  # where an episode ends, the next one begins elsewhere
    columns = {**COLUMNS, "terminated": fell, "next_obs.hip": led[:, 0], "next_obs.knee": led[:, 1]}
    log = logs.read(text(tmp_path / "log.csv", columns))
    assert log.terminated.tolist() == fell.tolist() and log.episode[-1] == 2 and not log.dropped
    np.testing.assert_allclose(log.next_obs, led)


def table(**more):
    flat = {"observation.state": OBS.tolist(), "action": ACTION.astype(np.float32).tolist(), "next.reward": REWARD}
    return pa.table({**flat, "episode_index": EPISODE, "frame_index": list(range(N)), **more})


def test_parquet(tmp_path):
    pq.write_table(table(), tmp_path / "log.parquet")
    require_the_steps(logs.read(tmp_path / "log.parquet"))
    pq.write_table(pa.table({k: np.asarray(v) for k, v in COLUMNS.items()}), tmp_path / "flat.parquet")
    require_the_steps(logs.read(tmp_path / "flat.parquet"))


def lerobot(folder, version="v3.0", tables=None):
    (folder / "meta").mkdir(parents=True)
    (folder / "data" / "chunk-000").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps({"codebase_version": version, "fps": 50}))
    for i, one in enumerate(tables or (table().slice(0, 5), table().slice(5))):
        pq.write_table(one, folder / "data" / "chunk-000" / f"file-{i:03d}.parquet")
    return folder


def test_a_lerobot_folder(tmp_path):
    require_the_steps(logs.read(lerobot(tmp_path / "set")))


def test_minari(tmp_path, monkeypatch):
    folder = tmp_path / "mine" / "walk-v0" / "data"
    folder.mkdir(parents=True)
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        for i, part in enumerate((slice(0, 8), slice(8, 12))):
            group = file.create_group(f"episode_{i}")
            group["observations"], group["actions"], group["rewards"] = OBS[part], ACTION[part], REWARD[part]
            for name in ("terminations", "truncations"):
                group[name] = np.zeros(len(OBS[part]), bool)
    require_the_steps(logs.read(tmp_path / "mine" / "walk-v0"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert file_of("minari:mine/walk-v0") == str(tmp_path / "mine" / "walk-v0")
    with pytest.raises(RequestError, match=r"no data set mine/run-v0 in .*minari download"):
        file_of("minari:mine/run-v0")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=r"or name the one that lies here by data:mine/walk-v0$"):
        file_of("minari:mine/walk-v0")


def test_ids_of_logs(tmp_path):
    path = tmp_path / "log.csv"
    steps = np.zeros((20, 5)) + np.arange(20)[:, None] / 1000
    text(path, dict(zip([*(f"obs[{i}]" for i in range(4)), "action[0]"], steps.T, strict=True)) | {"episode": [1] * 20})
    found = pair("inverted_pendulum", f"data:{path}").target
    assert isinstance(found, Recorded) and found.name == f"data:{path}" and len(found.log) == 19
    assert file_of("lerobot:folder") == "folder" and file_of("hopper") is None


def any_log(n=30, seed=0):
    """Three episodes, one of which terminated."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(n, 3)).astype(np.float32)
    led = np.concatenate([obs[1:], rng.normal(size=(1, 3)).astype(np.float32)])
    led[[9, 19]] = rng.normal(size=(2, 3))
    ends = np.isin(np.arange(n), (9, 19, n - 1))
    action, reward = rng.uniform(-1, 1, (n, 2)).astype(np.float32), rng.normal(size=n).astype(np.float32)
    terminated = np.arange(n) == 9
    return logs.Log(obs, action, reward, led, terminated, ends & ~terminated, source="made")


NAMED = [Entry(name, "rad") for name in ("hip angle", "knee angle", "speed")], [Entry("hip", "1"), Entry("knee", "1")]


@pytest.mark.parametrize(
    "to", ["log.hdf5", "log.npz", "log.csv", "log.tsv", "log.parquet", "lerobot:set", "minari:a-v0"]
)
@pytest.mark.parametrize("columns", [None, NAMED])
def test_what_is_written_is_read_again(tmp_path, to, columns, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = any_log()
    found = logs.read(write(log, to, 50.0, columns))
    for name in ("obs", "action", "reward", "next_obs", "terminated", "truncated", "episode"):
        np.testing.assert_allclose(getattr(found, name), getattr(log, name), err_msg=name)
    assert found.rate == 50 and not os.path.exists(f"{to}.part")
    with pytest.raises(RequestError, match="is there already"):
        write(log, to, 50.0)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("log.xlsx", "end it in .hdf5, .npz, .csv, .parquet, or write lerobot:FOLDER"), ("no/log.csv", "no folder no"),
        ("lerobot:set", "needs the control rate"), ("minari:walk", "a version behind its name, such as minari:walk-v0"),
    ],
)  # fmt: skip
def test_where_nothing_can_be_written(tmp_path, monkeypatch, to, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=re.escape(words)):
        write(any_log(), to)
    assert not list(tmp_path.iterdir())


def test_a_summary():
    log = any_log()
    stuck = np.where(np.arange(30) % 3 == 0, 1.0, np.clip(log.action[:, 0], -0.9, 0.9))
    obs, led = log.obs.copy(), log.next_obs.copy()
    obs[:, 2] = led[:, 2] = 7.0
    action = np.stack([stuck, log.action[:, 1]], axis=1)
    found = summary(logs.Log(*log.transition._replace(obs=obs, next_obs=led, action=action), source="made"), NAMED)
    assert found.lengths.tolist() == [10, 10, 10] and found.terminated.tolist() == [True, False, False]
    np.testing.assert_allclose(found.returns, log.reward.reshape(3, 10).sum(1))
    text = str(found)
    assert "made: 30 steps in 3 episodes" in text and "1 terminated, 2 cut off" in text
    assert re.search(r"speed .* +7 +7 +7 +0  constant", text) and re.search(r"\nhip .*at its ends in \d+% of the", text)
    assert not re.search(r"\nknee angle .*ends", text)
    json.dumps(found.as_json(), allow_nan=False)


def test_angles_in_degrees_are_asked_about(tmp_path, monkeypatch, capsys):
    """Where the robot is named, whose joints are in rad; its units stand beside the names."""
    monkeypatch.chdir(tmp_path)
    obs = np.random.default_rng(0).standard_normal((20, 11))
    for name, factor in (("rad", 0.1), ("degrees", 57.3)):
        arrays = {"obs": factor * obs, "action": np.zeros((20, 3)), "truncated": np.arange(20) == 19}
        np.savez(f"{name}.npz", **arrays)
        cli.main(["data", f"{name}.npz", "--robot", "hopper"])
        said = capsys.readouterr().out
        assert ("are these degrees?" in said) == (name == "degrees") and "\nthigh_joint angle (rad) " in said
    cli.main(["data", "rad.npz", "--robot", "hopper", "--to", "rad.csv"])
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "written to rad.csv: its rate and times are those of hopper, 125 Hz, since the log says none"


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(any_log(), "log.csv")
    cli.main(["data", "log.csv", "--to", "log.npz"])
    said = capsys.readouterr().out
    assert "log.csv: 30 steps in 3 episodes" in said and said.endswith("written to log.npz\n")
    cli.main(["data", "log.npz", "--json"])
    assert json.loads(capsys.readouterr().out)["lengths"] == [10, 10, 10]
    for wrong, words in (("--robot hopper", "'hopper' has 11"), ("--to log.npz", "is there already")):
        with pytest.raises(SystemExit) as caught:
            cli.main(["data", "log.csv", *wrong.split()])
        assert caught.value.code == 2 and words in capsys.readouterr().err


WRONG = {
    "a,b\n1,2\n": "found the columns a, b; no obs among them",
    "obs.a,obs.b\n1,2\n": "say which they are in a file log.yaml beside it, such as {observation:",
    "obs.a,action\n1,x\n": "action is 'x' in line 2, which is no number",
    f"obs.a,action\n1,{'x' * 500}\n": f"action is '{'x' * 30}' in line 2, which is no number",
    "obs.a,action,episode\n1,2,1\n3,4\n": "line 3 has 2 values, and every row needs 3 values",
    "obs.a,action,episode,x\n1,2,1,5\n\n3,4,1": "line 4 has 3 values, and every row needs 4 values; the file looks cut",
    'obs.a,action,episode\n1,2,1\n"3","4"\n': "every row needs 3 values",
    "obs.a;action;episode\n1;2;1\n-1,25e-3;2;1\n": "obs.a is '-1,25e-3' in line 3, which has a decimal comma: wri",
    "obs.a,obs.a,action\n1,2,3\n": "the column obs.a twice",
    "obs.a,action": "no line of names with rows behind it",
    "obs.a,action\n": "it has names and no rows",
    "1,2,3\n4,5,6\n": "its first line holds numbers",
    "obs.a,action,time\n1,2,1\n3,4,1\n": "its time does not go on",
    "obs.a,action\n1,2\n3,4\n": "nothing says where an episode ends: call a column",
    "obs.a,action,episode\nnan,2,1\n3,4,1\n": "obs.a is nan in line 2: leave such steps out",
    "obs.a,action,episode\n1,,1\n": "action is empty in line 2: leave such",
    "obs.a,action,reward,rewards,episode\n1,2,3,4,1\n": "reward, rewards are the same by two names: leave one, or name",
    "obs.a,action,time,t\n1,2,3,4\n": "time, t are the same by two names",
    "obs.a,obs.b,action,next_obs.b,next_obs.c\n1,2,3,4,5\n": "next_obs.c: the observation has no such column; name b",
}


@pytest.mark.parametrize("content", WRONG, ids=range(len(WRONG)))
def test_text_that_is_no_log(tmp_path, content):
    path = tmp_path / "log.csv"
    path.write_text(content)
    with pytest.raises(RequestError) as caught:
        logs.read(path)
    assert WRONG[content] in str(caught.value) and "\n" not in str(caught.value)


BESIDE = {
    "[1]": "must hold a mapping", "{observation: [hip], action: [u], speed: x}": "unknown key 'speed'",
    "{observation: [hip]}": "it names no action", "{observation: hip, action: [u]}": "observation must be a list",
    "{observation: [hop], action: [u]}": "unknown column 'hop': did you mean hip?",
    "{observation: [{column: hip, factr: 2}], action: [u]}": "key of a column 'factr': did you mean factor?",
    "{observation: [{column: hip, unit: gon}], action: [u]}": "none of rad, rad/s, m, m/s, s, deg, deg/s, rpm, mm, ",
    "{observation: [{column: hip, unit: deg/s, factor: 2}], action: [u]}": "leave one of them out",
    "{observation: [{column: hip, factor: x}], action: [u]}": "must be numbers", "{rate: 0}": "rate must be control",
    "{observation: [hip], action: [u], reward: [u]}": "reward must be one column",
    "{observation: [hip], action: [u], next_observation: [hip, u]}": "as many columns",
}  # fmt: skip


@pytest.mark.parametrize("said", BESIDE, ids=range(len(BESIDE)))
def test_a_wrong_file_beside_it(tmp_path, said):
    (tmp_path / "log.csv").write_text("hip,u,e\n1,2,1\n2,3,1\n")
    (tmp_path / "log.yaml").write_text(said)
    with pytest.raises(RequestError) as caught:
        logs.read(tmp_path / "log.csv")
    assert BESIDE[said] in str(caught.value) and "log.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"action": [[0.0]] * (N - 1) + [[0.0, 1.0]]}, "action has lists of different lengths"),
        ({"next.reward": [None, *REWARD[1:]]}, "has 1 rows without a value"),
        ({"action": ["left"] * N}, "no action among them"),
    ],
)
def test_parquet_that_is_no_log(tmp_path, change, words):
    kept = {k: v for k, v in table().to_pydict().items() if k not in change}
    pq.write_table(pa.table({**kept, **change}), tmp_path / "log.parquet")
    with pytest.raises(RequestError) as caught:
        logs.read(tmp_path / "log.parquet")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_where_the_columns_of_a_folder_are_said(tmp_path, here):
    """In it; a file beside it was asked for, and not read. And a column of words is no missing column."""
    renamed = table().rename_columns([name.removeprefix("observation.") for name in table().column_names])
    folder = lerobot(tmp_path / "set", tables=(renamed.append_column("trial", pa.array(["a"] * N)),))
    with pytest.raises(RequestError, match=r"say which they are in a file log\.yaml in it, such as"):
        logs.read(folder)
    said = "{observation: ['state[0]', 'state[1]'], action: ['action[0]'], reward: reward, episode: %s}"
    (folder / "log.yaml").write_text(said % "episode_index")
    require_the_steps(logs.read(folder))
    (folder / "log.yaml").write_text(said % "trial")
    with pytest.raises(RequestError, match="trial holds string, where numbers are wanted"):
        logs.read(folder)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(RequestError, match=r"of version v2.1, and v3 is read"):
        logs.read(lerobot(tmp_path / "old", "v2.1"))
    tables = (table(), table().drop_columns(["next.reward"]))
    with pytest.raises(RequestError, match="differ in the columns reward"):
        logs.read(lerobot(tmp_path / "odd", tables=tables))


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_read_or_refused(tmp_path, content):
    path = tmp_path / "any.csv"
    path.write_bytes(b"obs.a,action,episode\n" + content)
    try:
        assert len(logs.read(path))
    except RequestError as error:
        assert "\n" not in str(error) and len(str(error)) < 600


def test_more_values_in_a_line_than_names(tmp_path):
    """As decimal commas make them: the first ones would be taken, which are another row's shape of the same numbers."""
    path, head = tmp_path / "log.csv", "episode,obs.x,action.u\n"
    path.write_text(f"{head}0,1.0,0.1\n\n   \n0,1,5,0,1\n0,2,5,0,2\n")
    with pytest.raises(
        RequestError, match=r"line 5 has more values than there are names, 3: write decimal points"
    ) as e:
        logs.read(path)
    assert "every row" not in str(e.value)
    path.write_text(f"{head}0,1,0.1,\n\n0,2,0.2,\n0,x,0.2,\n")  # a comma behind each line is no value
    with pytest.raises(RequestError, match=r"obs\.x is 'x' in line 5"):  # empty lines count
        logs.read(path)
    path.write_text(f"{head}0,1,0.1,\n\n0,2,0.2,\n0,3,0.2,\n  \n")
    assert logs.read(path).obs[:, 0].tolist() == [1, 2]


def test_columns_of_a_parquet_file_that_nobody_reads(tmp_path, here):
    """Gaps in a note, or lists of different lengths, are refused where they are to be part of a step, only there."""
    path, odd = tmp_path / "log.parquet", [[1.0]] * (N - 1) + [[1.0, 2.0]]
    more = {"note": pa.array([None, *range(N - 1)]), "words": odd}
    pq.write_table(pa.table({**COLUMNS, **more}), path)
    require_the_steps(logs.read(path))
    for name, words in (("note", "has 1 rows without a value"), ("words", "has lists of different lengths")):
        (tmp_path / "log.yaml").write_text(f"{{observation: [{name}], action: [action.u], episode: episode}}")
        with pytest.raises(RequestError, match=f"{name} {words}"):
            logs.read(path)


@pytest.mark.parametrize("names", [("next_obs.knee", "next_obs.hip"), ("next_obs/knee", "next_obs[hip]")])
def test_next_observations_are_put_in_the_order_of_the_observations(tmp_path, names):
    """A file in another order than its observation made steps from the hip to the knee, an episode each."""
    led = dict(zip(names, (OBS[1:, 1], OBS[1:, 0]), strict=True))
    first = {name: x[:-1] for name, x in COLUMNS.items() if name != "episode"}
    found = logs.read(text(tmp_path / "log.csv", {**first, **led}))
    np.testing.assert_allclose(found.next_obs, OBS[1:])
    other = {"next_obs.x": OBS[1:, 0], "next_obs.y": OBS[1:, 1]}  # other names: as they stand in the file
    found = logs.read(text(tmp_path / "log.csv", {**first, **other}))
    np.testing.assert_allclose(found.next_obs, OBS[1:])


def test_many_names_of_columns_take_no_time():
    """They were compared each with each: a line of as many as are read took two minutes."""
    names = [f"{i:x}" for i in range(100_000)]
    assert distinct(names) == names
    with pytest.raises(RequestError, match="the column 1f twice"):
        distinct([*names, "1f"])


def test_rewards_and_flags_of_a_parquet_file_as_arrays_of_one(tmp_path, here):
    """As data sets with a shape for each column have them; left out, there were no rewards and no end."""
    path, ends = tmp_path / "log.parquet", np.arange(N) == N - 1
    led = {"next_obs": np.where(np.arange(N)[:, None] == 7, 99, OBS + 2).tolist(), "action": ACTION.tolist()}
    one = {
        "reward": REWARD[:, None].tolist(),
        "terminated": ends[:, None].tolist(),
        "episode": EPISODE[:, None].tolist(),
    }
    pq.write_table(pa.table({"obs": OBS.tolist(), **led, **one}), path)
    found = logs.read(path)
    assert found.reward.tolist() == REWARD.tolist() and found.terminated.tolist() == ends.tolist()
    assert found.episode[[0, -1]].tolist() == [0, 1]


@pytest.mark.parametrize("unit", ["ms", "ns"])
def test_times_of_a_parquet_file_as_dates(tmp_path, here, unit):
    """As pandas writes them; passed over, a gap would be a step."""
    path, apart = tmp_path / "log.parquet", np.r_[0:8, 20:24] * {"ms": 20, "ns": 20_000_000}[unit]
    columns = {name: x for name, x in COLUMNS.items() if name != "episode"}
    pq.write_table(pa.table({**columns, "time": pa.array(apart, pa.timestamp(unit))}), path)
    found = logs.read(path)
    require_the_steps(found)
    assert found.rate == 50 and found.missing.max() == pytest.approx(0.24)
    pq.write_table(pa.table({**columns, "episode": ["a"] * 8 + ["b"] * 4}), path)
    with pytest.raises(RequestError, match="episode holds string, where numbers are wanted"):
        logs.read(path)


@pytest.mark.parametrize("to", ["log.hdf5", "log.npz", "log.csv", "log.parquet", "lerobot:set", "minari:set-v0"])
def test_a_full_disk_is_said_and_nothing_is_left(tmp_path, monkeypatch, to):
    monkeypatch.chdir(tmp_path)
    found = logs.from_arrays({"observations": np.random.default_rng(0).normal(size=(999, 9)), "actions": np.ones(998)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(RequestError, match=f"{to.rpartition(':')[2]} cannot be written: .*File too large"):
            write(found, to, 50.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
