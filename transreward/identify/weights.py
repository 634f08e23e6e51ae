"""What a task pays for, told from its rewards: the weights of terms that a simulator has, with their intervals.

`pay` asks which of a robot's own weights are surely others, for a simulator that then pays so. Here a policy is told
all of them, so each has an interval, and what the steps do not show is not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transreward.domains import robots
from transreward.domains.bridged import plain
from transreward.domains.domain import TableRobot
from transreward.domains.weighed import Span, paid_for
from transreward.identify.evidence import held_out
from transreward.identify.pay import ENOUGH, retaken
from transreward.identify.uncertainty import LENGTH, by_blocks, half_width
from transreward.types import Transition

FLAT = 1e-5  # of the largest singular value: directions below it are not in the steps
SHOWN = 0.99  # share of a weight that lies in directions that are


class Inferred(NamedTuple):
    """What steps show of the weights of a reward's terms."""

    weights: np.ndarray  # [terms]
    half: np.ndarray  # [terms], half of the 95% interval; infinite where the steps do not tell the weight
    explained: float  # share of the reward's variance, in [0, 1], that they explain on held-out steps
    steps: int

    @property
    def enough(self) -> bool:
        """Whether so much is explained that a policy may be told the weights."""
        return self.explained >= ENOUGH

    @property
    def told(self) -> np.ndarray:
        """[terms] bool: whether the steps tell the weight."""
        return np.isfinite(self.half)

    def words(self, names: Sequence[str]) -> str:
        """In words, for the terms of these names."""
        if not self.enough:
            return (
                f"what the family's tasks pay for explains {self.explained:.1%} of the reward, and the other "
                f"{1 - self.explained:.1%} nothing does: the policy is told nothing of its task"
            )
        shown = zip(names, self.weights, self.half, strict=True)
        each = ", ".join(f"{name} {w:.3g} +- {h:.2g}" for name, w, h in shown if np.isfinite(h))
        rest = [name for name, known in zip(names, self.told, strict=True) if not known]
        beside = f"; {', '.join(rest)}, which the steps do not tell apart, as in the family's middle" if rest else ""
        share = f"these explain {self.explained:.1%} of the reward of {self.steps} steps"
        return f"the policy is told that its task pays {each or 'nothing for sure'}{beside}; {share}"

    def as_json(self, names: Sequence[str]) -> dict[str, object]:
        """What identification.json keeps."""
        half = [float(h) if np.isfinite(h) else None for h in self.half]
        each = {name: {"weight": float(w), "half": h} for name, w, h in zip(names, self.weights, half, strict=True)}
        return {"weights": each, "explained": self.explained, "steps": self.steps, "enough": self.enough}


class Known(NamedTuple):
    """What is known of the weights before a step is seen: those of a family's tasks."""

    usual: np.ndarray  # [terms], taken where the steps show nothing
    low: np.ndarray  # [terms], the least that a policy may be told
    high: np.ndarray  # [terms], the largest

    @staticmethod
    def of(weights: np.ndarray) -> Known:
        """By the weights of each task, [tasks, terms]."""
        return Known(weights.mean(axis=0), weights.min(axis=0), weights.max(axis=0))


def weights_from(terms: np.ndarray, reward: np.ndarray, known: Known) -> Inferred:
    """The weights with which terms [n, k] add up to the reward [n], by least squares.

    In directions that the steps do not show they stay at the usual ones, and so does a weight whose interval would be
    wider than what it could be. A constant is fitted beside the terms unless they hold one. The intervals are of a
    bootstrap over blocks of consecutive steps: see `uncertainty`. `explained` is the lesser of two shares: what the
    weights explain, and what those explain that a policy can be told, in any unit of the reward.
    """
    held, usual = held_out(len(terms)), known.usual
    width = np.maximum(known.high - known.low, np.abs(usual))
    open_ = np.ones(len(usual), bool)
    weights, half = _fit(terms, reward, usual, open_)
    while (doubt := np.where(np.isfinite(half) & (width > 0), half / np.where(width > 0, width, 1.0), 0.0)).max() > 1:
        open_[doubt.argmax()] = False  # the one that is least sure, and then again
        weights, half = _fit(terms, reward, usual, open_)
    explained = 0.0
    if held.any() and reward[held].std() > 0:
        fitted, _ = _fit(terms[~held], reward[~held], usual, open_)
        off = (reward - terms @ fitted)[~held].mean()  # the constant
        left = np.mean((reward - terms @ fitted - off)[held] ** 2) / np.var(reward[held])
        explained = min(1.0 - left, _agreement(terms[held] @ np.clip(fitted, known.low, known.high), reward[held]))
    return Inferred(weights, half, float(np.clip(explained, 0.0, 1.0)), len(terms))


def _agreement(told: np.ndarray, reward: np.ndarray) -> float:
    """The share of a reward's variance that another one explains in the best unit above 0."""
    if not told.std() > 1e-12 * np.abs(told).max(initial=1.0):
        return 0.0
    return float(max(np.corrcoef(told, reward)[0, 1], 0.0) ** 2)


def _fit(terms: np.ndarray, reward: np.ndarray, usual: np.ndarray, open_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [terms] and halves of their intervals: of those that are open by least squares, of others as usual."""
    weights, half = usual.astype(float).copy(), np.full(len(usual), np.inf)
    size = np.sqrt(np.mean(terms[:, open_] ** 2, axis=0))
    size = np.where(size > 0, size, 1.0)
    x, k = terms[:, open_] / size, int(open_.sum())
    ones = np.ones((len(x), 1))
    shares, *_ = np.linalg.lstsq(x, ones, rcond=None)
    if np.mean((x @ shares - ones) ** 2) > 1e-6:
        x = np.concatenate([x, ones], axis=1)
    rest = reward - terms[:, ~open_] @ usual[~open_]
    found, shown = _least(x, rest, np.concatenate([usual[open_] * size, np.zeros(x.shape[1] - k)]))
    weights[open_] = found[:k] / size
    half[open_] = np.where(shown >= SHOWN, _half(x, rest - x @ found), np.inf)[:k] / size
    return weights, half


def _least(x: np.ndarray, reward: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights nearest to `start` among those of least squares, and the share of each that the steps show."""
    u, s, v = np.linalg.svd(x, full_matrices=False)
    kept = s > FLAT * s[0]
    moved = v[kept].T @ ((u.T @ (reward - x @ start))[kept] / s[kept])
    return start + moved, (v[kept] ** 2).sum(axis=0)


def _half(x: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Half of the 95% interval of each weight, from what the fit leaves of each step."""
    information, gradient = by_blocks(x[:, None], off[:, None])
    return half_width(information, gradient, np.ones(len(gradient)))


def inferred(simulator: TableRobot, span: Span, seeds: list[int], t: Transition) -> list[Inferred]:
    """What the steps [seeds, n, ...] of each seed show of the weights of a family's parts, which the simulator computes
    for them as it is put into their states; see `weights_from`."""
    rows, known, _, stored = retaken(simulator, seeds, t)
    row, width, before = robots.row(simulator.robot.name), plain(simulator).spaces.obs, Known.of(span.weights)
    action = np.clip(rows.action, simulator.spaces.low, simulator.spaces.high)
    terms = paid_for(row, span.parts, rows.obs[:, :width], action, rows.next_obs[:, :width], stored)
    found = []
    for at in np.split(np.arange(len(known)), len(seeds)):
        at = at[known[at]]
        none = Inferred(before.usual, np.full(len(before.usual), np.inf), 0.0, len(at))
        found.append(weights_from(terms[at], rows.reward[at], before) if len(at) > 2 * LENGTH else none)
    return found
