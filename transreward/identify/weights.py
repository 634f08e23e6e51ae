"""What a task pays for, told from its rewards: the weights of terms that a simulator has, with their intervals.

`pay` asks which of a robot's own weights are surely others, for a simulator that then pays so. Here a policy is told
all of them, so each has an interval, and what the steps do not show is not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transreward.domains import robots
from transreward.domains.domain import TableRobot
from transreward.domains.weighed import Part, paid_for
from transreward.identify.pay import ENOUGH, held_out, retaken
from transreward.identify.uncertainty import LENGTH, half_width
from transreward.types import Transition

FLAT = 1e-5  # of the largest singular value: directions below it are not in the steps
SHOWN = 0.99  # share of a weight that lies in directions that are


class Inferred(NamedTuple):
    """What steps show of the weights of a reward's terms."""

    weights: np.ndarray  # [terms]
    half: np.ndarray  # [terms], half of the 95% interval; infinite where the steps do not tell the weight
    explained: float  # share of the reward's variance, in [0, 1], that the terms explain on held-out steps
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
                f"the terms of the family's tasks explain {self.explained:.1%} of the reward, and the other "
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


def weights_from(terms: np.ndarray, reward: np.ndarray, usual: np.ndarray) -> Inferred:
    """The weights with which terms [n, k] add up to the reward [n], by least squares; in directions that the steps do
    not show they stay at the `usual` ones [k].

    A constant is fitted beside the terms unless they hold one. The intervals are of a bootstrap over blocks of
    consecutive steps: see `uncertainty`.
    """
    n, k = terms.shape
    size = np.sqrt(np.mean(terms**2, axis=0))
    size = np.where(size > 0, size, 1.0)
    x = terms / size
    ones = np.ones((n, 1))
    shares, *_ = np.linalg.lstsq(x, ones, rcond=None)
    if np.mean((x @ shares - ones) ** 2) > 1e-6:
        x = np.concatenate([x, ones], axis=1)
    start = np.concatenate([usual * size, np.zeros(x.shape[1] - k)])
    held = held_out(n)
    explained = 0.0
    if held.any() and reward[held].std() > 0:
        found, _ = _fitted(x[~held], reward[~held], start)
        explained = float(np.clip(1.0 - np.mean((reward - x @ found)[held] ** 2) / np.var(reward[held]), 0.0, 1.0))
    found, shown = _fitted(x, reward, start)
    half = _half(x, reward - x @ found)
    half = np.where(shown >= SHOWN, half, np.inf)[:k] / size
    return Inferred(found[:k] / size, half, explained, n)


def _fitted(x: np.ndarray, reward: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights nearest to `start` among those of least squares, and the share of each that the steps show."""
    u, s, v = np.linalg.svd(x, full_matrices=False)
    kept = s > FLAT * s[0]
    moved = v[kept].T @ ((u.T @ (reward - x @ start))[kept] / s[kept])
    return start + moved, (v[kept] ** 2).sum(axis=0)


def _half(x: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Half of the 95% interval of each weight, from what the fit leaves of each step."""
    n = len(x)
    count = max(n // LENGTH, 1)
    block = np.arange(n) * count // n
    information, gradient = np.zeros((count, x.shape[1], x.shape[1])), np.zeros((count, x.shape[1]))
    np.add.at(information, block, x[:, :, None] * x[:, None])
    np.add.at(gradient, block, x * off[:, None])
    return half_width(information, gradient, np.ones(count))


def inferred(
    simulator: TableRobot, parts: Sequence[Part], usual: np.ndarray, seeds: list[int], t: Transition
) -> list[Inferred]:
    """What the steps [seeds, n, ...] of each seed show of the weights of `parts`, which the simulator computes for them
    as it is put into their states; see `weights_from`."""
    rows, known, _, stored = retaken(simulator, seeds, t)
    row, width = robots.row(simulator.robot.name), simulator.spaces.obs
    action = np.clip(rows.action, simulator.spaces.low, simulator.spaces.high)
    terms = paid_for(row, parts, rows.obs[:, :width], action, rows.next_obs[:, :width], stored)
    found = []
    for at in np.split(np.arange(len(known)), len(seeds)):
        at = at[known[at]]
        none = Inferred(usual, np.full(len(usual), np.inf), 0.0, len(at))
        found.append(weights_from(terms[at], rows.reward[at], usual) if len(at) > 2 * LENGTH else none)
    return found
