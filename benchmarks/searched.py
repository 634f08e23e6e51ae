"""A setting chosen honestly, beside a search that cheats: python benchmarks/searched.py [--jobs N]

After `transreward study benchmarks/plans/search.yaml --search`, in the same directory of runs. The settings of all its
trials are run on the five pairs that are reported on, so that a search can cheat: it chooses among the same settings by
the returns of the very evaluations, seeds and pairs that are then reported.

default              the method as it is
chosen               the setting that the search chose on three other pairs, by training episodes
cheat                the one setting with the highest mean gain over the five pairs
cheat, each          on each pair the setting with the highest return there
..., others          the same, but for each seed chosen by the other seeds: a cheat's lead without what is chance in it

Writes benchmarks/results/searched.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import record
import yaml
from tables import cell_text

from transreward.runs import store
from transreward.study.jobs import jobs_of
from transreward.study.plan import read_plan
from transreward.study.search import best, gain, read, spent

PLAN = Path(__file__).parent / "plans" / "search.yaml"
RUNS = Path("runs/search")
Returns = dict[str, dict[str, list[float]]]  # row -> pair -> of each seed


def main() -> None:
    """Run what is missing, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=RUNS)
    args = parser.parse_args()
    trials = read(args.runs)
    plan = yaml.safe_load(PLAN.read_text())
    if len(trials) < plan["search"]["trials"]:
        parser.error(f"{args.runs} has {len(trials)} trials: run the study with --search first")
    rows = {row_of(one.number, plan): one.settings for one in trials if one.score is not None}
    returns = ran(plan, rows, args.runs, args.jobs)
    found = compared(returns, list(rows), row_of(best(trials).number, plan))
    kept = {"trials": [asdict(one) for one in trials], "spent": spent(trials), "returns": returns, "compared": found}
    record.write(record.RESULTS / "searched.json", {**record.provenance(), "plan": plan, **kept})
    print(shown(found, list(returns[row_of(0, plan)])))


def row_of(number: int, plan: dict[str, Any]) -> str:
    """The name of a trial's row: the first is the method as it is."""
    return f"trial-{number}" if number else plan["search"]["method"]


def ran(plan: dict[str, Any], rows: dict[str, dict[str, Any]], out: Path, jobs: int) -> Returns:
    """Target returns of the plan's methods and of every trial's settings on the pairs that are reported on."""
    method, aside = plan["search"]["method"], plan["search"]["pairs"]
    more = [{"name": name, "method": method, "settings": settings} for name, settings in rows.items() if settings]
    whole = {name: value for name, value in plan.items() if name != "search"}
    whole["pairs"] = [pair for pair in plan["pairs"] if pair["name"] not in aside]
    whole["methods"] = [*plan["methods"], *more]
    file = out / "trials.yaml"
    file.write_text(yaml.safe_dump(whole, sort_keys=False))
    command = [sys.executable, "-m", "transreward", "study", file, "--out", out, "--jobs", str(jobs)]
    subprocess.run(list(map(str, command)), check=True)
    found: Returns = {}
    for job in jobs_of(read_plan(file), out):
        if job.method:
            result = store.read_json(job.place / "result.json")
            found.setdefault(job.method, {})[job.pair] = result["target_return"]["per_seed"]
    return found


def compared(returns: Returns, trials: list[str], chosen: str) -> dict[str, dict[str, Any]]:
    """Per row of the table the mean returns of each seed on each pair, and the gain over the method as it is."""
    first, pairs = returns[trials[0]], list(returns[trials[0]])
    one = top(returns, trials, first, pairs)
    each = {pair: top(returns, trials, first, [pair]) for pair in pairs}
    rows: dict[str, dict[str, list[float]]] = {
        "zero_shot": returns["zero_shot"], "default": first, "chosen": returns[chosen], "cheat": returns[one],
        "cheat, others": others(returns, trials, pairs, together=True),
        "cheat, each": {pair: returns[name][pair] for pair, name in each.items()},
        "cheat, each, others": others(returns, trials, pairs, together=False),
    }  # fmt: skip
    which: dict[str, Any] = {"default": trials[0], "chosen": chosen, "cheat": one, "cheat, each": each}
    return {
        name: {"returns": own, "gain": gain(own, first), **({"trial": which[name]} if name in which else {})}
        for name, own in rows.items()
    }


def top(returns: Returns, trials: list[str], first: dict[str, list[float]], pairs: list[str]) -> str:
    """The trial with the highest gain on these pairs."""
    return max(trials, key=lambda name: gain({p: returns[name][p] for p in pairs}, {p: first[p] for p in pairs}))


def others(returns: Returns, trials: list[str], pairs: list[str], together: bool) -> dict[str, list[float]]:
    """The return of each seed with the setting that is best on the other seeds: of all pairs together, or each."""
    found: dict[str, list[float]] = {pair: [] for pair in pairs}
    for seed in range(len(returns[trials[0]][pairs[0]])):
        left = {name: {p: list(np.delete(returns[name][p], seed)) for p in pairs} for name in trials}
        for pair in pairs:
            name = top(left, trials, left[trials[0]], pairs if together else [pair])
            found[pair].append(returns[name][pair][seed])
    return found


def shown(found: dict[str, dict[str, Any]], pairs: list[str]) -> str:
    """Mean return and interval of each row on each pair, and the mean gain."""
    lines = [["", *pairs, "gain"]]
    for name, one in found.items():
        cells = []
        for pair in pairs:
            cells.append(cell_text(np.asarray(one["returns"][pair])))
        lines.append([name, *cells, f"{one['gain']:+.3f}"])
    return record.table(lines, markdown=True)


if __name__ == "__main__":
    main()
