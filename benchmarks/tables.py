"""What studies came to at several target budgets, read along each method's one curve.

    transreward study benchmarks/plans/grid.yaml --jobs 2             # runs what is missing, into runs/grid
    python benchmarks/tables.py keep grid [--runs runs/grid]          # what is done, into benchmarks/results/grid
    python benchmarks/tables.py grid [--pairs halfcheetah-hip,...] [--methods fine_tune,...] [--markdown]

A cell is kept as JSON: its config.json, its result.json, its curve, machine and versions. Results grow over days and on
several machines: copy the folders together.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import record

from transreward.evaluation.statistics import improvement, interval
from transreward.fallback import SOURCE
from transreward.runs import store
from transreward.study.jobs import Job, jobs_of
from transreward.study.plan import Plan, read_plan

PLANS = Path(__file__).parent / "plans"
CURVE = (
    "source_return", "target_return", "seconds", "gap_mean", "gap_std", "gap_explained", "gap_value_explained",
    "gap_trust", "gap_accuracy", "effective_sample_size",
)  # fmt: skip


class Table(NamedTuple):
    """How a study's results are read."""

    read: tuple[int, ...]  # target steps
    against: tuple[str, ...] = ()  # controls; the table compares every method with the first
    last: tuple[str, ...] = ()  # figures of the last evaluation that are shown, too
    plan: str = ""  # where it is not the table's name
    safe: str = ""  # what a method's name ends with where it has a fallback; with it goes what that saves and costs
    learned: str = ""  # the row that always delivers what `auto` may deliver; with it go the steps that stopping saves


TASKS = Table((5_000, 20_000, 50_000), ("target_only",))
TABLES = {
    "grid": Table((2_000, 5_000, 10_000), ("fine_tune", "mix", "rlpd", "darc")),
    "tasks": TASKS,
    "tasks_as_it_is": TASKS,
    "tasks_defaults": TASKS,
    "tasks_defaults_as_it_is": TASKS._replace(plan="tasks_defaults"),
    "grounded": Table((500, 2_000, 10_000), ("paired_branched", "mix", "fine_tune")),
    "grounded_rest": Table((500, 2_000, 10_000), ("mix", "fine_tune")),
    "grounded_ppo": Table((500, 2_000, 10_000), learned="identified-2000"),
    "fallback": Table((10_000,), ("zero_shot",), safe="-fallback"),
    "compensates": Table((2_000,), ("neither", "fine_tune")),
    "targets": Table((100,), ("alone",)),
    "sources": Table((2_000, 10_000)),
    "sources_rest": Table((2_000, 10_000)),
    "unlike": Table((5_000, 10_000, 20_000), ("target_only", "zero_shot", "fine_tune-shuffled")),
    "unlike_small": Table((2_500, 5_000), ("target_only", "zero_shot", "fine_tune-shuffled")),
    "fine_tuning": Table((2_000, 5_000, 10_000), ("fine_tune", "mix")),
    "ppo": Table((5_000, 20_000, 100_000)),
    "double_softmax": Table((2_000, 5_000, 10_000), last=("gap_std", "gap_accuracy")),
}


