"""What robots of MuJoCo Menagerie and bridges cost: MENAGERIE_ROOT=folder python benchmarks/robots.py

Sides alternate within every repeat, so that a machine that slows down slows all, and ratios are of the same repeat:

ready      seconds from an id to robots that were reset, in a process of its own that has imported the package
domain     control steps of our domain, observations, rewards and resets and all, to those of `Batch.step` alone
bridge     control steps across a bridge to those of the plain domain
surgery    seconds in which three seeds' agents, 256 wide, are converted across a bridge: the first time and again

Limits: 3 s, at least 0.7, at least 0.95, 1 s. Writes benchmarks/results/robots.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count, cycle
from typing import Any

import jax
import numpy as np
from mujoco.batch import Batch
from record import RESULTS, provenance, spread, table, write
from varied import measured

import transreward as tr
from transreward.bridges.take_up import take_up

READY = ("unitree_go1", "franka_emika_panda", "boston_dynamics_spot", "unitree_g1", "apptronik_apollo")
STEPPED = ("unitree_go1", "franka_emika_panda")
ACROSS = (
    ("halfcheetah", "halfcheetah:legs=3", "named"),
    ("menagerie:unitree_go1", "menagerie:google_barkour_vb", "kinematic"),
)
AGAIN = 200  # steps after which all robots begin again
LIMITS = {"ready": 3.0, "domain": 0.7, "bridge": 0.95, "surgery": 1.0}
SEEDS = 3
TIMED = """
import sys, time, transreward as tr
import mujoco, mujoco.batch, transreward.domains.mujoco
began = time.perf_counter()
tr.domain(sys.argv[1]).simulate(1, 0, 1)
print(time.perf_counter() - began)
"""


def ready(id: str) -> float:
    """Seconds until a robot can be stepped, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", TIMED, id], capture_output=True, text=True, check=True)
    return float(done.stdout)


def near(spaces: Any, rows: int) -> np.ndarray:
    """Actions about the middle of the box, [64, rows, action], in which a robot stands for a while."""
    share = 0.2 * np.random.default_rng(0).uniform(-1, 1, (64, rows, spaces.action))
    return spaces.centre + share * spaces.half_width


def stepped(step: Callable[[np.ndarray], Any], actions: np.ndarray) -> Callable[[], None]:
    """One step after the other, of all actions in turn."""
    turn = cycle(actions)
    return lambda: step(next(turn))


def raw(robot: Any, rows: int, threads: int) -> Callable[[np.ndarray], None]:
    """`Batch.step` of the same robots, which begin again as ours do: a robot that lies has other contacts."""
    fresh = robot.simulate(rows, 0, threads).get_state()["physics"].copy()
    batch, turn = Batch(robot.model, rows, threads), count(1)
    batch.state[:] = fresh

    def step(action: np.ndarray) -> None:
        if next(turn) % AGAIN == 0:
            batch.state[:] = fresh
        batch.ctrl = action
        batch.step(nstep=robot.robot.frame_skip)

    return step


def ours(domain: Any, rows: int, threads: int) -> Callable[[np.ndarray], None]:
    """Steps of a domain's simulation, which begins again as `raw` does."""
    simulation, turn = domain.simulate(rows, 0, threads), count(1)
    begin = simulation.get_state()

    def step(action: np.ndarray) -> None:
        if next(turn) % AGAIN == 0:
            simulation.set_state(begin)
        simulation.step(action)

    return step


def compared(sides: dict[str, Callable[[], None]], args: argparse.Namespace) -> dict[str, Any]:
    """Rates of two sides, and the second to the first in every repeat."""
    rates = measured(sides, args)
    first, second = rates.values()
    ratios = [b / a for a, b in zip(first, second, strict=True)]
    return {"rates": {name: spread(x) for name, x in rates.items()}, "ratio": spread(ratios)}


def surgery(across: Any, name: str) -> dict[str, list[float]]:
    """Seconds in which agents of a learner are converted across a bridge."""
    learner = tr.learner(name, hidden=(256, 256))
    agents = jax.vmap(lambda key: learner.init(key, across.plain.spaces))(jax.random.split(jax.random.key(0), SEEDS))
    taken = []
    for _ in range(6):
        began = time.perf_counter()
        jax.block_until_ready(take_up(learner, agents, across.crossing))
        taken.append(time.perf_counter() - began)
    return {"first": spread(taken[:1]), "again": spread(taken[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0, help="0 = all cores")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    began, found = time.time(), {what: {} for what in LIMITS}
    head = provenance()
    for name in READY:
        found["ready"][name] = spread([ready(f"menagerie:{name}") for _ in range(3)])
    for name in STEPPED:
        robot = tr.domain(f"menagerie:{name}")
        actions = near(robot.spaces, args.rows)
        sides = {"Batch.step": raw(robot, args.rows, args.threads), "domain": ours(robot, args.rows, args.threads)}
        found["domain"][name] = compared({k: stepped(step, actions) for k, step in sides.items()}, args)
    for source, target, how in ACROSS:
        across = tr.bridge(source, target, how)
        plain = ours(across.plain, args.rows, args.threads)
        sides = {
            "plain": stepped(plain, near(across.plain.spaces, args.rows)),
            "bridge": stepped(ours(across, args.rows, args.threads), near(across.spaces, args.rows)),
        }
        found["bridge"][f"{source} as {target}"] = compared(sides, args)
        for name in ("sac", "ppo"):
            for when, x in surgery(across, name).items():
                found["surgery"][f"{name}, {source} to {target}, {when}"] = x
    write(RESULTS / "robots.json", {**head, "limits": LIMITS, "arguments": vars(args), **found})
    rows = [["", "median", "from", "to"]]
    told = {f"{what}, s: {name}": x for what in ("ready", "surgery") for name, x in found[what].items()}
    told |= {f"{what}: {name}": x["ratio"] for what in ("domain", "bridge") for name, x in found[what].items()}
    rows += [[what, *(f"{x[key]:.2f}" for key in ("median", "min", "max"))] for what, x in told.items()]
    print(table(rows), f"\n{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
