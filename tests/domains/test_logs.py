"""Logs that others recorded: what is read of them is what was written, and a wrong one is one line and nothing else."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from transreward.domains import logs
from transreward.domains.ids import domain
from transreward.domains.logs import apart, columns, hdf5, npz
from transreward.types import RequestError

# Logs whose licence is not known stay outside of the project: they are read where they lie beside it.
LOGS = Path(os.environ.get("TRANSREWARD_LOGS") or Path(__file__).parents[3] / "shared" / "data")


few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def write(path, arrays, **packing):
    """The arrays by their names, as the ending says."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, x in arrays.items():
                file.create_dataset(name, data=x, **packing)
    return path


def walk(n=6, obs=3, action=2, seed=0):
    """One episode in D4RL's words, with the true successors."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(n + 1, obs))
    return {
        "observations": states[:-1], "actions": rng.uniform(-1, 1, (n, action)), "rewards": rng.normal(size=n),
        "next_observations": states[1:], "terminals": np.zeros(n, bool),
    }  # fmt: skip


def without(arrays, *names):
    return {name: x for name, x in arrays.items() if name not in names}


# -- what is read is what was written --------------------------------------------------------------------------------

LAYOUTS = ("successors", "flags", "both", "one more", "groups", "groups with successors")


@st.composite
def recordings(draw):
    """(arrays by name, the steps that they are)."""
    layout = draw(st.sampled_from(LAYOUTS))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=1 if layout == "one more" else 12))
    obs, action = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    dtype = draw(st.sampled_from([np.float64, np.float32, ">f8"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    words = {part: draw(st.sampled_from(spelled)) for part, spelled in columns.WORDS.items()}
    shaped = {part: draw(st.booleans()) for part in words}
    episodes = []
    for n in lengths:
        states, over = rng.normal(size=(n + 1, obs)).astype(dtype), draw(st.booleans())
        last = np.arange(n) == n - 1
        episodes.append({
            "obs": states[:-1], "action": rng.uniform(-1, 1, (n, action)), "reward": rng.normal(size=n),
            "next_obs": states[1:], "terminated": last & over, "truncated": last & ~np.bool_(over),
            "states": states, "time": 0.02 * np.arange(n),
        })  # fmt: skip
    expected = {part: np.concatenate([e[part] for e in episodes]) for part in words}
    expected["episode"] = np.repeat(np.arange(len(lengths)), lengths)
    if layout == "flags":  # the last step of each episode has no successor, so that the one before it is the last
        kept = ~(expected["terminated"] | expected["truncated"])
        assume(kept.any())
        expected = {part: x[kept] for part, x in expected.items()}
        numbers = expected["episode"]
        expected["episode"] = np.unique(numbers, return_inverse=True)[1]
        expected["truncated"] = np.append(numbers[1:] != numbers[:-1], True)
        expected["terminated"] = np.zeros(len(numbers), bool)

    def named(steps, leave, more=False):
        arrays = {words[part]: steps[part] for part in words if part not in leave}
        if more:
            arrays[words["obs"]] = steps["states"]
        flat = {words[part] for part in words if shaped[part] and steps[part].ndim == 1}
        thin = {words[part] for part in words if shaped[part] and steps[part].shape[1:] == (1,)}
        arrays = {k: x[:, None] if k in flat else x[:, 0] if k in thin else x for k, x in arrays.items()}
        return dict(draw(st.permutations(list(arrays.items()))))

    together = {part: np.concatenate([e[part] for e in episodes]) for part in episodes[0]}
    leave = {
        "successors": ["truncated"], "flags": ["next_obs"], "both": [], "one more": ["next_obs", "truncated"],
        "groups": ["next_obs"], "groups with successors": ["truncated"],
    }[layout]  # fmt: skip
    if not layout.startswith("groups"):
        return named(together, leave, more=layout == "one more"), expected
    each = [named(e, leave, more=layout == "groups") for e in episodes]
    return {f"episode_{i}/{name}": x for i, arrays in enumerate(each) for name, x in arrays.items()}, expected


@few
@given(recordings(), st.sampled_from([".npz", ".hdf5"]))
def test_what_is_read_is_what_was_written(tmp_path, recording, ending):
    arrays, expected = recording
    path = write(tmp_path / f"log{ending}", arrays)
    if ending == ".hdf5":  # as its own process does, which takes a moment
        hdf5.convert(str(path), str(tmp_path / "converted.npz"))
        path = tmp_path / "converted.npz"
    log = logs.read(path)
    for part, x in expected.items():
        found = getattr(log, part)
        assert np.array_equal(found, x) and not found.flags.writeable, part
        assert found.dtype == (bool if part.endswith("ated") else np.int64 if part == "episode" else np.float64)
    assert log.rewarded and log.source == str(path)


@pytest.mark.parametrize("packing", [{}, {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": True},
                                     {"compression": "lzf"}])  # fmt: skip
def test_hdf5_is_read_apart(packing, tmp_path):
    arrays = walk() | {"infos/qpos": np.zeros((6, 9)), "metadata/algorithm": np.array(b"SAC")[None]}
    log = logs.read(write(tmp_path / "log.hdf5", arrays, **packing))
    assert np.array_equal(log.next_obs, arrays["next_observations"]) and len(log) == 6


def test_packed_npz_in_either_order(tmp_path):
    arrays = {name: np.asfortranarray(x) for name, x in walk().items()}
    np.savez_compressed(tmp_path / "log.npz", **arrays)
    log = logs.read(tmp_path / "log.npz")
    assert np.array_equal(log.obs, arrays["observations"])
    assert [np.array_equal(a, b) for a, b in zip(log.transition, (log.obs, log.action), strict=False)] == [True, True]


def test_copies_are_kept():
    arrays = walk()
    log = logs.from_arrays(arrays)
    arrays["observations"][:] = 0
    assert log.obs.any()
    with pytest.raises(ValueError, match="read-only"):
        log.obs[0] = 0
    with pytest.raises(AttributeError):
        log.obs = arrays["observations"]  # type: ignore[misc]
    assert repr(log) == "Log('of arrays': 6 steps in 1 episodes, 3 observations, 2 actions)"


def test_rewards_need_not_be_recorded():
    log = logs.from_arrays(without(walk(), "rewards"))
    assert not log.rewarded and not log.reward.any()


def test_the_next_episodes_first_observation_is_no_successor():
    """A vector environment that resets by itself shows it, and so do successors taken from the next row."""
    states = np.arange(7.0)[:, None]
    arrays = {"obs": states[:-1], "next_obs": states[1:], "action": np.zeros(6), "timeouts": [0, 0, 1, 0, 0, 1]}
    log = logs.from_arrays(arrays)
    assert log.obs[:, 0].tolist() == [0, 1, 4, 5] and log.dropped == 2
    assert log.episode.tolist() == [0, 0, 1, 1] and log.truncated.tolist() == [False, True] * 2


def test_rounding_begins_no_episode():
    arrays = walk(50)
    arrays["observations"] = arrays["observations"].astype(np.float32)
    assert logs.from_arrays(arrays).episode.max() == 0
    arrays["next_observations"] = arrays["next_observations"] + 1e-4
    assert logs.from_arrays(arrays).episode.tolist() == list(range(50))


@pytest.mark.skipif(not LOGS.exists(), reason="there are no logs of others beside the project")
@pytest.mark.parametrize(
    ("name", "episodes", "terminated"),
    [
        ("halfcheetah_gravity_0.5_medium", [1000] * 5, 0), ("halfcheetah_kinematic_medium", [1000] * 5, 0),
        ("hopper_gravity_0.5_medium", [660, 815, 667, 633, 670, 642, 505, 408], 7),
        ("hopper_morph_medium", [652, 668, 643, 655, 647, 646, 653, 436], 7),
    ],
)  # fmt: skip
def test_logs_of_others(name, episodes, terminated):
    log = logs.read(LOGS / f"{name}.hdf5")
    logs.require_fit(log, domain(name.partition("_")[0]))
    assert np.bincount(log.episode).tolist() == episodes
    assert log.terminated.sum() == terminated and log.truncated.sum() == len(episodes) - terminated
    assert not log.dropped and log.rewarded


# -- whether it is of the robot --------------------------------------------------------------------------------------


def test_a_log_that_fits():
    logs.require_fit(logs.from_arrays(walk(obs=11, action=3)), domain("hopper:gravity=0.5"))
    edge = walk(obs=11, action=3)
    edge["actions"] = np.full((6, 3), 1 + 1e-7)
    logs.require_fit(logs.from_arrays(edge), domain("hopper"))


@pytest.mark.parametrize(
    ("sizes", "scale", "said"),
    [
        ((17, 6), 1, r"log of arrays has 17 observations and 6 actions a step, and 'hopper' has 11 \(rootz position, "
                     r".* 3 more\) and 3: .*robots that fit it: walker2d, halfcheetah$"),
        ((4, 3), 1, "robots that fit it: none of the table"),
        ((11, 3), 3, r"its action 'thigh_joint' goes from -?[\d.]+ to 3, and 'hopper' takes -1 to 1 \(\d of 6 steps"),
    ],
)  # fmt: skip
def test_a_log_that_does_not_fit(sizes, scale, said):
    arrays = walk(6, *sizes)
    arrays["actions"] *= 0.4 * scale
    arrays["actions"][3, 0] = scale
    with pytest.raises(RequestError, match=said) as caught:
        logs.require_fit(logs.from_arrays(arrays), domain("hopper"))
    assert "\n" not in str(caught.value)


# -- what is refused -------------------------------------------------------------------------------------------------


def with_one(name, at, value):
    arrays = walk()
    arrays[name] = np.array(arrays[name], float)
    arrays[name][at] = value
    return arrays


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"states": np.zeros((3, 2)), "acts": np.zeros((3, 1))},
         r"found states, acts; wanted observations \(or observation, obs\) and actions \(or action\)$"),
        ({"obs": np.zeros((3, 2)), "acts": np.zeros((3, 1))}, r"found obs, acts; wanted actions \(or action\)$"),
        ({}, "found nothing; wanted"),
        (walk() | {"actions": [[1.0], [1.0, 2.0]]}, "actions must be one array without gaps, not a list"),
        (walk() | {"rewards": np.ma.masked_less(np.arange(6), 2)}, "rewards must be one array without gaps, not a M"),
        ({f"x{i}": np.zeros(1) for i in range(30)}, "x7 and 22 more; wanted"),
        ({"\x1b[2J\n": np.zeros(1)}, r"found \\x1b\[2J\\n; wanted"),
        (walk() | {"obs": np.zeros((6, 3))}, "observations, obs are the same by two names"),
        (without(walk(), "next_observations"), "it has neither next_observations nor timeouts, .* add timeouts, 1 in"),
        (with_one("observations", (3, 1), np.nan), r"observations\[3, 1\] is nan: leave"),
        (with_one("rewards", 5, -np.inf), r"rewards\[5\] is -inf: leave"),
        (with_one("actions", slice(2, 5), 1e39), r"actions\[2, 0\] is 1e\+39, and 5 more"),
        (with_one("terminals", 2, 0.5), "terminals must be true or false, or 0 or 1, not 0.5"),
        (walk() | {"actions": np.zeros((5, 2))}, "observations has 6 rows, actions has 5 rows, .* as there are steps"),
        (walk() | {"observations": np.zeros((7, 3))}, "observations has 7 rows"),
        (walk() | {"rewards": np.zeros((6, 2))}, r"rewards has the shape \[6, 2\], where \[steps\] is wanted"),
        (walk() | {"observations": np.zeros((6, 3, 8, 8))}, r"the shape \[6, 3, 8, 8\], where \[steps, entries\]"),
        (walk() | {"next_observations": np.zeros((6, 4))}, r"observations \[6, 3\] and next_observations \[6, 4\] "),
        (walk() | {"actions": np.zeros((6, 0))}, "actions has no columns"),
        (walk() | {"actions": np.array(["left"] * 6)}, "actions holds 'str128', where numbers are wanted"),
        (walk() | {"actions": np.zeros((6, 2), complex)}, "actions holds 'complex128'"),
        (walk(0), "actions is empty: there are no steps"),
        ({"obs": [[1.0]], "action": [[0.0]], "timeouts": [1]}, "no step is left, for none of its 1 has a successor"),
        ({"a/obs": np.zeros((3, 2)), "a/action": np.zeros(2), "b/obs": np.zeros((3, 2))}, "a has actions, and b has"),
        ({"a/obs": np.zeros((3, 2)), "a/action": np.zeros(2), "obs": np.zeros((3, 2))}, "actions, and the file has"),
        ({"a/obs": np.zeros((3, 2)), "a/action": np.zeros(2), "b/obs": np.zeros((3, 1)), "b/action": np.zeros(2)},
         "its episodes differ: one has 1 observations and 1 actions a step, another 2 and 1"),
    ],
    ids=range(26),
)  # fmt: skip
def test_arrays_that_are_no_steps(arrays, said):
    with pytest.raises(RequestError, match=f"^log of arrays: .*{said}") as caught:
        logs.from_arrays(arrays)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"obs": np.zeros(6)}, "obs must be"), ({"action": np.zeros((5, 2))}, "action must be numbers of shape"),
        ({"reward": np.full(6, np.nan)}, r"reward\[0\] is nan"), ({"terminated": np.full(6, 2)}, "true or false"),
    ],
)  # fmt: skip
def test_a_record_is_checked(change, said):
    sound = logs.from_arrays(walk()).transition._asdict()
    with pytest.raises(RequestError, match=said):
        logs.Log(**(sound | change), source="here")


def refused(path, said):
    with pytest.raises(RequestError) as caught:
        logs.read(path)
    assert str(caught.value).startswith(f"log {path}: ") and said in str(caught.value), caught.value
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


NPY = io.BytesIO()
np.save(NPY, np.zeros(3))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty; write the steps as HDF5"), (NPY.getvalue(), "a single NumPy array"),
        (pickle.dumps([1]), "a pickle, which is not opened"), (b"PAR1\0\0", "it is damaged"),
        (b'{"obs": [1]}', "JSON"), (b"obs,action\n0,1\n", "it is text"), (b"\x00\x01\x02", "of an unknown kind"),
        (b"\x1f\x8b\x08\0", "gzip"), (b"PK\x03\x04 and no more", "it is damaged"),
        (b"\x89HDF\r\n\x1a\n and no more", "it is damaged"),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_log_is_said_to_be_what_it_is(content, said, tmp_path):
    (tmp_path / "log.hdf5").write_bytes(content)
    refused(tmp_path / "log.hdf5", said)


def test_what_is_no_file(tmp_path):
    refused(tmp_path / "log.npz", "there is no such file")
    refused(tmp_path, "it is a folder, and neither LeRobot's nor Minari's")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "it is no file")


def test_hdf5_needs_its_package(tmp_path, monkeypatch):
    path = write(tmp_path / "log.hdf5", walk())
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    refused(path, "the package h5py is missing: pip install 'transreward[logs]'")
    assert len(logs.read(write(tmp_path / "log.npz", walk()))) == 6


class Bomb:
    def __reduce__(self):
        return os.abort, ()


def member(path, name, content, method=zipfile.ZIP_STORED):
    """An npz file with one array replaced by these bytes."""
    write(path, without(walk(), name))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", content, method)
    return path


def header(said, version=1):
    text = f"{said}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text


F8 = "'descr': '<f8', 'fortran_order': False, 'shape'"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header(f"{{{F8}: (1000000000, 3)}}"), "is damaged: its shape is said to be [1000000000, 3]"),
        (header(f"{{{F8}: (-6, 3)}}"), "is damaged: its shape is said to be [-6, 3]"),
        (header(f"{{{F8}: (6, 3)}}"), "is damaged: its shape is said to be [6, 3]"),
        (header(f"{{{F8}: (6, 3)}}", version=2), "is of a later version of the format"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (6,)}"), "holds objects, references or texts"),
        (header("{'descr': [('a', '<f4', (2,))], 'fortran_order': False, 'shape': (6,)}"), "holds 'void64'"),
        (header("{" + " " * 2_000 + "}"), "it is damaged: Header info length"), (header("(" * 900), "it is damaged"),
        (header("__import__('os').abort()"), "it is damaged"), (b"nothing at all", "it is damaged: the magic string"),
    ],
    ids=range(10),
)  # fmt: skip
def test_headers_of_arrays_that_lie(content, said, tmp_path):
    refused(member(tmp_path / "log.npz", "observations", content), said)


def test_an_archive_is_not_unpacked_blindly(tmp_path):
    """A member that would fill the memory is refused by what the archive says of it, or by what it holds."""
    path, shape = tmp_path / "log.npz", (2**26, 3)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("actions.npy", NPY.getvalue())
        with archive.open("observations.npy", "w", force_zip64=True) as file:
            said = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, said)
            for _ in range(3 * 64):
                file.write(bytes(2**20))
    refused(path, "201,326,595 numbers, and at most 134,217,728 are read")
    write(path, walk())
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x05\x06")
    content[at + 12 : at + 16] = (100 * 2**20).to_bytes(4, "little")  # bytes of its list of members
    path.write_bytes(content)
    refused(path, "it is damaged")
    with pytest.raises(RequestError, match="too long"), npz.Sparing(io.FileIO(path)) as file:
        file.read(100 * 2**20)


def test_other_archives(tmp_path):
    path = tmp_path / "log.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.jpg", b"0")
    refused(path, "it is a zip archive without arrays")
    refused(member(path, "observations", NPY.getvalue(), zipfile.ZIP_LZMA), "observations is encrypted, or not packed")
    np.savez(path, **walk() | {"observations": np.array([Bomb()] * 6)})
    refused(path, "observations holds objects")
    np.savez(path, **walk() | {"notes": np.array([Bomb()])})
    assert len(logs.read(path)) == 6  # what is not asked for is not opened


def linked(file, place):
    write(place / "other.hdf5", walk())
    file["observations"] = h5py.ExternalLink("other.hdf5", "observations")


def virtual(file, place):
    write(place / "other.hdf5", walk())
    layout = h5py.VirtualLayout((6, 3), float)
    layout[:] = h5py.VirtualSource(place / "other.hdf5", "observations", (6, 3))
    file.create_virtual_dataset("observations", layout)


def outside(file, place):
    file.create_dataset("observations", (6, 3), float, external=[(place / "raw", 0, 144)])


def soft(file, place):
    file["observations"] = h5py.SoftLink("/actions")


def plugin(file, place):
    """Packed by a filter that is not there; its number stands where HDF5's own has stood."""
    file.create_dataset("observations", data=np.zeros((6, 3)), chunks=(6, 3), scaleoffset=0, dtype="i4")


