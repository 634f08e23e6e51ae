"""Reading a file by a large library in C, in a process of its own, with limits.

A file can be made to crash such a library, to keep it busy for ever or to unpack without end. So a reader runs apart:
it looks at the file, refuses what would lead out of it or run something, and hands the arrays over as an npz file.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np

from transreward.domains.logs import npz
from transreward.domains.logs.columns import damaged, require_package
from transreward.types import RequestError

LIMITS = {  # of the process that reads
    resource.RLIMIT_AS: 4 * 2**30,  # bytes of memory
    resource.RLIMIT_CPU: 120,  # seconds of work
    resource.RLIMIT_CORE: 0,  # it leaves no file where it crashes
}
ENVIRONMENT = {
    "HDF5_PLUGIN_PRELOAD": "::",  # no plugins
    "OPENBLAS_NUM_THREADS": "1",  # each thread of it would take memory
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve much more than they use
}


def arrays(path: Path, reader: str, package: str) -> dict[str, np.ndarray]:
    """What `reader`, a module beside this one with a function `convert(path, out)`, finds in a file or folder by means
    of a package.

    Raises RequestError for what is refused, or damaged, and where the package is missing.
    """
    require_package(package)
    with tempfile.TemporaryDirectory(prefix="transreward-") as place:
        out = Path(place) / "log.npz"
        environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-P", "-m", __name__, reader, os.path.abspath(path), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        if done.returncode == 0:
            return npz.arrays(out)
    said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if done.returncode < 0:
        said = f"it is damaged: its reader was ended by {signal.Signals(-done.returncode).name}"
    raise RequestError(said or "it could not be read, and its reader does not say why")


def write(archive: zipfile.ZipFile, name: str, x: np.ndarray) -> None:
    """Add an array to an npz file."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, x, (1, 0), allow_pickle=False)


def main(reader: str, path: str, out: str) -> int:
    """Convert within limits; what is refused is a line on standard error."""
    convert = import_module(f"transreward.domains.logs.{reader}").convert
    for limit, most in LIMITS.items():
        with suppress(OSError, ValueError):  # a system that has no such limit, or a lower one
            resource.setrlimit(limit, (most, most))
    try:
        convert(path, out)
        return 0
    except RequestError as error:
        print(error, file=sys.stderr)
    except MemoryError:
        print("there is not enough memory for it", file=sys.stderr)
    except Exception as error:  # these libraries raise many kinds
        print(damaged(error), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
