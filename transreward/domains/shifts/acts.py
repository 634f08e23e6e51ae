"""Shifts of what acts on a commanded action: bias, dead zone, noise and delay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transreward.domains.generators import Normals
from transreward.domains.shifts.kinds import Kind, Physics

KINDS = (
    Kind(
        "bias", "added to what acts, as a share of half the control range", "actuator", low=-2.0, high=2.0,
        value="share", words=("offset", "trim"), neutral=0.0, shown="bias of what acts (share of half the range)",
        sided=True,
    ),
    Kind(
        "deadzone", "controls that do nothing about the middle, as a share of half their range; less by it beyond",
        "actuator", high=1.0, value="share", words=("deadband", "backlash", "threshold"), neutral=0.0,
        shown="dead zone (share of half the range)",
    ),
    Kind(
        "noise", "Gaussian noise on the actions, in their units", "actuator", value="std", neutral=0.0,
        combine=np.hypot, words=("action_noise", "jitter"), shown="noise on the action (std)", sided=True,
    ),
    Kind(
        "delay", "actions act this many control steps later", high=100, value="steps",
        words=("latency", "lag", "action_delay"), neutral=0.0, shown="delay (control steps)",
    ),
)  # fmt: skip


def acting(physics: Physics, action: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What acts of actions within `low` and `high` [control], [..., control]: dead zone, then bias, within the box.

    Neither the delay nor the noise, which depend on time and chance.
    """
    if not (physics.bias.any() or physics.deadzone.any()):
        return action
    middle, half = (low + high) / 2, (high - low) / 2
    share = (action - middle) / half
    if physics.deadzone.any():
        share = np.sign(share) * np.maximum(np.abs(share) - physics.deadzone, 0)
    return np.clip(middle + half * (share + physics.bias), low, high)


class Motors:
    """What acts on the actions of n robots; `low` and `high` are the box of actions, [control].

    Row i's noise is drawn from a stream of its own, seeded by `seeds[i]`, so that resets are the same as without noise.
    """

    def __init__(self, physics: Physics, low: np.ndarray, high: np.ndarray, seeds: Sequence[tuple[int, int]]):
        self._physics, self._low, self._high = physics, low, high
        self._plain, self._changed = physics.obeys, bool(physics.bias.any() or physics.deadzone.any())
        self._queue = np.zeros((len(seeds), physics.delay, len(low)))  # actions on their way, the oldest first
        self._noise = Normals(seeds, 1, len(low)) if physics.noise.any() else None

    def acting(self, action: np.ndarray, step: int) -> np.ndarray:
        """What acts of the commanded `action` [n, control] in control step `step` of the simulation: clipped, delayed,
        changed, with noise, and clipped again."""
        action = np.clip(action, self._low, self._high)
        if self._plain:
            return action
        if self._physics.delay:
            self._queue = np.concatenate([self._queue, action[:, None]], axis=1)
            action, self._queue = self._queue[:, 0], self._queue[:, 1:]
        if self._changed:
            action = acting(self._physics, action, self._low, self._high)
        if self._noise is not None:
            action = np.clip(action + self._physics.noise * self._noise.of(step), self._low, self._high)
        return action

    def start(self, rows: np.ndarray) -> None:
        """Forget the actions on their way, at the start of an episode."""
        self._queue[rows] = np.clip(0, self._low, self._high)

    def get_state(self) -> dict[str, np.ndarray]:
        """All that later actions depend on, as arrays."""
        state = {"queue": self._queue.copy()}
        return state if self._noise is None else state | self._noise.get_state("noise")

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`."""
        self._queue = np.array(state["queue"])
        if self._noise is not None:
            self._noise.set_state(state, "noise")
