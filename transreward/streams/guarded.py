"""A simulation with limits: a robot that diverges ends its episode, and a call that never returns ends the run."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.domain import BrokenSimulation, Domain
from transreward.types import BrokenRun, Transition
from transreward.watchdog import within


class Limits(NamedTuple):
    """`Loop.diverged` (share of episodes in [0, 1]) and `Loop.patience` (s). By default no robot may diverge, and calls
    may take any time."""

    diverged: float = 0.0
    patience: float = 0.0


NO_LIMITS = Limits()


class Guarded:
    """n robots of a domain, within limits. `simulation` is the guarded simulation."""

    def __init__(self, domain: Domain, n: int, seeds: list[int], threads: int, limits: Limits) -> None:
        self.limits = limits
        late = f"{domain.name} has not answered for {limits.patience:g} s, which is loop.patience"
        self._patient = partial(within, limits.patience, late) if limits.patience else nullcontext  # at every step
        self.begun, self.diverged = n, 0  # episodes
        with self._patient():
            self.simulation: Any = domain.simulate(n, seeds, threads)
        self.simulation.sparing = limits.diverged > 0

    @property
    def obs(self) -> np.ndarray:
        """See `Simulation`. Guarded too, since reading it may reset robots."""
        with self._patient():
            return self.simulation.obs

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all robots; see `Simulation`.

        Raises BrokenRun if more than the permitted share of the episodes begun so far have diverged.
        """
        with self._patient():
            t = self.simulation.step(action)
        if self.simulation.diverged:
            self._count(self.simulation.diverged)
        self.begun += int(np.count_nonzero(t.terminated | t.truncated))
        return t

    def _count(self, diverged: dict[int, BrokenSimulation]) -> None:
        first, before = next(iter(diverged.values())), self.diverged
        self.diverged += len(diverged)
        if self.diverged > self.limits.diverged * self.begun:
            error = BrokenRun(
                f"{first}; with this {self.diverged} of {self.begun} episodes diverged, and loop.diverged is "
                f"{self.limits.diverged:g}"
            )
            error.row = first.row
            raise error
        if not before:
            warnings.warn(f"{first}: its episode ends there, and the run goes on", stacklevel=4)
