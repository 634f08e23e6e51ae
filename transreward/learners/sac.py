"""Soft actor-critic with many robots and few updates per step (Haarnoja et al. 2018, arXiv:1812.05905).

Twin critics, automatic temperature, n-step targets that are cut at episode ends and bootstrapped at truncation.
What differs from the paper: 64 robots fill the replay between short bursts of updates, all in one compiled scan, and
the reward of each sampled transition is compensated when it is sampled, with the compensation of that moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from transreward.bridges.take_up import Ends
from transreward.learners.batch import Batch, draw
from transreward.learners.learner import Adjust, Learner, Sample
from transreward.networks import Layers, Normaliser, blended, mlp, mlp_init, tanh_normal
from transreward.types import Array, Guides, Key, Metrics, OfAction, Peer, RequestError, Shaping, Spaces

LOG_STD_LOW, LOG_STD_HIGH = -5.0, 2.0
IMITATION, IMITATION_BATCH = 10_000, 256  # updates, of an actor that takes another learner's over
UNSHAPED = Shaping()


class SACState(NamedTuple):
    """All that a SAC agent is, for one seed."""

    actor: Layers
    critics: Layers  # stacked: [critics, in, out]
    slow_critics: Layers
    log_alpha: Array  # []
    optimisers: tuple[Any, Any, Any]  # of actor, critics, log_alpha
    normaliser: Normaliser
    centre: Array  # [action]
    half_width: Array  # [action]


@dataclass(frozen=True)
class SAC(Learner):
    """Soft actor-critic: off-policy, learns from all the steps that it stored."""

    hidden: tuple[int, ...] = (128, 128)  # widths of the hidden layers
    critics: int = 2  # networks that learn Q, of which the least counts
    subset: int = 0  # critics drawn for each target, the least of which counts (REDQ, RLPD), and for the actor; 0 = all
    layer_norm: bool = False  # in the critics, so that scarce data do not blow them up (RLPD, section 4.2)
    learning_rate: float = 1e-3  # of the optimiser
    discount: float = 0.99  # of a reward one step later
    batch: int = 256  # steps in an update
    polyak: float = 0.005  # share of the fresh critics in each step of the slow ones
    n_step: int = 1  # rewards that a target sums before it asks the critics
    alpha_start: float = 0.2  # temperature at the start; it is learned
    target_entropy: float = -1.0  # per action dimension
    robots: int = 64  # robots per seed in the source
    steps_per_update: float = 16.0  # source steps per gradient update
    target_updates_per_step: float = 1.0  # gradient updates per target step where the target's steps feed the learner
    burst: int = 32  # gradient updates in one dispatch
    random_steps: int = 5_000  # uniform actions at the start of training from scratch; at most a tenth of the budget
    warmup_steps: int = 256  # target steps before the first update of an agent that is trained on; the same holds
    # of an agent that is trained on in a transfer alone; the temperature, which answers to the actor, moves with it
    warmup_share: float = 0.1  # the largest share of the target steps that warmup_steps may be
    actor_rate: float = 0.0  # learning rate of the actor; 0 = learning_rate
    policy_delay: int = 1  # updates of the critics per update of the actor (TD3); a divisor of burst
    actor_wait: float = 0.0  # share of the transfer, warm-up included, before the actor's first update

    name = "sac"
    takes_advice = takes_over = True
    tuning = ("warmup_share", "actor_rate", "policy_delay", "actor_wait")
    networks = ("hidden", "critics", "layer_norm")
    ends = Ends(
        {
            "actor": (("obs",), ("action", "spread")),
            "critics": (("obs", "action"), ()),
            "slow_critics": (("obs", "action"), ()),
        },
    )

    def __post_init__(self) -> None:
        for field in ("critics", "batch", "n_step", "robots", "burst"):
            if getattr(self, field) < 1:
                raise RequestError(f"learner.{field} must be at least 1, not {getattr(self, field)}")
        for field in ("learning_rate", "steps_per_update", "target_updates_per_step", "alpha_start"):
            if not getattr(self, field) > 0:
                raise RequestError(f"learner.{field} must be above 0, not {getattr(self, field)}")
        for field in ("random_steps", "warmup_steps", "actor_rate"):
            if getattr(self, field) < 0:
                raise RequestError(f"learner.{field} must not be negative, not {getattr(self, field)}")
        if not self.hidden or min(self.hidden) < 1:
            raise RequestError(f"learner.hidden must name the layers' widths, at least one, not {self.hidden}")
        if not 0 <= self.subset <= self.critics:
            raise RequestError(f"learner.subset must be at most learner.critics, {self.critics}, not {self.subset}")
        for field in ("discount", "warmup_share", "actor_wait"):
            if not 0 <= getattr(self, field) < 1:
                raise RequestError(f"learner.{field} must be in [0, 1), not {getattr(self, field)}")
        if not 0 < self.polyak <= 1:
            raise RequestError(f"learner.polyak must be in (0, 1], not {self.polyak}")
        if self.policy_delay < 1 or self.burst % self.policy_delay:
            raise RequestError(f"learner.policy_delay must divide learner.burst, {self.burst}, not {self.policy_delay}")

    # -- the contract of a learner -------------------------------------------------------------------------------

    def init(self, key: Key, spaces: Spaces) -> SACState:
        """Fresh networks for one seed."""
        actor_key, critic_key = jax.random.split(key)
        actor = mlp_init(actor_key, (spaces.obs, *self.hidden, 2 * spaces.action), last_scale=0.01)
        sizes = (spaces.obs + spaces.action, *self.hidden, 1)
        critics = jax.vmap(lambda k: mlp_init(k, sizes))(jax.random.split(critic_key, self.critics))
        log_alpha = jnp.log(jnp.asarray(self.alpha_start, jnp.float32))
        optimiser = self._optimiser()
        return SACState(
            actor=actor,
            critics=critics,
            slow_critics=jax.tree.map(jnp.copy, critics),
            log_alpha=log_alpha,
            optimisers=(optimiser.init(actor), optimiser.init(critics), optimiser.init(log_alpha)),
            normaliser=Normaliser.start(spaces.obs),
            centre=jnp.asarray(spaces.centre),
            half_width=jnp.asarray(spaces.half_width),
        )

    def see(self, state: SACState, obs: Array) -> SACState:
        """Take newly collected observations [..., obs] into the normaliser."""
        return state._replace(normaliser=state.normaliser.see(obs))

    def restarted(self, state: SACState, spaces: Spaces) -> SACState:
        """See `Learner`."""
        fresh, seeds = jax.vmap(self._optimiser().init), len(state.log_alpha)
        parts = state.actor, state.critics, state.log_alpha
        return state._replace(
            optimisers=jax.jit(lambda parts: tuple(map(fresh, parts)))(parts),
            centre=jnp.tile(spaces.centre, (seeds, 1)),
            half_width=jnp.tile(spaces.half_width, (seeds, 1)),
        )

    def act(self, state: SACState, obs: Array, noise: Array | None) -> Array:
        """[..., obs] -> [..., action] in the domain's units: the mode, or a draw made of standard normal noise."""
        mean, log_std = self._policy(state.actor, state.normaliser(obs))
        unit = jnp.tanh(mean) if noise is None else tanh_normal(noise, mean, log_std)[0]
        return self._executed(state, unit)

    def value(self, state: SACState, obs: Array) -> Array:
        """min over the critics of Q(s, mode(s)), [...]: a state value without the entropy term."""
        obs = state.normaliser(obs)
        action = jnp.tanh(self._policy(state.actor, obs)[0])
        return self._q(state.critics, obs, action).min(axis=0)

    def q(self, state: SACState, obs: Array, action: Array) -> Array:
        """See `Learner`: min over the critics."""
        return self._q(state.critics, state.normaliser(obs), (action - state.centre) / state.half_width).min(axis=0)

    def improve(
        self,
        state: SACState,
        sample: Sample,
        adjust: Adjust,
        shaping: Shaping,
        key: Key,
        *,
        updates: int,
        done: Array | float = 0.0,
    ) -> tuple[SACState, Metrics]:
        """`updates` gradient steps, each on a batch of its own.

        `shaping.advise` is added to what the critics say of an action, wherever they are asked: they learn the rest. So
        it is a first opinion that steps can overrule, and changes no optimal policy. `shaping.floor` counts wherever it
        is above the critics', for the actor and in the critics' targets. `shaping.draw`, `shaping.peer` and
        `shaping.guides` are the actor's alone, `shaping.press` the critics'.
        """

        def step(state: SACState, now: tuple[Key, Array | None]) -> tuple[SACState, Metrics]:
            key, moves = now
            sample_key, update_key = jax.random.split(key)
            batch = draw(state, sample, adjust, sample_key, self.batch, self.n_step, self.discount)
            return self._update(state, batch, update_key, shaping, moves)

        moves = self._actor_moves(updates, done)
        state, metrics = jax.lax.scan(step, state, (jax.random.split(key, updates), moves))
        metrics = jax.tree.map(jnp.mean, metrics)
        if moves is not None:  # of the updates that there were
            metrics["actor_loss"] *= updates / jnp.maximum(moves.sum(), 1)
        return state, metrics

    def imitate(self, state: SACState, obs: Array, action: Array, spread: Array, key: Key) -> tuple[SACState, Array]:
        """See `Learner`: by regression of the squashed mean, whose rate falls to zero."""
        state = self.see(state, obs)
        obs, wanted = state.normaliser(obs), jnp.clip((action - state.centre) / state.half_width, -1.0, 1.0)
        log_spread = jnp.clip(jnp.log(spread), LOG_STD_LOW + 0.1, LOG_STD_HIGH - 0.1)
        rule = optax.adam(optax.cosine_decay_schedule(1e-3, IMITATION))

        def loss(actor: Layers, obs: Array, wanted: Array) -> Array:
            mean, log_std = self._policy(actor, obs)
            return jnp.mean((jnp.tanh(mean) - wanted) ** 2) + 0.01 * jnp.mean((log_std - log_spread) ** 2)

        def update(carry: Any, key: Key) -> tuple[Any, None]:
            actor, moments = carry
            rows = jax.random.randint(key, (IMITATION_BATCH,), 0, len(obs))
            step, moments = rule.update(jax.grad(loss)(actor, obs[rows], wanted[rows]), moments)
            return (optax.apply_updates(actor, step), moments), None

        keys = jax.random.split(key, IMITATION)
        (actor, _), _ = jax.lax.scan(update, (state.actor, rule.init(state.actor)), keys)
        apart = jnp.tanh(self._policy(actor, obs)[0]) - wanted
        return state._replace(actor=actor), jnp.sqrt(jnp.mean(apart**2))

    def judge(
        self, state: SACState, sample: Sample, adjust: Adjust, key: Key, *, updates: int
    ) -> tuple[SACState, Metrics]:
        """See `Learner`. Steps are the policy's own, so that targets may look many steps ahead; with slow critics that
        follow fast, values of a hundred steps are there after a few thousand updates."""
        waits = replace(self, actor_wait=0.5, n_step=max(self.n_step, 10), polyak=max(self.polyak, 0.02))
        return waits.improve(state, sample, adjust, UNSHAPED, key, updates=updates)

    @property
    def updates_per_round(self) -> int:
        """Gradient updates in one round of the loop."""
        return self.burst

    def round_steps(self, in_target: bool) -> int:
        """Steps per seed that pay for a round's updates."""
        per_update = 1.0 / self.target_updates_per_step if in_target else self.steps_per_update
        return max(round(self.burst * per_update), 1)

    # -- the losses; `noise` [batch, action] is a draw of the standard normal ------------------------------------

    def critic_target(
        self, state: SACState, slow_critics: Layers, batch: Batch, noise: Array, shaping: Shaping = UNSHAPED
    ) -> Array:
        """R + discount * (min over the slow critics of Q(s', a') - alpha * log pi(a' | s')), [batch]; a' ~ pi(s')."""
        action, log_prob = tanh_normal(noise, *self._policy(state.actor, batch.next_obs))
        q = self._q(slow_critics, batch.next_obs, action).min(axis=0)
        q = _best(shaping, q, batch.last, self._executed(state, action))
        return batch.target_reward + batch.discount * (q - jnp.exp(state.log_alpha) * log_prob)

    def critic_loss(
        self, critics: Layers, state: SACState, batch: Batch, target: Array, shaping: Shaping = UNSHAPED
    ) -> tuple[Array, Array]:
        """Half the weighted mean square of Q(s, a) - target and what presses it, summed over the critics, and the mean
        of Q."""
        q = self._q(critics, batch.obs, batch.action)
        q = _advised(shaping, q, batch.step.obs, self._executed(state, batch.action))
        loss = 0.5 * jnp.sum(jnp.mean(batch.weight * (q - target) ** 2, axis=-1))
        if (press := shaping.press) is not None:
            loss += jax.vmap(lambda one: press(batch.step, one, batch.of_target))(q).sum()
        return loss, q.mean()

    def actor_loss(
        self, actor: Layers, state: SACState, critics: Layers, batch: Batch, noise: Array, shaping: Shaping = UNSHAPED
    ) -> tuple[Array, Array]:
        """Mean of alpha * log pi(a | s) - min over the critics of Q(s, a), a ~ pi(. | s), and the mean of log pi.

        With a `subset`, the mean over the critics: REDQ's actor follows that of all, of which a random subset's is an
        unbiased and cheaper guess.
        """
        action, log_prob = tanh_normal(noise, *self._policy(actor, batch.obs))
        q = self._q(critics, batch.obs, action)
        q = q.mean(axis=0) if self.subset else q.min(axis=0)
        q = _best(shaping, q, batch.step.obs, self._executed(state, action))
        if shaping.peer is not None:
            its, share = shaping.peer.q(batch.step.obs, self._executed(state, action)), shaping.peer.share
            q = (1.0 - share) * q + share * its
        if (guides := shaping.guides) is not None and guides.cost is not None:
            q = q - guides.cost(self._executed(state, action))
        if shaping.draw is not None:
            size = jax.lax.stop_gradient(jnp.maximum(jnp.abs(q).mean(), 1.0))
            q = q - size * shaping.draw(batch.step.obs, self._executed(state, action))
        return jnp.mean(jnp.exp(state.log_alpha) * log_prob - q), log_prob.mean()

    def weighed(self, state: SACState, batch: Batch, noise: Array, peer: Peer) -> tuple[Peer, Metrics]:
        """The peer with its share times e / (e + e_peer), as in QAvatar (Chen et al. 2026), and these as metrics.

        An agent's e, in units of reward, is the batch's mean of |Q(s, a) - R - discount * Q(s', a')|, a' ~ pi(s'), with
        the least of its critics as Q, and no entropy term.
        """
        taken = self._executed(state, batch.action)
        follows = self._executed(state, tanh_normal(noise, *self._policy(state.actor, batch.next_obs))[0])

        def error(q: OfAction) -> Array:
            goal = batch.target_reward + batch.discount * q(batch.last, follows)
            return jnp.abs(q(batch.step.obs, taken) - goal).mean()

        own, its = error(partial(self.q, state)), error(peer.q)
        share = peer.share * own / jnp.maximum(own + its, 1e-8)
        return peer._replace(share=share), {"source_share": share, "own_error": own, "source_error": its}

    def led(self, state: SACState, batch: Batch, guides: Guides) -> tuple[Guides, Metrics]:
        """The guides with what an action in the batch's states costs, and the shares of states in which each of them
        draws the actor, `guided_0`, ..., and in which none does.

        What they would do is compared with the mode of the actor, by the largest of the slow critics: as in the code of
        CUP (Zhang et al. 2022), so that a guide of whom the critics know little is tried.
        """
        theirs, own = guides.acts(batch.step.obs), jnp.tanh(self._policy(state.actor, batch.obs)[0])

        def worth(action: Array) -> Array:
            return self._q(state.slow_critics, batch.obs, action).max(axis=0)

        weight = guides.weigh(worth(own), jax.vmap(worth)((theirs - state.centre) / state.half_width))
        shares = (weight > 0).mean(axis=1)
        told = {f"guided_{k}": shares[k] for k in range(len(weight))}
        told["guided_none"] = (weight <= 0).all(axis=0).mean()
        return guides._replace(cost=lambda action: (weight * guides.apart(action, theirs)).sum(axis=0)), told

    def temperature_loss(self, log_alpha: Array, state: SACState, log_prob: Array) -> Array:
        """-log alpha * (mean of log pi + target entropy), []: alpha rises while the entropy is below its target."""
        return -log_alpha * (log_prob + self.target_entropy * state.centre.shape[-1])

    # -- inside --------------------------------------------------------------------------------------------------

    def _optimiser(self, rate: float = 0.0) -> optax.GradientTransformation:
        return optax.adam(rate or self.learning_rate)

    def _policy(self, actor: Layers, obs: Array) -> tuple[Array, Array]:
        mean, log_std = jnp.split(mlp(actor, obs), 2, axis=-1)
        # squashed rather than clipped, so that the gradient never dies
        log_std = LOG_STD_LOW + 0.5 * (LOG_STD_HIGH - LOG_STD_LOW) * (jnp.tanh(log_std) + 1.0)
        return mean, log_std

    def _q(self, critics: Layers, obs: Array, action: Array) -> Array:
        """[critics, ...]."""
        x = jnp.concatenate([obs, action], axis=-1)
        return jax.vmap(partial(mlp, layer_norm=self.layer_norm), in_axes=(0, None))(critics, x)[..., 0]

    def _drawn(self, critics: Layers, key: Key) -> Layers:
        """All critics, or a random subset of them (REDQ; Chen et al. 2021, algorithm 1)."""
        if not self.subset:
            return critics
        drawn = jax.random.choice(key, self.critics, (self.subset,), replace=False)
        return jax.tree.map(lambda x: x[drawn], critics)

    def _executed(self, state: SACState, action: Array) -> Array:
        """Actions in [-1, 1] in the domain's units."""
        return state.centre + state.half_width * action

    def _actor_moves(self, updates: int, done: Array | float) -> Array | None:
        """Which of the updates are the actor's, too, [updates]; None: all."""
        if self.policy_delay == 1 and not self.actor_wait:
            return None
        return (jnp.arange(1, updates + 1) % self.policy_delay == 0) & (done >= self.actor_wait)

    def _update(
        self, state: SACState, batch: Batch, key: Key, shaping: Shaping = UNSHAPED, moves: Array | None = None
    ) -> tuple[SACState, Metrics]:
        """A step of the critics, and where the actor `moves` one of actor and temperature."""
        *noise_keys, slow_key, judge_key = jax.random.split(key, 4)
        noise = [jax.random.normal(k, batch.action.shape) for k in noise_keys]
        told: Metrics = {}
        if shaping.peer is not None:  # before the critics learn from this batch, on which they would then err less
            peer, told = self.weighed(state, batch, noise[0], shaping.peer)
            shaping = shaping._replace(peer=peer)
        state, metrics = self._critics_step(state, batch, noise[0], slow_key, shaping)
        if shaping.guides is not None:
            guides, led = self.led(state, batch, shaping.guides)
            shaping, told = shaping._replace(guides=guides), {**told, **led}

        def moved(state: SACState) -> tuple[SACState, Array]:
            return self._actor_step(state, batch, noise[1], judge_key, shaping)

        alpha = jnp.exp(state.log_alpha)
        if moves is None:
            state, loss = moved(state)
        else:
            state, loss = jax.lax.cond(moves, moved, lambda state: (state, jnp.zeros(())), state)
        return state, {**metrics, **told, "actor_loss": loss, "alpha": alpha}

    def _critics_step(
        self, state: SACState, batch: Batch, noise: Array, key: Key, shaping: Shaping
    ) -> tuple[SACState, Metrics]:
        actor_opt, critic_opt, alpha_opt = state.optimisers
        slow = self._drawn(state.slow_critics, key)
        target = self.critic_target(state, slow, batch, noise, shaping)
        gradient = jax.value_and_grad(self.critic_loss, has_aux=True)
        (loss, q_mean), grads = gradient(state.critics, state, batch, target, shaping)
        step, critic_opt = self._optimiser().update(grads, critic_opt)
        critics: Layers = optax.apply_updates(state.critics, step)  # type: ignore[assignment]
        state = state._replace(
            critics=critics,
            slow_critics=blended(state.slow_critics, critics, self.polyak),
            optimisers=(actor_opt, critic_opt, alpha_opt),
        )
        return state, {"critic_loss": loss, "q": q_mean}

    def _actor_step(
        self, state: SACState, batch: Batch, noise: Array, key: Key, shaping: Shaping
    ) -> tuple[SACState, Array]:
        optimiser = self._optimiser(self.actor_rate)
        actor_opt, critic_opt, alpha_opt = state.optimisers
        judges = self._drawn(state.critics, key)
        gradient = jax.value_and_grad(self.actor_loss, has_aux=True)
        (loss, log_prob), grads = gradient(state.actor, state, judges, batch, noise, shaping)
        step, actor_opt = optimiser.update(grads, actor_opt)
        actor: Layers = optax.apply_updates(state.actor, step)  # type: ignore[assignment]
        slope = jax.grad(self.temperature_loss)(state.log_alpha, state, log_prob)
        step, alpha_opt = optimiser.update(slope, alpha_opt)
        state = state._replace(
            actor=actor, log_alpha=state.log_alpha + step, optimisers=(actor_opt, critic_opt, alpha_opt)
        )
        return state, loss


def _advised(shaping: Shaping, q: Array, obs: Array, action: Array) -> Array:
    """Q with the advice added."""
    return q if shaping.advise is None else q + shaping.advise(obs, action)


def _best(shaping: Shaping, q: Array, obs: Array, action: Array) -> Array:
    """Advised Q, or the floor where that is larger."""
    q = _advised(shaping, q, obs, action)
    return q if shaping.floor is None else jnp.maximum(q, shaping.floor(obs, action))
