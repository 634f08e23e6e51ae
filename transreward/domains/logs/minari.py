"""Minari's folders: an HDF5 file of the steps, and a file about them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from transreward import plain
from transreward.domains.logs import clock, hdf5, named
from transreward.domains.logs.columns import PART
from transreward.types import RequestError

DATA, ABOUT = "data/main_data.hdf5", "data/metadata.json"
OURS, UNREWARDED = "control_rate", "rewards_not_recorded"  # keys that Minari has no words for; it demands rewards


def is_minari(path: Path) -> bool:
    """Whether a folder is one of Minari's."""
    return (path / DATA).is_file() or (path / ABOUT).is_file()


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that make a log. Raises RequestError for what is refused, and where h5py is missing."""
    about = {}
    if (path / ABOUT).is_file():
        try:
            about = dict(plain.parsed(plain.content(path / ABOUT)))
        except (ValueError, TypeError) as error:
            raise RequestError(f"its {ABOUT} cannot be read: {error}") from None
    if not (path / DATA).is_file():
        kind = str(about.get("data_format", "another"))[:20]
        raise RequestError(f'it is Minari\'s in the format {kind!a}: write it with data_format="hdf5"')
    found = hdf5.arrays(path / DATA)
    if about.get(UNREWARDED) is True:
        found = {name: x for name, x in found.items() if PART.get(name.rpartition("/")[2]) != "reward"}
    if isinstance(names := about.get(named.NAMES), dict):
        with suppress(KeyError, TypeError):  # then they are no such names
            found |= named.kept(*(names[part] for part in named.PARTS))
    return found | ({clock.RATE: np.array(clock.required(about[OURS]))} if OURS in about else {})
