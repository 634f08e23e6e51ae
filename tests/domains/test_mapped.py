"""HDF5 and npz files whose arrays a file beside them names."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from transreward.domains import logs
from transreward.domains.logs.write import write
from transreward.types import RequestError

N = 12
QPOS, QVEL, CTRL = np.arange(N * 2.0).reshape(N, 2), np.arange(N * 1.0)[:, None] + 50, np.arange(N) / 20
PAY, TRIAL = np.arange(N) % 5.0, np.repeat([3, 8], (8, 4))
FLAT = {"qpos": QPOS, "qvel": QVEL, "ctrl": CTRL, "pay": PAY, "trial": TRIAL, "images": np.zeros((N, 4, 4))}
SAID = "{observation: [qpos, qvel], action: [ctrl], reward: pay, episode: trial}"


def hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, x in arrays.items():
            file[name] = x
    return path


def npz(path, arrays):
    np.savez(path, **arrays)
    return path


KINDS = pytest.mark.parametrize(("save", "ending"), [(hdf5, "hdf5"), (npz, "npz")])


def beside(path, said):
    path.with_suffix(".yaml").write_text(said)
    return path


def require_the_steps(log, dropped=2):
    kept = [i for i in range(N) if not dropped or i not in (7, 11)]
    assert len(log) == len(kept) and log.dropped == dropped and log.rewarded
    np.testing.assert_allclose(log.obs, np.hstack([QPOS, QVEL])[kept])
    np.testing.assert_allclose(log.action[:, 0], CTRL[kept])
    np.testing.assert_allclose(log.reward, PAY[kept])
    assert log.episode.tolist() == [0 if i < 8 else 1 for i in kept]


@KINDS
def test_whole_arrays_are_named(tmp_path, save, ending):
    require_the_steps(logs.read(beside(save(tmp_path / f"log.{ending}", FLAT), SAID)))


@KINDS
def test_columns_of_arrays_in_other_units(tmp_path, save, ending):
    flat = {**FLAT, "qpos": np.degrees(QPOS[:, ::-1]), "qvel": QVEL * [[1.0, 2.0, 3.0]]}
    said = SAID.replace("[qpos, qvel]", "[{column: 'qpos[1]', unit: deg}, {column: 'qpos[0]', unit: deg}, 'qvel[0]']")
    log = logs.read(beside(save(tmp_path / f"log.{ending}", flat), said.replace("episode", "rate: 50, episode")))
    require_the_steps(log)
    assert log.rate == 50 and log.names == (("qpos[1]", "qpos[0]", "qvel[0]"), ("ctrl",))
    whole = SAID.replace("[qpos", "[{column: qpos, unit: deg}").replace("qvel]", "'qvel[0]']")
    np.testing.assert_allclose(logs.read(beside(tmp_path / f"log.{ending}", whole)).obs[:, 1], log.obs[:, 0])


@KINDS
def test_groups_are_episodes(tmp_path, save, ending):
    """As robomimic lays them out, the tenth behind the second; with what was observed last, no step is lost."""
    arrays = {}
    for name, part in (("demo_2", slice(0, 8)), ("demo_10", slice(8, 12))):
        with_last = {"qpos": QPOS, "qvel": QVEL}
        arrays |= {f"data/{name}/obs/{k}": np.vstack([x[part], x[part][-1:] + 1]) for k, x in with_last.items()}
        arrays |= {f"data/{name}/actions": CTRL[part][:, None], f"data/{name}/rewards": PAY[part]}
    path = save(tmp_path / f"log.{ending}", {**arrays, "mask/train": np.zeros(3)})
    said = "{observation: [obs/qpos, obs/qvel], action: [actions], reward: rewards, episodes: %s}"
    require_the_steps(logs.read(beside(path, said % "data/demo_*")), dropped=0)
    with pytest.raises(RequestError, match=r"log\.yaml: episodes: nothing .* is called trial_\*; it has data, mask"):
        logs.read(beside(path, said % "'trial_*'"))
    with pytest.raises(RequestError, match=r"log\.yaml: in data/demo_2: unknown column 'obs/qpo'"):
        logs.read(beside(path, (said % "data/*").replace("obs/qpos", "obs/qpo")))


@KINDS
def test_a_file_that_is_one_episode(tmp_path, save, ending):
    """As ALOHA writes them."""
    arrays = {"observations/qpos": QPOS, "observations/qvel": QVEL, "action": CTRL[:, None], "pay": PAY}
    said = "{observation: [observations/qpos, /observations/qvel], action: [/action], reward: pay, episodes: /}"
    log = logs.read(beside(save(tmp_path / f"log.{ending}", arrays), said))
    assert len(log) == N - 1 and log.dropped == 1 and log.episode.max() == 0
    np.testing.assert_allclose(log.next_obs, np.hstack([QPOS, QVEL])[1:])


WRONG = {
    SAID.replace("qvel", "qvle"): "unknown column 'qvle': did you mean qvel",
    SAID.replace("qvel", "'qpos[2]'"): "unknown column 'qpos[2]'",
    SAID.replace("pay", "qpos"): "reward must be one column, and qpos has 2: name qpos[0]",
    SAID.replace("qvel", "images"): "images has the shape [12, 4, 4], where",
    SAID.replace("qvel", "short"): "qpos has 12 rows, short has 5 rows: those of one part need as many",
    SAID.replace("[ctrl]", "ctrl"): "action must be a list of columns",
    SAID.replace("episode", "pay"): "unknown key 'pay'",
    SAID.replace("}", ", episodes: [demo]}"): "episodes must be a pattern",
    "{observation: [qpos], episode: trial}": "it names no action: write a mapping",
    "{observation: [qpos], action: [ctrl]}": "nothing says where an episode ends",
    SAID.replace("qvel", "nan"): "nan is nan in row 3: leave such steps out",
}


@pytest.mark.parametrize("said", WRONG, ids=range(len(WRONG)))
def test_what_it_cannot_mean(tmp_path, said):
    odd = {"short": np.zeros(5), "nan": np.where(np.arange(N) == 3, np.nan, 0)}
    path = npz(tmp_path / "log.npz", {**FLAT, **odd})
    with pytest.raises(RequestError) as caught:
        logs.read(beside(path, said))
    assert WRONG[said] in str(caught.value) and "\n" not in str(caught.value)


def test_no_link_is_followed(tmp_path):
    """Neither an array that is one, nor a group on the way."""
    hdf5(tmp_path / "other.hdf5", {"inside/qvel": QVEL})
    path = beside(hdf5(tmp_path / "log.hdf5", {k: x for k, x in FLAT.items() if k != "qvel"}), SAID)
    for name, place in (("qvel", "inside/qvel"), ("group", "inside")):
        with h5py.File(path, "a") as file:
            file[name] = h5py.ExternalLink(tmp_path / "other.hdf5", place)
        with pytest.raises(RequestError, match="is a link to elsewhere"):
            logs.read(path)
        beside(path, SAID.replace("qvel", "group/qvel"))
    with pytest.raises(RequestError, match="is a link to elsewhere"):
        logs.read(beside(path, SAID.replace("}", ", episodes: group}")))


def test_sizes_are_looked_at_before_room_is_made(tmp_path):
    with h5py.File(tmp_path / "log.hdf5", "w") as file:
        for name, x in FLAT.items():
            file[name] = x
        file.create_dataset("large", (2**28, 1), "f4", chunks=(1024, 1))
    with pytest.raises(RequestError, match="it says that it holds"):
        logs.read(beside(tmp_path / "log.hdf5", SAID.replace("qpos", "large").replace("[large, qvel]", "[large]")))


def test_nothing_is_written_where_such_a_file_would_be_read_with_it(tmp_path):
    log = logs.read(beside(npz(tmp_path / "log.npz", FLAT), SAID))
    with pytest.raises(
        RequestError, match=r"log\.yaml says what the columns of .*log\.csv would be: name another place"
    ):
        write(log, str(tmp_path / "log.csv"))
    np.testing.assert_allclose(logs.read(write(log, str(tmp_path / "better.npz"))).obs, log.obs)
