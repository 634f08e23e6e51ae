"""A run's policy as a file that Stable-Baselines3 loads, written without it and without torch.

SAC and PPO have the same networks there, so weights are moved and nothing is learned. What Stable-Baselines3 does not
do, the networks do: our normaliser of observations, (x - mean) / unit clipped to +-10, is folded into the first layer.
Where the policy's own observations leave that range, SAC's networks get one or two layers more, which clip: with ReLU,
clip(z) = relu(z + 10) - relu(z - 10) - 10. tanh cannot, so PPO is then refused.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from transreward import __version__
from transreward.domains.domain import Domain
from transreward.interruption import whole
from transreward.learners.offline import Offline
from transreward.learners.ppo import PPO
from transreward.learners.sac import LOG_STD_HIGH, LOG_STD_LOW, SAC
from transreward.networks import mlp_init
from transreward.policies.foreign import Linear
from transreward.policies.torch_file import torch_bytes
from transreward.reports.contract import LIMIT
from transreward.reports.export import agent_of, opened, walked
from transreward.runs import store
from transreward.runs.result import Result, load
from transreward.types import BrokenRun, RequestError, Spaces

CLIP = 10.0  # of a normalised observation, see networks.Normaliser
VERSION = "2.9.2"  # of Stable-Baselines3, whose files these are like
POLICIES = {
    "SAC": b"cstable_baselines3.sac.policies\nSACPolicy\n.",
    "PPO": b"cstable_baselines3.common.policies\nActorCriticPolicy\n.",
}
NO_CRITICS = "its critics have no counterpart there and begin anew"


class ForSB3(NamedTuple):
    """The file that was written, and how far its actions are from the policy's."""

    path: Path
    algorithm: str  # SAC or PPO: the class that loads it
    max_error: float  # see contract.LIMIT
    states: int  # of the policy's own episodes, on which it is compared
    layers: int  # that were put before its networks, to clip observations
    said: str  # what a user has to know of it; empty: nothing


class Networks(NamedTuple):
    """A policy whose first layers see normalised observations, then what else there is."""

    algorithm: str
    actor: tuple[Linear, ...]  # the last layer's outputs are means
    spread: Linear | np.ndarray  # SAC: the layer of the logarithm of the spread; PPO: the logarithm [action]
    critics: tuple[tuple[Linear, ...], ...]
    slow_critics: tuple[tuple[Linear, ...], ...]
    log_alpha: float
    settings: dict[str, Any]  # of the algorithm, under its names
    said: str


class Clipped(NamedTuple):
    """Layers that are put before a network; their outputs, x @ `weight` + `bias`, are its normalised inputs."""

    layers: tuple[Linear, ...]
    weight: np.ndarray
    bias: np.ndarray


