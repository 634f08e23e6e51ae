"""Run directories: what is written is read back to the bit, no half files, nothing is overwritten."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.runs import store
from transreward.types import Pair, RequestError


def tree():
    return {
        "layers": [Pair(jnp.ones((2, 3)), jnp.asarray([np.inf, -0.0, 1e-40], jnp.float32))],
        "count": jnp.asarray(7, jnp.int32),
        "flags": jnp.asarray([True, False]),
        "nothing": (),
        "keys": jax.random.key_data(jax.random.key(3)),
        "across": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not contiguous
    }


def test_a_tree_comes_back_as_it_was(tmp_path):
    store.save_tree(tmp_path / "tree.safetensors", tree())
    found = store.load_tree(tmp_path / "tree.safetensors", jax.eval_shape(tree))
    assert jax.tree.structure(found) == jax.tree.structure(tree())
    for mine, theirs in zip(jax.tree.leaves(tree()), jax.tree.leaves(found), strict=True):
        assert mine.dtype == theirs.dtype
        assert np.asarray(mine).tobytes() == np.asarray(theirs).tobytes()


def test_whole_files_replace_what_was_there_and_leave_no_part(tmp_path):
    for value in (1, 2):
        store.save_tree(tmp_path / "a.safetensors", {"x": jnp.full(3, value)})
        store.write_json(tmp_path / "a.json", {"x": value})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.safetensors"]
    assert store.read_json(tmp_path / "a.json") == {"x": 2}
    assert store.load_tree(tmp_path / "a.safetensors", {"x": jnp.zeros(3)})["x"].tolist() == [2, 2, 2]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    store.write_json(tmp_path / "a.json", {"x": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert store.read_json(tmp_path / "a.json") == {"x": 1.0}


@pytest.mark.parametrize(
    "other",
    [{"x": np.zeros(4)}, {"x": np.zeros((3, 1))}, {"y": np.zeros(3)}, {"x": np.zeros(3), "y": np.zeros(1)}, {}],
    ids=str,
)
def test_another_shape_is_refused(tmp_path, other):
    store.save_tree(tmp_path / "a.safetensors", {"x": jnp.zeros(3)})
    with pytest.raises(RequestError, match="was written with another robot, learner or number of seeds"):
        store.load_tree(tmp_path / "a.safetensors", other)


def test_what_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"has no policy\.safetensors"):
        store.load_tree(tmp_path / "policy.safetensors", {})
    with pytest.raises(RequestError, match=r"is not a run directory: it has no result\.json"):
        store.read_json(tmp_path / "result.json")
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(RequestError, match="is not JSON"):
        store.read_json(tmp_path / "result.json")


def test_lines_are_appended(tmp_path):
    path = tmp_path / "metrics.jsonl"
    store.append_lines(path, [{"step": 1}, {"step": 2}])
    store.append_lines(path, [{"step": 3}])
    assert store.read_lines(path) == [{"step": 1}, {"step": 2}, {"step": 3}]
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_an_empty_or_new_directory_can_be_claimed(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/below/it"):
        assert store.claim(tmp_path / name) == tmp_path / name
        assert (tmp_path / name).is_dir()


@pytest.mark.parametrize(
    ("file", "place", "why"),
    [
        ("run/config.json", "run", "already holds a run"),
        ("run/notes.txt", "run", "is not empty"),
        ("run", "run", "is a file"),
        ("run", "run/below", "cannot be made"),
    ],
)
def test_a_place_in_use_is_refused_and_left_alone(tmp_path, file, place, why):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("kept")
    with pytest.raises(RequestError, match=why):
        store.claim(tmp_path / place)
    assert path.read_text() == "kept"


def test_looking_whether_a_place_is_vacant_makes_nothing(tmp_path):
    store.vacant(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_versions_name_what_a_result_depends_on():
    assert {"jax", "mujoco", "numpy"} <= set(store.versions())
