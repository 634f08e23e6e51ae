"""Another library's policy as a source agent: exactly where its networks have a counterpart, else by regression."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward import replay as rp
from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.draws import stream as draw
from transreward.engine.converted import imitated, judged, updates_for, walked
from transreward.engine.programs import programs
from transreward.evaluation.returns import evaluate
from transreward.learners.learner import Learner
from transreward.learners.sac import LOG_STD_HIGH, LOG_STD_LOW
from transreward.networks import Normaliser
from transreward.policies.foreign import Foreign, Linear, read
from transreward.presets import make_learner
from transreward.request.config import PLAIN
from transreward.request.resolve import count
from transreward.runs import store
from transreward.runs.source_agent import SourceAgent
from transreward.types import RequestError, Spaces, Steps

STEPS = 20_000  # source steps per seed: for the normaliser, the stored steps and, where there are none, the critics
WIDE = 1e6  # variance of a normaliser that clips nothing, until the policy's own observations are known
SPREAD = 0.2  # of half the range, of a policy that says nothing of its noise
EPISODES = 10


@dataclass(frozen=True)
class Adopted:
    """A source agent that was made of a policy's file, in a directory for `source_run`."""

    directory: Path
    library: str
    learner: str
    exact: bool  # its networks are the file's
    apart: float  # of its actions from the file's on the steps taken, in half-widths: the largest, or rms by regression
    returns: np.ndarray  # raw, in the source, [seeds, episodes]
    said: str  # what a user has to know of it

    def __str__(self) -> str:
        how = "exactly" if self.exact else f"by regression, to {self.apart:.2g} (rms, of half the range of actions)"
        many = f"in {self.returns.size} episodes, {self.returns.min():,.1f} to {self.returns.max():,.1f}"
        earned = f"it returns {self.returns.mean():,.1f} in the source ({many})"
        return f"{self.library}: as an agent of {self.learner}, {how}; {earned}{'; ' * bool(self.said)}{self.said}"


