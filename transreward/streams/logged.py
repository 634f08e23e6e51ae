"""Robots in a target that is not simulated here, where no step can be taken again."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from transreward.streams.log import StepLog
from transreward.streams.stream import Act
from transreward.streams.walk import Walk
from transreward.types import Array, Steps, Transition


class LoggedWalk(Walk):
    """A walk that logs each step, and after a kill repeats the steps of the log."""

    log: StepLog | None = None  # in the run's directory, if it has one

    def open_log(self, path: Path) -> StepLog:
        """See `Taker.open_log`."""
        self.log = StepLog(path)
        return self.log

    def collect(self, act: Act | None, agents: Any, noise: Array | None, steps: int) -> Steps:
        """See `Walk.collect`. Steps that are in the log come from there; one that was in flight is counted and left
        out."""
        log, first = self.log, self.steps // self.robots
        if log is None:
            return super().collect(act, agents, noise, steps)
        self.pay(steps * self.robots)
        known = sum(first + i in log.steps for i in range(steps))
        if known < steps:
            log.begin(first + known, first + steps)
        taken, lost = self._room(steps), []
        for i in range(steps):
            if first + i in log.anew:
                self._begin_anew()
            if i >= known:
                self._step(self._action(act, agents, noise, i, self.guarded.obs), taken, i)
                log.append(first + i, taken, i)
            elif log.steps[first + i] is None:
                lost.append(i)
            else:
                self._take_again(log, first + i, act, agents, noise, taken, i)
        log.commit()
        self.steps += steps * self.robots
        transition = Transition(*(np.delete(x, lost, axis=1) for x in taken.transition))
        return Steps(transition, *(np.delete(x, lost, axis=1) for x in taken[1:]))

    def _take_again(
        self, log: StepLog, number: int, act: Act | None, agents: Any, noise: Array | None, out: Steps, i: int
    ) -> None:
        log.put(number, out, i)
        t = out.transition
        self._action(
            act, agents, noise, i, np.asarray(t.obs)[:, i]
        )  # for its draws, and for the marks of guided episodes
        self._count(t.reward[:, i], np.logical_or(t.terminated[:, i], t.truncated[:, i]))
        if number + 1 in log.anew:  # no later step follows it
            t.truncated[:, i] = 1.0

    def _begin_anew(self) -> None:
        self.episode_return, self.clock = np.zeros_like(self.episode_return), np.zeros_like(self.clock)
        self._led = np.zeros_like(self._led)

    def restore(self, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
        """See `Taker.restore`; if the log has later steps, they continue the episodes of the state."""
        super().restore(arrays, numbers)
        number = self.steps // self.robots
        if self.log is None or number not in self.log.steps:
            return
        self.broken = number in self.log.anew
        self.episode_return, self.clock, self._led = (
            np.array(arrays[name]) for name in ("episode_return", "clock", "led")
        )
        found, lost = self.log.behind(number)
        flight = f"; {lost * self.robots:,} more were in flight: counted, and not learned from" if lost else ""
        name = self.domain.name
        warnings.warn(
            f"{found * self.robots:,} steps a seed of '{name}' behind the last checkpoint come from the log{flight}",
            stacklevel=2,
        )
