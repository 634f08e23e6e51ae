"""A run directory is read as far as it goes, and one that cannot be read says why in one line."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict

import jax
import numpy as np
import pytest

import transreward as tr
from transreward.reports.page import write_report
from transreward.runs import record, store
from transreward.runs.result import Result
from transreward.types import Pair, RequestError, Spaces

pytestmark = pytest.mark.usefixtures("hurry")
SEEDS = range(3, 5)


def evaluation(seed, steps):
    """A row of metrics.jsonl."""
    row = {"method": "fine_tune", "phase": "transfer", "step": 600 + steps, "seed": seed, "round": steps // 10}
    row |= {"source_steps": 600, "target_steps": steps, "source_return": 5.0, "target_return": seed - 1.0 / steps}
    return {**row, "seconds": 0.5}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory, and the result that it was written from; nothing was learned."""
    spaces, learner = Spaces(3, 1, -2 * np.ones(1), 2 * np.ones(1)), tr.learner("sac", hidden=(4,))
    agents = jax.vmap(lambda key: learner.init(key, spaces))(jax.random.split(jax.random.key(0), 2))
    config = {
        "schema": 1, "versions": store.versions(), "source": "gym:Pendulum-v1", "target": "own:pendulum",
        "method": "fine_tune", "controls": [], "source_steps": 600, "target_steps": 120, "seeds": 2, "seed": 3,
        "source_run": None, "learner": {"name": "sac", **asdict(learner)}, "loop": {"aligned": 0.95},
        "spaces": {"obs": 3, "action": 1, "low": [-2.0], "high": [2.0]},
    }  # fmt: skip
    returns = Pair(np.full((2, 2), 5.0), np.full((2, 2), 4.0))
    log = [evaluation(seed, steps) for steps in (50, 100) for seed in SEEDS]
    result = Result(config, learner, agents, returns, np.zeros((2, 2)), Pair(600, 120), "budget", 1.0, log=log)
    result.save(place := tmp_path_factory.mktemp("runs") / "run")
    return place, result


@pytest.fixture
def copy(run, tmp_path):
    """The directory again, to be damaged."""
    return shutil.copytree(run[0], tmp_path / "copy")


def keys(**changes):
    """A change of a file's JSON object; None takes a key out."""
    out = [key for key, value in changes.items() if value is None]
    return lambda text: json.dumps({k: v for k, v in {**json.loads(text), **changes}.items() if k not in out})


def learner(**changes):
    def change(text):
        config = json.loads(text)
        return json.dumps({**config, "learner": {**config["learner"], **changes}})

    return change


