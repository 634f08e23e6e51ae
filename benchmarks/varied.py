"""What it costs that rows of one simulation have models of their own: python benchmarks/varied.py

Sides alternate within every repeat, so that a machine that slows down slows all, and ratios are of the same repeat:

batch      `Batch.step` of copies of one model, a copy per row, to that of one model for all rows: the same physics
family     control steps of a family's simulation, resets and all, to those of the robot itself; its episodes are others
informed   the same of a family whose observations end with what an episode's robot is

Each is to be at least 0.9. Writes benchmarks/results/varied.json.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from mujoco.batch import Batch
from record import RESULTS, provenance, spread, table, write

from transreward.domains.ids import domain
from transreward.domains.mujoco import MujocoDomain

ROBOTS = ("halfcheetah", "hopper", "walker2d", "ant")
FAMILY = "gravity=0.95..1.05,mass=0.95..1.05,gear=0.95..1.05"
LIMIT = 0.9


def rate(step: Callable[[], Any], rows: int, seconds: float) -> float:
    """Steps of all rows per second."""
    taken, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        step()
        taken += rows
    return taken / spent


def measured(sides: dict[str, Callable[[], Any]], args: argparse.Namespace) -> dict[str, list[float]]:
    """Rates of all sides, in turns whose order alternates."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(args.repeats):
        for name in list(sides)[:: -1 if repeat % 2 else 1]:
            rates[name].append(rate(sides[name], args.rows, args.seconds))
    return rates


def batches(robot: MujocoDomain, rows: int, threads: int) -> dict[str, Callable[[], Any]]:
    """Steps of a batch with one model and with a model per row, under the same random controls."""
    sides, (low, high) = {}, robot.model.actuator_ctrlrange.T
    drawn = np.random.default_rng(0).uniform(low, high, (256, rows, len(low)))

    def stepped(batch: Any, controls: Iterator[np.ndarray]) -> None:
        batch.ctrl = next(controls)
        batch.step(nstep=robot.robot.frame_skip)

    for name, models in (("one", None), ("batch", [copy.copy(robot.model) for _ in range(rows)])):
        batch = Batch(robot.model, rows, threads)
        batch.set_models(models)
        sides[name] = partial(stepped, batch, cycle(drawn))
    return sides


def simulations(robot: str, rows: int, threads: int) -> dict[str, Callable[[], Any]]:
    """Control steps of a robot, and of a family of it, under the same random actions."""
    spaces = domain(robot).spaces
    drawn = np.random.default_rng(0).uniform(spaces.low, spaces.high, (256, rows, spaces.action))

    def stepped(simulation: Any, actions: Iterator[np.ndarray]) -> None:
        simulation.step(next(actions))

    ids = {"one": robot, "family": f"{robot}:{FAMILY}", "informed": f"{robot}:{FAMILY}@informed=0.2"}
    return {k: partial(stepped, domain(id).simulate(rows, 0, threads), cycle(drawn)) for k, id in ids.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0, help="0 = all cores")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--out", type=Path, default=RESULTS / "varied.json")
    args = parser.parse_args()
    settings = {name: getattr(args, name) for name in ("rows", "threads", "repeats", "seconds")}
    result: dict[str, Any] = {**provenance(), "settings": settings, "family": FAMILY, "limit": LIMIT, "ratios": {}}
    lines = [("", "one model, steps/s", "a model per row", "ratio")]
    for robot in ROBOTS:
        made = domain(robot)
        assert isinstance(made, MujocoDomain)
        for sides in (batches(made, args.rows, args.threads), simulations(robot, args.rows, args.threads)):
            rates = measured(sides, args)
            for what in list(sides)[1:]:
                ratios = [b / a for a, b in zip(rates["one"], rates[what], strict=True)]
                told = {**spread(ratios), "steps_per_second": {name: spread(rates[name]) for name in ("one", what)}}
                result["ratios"][f"{robot} {what}"] = told | {"pass": told["median"] >= LIMIT}
                one, each = (f"{statistics.median(rates[name]):,.0f}" for name in ("one", what))
                lines.append((f"{robot} {what}", one, each, f"{told['median']:.3f}"))
    write(args.out, result)
    print(table(lines))


if __name__ == "__main__":
    main()
