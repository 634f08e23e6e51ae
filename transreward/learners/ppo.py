"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347), the clipped form, for many robots at a time.

The details that decide its quality follow Engstrom et al. 2020 (arXiv:2005.12729) and Andrychowicz et al. 2021
(arXiv:2006.05990): observations and rewards are standardised, weights are orthogonal, the policy's last layer starts
near zero, the gradient is clipped, the value loss is not. A time limit is not an end (Pardo et al. 2018,
arXiv:1712.00378): where an episode was truncated the value of its true successor counts.

Actions are counted inside in *unit* coordinates, u = (action - centre) / half_width, so that one initial spread fits
every robot; outside in the domain's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from transreward.bridges.take_up import Ends
from transreward.learners.learner import Adjust, Learner, Sample
from transreward.networks import Layers, Normaliser, mlp, mlp_init, normal_log_prob
from transreward.types import Adjusted, Array, Key, Metrics, Pair, RequestError, Shaping, Spaces, Transition

LOG_SQRT_2PI_E = 1.4189385332046727  # entropy of a normal with standard deviation 1


class Networks(NamedTuple):
    """What the gradient moves."""

    policy: Layers  # observation -> mean of u
    log_std: Array  # [action], of u; the same in every state
    critic: Layers  # observation -> value in units of the scaled reward


class PPOState(NamedTuple):
    """All that learning changes, and what acting needs: a pytree of arrays."""

    networks: Networks
    optimiser: Any
    normaliser: Normaliser  # of observations
    returns: Normaliser  # of the discounted return, [1]: its spread is the unit in which the critic counts
    centre: Array  # [action]
    half_width: Array  # [action]


class Samples(NamedTuple):
    """A rollout as the losses see it; each [samples, ...]."""

    obs: Array  # standardised
    action: Array  # in unit coordinates
    log_prob: Array  # under the policy that took the action
    advantage: Array
    value_target: Array
    weight: Array


