"""What a file of torch or a pickle of Stable-Baselines3 holds, without running any of it.

Their formats are pickles. Here names in one are never looked up: arrays are rebuilt by this module, and an object of
any other class becomes an `Inert`, which keeps what it was given and does nothing. So neither torch nor the classes
that were pickled are needed, and a file that would run a command runs nothing.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
import zlib
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from transreward.types import RequestError

MOST = 2**30  # bytes of arrays in a file
TEXT = 8 * 2**20  # bytes of a pickle
MEMO = ("PUT", "BINPUT", "LONG_BINPUT")  # opcodes that make room for as many objects as they name
STORAGES = {
    "FloatStorage": np.float32, "DoubleStorage": np.float64, "LongStorage": np.int64, "IntStorage": np.int32,
    "HalfStorage": np.float16, "BoolStorage": np.bool_, "ByteStorage": np.uint8, "ShortStorage": np.int16,
    "CharStorage": np.int8,
}  # fmt: skip


class Inert:
    """An object of a class that is not looked up: `state` is what it was pickled with."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.state: Any = args

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """As a dictionary's; forgotten."""

    def append(self, value: Any) -> None:
        """As a list's; forgotten."""


class _Reader(pickle.Unpickler):
    def __init__(self, content: bytes, storage: Any) -> None:
        super().__init__(io.BytesIO(content))
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name."""
        if name in STORAGES and module.startswith("torch"):
            return STORAGES[name]
        return KNOWN.get((module, name)) or KNOWN.get((module.partition(".")[0], name)) or Inert

    def persistent_load(self, pid: Any) -> np.ndarray:
        """A storage of torch, by its place in the archive."""
        _, dtype, key, _, size = pid
        return self._storage(str(key), np.dtype(dtype), int(size))


def _tensor(storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any) -> np.ndarray:
    """A tensor, a copy. Raises ValueError where it would leave its storage."""
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if prod(size) else offset
    wrong = min((offset, *size, *stride), default=0) < 0 or last >= max(len(storage), 1)
    if wrong or prod(size) > len(storage):
        raise ValueError("a tensor leaves its storage")
    strides = [step * storage.itemsize for step in stride]
    return np.array(np.lib.stride_tricks.as_strided(storage[offset:], size, strides))


def _parameter(data: np.ndarray, *rest: Any) -> np.ndarray:
    return data


class _Array:
    """NumPy's own pickle of an array, rebuilt when its state is known."""

    def __init__(self, *args: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Dtype:
    def __init__(self, code: str, *rest: Any) -> None:
        self.code: str = str(code)
        self.order: Any = "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if len(state) > 1 else "="
        if self.order not in ("<", ">", "=", "|"):
            raise ValueError("it holds numbers in an order of bytes that there is not")

    @property
    def own(self) -> np.dtype:
        """With the order of bytes in which the numbers were written."""
        return np.dtype(self.code).newbyteorder(self.order)

    def read(self, content: bytes | bytearray) -> np.ndarray:
        """The numbers in some bytes, a copy in this machine's order."""
        return np.frombuffer(content, self.own).astype(self.own.newbyteorder("="))


def _scalar(dtype: _Dtype, content: bytes = b"") -> Any:
    return dtype.read(content)[0] if isinstance(content, bytes) and content else 0


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any = "C") -> Any:
    """NumPy's pickle of an array from protocol 5 on."""
    if not isinstance(content, (bytes, bytearray)) or not isinstance(dtype, _Dtype) or dtype.own.hasobject:
        raise ValueError("it holds an array of objects")
    return dtype.read(content).reshape(shape, order=order)


def _nothing(*args: Any) -> NoReturn:
    raise ValueError("it holds sparse or quantised tensors, which are not read")


KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_sparse_tensor"): _nothing,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "dtype"): _Dtype,
}


def array(found: Any) -> np.ndarray | None:
    """An array or number of a pickle as NumPy's; None if it is none."""
    if isinstance(found, (np.ndarray, float, int, np.generic)):
        return np.asarray(found)
    if not isinstance(found, _Array) or not isinstance(found.state, tuple) or len(found.state) != 5:
        return None
    _, shape, dtype, fortran, content = found.state
    if not isinstance(dtype, _Dtype) or not isinstance(content, bytes) or dtype.own.hasobject:
        return None
    return dtype.read(content).reshape(shape, order="F" if fortran else "C")


def pickled(content: bytes) -> Any:
    """What a plain pickle holds. Raises ValueError."""

    def none(*args: Any) -> NoReturn:
        raise ValueError("it refers to storages that it does not hold")

    return _loaded(content, none)


def torch_file(content: bytes) -> Any:
    """What a file of `torch.save` holds: containers of plain values and arrays. Raises ValueError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _archived(archive)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OverflowError, zlib.error, RuntimeError) as error:
        said = " ".join(str(error).split())[:100]
        raise ValueError(
            f"it was not written by torch.save of torch 1.6 or later, or it is damaged or cut off ({said})"
        ) from None


def _archived(archive: zipfile.ZipFile) -> Any:
    names = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(names) != 1:
        raise ValueError("it was not written by torch.save: it has no data.pkl")
    root, left = names[0].removesuffix("data.pkl"), [MOST]

    def storage(key: str, dtype: np.dtype, size: int) -> np.ndarray:
        about = archive.getinfo(f"{root}data/{key}")
        left[0] -= about.file_size
        if left[0] < 0 or about.file_size != size * dtype.itemsize:
            raise ValueError("it holds too much, or a storage of another size than it says")
        return np.frombuffer(archive.read(about), dtype)

    if archive.getinfo(names[0]).file_size > TEXT:
        raise ValueError("its data.pkl is too long")
    return _loaded(archive.read(names[0]), storage)


def _loaded(content: bytes, storage: Any) -> Any:
    """Raises ValueError, also for a pickle that would take more room than it has bytes."""
    if len(content) > TEXT:
        raise ValueError(f"a pickle of {len(content):,} bytes, and at most {TEXT:,} are read")
    try:
        for opcode, value, _ in pickletools.genops(content):
            if opcode.name in MEMO and int(value or 0) > len(content):
                raise ValueError("it names more objects than it can hold")
        return _Reader(content, storage).load()
    except Exception as error:  # a pickle can fail in any way
        raise ValueError(f"it is damaged: {type(error).__name__}: {' '.join(str(error).split())[:100]}") from None


def member(archive: zipfile.ZipFile, name: str, most: int = MOST) -> bytes:
    """What stands in an archive by that name. Raises ValueError where it would unpack to more than `most` bytes."""
    about = archive.getinfo(name)
    if about.file_size > most:  # no more than that is unpacked
        raise ValueError(f"its '{name}' has {about.file_size:,} bytes, and at most {most:,} are read")
    return archive.read(about)


def content_of(path: Path, most: int = MOST) -> bytes:
    """The bytes of a file. Raises RequestError where there is none, or too many."""
    if not path.is_file():
        raise RequestError("there is no such file")
    if path.stat().st_size > most:
        raise RequestError(f"{path.name} has {path.stat().st_size:,} bytes, and at most {most:,} are read")
    return path.read_bytes()
