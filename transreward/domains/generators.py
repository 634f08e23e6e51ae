"""States of random generators as arrays, so that a simulation can be resumed exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_WORD = 2**64 - 1


def pack(generators: Sequence[np.random.Generator]) -> np.ndarray:
    """PCG64 states as uint64 [n, 6]: state and increment in two words each, and the buffered half word."""
    words = np.empty((len(generators), 6), np.uint64)
    for row, rng in zip(words, generators, strict=True):
        state = rng.bit_generator.state
        value, inc = state["state"]["state"], state["state"]["inc"]
        row[:] = [value >> 64, value & _WORD, inc >> 64, inc & _WORD, state["has_uint32"], state["uinteger"]]
    return words


def unpack(generators: Sequence[np.random.Generator], words: np.ndarray) -> None:
    """Restore generators from the words [n, 6] that `pack` returned."""
    for rng, row in zip(generators, words.tolist(), strict=True):
        state = {"state": row[0] << 64 | row[1], "inc": row[2] << 64 | row[3]}
        rng.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": state,
            "has_uint32": row[4],
            "uinteger": row[5],
        }
