"""Loggers beside metrics.jsonl: TensorBoard, Weights & Biases, Trackio. A row of SINKS each.

A sink takes `write(run, step, metrics)`: `run` is `<method>/seed<seed>`, `step` that seed's steps in both domains, and
`metrics` the numbers of its row of metrics.jsonl under the same names. It is called once per row, so that logging costs
nothing between evaluations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, Protocol

from transreward.interruption import undone
from transreward.types import RequestError, nearest


class Sink(Protocol):
    """A logger of evaluations."""

    def write(self, run: str, step: int, metrics: dict[str, float]) -> None:
        """Log the numbers of one row."""
        ...

    def close(self, failed: bool) -> None:
        """End the log. `failed`: the run raised an error or was interrupted."""
        ...


class TensorBoard:
    """Event files in tensorboard/<method>/seed<seed>/ of the run directory, with tensorboardX: neither torch nor
    TensorFlow is needed to write them."""

    def __init__(self, directory: Path) -> None:
        self.place, self.writers = directory / "tensorboard", {}

    def write(self, run: str, step: int, metrics: dict[str, float]) -> None:
        """All numbers of a row as one event, on disk at once: a run that breaks later loses nothing. The writer below
        tensorboardX's own is used, which has no thread and no queue of its own."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event  # type: ignore[attr-defined]
        from tensorboardX.proto.summary_pb2 import Summary  # type: ignore[attr-defined]

        if run not in self.writers:
            (self.place / run).mkdir(parents=True, exist_ok=True)
            self.writers[run] = EventsWriter(str(self.place / run / "events"))
        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        self.writers[run].write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        self.writers[run].flush()

    def close(self, failed: bool) -> None:
        for writer in self.writers.values():
            writer.close()


class Tracked:
    """A run of a package that is used as `wandb` is: `init(...)`, `run.log({...})`, `run.finish()`.

    All methods and seeds are one run, under `<method>/seed<seed>/<name>`, since such packages expect one run per
    process and steps that never decrease; the steps of each seed are `<method>/seed<seed>/step`.
    """

    def __init__(self, run: Any) -> None:
        self.run = run

    def write(self, run: str, step: int, metrics: dict[str, float]) -> None:
        self.run.log({f"{run}/{name}": value for name, value in {**metrics, "step": step}.items()})

    def close(self, failed: bool) -> None:
        self.run.finish()


class Wandb(Tracked):
    """Weights & Biases, with its files in wandb/ of the run directory. WANDB_MODE=offline uses no network."""

    def __init__(self, directory: Path) -> None:
        import wandb  # type: ignore[reportMissingImports]

        super().__init__(wandb.init(project="transreward", name=directory.name, dir=str(directory)))
        self.axes: set[str] = set()

    def write(self, run: str, step: int, metrics: dict[str, float]) -> None:
        """Log one row, with its own steps as the x axis."""
        if run not in self.axes:
            self.axes.add(run)
            self.run.define_metric(f"{run}/*", step_metric=f"{run}/step")
        super().write(run, step, metrics)

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))


class Trackio(Tracked):
    """Trackio, on this machine, in its own folder (TRACKIO_DIR)."""

    def __init__(self, directory: Path) -> None:
        import trackio  # type: ignore[reportMissingImports]

        super().__init__(trackio.init(project="transreward", name=directory.name))


class Row(NamedTuple):
    """A sink that can be asked for by name."""

    open: Callable[[Path], Sink]  # in a run directory
    package: str  # the module it imports; the extra of the same name as the sink installs it


PATIENCE = 5.0  # seconds that the sinks of an interrupted run get to flush

SINKS: dict[str, Row] = {
    "tensorboard": Row(TensorBoard, "tensorboardX"),
    "wandb": Row(Wandb, "wandb"),
    "trackio": Row(Trackio, "trackio"),
}


class Log:
    """The sinks of one run, opened at the first row."""

    def __init__(self, names: Sequence[str], directory: str | Path | None) -> None:
        """Raises RequestError for an unknown sink, a missing package or no directory, before anything is written."""
        names = tuple(dict.fromkeys([names] if isinstance(names, str) else names))
        for name in names:
            if name not in SINKS:
                raise nearest(name, SINKS, "log")
            if not installed(SINKS[name].package):
                raise RequestError(
                    f"log '{name}' needs the package {SINKS[name].package}: pip install 'transreward[{name}]'"
                )
        if names and directory is None:
            raise RequestError(f"log '{names[0]}' belongs to a run directory: name one with out")
        self.names, self.directory = names, Path(directory) if directory is not None else Path()
        self.sinks: list[Sink] | None = None

    def beside(self, watch: Callable[[Any], None]) -> Callable[[Any], None]:
        """A watch that first logs the rows, then calls `watch`."""

        def both(progress: Any) -> None:
            self.write(progress.rows)
            watch(progress)

        return both if self.names else watch

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Log rows of metrics.jsonl."""
        if not rows:
            return
        if self.sinks is None:
            self.sinks = [SINKS[name].open(self.directory) for name in self.names]
        for row in rows:
            for sink in self.sinks:
                sink.write(f"{row['method']}/seed{row['seed']}", row["step"], dict(numbers(row)))

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close the sinks at the end of the block, also after an error or an interruption, which they are told."""
        with undone(self._interrupted):
            try:
                yield
            except BaseException:
                with suppress(Exception):  # the error that came first is the one to show
                    self.close(failed=True)
                raise
            self.close()

    def close(self, failed: bool = False) -> None:
        while self.sinks:
            self.sinks.pop().close(failed)

    def _interrupted(self) -> None:
        """In a thread and for at most PATIENCE, since the main one may have been interrupted inside a sink."""
        closing = Thread(target=self.close, args=(True,), daemon=True)
        closing.start()
        closing.join(PATIENCE)


def installed(package: str) -> bool:
    """True if a package can be imported; a directory of that name, as wandb leaves one, does not count."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


def numbers(row: dict[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a row of metrics.jsonl but step and seed, those of a mapping as `<key>/<name>`."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{name}/")
        elif isinstance(value, Real) and not isinstance(value, bool) and name not in ("step", "seed"):
            yield above + name, float(value)
