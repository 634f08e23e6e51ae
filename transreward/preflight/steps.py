"""The steps of a pre-flight: the same states in both domains, with several actions at each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.bridged import plain
from transreward.domains.difference import bodies, delay, one_body
from transreward.domains.domain import Domain, TableRobot, TableSimulation
from transreward.domains.history import history_of
from transreward.preflight.surrogate import Surrogate
from transreward.presets import restore_learner
from transreward.runs.policy import policy_of
from transreward.runs.source_agent import SourceAgent
from transreward.types import Pair, RequestError, Spaces, Transition

Act = Callable[[np.ndarray], np.ndarray]  # obs [n, obs] -> action [n, action]
Follow = Callable[[np.ndarray], np.ndarray]  # action [n, action] at each of n states -> change [n, obs]

WALKERS = 8  # robots that walk to the states; the source policy, if there is one, steers half of them
LEAST_ROUNDS = 2  # of states, below which no held-out ones are left for the classifier
TRIES = 3  # of further actions at each state, to match the other domain's step
STRIDE = 7  # control steps between two states of a walker
SPARE = 6  # actions at a state beyond those that a linear fit needs
LEAST_WALK = 25  # control steps, where models are fitted to what was walked
MODELLED_STATES = 64  # of each domain's walk
STRETCH = 20 * WALKERS  # steps of a walk that are held out or trained on together
SOURCE_FACTOR = 2  # source steps per target step where a model is fitted: the source is cheap


class Overspent(RuntimeError):
    """More target steps were wanted than there are."""


class Budget:
    """Counts the target's steps, and refuses more than `most`."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    @property
    def left(self) -> int:
        """Number of steps that may still be taken."""
        return self.most - self.taken

    def take(self, steps: int) -> None:
        """Count `steps` before they are taken. Raises Overspent where they exceed the budget."""
        if steps > self.left:
            raise Overspent(f"a pre-flight of {self.most} target steps wanted {self.taken + steps}")
        self.taken += steps


