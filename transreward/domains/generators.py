"""States of random generators as arrays, so that a simulation can be resumed exactly, and the noise of each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

BLOCK = 64  # steps of noise that are drawn at a time
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


class Normals:
    """Standard normal numbers for n rows and every step, [n, width], each row's from a stream of its own.

    `stream` tells the streams of one row apart, whose seed is `seeds[i]`.
    """

    def __init__(self, seeds: Sequence[tuple[int, int]], stream: int, width: int):
        sequences = [np.random.SeedSequence([*seed, stream]) for seed in seeds]
        self._generators = [np.random.Generator(np.random.PCG64(sequence)) for sequence in sequences]
        self._block = np.zeros((len(seeds), BLOCK, width))

    def of(self, step: int) -> np.ndarray:
        """Of step `step`; to be asked for every step, in order."""
        at = step % BLOCK
        if at == 0:
            for row, rng in zip(self._block, self._generators, strict=True):
                rng.standard_normal(out=row)
        return self._block[:, at]

    def more(self, rows: Iterable[int]) -> np.ndarray:
        """Of some rows, for something between two steps, [rows, width]."""
        return np.array([self._generators[i].standard_normal(self._block.shape[2]) for i in rows])

    def get_state(self, name: str) -> dict[str, np.ndarray]:
        """All that later numbers depend on, as arrays that are named after `name`."""
        return {name: self._block.copy(), f"{name}_generators": pack(self._generators)}

    def set_state(self, state: dict[str, np.ndarray], name: str) -> None:
        """Continue from `state`."""
        self._block = np.array(state[name])
        unpack(self._generators, state[f"{name}_generators"])