def twice(file, place):
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((6, 3))
    made.set_deflate(1)
    made.set_deflate(1)
    space = h5py.h5s.create_simple((6, 3))
    h5py.h5d.create(file.id, b"observations", h5py.h5t.NATIVE_DOUBLE, space, made)


def texts(file, place):
    file.create_dataset("observations", data=["a"] * 6)


def references(file, place):
    file.create_dataset("observations", (6,), h5py.ref_dtype)


def ragged(file, place):
    file.create_dataset("observations", (6,), h5py.vlen_dtype(float))


def group(file, place):
    file.create_dataset("observations/joints", data=np.zeros((6, 3)))


def nothing(file, place):
    file["observations"] = h5py.Empty(float)


def vast(file, place):
    file.create_dataset("observations", (2**26, 3), float, chunks=(6, 3))


def unwritten(file, place):
    file.create_dataset("observations", (2**24, 3), float, chunks=(6, 3))


STRANGE = {
    linked: "observations is a link to elsewhere", virtual: "observations has its numbers in other files",
    outside: "observations has its numbers in other files", soft: "observations is a link to elsewhere",
    plugin: "observations is packed by filter 6", twice: "observations is packed by filter 1",
    texts: "observations holds objects, references or texts", references: "observations holds objects",
    ragged: "observations holds objects", group: "observations is no array", nothing: "observations is no array",
    vast: "it says that it holds 201,326,", unwritten: "bytes cannot: it is damaged",
}  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE, ids=lambda f: f.__name__)
def test_hdf5_that_leads_out_or_runs_something(strange, tmp_path):
    path = write(tmp_path / "log.hdf5", without(walk(), "observations"))
    with h5py.File(path, "a") as file:
        strange(file, tmp_path)
    if strange is linked:
        refused(path, STRANGE[strange])
    with pytest.raises(RequestError, match=STRANGE[strange]):  # as its own process does, which takes a moment
        hdf5.convert(str(path), str(tmp_path / "converted.npz"))


