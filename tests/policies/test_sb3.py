"""A policy goes to Stable-Baselines3 and gives the same actions there.

Its own reader is asked where it is installed: here, or in the Python that SB3_PYTHON names. Elsewhere the file is held
against one that it wrote (tests/data/policies), and our reader of such files takes it up.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "reports"))
from untrained import untrained

import transreward as tr
from transreward import cli
from transreward.networks import Normaliser
from transreward.policies import sb3
from transreward.policies.foreign import read
from transreward.policies.inert import torch_file
from transreward.policies.torch_file import torch_bytes
from transreward.types import RequestError, Spaces

FILES = Path(__file__).parents[1] / "data" / "policies"
POLE = ("inverted_pendulum", "inverted_pendulum:gravity=2")
KINDS = {"SAC": "sac", "PPO": "ppo"}


def narrow(kind: str):
    """A run of the pole whose angle varied little before, so that its policy, which asks for little, clips it."""
    run = untrained(kind, *POLE)
    agents, last = run.agents, lambda layers: [*layers[:-1], {name: x / 50 for name, x in layers[-1].items()}]
    normaliser = agents.normaliser._replace(var=agents.normaliser.var.at[:, 1].set(1e-4))
    if kind == "sac":
        agents = agents._replace(actor=last(agents.actor))
    else:
        agents = agents._replace(networks=agents.networks._replace(policy=last(agents.networks.policy)))
    run.agents = agents._replace(normaliser=normaliser)
    return run


RUNS = {  # name -> the run, and how many layers clip
    "SAC": (lambda: untrained("sac", *POLE), 0),
    "PPO": (lambda: untrained("ppo", *POLE), 0),
    "SAC that clips": (lambda: narrow("sac"), 1),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """name -> the run directory and the file, with 1,000 states as its own episodes have and far beyond them."""
    root, found = tmp_path_factory.mktemp("sb3"), {}
    for name, (make, layers) in RUNS.items():
        make().save(root / name)
        done = tr.export_sb3(root / name, root / f"{name}.zip", seed=1)
        assert (done.layers, done.algorithm, done.said) == (layers, name[:3], "") and done.max_error < 1e-5
        states = np.random.default_rng(0).normal(0, [0.3, 0.1, 1.0, 1.0], (1000, 4)).astype(np.float32)
        policy = tr.load(root / name).policy(1)
        wanted = {"states": states, "actions": policy(states), "far": 100 * states, "far_actions": policy(100 * states)}
        np.savez(root / f"{name}.npz", **wanted)
        found[name] = root / f"{name}.zip"
    return found


def theirs() -> str | None:
    """A Python that has Stable-Baselines3."""
    here = sys.executable if importlib.util.find_spec("stable_baselines3") else None
    return os.environ.get("SB3_PYTHON", here)


LOAD = """
import sys
import numpy as np
import stable_baselines3
for name in sys.argv[1:]:
    model = getattr(stable_baselines3, name.split("/")[-1][:3]).load(name, device="cpu")
    wanted = np.load(name.replace(".zip", ".npz"))
    print(*(np.abs(model.predict(wanted[states], deterministic=True)[0] - wanted[actions]).max()
            for states, actions in (("states", "actions"), ("far", "far_actions"))))
    assert model.predict(wanted["states"][0], deterministic=True)[0].shape == (1,)
    model.save(name.replace(".zip", "-again.zip"))