@dataclass(frozen=True)
class Probes:
    """n states, k actions at each, and the steps that follow in both domains."""

    obs: np.ndarray  # [n, obs]
    action: np.ndarray  # [n, k, action], within the box
    change: Pair[np.ndarray]  # s' - s, [n, k, obs]
    follow: Pair[Follow]  # takes further actions at these states; a simulated target counts these steps, too
    reward: Pair[np.ndarray]  # of each domain's own step, [n, k]
    ends: Pair[np.ndarray]  # terminated, [n, k] bool
    paid: np.ndarray  # the target task's reward for the source's step, [n, k]
    terms: Pair[dict[str, np.ndarray]]  # each task's reward terms for the source's step, [n, k]
    by_policy: np.ndarray  # the source policy walked to this state, and its action is the first, [n] bool
    again: Pair[np.ndarray]  # the change when the first action is repeated, [n, obs]
    steps: Pair[Transition]  # all steps taken in the simulators, [steps, ...]
    group: Pair[np.ndarray]  # group of each of these, [steps]: a state, or a stretch of a walk
    error: np.ndarray  # mean square error of a difference in change by models, [obs]; 0 = simulated
    explained: float  # share of the changes that the models explain on held-out steps; 1 = simulated
    reward_explained: float  # the same of the rewards
    reward_apart: float  # share of them that separate models explain and a joint one does not
    source_steps: int

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of the one-step changes, [obs], in the domain where it is larger; inf for an entry that
        never moves."""
        spread = np.maximum(*(x.reshape(-1, x.shape[-1]).std(axis=0) for x in self.change))
        return np.where(spread > 1e-6 * (1.0 + spread.max()), spread, np.inf)


def source_policy(run: Path, source: Domain) -> Act:
    """The source policy of an earlier run: its first seed's, without exploration.

    Raises:
        RequestError: not a run directory, or another domain's agent.
    """
    about = SourceAgent.about(run)
    learner = restore_learner(about["learner"])
    agent = SourceAgent.load(run, source, learner, about["seeds"])
    act = policy_of(learner, agent.agents, 0, source.spaces.obs)
    return lambda obs: act(obs).astype(float)


def in_states(run: Path, source: Domain) -> Act:
    """The same in single states of the source without a view. Raises RequestError where it has to see more than one."""
    if history_of(source):
        raise RequestError(
            f"a check puts robots into single states, in which the policy of `source_run` {run} would not see its last "
            f"actions: leave `source_run` out"
        )
    return source_policy(run, plain(source))


def actions_at(spaces: Any, count: int, rng: np.random.Generator, first: np.ndarray | None) -> np.ndarray:
    """Uniform actions [count, k, action]; where `first` [count, action] is finite, it is the first of k."""
    action = rng.uniform(spaces.low, spaces.high, (count, spaces.action + SPARE, spaces.action))
    if first is not None:
        chosen = np.isfinite(first).all(axis=1)
        action[chosen, 0] = np.clip(first[chosen], spaces.low, spaces.high)
    return action


def require_enough(source: Domain, target: Domain, budget: Budget) -> None:
    """Raise RequestError if the rest of the budget is too small for `probe`; takes no step."""
    if one_body(source, target):  # an eighth of the budget is spent on the measure
        if budget.left // (_cost(source, target) * WALKERS) >= LEAST_ROUNDS:
            return
        least = LEAST_ROUNDS * WALKERS * _cost(source, target) * 8 // 7 + 8
    else:
        if budget.left // WALKERS >= LEAST_WALK:
            return
        least = WALKERS * LEAST_WALK * 8 // 7
    raise RequestError(f"`target_steps={budget.most}` is too few: a check of {target.name} takes {least} or more")


def _cost(source: Domain, target: Domain) -> int:
    """Target steps of a simulated state: the first action is taken twice."""
    return (source.spaces.action + SPARE + 1 + TRIES) * (1 + delay(source, target))


def probe(source: Domain, target: Domain, budget: Budget, act: Act | None, seed: int) -> Probes:
    """Probes within the rest of the budget, which `require_enough` has checked.

    Two domains of one body are reset to the same physics states. Other domains walk by themselves, and a model fitted
    to the steps of each predicts those in the states that both reached.
    """
    both = bodies(source, target)
    if both:
        return _simulated(*both, budget, act, seed)
    return _modelled(source, target, budget, act, seed)


def _walking(
    spaces: Any, obs: np.ndarray, rng: np.random.Generator, act: Act | None, steered: np.ndarray
) -> np.ndarray:
    """The policy's actions in the rows that it steers, uniform ones in the others."""
    action, chosen = rng.uniform(spaces.low, spaces.high, (len(obs), spaces.action)), _steer(act, obs, steered)
    return action if chosen is None else np.where(np.isfinite(chosen), chosen, action)


def _steer(act: Act | None, obs: np.ndarray, steered: np.ndarray) -> np.ndarray | None:
    """The policy's actions in the rows that it steers, NaN elsewhere; None without a policy."""
    if act is None:
        return None
    return np.where(steered[:, None], act(obs), np.nan)


def _steered(rows: int, act: Act | None) -> np.ndarray:
    return np.arange(rows) >= rows // 2 if act is not None else np.zeros(rows, bool)


# -- one robot: simulated ------------------------------------------------------------------------------------------


