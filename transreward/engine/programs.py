"""The compiled programs of the loop: each is jitted once and runs all seeds under vmap."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from transreward import replay as rp
from transreward.draws import stream
from transreward.learners.learner import Learner, Sample
from transreward.replay import Replay
from transreward.types import SHOWN, Adjusted, Array, Drawn, Key, Metrics, Pair, Spaces, Steps, Transition
from transreward.uses.compensation import Compensation

# Acting takes little time: dispatched to another thread, it would mostly wait for that thread to wake.
jax.config.update("jax_cpu_enable_async_dispatch", False)


class Asked(NamedTuple):
    """What a compensation may query besides the learner; each leaf [seeds, ...]."""

    agents: Any = None  # the source agents' state
    policies: Any = None  # the same of each source, in their order, where all of them are asked
    model: Any = None  # of the source, if its simulator cannot be put into a state: see `Model.one` in twin.py
    explained: Any = None  # [seeds]: see `Grounded.explained` in grounding.py; None: the source is as it is


NOBODY = Asked()


@lru_cache(maxsize=32)
def programs(learner: Learner, compensation: Compensation, spaces: Spaces) -> Programs:
    """The programs of one learner with one compensation, cached so that a process compiles them once."""
    return Programs(learner, compensation, spaces)


class Programs:
    """See `programs`. `traces` counts compilations by name, for tests that there is one of each."""

    def __init__(self, learner: Learner, compensation: Compensation, spaces: Spaces) -> None:
        self.learner, self.compensation, self.spaces = learner, compensation, spaces
        self.traces: dict[str, int] = {}
        self.next_keys = jax.jit(jax.vmap(lambda key: tuple(jax.random.split(key))))
        self.act = jax.jit(self._act_)
        self._noise = jax.jit(self._noise_, static_argnums=(1, 2))
        self.see = jax.jit(jax.vmap(learner.see))
        self._improve = jax.jit(self._improve_, static_argnames=("updates", "target_share", "anneal"))
        self._compensate = jax.jit(self._compensate_, static_argnames=("updates", "batch"), donate_argnums=0)
        self._look = jax.jit(self._look_)
        self.correct = jax.jit(jax.vmap(self._correct_))
        self._visited = jax.jit(self._visited_, static_argnums=2)

    # -- acting --------------------------------------------------------------------------------------------------

    def _act_(self, agents: Any, obs: Array, noise: Array | None) -> Array:
        """[seeds, robots, obs] -> [seeds, robots, action]; `noise` [seeds, robots, action] is normal, None = mode."""
        if noise is not None:
            self._traced("explore")
        return jax.vmap(self.learner.act)(agents, obs, noise)

    def noise(self, keys: Key, steps: int, robots: int) -> np.ndarray:
        """Standard normal noise of a rollout, [seeds, steps, robots, action]. Drawn at once: a draw in every step would
        take longer than the policy."""
        return np.asarray(self._noise(keys, steps, robots))

    def _noise_(self, keys: Key, steps: int, robots: int) -> Array:
        def at(key: Key, step: Array) -> Array:
            return jax.random.normal(jax.random.fold_in(key, step), (robots, self.spaces.action))

        return jax.vmap(jax.vmap(at, (None, 0)), (0, None))(keys, jnp.arange(steps))

    # -- learning ------------------------------------------------------------------------------------------------

    def init(self, keys: Key) -> tuple[Any, Any]:
        """Initial states of learner and compensation, [seeds, ...]. Their random streams are separate, so that a
        compensation without effect leaves the learner unchanged bit for bit."""
        agents = started(self.learner, self.spaces, stream(keys, "learner"))
        states = started(self.compensation, self.spaces, stream(keys, "compensation"))
        return agents, states

    def improve(
        self,
        agents: Any,
        state: Any,
        data: Pair,
        keys: Key,
        asked: Asked = NOBODY,
        done: float = 0.0,
        *,
        updates: int,
        target_share: float,
        anneal: float = 0.0,
        scale: Array | None = None,
    ) -> tuple[Any, Metrics]:
        """The learner's updates on the compensated reward; `done` in [0, 1] is the progress of the transfer, over the
        first `anneal` of which the share of target steps grows from 0 to `target_share`. `scale` [seeds, tasks]: see
        `replay.sample_windows`."""
        shares = {"target_share": target_share, "anneal": anneal}
        return self._improve(agents, state, data, keys, asked, np.float32(done), scale, updates=updates, **shares)

    def _improve_(
        self,
        agents: Any,
        state: Any,
        data: Pair,
        keys: Key,
        asked: Asked,
        done: Array,
        scale: Array | None,
        updates: int,
        target_share: float,
        anneal: float,
    ) -> Any:
        self._traced("improve")
        share = target_share * jnp.minimum(done / anneal, 1.0) if anneal else target_share

        def one(agent: Any, state: Any, data: Pair, key: Key, asked: Asked, scale: Any) -> tuple[Any, Metrics]:
            extra = self._extra(agent, asked, done)
            adjust = partial(self.compensation.adjust, state, **extra)
            shaping = self.compensation.shape(state, **extra)
            sample = self._newest(data) if self.learner.on_policy else rp.windows(data, share, self.spaces, scale)
            return self.learner.improve(agent, sample, adjust, shaping, key, updates=updates, done=done)

        axes = data.map(lambda d: 0 if self.learner.on_policy or d is None else d.axes)
        return jax.vmap(one, in_axes=(0, 0, axes, 0, 0, 0))(agents, state, data, keys, asked, scale)

    def _newest(self, rollouts: Pair[Transition | None]) -> Sample:
        """The `Sample` of an on-policy learner: the newest rollouts, whole."""
        none = rp.no_steps(self.spaces, 0, 0).transition
        return lambda key, n, length: Drawn(rollouts.map(lambda steps: none if steps is None else steps))

    def _extra(self, agent: Any, asked: Asked, done: Array) -> dict[str, Any]:
        """The extras of a compensation besides a batch: see `wanted` in gaps/gap.py."""
        return {
            "value": partial(self.learner.value, agent),
            "source_value": None if asked.agents is None else partial(self.learner.value, asked.agents),
            "act": lambda obs: self.learner.act(agent, obs, None),
            "source_q": None if asked.agents is None else partial(self.learner.q, asked.agents),
            "source_act": None if asked.agents is None else lambda obs: self.learner.act(asked.agents, obs, None),
            "source_acts": None if asked.policies is None else partial(self._acts, asked.policies),
            "source_model": asked.model,
            "explained": asked.explained,
            "discount": self.learner.discount,
            "done": done,
            **dict.fromkeys(SHOWN),
        }

    def _acts(self, policies: Sequence[Any], obs: Array) -> Array:
        """What each of several agents would do without noise: [n, obs] -> [agents, n, action]."""
        return jnp.stack([self.learner.act(one, obs, None) for one in policies])

    def compensate(
        self,
        state: Any,
        replays: Pair,
        keys: Key,
        agents: Any,
        asked: Asked = NOBODY,
        shown: dict[str, Replay] | None = None,
        done: float = 0.0,
        *,
        updates: int,
        batch: int,
    ) -> tuple[Any, Metrics]:
        """The gap's updates, and metrics of its quality on held-out steps. The buffers of `state` are donated.

        `shown`: further replays, by the names in SHOWN. Row i of a counterpart is row i of the target's replay as the
        source's simulator took it.
        """
        share = np.float32(done)
        return self._compensate(state, replays, keys, agents, asked, shown or {}, share, updates=updates, batch=batch)

    def _compensate_(
        self,
        state: Any,
        replays: Pair,
        keys: Key,
        agents: Any,
        asked: Asked,
        shown: dict[str, Replay],
        done: Array,
        updates: int,
        batch: int,
    ) -> Any:
        self._traced("compensate")

        def one(state: Any, replays: Pair, key: Key, agent: Any, asked: Asked, shown: Any) -> tuple[Any, Metrics]:
            extra = self._extra(agent, asked, done)

            def draw(key: Key, part: str) -> tuple[Pair[Any], dict[str, Any]]:
                source_key, target_key, demonstration_key = jax.random.split(key, 3)

                def steps(replay: Replay, key: Key) -> Steps:
                    return rp.sample(replay, key, batch, part)

                keys = {"counterpart": target_key, "demonstrations": demonstration_key}
                both = Pair(steps(replays.source, source_key), steps(replays.target, target_key))
                more = {name: steps(replay, keys[name]).transition for name, replay in shown.items()}
                return both.map(lambda x: x.transition), {**extra, "terms": both.map(lambda x: x.terms), **more}

            def step(state: Any, key: Key) -> tuple[Any, Metrics]:
                sample_key, update_key = jax.random.split(key)
                batches, extra = draw(sample_key, "train")
                return self.compensation.update(state, batches, update_key, **extra)

            keys = jax.random.split(key, updates + 1)
            state, metrics = jax.lax.scan(step, state, keys[:-1])
            batches, extra = draw(keys[-1], "held_out")
            held_out = self.compensation.evaluate(state, batches, **extra)
            state = self.compensation.judge(state, held_out)
            return state, {**jax.tree.map(jnp.mean, metrics), **held_out}

        axes = (0, replays.map(lambda r: r.axes), 0, 0, 0, {name: replay.axes for name, replay in shown.items()})
        return jax.vmap(one, in_axes=axes)(state, replays, keys, agents, asked, shown)

    def _correct_(self, state: Any, t: Transition, key: Key, explained: Array | None = None) -> Transition:
        """Source steps [n, ...] as the target would have taken them, each by a random member of a paired gap."""
        gap: Any = self.compensation.gap  # a model of differences: only plans with one have streams that are corrected
        use: Any = self.compensation.use
        d = gap.differences(state.use, t)
        member = jax.random.randint(key, (d.shape[1],), 0, d.shape[0])
        d = d[member, jnp.arange(d.shape[1])] * use.part(gap, state.use, t, {"explained": explained})[:, None]
        return t._replace(next_obs=t.next_obs + d[..., :-1], reward=t.reward + d[..., -1])

    def visited(self, replay: Replay, keys: Key, shape: tuple[int, ...]) -> np.ndarray:
        """Observations drawn from a replay, [seeds, *shape, obs]."""
        return np.asarray(self._visited(replay, keys, shape))

    def _visited_(self, replay: Replay, keys: Key, shape: tuple[int, ...]) -> Array:
        draw = partial(rp.sample, n=prod(shape))
        obs = jax.vmap(draw, in_axes=(replay.axes, 0))(replay, keys).transition.obs
        return obs.reshape(-1, *shape, obs.shape[-1])

    # -- looking -------------------------------------------------------------------------------------------------

    def look(
        self, state: Any, steps: Pair[Transition], agents: Any, asked: Asked = NOBODY, done: float = 0.0
    ) -> Pair[Adjusted]:
        """Compensated rewards and weights of steps [seeds, n, ...] of both domains."""
        return jax.tree.map(np.asarray, self._look(state, steps, agents, asked, np.float32(done)))

    def _look_(self, state: Any, steps: Pair[Transition], agents: Any, asked: Asked, done: Array) -> Pair[Adjusted]:
        def one(state: Any, steps: Pair[Transition], agent: Any, asked: Asked) -> Pair[Adjusted]:
            return self.compensation.adjust(state, steps, **self._extra(agent, asked, done))

        return jax.vmap(one)(state, steps, agents, asked)

    def _traced(self, name: str) -> None:
        self.traces[name] = self.traces.get(name, 0) + 1  # runs only while tracing


@lru_cache(maxsize=32)
def _init(part: Any, spaces: Spaces) -> Any:
    """`part.init` compiled for one seed and called for each: orthogonal weights take far longer to compile under
    vmap."""

    def init(key: Key) -> Any:  # astype: a leaf of JAX's weak type would cost a second compilation after one update
        return jax.tree.map(lambda x: jnp.asarray(x).astype(jnp.asarray(x).dtype), part.init(key, spaces))

    return jax.jit(init)


def started(part: Any, spaces: Spaces, keys: Key) -> Any:
    """Initial states of a part that has an `init`, [seeds, ...]."""
    init = _init(part, spaces)
    return _side_by_side([init(key) for key in keys])


@jax.jit  # one program for a whole tree instead of one per leaf
def _side_by_side(trees: Any) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def copied(tree: Any) -> Any:
    """A copy of all arrays, so that the originals may be donated."""
    return jax.tree.map(jnp.copy, tree)
