"""Robots that diverge: of many side by side one may, and its episode ends; of too many the run does."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from transreward.types import BrokenRun, Transition


class Spared:
    """n robots of a simulation, of whose episodes a share may end because a robot diverged."""

    def __init__(self, simulation: Any, n: int, share: float) -> None:
        self.simulation, self.share = simulation, share
        self.begun, self.diverged = n, 0  # episodes
        simulation.sparing = share > 0

    def step(self, action: np.ndarray) -> Transition:
        """One control step of all robots; see `Simulation`.

        Raises BrokenRun where more than the share of the episodes that were begun have diverged.
        """
        t = self.simulation.step(action)
        if self.simulation.diverged:
            self._count(self.simulation.diverged)
        self.begun += int(np.count_nonzero(t.terminated | t.truncated))
        return t

    def _count(self, diverged: dict[int, Any]) -> None:
        first, before = next(iter(diverged.values())), self.diverged
        self.diverged += len(diverged)
        if self.diverged > self.share * self.begun:
            error = BrokenRun(
                f"{first}; with this {self.diverged} of {self.begun} episodes diverged, and loop.diverged is "
                f"{self.share:g}"
            )
            error.row = first.row
            raise error
        if not before:
            warnings.warn(f"{first}: its episode ends there, and the run goes on", stacklevel=4)
