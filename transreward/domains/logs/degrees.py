"""Whether a log's angles are in degrees, where its robot's are in rad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transreward.types import Entry

OUTSIDE = 3.0  # spans of a joint's range from which an angle is none in rad


def in_degrees(entries: Sequence[Entry], x: np.ndarray) -> str:
    """A joint whose angles `x` [n, entries] are far outside its range, as a question, and what
    to do about it; empty where there is none."""
    for entry, own in zip(entries, x.T, strict=True):
        if entry.unit == "rad" and np.ptp(own) > OUTSIDE * (entry.high - entry.low):
            return (
                f"'{entry.name}' goes from {own.min():.3g} to {own.max():.3g}, and its joint from {entry.low:.3g} to "
                f"{entry.high:.3g} rad: are these degrees? Then write {{column: NAME, unit: deg}} for it, and so for "
                f"each other that is ({{column: NAME, unit: deg/s}} for a velocity), in the YAML file beside the log"
            )
    return ""
