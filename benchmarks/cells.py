"""A plan of cells, each one method on one pair: run what is missing, print what there is. Resumable cell by cell.

A robot's source agent is trained once for all seeds, and every method of a plan starts from it (those that start from
nothing read its stored steps, ask its policy, or do without).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import record

import transreward as tr
from transreward.evaluation.statistics import improvement, interval

CURVE = (
    "source_return", "target_return", "seconds", "gap_mean", "gap_std", "gap_explained", "gap_value_explained",
    "gap_trust", "gap_accuracy", "effective_sample_size",
)  # fmt: skip
FINAL, SYMMETRY = "loop.final_episodes", "loop.symmetry"  # what of a plan's settings one that trains nothing has, too


class Source(NamedTuple):
    """A source agent: how it is trained."""

    steps: int
    learner: Any


class Plan(NamedTuple):
    """Pairs, methods, and what all cells have in common."""

    results: Path
    sources: Path  # where source agents are kept
    agents: dict[str, Source]
    pairs: dict[str, tuple[str, str]]  # name -> source, target
    methods: tuple[str, ...]
    target_steps: int
    read: tuple[int, ...]  # target steps at which the curves are read
    settings: dict[str, Any]  # of every cell that trains
    against: tuple[str, ...] = ("fine_tune",)  # controls, the first of which the table compares every method with
    walked: int = 0  # source steps after the agent's training, for methods that go on in the source
    variants: Mapping[str, tuple[str, dict[str, Any]]] = MappingProxyType({})  # name -> a row, with settings
    only: Mapping[str, tuple[str, ...]] = MappingProxyType({})  # method or variant -> its pairs, where not all
    seeds: int = 3
    first_seed: int = 300
    further: Path | None = None  # where cells of further seeds are, which count with these where there are any

    # -- running -------------------------------------------------------------------------------------------------

    def cell(self, name: str, method: str) -> None:
        """One method on one pair, unless it is there already."""
        file = self.results / name / f"{method}.json"
        if file.exists():
            return
        row_name, settings = self.variants.get(method, (method, {}))
        (source, target), row = self.pairs[name], tr.method(row_name)
        agent = self.source_agent(source)
        print(f"{time.strftime('%H:%M:%S')} {name} {method}", flush=True)
        head, began = record.provenance(), time.perf_counter()
        result = tr.transfer(
            source,
            target,
            row.name,
            source_steps=self.agents[source].steps + (self.walked if row.uses_source else 0),
            target_steps=self.target_steps,
            seeds=self.seeds,
            seed=self.first_seed,
            source_run=agent,
            settings={**self.settings, **settings} if row.feed else without_training(self.settings),
        )
        head |= {"pair": name, "target": target, "seconds": time.perf_counter() - began, "settings": result.config}
        record.write(file, {**head, "result": result.as_json(), "curve": record.curve(result.log, row.name, CURVE)})

    def source_agent(self, source: str) -> Path:
        """The run directory of a robot's source agent, for all of its pairs."""
        directory, agent = self.sources / source, self.agents[source]
        if not (directory / "result.json").exists():
            print(f"{time.strftime('%H:%M:%S')} source agent {source}", flush=True)
            tr.transfer(
                source,
                next(target for other, target in self.pairs.values() if other == source),
                "zero_shot",
                learner=agent.learner,
                source_steps=agent.steps,
                target_steps=self.target_steps,
                seeds=self.seeds,
                seed=self.first_seed,
                settings={"loop.source_evaluations": 6, SYMMETRY: "none"},
                out=directory,
            )
        return directory

    # -- reading -------------------------------------------------------------------------------------------------

    def found(self, name: str, method: str) -> Any:
        """What a cell wrote, or None."""
        return record.read(self.results / name / f"{method}.json")

    def reading(self, name: str, method: str, steps: int) -> np.ndarray | None:
        """Raw target return of each seed at the evaluation nearest to `steps` target steps; None: there is none."""
        places = [self.results] if self.further is None else [self.results, self.further]
        cells = [record.read(place / name / f"{method}.json") for place in places]
        seeds = [at(cell, steps, method) for cell in cells if cell is not None]
        return np.concatenate(seeds) if seeds else None

    def table(self, names: Sequence[str], methods: Sequence[str], markdown: bool = False) -> str:
        """Mean raw target return and 95% interval over seeds along each curve, and the seconds of the whole run."""
        control_name = self.against[0]
        rows = [["pair", "method", *(f"{n:,}" for n in self.read), f"P(> {control_name})", "seconds"]]
        for name in names:
            for method in methods:
                found = [self.reading(name, method, steps) for steps in self.read]
                if found[-1] is None:
                    continue
                control = self.reading(name, control_name, self.read[-1])
                better = "-" if control is None or method == control_name else odds(found[-1], control)
                seconds = self.found(name, method)["seconds"]
                rows.append([name, method, *(cell_text(x) for x in found if x is not None), better, f"{seconds:.0f}"])
        return record.table(rows, markdown)

    def command(self, doc: str | None) -> argparse.Namespace:
        """Run what is missing, or print what there is: the command line of a plan, which answers what was asked."""
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("what", choices=("run", "table"), nargs="?", default="run")
        parser.add_argument("--pairs", default=",".join(self.pairs))
        parser.add_argument("--methods", default=",".join((*self.methods, *self.variants)))
        parser.add_argument("--markdown", action="store_true", help="the table as the documents have it")
        args = parser.parse_args()
        args.pairs, args.methods = args.pairs.split(","), args.methods.split(",")
        if args.what == "run":
            for name in args.pairs:
                for method in args.methods:
                    if name in self.only.get(method, self.pairs):
                        self.cell(name, method)
        print(self.table(args.pairs, args.methods, args.markdown))
        return args


def asked_for(plans: Mapping[str, Plan], plain: Plan) -> Plan:
    """The plan that the command line's first word names, which is taken off; without one the plain plan."""
    word = next(iter(sys.argv[1:2]), "")
    if word in plans:
        del sys.argv[1]
    return plans.get(word, plain)


def without_training(settings: dict[str, Any]) -> dict[str, Any]:
    """Those of a plan's settings that a method without training has, too."""
    return {path: value for path, value in settings.items() if path in (FINAL, SYMMETRY)}


def at(cell: Any, steps: int, method: str) -> np.ndarray:
    """Raw target return of each seed of a cell at the evaluation nearest to `steps` target steps; at the end of the
    budget the final policy's, whose episodes are more than those of an evaluation along the curve."""
    result = cell["result"]
    # zero_shot takes no target step, and the oracle takes its source's budget there
    if not cell["curve"] or method == "oracle" or steps >= result["target_steps"]:
        return np.asarray(result["target_return"]["per_seed"])
    nearest = min(cell["curve"], key=lambda point: abs(point["target_steps"] - steps))
    return np.asarray(nearest["target_return"])


def cell_text(per_seed: np.ndarray) -> str:
    """Mean [interval]."""
    bounds = interval(per_seed)
    return f"{per_seed.mean():,.0f}" + (f" [{bounds[0]:,.0f}, {bounds[1]:,.0f}]" if bounds else "")


def odds(mine: np.ndarray, others: np.ndarray) -> str:
    """Probability that a seed of the one beats a seed of the other."""
    return f"{improvement(mine[:, None], others[:, None])['probability']:.2f}"