DAMAGED = {
    "newer": ("config.json", keys(schema=2), "has schema 2, and this version of transreward reads 1"),
    "newer result": ("result.json", keys(schema="2.0"), "result.json has schema '2.0'"),
    "setting": ("config.json", learner(new=1), "unknown setting of learner 'sac' 'new'"),
    "learner": ("config.json", learner(name="sag"), "unknown learner 'sag': did you mean sac"),
    "wrong setting": ("config.json", learner(hidden="wide"), "cannot be read"),
    "list": ("config.json", lambda text: "[]", "must hold a JSON object, not a list"),
    "number": ("result.json", lambda text: "7", "must hold a JSON object, not a int"),
    "cut": ("config.json", lambda text: text[: len(text) // 2], "config.json is not JSON"),
    "empty": ("result.json", lambda text: "", "result.json is not JSON"),
    "no learner": ("config.json", keys(learner=None), "its config.json has no 'learner'"),
    "list of settings": ("config.json", keys(learner=[]), r"config.json is damaged: 'learner' is \[\]"),
    "no sizes": ("config.json", keys(spaces={"obs": 3}), "its config.json has no 'spaces.action'"),
    "odd sizes": (
        "config.json",
        keys(spaces={"obs": "3", "action": 1, "low": [0], "high": [1]}),
        "'spaces.obs' is '3'",
    ),
    "other sizes": ("config.json", keys(spaces={"obs": 4, "action": 1, "low": [0], "high": [1]}), "another robot"),
    "no steps": ("result.json", keys(target_steps=None), "its result.json has no 'target_steps'"),
    "returns of nobody": ("result.json", keys(target_return={}), "its result.json has no 'target_return.per_seed'"),
    "returns": ("returns.safetensors", lambda text: "{}", "returns.safetensors is damaged"),
    "no bytes": ("policy.safetensors", lambda text: "", "policy.safetensors is damaged"),
    "garbage": ("policy.safetensors", lambda text: "\xff\0" * 500, "policy.safetensors is damaged"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_run_that_cannot_be_read_says_why_in_one_line(copy, name):
    file, change, why = DAMAGED[name]
    (copy / file).write_text(change((copy / file).read_text("latin-1")), "latin-1")
    with pytest.raises(RequestError, match=why) as caught:
        tr.load(copy)
    assert len(str(caught.value).splitlines()) == 1 and "copy" in str(caught.value)


@pytest.mark.parametrize("file", ["policy.safetensors", "returns.safetensors", "config.json"])
def test_a_missing_file_is_named(copy, file):
    (copy / file).unlink()
    with pytest.raises(RequestError, match=f"has no {file}"):
        tr.load(copy)


def test_a_report_says_the_same(copy):
    (copy / "config.json").write_text(keys(schema=2)((copy / "config.json").read_text()))
    with pytest.raises(RequestError, match="has schema 2"):
        write_report([copy])
    with pytest.raises(RequestError, match="has schema 2"):
        tr.check("hopper", "hopper:gravity=2", source_run=source(copy))


def source(place):
    """The directory with a source agent of a newer version."""
    (place / "source").mkdir()
    (place / "source" / "agent.json").write_text('{"schema": 2}')
    return place


def test_what_was_evaluated_before_the_last_line_was_cut_is_read(run, copy):
    text = (copy / "metrics.jsonl").read_bytes()
    (copy / "metrics.jsonl").write_bytes(text[:-20])
    with pytest.warns(UserWarning, match=r"metrics\.jsonl: line 4 was cut short and is left out; 3 of 4 are read"):
        assert tr.load(copy).log == run[1].log[:-1]
    (copy / "metrics.jsonl").unlink()
    with pytest.warns(UserWarning, match=r"holds no metrics\.jsonl with rows: it is read without its evaluations"):
        assert tr.load(copy).log == []


def test_a_control_that_is_lost_is_named(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "controls": ["zero_shot", "oracle"]}))
    for read in (tr.load, record.read):
        with pytest.warns(UserWarning, match="holds no controls/zero_shot: it is read without zero_shot, oracle"):
            read(copy)


@pytest.mark.parametrize("shape", [(2,), (1, 2), None])
def test_returns_of_another_shape_are_refused(copy, shape):
    store.save_tree(
        copy / "returns.safetensors", {"source": np.ones((2, 2)), **({"target": np.ones(shape)} if shape else {})}
    )
    with pytest.raises(RequestError, match=r"returns\.safetensors is damaged: 'target' must be \[2 seeds, episodes\]"):
        tr.load(copy)


def test_a_run_that_was_cut_short_is_read_as_far_as_it_came(run, copy):
    for file in ("result.json", "returns.safetensors"):
        (copy / file).unlink()
    found, seen = tr.load(copy), np.zeros(3)
    assert found.stopped == "unfinished" and found.steps == (600, 100) and found.zero_shot is None
    assert found.target_return.tolist() == [[3 - 0.01], [4 - 0.01]]  # of the latest evaluation
    assert (found.policy(1)(seen) == run[1].policy(1)(seen)).all()
    assert found.warnings[0].startswith("cut short after 100 of 120 target steps")
    (copy / "metrics.jsonl").write_text(json.dumps(evaluation(3, 50)))  # the other seed's is missing
    with pytest.raises(RequestError, match="cut short before its first evaluation"):
        tr.load(copy)


def test_a_run_without_a_policy_is_said_to_go_on(copy):
    for file in ("result.json", "policy.safetensors"):
        (copy / file).unlink()
    for folder, command in (
        ("state", rf"'transreward resume {copy}'"),
        ("session", rf"tr\.Session\.resume\('{copy}'\)"),
    ):
        (copy / folder).mkdir()
        (copy / folder / "request.json").touch()
        with pytest.raises(
            RequestError, match=f"no policy yet, since its run has not ended: {command} goes on with it"
        ):
            tr.load(copy)


@pytest.mark.parametrize(
    ("obs", "why"),
    [
        (np.zeros(4), r"takes observations of 3 entries, \[\.\.\., 3\], not \[4\]"),
        (np.zeros((3, 1)), r"not \[3, 1\]"),
        (0.0, r"not \[\]"),
        ([0.0, np.nan, 0.0], "entry 1 of the observation is nan"),
        (np.array([[0.0, 0, 0], [0, 0, -1e300]]), "entry 2 of the observation is -inf"),
        ([[0.0, 0.0, 0.0], [0.0]], "must be an array of 3 numbers"),
    ],
)
def test_a_policy_refuses_what_is_no_observation(run, obs, why):
    with pytest.raises(RequestError, match=why):
        tr.load(run[0]).policy(1)(obs)


@pytest.mark.parametrize("seed", [2, -1, 0.5])
def test_a_seed_that_is_not_the_runs_is_refused(run, seed):
    with pytest.raises(RequestError, match="of a run with seeds 0 to 1"):
        run[1].policy(seed)


def test_all_files_of_a_run_may_be_read_alike(run):
    modes = {path.name: oct(os.stat(path).st_mode) for path in run[0].iterdir()}
    assert len(set(modes.values())) == 1, modes
