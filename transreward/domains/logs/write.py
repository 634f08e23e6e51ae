"""Writing a log: HDF5 in D4RL's keys, npz, CSV, Parquet, a folder of LeRobot (v3) or of Minari."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.logs.columns import require_package
from transreward.domains.logs.log import Log
from transreward.interruption import whole
from transreward.types import RequestError

FOLDERS = ("lerobot", "minari")  # kinds that are folders, written as kind:PATH
Names = tuple[Sequence[str], Sequence[str]]  # of an observation's columns, and of an action's
LONGEST = 50_000  # rows of a group of a Parquet file


def write(log: Log, to: str, rate: float | None = None, names: Names | None = None) -> Path:
    """Write a log where `to` says: a file that ends in .hdf5, .npz, .csv or .parquet; lerobot:FOLDER or minari:FOLDER.

    `rate` are control steps a second, which LeRobot's format needs; `names` those of the columns.
    Raises RequestError for another ending, a place that is taken, and where a package is missing.
    """
    scheme, colon, rest = to.partition(":")
    path, kind = Path(to), Path(to).suffix.lower().lstrip(".")
    if colon and scheme in FOLDERS:
        path, kind = Path(rest), scheme
    kind = {"h5": "hdf5", "tsv": "csv"}.get(kind, kind)
    if kind not in WRITERS:
        raise RequestError(f"{to}: end it in {', '.join(f'.{k}' for k in WRITERS if k not in FOLDERS)}, or write "
                           f"{' or '.join(f'{k}:FOLDER' for k in FOLDERS)}")  # fmt: skip
    if kind in NEEDS:
        require_package(NEEDS[kind])
    if path.exists():
        raise RequestError(f"{path} is there already: name another place")
    if not path.parent.is_dir():
        raise RequestError(f"there is no folder {path.parent}")
    if kind == "lerobot" and rate is None:
        raise RequestError("LeRobot's format needs the control rate, in Hz: give `rate=50`")
    WRITERS[kind](log, path, rate, names or _numbered(log))
    return path


def _numbered(log: Log) -> tuple[list[str], list[str]]:
    return tuple([str(i) for i in range(x.shape[1])] for x in (log.obs, log.action))  # type: ignore[return-value]


def _arrays(log: Log) -> dict[str, np.ndarray]:
    """In D4RL's words."""
    return {
        "observations": log.obs.astype(np.float32),
        "actions": log.action.astype(np.float32),
        **({"rewards": log.reward.astype(np.float32)} if log.rewarded else {}),
        "next_observations": log.next_obs.astype(np.float32),
        "terminals": log.terminated,
        "timeouts": log.truncated,
    }


def _npz(log: Log, path: Path, rate: float | None, names: Any) -> None:
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **_arrays(log))  # type: ignore[arg-type]


def _hdf5(log: Log, path: Path, rate: float | None, names: Any) -> None:
    import h5py

    with whole(path) as partial, h5py.File(partial, "w") as file:
        for name, x in _arrays(log).items():
            file.create_dataset(name, data=x, compression="gzip")


def _columns(log: Log, names: Names) -> dict[str, np.ndarray]:
    """A column for each number, as `table.by_name` reads them."""
    found: dict[str, np.ndarray] = {"episode": log.episode}
    for part, x, named in (
        ("obs", log.obs, names[0]),
        ("action", log.action, names[1]),
        ("next_obs", log.next_obs, names[0]),
    ):
        found |= {f"{part}.{name}": x[:, i] for i, name in enumerate(named)}
    found |= {"reward": log.reward} if log.rewarded else {}
    return found | {"terminated": log.terminated.astype(int), "truncated": log.truncated.astype(int)}


def _csv(log: Log, path: Path, rate: float | None, names: Any) -> None:
    columns = _columns(log, names)
    with whole(path) as partial, partial.open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        rows.writerow(columns)
        rows.writerows(zip(*(x.tolist() for x in columns.values()), strict=True))


