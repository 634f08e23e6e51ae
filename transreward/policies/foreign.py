"""A policy of another library, and the readers of their files."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.logs.columns import listed
from transreward.policies.inert import Inert, array, content_of, member, pickled, torch_file
from transreward.types import RequestError

Linear = tuple[np.ndarray, np.ndarray]  # [in, out], [out]
READ = "actor_mean.0.weight (CleanRL's PPO), fc_mean.weight (its SAC) or model_state_dict (rsl_rl)"
BESIDE = "vecnormalize.pkl"  # of Stable-Baselines3, in the folder of the policy
DATA = 2**27  # bytes of its settings
EPSILON = 1e-8  # added to the variance of an observation
LEAST_ALPHA = 1e-8  # weight of entropy, whose logarithm is kept
SB3_WEIGHTS = {  # what its networks are called; with any other, such as a features extractor's, they compute more
    "sac": r"actor\.(latent_pi\.\d+|mu|log_std)\.\w+|critic(_target)?\.qf\d+\.\d+\.\w+",
    "ppo": r"mlp_extractor\.(policy|value)_net\.\d+\.\w+|(action|value)_net\.\w+|log_std",
}
RSL_RL = {  # of its versions to 2, of 3, and from 4 on -> the actor's layers, and its normaliser of observations
    "model_state_dict": ("actor", "actor_obs_normalizer"), "actor_state_dict": ("mlp", "obs_normalizer"),
}  # fmt: skip


class Scale(NamedTuple):
    """A normaliser: what is seen is (x - mean) / sqrt(var + 1e-8), clipped to +-10."""

    mean: np.ndarray  # [obs]
    var: np.ndarray  # [obs]
    count: float  # of the observations that it is of


@dataclass(frozen=True)
class Foreign:
    """What was read. With `actor` it becomes an agent of the learner `learner` exactly, else by regression on `act`."""

    library: str
    learner: str  # sac or ppo
    obs: int
    action: int
    actor: tuple[Linear, ...] = ()  # hidden layers (sac: ReLU, ppo: tanh), then the mean
    spread: Linear | np.ndarray | None = None  # sac: the layer of log std beside the mean; ppo: log std [action]
    clipped: bool = False  # log std is clipped to [-20, 2], as Stable-Baselines3 does; else squashed as here
    alpha: float = 0.0  # sac: the weight of entropy; 0 = not said
    critics: tuple[tuple[Linear, ...], ...] = ()  # sac: of (obs, action in [-1, 1]); ppo: of obs
    scale: Scale | None = None  # of observations, where they are normalised
    low: np.ndarray | None = None  # of actions, where the file says it
    high: np.ndarray | None = None
    act: Callable[[np.ndarray], np.ndarray] | None = None  # [n, obs] -> [n, action] in the robot's units
    said: str = ""  # what a user has to know of it

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(len(b) for _, b in self.actor[:-1])


PICKLE = re.compile(r"(^|/)data\.pkl$")  # in an archive of torch.save
FILES = "Stable-Baselines3's .zip (SAC, PPO), a state file of CleanRL or rsl_rl (torch.save), or an .onnx graph"


def read(path: Path) -> Foreign:
    """The policy in a file: Stable-Baselines3's .zip (SAC, PPO, with vecnormalize.pkl beside it), state files of
    CleanRL and rsl_rl (weights), ONNX. No Python in it is run: pickles are read as data, and onnxruntime computes a
    graph.

    Raises RequestError for what is none of them, and for networks that have no counterpart here.
    """
    try:
        if path.suffix == ".onnx":
            return _onnx(path)
        content = content_of(path)
        members = _members(content) if content[:2] == b"PK" else []
        if "policy.pth" in members:
            return _normalised(_sb3(content), path.parent / BESIDE)
        if members and not any(PICKLE.search(name) for name in members):
            raise RequestError(f"it is an archive of {listed(members)}, and no policy that can be read: name {FILES}")
        if (own := path.parent).joinpath("config.json").is_file() and path.suffix == ".safetensors":
            raise RequestError(f"it is a policy of this library: its run is taken up by `source_run={str(own)!r}`")
        if content[:2] != b"PK" and content[:1] != b"\x80":  # neither torch's archive nor a pickle
            raise RequestError(f"it is no policy that can be read: name {FILES}")
        return _state_file(torch_file(content))
    except RequestError as error:
        raise RequestError(f"policy {path}: {error}") from None
    except zipfile.BadZipFile:
        raise RequestError(f"policy {path}: it is damaged or cut off: copy it again") from None
    except Exception as error:  # a damaged file can fail in any way
        raise RequestError(f"policy {path}: {' '.join(str(error).split())[:300] or 'it cannot be read'}") from None


def _members(content: bytes) -> list[str]:
    """The names in an archive. Raises BadZipFile, also for one that was cut off behind an archive within it, whose list
    would be taken for its own."""
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    if content[30 : 30 + int.from_bytes(content[26:28], "little")].decode(errors="replace") not in names:
        raise zipfile.BadZipFile
    return names


def _linear(state: Mapping[str, Any], name: str) -> Linear:
    weight, bias = (state.get(f"{name}.{part}") for part in ("weight", "bias"))
    if not isinstance(weight, np.ndarray) or not isinstance(bias, np.ndarray) or weight.ndim != 2:
        raise ValueError(f"it has no layer {name}")
    found = weight.T.astype(np.float32), bias.astype(np.float32)
    _require_finite(f"its layer {name}", *found)
    return found


def _variance(var: np.ndarray) -> np.ndarray:
    """A variance, which is NaN where it is below 0."""
    return np.where(var < 0, np.nan, var)


def _require_finite(what: str, *found: Any) -> None:
    """Raise ValueError for numbers with which a policy would act, or learn, by what is none."""
    if not all(np.isfinite(x).all() for x in found):
        raise ValueError(f"{what} is not finite")


def _layers(state: Mapping[str, Any], prefix: str) -> tuple[Linear, ...]:
    """Those of a Sequential, in order."""
    numbers = sorted(int(m[1]) for key in state if (m := re.fullmatch(rf"{re.escape(prefix)}\.(\d+)\.weight", key)))
    return tuple(_linear(state, f"{prefix}.{i}") for i in numbers)


# -- Stable-Baselines3 ---------------------------------------------------------------------------------------------


def _sb3(content: bytes) -> Foreign:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        about, state = _settings(archive), torch_file(member(archive, "policy.pth"))
    if not isinstance(state, dict):
        raise ValueError("its policy.pth holds no weights by name, as Stable-Baselines3's does")
    for space in ("observation_space", "action_space"):
        if (kind := str((about.get(space) or {}).get(":type:") or "")) and ".Box'" not in kind:
            raise ValueError(f"its {space} is {kind[:60]}, and a Box is read: export it as ONNX")
    if about.get("use_sde"):
        raise ValueError("it explores by a state-dependent noise (use_sde), which is not read: export it as ONNX")
    kind = "sac" if "actor.mu.weight" in state else "ppo" if "action_net.weight" in state else ""
    if not kind:
        raise ValueError("it is neither SAC nor PPO with one vector as observation: export it as ONNX")
    _require_plain(about, {"sac": "ReLU", "ppo": "Tanh"}[kind])
    if more := [name for name in state if not re.fullmatch(SB3_WEIGHTS[kind], str(name))]:
        raise ValueError(f"it has further weights, {ascii(more[0])[:60]}, which are not read: export it as ONNX")
    if kind == "ppo":
        actor = (*_layers(state, "mlp_extractor.policy_net"), _linear(state, "action_net"))
        critic = (*_layers(state, "mlp_extractor.value_net"), _linear(state, "value_net"))
        spread = np.asarray(state["log_std"], np.float32).ravel()
        return _bounded(_of("Stable-Baselines3", "ppo", actor, spread, critics=(critic,)), about)
    actor = (*_layers(state, "actor.latent_pi"), _linear(state, "actor.mu"))
    critics = tuple(_layers(state, f"critic.qf{i}") for i in range(2))
    found = _of("Stable-Baselines3", "sac", actor, _linear(state, "actor.log_std"), critics=critics)
    return _bounded(replace(found, clipped=True, alpha=_alpha(content)), about)


def _settings(archive: zipfile.ZipFile) -> dict[str, Any]:
    """What Stable-Baselines3 keeps beside the weights. Raises ValueError for an archive of another library."""
    try:
        about = json.loads(member(archive, "data", DATA))
    except (KeyError, UnicodeDecodeError, json.JSONDecodeError):
        about = None
    if not isinstance(about, dict):
        raise ValueError("it has a policy.pth, and beside it no settings as Stable-Baselines3 keeps them, in JSON as "
                         "'data', so it is of another library: export it as ONNX")  # fmt: skip
    return about


def _bounded(found: Foreign, about: Mapping[str, Any]) -> Foreign:
    """With the bounds of actions, where the file says them."""
    stored = None
    with suppress(ValueError):  # then they are not compared
        stored = pickled(base64.b64decode((about.get("action_space") or {}).get(":serialized:") or b""))
    state = stored.state if isinstance(stored, Inert) and isinstance(stored.state, dict) else {}
    low, high = (array(state.get(name)) for name in ("low", "high"))
    if low is None or high is None or not (np.isfinite(low).all() and np.isfinite(high).all()):
        return found
    return replace(found, low=low.astype(float).ravel(), high=high.astype(float).ravel())


def _alpha(content: bytes) -> float:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if "pytorch_variables.pth" not in archive.namelist():
            return 0.0
        stored = torch_file(member(archive, "pytorch_variables.pth"))
    stored = stored if isinstance(stored, dict) else {}
    learned, fixed = (array(stored.get(name)) for name in ("log_ent_coef", "ent_coef_tensor"))
    found = fixed if learned is None else np.exp(learned)
    if found is None or found.size != 1:
        return 0.0
    _require_finite("its weight of entropy", found)
    return max(float(found.ravel()[0]), LEAST_ALPHA)


def _require_plain(about: Mapping[str, Any], wanted: str) -> None:
    """Raise ValueError where its weights do not tell what it computes: by another activation, or by a features
    extractor, which may scale observations without a weight of its own."""
    kwargs = about.get("policy_kwargs") or {}
    told, extracts = (
        kwargs.get(name) if isinstance(kwargs, dict) else None for name in ("activation_fn", "features_extractor_class")
    )
    if told is not None and f".{wanted}'" not in str(told):
        raise ValueError(f"its networks have {str(told)[:60]}, and {wanted} is read: export it as ONNX")
    if extracts is not None and ".FlattenExtractor'" not in str(extracts):
        raise ValueError(f"its features come from {str(extracts)[:60]}, which is not read: export it as ONNX")


def _normalised(found: Foreign, beside: Path) -> Foreign:
    """With the statistics of a VecNormalize, where they lie beside the policy."""
    if not beside.is_file():
        return found
    stored = pickled(content_of(beside))
    state = stored.state if isinstance(stored, Inert) and isinstance(stored.state, dict) else {}
    values, paid = (rms.state if isinstance(rms := state.get(name), Inert) and isinstance(rms.state, dict) else {}
                    for name in ("obs_rms", "ret_rms"))  # fmt: skip
    mean, var = (array(values.get(name)) for name in ("mean", "var"))
    if mean is None or var is None or mean.shape != (found.obs,) or var.shape != (found.obs,):
        raise ValueError(f"{beside.name} beside it has no statistics of {found.obs} observations")
    _require_finite(f"{beside.name} beside it", mean, _variance(var))
    if state.get("norm_reward") is True and found.learner == "sac":
        found = _in_raw_rewards(found, array(paid.get("var")))
    if state.get("norm_obs") is False:
        return found
    clip = float(state.get("clip_obs", 10.0))
    if clip != 10.0:
        raise ValueError(f"{beside.name} clips observations at {clip:g}, and 10 is read")
    count, epsilon = array(values.get("count")), array(state.get("epsilon", EPSILON))
    if epsilon is not None and epsilon.size == 1:
        var = var + float(epsilon) - EPSILON
    said = f"with the normaliser in {beside.name}"
    return replace(found, scale=Scale(mean, var, 1e4 if count is None else float(count)), said=said)


def _in_raw_rewards(found: Foreign, var: np.ndarray | None) -> Foreign:
    """SAC's critics and weight of entropy, which were in units of rewards over the spread of returns, in those of the
    reward."""
    if var is None or var.size != 1:
        return found
    _require_finite("the spread of its returns", _variance(var))
    unit = float(np.sqrt(var.ravel()[0] + EPSILON))
    critics = tuple((*net[:-1], (unit * net[-1][0], unit * net[-1][1])) for net in found.critics)
    return replace(found, critics=critics, alpha=unit * found.alpha)


# -- state files ---------------------------------------------------------------------------------------------------


def _state_file(found: Any) -> Foreign:
    """Of CleanRL (the agent's or the actor's state, alone or with the critics'), and of rsl_rl."""
    parts = [x for x in (found if isinstance(found, (tuple, list)) else [found]) if isinstance(x, dict)]
    state = next(iter(parts), None)
    if state is None:
        raise ValueError("it holds no weights by name: save a state_dict")
    for name, (actor, normaliser) in RSL_RL.items():
        if name in state:
            return _rsl_rl(state[name], actor, normaliser, state)
    if "actor_mean.0.weight" in state:
        actor, critic = _layers(state, "actor_mean"), _layers(state, "critic")
        spread = np.asarray(state["actor_logstd"], np.float32).ravel()
        said = (
            "its layers are taken to have tanh, as CleanRL's have, since a file of weights does not tell; CleanRL "
            "keeps the normaliser of observations outside of this file: if there was one, it is missing"
        )
        return replace(_of("CleanRL", "ppo", actor, spread, critics=(critic,) if critic else ()), said=said)
    if "fc_mean.weight" in state:
        hidden = sorted(key.removesuffix(".weight") for key in state if re.fullmatch(r"fc\d+\.weight", key))
        actor = (*(_linear(state, name) for name in hidden), _linear(state, "fc_mean"))
        made = _of("CleanRL", "sac", actor, _linear(state, "fc_logstd"), critics=())
        if not isinstance(state.get("action_scale"), np.ndarray):
            return made
        scale, middle = (np.asarray(state[name], float).ravel() for name in ("action_scale", "action_bias"))
        made = replace(made, low=middle - scale, high=middle + scale)
        critics = tuple(_in_shares(q, scale, middle) for q in parts[1:3] if "fc3.weight" in q)
        return _with_critics(made, critics if len(critics) == 2 else ())
    raise ValueError(
        f"its weights are called {', '.join(map(str, list(state)[:4]))}, ...; what is read is called {READ}: save "
        "them under these names, or export the policy as ONNX"
    )


def _rsl_rl(state: Mapping[str, Any], actor: str, normaliser: str, whole: Mapping[str, Any]) -> Foreign:
    """A Sequential with ELU, which has no counterpart here: by regression."""
    layers = _layers(state, actor)
    if not layers:
        raise ValueError(f"it has no layers {actor}.0, {actor}.2, ...")
    if more := [name for name in state if re.match(r"(memory_a|rnn|cnns?)\.", str(name))]:
        raise ValueError(f"it has further weights, {ascii(more[0])[:60]}, which are not read: export it as ONNX")
    rms = whole.get("obs_norm_state_dict") or {}
    mean, var = (array(state.get(f"{normaliser}.{name}", rms.get(name))) for name in ("_mean", "_var"))
    _require_finite("its normaliser", *([] if mean is None or var is None else [mean, _variance(var)]))

    def act(obs: np.ndarray) -> np.ndarray:
        x = obs if mean is None or var is None else (obs - mean.ravel()) / (np.sqrt(var.ravel()) + 0.01)
        for weight, bias in layers[:-1]:
            x = x @ weight + bias
            x = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        return x @ layers[-1][0] + layers[-1][1]

    said = "its networks have ELU, so it is learned by regression; actions count as the robot's own, without its scale"
    return Foreign("rsl_rl", "sac", len(layers[0][0]), len(layers[-1][1]), act=act, said=said)


def _of(library: str, learner: str, actor: tuple[Linear, ...], spread: Any, critics: Any) -> Foreign:
    sizes = len(actor[0][0]), len(actor[-1][1])
    if len(actor) < 2:
        raise ValueError("its policy has no hidden layer, and at least one is read")
    if isinstance(spread, np.ndarray):
        _require_finite("its spread of actions", spread)
    return _with_critics(Foreign(library, learner, *sizes, actor=actor, spread=spread), critics)


def _with_critics(made: Foreign, critics: tuple[tuple[Linear, ...], ...]) -> Foreign:
    """The policy with its critics, unless these are not as wide as it, as ours are."""
    widths = {tuple(len(b) for _, b in critic) for critic in critics}
    return replace(made, critics=critics) if widths == {(*made.hidden, 1)} else made


def _in_shares(state: Mapping[str, Any], scale: np.ndarray, middle: np.ndarray) -> tuple[Linear, ...]:
    """A critic of CleanRL, which sees actions in the robot's units, as one that sees them in [-1, 1]."""
    (weight, bias), *rest = (_linear(state, f"fc{i}") for i in (1, 2, 3))
    n = len(scale)
    moved = np.concatenate([weight[:-n], scale[:, None] * weight[-n:]]).astype(np.float32)
    return ((moved, (bias + middle @ weight[-n:]).astype(np.float32)), *rest)


# -- ONNX ----------------------------------------------------------------------------------------------------------


def _onnx(path: Path) -> Foreign:
    content_of(path)
    try:
        import onnxruntime as ort
    except ImportError:
        raise RequestError("the package onnxruntime is missing: pip install 'transreward[export]'") from None
    try:
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # of the package
        raise ValueError(f"onnxruntime cannot read it: {' '.join(str(error).split())[:120]}") from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1:
        raise ValueError(f"it has {len(inputs)} inputs, {listed(one.name for one in inputs)}, and is given the "
                         f"observations alone: make it a graph of one input [n, obs]")  # fmt: skip
    shapes = inputs[0].shape, outputs[0].shape
    if any(len(s) != 2 or not isinstance(s[1], int) for s in shapes):
        raise ValueError(f"it must map observations [n, obs] to actions [n, action], not {shapes[0]} to {shapes[1]}")
    if inputs[0].type != "tensor(float)":
        raise ValueError(f"its observations are {inputs[0].type}, and float32 is given: put a Cast before them")
    if outputs[0].type not in ("tensor(float)", "tensor(double)"):
        raise ValueError(f"its actions are {outputs[0].type}, such as the number of one, and real ones are read")
    single = isinstance(shapes[0][0], int)
    if single and shapes[0][0] != 1:
        raise ValueError(f"it takes {shapes[0][0]} observations at once: export it for any number n, or for 1")

    def act(obs: np.ndarray) -> np.ndarray:
        rows = np.asarray(obs, np.float32)
        parts = rows[:, None] if single else [rows]
        asked = [outputs[0].name]
        found = np.concatenate([np.asarray(session.run(asked, {inputs[0].name: part})[0]) for part in parts])
        if found.shape != (len(rows), shapes[1][1]) or not np.isfinite(found).all():
            what = f"{list(found.shape)} numbers" if np.isfinite(found).all() else "what is not finite"
            raise RequestError(f"to {len(rows)} observations it gives {what}: an action for each is wanted")
        return found

    act(np.zeros((2, shapes[0][1]), np.float32))
    said = "of an ONNX graph nothing but its actions is known, so it is learned by regression"
    return Foreign("ONNX", "sac", shapes[0][1], shapes[1][1], act=act, said=said)
