"""A model of a domain's steps, fitted in closed form: for simulators that cannot be reset to a given state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

FEATURES = 300  # random cosines (Rahimi & Recht 2007) beside the inputs themselves
WIDTHS = (1.0, 3.0)  # of the kernel, in root dimensions
RIDGES = (1e-5, 1e-3, 1e-1)
KEPT = 5  # every fifth step is held out


class Surrogate(NamedTuple):
    """x [..., in] -> y [..., out] by ridge regression; width and ridge are chosen on held-out steps."""

    mean: np.ndarray
    scale: np.ndarray
    frequencies: np.ndarray
    phases: np.ndarray
    weights: np.ndarray
    error: np.ndarray  # mean square error on held-out steps, [out]
    explained: float  # share of the outputs' variance that it explains there, mean over the outputs that vary

    @staticmethod
    def fit(x: np.ndarray, y: np.ndarray, seed: int = 0, kept: np.ndarray | None = None) -> Surrogate:
        """Fit to x [n, in] and y [n, out]; the rows `kept` [n] bool are held out."""
        kept = Surrogate.kept(len(x)) if kept is None else kept
        return max((one for width in WIDTHS for one in _fits(x, y, width, seed, kept)), key=lambda one: one.explained)

    @staticmethod
    def kept(n: int) -> np.ndarray:
        """Which of n rows are held out by default, [n] bool."""
        return np.arange(n) % KEPT == 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Predictions [..., out] for x [..., in]."""
        z = (x - self.mean) / self.scale
        return _features(z, self.frequencies, self.phases) @ self.weights


def _features(z: np.ndarray, frequencies: np.ndarray, phases: np.ndarray) -> np.ndarray:
    cosines = np.cos(z @ frequencies + phases) * np.sqrt(2.0 / phases.size)
    return np.concatenate([np.ones((*z.shape[:-1], 1)), z, cosines], axis=-1)


def _fits(x: np.ndarray, y: np.ndarray, width: float, seed: int, kept: np.ndarray) -> Iterator[Surrogate]:
    """A fit for each of RIDGES."""
    rng = np.random.default_rng(seed)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-8
    frequencies = rng.standard_normal((x.shape[1], FEATURES)) / (width * np.sqrt(x.shape[1]))
    phases = rng.uniform(0.0, 2.0 * np.pi, FEATURES)
    features = _features((x - mean) / scale, frequencies, phases)
    seen, spread = features[~kept], y[kept].var(axis=0)
    square, answer = seen.T @ seen, seen.T @ y[~kept]
    varies = spread > 1e-12
    for ridge in RIDGES:
        weights = np.linalg.solve(square + ridge * len(seen) / len(square) * np.eye(len(square)), answer)
        error = ((features[kept] @ weights - y[kept]) ** 2).mean(axis=0)
        explained = float((1.0 - error[varies] / spread[varies]).mean()) if varies.any() else 1.0
        yield Surrogate(mean, scale, frequencies, phases, weights, error, explained)
