"""Files that a stranger wrote: they crash nothing and run nothing, and each is refused in one line."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import transreward as tr
from transreward import plain
from transreward.cli.play import _size
from transreward.domains.ids import domain
from transreward.domains.users import import_modules
from transreward.engine import checkpoint
from transreward.reports.page import page
from transreward.request.files import read_config
from transreward.request.settings import typed
from transreward.runs import record, store
from transreward.runs.source_agent import SourceAgent
from transreward.streams.log import HEAD, StepLog, _checksum
from transreward.study import folder
from transreward.study.jobs import Job
from transreward.study.show import so_far
from transreward.transfer import asked_in
from transreward.types import RequestError

pytestmark = pytest.mark.usefixtures("hurry")
RUNS = Path(__file__).parents[1] / "data" / "runs" / str(store.SCHEMA)
few = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

plainly = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text("abc_.", max_size=4), inside, max_size=4),
    max_leaves=20,
)  # fmt: skip


@few
@given(plainly)
def test_what_is_plain_is_read_as_it_was_written(value):
    assert plain.parsed(json.dumps(value)) == value


@few
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content):
    for read in (plain.parsed, lambda x: plain.parsed_yaml(x.decode(errors="replace"))):
        with suppress(ValueError):
            plain.require_plain(read(content))


STRANGE = {
    "deep": b"[" * 100_000, "deeper than is read": b"[" * 40 + b"]" * 40, "huge": b"9" * 100_000, "wide": b"1e400",
    "no number": b"[NaN]", "endless": b"[-Infinity]", "64 bits": b"9223372036854775808", "surrogate": b'"\\ud800"',
    "zero byte": b'"a\\u0000b"', "terminal": b'"\\u001b[2J"', "raw": b'"\xed\xa0\x80"',
    "many": b"[" + b"0," * 10**6 + b"0]",
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_json_that_would_do_harm_is_refused(name, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(STRANGE[name])
    with pytest.raises(RequestError, match="is not JSON") as caught:
        store.read_json(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


DOUBLING = "\n".join(["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{y{i}: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 40))])
MERGING = "\n".join(
    ["a0: &a0 {x: 1, y: 2}", *(f"a{i}: &a{i} {{<<: [{', '.join(2 * [f'*a{i - 1}'])}], z{i}: 1}}" for i in range(1, 40))]
)


@pytest.mark.parametrize(
    "text",
    [
        DOUBLING, MERGING, "a: &a [*a]", "[" * 5_000, "a: 0x" + "f" * 6_000, "a: .inf", "a: 2026-01-01",
        "!!python/object/apply:os.abort []", "a: !!binary aGk=", "? [a, b]\n: 1", "a: !!set {b}", "? {a: 1}\n: 1",
    ],
    ids=range(12),
)  # fmt: skip
def test_yaml_that_would_do_harm_is_refused(text, tmp_path):
    path = tmp_path / "request.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match="does not parse") as caught:
        read_config(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(RequestError, match="it is no file"):
        store.read_json(tmp_path / "config.json")
    with pytest.raises(RequestError, match="it is no file"):
        store.load_arrays(tmp_path / "config.json")
    os.mkfifo(tmp_path / "request.yaml")
    with pytest.raises(RequestError, match="it is no file"):
        read_config(tmp_path / "request.yaml")


def test_a_file_is_not_read_that_is_larger_than_any_of_ours(tmp_path):
    for name in ("config.json", "metrics.jsonl"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(2 * 2**30)  # of which the disk holds nothing
    with pytest.raises(RequestError, match="2,147,483,648 bytes, and at most"):
        store.read_json(tmp_path / "config.json")
    with pytest.raises(RequestError, match="2,147,483,648 bytes, and at most"):
        store.read_lines(tmp_path / "metrics.jsonl")


def header(about):
    text = json.dumps(about).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 10**15), struct.pack("<Q", 2**64 - 1) + b"{}", b"", b"\0" * 7,
        header({"x": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4 * 10**15]}}),
        header({"x": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}}),
        header({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}) + b"0000",
        header({"x": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}) + b"00",
    ],
    ids=range(8),
)  # fmt: skip
def test_arrays_that_are_not_there_are_not_made_room_for(content, tmp_path):
    path = tmp_path / "policy.safetensors"
    path.write_bytes(content)
    for read in (store.load_arrays, lambda p: store.load_tree(p, {"x": np.zeros(1, np.float32)})):
        with pytest.raises(RequestError, match=r"is damaged|was written with") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_arrays_are_of_the_kind_that_is_wanted(tmp_path):
    store.save_tree(tmp_path / "a.safetensors", {"x": np.zeros(3, np.float32)})
    with pytest.raises(RequestError, match="was written with another"):
        store.load_tree(tmp_path / "a.safetensors", {"x": np.zeros(3, np.int32)})
    with pytest.raises(RequestError, match="at most 8 are read"):
        store.load_arrays(tmp_path / "a.safetensors", 8)


CONFIGS = {
    "'shift.entries' is": {"shift.entries": [[1, 0.5, 2]]},
    "'shift.entries' is .*-13": {"shift.entries": [[-13, 0.5]]},
    "'seeds' is 1000000000000": {"seeds": 10**12}, "'seeds' is True": {"seeds": True}, "'seed' is -1": {"seed": -1},
    "'spaces.obs' is 10000000000": {"spaces.obs": 10**10}, "'spaces.low' is": {"spaces.low": ["a"]},
    "spaces are damaged": {"spaces.low": [-1.0, -1.0]}, "'learner.name' is": {"learner.name": ["sac"]},
    "settings of learner 'ppo'": {"learner.hidden": "x"},
    "'imports' is": {"imports": [1]}, "cannot import os": {"imports": ["os"]},
    "there is no module ../../x|cannot import": {"imports": ["../../x"]}, "'versions' is": {"versions": {"jax": {}}},
    "unknown setting": {"learner.__class__": 1}, "'loop.eval_target' is 'mix'": {"loop.eval_target": "mix"},
}  # fmt: skip


@pytest.mark.parametrize("said", CONFIGS)
def test_a_config_of_a_stranger_is_refused(said, tmp_path):
    place = Path(shutil.copytree(RUNS / "transfer-ppo", tmp_path / "run"))
    config = json.loads((place / "config.json").read_text())
    for path, value in CONFIGS[said].items():
        *section, key = path.split(".")
        (config[section[0]] if section else config)[key] = value
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(RequestError, match=said) as caught:
        tr.load(place)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("steps", [[], [1, 2, 3, 4], [1, -1], 5])
def test_steps_of_evaluations_are_two_numbers(steps, tmp_path):
    place = Path(shutil.copytree(RUNS / "transfer-sac", tmp_path / "run"))
    file = place / "source" / "agent.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"evaluation_steps": steps}))
    with pytest.raises(RequestError, match=r"agent\.json is damaged: 'evaluation_steps' is"):
        SourceAgent.about(place)


def test_a_page_does_without_a_setting_of_the_loop(tmp_path):
    place = Path(shutil.copytree(RUNS / "transfer-sac", tmp_path / "run"))
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"loop": {}}))
    assert "</html>" in page(record.read(place))


def test_pythons_own_modules_are_not_called(tmp_path):
    for ask in (domain, lambda id: import_modules([id.partition(":")[0]])):
        with pytest.raises(RequestError, match="Python's own"):
            ask("antigravity:fly")
    assert "antigravity" not in sys.modules


def test_a_directory_within_itself_is_read_once(tmp_path):
    place = Path(shutil.copytree(RUNS / "transfer-ppo", tmp_path / "run"))
    (place / "controls").mkdir()
    (place / "controls" / "again").symlink_to("..")
    (place / "partner").symlink_to(".")
    found = tr.load(place)
    assert list(found.controls) == ["again"] and not found.controls["again"].controls and found.partner is not None


def test_what_is_written_to_does_not_lead_out(tmp_path):
    place, other = Path(shutil.copytree(RUNS / "checkpoint", tmp_path / "run")), tmp_path / "mine"
    other.write_text("kept")
    (place / "metrics.jsonl").unlink()
    (place / "metrics.jsonl").symlink_to(other)
    with pytest.raises(RequestError, match=r"metrics\.jsonl leads out of the run directory"):
        tr.resume(place)
    assert other.read_text() == "kept"


def test_rows_stand_in_the_directory(tmp_path):
    """The name of their file is made of a number, not of what a file says."""
    rows = checkpoint.Rows(tmp_path / "stage", "0-source")
    with pytest.raises(ValueError, match="invalid literal"):
        rows.read({"generation": "/../../mine", "first": 0, "sha256": ""}, None, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["9" * 2_000, "1e400", "nan", "\ud800", "\0", "0x" + "f" * 6_000, "9" * 6_000])
def test_a_setting_is_a_number_or_refused(text):
    for kind in (float, tuple[int, ...], tuple[float, ...]):
        with pytest.raises(RequestError, match=r"use\.x must be"):
            typed("use.x", text, kind)


def test_a_checkpoint_is_a_number_that_was_written(tmp_path):
    for name in ("²", "٣", "03", "-1", "9" * 200, "x"):
        (tmp_path / f"{name}.json").write_text("{}")
    for name in ("2", "10"):
        (tmp_path / f"{name}.json").write_text("{}")
    assert checkpoint.Checkpoints(tmp_path)._numbers() == [2, 10]


STATE = {
    "index": 1, "rounds": 1, "updates": 0, "refitted": 0, "stopped": None, "learned": True, "spent": {}, "stored": {},
    "log": [], "rows": {}, "streams": {}, "metrics": [], "seconds": 1.5,
}  # fmt: skip


@pytest.mark.parametrize(
    "states",
    [
        None, {}, [1], [{}], [STATE | {"index": "a"}], [STATE | {"index": -1}], [STATE | {"spent": {"target": 0.5}}],
        [STATE | {"learned": 1}], [STATE | {"log": [1]}], [STATE | {"log": [{"seed": 1}]}], [STATE | {"rows": [1]}],
    ],
    ids=range(11),
)  # fmt: skip
def test_a_state_is_of_the_kinds_that_are_written(states):
    checkpoint.require_states([STATE, STATE])
    with pytest.raises(ValueError, match=r"it holds no states|it has no '|its 'log' does"):
        checkpoint.require_states(states)


def test_arrays_of_a_state_are_like_those_of_the_run():
    like = {"clock": np.zeros((1, 2), np.int64)}
    for found in ({"['clock']": np.zeros((1, 2))}, {"['clock']": np.zeros(2, np.int64)}, {}):
        with pytest.raises(ValueError, match=r"\['clock'\] is .*, and should be i of shape \(1, 2\)"):
            checkpoint.tree_of({"['other']": np.zeros(1), **found}, "", {**like, "other": np.zeros(1)})


def record_of(kind, place, payload):
    return HEAD.pack(kind, place, len(payload), _checksum(kind, place, payload)) + payload


@pytest.mark.parametrize(
    "content",
    [
        record_of(b"b", 0, b"\xff" * 8), record_of(b"b", 0, b"\1" * 100), record_of(b"s", 2**64 - 1, b"1234"),
        record_of(b"n", 2**63, b""), record_of(b"?", 0, b""), bytes(100), HEAD.pack(b"s", 0, 2**32 - 1, 0),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_log_that_would_do_harm_is_cut_where_it_does(content, tmp_path):
    path, sound = tmp_path / "a.log", record_of(b"s", 0, b"1234")
    path.write_bytes(sound + content)
    with pytest.warns(UserWarning, match="damaged after control step 1: the rest is lost"):
        log = StepLog(path)
    log.close()
    assert log.steps == {0: b"1234"} and path.read_bytes() == sound + record_of(b"n", 1, b"")


def test_a_record_that_says_more_than_there_is_does_not_make_the_file_longer(tmp_path):
    path, sound = tmp_path / "a.log", record_of(b"s", 0, b"1234")
    path.write_bytes(sound + HEAD.pack(b"s", 1, 10**6, _checksum(b"s", 1, b"")))  # which is right of what is there
    StepLog(path).close()
    assert path.read_bytes() == sound + record_of(b"n", 1, b"")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learner", [1]), ("learner", None), ("seeds", 10**12), ("seeds", "2"), ("cotrain", 1), ("source_run", [1]),
        ("compared", "mix"), ("target_steps", -1), ("controls", ["no\nsuch"]), ("settings", {"use.x": {}}),
    ],
)  # fmt: skip
def test_a_request_of_a_stranger_is_resumed_or_refused(key, value, tmp_path):
    place = Path(shutil.copytree(RUNS / "checkpoint", tmp_path / "run"))
    file = place / "state" / "request.json"
    request = json.loads(file.read_text()) | {key: value}
    file.write_text(json.dumps({k: v for k, v in request.items() if v is not None}))
    with pytest.raises(RequestError) as caught:
        asked_in(file, store.read_json(file))
    assert "\n" not in str(caught.value)


def test_an_error_is_one_line_whatever_it_quotes():
    assert str(RequestError("there is no 'a\nb\r\u2028c'")) == "there is no 'a b  c'"


@pytest.mark.parametrize("text", ["²x²", "3x", "x", "1e3x240", "9" * 5_000 + "x1", "320x240\n"])
def test_a_size_is_two_numbers(text):
    with pytest.raises(RequestError, match="write WIDTHxHEIGHT"):
        _size(text)
    assert _size("320X240") == {"width": 320, "height": 240}


def test_a_page_takes_films_of_the_run_alone(tmp_path):
    place, other = Path(shutil.copytree(RUNS / "transfer-sac", tmp_path / "run")), tmp_path / "secret"
    other.write_text("of somebody else")
    films = place / "videos"
    films.mkdir()
    (films / "after.mp4").write_bytes(b"film")
    (films / "before.mp4").symlink_to(other)
    os.mkfifo(films / "more.mp4")
    assert [path.name for path in record.read(place)[0].videos] == ["after.mp4"]


JOB = {"source": "hopper", "target": "hopper:gravity=2", "method": "mix", "settings": {"loop.threads": 1}}


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": None}, {"settings": [1]}, {"imports": [1]}, {"imports": 5}, {"seeds": {}}, {"learner": []},
        {"source_run": 1}, {"source_steps": "1"}, {"method": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_study_of_a_stranger_is_refused(changed, tmp_path):
    def entry(**more):
        request = {key: value for key, value in (JOB | changed).items() if value is not None}
        return {"pair": "a", "method": "mix", "directory": "runs/a", "request": request, **more}

    places = [entry(request=JOB, directory=place) for place in ("../mine", "runs/" + "a" * 300)]
    for wrong in (entry(), entry(request=JOB, agent=["x"]), *places):
        (tmp_path / "study.json").write_text(json.dumps({"jobs": [wrong]}))
        with pytest.raises(RequestError, match=r"study\.json is damaged"):
            folder.read(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"jobs": [entry(request=JOB)]}))
    assert folder.read(tmp_path)[0][0].command()[:3] == ["transfer", "hopper", "hopper:gravity=2"]


def test_what_a_job_left_is_shown_by_its_end_and_without_harm(tmp_path):
    job = Job("a", "mix", JOB, tmp_path / "runs" / "a")
    job.place.mkdir(parents=True)
    job.log.parent.mkdir()
    for content, said in (
        ("a\nno \x1b[2J\nexit 2\n", "no \\u001b[2J"),
        ("x" * 10**6 + "\nno\nexit 2", "no"),
        ("transreward: no\nexit 1", "no"),
    ):
        job.log.write_text(content)
        assert job.failure == said
    for content in ("[" * 10_000, "1", '{"target_steps": "\x1b", "source_steps": 1}', ""):
        (job.place / "metrics.jsonl").write_text(content)
        assert so_far(job) == ""
    for path in (job.log, job.place / "metrics.jsonl"):
        path.unlink()
        os.mkfifo(path)
    assert job.failure == "" and so_far(job) == ""


# -- any file of a run, a few changes away ----------------------------------------------------------------------------


def read_all(place):
    """As the commands do. It may warn, and it may refuse."""
    run = tr.load(place)
    record.in_order(record.read(place), place)
    if (place / "source").exists():
        about = SourceAgent.about(place)
        SourceAgent.load(place, domain("inverted_pendulum"), run.learner, about["seeds"])


FILES = [
    path.relative_to(RUNS) for run in ("transfer-sac", "compare", "unfinished")
    for path in sorted((RUNS / run).iterdir()) if path.is_file()
] + [Path("transfer-sac/source/agent.json"), Path("transfer-sac/source/replay.safetensors")]  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_damaged_file_of_a_run_is_read_or_refused_in_one_line(file, tmp_path):
    place, chance = Path(shutil.copytree(RUNS / file.parts[0], tmp_path / "run")), random.Random(str(file))
    path = place / Path(*file.parts[1:])
    sound = path.read_bytes()
    for _ in range(3):
        content, at = bytearray(sound), chance.randrange(len(sound))
        content[at : at + chance.choice((1, 1, 30))] = chance.choice((b"", b"-1", b"null", b"[]", b"1e400", bytes([0])))
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read_all(place)
            except RequestError as error:
                assert "\n" not in str(error)
