"""Writing a log as a folder: LeRobot's layout of version 3, and Minari's, as their own packages read them."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.logs import hdf5, named
from transreward.domains.logs.log import Log
from transreward.domains.logs.minari import ABOUT, DATA, OURS, UNREWARDED
from transreward.interruption import undone
from transreward.types import Entry, RequestError

LONGEST = 50_000  # rows of a group of a Parquet file
TASK = "recorded"  # LeRobot tells episodes apart by what was to be done, of which a log says nothing
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
CHUNK = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FIRST = CHUNK.format(chunk_index=0, file_index=0)
MEGABYTES = {"data_files_size_in_mb": 100, "video_files_size_in_mb": 200}  # from which LeRobot begins another file
VERSIONED = re.compile(r"[-\w]+-v\d+")  # the name of a data set of Minari's

Columns = tuple[Sequence[Entry], Sequence[Entry]]  # of an observation, and of an action


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write into, moved there once all is written; removed on an error or an interruption."""
    partial = path.with_name(path.name + ".part")

    def remove() -> None:
        shutil.rmtree(partial, ignore_errors=True)

    with undone(remove):
        remove()
        try:
            partial.mkdir()
            yield partial
            os.replace(partial, path)
        finally:
            remove()


# -- LeRobot ----------------------------------------------------------------------------------------------------------


def lerobot(log: Log, path: Path, rate: float, columns: Columns) -> None:
    """One file of frames, one of episodes, one of tasks, info and statistics."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors, scalars = _features(log, rate)
    lengths = np.bincount(log.episode)
    with whole_folder(path) as folder:
        for place in ("data", "meta/episodes"):
            (folder / place / FIRST).parent.mkdir(parents=True)
        table = pa.table({**{key: _arrow(x) for key, x in vectors.items()}, **scalars})
        pq.write_table(table, folder / "data" / FIRST, row_group_size=LONGEST)
        episodes = _episodes(lengths, {**vectors, **{key: x[:, None] for key, x in scalars.items()}})
        pq.write_table(pa.table(episodes), folder / "meta/episodes" / FIRST)
        pq.write_table(_tasks(), folder / "meta/tasks.parquet")
        stats = {key: _statistics(x) for key, x in {**vectors, **scalars}.items()}
        (folder / "meta/stats.json").write_text(json.dumps(stats))
        names = {key: [entry.name for entry in columns[key == "action"]] for key in vectors}
        features = {
            key: {"dtype": "float32", "shape": [x.shape[1]], "names": names[key]} for key, x in vectors.items()
        } | {key: {"dtype": str(x.dtype), "shape": [1], "names": None} for key, x in scalars.items()}
        info = {
            "codebase_version": "v3.0", "robot_type": None, "total_episodes": len(lengths), "total_frames": len(log),
            "total_tasks": 1, "chunks_size": 1000, **MEGABYTES, "fps": int(rate) if rate == int(rate) else rate,
            "splits": {"train": f"0:{len(lengths)}"}, "data_path": f"data/{CHUNK}", "video_path": None,
            "features": features,
        }  # fmt: skip
        (folder / "meta/info.json").write_text(json.dumps(info, indent=1))


def _features(log: Log, rate: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Columns of several numbers [n, width], and of one [n]."""
    n, frame = len(log), log.frames
    vectors = {"observation.state": log.obs, "action": log.action, "observation.next_state": log.next_obs}
    scalars: dict[str, np.ndarray] = {
        **({"next.reward": log.reward.astype(np.float32)} if log.rewarded else {}),
        "next.done": log.terminated | log.truncated, "next.terminated": log.terminated,
        "next.truncated": log.truncated,
        "timestamp": (frame / rate).astype(np.float32), "frame_index": frame, "episode_index": log.episode,
        "index": np.arange(n), "task_index": np.zeros(n, int),
    }  # fmt: skip
    return {key: x.astype(np.float32) for key, x in vectors.items()}, scalars


def _arrow(x: np.ndarray) -> Any:
    """A column of vectors, [n, width]; LeRobot has those of one number as numbers."""
    import pyarrow as pa

    width = x.shape[1]
    return pa.array(x[:, 0]) if width == 1 else pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), width)


