"""Does `check` find the best of several sources? Its rankings beside what the sources' policies return.

    python benchmarks/rank_sources.py [hopper|halfcheetah] [--steps 300000]

A PPO agent is trained in each of five sources (three seeds, kept in runs/rank_sources/), and acts in each of six
targets without learning: ten episodes a seed, outside of any budget. `check` ranks the sources from 2,000 target
steps at most: by how far they are, and, with the agents' runs, by what it foresees that their policies return. Of
each target: Spearman's correlation of rank and return (-1 = the first returns most), and how much the first is below
the best, beside a source that is drawn at random and the one that is named first. To
benchmarks/results/rank_sources.json; what is there is not measured again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, provenance, read, write
from scipy.stats import spearmanr

import transreward as tr
from transreward.preflight.rank import Ranking

ROBOTS = {
    "hopper": (
        ["hopper", "hopper:gravity=0.5", "hopper:mass=1.5", "hopper:friction=0.3", "hopper:gear=0.7"],
        ["hopper:gravity=0.7", "hopper:mass=1.3", "hopper:gear=0.8", "hopper:gravity=0.6,mass=1.2",
         "hopper:friction=0.4,gear=0.8", "hopper:damping=2"],
    ),
    "halfcheetah": (
        ["halfcheetah", "halfcheetah:gravity=2", "halfcheetah:broken=bthigh", "halfcheetah:friction=0.1",
         "halfcheetah+backward"],
        ["halfcheetah:gravity=1.6", "halfcheetah:gear(bthigh)=0.3", "halfcheetah:friction=0.2", "halfcheetah:mass=1.5",
         "halfcheetah+backward:gravity=1.5", "halfcheetah:broken=bthigh,gravity=1.5"],
    ),
}  # fmt: skip
SEEDS, EPISODES = 3, 10
AGENTS = Path("runs/rank_sources")


def run_of(source: str) -> Path:
    """Where the source's agent is, once it is trained."""
    return AGENTS / source.replace(":", "-")


def returned(source: str, target: str, args: argparse.Namespace) -> float:
    """What the source's policy returns in the target, in the mean."""
    about: dict[str, Any] = {
        "learner": "ppo", "seeds": SEEDS, "controls": (),
        "settings": {"loop.final_episodes": EPISODES, "loop.symmetry": "none"},
    }  # fmt: skip
    run = run_of(source)
    how: dict[str, Any] = {"source_run": run} if run.exists() else {"source_steps": args.steps, "out": run}
    result = tr.transfer(source, target, "zero_shot", **how, **about)
    return float(np.mean(result.returns.target))


def ranked(sources: list[str], target: str, returns: dict[str, float], runs: list[Path] | None) -> dict[str, Any]:
    """How `check` ranks the sources, and what the ranking is worth."""
    found = tr.check(sources, target, source_run=runs)
    assert isinstance(found, Ranking)
    in_order = [returns[source] for source in found.sources]
    foreseen = [one.forecast and round(one.forecast.target, 1) for one in found.checks]
    return {
        "sources": found.sources,
        "gaps": [round(one.figures.gap, 3) for one in found.checks],
        "verdicts": [one.verdict.verdict for one in found.checks],
        **({"forecasts": foreseen} if runs else {}),
        "correlation": round(float(spearmanr(range(len(in_order)), in_order).statistic), 2),
        "below the best": round(max(in_order) - in_order[0], 1),
        "target_steps": found.target_steps,
    }


def measured(target: str, sources: list[str], found: dict[str, Any], args: argparse.Namespace) -> Iterator[None]:
    """What is missing of one target, part by part."""
    if "returns" not in found:
        found["returns"] = returns = {source: returned(source, target, args) for source in sources}
        best = max(returns.values())
        found["below the best"] = {
            "at random": round(best - float(np.mean([*returns.values()])), 1),
            "named first": round(best - returns[sources[0]], 1),
        }
        yield
    for how, runs in (("by distance", None), ("by forecast", [run_of(source) for source in sources])):
        if how not in found:
            found[how] = ranked(sources, target, found["returns"], runs)
            yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("robot", nargs="?", choices=tuple(ROBOTS), help="one of them; without it both")
    parser.add_argument("--steps", type=int, default=300_000, help="source steps of each agent")
    parser.add_argument("--out", type=Path, default=RESULTS / "rank_sources.json")
    args = parser.parse_args()
    for robot in [args.robot] if args.robot else ROBOTS:
        sources, targets = ROBOTS[robot]
        before = (read(args.out) or {}).get(robot, {})
        result: dict[str, Any] = {**provenance(), "source_steps": args.steps, "targets": before.get("targets", {})}
        for target in targets:
            found = result["targets"].setdefault(target, {})
            for _ in measured(target, sources, found, args):
                write(args.out, {**(read(args.out) or {}), robot: result})
            first = {how: found[how]["below the best"] for how in ("by distance", "by forecast")}
            print(f"{target}: below the best {first | found['below the best']}", flush=True)


if __name__ == "__main__":
    main()
