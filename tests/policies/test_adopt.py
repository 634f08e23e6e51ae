"""Policies of other libraries: the same actions and values as there, and nothing in their files is run.

tests/data/policies was made once by make.py there, with torch and Stable-Baselines3, which are not needed here.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import transreward as tr
from transreward.policies import foreign
from transreward.policies.adopt import require_fit
from transreward.policies.foreign import read
from transreward.policies.inert import Inert, array, pickled, torch_file
from transreward.policies.torch_file import torch_bytes
from transreward.runs.source_agent import SourceAgent
from transreward.types import RequestError

pytestmark = pytest.mark.usefixtures("hurry")

FILES = Path(__file__).parents[1] / "data" / "policies"
GOLDEN = np.load(FILES / "golden.npz")
POLE = "inverted_pendulum"
EXACT = {
    "sb3_sac": "sb3_sac.zip", "sb3_ppo": "sb3_ppo.zip", "sb3_ppo_normalised": "normalised/sb3_ppo.zip",
    "cleanrl_ppo": "cleanrl_ppo.cleanrl_model", "cleanrl_sac": "cleanrl_sac.pt",
}  # fmt: skip


def agent_of(file, out, **more):
    found = tr.adopt(file, POLE, out, **{"seeds": 1, "steps": 256, **more})
    about = SourceAgent.about(out)
    learner = tr.learner(about["learner"]["name"], hidden=tuple(about["learner"]["hidden"]))
    agent = SourceAgent.load(out, tr.domain(POLE), learner, [0])
    import jax

    return found, learner, jax.tree.map(lambda x: x[0], agent.agents), agent


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "sb3_sac" else pytest.mark.slow) for name in EXACT]
)
def test_the_same_actions(name, tmp_path):
    """On a thousand states, also where the agent goes on in the scale of its own observations."""
    found, learner, state, _ = agent_of(FILES / EXACT[name], tmp_path / "run")
    seen = np.asarray(learner.act(state, GOLDEN["states"], None))
    near = np.abs(np.asarray(state.normaliser(GOLDEN["states"]))).max(axis=1) < 10  # beyond, observations are clipped
    assert near.mean() > 0.3
    np.testing.assert_allclose(seen[near], GOLDEN[name][near], atol=1e-5)
    assert found.apart < 1e-4 and f"exactly; it returns {found.returns.mean():,.1f}" in str(found)


@pytest.mark.slow
def test_the_critics_come_along(tmp_path):
    _, learner, state, _ = agent_of(FILES / "sb3_sac.zip", tmp_path / "sac")
    near = np.abs(np.asarray(state.normaliser(GOLDEN["states"]))).max(axis=1) < 10
    values = np.asarray(learner.q(state, GOLDEN["states"], np.full((1000, 1), 0.9)))  # 0.3 of the half-width, 3
    np.testing.assert_allclose(values[near], GOLDEN["sb3_sac_q"][near], atol=1e-4)
    np.testing.assert_allclose(np.exp(state.log_alpha), GOLDEN["sb3_sac_alpha"], rtol=1e-5)
    _, learner, state, _ = agent_of(FILES / "cleanrl_sac.pt", tmp_path / "cleanrl")
    near = np.abs(np.asarray(state.normaliser(GOLDEN["states"]))).max(axis=1) < 10
    steps = np.hstack([GOLDEN["states"], np.full((1000, 1), 0.9)])  # CleanRL's see actions in the robot's units
    theirs = np.min([relu_net(q, steps) for q in torch_file((FILES / "cleanrl_sac.pt").read_bytes())[1:]], axis=0)
    values = np.asarray(learner.q(state, GOLDEN["states"], np.full((1000, 1), 0.9)))
    np.testing.assert_allclose(values[near], theirs[near], atol=1e-4)
    _, learner, state, _ = agent_of(FILES / "normalised" / "sb3_ppo.zip", tmp_path / "ppo")
    np.testing.assert_allclose(learner.value(state, GOLDEN["states"]), GOLDEN["sb3_ppo_normalised_value"], atol=1e-4)


def relu_net(state, x):
    """A critic of CleanRL, [n, in] -> [n]."""
    for name in ("fc1", "fc2"):
        x = np.maximum(x @ state[f"{name}.weight"].T + state[f"{name}.bias"], 0)
    return (x @ state["fc3.weight"].T + state["fc3.bias"])[:, 0]


@pytest.mark.slow
def test_how_much_it_explores(tmp_path):
    """As a clipped standard deviation says, near its bias."""
    _, learner, state, _ = agent_of(FILES / "sb3_sac.zip", tmp_path / "run")
    weight, bias = read(FILES / "sb3_sac.zip").spread
    obs = np.zeros((1, 4), np.float32)
    one = np.arctanh(np.asarray(learner.act(state, obs, np.ones((1, 1), np.float32))) / 3)
    mode = np.arctanh(np.asarray(learner.act(state, obs, None)) / 3)
    assert abs(np.log(one - mode).item() - bias.item()) < 0.5 and weight.shape[1] == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rsl_rl", "onnx"])
def test_by_regression(name, tmp_path):
    file = FILES / "rsl_rl.pt"
    if name == "onnx":
        file = tmp_path / "policy.onnx"
        onnx.save(tanh_graph(), file)
    found, learner, state, _ = agent_of(file, tmp_path / "run", steps=2_000)
    assert "by regression, to " in str(found) and not found.exact and found.apart < 0.1
    wanted = read(file).act(GOLDEN["states"][:100])
    if name == "rsl_rl":
        np.testing.assert_allclose(wanted, GOLDEN["rsl_rl"][:100], atol=1e-5)
    assert np.isfinite(np.asarray(learner.act(state, GOLDEN["states"], None))).all()


def test_the_graph_of_the_page_balances_its_pole(tmp_path, monkeypatch):
    """docs/policies.md says what a graph must be; its example is one, for any number of states and for one."""
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
    example = page.split("## An ONNX file")[1].split("```python\n")[1].split("```")[0]
    for code in (example, example.replace("float[n, ", "float[1, ")):
        exec(code, {})
        act, pole = read(Path("gains.onnx")).act, tr.domain(POLE).simulate(8, seed=0)
        step = pole.step(np.zeros((8, 1)))
        for _ in range(200):
            step = pole.step(np.clip(act(step.next_obs), -3, 3))
            assert not step.terminated.any()


GRAPHS = {
    "(float[n, 4] obs) => (float[n] a) { a = ReduceSum <keepdims = 0> (obs) }": "it must map observations [n, obs]",
    "(float[n, 4] obs, float[n, 4] b) => (float[n, 4] a) { a = Add(obs, b) }": "it has 2 inputs, obs, b, and is given",
    "(double[n, 4] obs) => (double[n, 4] a) { a = Identity(obs) }": "float32 is given: put a Cast before them",
    "(float[n, 4] obs) => (int64[n, 1] a) { a = ArgMax <axis = 1> (obs) }": "its actions are tensor(int64)",
    "(float[n, 4] obs) => (float[m, 4] a) { a = Concat <axis = 0> (obs, obs) }": "it gives [4, 4] numbers",
    "(float[n, 4] obs) => (float[n, 4] a) { z = Sub(obs, obs) a = Div(z, z) }": "it gives what is not finite",
    "(float[8, 4] obs) => (float[8, 4] a) { a = Identity(obs) }": "it takes 8 observations at once: export it for any",
}


@pytest.mark.parametrize("graph", GRAPHS, ids=range(len(GRAPHS)))
def test_graphs_that_are_refused(graph, tmp_path):
    made = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 17]> policy {graph}')
    onnx.save(made, tmp_path / "policy.onnx")
    with pytest.raises(RequestError) as caught:
        read(tmp_path / "policy.onnx")
    assert GRAPHS[graph] in str(caught.value) and "\n" not in str(caught.value)


def tanh_graph():
    """3 tanh(x w), as ONNX."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = onnx.numpy_helper.from_array(np.array([[0.1], [2.0], [0.2], [0.3]], np.float32), "w")
    three = onnx.numpy_helper.from_array(np.array([3.0], np.float32), "three")
    nodes = [
        helper.make_node("MatMul", ["obs", "w"], ["u"]), helper.make_node("Tanh", ["u"], ["t"]),
        helper.make_node("Mul", ["t", "three"], ["action"]),
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info(n, kind, ["n", k]) for n, k in (("obs", 4), ("action", 1))]
    graph = helper.make_graph(nodes, "policy", ends[:1], ends[1:], [weight, three])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_it_is_transferred(tmp_path):
    """From the file to a changed robot: the zero-shot policy is the imported one."""
    tr.adopt(FILES / "sb3_sac.zip", POLE, tmp_path / "theirs", seeds=2, steps=512)
    found = tr.transfer(
        POLE, f"{POLE}:gravity=2", "fine_tune", source_run=tmp_path / "theirs", source_steps=5_120, target_steps=64,
        seeds=2, controls=["zero_shot"],
        settings={"loop.eval_episodes": 1, "loop.final_episodes": 2, "loop.evaluations": 1},
    )  # fmt: skip
    assert found.steps.source == 512  # what is left of the budget does not train it on: it would be another policy
    assert np.isfinite(found.controls["zero_shot"].target_return).all()


