"""The arrays of an HDF5 file that make a log, read apart: see `apart`."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.logs import apart, mapped, table
from transreward.domains.logs.clock import RATE
from transreward.domains.logs.columns import listed, require_numbers, require_room, wanted
from transreward.domains.logs.named import NAMES
from transreward.plain import TEXT
from transreward.types import RequestError

MANY = 1_000_000  # names in a file
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}  # HDF5's and h5py's own; others are plugins


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that make a log, by name, as they are stored.

    Raises RequestError for what is refused, or damaged, and where h5py is missing.
    """
    return apart.arrays(path, "hdf5", "h5py")


@contextmanager
def made(path: Path) -> Iterator[Any]:
    """A file to put arrays into, which is written at the end, by Python: HDF5's own library ends the process where the
    disk is full. Raises OSError."""
    import h5py

    with h5py.File(path, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        content = file.id.get_file_image()
    path.write_bytes(content)


def convert(path: str, out: str) -> None:
    """Write the arrays that make a log into an npz file.

    Raises RequestError for what is refused, and whatever h5py raises for a damaged file.
    """
    import h5py

    with h5py.File(path, "r", locking="best-effort") as file, zipfile.ZipFile(out, "w") as archive:
        if (says := table.beside(Path(path))).is_file():
            for name, x in mapped.arrays(says, _Held(h5py, file), os.path.getsize(path)).items():
                apart.write(archive, name, x)
            return
        found = {name: _dataset(h5py, file, name) for name in wanted(_names(h5py, file))}
        require_room({name: data.shape for name, data in found.items()}, os.path.getsize(path))
        for name, data in found.items():
            apart.write(archive, name, data[()])
        for name, most in ((RATE, 1), (NAMES, TEXT)):
            if (told := _told(h5py, file, name, most)) is not None:
                apart.write(archive, name, told)


class _Held(NamedTuple):
    """What a file holds, as `mapped` asks for it."""

    h5py: Any
    file: Any

    def within(self, group: str) -> list[str]:
        """The names in a group of this file; none in anything else."""
        place = _place(self.h5py, self.file, group)
        found = place if isinstance(place, self.h5py.Group) else []
        if len(found) > MANY:
            raise RequestError(f"it has more than {MANY:,} arrays and groups")
        return list(found)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array, all of which is in this file."""
        there = _place(self.h5py, self.file, name) is not None
        return tuple(_dataset(self.h5py, self.file, name).shape) if there else None

    def read(self, name: str) -> np.ndarray:
        """Its numbers."""
        return np.asarray(_dataset(self.h5py, self.file, name)[()])


def _told(h5py: Any, file: Any, name: str, most: int) -> np.ndarray | None:
    """An array about the others, if there is one of so many numbers."""
    if name not in file or not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.shape is None or found.dtype.kind not in "iuf":
        return None
    return np.asarray(_dataset(h5py, file, name)[()]) if found.size <= most else None


def _names(h5py: Any, file: Any) -> Iterator[str]:
    """What stands in the file, and in the groups of it."""
    left = MANY - len(file)
    for name in file:
        yield name
        hard = isinstance(file.get(name, getlink=True), h5py.HardLink)
        if hard and file.get(name, getclass=True) is h5py.Group:
            left -= len(file[name])
            if left < 0:
                raise RequestError(f"it has more than {MANY:,} arrays and groups")
            yield from (f"{name}/{inside}" for inside in file[name])


def _dataset(h5py: Any, file: Any, name: str) -> Any:
    """The dataset, all of which is in this file. Raises RequestError for anything else."""
    shown, place = listed([name]), _place(h5py, file, name)
    if not isinstance(place, h5py.Dataset) or place.shape is None:
        raise RequestError(f"{shown} is no array: one array [steps, entries] is wanted")
    if place.is_virtual or place.external:
        raise RequestError(f"{shown} has its numbers in other files, which are not opened: put them into this one")
    made = place.id.get_create_plist()
    filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    if strange := [number for number in filters if number not in FILTERS or filters.count(number) > 1]:
        known = ", ".join(FILTERS.values())
        raise RequestError(f"{shown} is packed by filter {strange[0]}: pack it by {known}, as h5repack does")
    require_numbers(name, place.dtype)
    return place


def _place(h5py: Any, file: Any, name: str) -> Any:
    """What stands there, `""` being the file; None for nothing. Raises RequestError for a link to elsewhere."""
    place = file
    for piece in filter(None, name.split("/")):
        link = place.get(piece, getlink=True) if isinstance(place, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise RequestError(
                f"{listed([name])} is a link to elsewhere, which is not followed: put the array itself there"
            )
        place = place[piece]
    return place