def adopt(
    file: str | Path,
    source: str | Domain,
    out: str | Path,
    *,
    seeds: int = 3,
    seed: int = 0,
    steps: int = STEPS,
    hidden: tuple[int, ...] | None = None,
    watch: Callable[[str], None] | None = None,
) -> Adopted:
    """Make a source agent of a policy that Stable-Baselines3 (SAC, PPO), CleanRL or rsl_rl trained, or of an ONNX
    graph, and leave it in the directory `out`, which `source_run` takes. No Python in the file is run.

    The policy takes `steps` in the source, at least one of each robot of its learner, which count as the agent's: they
    are its stored steps, and its critics learn from them what it is worth where the file has none. All seeds have the
    same policy. `hidden` are the widths of the networks where it is learned by regression (None: the preset's); else
    they are the file's. `watch` is called with a line for each part of the work, as it begins.

    Raises RequestError for numbers that are none, a file that is not read, one of another robot's columns, and a
    directory that is taken.
    """
    seeds, seed = count("seeds", seeds, seeds), count("seed", seed, seed, least=0)
    steps = count("source steps", steps, steps)
    path, robot, out = Path(file), domain(source), Path(out)
    foreign = read(path)
    require_fit(foreign, robot, path)
    if foreign.hidden and hidden is not None:
        raise RequestError(f"`hidden` is of what learns by regression, and {path} has its own networks: leave it out")
    learner = make_learner(foreign.learner, robot)
    if widths := foreign.hidden or hidden:
        learner = replace(learner, hidden=widths)  # type: ignore[type-var]
    store.vacant(out)
    try:
        tell = watch or (lambda line: None)
        agent, apart = _agent(foreign, learner, robot, list(range(seed, seed + seeds)), steps, tell)
        agent.save(out / "source")
        tell(f"it acts in {EPISODES} episodes of {robot.name}")
        act = programs(learner, PLAIN.compensation(), robot.spaces).act
        returns = evaluate(robot, act, agent.agents, agent.seeds, EPISODES).returns
        found = Adopted(out, foreign.library, foreign.learner, bool(foreign.actor), apart, returns, foreign.said)
        about = {"library": found.library, "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        about |= {"exact": found.exact, "apart": apart, "said": foreign.said, "source_return": float(returns.mean())}
        store.write_json(out / store.ADOPTED, {"schema": store.SCHEMA, **about})
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return found


def require_fit(foreign: Foreign, robot: Domain, path: Path) -> None:
    """Raise RequestError where a policy cannot be of a domain's robot."""
    spaces = robot.spaces
    if (foreign.obs, foreign.action) != (spaces.obs, spaces.action):
        raise RequestError(
            f"policy {path} maps {foreign.obs} observations to {foreign.action} actions, and '{robot.name}' has "
            f"{spaces.obs} and {spaces.action}: name the domain that it was trained in"
        )
    for name, theirs, own in (("low", foreign.low, spaces.low), ("high", foreign.high, spaces.high)):
        if theirs is not None and not np.allclose(theirs, own, rtol=1e-4, atol=1e-6):
            raise RequestError(
                f"policy {path} has actions whose {name} is {theirs.tolist()}, and '{robot.name}' {own.tolist()}"
            )


def _agent(
    foreign: Foreign, learner: Learner, robot: Domain, seeds: list[int], steps: int, tell: Callable[[str], None]
) -> tuple[SourceAgent, float]:
    """The agent, and how far its actions are from the policy's own."""
    compiled, spaces = programs(learner, PLAIN.compensation(), robot.spaces), robot.spaces
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    keys, fresh = compiled.next_keys(keys)
    states, controls = compiled.init(keys)[0], max(steps // learner.robots, 1)
    tell(f"the policy of {foreign.library} takes {controls * learner.robots:,} steps in {robot.name}, with each seed")
    if foreign.actor:
        wide = exact(foreign, learner, states, spaces, np.zeros(spaces.obs), np.full(spaces.obs, WIDE), 1.0)
        taken = walked(robot, learner, seeds, compiled.act, wide, fresh, controls)
        states, apart = _own_scale(foreign, learner, states, wide, taken, spaces)
    else:
        own = _regressed(foreign, spaces)
        taken = walked(robot, learner, seeds, lambda agents, obs, n: own(obs, n), states, fresh, controls)
        obs = taken.transition.obs.reshape(len(seeds), -1, spaces.obs)
        tell(f"an agent of {learner.name} learns its actions by regression")
        states, errors = imitated(learner, states, obs, own, spaces, draw(fresh, "uniform source"))
        apart = float(np.max(errors))
    replay, steps = None if learner.on_policy else rp.of(taken, spaces), controls * learner.robots
    if replay is not None and not foreign.critics:
        tell(f"critics learn what it is worth, in {updates_for(learner, steps):,} updates")
        states = judged(learner, states, replay, draw(fresh, "learner"), updates_for(learner, steps))
    elif not foreign.critics:
        warnings.warn(f"the file of {foreign.library} has no critic of its own: PPO's begins anew", stacklevel=3)
    return SourceAgent(robot.name, learner, states, replay, keys, steps, seeds, []), apart


def _own_scale(
    foreign: Foreign, learner: Learner, states: Any, wide: Any, taken: Steps, spaces: Spaces
) -> tuple[Any, float]:
    """The agent in the scale of the observations that it sees, which the loop goes on from, and how far that is from
    the file's own, which has none or that of a wrapper."""
    obs = np.asarray(taken.transition.obs, float).reshape(-1, spaces.obs)
    if foreign.scale is not None:
        mean, var, count = foreign.scale
    else:
        mean, var, count = obs.mean(0), obs.var(0), float(len(obs))
        var = np.where(var > 1e-12, var, 1.0)  # what never varies has its own unit
    found = exact(foreign, learner, states, spaces, mean, var, count)
    few = obs[:: max(len(obs) // 1_000, 1)].astype(np.float32)
    one = [learner.act(jax.tree.map(lambda x: x[0], s), few, None) for s in (found, wide)]
    return found, float(np.max(np.abs(np.asarray(one[0]) - np.asarray(one[1])) / spaces.half_width))


def _regressed(foreign: Foreign, spaces: Spaces) -> Any:
    """(obs [..., obs], noise or None) -> [..., action] of a policy of which only its actions are known."""
    assert foreign.act is not None
    act = foreign.act

    def own(obs: Any, noise: Any) -> np.ndarray:
        flat = np.asarray(obs, np.float32).reshape(-1, spaces.obs)
        found = np.clip(act(flat), spaces.low, spaces.high).reshape(*np.shape(obs)[:-1], spaces.action)
        return found if noise is None else found + SPREAD * spaces.half_width * np.asarray(noise)

    return own


# -- exactly -------------------------------------------------------------------------------------------------------


def exact(
    foreign: Foreign, learner: Learner, states: Any, spaces: Spaces, mean: np.ndarray, var: np.ndarray, count: float
) -> Any:
    """Agents [seeds, ...] that do as the file's policy does, with a normaliser of this mean and variance; what is not
    the file's own normaliser, if it has one, is folded into the networks."""
    unit, middle, theirs = np.sqrt(var + 1e-8), np.zeros(1), np.ones(1)
    if foreign.scale is not None:
        middle, theirs = foreign.scale.mean, np.sqrt(foreign.scale.var + 1e-8)
    actor, *critics = (_fold(net, (mean - middle) / theirs, unit / theirs) for net in (foreign.actor, *foreign.critics))
    seeds = len(jax.tree_util.tree_leaves(states)[0])

    def all_seeds(tree: Any) -> Any:
        return jax.tree.map(lambda x: jnp.tile(jnp.asarray(x, jnp.float32), (seeds, *[1] * np.ndim(x))), tree)

    scale = Normaliser(*all_seeds((mean, var, np.asarray(count))))
    if learner.name == "ppo":
        return _ppo(foreign, states._replace(normaliser=scale), actor, critics, spaces, all_seeds)
    return _sac(foreign, states._replace(normaliser=scale), actor, critics, all_seeds)


def _fold(net: tuple[Linear, ...], mean: np.ndarray, unit: np.ndarray) -> tuple[Linear, ...]:
    """A network whose first entries are given as (x - mean) / unit: it undoes that."""
    (weight, bias), n = net[0], len(mean)
    moved = weight.astype(float)
    offset = bias + mean @ moved[:n]
    moved = np.concatenate([unit[:, None] * moved[:n], moved[n:]])
    return ((moved, offset), *net[1:])


def _tree(net: tuple[Linear, ...]) -> list[dict[str, np.ndarray]]:
    return [{"w": weight, "b": bias} for weight, bias in net]


def _sac(foreign: Foreign, state: Any, actor: Any, critics: Any, all_seeds: Any) -> Any:
    assert isinstance(foreign.spread, tuple)
    mean, spread = actor[-1], foreign.spread
    if foreign.clipped:
        spread = _squashed(spread)
    head = np.concatenate([mean[0], spread[0]], axis=1), np.concatenate([mean[1], spread[1]])
    state = state._replace(actor=all_seeds(_tree((*actor[:-1], head))))
    if foreign.alpha:
        state = state._replace(log_alpha=all_seeds(np.log(foreign.alpha)))
    if not critics:
        return state
    both = jax.tree.map(lambda *x: np.stack(x), *(_tree(net) for net in critics))
    return state._replace(critics=all_seeds(both), slow_critics=all_seeds(both))


def _squashed(spread: Linear) -> Linear:
    """A layer of log standard deviations that are clipped, as one of those that are squashed into their range: equal
    at its bias, and to first order beside it."""
    at = np.clip(spread[1], LOG_STD_LOW + 0.1, LOG_STD_HIGH - 0.1)
    share = 2 * (at - LOG_STD_LOW) / (LOG_STD_HIGH - LOG_STD_LOW) - 1
    slope = 2 / (LOG_STD_HIGH - LOG_STD_LOW) / (1 - share**2)
    return spread[0] * slope, np.arctanh(share) + slope * (spread[1] - at)


def _ppo(foreign: Foreign, state: Any, actor: Any, critics: Any, spaces: Spaces, all_seeds: Any) -> Any:
    half, (weight, bias) = spaces.half_width.astype(float), actor[-1]
    head = weight / half, (bias - spaces.centre) / half
    networks = state.networks._replace(
        policy=all_seeds(_tree((*actor[:-1], head))), log_std=all_seeds(np.asarray(foreign.spread) - np.log(half))
    )
    if critics:
        networks = networks._replace(critic=all_seeds(_tree(critics[0])))
    return state._replace(networks=networks)
