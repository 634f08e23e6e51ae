"""Random streams: a word for each purpose, so that no two draws of a run are made of the same numbers.

`jax.random.fold_in(key, i)` is `jax.random.split(key, n)[i]`, so a key that is split and also folded gives one stream
twice. The words are therefore far above any number of parts, and every other key is used in one way alone.
"""

from __future__ import annotations

from zlib import crc32

import jax

from transreward.types import Array

PARTNERS = ("partner", *(f"partner {k}" for k in range(2, 9)))  # all that another of the co-trained agents draws
PURPOSES = (
    "learner",  # initial networks
    "compensation",
    *PARTNERS,
    "model of the source",
    "noise source",  # exploration, in each domain
    "noise target",
    "noise branch",
    "branch starts",
    "branch corrections",
    "uniform source",  # actions before learning starts
    "uniform target",
    *(f"uniform {name}" for name in PARTNERS),
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