def export_sb3(directory: str | Path, out: str | Path, seed: int = 0) -> ForSB3:
    """Write the policy of one seed (counted from 0) of a run as a .zip of Stable-Baselines3, for `SAC.load(out)` or
    `PPO.load(out)`, whose `predict(obs, deterministic=True)` takes raw observations and gives the policy's actions.

    Raises:
        RequestError: no finished run, no such seed, a policy that has no counterpart there, or a file that is there.
        BrokenRun: the actions differ by more than contract.LIMIT; nothing is written then.
    """
    path, run = Path(out), load(directory)
    if path.suffix != ".zip":
        raise RequestError(f"`out` {path} must name a file that ends in .zip")
    if path.exists():
        raise RequestError(f"{path} is there already: remove it, or name another file")
    store.require_writable(path, makes=True)
    of, state = opened(run, seed), agent_of(run, seed)
    found, spaces = networks(run, state), of.target.spaces
    mean, unit = np.asarray(state.normaliser.mean, float), np.sqrt(np.asarray(state.normaliser.var, float) + 1e-8)
    with jax.default_matmul_precision("highest"):
        states = walked(of, run, seed).states
        wanted = np.asarray(run.policy(seed)(states), float)
    made, depth, error = fitted(found, mean, unit, states, wanted, spaces)
    if not error < LIMIT:
        _refuse(error, found.algorithm, np.abs((states - mean) / unit).max())
    content = archive(made, of.target, run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as place:
            place.write_bytes(content)
    except OSError as problem:
        raise RequestError(f"{path} cannot be written: {problem.strerror}") from None
    return ForSB3(path, found.algorithm, error, len(states), depth, found.said)


def _refuse(error: float, algorithm: str, far: float) -> None:
    if algorithm == "PPO" and far > CLIP:
        raise RequestError(
            f"this policy clips observations {CLIP:g} standard deviations from their mean, its own are up to {far:.3g} "
            f"away, and a network of tanh cannot clip: export it as ONNX"
        )
    raise BrokenRun(f"the networks for Stable-Baselines3 differ from the policy by {error:.1e}: nothing was written")


# -- what a learner's networks are there ---------------------------------------------------------------------------


def networks(run: Result, state: Any) -> Networks:
    """The networks of one agent. Raises RequestError for a learner that has no counterpart."""
    learner = run.learner
    if isinstance(learner, SAC):
        return _sac(learner, state)
    if isinstance(learner, PPO):
        return _ppo(learner, state)
    if isinstance(learner, Offline):
        return _offline(learner, state)
    raise RequestError(f"Stable-Baselines3 has SAC and PPO, and no counterpart of '{learner.name}': export it as ONNX")


def _linears(layers: Any) -> tuple[Linear, ...]:
    return tuple((np.asarray(layer["w"], float), np.asarray(layer["b"], float)) for layer in layers)


def _each(stacked: Any) -> tuple[tuple[Linear, ...], ...]:
    """Networks that are stacked along the first axis."""
    return tuple(_linears(jax.tree.map(lambda x, i=i: x[i], stacked)) for i in range(len(stacked[0]["b"])))


def _sac(learner: SAC, state: Any) -> Networks:
    *hidden, (weight, bias) = _linears(state.actor)
    n = weight.shape[1] // 2
    spread = _unsquashed(weight[:, n:], bias[n:])
    critics, slow, said = _each(state.critics), _each(state.slow_critics), ""
    if learner.layer_norm:
        critics, said = _fresh(len(critics), state, learner.hidden, n), NO_CRITICS
        slow = critics
    settings = {
        "gamma": learner.discount, "tau": learner.polyak, "batch_size": learner.batch, "target_entropy":
        learner.target_entropy * n, "learning_rate": learner.learning_rate,
    }  # fmt: skip
    actor = (*hidden, (weight[:, :n], bias[:n]))
    return Networks("SAC", actor, spread, critics, slow, float(state.log_alpha), settings, said)


def _unsquashed(weight: np.ndarray, bias: np.ndarray) -> Linear:
    """A layer of log spreads that are squashed into their range, as one of those that are clipped: equal at its bias,
    and to first order beside it."""
    half = (LOG_STD_HIGH - LOG_STD_LOW) / 2
    share = np.tanh(bias)
    return weight * half * (1 - share**2), LOG_STD_LOW + half * (share + 1)


def _offline(learner: Offline, state: Any) -> Networks:
    """A normal around a squashed mean: SAC's actor, whose spread is the same in every state."""
    import jax.numpy as jnp

    actor = _linears(state.params["actor"]["layers"])
    width, n = actor[-1][0].shape
    _, spread = learner.policy(state.params["actor"], jnp.zeros(len(actor[0][0])))
    critics = _fresh(2, state, learner.hidden, n)
    settings = {
        "gamma": learner.discount, "batch_size": learner.batch, "learning_rate": learner.learning_rate,
        "target_entropy": -float(n),  # as a number: its word for this asks for an environment
    }  # fmt: skip
    log_std = np.zeros((width, n)), np.broadcast_to(np.asarray(spread, float), (n,))
    return Networks("SAC", actor, log_std, critics, critics, float(np.log(0.2)), settings, NO_CRITICS)


def _fresh(number: int, state: Any, hidden: tuple[int, ...], actions: int) -> tuple[tuple[Linear, ...], ...]:
    sizes = (len(state.normaliser.mean) + actions, *hidden, 1)
    return tuple(_linears(mlp_init(key, sizes)) for key in jax.random.split(jax.random.key(0), number))


def _ppo(learner: PPO, state: Any) -> Networks:
    """Means in units of the action itself, values in those of the reward."""
    half, centre = np.asarray(state.half_width, float), np.asarray(state.centre, float)
    scale = np.sqrt(float(state.returns.var[0]) + 1e-8) if learner.normalise_reward else 1.0
    *hidden, (weight, bias) = _linears(state.networks.policy)
    *inner, (value, offset) = _linears(state.networks.critic)
    settings = {
        "gamma": learner.discount, "gae_lambda": learner.gae_lambda, "n_epochs": learner.epochs, "learning_rate":
        learner.learning_rate, "ent_coef": learner.entropy_weight, "vf_coef": learner.value_weight, "max_grad_norm":
        learner.max_grad_norm,
    }  # fmt: skip
    actor, critic = (*hidden, (weight * half, bias * half + centre)), (*inner, (value * scale, offset * scale))
    spread = np.asarray(state.networks.log_std, float) + np.log(half)
    return Networks("PPO", actor, spread, (critic,), (), 0.0, settings, "")


# -- the normaliser ------------------------------------------------------------------------------------------------


def clipped(mean: np.ndarray, unit: np.ndarray, more: int, depth: int) -> Clipped:
    """Layers that normalise observations [obs] and pass `more` entries of [-1, 1] on. `depth` 0: nothing is clipped;
    1: the layer clips; 2: the mean is subtracted in a layer of its own, so that a column which hardly varies keeps its
    digits."""
    n, scale, same = len(mean), np.diag(1 / unit), np.eye(len(mean))
    layers: list[Linear] = []
    if depth == 0:
        weight, bias = scale, -mean / unit
    else:
        weight, bias = np.concatenate([same, -same]), np.full(n, -CLIP)
        if depth == 1:
            layers = [
                (np.concatenate([scale, scale], axis=1), np.concatenate([CLIP - mean / unit, -CLIP - mean / unit]))
            ]
        else:
            both = np.concatenate([scale, scale], axis=1)
            layers = [
                (np.concatenate([same, -same], axis=1), np.concatenate([-mean, mean])),
                (np.concatenate([both, -both]), np.repeat([CLIP, -CLIP], n)),
            ]
    raised = [1.0, *[0.0] * (depth - 1)][:depth]  # actions are lifted above 0 once, so that ReLU lets them pass
    layers = [
        (_beside(w, np.eye(more)), np.append(b, np.full(more, up))) for (w, b), up in zip(layers, raised, strict=True)
    ]
    return Clipped(tuple(layers), _beside(weight, np.eye(more)), np.append(bias, np.full(more, -float(depth > 0))))


def _beside(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A block-diagonal matrix."""
    top = np.concatenate([one, np.zeros((one.shape[0], other.shape[1]))], axis=1)
    return np.concatenate([top, np.concatenate([np.zeros((other.shape[0], one.shape[1])), other], axis=1)])


def fitted(
    of: Networks, mean: np.ndarray, unit: np.ndarray, states: np.ndarray, wanted: np.ndarray, spaces: Spaces
) -> tuple[Networks, int, float]:
    """The plainest networks of raw observations that give the `wanted` actions [n, action] in `states` [n, obs], how
    many layers clip in them, and how far their actions are off; the deepest, where none does."""
    made, depth, error = of, 0, np.inf
    for depth in range(3 if of.algorithm == "SAC" else 1):
        made = before(of, mean, unit, depth)
        apart = np.abs(executed(made, states, spaces) - wanted) / np.maximum(spaces.half_width, 1.0)
        error = float(np.max(apart))
        if error < LIMIT:
            break
    return made, depth, error


def before(of: Networks, mean: np.ndarray, unit: np.ndarray, depth: int) -> Networks:
    """Networks of raw observations: with the normaliser inside, clipped with `depth` layers."""

    def raw(net: tuple[Linear, ...]) -> tuple[Linear, ...]:
        (weight, bias), *rest = net
        first = clipped(mean, unit, len(weight) - len(mean), depth)
        return (*first.layers, (first.weight @ weight, bias + first.bias @ weight), *rest)

    return of._replace(
        actor=raw(of.actor),
        critics=tuple(raw(net) for net in of.critics),
        slow_critics=tuple(raw(net) for net in of.slow_critics),
    )


def executed(of: Networks, states: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Actions [n, action] as Stable-Baselines3 computes them, in float32."""
    x, activation = states, np.tanh if of.algorithm == "PPO" else lambda x: np.maximum(x, np.float32(0))
    for i, (weight, bias) in enumerate(of.actor):
        x = x @ weight.astype(np.float32) + bias.astype(np.float32)
        x = x if i == len(of.actor) - 1 else activation(x)
    low, high = spaces.low.astype(np.float32), spaces.high.astype(np.float32)
    return np.clip(x, low, high) if of.algorithm == "PPO" else low + np.float32(0.5) * (np.tanh(x) + 1) * (high - low)


# -- the file ------------------------------------------------------------------------------------------------------


def archive(of: Networks, target: Domain, run: Result) -> bytes:
    """The .zip, which holds the settings as JSON, and weights and optimisers as files of torch."""
    state, data, optimisers = {"SAC": _sac_parts, "PPO": _ppo_parts}[of.algorithm](of)
    low, high = target.spaces.low.astype(np.float32), target.spaces.high.astype(np.float32)
    boxes = {
        "policy_class": POLICIES[of.algorithm],
        "observation_space": _box(np.full(target.spaces.obs, -np.inf), np.full(target.spaces.obs, np.inf)),
        "action_space": _box(low, high),
    }
    about: dict[str, Any] = {
        key: {":type:": "", ":serialized:": base64.b64encode(value).decode()} for key, value in boxes.items()
    }
    about |= {"verbose": 0, "n_envs": 1, "num_timesteps": sum(run.steps), "use_sde": False, **data, **of.settings}
    variables = OrderedDict(log_ent_coef=np.array([of.log_alpha])) if of.algorithm == "SAC" else OrderedDict()
    parts = {"data": json.dumps(about, indent=4).encode(), "pytorch_variables.pth": torch_bytes(variables)}
    parts["policy.pth"] = torch_bytes(OrderedDict(state))
    rate = of.settings["learning_rate"]
    parts |= {f"{name}.pth": torch_bytes(_adam(rate, *sizes)) for name, sizes in optimisers.items()}
    parts |= {"_stable_baselines3_version": VERSION.encode()}
    parts |= {"system_info.txt": f"written by TransReward {__version__}\n".encode()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as found:
        for name, part in parts.items():
            found.writestr(zipfile.ZipInfo(name), part)
    return file.getvalue()


def _box(low: np.ndarray, high: np.ndarray) -> bytes:
    """A pickle of Gymnasium's own box, which is what Stable-Baselines3 keeps."""
    from gymnasium.spaces import Box

    return pickle.dumps(Box(low, high, dtype=low.dtype.type), protocol=4)


def _adam(rate: float, parameters: int, epsilon: float) -> dict[str, Any]:
    """The state of a fresh Adam of so many parameters."""
    group = {"lr": rate, "betas": (0.9, 0.999), "eps": epsilon, "weight_decay": 0, "amsgrad": False}
    return {"state": {}, "param_groups": [{**group, "params": list(range(parameters))}]}


Parts = tuple[dict[str, np.ndarray], dict[str, Any], dict[str, tuple[int, float]]]


def _named(prefix: str, layers: Sequence[Linear]) -> dict[str, np.ndarray]:
    """Weights of a Sequential with an activation after each layer."""
    return {k: v for i, layer in enumerate(layers) for k, v in _layer(f"{prefix}.{2 * i}", layer).items()}


def _layer(name: str, layer: Linear) -> dict[str, np.ndarray]:
    weight, bias = layer
    return {f"{name}.weight": weight.T.astype(np.float32), f"{name}.bias": bias.astype(np.float32)}


def _widths(net: Sequence[Linear]) -> list[int]:
    return [len(bias) for _, bias in net[:-1]]


def _sac_parts(of: Networks) -> Parts:
    """Weights, settings, and of each optimiser how many parameters it has."""
    assert isinstance(of.spread, tuple)
    state = _named("actor.latent_pi", of.actor[:-1])
    state |= _layer("actor.mu", of.actor[-1]) | _layer("actor.log_std", of.spread)
    actor = len(state)
    for name, critics in (("critic", of.critics), ("critic_target", of.slow_critics)):
        for i, net in enumerate(critics):
            state |= _named(f"{name}.qf{i}", net)
    shape = {"pi": _widths(of.actor), "qf": _widths(of.critics[0])}
    data = {"policy_kwargs": {"net_arch": shape, "n_critics": len(of.critics), "use_sde": False}, "ent_coef": "auto"}
    sizes = {"actor.optimizer": actor, "critic.optimizer": 2 * sum(map(len, of.critics)), "ent_coef_optimizer": 1}
    return state, data, {name: (n, 1e-8) for name, n in sizes.items()}


def _ppo_parts(of: Networks) -> Parts:
    """As `_sac_parts`."""
    assert isinstance(of.spread, np.ndarray)
    (critic,) = of.critics
    state = {"log_std": of.spread.astype(np.float32)}
    state |= _named("mlp_extractor.policy_net", of.actor[:-1]) | _named("mlp_extractor.value_net", critic[:-1])
    state |= _layer("action_net", of.actor[-1]) | _layer("value_net", critic[-1])
    shape = {"net_arch": {"pi": _widths(of.actor), "vf": _widths(critic)}}
    return state, {"policy_kwargs": shape}, {"policy.optimizer": (len(state), 1e-5)}
