"""Raw returns of a deterministic policy, on which every table of results rests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.domain import Domain, listed, successes
from transreward.domains.names import entry_names
from transreward.streams.guarded import NO_LIMITS, Guarded, Limits
from transreward.streams.stream import Act, unpaid
from transreward.types import BrokenRun, Transition

SEED = 2**20  # added to a seed: all evaluations share their initial states, and no training episode has them


Terms = dict[str, np.ndarray]


class Evaluation(NamedTuple):
    """Whole episodes of each seed's policy."""

    returns: np.ndarray  # [seeds, episodes], raw
    lengths: np.ndarray  # [seeds, episodes], control steps
    terms: dict[str, np.ndarray]  # reward term -> [seeds], mean per episode
    steps: Transition  # [seeds, steps * episodes, ...], float32: all steps taken
    alive: np.ndarray  # [seeds, steps * episodes], bool: the step belongs to the first episode of its robot
    success: Mapping[str, np.ndarray] = {}  # what says whether the task is done -> [seeds], mean over episodes
    tasks: Mapping[str, np.ndarray] = {}  # of a family with several: id -> [seeds], mean return; NaN without an episode

    def first_episodes_first(self) -> Transition:
        """The steps reordered: those of first episodes, then the same again in place of all others, so that the shape
        stays."""

        def order(alive: np.ndarray) -> np.ndarray:
            return np.resize(np.flatnonzero(alive), len(alive))

        orders = [order(alive) for alive in self.alive]
        return Transition(*(np.stack([x[i][o] for i, o in enumerate(orders)]) for x in self.steps))


def evaluate(
    domain: Domain,
    act: Act,
    agents: Any,
    seeds: list[int],
    episodes: int,
    threads: int = 0,
    pay: Callable[[int], None] = unpaid,
    limits: Limits = NO_LIMITS,
) -> Evaluation:
    """Run `episodes` whole episodes of each seed's policy, side by side, without exploration.

    `pay` is called with the steps per seed before they are taken, and raises where they are not granted. The return of
    an episode in which the robot diverges is that up to there.
    """
    shape, rows = (len(seeds), episodes), len(seeds) * episodes
    guarded = Guarded(domain, rows, [SEED + seed for seed in seeds], threads, limits)
    returns, lengths = np.zeros(rows), np.zeros(rows, int)
    terms = {term: np.zeros(rows) for term in domain.reward_terms}
    told = _Told(domain, rows)
    which = guarded.simulation.variant.copy() if listed(domain) else np.zeros(rows, int)
    going, taken, alive = np.ones(rows, bool), [], []
    while going.any():
        _require_end(domain, len(taken))
        obs = guarded.obs.astype(np.float32)
        action = np.asarray(act(agents, obs.reshape(*shape, -1), None)).reshape(rows, -1)
        pay(episodes)
        try:
            step = guarded.step(action)
        except BrokenRun as error:
            raise BrokenRun(f"{error}{_seed(error.row, seeds, episodes)}, in an evaluation") from error
        taken.append(Transition(*(np.asarray(x, np.float32) for x in step)))
        alive.append(going.copy())
        returns += step.reward * going
        lengths += going
        for term, value in guarded.simulation.terms.items():
            terms[term] += value * going
        told.see(guarded.simulation.terms, step, going)
        going &= ~(step.terminated | step.truncated)

    length = domain.episode_steps
    return Evaluation(
        returns=returns.reshape(shape),
        lengths=lengths.reshape(shape),
        terms={term: value.reshape(shape).mean(axis=1) for term, value in terms.items()},
        steps=Transition(*(_by_seed(list(column), length, shape) for column in zip(*taken, strict=True))),
        alive=_by_seed(alive, length, shape),
        success={name: x.reshape(shape).mean(axis=1) for name, x in told.read(lengths).items()},
        tasks=_by_task(domain, returns.reshape(shape), which.reshape(shape)),
    )


def _require_end(domain: Domain, steps: int) -> None:
    """Raise BrokenRun for an episode that goes on after as many control steps as the longest has: where a domain never
    ends one, nothing else would."""
    if steps == domain.episode_steps:
        raise BrokenRun(
            f"{domain.name}: an episode goes on after {steps} control steps, the most that it says an episode has "
            f"(episode_steps): let its simulation truncate it there"
        )


def _seed(row: int | None, seeds: list[int], episodes: int) -> str:
    """Whose a row is that broke, for a message."""
    return "" if row is None else f", seed {seeds[row // episodes]}"


def _by_task(domain: Domain, returns: np.ndarray, which: np.ndarray) -> dict[str, np.ndarray]:
    """id -> [seeds], the mean of the returns [seeds, episodes] of that robot of a family; NaN where it has none."""
    found = {}
    for k, id in enumerate(listed(domain)):
        mine = which == k
        count = mine.sum(axis=1)
        found[id] = np.where(count > 0, (returns * mine).sum(axis=1) / np.maximum(count, 1), np.nan)
    return found


class _Told:
    """What says of each episode whether the task is done: sums over its steps, and last values. What is read from a
    column that the domain does not have is left out."""

    def __init__(self, domain: Domain, rows: int) -> None:
        self.names = entry_names(domain)
        self.judges = [one for one in successes(domain) if not one.column or one.column in self.names]
        self.sums, self.last = ({one.label: np.zeros(rows) for one in self.judges} for _ in range(2))

    def see(self, terms: Terms, step: Transition, going: np.ndarray) -> None:
        """A step, of the rows whose episodes are going on [rows]."""
        for one in self.judges:
            if one.column:
                value = step.next_obs[:, self.names.index(one.column)]
            else:
                value = sum(terms[term] for term in one.terms) if one.term else step.terminated
            self.sums[one.label] += value * going
            self.last[one.label] = np.where(going, value, self.last[one.label])

    def read(self, lengths: np.ndarray) -> Terms:
        """Label -> value of each episode [rows], of which `lengths` has the steps."""
        found = {}
        for one in self.judges:
            last = self.last[one.label]
            found[one.label] = one.read(self.sums[one.label] / lengths if one.term or one.column else last, last)
        return found


def _by_seed(frames: list[np.ndarray], length: int, shape: tuple[int, int]) -> np.ndarray:
    """[seeds, steps * episodes, ...], always `length` steps long, so that what reads it is compiled once."""
    x = np.zeros((length, *shape, *frames[0].shape[1:]), frames[0].dtype)
    x[: len(frames)] = np.reshape(frames, (len(frames), *x.shape[1:]))
    return np.moveaxis(x, 0, 1).reshape(shape[0], -1, *frames[0].shape[1:])
