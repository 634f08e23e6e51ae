"""Folders of LeRobot and Minari as their own packages read them, 0.4.4 and 0.5.4, by whose readers this was recorded;
where a package is installed, by itself."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from transreward.domains import logs
from transreward.domains.logs import Log, folders
from transreward.domains.logs.write import write
from transreward.types import Entry, RequestError

COLUMNS = [Entry("hip", "rad"), Entry("knee", "rad")], [Entry("u", "N m", low=-2.0, high=2.0)]


def log(n=30, obs=2, action=1):
    """Three episodes, of which the first terminated."""
    rng = np.random.default_rng(0)
    ends = np.arange(n) % 10 == 9
    states, action = rng.normal(size=(n + 1, obs)).astype(np.float32), rng.normal(size=(n, action)).astype(np.float32)
    led = states[1:] + 100 * ends[:, None]  # the next episode begins elsewhere
    over = np.arange(n) == 9
    return Log(states[:-1], action, np.ones(n), led, over, ends & ~over, source="made", rate=50.0)


def test_lerobot_finds_all_that_it_reads(tmp_path):
    folder = write(log(), f"lerobot:{tmp_path / 'set'}", columns=COLUMNS)
    info = json.loads((folder / "meta/info.json").read_text())
    assert info["fps"] == 50 and isinstance(info["fps"], int) and info["codebase_version"] == "v3.0"
    asked = {"robot_type", "total_episodes", "total_frames", "total_tasks", "chunks_size", "data_files_size_in_mb",
             "video_files_size_in_mb", "splits", "data_path", "video_path"}  # fmt: skip
    assert asked <= info.keys() and info["features"]["observation.state"]["names"] == ["hip", "knee"]
    place = info["data_path"].format(chunk_index=0, file_index=0)
    schema = pq.read_schema(folder / place)
    assert set(schema.names) == set(info["features"])
    for name, feature in info["features"].items():  # a vector of one number is a number to LeRobot
        shape = feature["shape"]
        assert str(schema.field(name).type) == {
            "bool": "bool", "int64": "int64",
            "float32": "float" if shape == [1] else f"fixed_size_list<element: float>[{shape[0]}]",
        }[feature["dtype"]], name  # fmt: skip
    stats = json.loads((folder / "meta/stats.json").read_text())
    assert stats.keys() == info["features"].keys()
    assert {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"} == stats["action"].keys()
    tasks = pq.read_schema(folder / "meta/tasks.parquet")
    assert json.loads(tasks.metadata[b"pandas"])["index_columns"] == ["__index_level_0__"]


def test_lerobots_episodes(tmp_path):
    made = log()
    folder = write(made, f"lerobot:{tmp_path / 'set'}")
    rows = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pydict()
    assert rows["dataset_from_index"] == [0, 10, 20] and rows["dataset_to_index"] == [10, 20, 30]
    assert (
        rows["tasks"] == [["recorded"]] * 3 and rows["meta/episodes/file_index"] == rows["data/chunk_index"] == [0] * 3
    )
    second = made.obs[10:20].astype(np.float32).astype(float)
    for name, x in (("min", second.min(0)), ("max", second.max(0)), ("mean", second.mean(0)), ("std", second.std(0))):
        np.testing.assert_allclose(rows[f"stats/observation.state/{name}"][1], x, rtol=1e-6)
    assert rows["stats/next.reward/count"] == [[10]] * 3


def test_names_and_rates_come_back(tmp_path):
    """From every format that can keep them."""
    for to in (
        f"lerobot:{tmp_path / 'set'}",
        *(str(tmp_path / f"log.{ending}") for ending in ("csv", "parquet", "npz", "hdf5")),
        f"minari:{tmp_path / 'a-v0'}",
    ):
        found = logs.read(write(log(), to, columns=COLUMNS))
        assert found.names == (("hip", "knee"), ("u",)) and found.rate == 50, to


def test_a_folder_in_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write(log(), "minari:~/a-v0") == tmp_path / "a-v0"


@pytest.mark.parametrize("to", ["lerobot:set-v0", "minari:set-v0", "log.npz"])
def test_numbers_are_no_names(to, here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = logs.read(write(log(), to)).names
    assert found is None or found[0] == ("obs[0]", "obs[1]")  # as LeRobot numbers them


@pytest.mark.parametrize(
    "names", [{"obs": 3, "action": ["u"]}, {"obs": ["a", "b"]}, {"obs": [1, 2], "action": [{}]}, 7]
)
def test_names_in_minaris_folder_that_are_none(tmp_path, names, here):
    folder = write(log(), f"minari:{tmp_path / 'a-v0'}", columns=COLUMNS)
    about = json.loads((folder / "data/metadata.json").read_text()) | {"column_names": names}
    (folder / "data/metadata.json").write_text(json.dumps(about))
    assert logs.read(folder).names is None


@pytest.mark.parametrize(
    ("name", "shown"), [("a" * 500, "a" * 60), ("\u200bhip", "\\u200bhip"), ("\x1b[2J", None), ("", None)]
)
def test_names_of_strangers(name, shown):
    arrays = {part: np.ones((2, 1)) for part in ("obs", "action", "next_obs")}
    said = np.frombuffer(json.dumps({"obs": [name], "action": ["u"]}).encode(), np.uint8)
    found = logs.from_arrays(arrays | {"column_names": said}).names
    assert found == (None if shown is None else ((shown,), ("u",)))


def test_minari_finds_all_that_it_reads(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    (tmp_path / "mine").mkdir()
    folder = write(log(), f"minari:{tmp_path / 'mine' / 'walk-v0'}", columns=COLUMNS)
    about = json.loads((folder / "data/metadata.json").read_text())
    # The id as Minari parses it: NAMESPACE/NAME-vN, below its own folder.
    assert (
        about["dataset_id"] == "mine/walk-v0" and about["data_format"] == "hdf5" and about["minari_version"] == "0.5.3"
    )
    assert json.loads(about["action_space"]) == {
        "type": "Box",
        "dtype": "float32",
        "shape": [1],
        "low": [-2.0],
        "high": [2.0],
    }
    assert (about["total_episodes"], about["total_steps"]) == (3, 30)
    with h5py.File(folder / "data/main_data.hdf5") as file:
        assert set(file) == {"episode_0", "episode_1", "episode_2"}  # it counts them
        for group in file.values():
            assert {"observations", "actions", "rewards", "terminations", "truncations", "infos"} == set(group)
            assert group["observations"].shape == (11, 2) and group.attrs["total_steps"] == 10


def test_minari_in_arrow_is_refused(tmp_path):
    (tmp_path / "a-v0" / "data").mkdir(parents=True)
    (tmp_path / "a-v0" / "data" / "metadata.json").write_text('{"data_format": "arrow"}')
    with pytest.raises(RequestError, match=re.escape("in the format 'arrow': write it with data_format=\"hdf5\"")):
        logs.read(tmp_path / "a-v0")


def test_nothing_is_left_of_a_folder_that_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_statistics", lambda x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(log(), f"lerobot:{tmp_path / 'set'}")
    assert not list(tmp_path.iterdir())


def test_minari_itself(tmp_path):
    minari = pytest.importorskip("minari")
    folder = write(log(), f"minari:{tmp_path / 'walk-v0'}", columns=COLUMNS)
    data = minari.MinariDataset(folder / "data")
    first, *_ = data.iterate_episodes()
    assert data.total_steps == 30 and first.terminations[-1] and repr(first)


def test_lerobot_itself(tmp_path):
    module = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    folder = write(log(), f"lerobot:{tmp_path / 'set'}", columns=COLUMNS)
    data = module.LeRobotDataset("a/set", root=folder)
    assert (data.num_episodes, data.num_frames, data[11]["task"]) == (3, 30, "recorded")


@pytest.mark.parametrize("kind", ["lerobot", "minari"])
def test_rewards_that_nobody_recorded_are_none_in_a_folder_either(kind, tmp_path, here):
    made = log()
    unpaid = Log(*made.transition, source="made", rate=50.0, rewarded=False)
    folder = write(unpaid, f"{kind}:{tmp_path / 'set-v0'}", columns=COLUMNS)
    found = logs.read(folder)
    assert not found.rewarded and not found.reward.any() and len(found) == len(made)
