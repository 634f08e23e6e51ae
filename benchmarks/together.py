"""A plan's missing cells side by side, each in a process of its own, after its source agent: for many cores.

    python benchmarks/together.py tasks --seconds 500 [--pairs ...] [--methods ...] [--results DIR]

Seeds of a cell go through one compiled program, so that a graphics card takes many of them in the time of one; cells
wait for their simulators and for each other's kernels, so that many of them fit beside one another. Pairs named first
go first where cores are few.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Start all, end what is not done in time, say how each went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", choices=("tasks", "grid"))
    parser.add_argument("--pairs")
    parser.add_argument("--methods")
    parser.add_argument("--also", help="more cells, PAIR/METHOD,...")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--threads", type=int, default=2, help="of each cell's simulator")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after which what still runs is ended")
    parser.add_argument("--cell", nargs=2, metavar=("SOURCE", "PAIR/METHOD"), help="one cell alone, or an agent: -")
    args = parser.parse_args()
    plan = importlib.import_module(args.plan).PLAN
    plan = plan._replace(
        results=args.results or plan.results,
        seeds=args.seeds or plan.seeds,
        settings={**plan.settings, "loop.threads": args.threads},
    )
    if args.cell:
        source, cell = args.cell
        plan.source_agent(source) if cell == "-" else plan.cell(*cell.split("/"))
        return
    names = args.pairs.split(",") if args.pairs else list(plan.pairs)
    methods = args.methods.split(",") if args.methods else [*plan.methods, *plan.variants]
    waiting: dict[str, list[str]] = {}
    for name in names:
        waiting.setdefault(plan.pairs[name][0], []).extend(f"{name}/{m}" for m in methods)
    for cell in args.also.split(",") if args.also else ():
        waiting.setdefault(plan.pairs[cell.split("/")[0]][0], []).append(cell)
    together(waiting, args.seconds)


def together(waiting: dict[str, list[str]], seconds: float) -> None:
    """One process for every source agent, then one for every cell that waits for it."""
    began, running, sources = time.perf_counter(), {}, list(waiting)

    def start(source: str, cell: str) -> None:
        command = [sys.executable, __file__, *sys.argv[1:], "--cell", source, cell]
        nice = 4 * sources.index(source)
        running[source, cell] = subprocess.Popen(["nice", "-n", str(nice), *command])

    for source in waiting:
        start(source, "-")
    while running and time.perf_counter() - began < seconds:
        time.sleep(0.2)
        for (source, cell), process in list(running.items()):
            if process.poll() is None:
                continue
            del running[source, cell]
            print(f"{time.perf_counter() - began:5.0f} s  {source} {cell}: {process.returncode}", flush=True)
            for other in waiting.pop(source, []) if cell == "-" and process.returncode == 0 else []:
                start(source, other)
    for (source, cell), process in running.items():
        print(f"ended unfinished: {source} {cell}", flush=True)
        process.kill()


if __name__ == "__main__":
    main()
