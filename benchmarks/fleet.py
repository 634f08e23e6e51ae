"""What a grid of 80 pairs x 25 methods x 10 seeds costs on 1 to 1,000 machines: python benchmarks/fleet.py

A simulation, of no machine but by measured numbers: seconds of jobs are drawn from benchmarks/results/grid (three seeds
on two cores, scaled to ten), what Ray adds to a job from benchmarks/results/cluster.json, and the operations on a
shared folder are those of `claims` and `study.run`, counted in the code. Each machine has two cores and runs one job at
a time; jobs wait for their source agents; a tenth of a cell's seeds is taken to be a tenth of its work. Writes
benchmarks/results/fleet.json: hours, the share of the machines' time that is used, and how busy a file server of
`SERVER` operations a second is.
"""

from __future__ import annotations

import heapq
import json
from typing import Any, NamedTuple

import numpy as np
import record

from transreward.claims import BEAT
from transreward.study.run import RARELY

PAIRS, METHODS, SEEDS, SOURCES = 80, 25, 10, 11  # of robots, each with an agent of half and of the whole budget
MACHINES = (1, 2, 10, 30, 100, 300, 1_000)
SERVER = 5_000.0  # metadata operations a second that a file server answers: what an NFS server of one machine does
LOOK, TAKE, KEEP = 4, 9, 3  # operations: of a look at a job, of a job that is taken and ended, of a beat
MEASURED_SEEDS = 3


class Grid(NamedTuple):
    """Seconds of agents [agents] and of jobs [jobs] on two cores, and the agent that each job waits for [jobs]."""

    agents: np.ndarray
    jobs: np.ndarray
    of: np.ndarray


class Fleet(NamedTuple):
    """What a fleet came to."""

    hours: float
    used: float  # share in [0, 1] of the machines' time
    look_operations: float  # by each machine before its first job, summed
    steady: float  # operations a second while all work


def main() -> None:
    """Simulate all fleets, print the table, and write it down."""
    about, grid = record.provenance(), drawn(np.random.default_rng(0))
    added = json.loads((record.RESULTS / "cluster.json").read_text())["added"]["later tasks"]
    work = (grid.agents.sum() + grid.jobs.sum()) / 3_600
    chain = max(grid.agents[a] + s for a, s in zip(grid.of, grid.jobs, strict=True)) / 3_600
    rows: dict[str, Any] = {}
    for split in (1, SEEDS):
        for machines in MACHINES:
            parts = Grid(grid.agents, np.repeat(grid.jobs / split, split), np.repeat(grid.of, split))
            for order in ("same", "random"):
                row = simulated(parts, machines, order, added)._asdict()
                rows[f"{machines} machines, {split} jobs a cell, {order} order"] = row
                row |= {"server_seconds_at_start": row["look_operations"] / SERVER, "server": row["steady"] / SERVER}
    cells = {"jobs": len(grid.jobs), "machine hours": work, "longest chain, hours": chain, "added by Ray, s": added}
    record.write(record.RESULTS / "fleet.json", {**about, "server": SERVER, "grid": cells, "fleets": rows})
    print(json.dumps(cells, indent=1))
    for name, one in rows.items():
        server = f"{one['server_seconds_at_start']:8.1f} s of the server at the start, {one['server']:5.0%} of it later"
        print(f"{name:44} {one['hours']:9.1f} h {one['used']:5.0%} used, {server}")


def drawn(random: np.random.Generator) -> Grid:
    """A grid whose jobs take what measured ones of the same method took."""
    found = {p: json.loads(p.read_text()) for p in (record.RESULTS / "grid").glob("*/*.json")}
    seconds = [one["seconds"] for path, one in found.items() if path.stem != "zero_shot"]
    agents = [one["seconds"] for path, one in found.items() if path.stem == "zero_shot"]
    scale = SEEDS / MEASURED_SEEDS
    count = PAIRS * METHODS
    first = random.choice(agents, 2 * SOURCES) * scale
    return Grid(first, random.choice(seconds, count) * scale, random.integers(2 * SOURCES, size=count))


def simulated(grid: Grid, machines: int, order: str, added: float) -> Fleet:
    """List scheduling: whoever is free takes the next job whose agent is there."""
    free = [0.0] * machines
    heapq.heapify(free)
    there = np.zeros(len(grid.agents))
    for i in np.argsort(-grid.agents):
        there[i] = heapq.heappop(free) + grid.agents[i] + added
        heapq.heappush(free, there[i])
    for i in np.argsort(there[grid.of], kind="stable"):
        begins = max(heapq.heappop(free), there[grid.of[i]])
        heapq.heappush(free, begins + grid.jobs[i] + added)
    end = max(free)
    work = float(grid.agents.sum() + grid.jobs.sum())
    jobs = len(grid.jobs)
    return Fleet(end / 3_600, work / end / machines, looks(machines, jobs, order), steady(machines, jobs, end, order))


def looks(machines: int, jobs: int, order: str) -> float:
    """Operations until all have their first job: in the same order the m-th looks at the m - 1 that are taken; in
    random order, which begins at the first that is taken, at as many as it takes to find a free one."""
    taken = np.arange(min(machines, jobs))
    if order == "same":
        return float(LOOK * (taken + 1).sum())
    return float(LOOK * (1 + jobs / (jobs - taken)).sum())


def steady(machines: int, jobs: int, seconds: float, order: str) -> float:
    """Operations a second while all work: beats, jobs taken, and looks at those of others. In the same order a machine
    learns of each job that it is done, and each time that it wants one looks at all that others work on, every
    `RARELY` seconds at most; in random order at as many as it takes to find a free one, few but at the end."""
    busy, rate = min(machines, jobs), jobs / seconds
    beats, taken = KEEP * busy / BEAT, TAKE * rate
    if order == "random":
        return beats + taken + LOOK * rate * (1 + jobs / max(jobs - busy, 1))
    return beats + taken + busy * rate + LOOK * min(busy * rate, busy**2 / RARELY)


if __name__ == "__main__":
    main()