"""


@pytest.mark.slow
@pytest.mark.skipif(theirs() is None, reason="no Stable-Baselines3 here: name a Python that has it in SB3_PYTHON")
def test_stable_baselines3_gives_the_same_actions(places):
    done = subprocess.run(
        [str(theirs()), "-c", LOAD, *map(str, places.values())], capture_output=True, text=True, timeout=300,
        check=False, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, line in zip(places, done.stdout.splitlines(), strict=True):
        near, far = map(float, line.split())
        assert near < 1e-5, name
        assert (far < 1e-4) == (RUNS[name][1] > 0), name  # layers that clip do so anywhere; folded, nothing is clipped


@pytest.mark.parametrize("algorithm", KINDS)
def test_the_file_is_as_theirs(algorithm, places):
    """Same parts, names and order of weights, settings and parameters of each optimiser; other sizes."""
    ours, own = (zipfile.ZipFile(path) for path in (places[algorithm], FILES / f"sb3_{KINDS[algorithm]}.zip"))
    assert set(ours.namelist()) == set(own.namelist())
    weights = [torch_file(of.read("policy.pth")) for of in (ours, own)]
    assert list(weights[0]) == list(weights[1])
    assert [x.ndim for x in weights[0].values()] == [x.ndim for x in weights[1].values()]
    for name in (name for name in ours.namelist() if name.endswith("optimizer.pth")):
        one, other = (torch_file(of.read(name))["param_groups"][0] for of in (ours, own))
        assert one["params"] == other["params"] and one["eps"] == other["eps"] and set(one) <= set(other)
    one, other = (json.loads(of.read("data")) for of in (ours, own))
    assert set(one) <= set(other)
    assert all(type(one[key]) is type(other[key]) for key in set(one) - {"gamma"})


@pytest.mark.parametrize("name", RUNS)
def test_our_reader_takes_it_up(name, places):
    """Its networks, run plainly, give the policy's actions; values and temperature are the agent's."""
    found, wanted = read(places[name]), np.load(places[name].with_suffix(".npz"))
    state = sb3.agent_of(tr.load(places[name].with_suffix("")), 1)
    made = sb3.Networks(name[:3], found.actor, (), (), (), 0.0, {}, "")
    spaces = tr.domain("inverted_pendulum").spaces
    np.testing.assert_allclose(sb3.executed(made, wanted["states"], spaces), wanted["actions"], atol=1e-5)
    learner = tr.load(places[name].with_suffix("")).learner
    x, activation = wanted["states"], np.tanh
    if name.startswith("SAC"):
        assert np.isclose(found.alpha, np.exp(state.log_alpha))
        x, activation = np.append(x, np.full((1000, 1), 0.3, np.float32), axis=1), lambda x: np.maximum(x, 0)
        value = learner.q(state, wanted["states"], np.full((1000, 1), 0.9))  # 0.3 of the half-width, 3
    else:
        value = learner.value(state, wanted["states"])
    if RUNS[name][1]:  # ours are as wide as the policy, and actions pass the layers that clip
        assert found.critics == ()
        return
    seen = []
    for net in found.critics:
        out = x
        for weight, bias in net[:-1]:
            out = activation(out @ weight + bias)
        seen.append((out @ net[-1][0] + net[-1][1])[:, 0])
    np.testing.assert_allclose(np.min(seen, axis=0), value, atol=2e-4)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_layers_that_normalise_and_clip(depth):
    """By their definition, with what is passed on."""
    rng = np.random.default_rng(0)
    mean, unit = rng.normal(size=3), rng.uniform(0.1, 2, 3)
    x = np.concatenate([mean + unit * rng.normal(0, 10, (50, 3)), rng.uniform(-1, 1, (50, 2))], axis=1)
    made, out = sb3.clipped(mean, unit, 2, depth), x
    for weight, bias in made.layers:
        out = np.maximum(out @ weight + bias, 0)
    z = (x[:, :3] - mean) / unit
    wanted = z if depth == 0 else np.clip(z, -10, 10)
    assert len(made.layers) == depth and (np.abs(z) > 10).any()
    np.testing.assert_allclose(out @ made.weight + made.bias, np.append(wanted, x[:, 3:], axis=1), atol=1e-9)


def test_a_spread_is_the_same_at_its_bias():
    weight, bias = sb3._unsquashed(np.ones((2, 1)), np.array([0.4]))
    squashed = [-5 + 3.5 * (np.tanh(0.4 + h) + 1) for h in (-1e-4, 0.0, 1e-4)]
    assert np.isclose(bias[0], squashed[1]) and np.isclose(weight[0, 0], (squashed[2] - squashed[0]) / 2e-4)


def test_the_plainest_networks_that_do(plain):
    """Clipped observations need a layer, and a column that was constant, far from 0, needs two to keep its digits."""
    state, learner, spaces = plain
    rng = np.random.default_rng(0)
    for std, mean, unit, depth in ((1.0, 0.0, 1.0, 0), (20.0, 0.0, 1.0, 1), (1e-3, 8.9, 1e-4, 2)):
        mean, var = np.full(3, mean), np.full(3, unit**2)
        states = (mean + std * rng.normal(size=(200, 3))).astype(np.float32)
        now = state._replace(
            normaliser=state.normaliser._replace(mean=jnp.array(mean, jnp.float32), var=jnp.array(var))
        )
        mean, unit = np.asarray(now.normaliser.mean, float), np.sqrt(np.asarray(now.normaliser.var, float) + 1e-8)
        wanted = jax.jit(lambda state, obs: learner.act(state, obs, None))(now, states)
        _, found, error = sb3.fitted(sb3._sac(learner, now), mean, unit, states, np.asarray(wanted), spaces)
        assert (found, error < 1e-5) == (depth, True)


@pytest.fixture(scope="module")
def plain():
    """A state of SAC, its learner, and spaces."""
    return made("sac", 0.3)


def made(name: str, size: float):
    learner, spaces = tr.learner(name, hidden=(8, 8)), Spaces(3, 2, -np.ones(2), 3 * np.ones(2))
    rng, shapes = np.random.default_rng(0), jax.eval_shape(lambda key: learner.init(key, spaces), jax.random.key(0))
    state = jax.tree.map(lambda x: jnp.asarray(rng.normal(0, size, x.shape), x.dtype), shapes)
    scale = Normaliser.start(3)
    return state._replace(normaliser=scale, centre=spaces.centre, half_width=spaces.half_width), learner, spaces


def test_offline_learners_are_actors_of_sac():
    state, learner, spaces = made("iql", 0.5)
    found = sb3.before(sb3._offline(learner, state), np.zeros(3), np.ones(3), 0)
    states = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    wanted = jax.jit(lambda obs: learner.act(state, obs, None))(states)
    np.testing.assert_allclose(sb3.executed(found, states, spaces), wanted, atol=1e-5)
    assert found.said and len(found.critics) == 2 and found.settings["target_entropy"] == -2.0


def test_what_is_refused(places, tmp_path):
    run = places["SAC"].with_suffix("")
    (tmp_path / "there.zip").write_text("")
    for out, seed, why in (
        ("there.zip", 0, "is there already"), ("policy.onnx", 0, "ends in .zip"), ("new.zip", 2, "seeds 0 to 1"),
        ("there.zip/new.zip", 0, "cannot be written"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=why):
            tr.export_sb3(run, tmp_path / out, seed)
    narrow("ppo").save(tmp_path / "clips")
    with pytest.raises(RequestError, match="a network of tanh cannot clip: export it as ONNX"):
        tr.export_sb3(tmp_path / "clips", tmp_path / "new.zip")
    assert not (tmp_path / "new.zip").exists()


def test_torch_files_hold_what_was_given():
    given = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": [1, 2.5, None, True, ("x", -3)], "c": {}}
    found = torch_file(torch_bytes(given))
    assert np.array_equal(found.pop("a"), given.pop("a")) and found == given
    with pytest.raises(TypeError, match="set is not written"):
        torch_bytes({1})


def test_the_command(places, tmp_path, capsys):
    cli.main(["export", str(places["SAC that clips"].with_suffix("")), "--sb3", str(tmp_path / "p.zip")])
    said = capsys.readouterr().out
    assert f"stable_baselines3.SAC.load('{tmp_path / 'p.zip'}')" in said and "clipped by 1 more layers" in said
    with pytest.raises(SystemExit) as stopped:
        cli.main(["export", str(places["SAC"].with_suffix("")), "--sb3", "a.zip", "--out", "b.onnx"])
    assert stopped.value.code == 2 and "not allowed with" in capsys.readouterr().err
