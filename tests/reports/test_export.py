"""What is exported is the policy: on a thousand states, with what a robot has to know beside it, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from untrained import VERSIONS, untrained

import transreward as tr
from transreward import cli
from transreward.domains.names import action_entries, entries
from transreward.reports import card
from transreward.reports import export as ex
from transreward.runs import store
from transreward.types import BrokenRun, RequestError, Spaces

PAIRS = {"ppo": ("hopper", "hopper:gravity=0.5"), "sac": ("gym:Pendulum-v1", "tests.domains.made:pendulum")}
WIDE = Spaces(3, 2, np.full(2, -99.0), np.full(2, 99.0))
FILES = [
    "README.md", "hop.onnx", "policy_check.cpp", "policy_contract.json", "policy_golden.txt", "policy_node.py",
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run directory of each learner."""
    place = tmp_path_factory.mktemp("runs")
    for kind, pair in PAIRS.items():
        untrained(kind, *pair).save(place / kind)
    return place


@pytest.fixture(scope="module")
def exported(runs):
    return {kind: tr.export(runs / kind, seed=1) for kind in PAIRS}


@pytest.mark.parametrize("kind", PAIRS)
def test_the_graph_is_the_policy(kind, runs, exported):
    """Also on states that no episode has, far outside: where the normaliser and the box clip."""
    assert exported[kind].max_error < 1e-5
    run, size = tr.load(runs / kind), tr.load(runs / kind).config["spaces"]["obs"]
    states = np.random.default_rng(0).normal(0, [[3.0]] * 500 + [[100.0]] * 500, (1000, size)).astype(np.float32)
    session = onnxruntime.InferenceSession(exported[kind].onnx)
    (actions,) = session.run(["action"], {"observation": states})
    assert np.abs(actions - run.policy(seed=1)(states)).max() < 2e-5
    assert np.abs(actions - run.policy(seed=0)(states)).max() > 1e-2  # it is this seed's
    high = np.asarray(run.config["spaces"]["high"], np.float32)
    assert (np.abs(actions) <= high).all() and (np.abs(actions) > 0.99 * high).any()
    assert np.array_equal(session.run(["action"], {"observation": states[:1]})[0], actions[:1])  # any batch size


@pytest.mark.parametrize("kind", PAIRS)
def test_only_the_policy_is_inside(kind, exported):
    """Nothing of critics or of a spread that a deterministic policy does not use."""
    graph = onnx.load(exported[kind].onnx).graph
    size = {i.name: i.dims for i in graph.initializer}
    weights = sum(int(np.prod(dims)) for dims in size.values() if len(dims) == 2)
    run = tr.load(exported[kind].onnx.parents[1])
    obs, action = run.config["spaces"]["obs"], run.config["spaces"]["action"]
    assert weights == 16 * obs + 16 * 16 + 16 * action * (2 if kind == "sac" else 1)
    assert not {node.op_type for node in graph.node} & {"Exp", "Log", "RandomNormal"}


def test_the_contract(runs, exported):
    about = json.loads(exported["ppo"].contract.read_text())
    hopper, run = tr.domain("hopper:gravity=0.5"), tr.load(runs / "ppo")
    assert about["sha256"] == hashlib.sha256(exported["ppo"].onnx.read_bytes()).hexdigest()
    assert (
        about["run"]["policy_sha256"] == hashlib.sha256((runs / "ppo" / "policy.safetensors").read_bytes()).hexdigest()
    )
    assert (about["robot"], about["task"], about["shifts"]) == ("hopper", [], ["gravity=0.5"])
    assert about["source"]["id"] == "hopper" and about["id"] == "hopper:gravity=0.5"
    assert about["control_hz"] == 125 and about["episode_steps"] == 1000
    assert about["run"]["seed"] == 5 and about["run"]["versions"] == VERSIONS
    assert about["versions"]["onnxruntime"] == onnxruntime.__version__
    assert about["check"] == {"states": 1000, "max_error": exported["ppo"].max_error, "limit": 1e-5}
    for key, known in (("observations", entries(hopper)), ("actions", action_entries(hopper))):
        assert [(e["name"], e["unit"], e["index"]) for e in about[key]] == [
            (entry.name, entry.unit, i) for i, entry in enumerate(known)
        ]
    assert about["observations"][0]["range"] is None and about["observations"][5]["range"] == [-10, 10]
    assert about["actions"][0]["range"] == [-1, 1] and about["actions"][0]["unit"] == "200 N m"
    low, high = about["observations"][0]["seen"]
    assert 0.6 < low < 1.25 < high < 1.5  # heights of a hopper, m
    normaliser = jax.tree.map(lambda x: x[1], run.agents.normaliser)
    assert np.allclose(about["normaliser"]["mean"], normaliser.mean)
    assert np.allclose(np.square(about["normaliser"]["std"]), normaliser.var)


