"""How much of a known map is found in steps: robots against themselves, permuted and with signs turned.

    python benchmarks/learned.py

For each robot, number of target steps and permutation: the shares of columns and motors that `learned` matches to the
right one, and with the right sign too; the squares that it leaves, as a multiple of those that the true map leaves (at
most 1: another map is as good, since the robot is symmetric, or better); and its seconds. Target steps are of random
actions, and no unit is known. `legs=3` is a half-cheetah with a second hind leg, beside what `named` joins. Into
results/learned.json.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from record import RESULTS, provenance, spread, table, write

import transreward as tr
from transreward.bridges.learned import Model, _left, matched, modelled
from transreward.domains.brought import walked
from transreward.types import Transition

ROBOTS = ("halfcheetah", "hopper", "reacher", "swimmer", "walker2d")
STEPS = (1_000, 2_000, 5_000)
SEEDS = range(5)


class Robot:
    """A domain as `walked` takes it."""

    def __init__(self, id: str) -> None:
        self.domain = tr.domain(id)
        self.spaces = self.domain.spaces


def taken(robot: Robot, n: int, seed: int) -> Transition:
    """Steps of random actions, [n]."""
    walk, rng = robot.domain.simulate(10, seed, 1), np.random.default_rng(seed)
    low, high = robot.spaces.low, robot.spaces.high
    steps = [walk.step(rng.uniform(low, high, (10, robot.spaces.action))) for _ in range(n // 10)]
    return Transition(*(np.concatenate(part) for part in zip(*steps, strict=True)))


def model(steps: Transition) -> Model:
    """The linear model of steps [n]."""
    return modelled("these steps", steps, [str(i) for i in range(steps.action.shape[1])])


def signed(size: int, rng: np.random.Generator) -> np.ndarray:
    """A random signed permutation [size, size]."""
    return np.eye(size)[rng.permutation(size)] * rng.choice([-1.0, 1.0], size)


def found(ours: Any, steps: Transition, rng: np.random.Generator) -> dict[str, float]:
    """How much of a random map is found between a robot's model and its steps, seen through that map."""
    columns, motors = signed(steps.obs.shape[1], rng), signed(steps.action.shape[1], rng)
    seen = steps._replace(
        obs=steps.obs @ columns.T, next_obs=steps.next_obs @ columns.T, action=steps.action @ motors.T
    )
    began = time.perf_counter()
    one = matched(ours, theirs := model(seen))
    took = time.perf_counter() - began
    moves = np.abs(columns) @ (steps.obs.std(axis=0) > 1e-6) > 0  # columns that never vary are nobody's
    right = {"columns": (one.columns, columns, moves), "motors": (one.motors, motors, np.ones(len(motors), bool))}
    shares = {name: ((np.abs(x) == np.abs(y)).all(axis=1)[which].mean()) for name, (x, y, which) in right.items()}
    shares |= {f"{name}, signed": ((x == y).all(axis=1)[which].mean()) for name, (x, y, which) in right.items()}
    left = one.cost / _left(ours, theirs, columns * moves[:, None], motors)
    return {**{name: float(x) for name, x in shares.items()}, "left": left, "seconds": took}


def beside_named(n: int, seed: int) -> dict[str, float]:
    """Of what `named` joins in a half-cheetah with a second hind leg, the shares that are found, without units."""
    source, target = Robot("halfcheetah"), Robot("halfcheetah:legs=3")
    crossing = tr.bridge("halfcheetah", "halfcheetah:legs=3").crossing.there
    one = matched(model(walked(source)), model(taken(target, n, seed)))
    pairs = {"columns": (one.columns, crossing.obs.matrix), "motors": (one.motors, np.sign(crossing.action.matrix))}
    return {name: float(((x != 0) & (x == y)).sum() / (y != 0).sum()) for name, (x, y) in pairs.items()}


def main() -> None:
    rows, kept = [["robot", "target steps", "columns", "signed", "motors", "signed", "left", "seconds"]], {}
    for id in ROBOTS:
        robot = Robot(id)
        ours = model(walked(robot))
        for n in STEPS:
            each = [found(ours, taken(robot, n, 100 + seed), np.random.default_rng(seed)) for seed in SEEDS]
            kept[f"{id}, {n}"] = {name: spread([one[name] for one in each]) for name in each[0]}
            names = ("columns", "columns, signed", "motors", "motors, signed", "left", "seconds")
            rows.append([id, f"{n:,}", *(f"{np.mean([one[name] for one in each]):.2f}" for name in names)])
            print(rows[-1], flush=True)
    for n in STEPS:
        each = [beside_named(n, seed) for seed in SEEDS]
        kept[f"halfcheetah to legs=3, {n}"] = {name: spread([one[name] for one in each]) for name in each[0]}
        rows.append(["to legs=3", f"{n:,}", "", f"{np.mean([x['columns'] for x in each]):.2f}", "",
                     f"{np.mean([x['motors'] for x in each]):.2f}", "", ""])  # fmt: skip
    write(RESULTS / "learned.json", {**provenance(), "found": kept})
    print(table(rows))


if __name__ == "__main__":
    main()
