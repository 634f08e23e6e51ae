"""Run directories: what is written is read back to the bit, no half files, nothing is overwritten."""

from __future__ import annotations

import json
import os
import shlex
from threading import Barrier, Thread

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.cli.directory import kept
from transreward.cli.main import told
from transreward.runs import store
from transreward.runs.places import STATE, request_of
from transreward.runs.result import load
from transreward.types import BrokenRun, Pair, RequestError


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
    assert store.load_tree(tmp_path / "a.safetensors", {"x": jnp.zeros(3, int)})["x"].tolist() == [2, 2, 2]


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


def row(step, **changes):
    """Of metrics.jsonl, with what each must have; None takes a key out."""
    whole = {"method": "darc", "seed": 0, "source_steps": 0, "target_steps": step, "target_return": 1.5}
    return {k: v for k, v in {**whole, "source_return": None, **changes}.items() if v is not None or k not in changes}


def test_lines_are_appended(tmp_path):
    path = tmp_path / "metrics.jsonl"
    store.append_lines(path, [row(1), row(2)])
    store.append_lines(path, [row(3)])
    assert store.read_lines(path) == [row(1), row(2), row(3)]
    assert [json.loads(line)["target_steps"] for line in path.read_text().splitlines()] == [1, 2, 3]
    path.write_text("\n")
    assert store.read_lines(path) == store.read_lines(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([1, 2, '{"step": 3'], r"line 3 was cut short and is left out; 2 of 3 are read"),
        ([1, 2, '{"step": "\xc3'], r"line 3 was cut short and is left out; 2 of 3 are read"),
        ([1, 2, "\0\0\0"], r"line 3 was cut short and is left out; 2 of 3 are read"),
        ([1, '{"step": 1', 2], r"line 2 is no JSON object and is left out; 2 of 3 are read"),
        ([1, "[]", 2], r"line 2 is no JSON object and is left out; 2 of 3 are read"),
        ([1, "", 2], r"line 2 is no JSON object and is left out; 2 of 3 are read"),
        ([1, "\0\xff", 2], r"line 2 is no JSON object and is left out; 2 of 3 are read"),
        ([1, 2, "3"], r"line 3 is no JSON object and is left out; 2 of 3 are read"),
        ([1, row(9, seed=None), 2], r"line 2 has no 'seed' and is left out; 2 of 3 are read"),
        ([1, 2, row(9, target_return=None)], r"line 3 has no 'target_return' and is left out; 2 of 3 are read"),
        ([1, 2, row("9")], r"line 3 is damaged: 'target_steps' is '9' and is left out; 2 of 3 are read"),
        ([row(9, gap_std=[]), 1, 2], r"line 1 is damaged: 'gap_std' is \[\] and is left out; 2 of 3 are read"),
        (["{", 1, "{}", 2, "{"], r"line 1 is no JSON object and is left out, and so are 2 others; 2 of 5 are read"),
    ],
)
def test_a_damaged_line_is_named_and_the_others_are_read(tmp_path, lines, said):
    path = tmp_path / "metrics.jsonl"
    rows = [row(line) if isinstance(line, int) else line for line in lines]
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in rows)
    path.write_text(text, encoding="latin-1")
    with pytest.warns(UserWarning, match=rf"metrics\.jsonl: {said}$") as told:
        assert store.read_lines(path) == [row(1), row(2)]
    assert len(told) == 1 and "\n" not in str(told[0].message)


def test_an_empty_or_new_directory_can_be_claimed(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/below/it"):
        assert store.claim(tmp_path / name) == tmp_path / name
        assert (tmp_path / name).is_dir()


@pytest.mark.parametrize(
    ("file", "place", "why"),
    [
        ("run/config.json", "run", "already holds a run"),
        ("run/notes.txt", "run", "run' is not empty"),
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


@pytest.mark.parametrize("end", [RequestError("refused"), BrokenRun("broken"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("written", [[], ["config.json", "provenance.json"]])
def test_a_run_that_ended_before_anything_was_worth_keeping_leaves_nothing(tmp_path, end, written):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/below/it"):
        with pytest.raises(type(end)), store.claimed(tmp_path / name):
            for file in written:
                (tmp_path / name / file).write_text("{}")
            raise end
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]  # which was there before


@pytest.mark.parametrize("file", ["metrics.jsonl", "source/agent.json", "controls/fine_tune/metrics.jsonl"])
def test_what_is_worth_keeping_is_kept(tmp_path, file):
    with pytest.raises(BrokenRun), store.claimed(tmp_path / "run"):
        (tmp_path / "run" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / file).write_text("{}")
        raise BrokenRun("broken")
    assert (tmp_path / "run" / file).exists() and (tmp_path / "run" / "config.json").exists()
    with pytest.raises(store.Taken), store.claimed(tmp_path / "run"):  # nor is another's run touched
        raise AssertionError
    assert (tmp_path / "run" / file).exists()


def test_of_two_that_start_at_once_one_gets_the_directory(tmp_path):
    """Both see that it is vacant; what one has made is the other's no more."""
    together, got = Barrier(2), []

    def start():
        together.wait()
        try:
            got.append(store.claim(tmp_path / "run"))
        except store.Taken as error:
            got.append(str(error))

    for thread in (threads := [Thread(target=start) for _ in range(2)]):
        thread.start()
    for thread in threads:
        thread.join()
    assert tmp_path / "run" in got and "already holds a run" in "".join(map(str, got))


@pytest.mark.parametrize("name", ["x" * 300, "zero\0byte"])
def test_a_name_that_no_file_system_takes_is_one_line(tmp_path, name):
    with pytest.raises(RequestError, match="cannot be made") as caught:
        store.claim(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660)])
def test_arrays_may_be_read_by_whom_the_umask_lets(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        store.save_tree(tmp_path / "a.safetensors", {"x": jnp.zeros(3)})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == mode


def test_looking_whether_a_place_is_vacant_makes_nothing(tmp_path):
    store.vacant(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_versions_name_what_a_result_depends_on():
    assert {"jax", "mujoco", "numpy"} <= set(store.versions())


@pytest.mark.parametrize("name", ["plain", "my runs", "it's [1]"])
def test_a_command_that_a_message_names_takes_the_directory_as_one_word(tmp_path, name):
    """A shell takes it as it stands, whatever the directory is called."""
    place = tmp_path / name
    place.mkdir()
    word, asked = shlex.quote(str(place)), request_of(place, STATE)
    (place / store.STUDY).touch()
    with pytest.raises(RequestError) as study:
        store.read_json(place / "config.json")
    assert f"'transreward study report {word}'" in str(study.value)
    (place / store.STUDY).unlink()
    (place / store.ADOPTED).touch()
    with pytest.raises(RequestError) as agent:
        store.read_json(place / "config.json")
    assert shlex.split(told(agent.value).partition(" by ")[2])[:2] == ["--source-run", str(place)]
    (place / "metrics.jsonl").touch()
    assert f"('transreward report {word}')" in kept(place)
    asked.parent.mkdir(parents=True)
    asked.touch()
    assert f"'transreward resume {word}'" in kept(place)
    (place / "config.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RequestError) as early:
        patch.setattr(store, "read_json", lambda path: {})
        load(place)
    assert f"'transreward resume {word}'" in str(early.value)
