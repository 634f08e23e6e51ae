"""Shifts of what acts on a commanded action: bias, dead zone, noise, delay, and a learned rule of the motors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transreward.domains.generators import Normals
from transreward.domains.shifts.kinds import Beside, Kind, Physics
from transreward.domains.shifts.rules import Rule, inputs, share

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
        combine=np.hypot, words=("action_noise", "jitter"), shown="noise on the action (std)", sided=True, random=True,
    ),
    Kind(
        "delay", "actions act this many control steps later", high=100, value="steps",
        words=("latency", "lag", "action_delay"), neutral=0.0, shown="delay (control steps)",
    ),
    Kind(
        "motors", "motors do what a rule says that was learned from steps by `identify`", value="file",
        read=Rule.read, words=("actuator_net", "residual", "delta_action"), neutral=None, shown="rule of the motors",
        sided=True,
    ),
)  # fmt: skip


def acting(physics: Physics | Beside, action: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What acts of actions within `low` and `high` [control], [..., control]: dead zone, then bias, within the box; of
    one robot, or of n, one a row.

    Neither the delay nor the noise, which depend on time and chance.
    """
    changes = np.asarray(physics.bias.any(axis=-1) | physics.deadzone.any(axis=-1))
    if not np.any(changes):
        return action
    middle, half, part = (low + high) / 2, (high - low) / 2, share(action, low, high)
    if physics.deadzone.any():
        part = np.sign(part) * np.maximum(np.abs(part) - physics.deadzone, 0)
    acts = np.clip(middle + half * (part + physics.bias), low, high)
    return acts if np.all(changes) else np.where(changes[..., None], acts, action)  # the others to the bit


def delayed(queue: np.ndarray, newest: np.ndarray, delay: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of `newest` [n, ...], which follow those in `queue` [n, longest delay, ...]: those that arrive now, each row's
    `delay` [n] steps late, and the queue of the next step."""
    queue = np.concatenate([queue, newest[:, None]], axis=1)
    return queue[np.arange(len(queue)), queue.shape[1] - 1 - delay], queue[:, 1:]


class Rules:
    """The rules of the motors of n robots: of those that have variant k of `of` [n], the k-th of `rules`."""

    def __init__(
        self,
        rules: dict[int, Rule],
        model: Any,
        of: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        qpos: np.ndarray,
        qvel: np.ndarray,
    ):
        self._rules, self._model, self._of, self._low, self._high = rules, model, of, low, high
        self._qpos, self._qvel = qpos, qvel
        self.before = np.zeros((len(of), len(low)))  # what arrived in the step before

    def acting(self, action: np.ndarray) -> np.ndarray:
        """What acts of an `action` [n, control] that has arrived."""
        now, before = (share(x, self._low, self._high) for x in (action, self.before))
        self.before, added = action.copy(), np.zeros_like(action)
        for k, rule in self._rules.items():
            rows = np.flatnonzero(self._of == k)
            added[rows] = rule(inputs(self._model, now[rows], before[rows], self._qpos[rows], self._qvel[rows]))
        return np.clip(action + added * (self._high - self._low) / 2, self._low, self._high)


class Motors:
    """What acts on the actions of n robots; `low` and `high` are the box of actions, [control].

    `now` is what each row has at present, of what `variants` have, and `of` [n] which of these: both may change in
    place when an episode starts. `qpos` and `qvel` are views of the robots' states. Row i's noise is drawn from a
    stream of its own, seeded by `seeds[i]`, so that resets are the same as without noise.
    """

    def __init__(
        self,
        variants: Sequence[Physics],
        now: Beside,
        of: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        qpos: np.ndarray,
        qvel: np.ndarray,
        seeds: Sequence[tuple[int, int]],
    ):
        self._now, self._plain, self._low, self._high = now, all(v.obeys for v in variants), low, high
        self._changed = any(v.bias.any() or v.deadzone.any() for v in variants)
        latest = max(v.delay for v in variants)
        self._queue = np.zeros((len(seeds), latest, len(low)))  # actions on their way, the oldest first
        noisy = any(v.noise.any() for v in variants)
        self._noise = Normals(seeds, 1, len(low)) if noisy else None
        rules = {k: v.motors for k, v in enumerate(variants) if v.motors is not None}
        self._rules = Rules(rules, variants[0].model, of, low, high, qpos, qvel) if rules else None

    def acting(self, action: np.ndarray, step: int) -> np.ndarray:
        """What acts of the commanded `action` [n, control] in control step `step` of the simulation: clipped, delayed,
        as the rule of the motors has it, changed, with noise, and clipped again."""
        action = np.clip(action, self._low, self._high)
        if self._plain:
            return action
        if self._queue.shape[1]:
            action, self._queue = delayed(self._queue, action, self._now.delay)
        if self._rules is not None:
            action = self._rules.acting(action)
        if self._changed:
            action = acting(self._now, action, self._low, self._high)
        if self._noise is not None:
            action = np.clip(action + self._now.noise * self._noise.of(step), self._low, self._high)
        return action

    def start(self, rows: np.ndarray) -> None:
        """Forget the actions on their way, at the start of an episode."""
        self._queue[rows] = np.clip(0, self._low, self._high)
        if self._rules is not None:
            self._rules.before[rows] = np.clip(0, self._low, self._high)

    def recall(self, sent: np.ndarray) -> None:
        """Have commanded actions `sent` [n, any number, control], the newest first, on their way."""
        n = min(sent.shape[1], self._queue.shape[1])
        self._queue[:, self._queue.shape[1] - n :] = np.clip(sent[:, :n][:, ::-1], self._low, self._high)

    def get_state(self) -> dict[str, np.ndarray]:
        """All that later actions depend on, as arrays."""
        state = {"queue": self._queue.copy()}
        if self._rules is not None:
            state["before"] = self._rules.before.copy()
        return state if self._noise is None else state | self._noise.get_state("noise")

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from `state`."""
        self._queue = np.array(state["queue"])
        if self._rules is not None:
            self._rules.before = np.array(state["before"])
        if self._noise is not None:
            self._noise.set_state(state, "noise")
