"""Are our learners sound? Ours beside Stable-Baselines3's at the same steps, three seeds each.

    python benchmarks/soundness.py              # trains the cells that are missing, then prints the table
    python benchmarks/soundness.py --table      # the table alone

Each cell trains its three seeds together and is written when it ends; a cell that is there is not run again. Curves in
steps do not depend on how busy the machine is. The peers' cells are the curves of peers_sb3.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, provenance, read, table, write

SEEDS = (10, 11, 12)  # the presets were tuned on others
EPISODES = 10  # of each evaluation, as the peers'
PEER_SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Cell:
    """One learner on one robot, and which of the peer's curves stand beside it."""

    name: str
    robot: str
    learner: Callable[[], Any]
    steps: int
    eval_every: int
    peer: str


def _preset(robot: str) -> Callable[[], Any]:
    def make() -> Any:
        from training import preset_ppo

        return preset_ppo(robot)

    return make


def _peers_ppo() -> Any:
    from training import PEERS_PPO

    return PEERS_PPO


def _peers_sac() -> Any:
    from training import PEERS_SAC

    return PEERS_SAC


CELLS = [
    *(
        Cell(f"ppo-{settings}-{robot}", robot, learner, 1_000_000, 50_000, f"ppo-ours-{robot}")
        for robot in ("halfcheetah", "hopper")
        for settings, learner in (("preset", _preset(robot)), ("peer", _peers_ppo))
    ),
    Cell("sac-peer-halfcheetah", "halfcheetah", _peers_sac, 30_000, 5_000, "sac-default-halfcheetah"),
]


def run(cell: Cell, out: Path, steps: int) -> None:
    """Train a cell's seeds together and write it."""
    from training import point, train

    points: list[dict[str, Any]] = []
    learner = cell.learner()

    def watch(progress: Any) -> None:
        if progress.rows:
            points.append(point(progress.rows))
            print(f"{cell.name}: {points[-1]['steps']:,} steps, return {points[-1]['return_mean']:,.0f}", flush=True)

    result = train(
        cell.robot,
        learner,
        steps,
        len(SEEDS),
        SEEDS[0],
        watch,
        source_evaluations=max(steps // cell.eval_every, 1),
        eval_episodes=EPISODES,
        final_episodes=EPISODES,
    )
    about = {"cell": cell.name, "robot": cell.robot, "learner": {"name": learner.name, **asdict(learner)}}
    final = result.source_return.tolist()  # [seeds, episodes]
    write(out, provenance() | about | {"seeds": SEEDS, "steps": steps, "points": points, "final_evaluation": final})


def last_tenth(points: Sequence[dict[str, Any]], steps: int, value: Callable[[dict[str, Any]], float]) -> float:
    """Mean over the evaluations in the last tenth of the steps; at least the last one."""
    late = [value(p) for p in points if p["steps"] > 0.9 * steps] or [value(points[-1])]
    return float(np.mean(late))


def our_returns(result: dict[str, Any]) -> dict[str, list[float]]:
    """Per seed: over the last tenth, and in the final evaluation."""
    seeds = range(len(result["seeds"]))
    late = [last_tenth(result["points"], result["steps"], lambda p, i=i: p["per_seed"][i]) for i in seeds]
    return {"last_tenth": late, "final": [float(np.mean(returns)) for returns in result["final_evaluation"]]}


def peer_returns(results: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The same of the peer, whose final evaluation is its curve's last point."""
    late = [last_tenth(r["points"], r["steps"], lambda p: p["return_mean"]) for r in results]
    return {"last_tenth": late, "final": [r["points"][-1]["return_mean"] for r in results]}


def compare(ours: list[float], peer: list[float]) -> dict[str, Any]:
    """Means, their difference with Welch's 95% interval, and whether ours is worse."""
    from scipy import stats

    difference = float(np.mean(ours) - np.mean(peer))
    low, high = stats.ttest_ind(ours, peer, equal_var=False).confidence_interval(0.95)
    verdict = "not worse" if difference >= 0 else "lower, within noise" if high >= 0 else "WORSE"
    sides = {"ours": ours, "peer": peer, "ours_mean": float(np.mean(ours)), "peer_mean": float(np.mean(peer))}
    return sides | {"difference": difference, "ci95": [float(low), float(high)], "verdict": verdict}


def joined(folder: Path, peers: Path, out: Path) -> str:
    """The table of all cells that are there, also written to `out`."""
    result: dict[str, Any] = {}
    lines = [("cell", "return", "ours", "SB3", "difference", "95% interval", "verdict")]
    for cell in CELLS:
        own = read(folder / f"{cell.name}.json")
        found = [r for s in PEER_SEEDS if (r := read(peers / f"{cell.peer}-s{s}.json")) and r["complete"]]
        if own is None or len(found) < len(PEER_SEEDS):
            missing = "not run" if own is None else f"the peer has {len(found)} of {len(PEER_SEEDS)} curves"
            lines.append((cell.name, "-", "-", "-", "-", "-", missing))
            continue
        mine, theirs = our_returns(own), peer_returns(found)
        result[cell.name] = {"steps": own["steps"], "peer_steps": found[0]["steps"]}
        for which in ("last_tenth", "final"):
            row = compare(mine[which], theirs[which])
            result[cell.name][which] = row
            values = [f"{row[key]:,.0f}" for key in ("ours_mean", "peer_mean", "difference")]
            interval = "{:,.0f} .. {:,.0f}".format(*row["ci95"])
            lines.append((cell.name, which.replace("_", " "), *values, interval, row["verdict"]))
    write(out, provenance() | {"cells": result})
    return table(lines)


def main() -> None:
    """Read the command line, run what is missing, print the table."""
    parser = argparse.ArgumentParser(description="Our learners beside Stable-Baselines3's at the same steps.")
    parser.add_argument("--cells", nargs="+", choices=[cell.name for cell in CELLS], help="default: all")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--steps", type=int, help="other budgets, for a try; needs --out")
    parser.add_argument("--out", type=Path, help=f"folder of the cells; default: {RESULTS.name}/soundness")
    parser.add_argument("--peers", type=Path, default=RESULTS / "peers", help="folder of peers_sb3.py's curves")
    args = parser.parse_args()
    if args.steps and not args.out:
        parser.error("--steps is for a try: name another folder with --out")
    folder = args.out or RESULTS / "soundness"
    for cell in CELLS:
        out = folder / f"{cell.name}.json"
        if args.table or out.exists() or (args.cells and cell.name not in args.cells):
            continue
        run(cell, out, args.steps or cell.steps)
    print(joined(folder, args.peers, folder / "table.json"))


if __name__ == "__main__":
    main()
