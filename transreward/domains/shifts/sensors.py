"""Shifts of what is seen: bias, noise and delay of sensors. Rewards, terms and terminations are of the true state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from transreward.domains.domain import Domain, SparingSimulation
from transreward.domains.generators import Normals
from transreward.domains.shifts.acts import delayed
from transreward.domains.shifts.kinds import Beside, Kind, Physics

WALK = (8, 256)  # robots and control steps of the walk that tells how far entries spread

KINDS = (
    Kind(
        "sensor_noise", "Gaussian noise on what is seen, as a share of each entry's spread", "entry", value="share",
        words=("sensor", "obs_noise", "observation_noise", "measurement_noise"), neutral=0.0, combine=np.hypot,
        shown="noise on what is seen (share of its spread)", random=True,
    ),
    Kind(
        "sensor_bias", "added to what is seen, as a share of each entry's spread", "entry", low=-1000.0, value="share",
        words=("calibration", "obs_bias", "sensor_offset"), neutral=0.0,
        shown="bias of what is seen (share of its spread)", sided=True,
    ),
    Kind(
        "sensor_delay", "observations are seen this many control steps later", high=100, value="steps",
        words=("obs_delay", "observation_delay", "sensor_lag"), neutral=0.0,
        shown="delay of what is seen (control steps)",
    ),
)  # fmt: skip


class Sensors:
    """What n robots see of observations, whose spread [obs] is given: with bias and noise, then late.

    `now` is what each row has at present, of what `variants` have: it may change in place when an episode starts. Row
    i's noise is drawn from a stream of its own, seeded by `seeds[i]`: all else is the same as without noise.
    """

    def __init__(self, variants: Sequence[Physics], now: Beside, spread: np.ndarray, seeds: Sequence[tuple[int, int]]):
        n, width = len(seeds), len(spread)
        self._now, self._spread = now, spread
        self.true = np.zeros((n, width))  # the latest observations, as they are
        latest = max(v.sensor_delay for v in variants)
        self._queue = np.zeros((n, latest, width))  # on their way, the oldest first
        noisy = any(v.sensor_noise.any() for v in variants)
        self._noise = Normals(seeds, 2, width) if noisy else None

    @property
    def bias(self) -> np.ndarray:
        """What is added to the observations of each row, [n, obs]."""
        return self._now.sensor_bias * self._spread

    def start(self, rows: np.ndarray, true: np.ndarray) -> np.ndarray:
        """What is seen at the start of an episode of some rows, whose observations are `true` [rows, obs]."""
        seen = true + self.bias[rows]
        if self._noise is not None:
            seen += self._now.sensor_noise[rows] * self._spread * self._noise.more(rows)
        self.true[rows], self._queue[rows] = true, seen[:, None]
        return seen

    def seen(self, true: np.ndarray, step: int) -> np.ndarray:
        """What is seen after control step `step` of the simulation, where `true` [n, obs] is to be seen."""
        self.true, seen = true.copy(), true + self.bias
        if self._noise is not None:
            seen += self._now.sensor_noise * self._spread * self._noise.of(step)
        if self._queue.shape[1]:
            seen, self._queue = delayed(self._queue, seen, self._now.sensor_delay)
        return seen

    def get_state(self) -> dict[str, np.ndarray]:
        """All that is seen later depends on, as arrays."""
        state = {"true": self.true.copy(), "sensor_queue": self._queue.copy()}
        return state if self._noise is None else state | self._noise.get_state("sensor_noise")

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`."""
        self.true, self._queue = np.array(state["true"]), np.array(state["sensor_queue"])
        if self._noise is not None:
            self._noise.set_state(state, "sensor_noise")


def spread(row: Any, what: Sequence[Any], unshifted: Callable[[], Domain]) -> np.ndarray:
    """Standard deviation of each entry of an observation, [obs], over a fixed walk of random actions by the robot
    `row` of the table, which `unshifted` makes. Computed once for each of `what`: its tasks and parts."""
    key = (row.name, *map(str, what))
    known, found = _SPREADS.get(key, (None, None))
    if known is not row or found is None:
        found = _walked(unshifted())
        _SPREADS[key] = (row, found)
    return found


_SPREADS: dict[tuple[str, ...], tuple[Any, np.ndarray]] = {}


def _walked(domain: Domain) -> np.ndarray:
    n, steps = WALK
    walk: SparingSimulation = domain.simulate(n, 0, 1)  # type: ignore[assignment]  # of a robot of the table
    walk.sparing, rng, low, high = True, np.random.default_rng(0), domain.spaces.low, domain.spaces.high
    seen = [walk.step(rng.uniform(low, high, (n, len(low)))).next_obs for _ in range(steps)]
    return np.concatenate(seen).std(axis=0)
