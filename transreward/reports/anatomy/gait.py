"""The phase of a gait, from the angles of joints over time."""

from __future__ import annotations

import numpy as np

STEADY = 0.5  # correlation of the angles with themselves a period later, below which there is no gait
SHORTEST = 4  # steps of a period


def phase(angles: np.ndarray) -> np.ndarray | None:
    """Where in its cycle each moment is, [n] in [0, 1), from angles [n, joints]; None where nothing repeats.

    The period is where the angles are most like themselves. The phase is that of the analytic signal of their first
    principal component, kept to frequencies near that of the period; 0 is where this component is highest.
    """
    from scipy.signal import hilbert

    x = angles - angles.mean(axis=0)
    moves = x.std(axis=0) > 1e-6
    if len(x) < 4 * SHORTEST or not moves.any():
        return None
    x = x[:, moves] / x[:, moves].std(axis=0)
    period = _period(x)
    if period is None:
        return None
    _, _, axes = np.linalg.svd(x, full_matrices=False)
    main = x @ axes[0]
    spectrum, frequency = np.fft.rfft(main), np.fft.rfftfreq(len(main))
    spectrum[(frequency < 0.5 / period) | (frequency > 1.5 / period)] = 0
    return np.angle(hilbert(np.fft.irfft(spectrum, len(main)))) / (2 * np.pi) % 1.0


def _period(x: np.ndarray) -> int | None:
    """Steps until the angles [n, joints], of spread 1, are most like themselves; None where they never are much so."""
    lags = np.arange(SHORTEST, len(x) // 3)
    like = np.array([(x[:-lag] * x[lag:]).mean() for lag in lags])
    inner = np.flatnonzero((like[1:-1] >= like[:-2]) & (like[1:-1] >= like[2:])) + 1
    good = [i for i in inner if like[i] >= STEADY]
    if not good:
        return None
    top = max(like[i] for i in good)
    return int(lags[next(i for i in good if like[i] >= 0.9 * top)])