def test_a_library_that_crashes_ends_itself_alone(tmp_path, monkeypatch):
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    path = write(tmp_path / "log.hdf5", walk())
    monkeypatch.setattr(apart.sys, "executable", str(crash))
    refused(path, "it is damaged: its reader was ended by SIGSEGV")


# -- any file, any arrays --------------------------------------------------------------------------------------------


def read_or_refused(read, *given):
    """A log that keeps its promises, or one line."""
    try:
        log = read(*given)
    except RequestError as error:
        assert str(error).startswith("log ") and "\n" not in str(error) and str(error).isprintable()
        return
    assert len(log) and all(np.isfinite(x).all() for x in log.transition)
    ended = log.terminated | log.truncated
    assert ended[-1] and np.array_equal(ended[:-1], np.diff(log.episode) == 1)
    within = ~ended[:-1]
    assert np.allclose(log.next_obs[:-1][within], log.obs[1:][within], rtol=0, atol=1e-6 * np.abs(log.obs).max())


def any_array(n):
    dtypes = st.sampled_from(["f8", "f4", "i8", "u1", "?", ">f8", "c16", "U2", "O"])
    shapes = st.sampled_from([(n,), (n, 1), (n, 2), (n + 1, 2), (n, 2, 1), (0,), (), (n, 0)])
    return st.builds(lambda d, s, x: np.full(s, x).astype(d), dtypes, shapes, st.integers(0, 2))