@dataclass(frozen=True)
class PPO(Learner):
    """Proximal policy optimisation: on-policy, learns from each rollout as it comes."""

    name = "ppo"
    on_policy = True
    networks = ("hidden",)
    ends = Ends(
        {"networks.policy": (("obs",), ("action",)), "networks.critic": (("obs",), ())},
        spreads=("networks.log_std",),
    )

    robots: int = 32  # robots per seed in the source, side by side in every rollout
    rollout_steps: int = 128  # control steps of each robot in a rollout
    epochs: int = 10  # times that a rollout is gone through
    minibatches: int = 16  # in an epoch
    learning_rate: float = 3e-4  # of the optimiser
    discount: float = 0.99  # of a reward one step later
    gae_lambda: float = 0.95  # of the advantages (generalised advantage estimation)
    clip: float = 0.2  # most that the ratio of the new policy to the old may differ from 1
    entropy_weight: float = 0.0  # of the policy's entropy in the loss
    value_weight: float = 0.5  # of the critic's error in the loss
    max_grad_norm: float = 0.5  # a larger gradient is scaled down to it
    initial_log_std: float = 0.0  # logarithm of the spread of actions at the start, in halves of the box
    normalise_reward: bool = True  # divide rewards by the running spread of the discounted return
    target_rollout: int = 1024  # steps per seed between updates where the target's own steps feed the learner
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers

    def __post_init__(self) -> None:
        for field in ("robots", "rollout_steps", "epochs", "minibatches", "target_rollout"):
            if getattr(self, field) < 1:
                raise RequestError(f"learner.{field} must be at least 1, not {getattr(self, field)}")
        for field in ("learning_rate", "clip", "max_grad_norm"):
            if not getattr(self, field) > 0:
                raise RequestError(f"learner.{field} must be above 0, not {getattr(self, field)}")
        for field in ("entropy_weight", "value_weight"):
            if not getattr(self, field) >= 0:
                raise RequestError(f"learner.{field} must not be negative, as {getattr(self, field)} is")
        for field in ("discount", "gae_lambda"):
            if not 0 <= getattr(self, field) <= 1:
                raise RequestError(f"learner.{field} must lie in [0, 1], not {getattr(self, field)}")
        if not self.hidden or min(self.hidden) < 1:
            raise RequestError(
                f"learner.hidden must name at least one layer's width, as (64, 64) does, not {self.hidden}"
            )
        if self.robots * self.rollout_steps % self.minibatches or self.target_rollout % self.minibatches:
            raise RequestError(
                f"learner: {self.minibatches} minibatches do not divide robots * rollout_steps = "
                f"{self.robots * self.rollout_steps} and target_rollout = {self.target_rollout}"
            )

    def init(self, key: Key, spaces: Spaces) -> PPOState:
        """A learner that has seen nothing; the loop maps over keys for several seeds."""
        policy_key, critic_key = jax.random.split(key)
        networks = Networks(
            # near zero, so that the first actions do not depend on the observation (Andrychowicz et al., section 3.2)
            mlp_init(policy_key, (spaces.obs, *self.hidden, spaces.action), last_scale=0.01),
            jnp.full(spaces.action, self.initial_log_std, jnp.float32),
            mlp_init(critic_key, (spaces.obs, *self.hidden, 1)),
        )
        return PPOState(
            networks,
            self._optimiser().init(networks),
            Normaliser.start(spaces.obs),
            Normaliser.start(1),
            jnp.asarray(spaces.centre),
            jnp.asarray(spaces.half_width),
        )

    def restarted(self, state: PPOState, spaces: Spaces) -> PPOState:
        """See `Learner`."""
        seeds = len(state.networks.log_std)
        return state._replace(
            optimiser=jax.jit(jax.vmap(self._optimiser().init))(state.networks),
            centre=jnp.tile(spaces.centre, (seeds, 1)),
            half_width=jnp.tile(spaces.half_width, (seeds, 1)),
        )

    def act(self, state: PPOState, obs: Array, noise: Array | None) -> Array:
        """[..., obs] -> [..., action] in the domain's units: the mean inside the box, or with standard normal
        noise [..., action] a draw.

        A draw may leave the box. It is what `Transition.action` must hold, so that its density is exact; the simulation
        clips what it does.
        """
        u = _mean(state.networks, state.normaliser(obs))
        if noise is None:
            u = jnp.clip(u, -1.0, 1.0)
        else:
            u += jnp.exp(state.networks.log_std) * noise
        return state.centre + state.half_width * u

    def value(self, state: PPOState, obs: Array) -> Array:
        """[..., obs] -> [...]: expected discounted return, in the reward's own units."""
        return _value(state.networks, state.normaliser(obs)) * self._reward_scale(state.returns)

    @property
    def updates_per_round(self) -> int:
        """Gradient updates in one round of the loop."""
        return self.epochs * self.minibatches

    def round_steps(self, in_target: bool) -> int:
        """Steps per seed in a rollout; a short one in the target, where steps are expensive."""
        return self.target_rollout if in_target else self.robots * self.rollout_steps

    def improve(
        self,
        state: PPOState,
        sample: Sample,
        adjust: Adjust,
        shaping: Shaping,
        key: Key,
        *,
        updates: int,
        done: Array | float = 0.0,
    ) -> tuple[PPOState, Metrics]:
        """Learn from the newest rollout of the domain that feeds the learner."""
        rollout = sample(key, 0, 0).steps
        side = 0 if rollout.source.reward.size else 1
        return self.learn(state, rollout[side], lambda t: adjust(Pair(t, t))[side], key)

    def learn(
        self, state: PPOState, data: Transition, adjust: Callable[[Transition], Adjusted], key: Key
    ) -> tuple[PPOState, Metrics]:
        """Learn from a rollout of the state's own policy.

        `data`: [steps, robots, ...], in the order of time. `adjust` is given the rows flattened, [steps * robots, ...],
        and answers with the reward to learn from and a weight on each row's loss.
        """
        ended = (data.terminated.astype(bool), data.truncated.astype(bool))  # they may come as 0 and 1
        rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), data)
        adjusted = adjust(rows)
        action = (rows.action - state.centre) / state.half_width
        # the density with which the action was drawn: by the standardisation of then
        log_prob = normal_log_prob(action, _mean(state.networks, state.normaliser(rows.obs)), state.networks.log_std)

        reward = adjusted.reward.reshape(data.reward.shape)
        state = state._replace(
            normaliser=state.normaliser.see(rows.obs),
            returns=self._see_returns(state.returns, reward, ended[0] | ended[1]),
        )
        obs, next_obs = state.normaliser(jnp.stack([data.obs, data.next_obs]))
        value, next_value = _value(state.networks, jnp.stack([obs, next_obs]))
        reward = reward / self._reward_scale(state.returns)
        advantage = gae(reward, value, next_value, *ended, self.discount, self.gae_lambda)
        samples = Samples(
            obs.reshape(rows.obs.shape),
            action,
            log_prob,
            _standardise(advantage.ravel(), adjusted.weight),
            (advantage + value).ravel(),
            adjusted.weight,
        )
        networks, optimiser, metrics = self._epochs(state.networks, state.optimiser, samples, key)
        metrics |= {
            "std": jnp.exp(networks.log_std).mean(),
            "reward_scale": self._reward_scale(state.returns),
            "explained_variance": 1 - jnp.var(advantage) / (jnp.var(advantage + value) + 1e-8),
        }
        return state._replace(networks=networks, optimiser=optimiser), metrics

    def loss(self, networks: Networks, samples: Samples) -> tuple[Array, Metrics]:
        """Clipped surrogate, value error and entropy (Schulman et al. 2017, equations 7 and 9), averaged over rows."""
        log_ratio = normal_log_prob(samples.action, _mean(networks, samples.obs), networks.log_std) - samples.log_prob
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1 - self.clip, 1 + self.clip)
        surrogate = jnp.minimum(ratio * samples.advantage, clipped * samples.advantage)
        value_error = (_value(networks, samples.obs) - samples.value_target) ** 2
        entropy = jnp.sum(networks.log_std + LOG_SQRT_2PI_E)
        loss = samples.weight * (self.value_weight * value_error - surrogate - self.entropy_weight * entropy)
        metrics = {
            "policy_loss": -surrogate.mean(),
            "value_loss": value_error.mean(),
            "kl": (ratio - 1 - log_ratio).mean(),  # Schulman's low-variance estimate
            "clip_fraction": (clipped != ratio).mean(),
        }
        return loss.mean(), metrics

    def _epochs(self, networks: Networks, optimiser: Any, samples: Samples, key: Key) -> tuple[Networks, Any, Metrics]:
        """Several passes over the samples, each in a new order, a gradient step to a minibatch."""
        rule = self._optimiser()

        def minibatch(carry, batch):
            networks, optimiser = carry
            gradient, metrics = jax.grad(self.loss, has_aux=True)(networks, batch)
            step, optimiser = rule.update(gradient, optimiser, networks)
            return (jax.tree.map(jnp.add, networks, step), optimiser), metrics

        def epoch(carry, key):
            rows = samples.weight.shape[0]  # those that no minibatch has room for are others in each epoch
            order = _shuffled(key, rows)[: rows - rows % self.minibatches]
            batches = jax.tree.map(lambda x: x[order].reshape(self.minibatches, -1, *x.shape[1:]), samples)
            return jax.lax.scan(minibatch, carry, batches)

        (networks, optimiser), metrics = jax.lax.scan(epoch, (networks, optimiser), jax.random.split(key, self.epochs))
        return networks, optimiser, {name: value[-1].mean() for name, value in metrics.items()}

    def _optimiser(self) -> optax.GradientTransformation:
        # flattened: one fused update of a vector costs less than a dozen of small arrays
        return optax.flatten(
            optax.chain(optax.clip_by_global_norm(self.max_grad_norm), optax.adam(self.learning_rate, eps=1e-5))
        )

    def _reward_scale(self, returns: Normaliser) -> Array:
        return jnp.sqrt(returns.var[0] + 1e-8) if self.normalise_reward else jnp.ones(())

    def _see_returns(self, returns: Normaliser, reward: Array, ended: Array) -> Normaliser:
        """Statistics of the return discounted from each episode's start (Engstrom et al. 2020, section 3).

        What the robots had gathered before this rollout is not kept but taken to be the mean, so that the state does
        not depend on how many robots there are or whose rollout came before.
        """

        def step(total, at):
            reward, ended = at
            total = self.discount * total + reward
            return jnp.where(ended, 0.0, total), total

        start = jnp.broadcast_to(returns.mean, reward.shape[1:])
        _, totals = jax.lax.scan(step, start, (reward, ended))
        return returns.see(totals[..., None])