def _simulated(source: TableRobot, target: TableRobot, budget: Budget, act: Act | None, seed: int) -> Probes:
    spaces, late = source.spaces, delay(source, target)
    k = spaces.action + SPARE
    cost = _cost(source, target)
    count = budget.left // (cost * WALKERS)
    payer = source.paid_as(target)
    rng, steered = np.random.default_rng(seed), _steered(WALKERS, act)
    walk = source.simulate(WALKERS, seed)
    simulations = [d.simulate(WALKERS * (k + 1), seed) for d in (source, target, payer)]
    rounds, physics = [], []
    for _ in range(count):
        for _ in range(STRIDE):
            walk.step(_walking(spaces, walk.obs, rng, act, steered))
        action = actions_at(spaces, WALKERS, rng, _steer(act, walk.obs, steered))
        budget.take((k + 1) * (1 + late) * WALKERS)
        physics.append((walk.qpos.copy(), walk.qvel.copy()))
        rounds.append((walk.obs.copy(), action, *_from_here(walk, simulations, action, late)))
    places = tuple(np.concatenate(column) for column in zip(*physics, strict=True))
    follow = Pair(_follow(source, places, late, None, seed), _follow(target, places, late, budget, seed))
    taken = len(rounds) * WALKERS * (STRIDE + cost)
    return _gather(rounds, follow, np.tile(steered, len(rounds)), taken)


def _follow(domain: TableRobot, physics: tuple[np.ndarray, ...], late: int, budget: Budget | None, seed: int) -> Follow:
    """Changes of a domain from these states; the steps are counted if there is a budget."""
    simulation = domain.simulate(len(physics[0]), seed)

    def follow(action: np.ndarray) -> np.ndarray:
        simulation.set_physics(*physics)
        if budget:
            budget.take(len(action) * (1 + late))
        for _ in range(late):
            simulation.step(action)
        t = simulation.step(action)
        return t.next_obs - t.obs

    return follow


def _from_here(
    walk: TableSimulation, simulations: Sequence[TableSimulation], action: np.ndarray, late: int
) -> list[tuple[Transition, dict]]:
    """One step of each simulation from the walkers' states: all their actions, and the first repeated."""
    again = np.concatenate([action, action[:, :1]], axis=1)
    n, k, size = again.shape
    found = []
    for simulation in simulations:
        simulation.set_physics(*(np.repeat(x, k, axis=0) for x in (walk.qpos, walk.qvel)))
        for _ in range(late + 1):
            t = simulation.step(again.reshape(n * k, size))
        found.append((t, {name: x.copy() for name, x in simulation.terms.items()}))
    return found


def _gather(rounds: list, follow: Pair[Follow], by_policy: np.ndarray, taken: int) -> Probes:
    obs, action, *steps = zip(*rounds, strict=True)
    a, b, payer = ([t for t, _ in of] for of in steps)

    def rows(values: list[np.ndarray]) -> np.ndarray:
        """[rounds * WALKERS, k + 1, ...]"""
        return np.concatenate([v.reshape(WALKERS, -1, *v.shape[1:]) for v in values])

    def stacked(of: list[Transition]) -> Transition:
        return Transition(*(np.concatenate(column) for column in zip(*of, strict=True)))

    changes = [rows([t.next_obs - t.obs for t in of]) for of in (a, b)]
    terms = [{name: rows([x[name] for _, x in of])[:, :-1] for name in of[0][1]} for of in (steps[0], steps[2])]
    group = np.repeat(np.arange(len(by_policy)), changes[0].shape[1])
    return Probes(
        obs=np.concatenate(obs),
        action=np.concatenate(action),
        change=Pair(*(c[:, :-1] for c in changes)),
        follow=follow,
        reward=Pair(*(rows([t.reward for t in of])[:, :-1] for of in (a, b))),
        ends=Pair(*(rows([t.terminated for t in of])[:, :-1] for of in (a, b))),
        paid=rows([t.reward for t in payer])[:, :-1],
        terms=Pair(*terms),
        by_policy=by_policy,
        again=Pair(*(c[:, -1] for c in changes)),
        steps=Pair(stacked(a), stacked(b)),
        group=Pair(group, group),
        error=np.zeros(changes[0].shape[-1]),
        explained=1.0,
        reward_explained=1.0,
        reward_apart=1.0,
        source_steps=taken,
    )


# -- other domains: modelled ---------------------------------------------------------------------------------------