def test_the_page_names_every_key(exported):
    text = (Path(__file__).parents[2] / "docs" / "see.md").read_text().partition("### policy_contract.json")[2]
    about = json.loads(exported["ppo"].contract.read_text())
    keys = {*about, *about["check"], *about["normaliser"], *about["observations"][0], "policy_sha256", "seed"}
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_the_contract_of_a_gymnasium_environment(exported):
    about = json.loads(exported["sac"].contract.read_text())
    assert about["robot"] == about["id"] == "tests.domains.made:pendulum" and about["shifts"] == []
    assert about["control_hz"] is None and about["actions"][0]["range"] == [-2, 2]  # its `dt` might be a substep's


def test_the_card_of_a_session_names_no_command_that_repeats_it(runs, exported):
    """A robot took its steps: such a command is refused."""
    about, run = json.loads(exported["ppo"].contract.read_text()), tr.load(runs / "ppo")
    assert "transfer --config config.json" in card.text(run, about)
    run.config["target"] = "asked:hopper"
    text = card.text(run, about)
    assert "no command repeats it." in text and "transfer --config" not in text and "`safe` of the session" in text


def test_the_card_of_a_log_that_a_simulator_judges_claims_no_return_in_the_log(runs, exported):
    """And who took its steps nobody knows: the policy may well have been trained on those of a machine."""
    about, run = json.loads(exported["ppo"].contract.read_text()), tr.load(runs / "ppo")
    assert "It was trained and evaluated in simulation only" in card.text(run, about)
    about["id"] = run.config["target"] = "data:robot.csv"
    run.config["evaluate"] = "hopper:mass=2"
    text = card.text(run, about)
    assert "own seed returned 21.0 in `hopper:mass=2`." in text
    (result,) = yaml.safe_load(text.split("---")[1])["model-index"][0]["results"]
    assert result["dataset"]["name"] == "hopper:mass=2"
    assert "It was evaluated in simulation only, never on hardware." in text


def test_the_model_card(exported):
    text = exported["ppo"].card.read_text()
    _, head, body = text.split("---\n", 2)
    about = yaml.safe_load(head)
    assert about["library_name"] == "transreward" and about["pipeline_tag"] == "reinforcement-learning"
    assert about["model-index"][0]["results"][0]["metrics"][0]["value"].startswith("16.00 +/- ")
    assert (
        "| **darc** | 16.0 | -47.5 to 79.5 | 11.0 21.0 | 10 learning, evaluation not counted (simulated) |" in body
        and "| zero_shot | 11.0 |" in body
    )
    assert "2 seeds: the interval is wide" in body and "thigh_joint velocity" in body
    code = body.partition("```python\n")[2].partition("```")[0]
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(exported["ppo"].card.parent)
        exec(code, names)
    assert names["action"].shape == (1, 3)


