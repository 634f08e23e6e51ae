"""Tasks on a Ray cluster: a Ray task each, with its cores and memory, on whichever node has room.

Ray retries nothing: a task whose node has died is lost, and the study's loop submits it again, to go on from its
checkpoint. What a task does there, claims included, is `attempt.whole`, which needs no JAX.
"""

from __future__ import annotations

import logging
import math
import socket
import time
import warnings
from importlib import import_module
from typing import Any

from transreward.types import RequestError
from transreward.workers import contract
from transreward.workers.attempt import threads, whole
from transreward.workers.contract import Asked, Outcome, Task

LOCAL, AUTO = "local", "auto"  # a cluster that is started here, and the one that this machine belongs to
WAIT = 5.0  # seconds for a cluster to answer
LOOK = 5.0  # seconds between looks at how large it is


class Cluster:
    """`contract.Worker`."""

    def __init__(self, ray: Any, asked: Asked) -> None:
        self.ray, self.asked = ray, asked
        options = {"num_cpus": asked.cores, "memory": int(asked.memory * 2**30), "max_retries": 0}
        self.task = ray.remote(**options)(whole)
        self.looked, self.places = -math.inf, 0

    def room(self) -> int:
        """What fits on all nodes that are there."""
        if time.monotonic() - self.looked >= LOOK:
            self.looked = time.monotonic()
            nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
            self.places = sum(self._on(node) for node in nodes)
        return min(self.places, self.asked.at_once or self.places)

    def _on(self, node: dict[str, float]) -> int:
        room = min(node.get("CPU", 0) / self.asked.cores, node.get("memory", 0) / (self.asked.memory * 2**30))
        return math.floor(room + 1e-9)

    def start(self, task: Task) -> Submitted:
        return Submitted(self.ray, self.task.remote(task, self.asked.cores, threads()))

    def close(self) -> None:
        self.ray.shutdown()


class Submitted:
    """`contract.Going`: a task that Ray has."""

    def __init__(self, ray: Any, ref: Any) -> None:
        self.ray, self.ref, self.began = ray, ref, time.monotonic()
        self.outcome: Outcome | None = None

    def over(self) -> Outcome | None:
        if self.outcome is None and self.ray.wait([self.ref], timeout=0)[0]:
            try:
                self.outcome = self.ray.get(self.ref)
            except self.ray.exceptions.RayError as error:  # its node or its worker is gone, or it was cancelled
                self.outcome = Outcome(contract.LOST, " ".join(str(error).split())[:200])
        return self.outcome

    def end(self) -> None:
        self.ray.cancel(self.ref)

    def kill(self) -> None:
        self.ray.cancel(self.ref, force=True)


def opened(asked: Asked) -> Cluster:
    """The cluster at an address. Raises RequestError if Ray is missing, or the cluster cannot be reached or used."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Ray warns of is not this program's
            ray: Any = import_module("ray")
    except ImportError:
        raise RequestError("a Ray cluster needs Ray: pip install 'transreward[ray]'") from None
    if asked.address not in (LOCAL, AUTO):
        require_reached(asked.address)
    try:
        about: dict[str, Any] = {"include_dashboard": False} if asked.address == LOCAL else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(address=asked.address, log_to_driver=False, logging_level=logging.CRITICAL, **about)
        cluster = Cluster(ray, asked)
        if not cluster.room():
            ray.shutdown()
            need = f"{asked.cores} cores and {asked.memory:g} GiB"
            raise RequestError(f"no node of the Ray cluster {asked.address} has {need}: ask for less, or add one")
        return cluster
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"the Ray cluster {asked.address} cannot be used: {error}") from None


def require_reached(address: str) -> None:
    """Raise RequestError if nothing listens there. Ray itself would try for a minute, and end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise RequestError(f"the Ray cluster '{address}': write HOST:PORT, local or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), WAIT).close()
    except (OSError, OverflowError) as error:
        why = str(error).partition("] ")[2] or str(error)  # without its number
        raise RequestError(f"the Ray cluster {address} cannot be reached: {why}") from None