def _episodes(lengths: np.ndarray, found: dict[str, np.ndarray]) -> dict[str, Any]:
    """A row for each episode: where its frames are, and their statistics."""
    n, first = len(lengths), np.concatenate([[0], np.cumsum(lengths)[:-1]])
    zeros = np.zeros(n, int)
    rows: dict[str, Any] = {
        "episode_index": np.arange(n), "tasks": [[TASK]] * n, "length": lengths, "data/chunk_index": zeros,
        "data/file_index": zeros, "dataset_from_index": first, "dataset_to_index": first + lengths,
        "meta/episodes/chunk_index": zeros, "meta/episodes/file_index": zeros,
    }  # fmt: skip
    for key, x in found.items():
        x = x.astype(float)
        mean = np.add.reduceat(x, first) / lengths[:, None]
        square = np.add.reduceat((x - np.repeat(mean, lengths, axis=0)) ** 2, first) / lengths[:, None]
        each = {"min": np.minimum.reduceat(x, first), "max": np.maximum.reduceat(x, first), "mean": mean}
        each |= {"std": np.sqrt(square), "count": lengths[:, None]}
        rows |= {f"stats/{key}/{name}": value.tolist() for name, value in each.items()}
    return rows


def _tasks() -> Any:
    """A table whose index are the tasks, as pandas keeps one."""
    import pyarrow as pa

    index, text = "__index_level_0__", {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    about = {
        "index_columns": [index], "column_indexes": [{"name": None, "field_name": None, **text}], "pandas_version": "2",
        "columns": [{"name": "task_index", "field_name": "task_index", **number},
                    {"name": None, "field_name": index, **text}],
    }  # fmt: skip
    table = pa.table({"task_index": [0], index: [TASK]})
    return table.replace_schema_metadata({"pandas": json.dumps(about)})


def _statistics(x: np.ndarray) -> dict[str, list[float]]:
    x = x.astype(float).reshape(len(x), -1)
    found = {"min": x.min(0), "max": x.max(0), "mean": x.mean(0), "std": x.std(0), "count": np.array([len(x)])}
    found |= {name: np.quantile(x, share, axis=0) for name, share in QUANTILES.items()}
    return {key: value.tolist() for key, value in found.items()}


# -- Minari -----------------------------------------------------------------------------------------------------------


def require_version(path: Path) -> None:
    """Raise RequestError for a folder that Minari could not have as the id of a data set."""
    if not VERSIONED.fullmatch(path.name):
        raise RequestError(f"{path}: a data set of Minari's has a version behind its name, such as minari:{path}-v0")


def minari(log: Log, path: Path, rate: float | None, columns: Columns) -> None:
    """A group for each episode, with one observation more than there are actions."""
    begins = [*log.begins.tolist(), len(log)]
    with whole_folder(path) as folder:
        (folder / "data").mkdir()
        with hdf5.made(folder / DATA) as file:
            for k, (first, end) in enumerate(pairwise(begins)):
                at, group = slice(first, end), file.create_group(f"episode_{k}")
                group.attrs.update({"id": k, "total_steps": end - first})
                group.create_group("infos")  # without which Minari cannot print an episode
                seen = np.concatenate([log.obs[at], log.next_obs[end - 1 : end]])
                parts = {"observations": seen, "actions": log.action[at], "rewards": log.reward[at]}
                parts |= {"terminations": log.terminated[at], "truncations": log.truncated[at]}
                for name, x in parts.items():
                    group.create_dataset(name, data=x.astype(np.float32) if x.dtype != bool else x, compression="gzip")
        about = {
            "dataset_id": _dataset_id(path), "total_episodes": len(begins) - 1, "total_steps": len(log),
            "data_format": "hdf5", "observation_space": _box([Entry("", "")] * log.obs.shape[1]),
            "action_space": _box(columns[1]),
            "minari_version": "0.5.3", **({} if rate is None else {OURS: rate}),
            **({} if log.rewarded else {UNREWARDED: True}),
            named.NAMES: dict(zip(named.PARTS, ([entry.name for entry in side] for side in columns), strict=True)),
        }  # fmt: skip
        (folder / ABOUT).write_text(json.dumps(about))


def _dataset_id(path: Path) -> str:
    """The id of a folder: its place below Minari's own folder, or else its name and that of the folder around it."""
    path, root = path.absolute(), os.environ.get("MINARI_DATASETS_PATH")
    if root and path.is_relative_to(Path(root).absolute()):
        return path.relative_to(Path(root).absolute()).as_posix()
    return "/".join(name for name in (path.parent.name, path.name) if re.fullmatch(r"[-\w]+", name))


def _box(entries: Sequence[Entry]) -> str:
    """A Box of these columns, as Minari writes spaces."""
    low, high = [entry.low for entry in entries], [entry.high for entry in entries]
    return json.dumps({"type": "Box", "dtype": "float32", "shape": [len(low)], "low": low, "high": high})
