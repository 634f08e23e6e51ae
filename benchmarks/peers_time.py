"""Ours beside the peers': minutes to a return, from our measured time and from the peers' curves and idle speeds.

    python benchmarks/peers_time.py --rates benchmarks/results/peers/rates.jsonl

A peer's curve says at which training step its mean evaluation return first reached the threshold; its speed, measured
on the idle machine by `peers_sb3.py speed`, turns steps into seconds: steps / rate for PPO, and for SAC
(steps - learning_starts) / rate, so that its random steps cost nothing. The fastest number of threads counts. Fifteen
minutes are the cap: a peer that took longer, or never got there, counts with these. Where a curve ends before both the
threshold and the cap, the time to its end counts, which is too short for the peer and so the least that can be said.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from record import RESULTS, provenance, read, table, write

CAP = 900.0  # seconds
ROBOTS = {  # our robot: (the peers' environment, threshold, our time as a share of the faster peer's, at most)
    "halfcheetah": ("HalfCheetah-v5", 5_000.0, 1 / 5),
    "hopper": ("Hopper-v5", 2_500.0, 1 / 3),
}


def rates(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """(algorithm, environment) -> the fastest line of whole training with the zoo's settings."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        if not line.startswith("{"):
            continue
        row = json.loads(line)
        if row["what"] != "steps_per_second" or row["settings_name"] != "zoo":
            continue
        key = (row["algo"], row["env"])
        if key not in best or row["value"] > best[key]["value"]:
            best[key] = row
    return best


def peer_time(curve: dict[str, Any], rate: dict[str, Any], threshold: float) -> dict[str, Any]:
    """Seconds of one peer, and how they came about."""
    free = curve["settings"].get("learning_starts", 0)
    reached = next((p for p in curve["points"] if p["return_mean"] >= threshold), None)
    last = reached or curve["points"][-1]
    seconds = max(last["steps"] - free, 0) / rate["value"]
    how = "reached" if reached else "at least: the curve ends below the threshold"
    if seconds >= CAP:
        seconds, how = CAP, "capped"
    return {
        "seconds": round(seconds, 1),
        "how": how,
        "steps": last["steps"],
        "best_return": max(p["return_mean"] for p in curve["points"] if p["steps"] <= last["steps"]),
        "complete": curve["complete"],
        "steps_per_second": rate["value"],
        "threads": rate["threads"],
        "learning_starts": free,
    }


def settled(peers: list[dict[str, Any]]) -> bool:
    """Whether it is known which peer is faster, and how fast: a curve that was ended early may only be the slower one's
    or one that has used up the cap."""
    fastest = min((p["seconds"] for p in peers if p["how"] in ("reached", "capped")), default=0.0)
    return all(p["complete"] or p["how"] == "capped" or p["seconds"] >= fastest > 0 for p in peers)


def robot_row(robot: str, curves: Path, ours: Path, speeds: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Our time, each peer's, and the ratio to the faster one where all are there."""
    env, threshold, limit = ROBOTS[robot]
    own = read(ours / f"{robot}.json")
    if own and own["threshold"] != threshold:
        own = None
    peers = {}
    for algo in ("ppo", "sac"):
        curve = read(curves / f"{algo}-zoo-{robot}-s0.json")
        if curve and curve["points"] and (algo, env) in speeds:
            peers[algo] = peer_time(curve, speeds[algo, env], threshold)
    reached = own["reached"] if own else None
    row = {
        "threshold": threshold,
        "limit": round(limit, 4),
        "ours": None
        if own is None
        else {k: own[k] for k in ("learner", "seeds", "reached", "max_seconds", "complete")},
        "peers": peers,
        "ratio": None,
        "pass": None,
    }
    if own and own["complete"] and not reached:
        row["pass"] = False
    elif reached and len(peers) == 2 and settled(list(peers.values())):
        row["ratio"] = round(reached["seconds"] / min(p["seconds"] for p in peers.values()), 4)
        row["pass"] = row["ratio"] <= limit
    return row


def minutes(seconds: float | None) -> str:
    """For the table."""
    return "-" if seconds is None else f"{seconds / 60:.2f}"


def main() -> None:
    """Read the command line, join and print."""
    parser = argparse.ArgumentParser(description="Minutes to a return, ours beside the peers'.")
    parser.add_argument(
        "--rates", type=Path, default=RESULTS / "peers" / "rates.jsonl", help="lines of peers_sb3.py speed"
    )
    parser.add_argument("--curves", type=Path, default=RESULTS / "peers", help="folder of peers_sb3.py's curves")
    parser.add_argument("--ours", type=Path, default=RESULTS / "time_to_return", help="folder of time_to_return.py")
    parser.add_argument("--out", type=Path, default=RESULTS / "time_to_return.json")
    args = parser.parse_args()
    if not args.rates.exists():
        parser.error(f"there is no {args.rates}: see the README beside this script for how to measure it")
    speeds = rates(args.rates)
    result = {robot: robot_row(robot, args.curves, args.ours, speeds) for robot in ROBOTS}
    write(args.out, provenance() | {"cap_seconds": CAP, "robots": result})
    lines = [("minutes to return", "threshold", "ours", "SB3 PPO", "SB3 SAC", "ratio", "limit", "verdict")]
    for robot, row in result.items():
        own = row["ours"]["reached"]["seconds"] if row["ours"] and row["ours"]["reached"] else None
        peers = (minutes(row["peers"].get(algo, {}).get("seconds")) for algo in ("ppo", "sac"))
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
        verdict = {True: "pass", False: "FAIL", None: "not all measured"}[row["pass"]]
        lines.append((robot, f"{row['threshold']:g}", minutes(own), *peers, ratio, f"{row['limit']:.3f}", verdict))
    print(table(lines))
    for robot, row in result.items():
        for algo, peer in row["peers"].items():
            print(f"{robot}, SB3 {algo.upper()}: {peer['how']} ({peer['steps']:,} steps, {peer['steps_per_second']}/s)")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