@pytest.mark.slow
def test_critics_that_the_file_has_not_are_learned(tmp_path):
    _, learner, state, agent = agent_of(FILES / "cleanrl_sac_actor.pt", tmp_path / "run")
    fresh = learner.init(__import__("jax").random.key(0), tr.domain(POLE).spaces)
    assert agent.replay is not None and not np.allclose(state.critics[0]["w"], fresh.critics[0]["w"])


WRONG = {
    "sb3_relu.zip": "activation.ReLU", "missing.zip": "there is no such file", "golden.npz": "it is an archive of",
    "make.py": "name Stable-Baselines3's .zip",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_policy(name, tmp_path):
    with pytest.raises(RequestError) as caught:
        tr.adopt(FILES / name, POLE, tmp_path / "run")
    assert WRONG[name] in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("about", [pickle.dumps({}), b"[]", b"{", None])
def test_an_archive_of_another_library(about, tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("policy.pth", torch_bytes({}))
        if about is not None:
            archive.writestr("data", about)
    with pytest.raises(RequestError, match=r"no settings as Stable-Baselines3 keeps them.*so it is of another library"):
        read(tmp_path / "other.zip")


def test_a_policy_of_this_library_is_named_by_its_run(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "policy.safetensors").write_bytes(bytes(16))
    with pytest.raises(RequestError, match=rf"its run is taken up by `source_run='{tmp_path}'`"):
        read(tmp_path / "policy.safetensors")


@pytest.mark.parametrize("left", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("name", ["sb3_sac.zip", "cleanrl_sac.pt"])
def test_a_file_that_was_cut_off(name, left, tmp_path):
    content = (FILES / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(left * len(content))])
    with pytest.raises(RequestError, match="it is damaged or cut off: copy it again"):
        read(tmp_path / name)


def test_a_folder_that_was_adopted_is_no_run(tmp_path):
    (tmp_path / "adopted.json").write_text("{}")
    with pytest.raises(RequestError, match="holds a source agent that was made of a policy's file, and no run"):
        tr.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"), [("seeds", "at least 1, not 0"), ("seed", "at least 0, not 0.5"), ("steps", "at least 1, not -3")]
)
def test_a_number_that_is_none_is_refused_before_a_file_is_read(name, said, tmp_path):
    number = {"seeds": 0, "seed": 0.5, "steps": -3}[name]
    what = {"steps": "source steps"}.get(name, name)
    with pytest.raises(RequestError, match=f"^{what} must be a whole number of {said}$"):
        tr.adopt(tmp_path / "missing.zip", POLE, tmp_path / "run", **{name: number})


def test_another_robots_policy(tmp_path):
    with pytest.raises(RequestError, match="maps 4 observations to 1 actions, and 'hopper' has 11 and 3"):
        tr.adopt(FILES / "sb3_sac.zip", "hopper", tmp_path / "run")
    with pytest.raises(RequestError, match=r"`hidden` is of what learns by regression, and .* has its own networks"):
        tr.adopt(FILES / "sb3_sac.zip", POLE, tmp_path / "run", hidden=(64, 64))
    with pytest.raises(RequestError, match=r"actions whose low is \[-3.0\]"):
        require_fit(read(FILES / "cleanrl_sac.pt"), Narrow(), Path("actor.pt"))


class Narrow:
    name, spaces = "narrow", tr.Spaces(4, 1, -np.ones(1), np.ones(1))


def test_a_normaliser_of_another_robot(tmp_path):
    shutil.copy(FILES / "sb3_ppo.zip", tmp_path / "model.zip")
    (tmp_path / "vecnormalize.pkl").write_bytes(pickle.dumps({"obs_rms": None}))
    with pytest.raises(RequestError, match="has no statistics of 4 observations"):
        read(tmp_path / "model.zip")


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps([Evil(), {"a": Evil()}])
    pickled(content)
    with zipfile.ZipFile("model.pt", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    with pytest.raises(
        RequestError, match=r"what is read is called actor_mean\.0\.weight .* export the policy as ONNX"
    ):
        read(Path("model.pt"))
    assert not Path("evil").exists()


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("kind", [">f4", "<f8", ">i8", "|u1", "=f4"])
def test_a_pickled_array_is_read_in_its_own_byte_order(protocol, kind):
    told = np.array([[1, 2, 3], [4, 5, 6]], kind)
    found, one = (array(x) for x in pickled(pickle.dumps([told, told[1, 2]], protocol=protocol)))
    np.testing.assert_array_equal(found, told)
    assert found.dtype == told.dtype.newbyteorder("=") and found.dtype.isnative and one == 6


@given(content=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_pickle_is_read_or_refused(content):
    try:
        pickled(content)
    except ValueError as error:
        assert "\n" not in str(error)


@given(at=st.integers(0, 30_000), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, at, bit):
    content = bytearray((FILES / "sb3_ppo.zip").read_bytes())
    content[at % len(content)] ^= 1 << bit
    path = tmp_path_factory.mktemp("damaged") / "model.zip"
    path.write_bytes(content)
    try:
        read(path)
    except RequestError as error:
        assert "\n" not in str(error)


def test_a_tensor_that_leaves_its_storage():
    content = (FILES / "cleanrl_ppo.cleanrl_model").read_bytes()
    assert set(torch_file(content)) >= {"actor_mean.0.weight", "actor_logstd"}
    from transreward.policies.inert import _tensor

    for size, stride, offset in (((3, 3), (3, 1), 0), ((2,), (9,), 0), ((2,), (1,), 7), ((-1,), (1,), 0)):
        with pytest.raises(ValueError, match="leaves its storage"):
            _tensor(np.zeros(8, np.float32), offset, size, stride)


@pytest.mark.parametrize("version", [2, 3, 5])
def test_the_normaliser_of_each_version_of_rsl_rl(version, tmp_path):
    """It moved from beside the weights into them, and what holds them was renamed."""
    layers = torch_file((FILES / "rsl_rl.pt").read_bytes())["model_state_dict"]
    layers = {name: x for name, x in layers.items() if name.startswith("actor.")}
    mean, var = np.linspace(-1, 1, 4, dtype=np.float32)[None], np.linspace(0.5, 2, 4, dtype=np.float32)[None]
    rms = {"_mean": mean, "_var": var, "_std": np.sqrt(var), "count": np.ones(1, np.float32)}
    if version == 2:
        whole = {"model_state_dict": layers, "obs_norm_state_dict": rms}
    elif version == 3:
        whole = {"model_state_dict": layers | {f"actor_obs_normalizer.{k}": x for k, x in rms.items()}}
    else:
        renamed = {name.replace("actor.", "mlp."): x for name, x in layers.items()}
        whole = {"actor_state_dict": renamed | {f"obs_normalizer.{k}": x for k, x in rms.items()}}
    (tmp_path / "model.pt").write_bytes(torch_bytes(whole))
    seen = (GOLDEN["states"][:50] - mean) / (np.sqrt(var) + 0.01)
    np.testing.assert_allclose(
        read(tmp_path / "model.pt").act(GOLDEN["states"][:50]), read(FILES / "rsl_rl.pt").act(seen), atol=1e-6
    )
    whole[next(iter(whole))]["rnn.weight_ih_l0"] = np.zeros((2, 2), np.float32)
    (tmp_path / "model.pt").write_bytes(torch_bytes(whole))
    with pytest.raises(RequestError, match=r"has further weights, 'rnn\.weight_ih_l0', which"):
        read(tmp_path / "model.pt")


def changed(name, place, weights=lambda state: state, about=lambda told: told):
    """A file of Stable-Baselines3's with other weights or settings."""
    with zipfile.ZipFile(FILES / name) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    parts["policy.pth"] = torch_bytes(weights(dict(torch_file(parts["policy.pth"]))))
    parts["data"] = json.dumps(about(json.loads(parts["data"]))).encode()
    with zipfile.ZipFile(place / "model.zip", "w") as archive:
        for member, content in parts.items():
            archive.writestr(member, content)
    return place / "model.zip"


def test_what_else_a_network_of_stable_baselines_computes_is_not_left_out(tmp_path):
    more = {"features_extractor.norm.weight": np.ones(4, np.float32)}
    with pytest.raises(RequestError, match=r"has further weights, 'features_extractor\.norm\.weight', which"):
        read(changed("sb3_ppo.zip", tmp_path, lambda state: state | more))
    discrete = {"action_space": {":type:": "<class 'gymnasium.spaces.discrete.Discrete'>"}}
    with pytest.raises(RequestError, match=r"its action_space is .*Discrete'>, and a Box is read"):
        read(changed("sb3_ppo.zip", tmp_path, about=lambda told: told | discrete))
    own, flat = ({"policy_kwargs": {"features_extractor_class": f"<class 'lab.{name}Extractor'>"}}
                 for name in ("Own", "Flatten"))  # fmt: skip
    with pytest.raises(RequestError, match=r"its features come from <class 'lab\.OwnExtractor'>, which is not read"):
        read(changed("sb3_ppo.zip", tmp_path, about=lambda told: told | own))
    assert read(changed("sb3_ppo.zip", tmp_path, about=lambda told: told | flat)).actor

    def quantiles(state):  # TQC's critics have several outputs
        return state | {
            f"critic.qf{i}.4.{part}": np.repeat(state[f"critic.qf{i}.4.{part}"], 25, 0)
            for i in range(2) for part in ("weight", "bias")
        }  # fmt: skip

    assert read(FILES / "sb3_sac.zip").critics and not read(changed("sb3_sac.zip", tmp_path, quantiles)).critics


NAN = {"log_ent_coef": np.array([np.nan], np.float32)}


def test_a_weight_of_entropy_that_was_not_learned_is_read_too(tmp_path):
    """With `ent_coef=0.05` it has another name in the file; the preset's was taken."""
    for told, wanted in (({"ent_coef_tensor": np.array(0.05, np.float32)}, 0.05), ({}, 0.0), (NAN, None)):
        file = changed("sb3_sac.zip", tmp_path)
        with zipfile.ZipFile(file) as archive:
            parts = {member: archive.read(member) for member in archive.namelist()}
        with zipfile.ZipFile(file, "w") as archive:
            for member, content in (parts | {"pytorch_variables.pth": torch_bytes(told)}).items():
                archive.writestr(member, content)
        if wanted is not None:
            assert read(file).alpha == pytest.approx(wanted)
            continue
        with pytest.raises(RequestError, match="its weight of entropy is not finite"):
            read(file)
    spread = {"log_std": np.full(1, np.nan, np.float32)}
    with pytest.raises(RequestError, match="its spread of actions is not finite"):
        read(changed("sb3_ppo.zip", tmp_path, lambda state: state | spread))


def test_critics_of_sac_whose_rewards_were_normalised(tmp_path):
    """They were taken for critics of the raw reward; a policy that saw the raw one has no pickle beside it."""
    plain = read(shutil.copy(FILES / "sb3_sac.zip", tmp_path / "sb3_sac.zip"))
    shutil.copy(FILES / "normalised" / "vecnormalize.pkl", tmp_path)
    found, unit = read(tmp_path / "sb3_sac.zip"), np.sqrt(32.7070400974054)
    assert found.alpha == pytest.approx(unit * plain.alpha) and found.scale is not None
    for ours, theirs in zip(found.critics, plain.critics, strict=True):
        np.testing.assert_allclose(ours[-1][0], unit * theirs[-1][0], rtol=1e-6)
        np.testing.assert_array_equal(ours[0][0], theirs[0][0])


def test_the_bounds_of_actions_in_a_file_of_stable_baselines():
    for name in ("sb3_sac.zip", "sb3_ppo.zip"):
        found = read(FILES / name)
        assert found.low is not None and found.low.tolist() == [-3.0] and found.high.tolist() == [3.0]
        with pytest.raises(RequestError, match=r"actions whose low is \[-3.0\]"):
            require_fit(found, Narrow(), Path(name))


def test_a_normaliser_with_an_epsilon_of_its_own(tmp_path, monkeypatch):
    """And in the pickle of a newer Python (protocol 5)."""
    shutil.copy(FILES / "sb3_ppo.zip", tmp_path / "model.zip")
    (tmp_path / "vecnormalize.pkl").write_bytes(b"")
    rms, whole = Inert(), Inert()
    rms.state = pickled(pickle.dumps({"mean": np.ones(4), "var": np.full(4, 0.5), "count": 9.0}, protocol=5))
    whole.state = {"obs_rms": rms, "epsilon": 0.25, "clip_obs": 10.0}
    monkeypatch.setattr(foreign, "pickled", lambda content: whole if not content else None)
    assert read(tmp_path / "model.zip").scale.var + 1e-8 == pytest.approx(0.75)
    for wrong in (np.nan, -0.5):  # it acted by NaN, which ended the run
        rms.state["var"] = np.array([0.5, wrong, 0.5, 0.5])
        with pytest.raises(RequestError, match=r"vecnormalize\.pkl beside it is not finite"):
            read(tmp_path / "model.zip")


def test_an_archive_whose_places_are_beyond_all_files(monkeypatch):
    """zipfile adds places up, and seeks where no file can be."""

    def seek(*_, **__):
        raise OverflowError("Python int too large to convert to C ssize_t")

    content = (FILES / "cleanrl_sac.pt").read_bytes()
    monkeypatch.setattr(zipfile.ZipFile, "open", seek)
    with pytest.raises(ValueError, match="damaged or cut off"):
        torch_file(content)


def test_an_archive_that_unpacks_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "DATA", 2**16)
    with zipfile.ZipFile(tmp_path / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", b" " * 2**17)
        archive.writestr("policy.pth", b"")
    with pytest.raises(RequestError, match="its 'data' has 131,072 bytes, and at most 65,536 are read"):
        read(tmp_path / "model.zip")
