"""Robots in a simulation: the policy acts in a domain, for all seeds at once, and every step is counted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from transreward import replay as rp
from transreward.domains.domain import Domain, restorable, stored_terms
from transreward.draws import stream as draw
from transreward.draws import word
from transreward.replay import Replay
from transreward.streams.guarded import NO_LIMITS, Guarded, Limits
from transreward.streams.stream import Act, Opening, Round, Stream, Taker, unpaid
from transreward.types import Array, BrokenRun, Steps, Transition


class Walk(Taker):
    """`stream.robots` robots per seed in one simulation, each in its own episodes."""

    def __init__(
        self,
        stream: Stream,
        domain: Domain,
        seeds: list[int],
        threads: int = 0,
        *,
        whose: str = "",
        target: Domain | None = None,
        pay: Callable[[int], None] = unpaid,
        limits: Limits = NO_LIMITS,
    ) -> None:
        """`whose` names the random streams: source, target or partner; "" = the stream's name. `target` is the
        request's target, whose task pays if `stream.rewards` says so."""
        super().__init__(stream, domain, seeds, pay)
        robots, self.robots, self.target = stream.robots, stream.robots, target or domain
        self.guarded = Guarded(domain, len(seeds) * robots, seeds, threads, limits)
        self.simulation = self.guarded.simulation
        self._stored = len(stored_terms(domain)) if stream.terms else 0
        if self._stored:
            self.simulation.storing = True
        self.episode_return = np.zeros((len(seeds), robots))
        self.clock = np.zeros((len(seeds), robots), int)  # steps since each robot's episode began
        self._led = np.zeros((len(seeds), robots), bool)  # a guide acted in the robot's present episode
        purpose = word(f"uniform {whose or stream.name}")
        self._uniform = [np.random.default_rng([seed, purpose]) for seed in seeds]

    @classmethod
    def open(cls, stream: Stream, opening: Opening) -> Walk:
        """With freshly reset robots."""
        return cls(
            stream,
            opening.domains[stream.place],
            opening.seeds,
            opening.threads,
            whose=opening.whose,
            target=opening.domains.target,
            pay=opening.payer(stream.account),
            limits=opening.limits,
        )

    def buffer(self, opening: Opening) -> Replay | None:
        """Contains earlier steps: the source agent's in the source, the teacher's in the target. Their newest step is
        marked as truncated, since the new robots do not continue it."""
        stream, old = self.stream, opening.stored
        if not stream.room:
            return None
        if stream.name == "target" and "target" in opening.buffers:
            return rp.cut(opening.buffers["target"])
        if old is None or stream.name == "target" or stream.name in (opening.takers or {}):
            return super().buffer(opening)
        old = rp.with_room(old, stream.room)
        return rp.cut(old if stream.rewards == "own" else rp.changed(old, partial(relabel, self.target)))

    def take(self, round: Round) -> Steps | None:
        """A round of steps with the current policy; at first with uniform actions, or led by the source policy."""
        if not round.steps:
            return None
        lead = self._leading_steps(round.done)
        act = self.guided(round.act, round.guide, lead) if lead else round.act
        if self.choice is not None:
            act = self.choice.among(act, round.candidates, lambda: self.clock)
        if round.random and not lead:
            steps = self.collect(None, None, None, round.steps)
        else:
            noise = None
            if not self.stream.deterministic:
                noise = round.noise(draw(round.keys, f"noise {self.stream.name}"), round.steps, self.robots)
            steps = self.collect(act, round.agents, noise, round.steps)
        return steps if self.stream.rewards == "own" else relabel(self.target, steps)

    def _leading_steps(self, done: float) -> float:
        """Steps at the start of each episode in which the source policy acts, annealed linearly to zero (JSRL,
        algorithm 1)."""
        if not self.stream.lead:
            return 0.0
        return self.target.episode_steps * max(1.0 - done / self.stream.lead, 0.0)

    def collect(self, act: Act | None, agents: Any, noise: Array | None, steps: int) -> Steps:
        """`steps` control steps of every robot, [seeds, steps, robots, ...], with reward terms if the stream stores
        them.

        `noise` [seeds, at least steps, robots, action] is the policy's normal noise. Without `act` actions are uniform.
        """
        self.pay(steps * self.robots)
        taken = self._room(steps)
        for i in range(steps):
            self._step(self._action(act, agents, noise, i, self.guarded.obs), taken, i)
        self.steps += steps * self.robots
        return taken

    def _action(self, act: Act | None, agents: Any, noise: Array | None, i: int, obs: np.ndarray) -> np.ndarray:
        """Actions of the i-th control step, [seeds, robots, action]."""
        spaces, shape = self.domain.spaces, (len(self.seeds), self.robots)
        if act is None:
            size = (shape[1], spaces.action)
            return np.stack([random.uniform(spaces.low, spaces.high, size) for random in self._uniform])
        obs = obs.astype(np.float32).reshape(*shape, -1)
        return np.asarray(act(agents, obs, None if noise is None else noise[:, i]))

    def _room(self, steps: int) -> Steps:
        """Empty arrays for `steps` control steps."""
        shape, spaces = (len(self.seeds), steps, self.robots), self.domain.spaces
        sizes = {"obs": (spaces.obs,), "next_obs": (spaces.obs,), "action": (spaces.action,)}
        columns = (np.empty((*shape, *sizes.get(name, ())), np.float32) for name in Transition._fields)
        terms = np.empty((*shape, self._stored), np.float32)
        return Steps(Transition(*columns), terms, np.full(shape, self.stream.place, np.int32))

    def _step(self, action: np.ndarray, out: Steps, i: int) -> None:
        """Take one control step and write it into `out` as the i-th."""
        try:
            t = self.guarded.step(action.reshape(-1, self.domain.spaces.action))
        except BrokenRun as error:
            row = error.row
            seed = "" if row is None else f", seed {self.seeds[row // self.robots]}"
            raise BrokenRun(f"{error}{seed}, after {self.steps} steps") from error
        shape = len(self.seeds), self.robots
        t = Transition(*[x.reshape(*shape, *x.shape[1:]) for x in t])._replace(action=action)
        for column, x in zip(out.transition, t, strict=True):
            column[:, i] = x
        if self._stored:
            out.terms[:, i] = self.simulation.stored.reshape(*shape, -1)
        self._count(t.reward, np.logical_or(t.terminated, t.truncated))

    def _count(self, reward: np.ndarray, ended: np.ndarray) -> None:
        """Add a step's rewards [seeds, robots] to the episodes, and record the returns of those that ended."""
        self.episode_return += reward
        self.clock = np.where(ended, 0, self.clock + 1)
        for seed, robot in np.argwhere(ended):  # few, and rarely any
            total = float(self.episode_return[seed, robot])
            own = self.choice is None or self.choice.ended(seed, robot, total)
            if own and not self._led[seed, robot]:  # the return of a guided episode is not this policy's
                self.returns[seed].append(total)
            self.episode_return[seed, robot], self._led[seed, robot] = 0.0, False

    def said(self) -> dict[str, Any]:
        """The number of episodes of this stage that ended by divergence, over all seeds, if there were any."""
        return {f"{self.stream.name}_diverged": self.guarded.diverged} if self.guarded.diverged else {}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `Taker.state`."""
        arrays = {"episode_return": self.episode_return.copy(), "clock": self.clock, "led": self._led.copy()}
        if restorable(self.domain):
            arrays |= {f"simulation {name}": x for name, x in self.simulation.get_state().items()}
        uniform = [random.bit_generator.state for random in self._uniform]
        returns, episodes = [list(of_seed) for of_seed in self.returns], [self.guarded.begun, self.guarded.diverged]
        numbers = {"steps": self.steps, "returns": returns, "uniform": uniform, "episodes": episodes}
        return arrays, numbers | ({} if self.choice is None else {"choice": self.choice.state()})

    def restore(self, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
        """See `Taker.restore`. If the domain's state cannot be restored, new episodes begin: the steps of those cut off
        stay counted, but their returns are not recorded."""
        self.steps, self.returns = numbers["steps"], numbers["returns"]
        self.guarded.begun, self.guarded.diverged = numbers.get("episodes", (self.guarded.begun, 0))
        if self.choice is not None:
            self.choice.restore(numbers["choice"])
        for random, state in zip(self._uniform, numbers["uniform"], strict=True):
            random.bit_generator.state = state
        if not restorable(self.domain):
            self.broken = True
            warnings.warn(
                f"the state of '{self.domain.name}' cannot be restored: its robots begin new episodes", stacklevel=2
            )
            return
        simulation = {name.removeprefix("simulation "): x for name, x in arrays.items() if name.startswith("sim")}
        self.simulation.set_state(simulation)
        self.episode_return, self.clock, self._led = (
            np.array(arrays[name]) for name in ("episode_return", "clock", "led")
        )

    def guided(self, act: Act, guide: Any, steps: float) -> Act:
        """`act`, except that in the first `steps` steps of an episode the agents `guide` act, without noise. Guided
        episodes are not among `returns`, so they do not affect stopping."""

        def either(agents: Any, obs: Array, noise: Array | None) -> Array:
            leads = self.clock < steps
            self._led |= leads
            return np.where(leads[..., None], act(guide, obs, None), act(agents, obs, noise))

        return either


def relabel(target: Any, steps: Steps) -> Steps:
    """Source steps with the target's reward. `target` must be a domain of the robot that took the steps."""
    t = steps.transition
    obs, action, next_obs, terms = (
        np.asarray(x).reshape(-1, x.shape[-1]) for x in (t.obs, t.action, t.next_obs, steps.terms)
    )
    paid = target.pay(obs, action, next_obs, terms.astype(float)).reshape(t.reward.shape)
    return steps._replace(transition=t._replace(reward=paid.astype(np.float32)))
