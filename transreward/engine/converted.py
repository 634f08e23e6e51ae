"""Another learner's source agent, taken over: PPO's becomes SAC's, so that no method and source agent fail to fit.

Weights cannot be carried over, since the two squash actions differently and have other layers. The policy is learned by
regression on the states that it visits, and the critics by policy evaluation on the same steps, which are counted and
become the agent's stored steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from transreward import replay as rp
from transreward.domains.across import own
from transreward.domains.domain import Domain, stored_terms
from transreward.draws import stream as draw
from transreward.engine.programs import programs
from transreward.learners.learner import Learner
from transreward.replay import Replay
from transreward.request.budgets import conversion_steps
from transreward.request.config import PLAIN, Config
from transreward.runs.source_agent import SourceAgent
from transreward.streams.choice import Act
from transreward.streams.guarded import NO_LIMITS, Limits
from transreward.streams.stream import Stream
from transreward.streams.walk import Walk
from transreward.types import Adjusted, Array, Key, Pair, Spaces, Steps, Transition


def converted(config: Config, agent: SourceAgent) -> SourceAgent:
    """The agent as one of the request's learner: the same policy, up to an error that a warning tells, and critics of
    its own. Its stored steps are `conversion_steps` that the old policy takes in the source, with its noise; there are
    as many updates of the critics as the learner makes with so many steps."""
    source, learner = own(config.domains.source), config.learner
    old, new = (programs(one, PLAIN.compensation(), source.spaces) for one in (agent.learner, learner))
    keys, fresh = new.next_keys(agent.keys)
    controls = conversion_steps(config, agent.steps) // learner.robots
    steps = walked(
        source, learner, config.seed_list, old.act, agent.agents, fresh, controls, config.loop.threads,
        config.loop.limits,
    )  # fmt: skip
    obs = steps.transition.obs.reshape(config.seeds, -1, source.spaces.obs)
    act = partial(old.act, agent.agents)
    states, apart = imitated(learner, new.init(agent.keys)[0], obs, act, source.spaces, draw(fresh, "uniform source"))
    replay = rp.of(steps, source.spaces)
    taken = controls * learner.robots
    states = judged(learner, states, replay, draw(fresh, "learner"), updates_for(learner, taken))
    warnings.warn(
        f"the source agent of {config.source_run} was trained with {agent.learner.name}, and {learner.name} takes it "
        f"over: from {taken:,} more source steps it learned the same actions to {np.max(apart):.2f} (rms, of half "
        f"their range), and what they are worth",
        stacklevel=2,
    )
    return SourceAgent(
        agent.source, learner, states, replay, keys, agent.steps + taken, agent.seeds, agent.log, agent.evaluated
    )


def walked(
    source: Domain,
    learner: Learner,
    seeds: list[int],
    act: Act,
    agents: Any,
    keys: Key,
    controls: int,
    threads: int = 0,
    limits: Limits = NO_LIMITS,
) -> Steps:
    """So many control steps of the learner's robots in the source, [seeds, controls, robots], with the noise of these
    keys, as the robots executed them."""
    stream = Stream("source", "walk", "source", "source", learner.robots, terms=len(stored_terms(source)))
    walk = Walk(stream, source, seeds, threads, limits=limits)
    noise = programs(learner, PLAIN.compensation(), source.spaces).noise(
        draw(keys, "noise source"), controls, learner.robots
    )
    return executed(walk.collect(act, agents, noise, controls), source.spaces)


def updates_for(learner: Learner, steps: int) -> int:
    """Gradient updates that the learner makes with so many source steps."""
    return -(-steps // learner.round_steps(False)) * learner.updates_per_round


def executed(steps: Steps, spaces: Spaces) -> Steps:
    """Steps whose actions are those that the robot executed: a draw of a learner that does not squash may leave the
    box."""
    t = steps.transition
    return steps._replace(transition=t._replace(action=np.clip(t.action, spaces.low, spaces.high)))


def imitated(
    learner: Learner, states: Any, obs: np.ndarray, act: Callable[..., Array], spaces: Spaces, keys: Key
) -> tuple[Any, np.ndarray]:
    """States [seeds] of the learner that do as `act(obs, noise)` does at obs [seeds, n, obs], and how far they are
    apart."""
    mode = np.asarray(act(obs, None))
    high, low = (np.asarray(act(obs, sign * np.ones_like(mode))) for sign in (1, -1))
    spread = np.median(high - low, axis=1) / 2 / spaces.half_width
    states, apart = jax.jit(jax.vmap(learner.imitate))(states, obs, mode, spread, keys)
    return states, np.asarray(apart)


def judged(learner: Learner, states: Any, replay: Replay, keys: Key, updates: int) -> Any:
    """The states after so many updates of what their policies are worth, by raw rewards."""

    def raw(t: Transition) -> Adjusted:
        return Adjusted(t.reward, np.ones(t.reward.shape, np.float32))

    def one(state: Any, replay: Replay, key: Array) -> Any:
        sample = rp.windows(Pair(replay, None), 0.0, replay.spaces)
        return learner.judge(state, sample, lambda steps: steps.map(raw), key, updates=updates)[0]

    judge: Callable[..., Any] = jax.jit(jax.vmap(one, in_axes=(0, replay.axes, 0)))
    return judge(states, replay, keys)
