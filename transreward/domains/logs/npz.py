"""The arrays of an npz file that make a log: no pickle is opened, and nothing is unpacked beyond what fits."""

from __future__ import annotations

import io
import os
import zipfile
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transreward.domains.logs import mapped, table
from transreward.domains.logs.clock import RATE
from transreward.domains.logs.columns import listed, require_numbers, require_room, wanted
from transreward.domains.logs.named import NAMES
from transreward.plain import TEXT
from transreward.types import RequestError

AT_ONCE = 4 * 2**20  # bytes: an archive's list of members is read in one go, the rest in smaller pieces
HEADER = 1_000  # characters of an array's header, which Python parses
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # by which NumPy writes


class Sparing(io.BufferedReader):
    """A file that does not hand out much at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        """The same. Raises RequestError where too much is asked for."""
        if size is not None and size > AT_ONCE:
            raise RequestError("its list of members is too long to be an npz file's")
        return super().read(size)


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays that make a log, by name, as they are stored.

    Raises RequestError for what is refused, and whatever zipfile, zlib and NumPy raise for a damaged file.
    """
    with Sparing(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        names = {x.filename.removesuffix(".npy"): x for x in archive.infolist() if x.filename.endswith(".npy")}
        if not names:
            raise RequestError("it is a zip archive without arrays: write it by numpy.savez")
        if (says := table.beside(path)).is_file():
            return mapped.arrays(says, _Held(archive, names), os.path.getsize(path))
        chosen = {name: names[name] for name in wanted(names)}
        require_room({name: _shape(archive, info, name) for name, info in chosen.items()}, os.path.getsize(path))
        for name, most in ((RATE, HEADER), (NAMES, TEXT)):  # one number, and a text, or nothing that is read
            if name in names and names[name].file_size < most:
                chosen[name] = names[name]
                _shape(archive, names[name], name)
        return {name: _array(archive, info) for name, info in chosen.items()}


class _Held(NamedTuple):
    """What an archive holds, as `mapped` asks for it."""

    archive: zipfile.ZipFile
    names: dict[str, zipfile.ZipInfo]

    def within(self, group: str) -> list[str]:
        """The arrays of a group, of which an archive knows nothing but their names."""
        start = f"{group}/" if group else ""
        return list(dict.fromkeys(x[len(start) :].partition("/")[0] for x in self.names if x.startswith(start)))

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of an array."""
        return _shape(self.archive, self.names[name], name) if name in self.names else None

    def read(self, name: str) -> np.ndarray:
        """Its numbers."""
        return _array(self.archive, self.names[name])


def _shape(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> tuple[int, ...]:
    """The shape that an array's header says. Raises RequestError where the array is not as numpy.savez writes it."""
    if info.flag_bits & 1 or info.compress_type not in METHODS:
        raise RequestError(f"{listed([name])} is encrypted, or not packed by NumPy: write it by numpy.savez_compressed")
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):  # a later version's header may be of any length
            raise RequestError(f"{listed([name])} is of a later version of the format, which plain numbers never need")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member, max_header_size=HEADER)
        require_numbers(name, dtype)
        if min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != info.file_size - member.tell():
            raise RequestError(f"{listed([name])} is damaged: its shape is said to be {list(shape)}")
    return shape


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False, max_header_size=HEADER)