def gae(
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    discount: float,
    gae_lambda: float,
) -> Array:
    """Generalised advantage estimate (Schulman et al. 2016, equation 16); all arrays [steps, robots].

    `next_value` is that of the true successor: it counts unless the task ended there. The sum over later errors ends
    with the episode, whichever way that ended.
    """
    error = reward + discount * jnp.where(terminated, 0.0, next_value) - value
    decay = discount * gae_lambda * ~(terminated | truncated)

    def step(later, at):
        error, decay = at
        advantage = error + decay * later
        return advantage, advantage

    return jax.lax.scan(step, jnp.zeros_like(error[0]), (error, decay), reverse=True)[1]


def _mean(networks: Networks, obs: Array) -> Array:
    """[..., obs] standardised -> [..., action] in unit coordinates."""
    return mlp(networks.policy, obs, jnp.tanh)


def _value(networks: Networks, obs: Array) -> Array:
    """[..., obs] standardised -> [...] in units of the scaled reward."""
    return mlp(networks.critic, obs, jnp.tanh)[..., 0]


def _standardise(x: Array, weight: Array) -> Array:
    """x [n] with mean 0 and spread 1 under the weights, so that rows of weight 0 count for nothing."""
    share = weight / (weight.sum() + 1e-8)
    centred = x - jnp.sum(share * x)
    return centred * jax.lax.rsqrt(jnp.sum(share * centred**2) + 1e-8)


def _shuffled(key: Key, n: int) -> Array:
    """0 ... n - 1 in random order, by sorting numbers whose low bits are the index and whose high bits are random.

    A sort of plain numbers is ten times faster on a CPU than `jax.random.permutation`, which took a third of PPO's
    time. Equal high bits leave a few neighbours in order, which a minibatch does not feel.
    """
    low = jnp.uint32((1 << (n - 1).bit_length()) - 1)
    tagged = (jax.random.bits(key, (n,)) & ~low) | jnp.arange(n, dtype=jnp.uint32)
    return (jnp.sort(tagged) & low).astype(jnp.int32)