def test_a_graph_that_is_not_the_policy_is_refused(runs, tmp_path, monkeypatch):
    """One bias off by little: the check sees it, and nothing is left behind."""
    honest = ex.to_onnx

    def tampered(act, spaces):
        model = onnx.load_from_string(honest(act, spaces))
        bias = next(i for i in model.graph.initializer if list(i.dims) == [16])
        value = onnx.numpy_helper.to_array(bias).copy()
        value[0] += 1e-2
        bias.CopyFrom(onnx.numpy_helper.from_array(value, bias.name))
        return model.SerializeToString()

    monkeypatch.setattr(ex, "to_onnx", tampered)
    with pytest.raises(BrokenRun, match=r"differs from the policy by .*: nothing was written"):
        tr.export(runs / "ppo", tmp_path / "new" / "policy.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package(package, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["export", str(runs / "ppo"), "--out", str(tmp_path / "policy.onnx")])
    assert stopped.value.code == 2 and not list(tmp_path.iterdir())
    said = capsys.readouterr().err
    assert said == f"transreward: the package {package} is missing: pip install 'transreward[export]'\n"


def test_wrong_requests(runs, exported, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "README.md").write_text("mine")
    for directory, out, seed, why in (
        (tmp_path, None, 0, "is not a run directory: it has no config.json"),
        (tmp_path / "file", None, 0, "is not a run directory"),
        (tmp_path / "nothing", None, 0, "is not a run directory"),
        (runs / "ppo", tmp_path / "new" / "policy.onnx", 2, "seed 2 of a run with seeds 0 to 1"),
        (runs / "ppo", tmp_path / "new" / "policy.pt", 0, "must name a file that ends in .onnx"),
        (runs / "ppo", tmp_path / "policy.onnx", 0, "README.md is there already"),
        (runs / "ppo", None, 0, "is there already"),
        (runs / "ppo", tmp_path / "file" / "policy.onnx", 0, "cannot be written"),
    ):
        with pytest.raises(RequestError, match=why):
            tr.export(directory, out, seed)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["README.md", "file"]


def test_a_damaged_run(runs, tmp_path):
    shutil.copytree(runs / "ppo", tmp_path / "run", ignore=shutil.ignore_patterns("export"))
    policy = tmp_path / "run" / "policy.safetensors"
    policy.write_bytes(policy.read_bytes()[:-100])
    with pytest.raises(RequestError, match=r"policy.safetensors is damaged"):
        tr.export(tmp_path / "run")


def test_the_command(runs, tmp_path, capsys):
    cli.main(["export", str(runs / "ppo"), "--out", str(tmp_path / "a" / "hop.onnx")])
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == FILES
    said = capsys.readouterr().out
    assert "1,000 states" in said and str(tmp_path / "a" / "hop.onnx") in said
    assert json.loads((tmp_path / "a" / "policy_contract.json").read_text())["file"] == "hop.onnx"


def test_what_has_no_form_in_onnx_is_said():
    with pytest.raises(RequestError, match="cannot be exported: it uses 'sort'"):
        ex.to_onnx(jnp.sort, WIDE)


@pytest.mark.parametrize(
    "act",
    [
        lambda x: jnp.clip(jnp.sin(x[1:3]) ** 3 + jnp.square(x[:2]) - 0.5, -0.2, 0.2),
        lambda x: jax.nn.sigmoid(x)[:2] * jnp.exp(-jnp.abs(x[1:])),
        lambda x: jax.lax.rsqrt(1.0 + x**2) @ jnp.arange(6.0).reshape(3, 2),
        lambda x: jnp.dot(x, jnp.arange(6.0).reshape(2, 3).T) / (2 + jnp.split(jnp.cos(x), [2])[0]),
    ],
)
def test_functions_of_a_users_own_learner(act):
    states = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    graph = ex.to_onnx(act, WIDE)
    assert ex.difference(graph, jax.vmap(act), states, np.ones(2)) < 1e-5


def test_the_policy_of_a_run_that_was_cut_short_is_exported_and_its_card_says_so(runs, tmp_path):
    place = shutil.copytree(runs / "sac", tmp_path / "run", ignore=shutil.ignore_patterns("export", "re*"))
    row = {"method": "darc", "source_steps": 90, "target_steps": 8, "round": 3, "seconds": 1.0}
    rows = [{**row, "seed": seed, "source_return": 3.0, "target_return": 2.0} for seed in (4, 5)]
    store.append_lines(place / "metrics.jsonl", rows)
    done = tr.export(place, seed=1)
    assert done.max_error < 1e-5
    assert "cut short after 8 of 10 target steps" in done.card.read_text()