@few
@given(st.dictionaries(st.sampled_from(["", "a/", "a1/"]).flatmap(lambda g: st.sampled_from(list(columns.PART)).map(
    lambda word: g + word)), any_array(3), max_size=8), any_array(3), any_array(3))  # fmt: skip
def test_any_arrays_are_read_or_refused(arrays, obs, action):
    read_or_refused(logs.from_arrays, arrays)
    read_or_refused(logs.from_arrays, {"obs": obs, "action": action, **arrays})


@few
@given(st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x80", b"\x93NUMPY"]), st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path, start, content):
    (tmp_path / "log.npz").write_bytes(start + content)
    read_or_refused(logs.read, tmp_path / "log.npz")


@pytest.mark.parametrize(("ending", "times"), [(".npz", 200), (".hdf5", 4)])
def test_a_damaged_file_is_read_or_refused(ending, times, tmp_path):
    path, chance = write(tmp_path / f"log{ending}", walk(20)), random.Random(ending)
    sound = path.read_bytes()
    for _ in range(times):
        content = bytearray(sound)
        for _ in range(chance.choice((1, 2, 8))):
            at = chance.randrange(len(content))
            content[at : at + 8] = chance.choice((b"", bytes(8), b"\xff" * 8, content[at + 1 : at + 9], b"\x80"))
        path.write_bytes(content)
        read_or_refused(logs.read, path)
