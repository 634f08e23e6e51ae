"""What a fit reads: steps that a target took, whoever recorded them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from transreward.domains.domain import Domain
from transreward.domains.logs import Log, require_fit
from transreward.domains.parameters import DELAYS
from transreward.ground import LEAST
from transreward.types import RequestError, Transition

COMMANDS = 2 + DELAYS  # from that of the step to the one before the latest that may act, which a rule of motors reads
BLOCK, HELD = 50, 10  # of every 50 steps the last 10 are held out


@dataclass(frozen=True, eq=False)
class Evidence:
    """n steps, as a table."""

    obs: np.ndarray  # [n, obs]
    commanded: np.ndarray  # [COMMANDS, n, action]: the action of the step, of the step before, ...
    next_obs: np.ndarray  # [n, obs]
    reward: np.ndarray  # [n]
    known: np.ndarray  # [n] bool: whether all of those that may act are of its episode
    follows: np.ndarray  # [n] bool: whether the row before is the step before
    held: np.ndarray  # [n] bool: held out

    def take(self, rows: np.ndarray) -> Evidence:
        """Some rows, by number or mask. What follows what is then no longer told."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        columns = (getattr(self, column.name) for column in fields(self))
        return Evidence(*(x[:, rows] if x is self.commanded else x[rows] for x in columns))

    @property
    def n(self) -> int:
        return len(self.obs)


def evidence(
    obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray, reward: np.ndarray, begins: np.ndarray
) -> Evidence:
    """Steps in the order in which they were taken; `begins` [n] bool: whether a step is its episode's first.

    Raises:
        RequestError: too few steps.
    """
    n, begins = len(obs), begins.copy()
    if n < LEAST:
        raise RequestError(f"{n} steps are too few to identify anything: give at least {LEAST}, 500 are usual")
    begins[0] = True
    clock = np.arange(n) - np.maximum.accumulate(np.where(begins, np.arange(n), 0))
    late = [np.where((clock >= k)[:, None], np.roll(action, k, axis=0), 0.0) for k in range(COMMANDS)]
    return Evidence(obs, np.stack(late), next_obs, reward, clock >= DELAYS, ~begins, held_out(n))


def held_out(n: int) -> np.ndarray:
    """[n] bool: which of n successive steps are held out."""
    return np.arange(n) % BLOCK >= BLOCK - HELD


def of_walks(t: Transition) -> Evidence:
    """Steps [control steps, robots, ...] of robots side by side, one robot after the other. Raises RequestError."""

    def in_turn(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, float).swapaxes(0, 1)
        return x.reshape(-1, *x.shape[2:])

    ended = np.logical_or(np.asarray(t.terminated) > 0, np.asarray(t.truncated) > 0)
    begins = np.concatenate([np.ones_like(ended[:1]), ended[:-1]])
    obs, action, next_obs, reward, first = map(in_turn, (t.obs, t.action, t.next_obs, t.reward, begins))
    return evidence(obs, action, next_obs, reward, first > 0)


def of_logs(robot: Domain, several: Sequence[Log], steps: int | None = None) -> Evidence:
    """The first steps of logs, one after the other; each begins with an episode of its own."""
    for log in several:
        require_fit(log, robot)
    begins = np.concatenate([np.diff(log.episode, prepend=-1) != 0 for log in several])
    columns = (np.concatenate([getattr(log, name) for log in several]) for name in ("obs", "action", "next_obs"))
    reward = np.concatenate([log.reward for log in several])
    return evidence(*(x[:steps] for x in (*columns, reward, begins)))