def main() -> None:
    """Keep what is done, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", metavar="[keep] NAME", help=", ".join(TABLES))
    parser.add_argument("--runs", type=Path, help="the study's directory (default: runs/ and the plan's name)")
    parser.add_argument("--pairs")
    parser.add_argument("--methods")
    parser.add_argument("--markdown", action="store_true", help="the table as the documents have it")
    args = parser.parse_args()
    *keeps, name = args.words
    if name not in TABLES or keeps not in ([], ["keep"]):
        parser.error(f"name one of {', '.join(TABLES)}, with the word keep before it or without")
    if keeps:
        keep(name, args.runs or Path("runs") / plan_file(name).stem)
    study = Study(name)
    pairs = args.pairs.split(",") if args.pairs else [pair.name for pair in study.plan.pairs]
    methods = args.methods.split(",") if args.methods else study.methods
    print(study.table(pairs, methods, args.markdown))
    for control in study.how.against if name == "grid" else ():
        print(f"\n{study.fallbacks(pairs, control)}")
    if study.how.safe:
        print(f"\n{study.saved(pairs, args.markdown)}")
    if study.how.learned:
        print(f"\n{study.stops(pairs, args.markdown)}")


def plan_file(name: str) -> Path:
    """The plan of a table."""
    return PLANS / f"{TABLES[name].plan or name}.yaml"


def keep(name: str, runs: Path) -> None:
    """Write what is done of a study below results/."""
    first: set[tuple[str, str]] = set()
    for job in jobs_of(read_plan(plan_file(name)), runs):
        if job.method:
            further = f"-seed{job.request['seed']}" if (job.pair, job.method) in first else ""
            first.add((job.pair, job.method))
            if job.done:
                found = json.dumps(cell(job, CURVE)).replace(str(runs), f"runs/{name}")  # wherever they were run
                record.write(record.RESULTS / name / job.pair / f"{job.method}{further}.json", json.loads(found))


def cell(job: Job, curve: Sequence[str]) -> dict[str, Any]:
    """What is kept of a run."""
    config, result, origin = (
        store.read_json(job.place / f"{of}.json") for of in ("config", "result", "provenance")
    )  # fmt: skip
    about = {"machine": origin["machine"], "versions": config["versions"], "date": origin["started"]}
    about |= {"pair": job.pair, "target": job.request["target"], "seconds": result["wall_seconds"]}
    rows = store.read_rows(job.place)
    return {**about, "settings": config, "result": result, "curve": record.curve(rows, config["method"], curve)}


class Study:
    """The kept results of a study."""

    def __init__(self, name: str) -> None:
        self.results, self.how = record.RESULTS / name, TABLES[name]
        self.plan: Plan = read_plan(plan_file(name))

    @property
    def methods(self) -> list[str]:
        """In the plan's order; one that is run once for each budget, as `darc-5000`, is one method."""
        found = [row.name for row in self.plan.methods]
        for steps in self.how.read:
            found = [name.removesuffix(f"-{steps}") for name in found]
        return list(dict.fromkeys(found))

    def found(self, pair: str, method: str) -> Any:
        """What was kept of a cell, or None."""
        return record.read(self.results / pair / f"{method}.json")

    def reading(self, pair: str, method: str, steps: int) -> np.ndarray | None:
        """Raw target return of each seed at the evaluation nearest to `steps` target steps; None: there is none."""
        further = sorted((self.results / pair).glob(f"{method}-seed*.json"))
        files = [self.results / pair / f"{method}.json", self.results / pair / f"{method}-{steps}.json", *further]
        seeds = [at(kept, steps) for file in files if (kept := record.read(file)) is not None]
        return np.concatenate(seeds) if seeds else None

    def table(self, pairs: Sequence[str], methods: Sequence[str], markdown: bool = False) -> str:
        """Mean raw target return and 95% interval over seeds along each curve, and the seconds of the whole run."""
        control = next(iter(self.how.against), "")
        rows = [["pair", "method", *(f"{n:,}" for n in self.how.read), *self.how.last]]
        rows[0] += [f"P(> {control})"] * bool(control) + ["seconds"]
        for pair in pairs:
            for method in methods:
                found = [self.reading(pair, method, steps) for steps in self.how.read]
                if all(x is None for x in found):
                    continue
                names = [method, *(f"{method}-{steps}" for steps in reversed(self.how.read))]
                kept = next(filter(None, (self.found(pair, name) for name in names)))
                last = [f"{np.mean(kept['curve'][-1][key]):.2f}" for key in self.how.last]
                other = self.reading(pair, control, self.how.read[-1]) if control else None
                better = "-" if other is None or found[-1] is None or method == control else odds(found[-1], other)
                cells = ["-" if x is None else cell_text(x) for x in found]
                rows.append([pair, method, *cells, *last, *[better] * bool(control), f"{kept['seconds']:.0f}"])
        return record.table(rows, markdown)

    def stops(self, pairs: Sequence[str], markdown: bool = False, method: str = "auto") -> str:
        """Target steps of those granted that a method left when it stopped, and of how many seeds it chose wrongly: it
        delivered what it learned, more than 5% below its own source policy's return, or its source policy, where what
        is learned from the same steps returns more than 5% above that. The regret is what the better of the two
        returns above what was delivered, and the mean that always delivering one of them would have."""
        rows = [["pair", "granted", "taken", "stopped", "wrong: what it learned", "wrong: the source policy"]]
        rows[0] += ["regret", "of always the source policy", "of always what was learned"]
        for pair in pairs:
            learned = self.found(pair, self.how.learned)
            for steps in self.how.read if learned else ():
                if (kept := self.found(pair, f"{method}-{steps}")) is None:
                    continue
                result, seeds = kept["result"], kept["result"]["seeds"]
                source = np.asarray(result["zero_shot_target_return"]["per_seed"])
                changed = np.array([name != SOURCE for name in result["delivered"]])
                got = np.asarray(result["target_return"]["per_seed"])
                other = np.where(changed, got, np.asarray(learned["result"]["target_return"]["per_seed"]))
                less, more = changed & (got < source - 0.05 * abs(source)), other > source + 0.05 * abs(source)
                best = np.maximum(source, other)
                taken = [f"{steps:,}", f"{result['target_steps']:,}", result["stopped"]]
                wrong = [f"{wrong.sum()} of {len(seeds)}" for wrong in (less, ~changed & more)]
                rows.append([pair, *taken, *wrong, *(f"{(best - x).mean():,.0f}" for x in (got, source, other))])
        return record.table(rows, markdown)

    def saved(self, pairs: Sequence[str], markdown: bool = False) -> str:
        """Of every method with and without a fallback: seeds more than 5% below the source policy's return, and what
        the fallback changed where the method alone ended below that return and where it did not. Changes are shares of
        what the source agents return in the source."""
        rows = [["method", "seeds", "below the source policy", "with the fallback", "changed where below", "elsewhere"]]
        control, steps = self.how.against[0], self.how.read[-1]
        for method in self.methods:
            found = []
            for pair in pairs:
                each = [self.reading(pair, name, steps) for name in (control, method, method + self.how.safe)]
                if all(x is not None for x in each):
                    scale = self.found(pair, control)["result"]["source_return"]["mean"]
                    found.append(np.stack([np.asarray(x) / scale for x in each]))
            if not found:
                continue
            source, alone, safe = np.concatenate(found, axis=1)
            below, least = alone < source, source - 0.05 * abs(source)
            counts = [f"{(x < least).sum()}" for x in (alone, safe)]
            changes = [f"{(safe - alone)[which].mean():+.0%}" if which.any() else "-" for which in (below, ~below)]
            rows.append([method, f"{len(source)}", *counts, *changes])
        return record.table(rows, markdown)

    def fallbacks(self, pairs: Sequence[str], control: str, method: str = "paired_branched") -> str:
        """How often and by how much a method that should fall back to a control fell below it, over seeds that share a
        source agent. Differences are shares of what the source agents return in the source: a control may be at 0."""
        lines = []
        for steps in self.how.read:
            seeds = []
            for pair in pairs:
                mine, others = self.reading(pair, method, steps), self.reading(pair, control, steps)
                if mine is not None and others is not None:
                    agents = self.found(pair, "zero_shot")["result"]["source_return"]["mean"]
                    both = min(len(mine), len(others))  # one may have further seeds
                    seeds.append((mine[:both] - others[:both]) / agents)
            if not seeds:
                return f"{method} / {control}: not on these pairs"
            means, every = [np.mean(of_pair) for of_pair in seeds], np.concatenate(seeds)
            lines.append(
                f"{method} - {control} at {steps:,} target steps: below 0 on {sum(m < 0 for m in means)} of "
                f"{len(means)} pairs' means "
                f"(least {min(means):+.0%}, median {np.median(means):+.0%}) and for {sum(every < 0)} of {len(every)} "
                f"seeds (least {min(every):+.0%})"
            )
        return "\n".join(lines)


def at(kept: Any, steps: int) -> np.ndarray:
    """Raw target return of each seed of a cell at the evaluation nearest to `steps` target steps; at the end of the
    budget the final policy's, whose episodes are more than those of an evaluation along the curve."""
    result = kept["result"]
    # zero_shot takes no target step, and the oracle takes its source's budget there
    if not kept["curve"] or result["method"] == "oracle" or steps >= result["target_steps"]:
        return np.asarray(result["target_return"]["per_seed"])
    nearest = min(kept["curve"], key=lambda point: abs(point["target_steps"] - steps))
    return np.asarray(nearest["target_return"])


def cell_text(per_seed: np.ndarray) -> str:
    """Mean [interval]."""
    bounds = interval(per_seed)
    return f"{per_seed.mean():,.0f}" + (f" [{bounds[0]:,.0f}, {bounds[1]:,.0f}]" if bounds else "")


def odds(mine: np.ndarray, others: np.ndarray) -> str:
    """Probability that a seed of the one beats a seed of the other."""
    return f"{improvement(mine[:, None], others[:, None])['probability']:.2f}"


if __name__ == "__main__":
    main()
