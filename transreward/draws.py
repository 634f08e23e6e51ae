"""Random streams: a word for each purpose, so that no two draws of a run are made of the same numbers.

`jax.random.fold_in(key, i)` is `jax.random.split(key, n)[i]`, so a key that is split and also folded gives one stream
twice. The words are therefore far above any number of parts, and every other key is used in one way alone.
"""

from __future__ import annotations

from zlib import crc32

import jax

from transreward.types import Array

PURPOSES = (
    "learner",  # initial networks
    "compensation",
    "partner",  # all that the other of two co-trained agents draws
    "model of the source",
    "noise source",  # exploration, in each domain
    "noise target",
    "noise branch",
    "branch starts",
    "branch corrections",
    "uniform source",  # actions before learning starts
    "uniform target",
    "uniform partner",
    "who acts",  # candidates in the target
    "sources",  # steps from which their weights are learned
)


def word(purpose: str) -> int:
    """The number that stands for one of the PURPOSES, in [2^31, 2^32)."""
    assert purpose in PURPOSES, purpose
    return crc32(purpose.encode()) | 1 << 31


def stream(keys: Array, purpose: str) -> Array:
    """A key for one of the PURPOSES, of each of the keys [seeds]."""
    return jax.vmap(lambda key: jax.random.fold_in(key, word(purpose)))(keys)