def _modelled(source: Domain, target: Domain, budget: Budget, act: Act | None, seed: int) -> Probes:
    control_steps = budget.left // WALKERS
    budget.take(control_steps * WALKERS)
    walk = _walk(source, SOURCE_FACTOR * control_steps, act, seed, seed + 1)
    walks = Pair(walk, walk if target is source else _walk(target, control_steps, act, seed, seed))
    inputs = walks.map(lambda t: np.concatenate([t.obs, _clipped(t, source.spaces)], axis=1))
    changes = walks.map(lambda t: t.next_obs - t.obs)
    models = Pair(*(Surrogate.fit(x, y) for x, y in zip(inputs, changes, strict=True)))
    payers, apart = reward_models(walks, source.spaces)

    rng, spaces = np.random.default_rng(seed), source.spaces
    picked = [rng.choice(len(t.obs), MODELLED_STATES, replace=False) for t in walks]
    obs = np.concatenate([t.obs[i] for t, i in zip(walks, picked, strict=True)])
    by_policy = np.concatenate([_steered(WALKERS, act)[i % WALKERS] for i in picked])
    action = actions_at(spaces, len(obs), rng, _steer(act, obs, by_policy))
    x = np.concatenate([np.repeat(obs[:, None], action.shape[1], axis=1), action], axis=-1)
    change = models.map(lambda model: model(x))
    paid = payers.map(lambda payer: payer(np.concatenate([x, change.source], axis=-1))[..., 0])
    nowhere = np.zeros(paid.source.shape, bool)
    return Probes(
        obs=obs,
        action=action,
        change=change,
        follow=models.map(lambda model: lambda action: model(np.concatenate([obs, action], axis=1))),
        reward=paid,
        ends=Pair(nowhere, nowhere),
        paid=paid.target,
        terms=Pair({"reward": paid.source}, {"reward": paid.target}),
        by_policy=by_policy,
        again=change.map(lambda c: c[:, 0]),
        steps=walks,
        group=walks.map(lambda t: np.arange(len(t.obs)) % WALKERS + WALKERS * (np.arange(len(t.obs)) // STRETCH)),
        error=models.source.error + models.target.error,
        explained=min(m.explained for m in models),
        reward_explained=min(m.explained for m in payers),
        reward_apart=apart,
        source_steps=len(walks.source.obs),
    )


def reward_models(walks: Pair[Transition], spaces: Spaces) -> tuple[Pair[Surrogate], float]:
    """A reward model of each domain, and the share of a domain's rewards that its own model explains and a joint model
    does not, on steps held out from all three; the larger of both domains'.

    The inputs are (s, a, s' - s), so that one reward function is one model, whatever the dynamics.
    """
    steps = walks.map(lambda t: np.concatenate([t.obs, _clipped(t, spaces), t.next_obs - t.obs], axis=1))
    rewards = walks.map(lambda t: t.reward[:, None])
    payers = Pair(*(Surrogate.fit(x, y) for x, y in zip(steps, rewards, strict=True)))
    kept = rewards.map(lambda y: Surrogate.kept(len(y)))
    both = Surrogate.fit(np.concatenate(steps), np.concatenate(rewards), kept=np.concatenate(kept))
    more = [
        ((both(x[i]) - y[i]) ** 2).mean() - own.error.item()
        for own, x, y, i in zip(payers, steps, rewards, kept, strict=True)
    ]
    spread = [y[i].var() for y, i in zip(rewards, kept, strict=True)]
    return payers, max(m / v if v > 0 else float(m > 0) for m, v in zip(more, spread, strict=True))


def _walk(domain: Domain, control_steps: int, act: Act | None, seed: int, draws: int) -> Transition:
    """Steps of WALKERS robots in their own episodes, ordered by control step."""
    simulation, rng = domain.simulate(WALKERS, seed), np.random.default_rng(draws)
    steered, taken = _steered(WALKERS, act), []
    for _ in range(control_steps):
        taken.append(simulation.step(_walking(domain.spaces, simulation.obs, rng, act, steered)))
    return Transition(*(np.concatenate(column) for column in zip(*taken, strict=True)))


def _clipped(t: Transition, spaces: Spaces) -> np.ndarray:
    return np.clip(t.action, spaces.low, spaces.high)
