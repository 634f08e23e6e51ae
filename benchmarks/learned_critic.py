"""How much of a known map QAvatar's learned one finds: python benchmarks/learned_critic.py RUN

The target is the half-cheetah of RUN's source agent (SAC) with its columns and motors permuted and some signs turned,
so that the map is known. As in the code of QAvatar (arXiv:2603.12087), a network takes the target's state and action to
the latent of a RealNVP flow of the source's, and learns that the source's critic errs little on 4,000 target steps:

    minimise (Q_S(m(s, a)) - r - gamma Q_S(m(s', a')))^2 / 2,   AdamW, 1e-4, 5,000 updates of 256

Printed are, on 1,000 further steps, how much of the variance of the true columns and motors it explains (R2, the
median), and what an actor would get of it: how its Q goes with that through the true map, and the cosine between the
two gradients by the action. `uniform` are random target steps, `policy` those of the source agent with noise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import transreward as tr
from transreward import replay as rp
from transreward.networks import mlp, mlp_init
from transreward.presets import restore_learner
from transreward.runs import store
from transreward.runs.source_agent import SourceAgent

STEPS, TRAINED, UPDATES = 5_000, 4_000, 5_000
LAYERS = 6  # of the flow
Params = Any


def walked(domain: Any, act: Callable | None, seed: int) -> list[np.ndarray]:
    """obs, action, reward, next_obs and next action of STEPS steps of ten robots, by random actions or a policy's."""
    walk, rng, rows = domain.simulate(10, seed, 1), np.random.default_rng(seed), []

    def chosen() -> np.ndarray:
        noise = rng.uniform(-1, 1, (10, domain.spaces.action))
        return noise if act is None else np.clip(np.asarray(act(walk.obs)) + 0.5 * noise, -1, 1)

    action = chosen()
    for _ in range(STEPS // 10):
        t = walk.step(action)
        action = chosen()
        rows.append((t.obs, t.action, t.reward, t.next_obs, action))
    return [np.concatenate(x).astype(np.float32) for x in zip(*rows, strict=True)]


def trained(loss: Callable, params: Params, rule: optax.GradientTransformation, updates: int, key: Any) -> Params:
    """The parameters after so many updates."""

    def update(carry: Any, key: Any) -> tuple[Any, None]:
        params, moments = carry
        step, moments = rule.update(jax.grad(loss)(params, key), moments, params)
        return (optax.apply_updates(params, step), moments), None

    return jax.jit(lambda p, k: jax.lax.scan(update, (p, rule.init(p)), jax.random.split(k, updates))[0][0])(
        params, key
    )


def coupled(net: Params, x: jax.Array, kept: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A coupling layer's log factors and shifts of the entries that are not kept."""
    factor, shift = jnp.split(mlp(net, x * kept), 2, -1)
    return jnp.tanh(factor) * (1 - kept), shift * (1 - kept)


def flow_of(x: jax.Array) -> Callable:
    """From the latent to standardised (state, action), of a flow that was fitted to x [n, entries]."""
    width = x.shape[1]
    kept = [jnp.asarray(np.arange(width) % 2 == i % 2, jnp.float32) for i in range(LAYERS)]
    keys = jax.random.split(jax.random.key(0), LAYERS)
    nets = [mlp_init(key, (width, 256, 256, 2 * width), last_scale=0.01) for key in keys]

    def loss(nets: Params, key: Any) -> jax.Array:
        z, size = x[jax.random.randint(key, (256,), 0, len(x))], jnp.zeros(256)
        for net, k in zip(nets, kept, strict=True):
            factor, shift = coupled(net, z, k)
            z, size = z * jnp.exp(factor) + shift, size + factor.sum(-1)
        return (0.5 * (z**2).sum(-1) - size).mean()

    nets = trained(loss, nets, optax.adam(3e-4), 6_000, jax.random.key(1))

    def back(z: jax.Array) -> jax.Array:
        for net, k in zip(nets[::-1], kept[::-1], strict=True):
            factor, shift = coupled(net, z, k)
            z = (z - shift) * jnp.exp(-factor)
        return z

    return back


def mapping(flow: Callable, like: np.ndarray, obs: np.ndarray, width: int) -> tuple[Callable, Callable]:
    """Fresh parameters, and (parameters, state, action) -> the source's state and action."""
    mean, spread = like.mean(0), like.std(0)
    middle, size = obs.mean(0), obs.std(0)

    def fresh(key: Any, action: int) -> Params:
        of_state, of_action, rest = jax.random.split(key, 3)
        sizes = {
            "state": (obs.shape[1], 128, 128),
            "action": (action, 128, 128),
            "rest": (256, 256, 256, like.shape[1]),
        }
        keys = (of_state, of_action, rest)
        return {name: mlp_init(k, size) for k, (name, size) in zip(keys, sizes.items(), strict=True)}

    def mapped(nets: Params, s: jax.Array, a: jax.Array) -> tuple[jax.Array, jax.Array]:
        both = jnp.concatenate([mlp(nets["state"], (s - middle) / size), mlp(nets["action"], a)], -1)
        found = flow(jnp.tanh(mlp(nets["rest"], jax.nn.leaky_relu(both)))) * spread + mean
        return found[..., :width], jnp.clip(found[..., width:], -1, 1)

    return fresh, mapped


def explained(found: jax.Array, true: np.ndarray) -> float:
    """The median of R2 over the columns."""
    return float(np.median(1 - ((np.asarray(found) - true) ** 2).mean(0) / true.var(0)))


def main() -> None:
    run = Path(sys.argv[1])
    about = store.read_json(run / "source" / "agent.json")
    domain, learner = tr.domain(about["source"]), restore_learner(about["learner"])
    agent = SourceAgent.load(run, domain, learner, about["seeds"])
    one, width = jax.tree.map(lambda x: x[0], agent.agents), domain.spaces.obs
    steps, rng = rp.in_order(agent.replay).transition, np.random.default_rng(7)
    like = np.concatenate([np.asarray(x[0]).reshape(-1, x.shape[-1]) for x in (steps.obs, steps.action)], axis=1)
    flow = flow_of(jnp.asarray((like - like.mean(0)) / like.std(0)))
    columns, motors = (np.eye(n)[rng.permutation(n)] * rng.choice([-1, 1], n) for n in (width, domain.spaces.action))
    for name, act in (("uniform", None), ("policy", jax.jit(lambda s: learner.act(one, s, None)))):
        own = walked(domain, act, 1)
        s, a, r, n, after = (x @ m.T.astype(np.float32) if m is not None else x for x, m in zip(
            own, (columns, motors, None, columns, motors), strict=True))  # fmt: skip
        fresh, mapped = mapping(flow, like, s, width)
        held = slice(TRAINED, None)

        def q(nets: Params, s: Any, a: Any, mapped: Callable = mapped) -> jax.Array:
            return learner.q(one, *mapped(nets, s, a))

        def loss(nets: Params, key: Any, s=s, a=a, r=r, n=n, after=after, q=q) -> jax.Array:
            i = jax.random.randint(key, (256,), 0, TRAINED)
            s, a, r, n, after = (jnp.asarray(x)[i] for x in (s, a, r, n, after))
            goal = jax.lax.stop_gradient(r + learner.discount * q(nets, n, after))
            return 0.5 * jnp.mean((q(nets, s, a) - goal) ** 2)

        for seed in range(2):
            nets = fresh(jax.random.key(seed), a.shape[1])
            nets = trained(loss, nets, optax.adamw(1e-4), UPDATES, jax.random.key(10 + seed))
            state, action = mapped(nets, s[held], a[held])
            pull = jax.vmap(jax.grad(lambda a, s, nets=nets, q=q: q(nets, s, a)))(a[held], s[held])
            true = jax.vmap(jax.grad(lambda a, s: learner.q(one, s, a)))(own[1][held], own[0][held]) @ motors.T
            sizes = jnp.linalg.norm(pull, axis=-1) * jnp.linalg.norm(true, axis=-1)
            alike = np.corrcoef(q(nets, s[held], a[held]), learner.q(one, own[0][held], own[1][held]))[0, 1]
            print(
                f"{name} steps, seed {seed}: R2 of columns {explained(state, own[0][held]):.2f}, of motors "
                f"{explained(action, own[1][held]):.2f}; Q goes with the true map's by {alike:.2f}; cosine of dQ/da "
                f"{float(((pull * true).sum(-1) / (sizes + 1e-9)).mean()):.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