def _parquet(log: Log, path: Path, rate: float | None, names: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with whole(path) as partial:
        pq.write_table(pa.table(_columns(log, names)), partial, row_group_size=LONGEST)


def _lerobot(log: Log, path: Path, rate: float | None, names: Any) -> None:
    """LeRobot's layout of version 3: one file of frames, one of episodes, one of tasks, info and statistics."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert rate is not None
    lengths, n = np.bincount(log.episode), len(log)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    frame = np.arange(n) - first[log.episode]
    vectors = {"observation.state": log.obs, "action": log.action, "observation.next_state": log.next_obs}
    scalars: dict[str, np.ndarray] = {
        "next.reward": log.reward.astype(np.float32), "next.done": log.terminated | log.truncated,
        "next.terminated": log.terminated, "next.truncated": log.truncated,
        "timestamp": (frame / rate).astype(np.float32), "frame_index": frame, "episode_index": log.episode,
        "index": np.arange(n), "task_index": np.zeros(n, int),
    }  # fmt: skip
    lists = {
        k: pa.FixedSizeListArray.from_arrays(pa.array(x.astype(np.float32).ravel()), x.shape[1])
        for k, x in vectors.items()
    }
    for folder in ("data/chunk-000", "meta/episodes/chunk-000"):
        (path / folder).mkdir(parents=True)
    pq.write_table(pa.table({**lists, **scalars}), path / "data/chunk-000/file-000.parquet", row_group_size=LONGEST)
    each = {
        "episode_index": np.arange(len(lengths)), "length": lengths, "dataset_from_index": first,
        "dataset_to_index": first + lengths, "data/chunk_index": np.zeros(len(lengths), int),
        "data/file_index": np.zeros(len(lengths), int),
    }  # fmt: skip
    pq.write_table(
        pa.table({**each, "tasks": [["recorded"]] * len(lengths)}), path / "meta/episodes/chunk-000/file-000.parquet"
    )
    pq.write_table(pa.table({"task_index": [0], "task": ["recorded"]}), path / "meta/tasks.parquet")
    features: dict[str, Any] = {}
    for key, x in vectors.items():
        features[key] = {"dtype": "float32", "shape": [x.shape[1]], "names": list(names[key == "action"])}
    for key, x in scalars.items():
        features[key] = {"dtype": str(x.dtype), "shape": [1], "names": None}
    info = {
        "codebase_version": "v3.0", "fps": rate, "total_episodes": len(lengths), "total_frames": n, "total_tasks": 1,
        "chunks_size": 1000, "splits": {"train": f"0:{len(lengths)}"}, "features": features, "video_path": None,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    }  # fmt: skip
    stats = {key: _statistics(x) for key, x in {**vectors, **{k: v[:, None] for k, v in scalars.items()}}.items()}
    (path / "meta/stats.json").write_text(json.dumps(stats))
    (path / "meta/info.json").write_text(json.dumps(info, indent=1))  # last: what has it is whole


def _statistics(x: np.ndarray) -> dict[str, list[float]]:
    x = x.astype(float)
    found = {"min": x.min(0), "max": x.max(0), "mean": x.mean(0), "std": x.std(0), "count": np.array([len(x)])}
    return {key: value.tolist() for key, value in found.items()}


def _minari(log: Log, path: Path, rate: float | None, names: Any) -> None:
    """Minari's layout: a group for each episode, with one observation more than there are actions."""
    import h5py

    episodes = int(log.episode[-1]) + 1
    (path / "data").mkdir(parents=True)
    with h5py.File(path / "data/main_data.hdf5", "w") as file:
        for k in range(episodes):
            at = np.flatnonzero(log.episode == k)
            group = file.create_group(f"episode_{k}")
            group.attrs.update({"id": k, "total_steps": len(at)})
            seen = np.concatenate([log.obs[at], log.next_obs[at[-1:]]])
            parts = {"observations": seen, "actions": log.action[at], "rewards": log.reward[at]}
            parts |= {"terminations": log.terminated[at], "truncations": log.truncated[at]}
            for name, x in parts.items():
                group.create_dataset(name, data=x.astype(np.float32) if x.dtype != bool else x, compression="gzip")
    about = {
        "dataset_id": f"{path.parent.name}/{path.name}", "total_episodes": episodes, "total_steps": len(log),
        "data_format": "hdf5", "observation_space": _box(log.obs), "action_space": _box(log.action),
        "minari_version": "0.5.3",
    }  # fmt: skip
    (path / "data/metadata.json").write_text(json.dumps(about))  # last: what has it is whole


def _box(x: np.ndarray) -> str:
    """An unbounded Box, as Minari writes spaces."""
    n = x.shape[1]
    return json.dumps({"type": "Box", "dtype": "float32", "shape": [n], "low": [-np.inf] * n, "high": [np.inf] * n})


WRITERS: dict[str, Callable[[Log, Path, float | None, Any], None]] = {
    "hdf5": _hdf5, "npz": _npz, "csv": _csv, "parquet": _parquet, "lerobot": _lerobot, "minari": _minari,
}  # fmt: skip
NEEDS = {"hdf5": "h5py", "minari": "h5py", "parquet": "pyarrow", "lerobot": "pyarrow"}
