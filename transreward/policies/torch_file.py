"""A file as `torch.save` writes it, written without torch: containers of plain values and float32 arrays.

It is a zip archive of a pickle, which names torch's own functions, and of the arrays' bytes; `torch.load` reads it with
`weights_only=True`. `inert.torch_file` is the way back.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np

EMPTY_ORDERED = b"ccollections\nOrderedDict\n)R"  # opcodes: its name, no arguments, called


def torch_bytes(value: Any) -> bytes:
    """The file of dictionaries, lists and tuples of numbers, text, None and float32 arrays, which become tensors.
    Raises TypeError for anything else."""
    arrays: list[np.ndarray] = []
    content = b"\x80\x02" + _pickled(value, arrays) + b"."
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, part in (("data.pkl", content), ("byteorder", b"little"), ("version", b"3\n")):
            archive.writestr(_entry(f"archive/{name}"), part)
        for i, array in enumerate(arrays):
            archive.writestr(_entry(f"archive/data/{i}"), np.ascontiguousarray(array, "<f4").tobytes())
    return file.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without a date, so that the same weights are the same bytes."""
    return zipfile.ZipInfo(name)


def _pickled(value: Any, arrays: list[np.ndarray]) -> bytes:
    """The opcodes (protocol 2) that leave a value on the stack; arrays are put aside."""
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, np.ndarray):
        return _tensor(value, arrays)
    if isinstance(value, tuple):
        return b"(" + _all(value, arrays) + b"t"
    if isinstance(value, list):
        return b"](" + _all(value, arrays) + b"e"
    if isinstance(value, dict):
        start = EMPTY_ORDERED if isinstance(value, OrderedDict) else b"}"
        return start + b"(" + _all((x for item in value.items() for x in item), arrays) + b"u"
    raise TypeError(f"{type(value).__name__} is not written")


def _all(values: Iterable[Any], arrays: list[np.ndarray]) -> bytes:
    return b"".join(_pickled(value, arrays) for value in values)


def _tensor(array: np.ndarray, arrays: list[np.ndarray]) -> bytes:
    """`torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`."""
    key = str(len(arrays))
    arrays.append(array)
    strides = tuple(int(np.prod(array.shape[i + 1 :])) for i in range(array.ndim))
    storage = b"(" + _all(("storage",), arrays) + b"ctorch\nFloatStorage\n" + _all((key, "cpu", array.size), arrays)
    rest = _all((0, tuple(array.shape), strides, False), arrays) + EMPTY_ORDERED
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"tQ" + rest + b"tR"
