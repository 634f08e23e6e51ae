"""Where jobs run: WORKERS is the table, a file each. A new one is a file here and a line there."""

from __future__ import annotations

from importlib import import_module

from transreward.workers.contract import Asked, Worker

# name -> its module, imported when it is wanted: what it needs may not be installed
WORKERS = {
    "here": "transreward.workers.here",
    "ray": "transreward.workers.ray",
    "slurm": "transreward.workers.slurm",
}


def worker(name: str, asked: Asked) -> Worker:
    """The worker of that name, ready to take tasks. Raises RequestError if it cannot be had."""
    return import_module(WORKERS[name]).opened(asked)
