"""Every method on several pairs at few target steps, with equal numbers of updates; resumable cell by cell.

    python benchmarks/grid.py run [--pairs halfcheetah-hip,...] [--methods fine_tune,...]
    python benchmarks/grid.py table [--pairs ...] [--methods ...] [--markdown]

A robot's source agent is trained once for all seeds, with soft actor-critic, and every method starts from it (those
that start from nothing read its stored steps, or its policy). A method then has 10,000 target steps and 20,000
updates. Those that go on in the source walk 320,000 source steps meanwhile, 16 an update; `paired_branched` takes 21
source steps a target step. Returns are read along the one curve at 2,000, 5,000 and 10,000 target steps, or
at the nearest evaluation (5,008 where the learner's rounds do not divide it).

What was looked at while the methods were built: returns on `halfcheetah-hip` alone, on these seeds; and how well the
differences of 5,000 steps of half-cheetah with a dead thigh, with friction 0.1 and with gravity 2 are predicted, from
which size and inputs of the paired gap's networks were chosen. No setting was chosen on a return of another pair, and
mass, range and all pairs of other robots were not looked at in any way.

The source agents' learner was chosen on source returns alone. Half-cheetah has the product's defaults. Robots that can
fall hardly learn with these (hopper: 380 after 190,000 steps); with four updates in the place of one and a rate of
3e-4, hopper had 980 after 175,000 steps; with targets over three steps and slow critics twice as fast beside, 3,100.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import record

import transreward as tr
from transreward.evaluation.statistics import improvement, interval
from transreward.presets import LEGGED

RESULTS = record.RESULTS / "grid"
SOURCES = Path("runs/grid")
TARGET_STEPS, READ = 10_000, (2_000, 5_000, 10_000)
SOURCE_STEPS = 320_000  # after the source agent's training, for methods that go on in the source
SEEDS, FIRST_SEED = 3, 300
UPDATES_PER_TARGET_STEP = 2.0


class Source(NamedTuple):
    """A source agent: how it is trained."""

    steps: int
    learner: Any


SOURCE = {
    "halfcheetah": Source(600_000, tr.learner("sac")),
    "hopper": Source(400_000, LEGGED),
    "walker2d": Source(400_000, LEGGED),
    "ant": Source(400_000, LEGGED),
}
PAIRS = {
    "halfcheetah-hip": "halfcheetah:broken=bthigh",
    "halfcheetah-gravity": "halfcheetah:gravity=2",
    "halfcheetah-friction": "halfcheetah:friction=0.1",
    "halfcheetah-mass": "halfcheetah:mass(torso)=2",
    "halfcheetah-range": "halfcheetah:range(*foot)=0.5",
    "hopper-gravity": "hopper:gravity=0.5",
    "hopper-mass": "hopper:mass(torso)=1.5",
    "walker2d-friction": "walker2d:friction=0.3",
    "walker2d-range": "walker2d:range(*foot*)=0.4",
    "ant-gravity": "ant:gravity=0.5",
    "ant-range": "ant:range(ankle_*)=0.5",
}
METHODS = (
    "zero_shot", "fine_tune", "target_only", "paired_branched", "paired", "mix", "rlpd", "jsrl", "darc", "sac_iw",
    "par", "vgdf", "srpo", "food", "gaifo", "darail", "oracle",
)  # fmt: skip
AGAINST = ("fine_tune", "mix", "rlpd", "darc")  # what paired_branched is held against
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {  # name -> a row, with settings
    "paired_branched_10": ("paired_branched", {"feed.branch_length": 10}),  # branches of ten steps each
}
CURVE = (
    "source_return", "target_return", "seconds", "gap_mean", "gap_std", "gap_explained", "gap_value_explained",
    "gap_trust", "gap_accuracy", "effective_sample_size",
)  # fmt: skip
FIXED = {
    "loop.aligned": 0,
    "loop.evaluations": 10,
    "loop.final_episodes": 10,
    "learner.target_updates_per_step": UPDATES_PER_TARGET_STEP,
    "learner.steps_per_update": SOURCE_STEPS / (UPDATES_PER_TARGET_STEP * TARGET_STEPS),
}


def main() -> None:
    """Run what is missing, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"), nargs="?", default="run")
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--methods", default=",".join((*METHODS, *VARIANTS)))
    parser.add_argument("--markdown", action="store_true", help="the table as the documents have it")
    args = parser.parse_args()
    names, methods = args.pairs.split(","), args.methods.split(",")
    if args.what == "run":
        for name in names:
            for method in methods:
                cell(name, method)
    print(table(names, methods, args.markdown), *(fallbacks(names, control) for control in AGAINST), sep="\n\n")


def robot_of(name: str) -> str:
    """The source of a pair."""
    return PAIRS[name].partition(":")[0]


def cell(name: str, method: str, results: Path = RESULTS) -> None:
    """One method on one pair, unless it is there already."""
    file = results / name / f"{method}.json"
    if file.exists():
        return
    row_name, settings = VARIANTS.get(method, (method, {}))
    robot, row = robot_of(name), tr.method(row_name)
    agent = source_agent(robot)
    print(f"{time.strftime('%H:%M:%S')} {name} {method}", flush=True)
    head, began = record.provenance(), time.perf_counter()
    walked = SOURCE_STEPS if row.uses_source else 0
    result = tr.transfer(
        robot,
        PAIRS[name],
        row.name,
        source_steps=SOURCE[robot].steps + walked,
        target_steps=TARGET_STEPS,
        seeds=SEEDS,
        seed=FIRST_SEED,
        source_run=agent,
        settings={**FIXED, **settings} if row.feed else {"loop.final_episodes": 10},
    )
    head |= {"pair": name, "target": PAIRS[name], "seconds": time.perf_counter() - began, "settings": result.config}
    record.write(file, {**head, "result": result.as_json(), "curve": record.curve(result.log, row.name, CURVE)})


def source_agent(robot: str) -> Path:
    """The run directory of a robot's source agent, for all of its pairs."""
    directory, source = SOURCES / robot, SOURCE[robot]
    if not (directory / "result.json").exists():
        print(f"{time.strftime('%H:%M:%S')} source agent {robot}", flush=True)
        tr.transfer(
            robot,
            next(target for target in PAIRS.values() if target.startswith(f"{robot}:")),
            "zero_shot",
            learner=source.learner,
            source_steps=source.steps,
            target_steps=TARGET_STEPS,
            seeds=SEEDS,
            seed=FIRST_SEED,
            settings={"loop.source_evaluations": 6},
            out=directory,
        )
    return directory


def reading(name: str, method: str, steps: int, results: Path = RESULTS) -> np.ndarray | None:
    """Raw target return of each seed at the evaluation nearest to `steps` target steps; None where it is missing."""
    found = record.read(results / name / f"{method}.json")
    if found is None:
        return None
    if not found["curve"] or method == "oracle":  # zero_shot takes no target step, the oracle its source's budget
        return np.asarray(found["result"]["target_return"]["per_seed"])
    nearest = min(found["curve"], key=lambda point: abs(point["target_steps"] - steps))
    return np.asarray(nearest["target_return"])


def table(names: Sequence[str], methods: Sequence[str], markdown: bool = False) -> str:
    """Mean raw target return and 95% interval over seeds along each curve, and the seconds of the whole run."""
    rows = [["pair", "method", *(f"{n:,}" for n in READ), "P(> fine_tune)", "seconds"]]
    for name in names:
        for method in methods:
            found = [reading(name, method, steps) for steps in READ]
            if found[-1] is None:
                continue
            control = reading(name, "fine_tune", READ[-1])
            better = "-" if control is None or method == "fine_tune" else odds(found[-1], control)
            seconds = record.read(RESULTS / name / f"{method}.json")["seconds"]
            rows.append([name, method, *(cell_text(x) for x in found if x is not None), better, f"{seconds:.0f}"])
    return record.table(rows, markdown)


def fallbacks(names: Sequence[str], control: str, method: str = "paired_branched") -> str:
    """How often and by how much a method that should fall back to a control fell below it, over seeds that share a
    source agent. Differences are shares of what the source agents return in the source: a control may be at 0."""
    lines = []
    for steps in READ:
        seeds = []
        for name in names:
            mine, others = reading(name, method, steps), reading(name, control, steps)
            if mine is not None and others is not None:
                agents = record.read(RESULTS / name / "zero_shot.json")["result"]["source_return"]["mean"]
                seeds.append((mine - others) / agents)
        if not seeds:
            return f"{method} / {control}: not on these pairs"
        means, every = np.mean(seeds, axis=1), np.concatenate(seeds)
        lines.append(
            f"{method} - {control} at {steps:,} target steps: below 0 on {sum(means < 0)} of {len(means)} pairs' means "
            f"(least {min(means):+.0%}, median {np.median(means):+.0%}) and for {sum(every < 0)} of {len(every)} seeds "
            f"(least {min(every):+.0%})"
        )
    return "\n".join(lines)


def cell_text(per_seed: np.ndarray) -> str:
    """Mean [interval]."""
    bounds = interval(per_seed)
    return f"{per_seed.mean():,.0f}" + (f" [{bounds[0]:,.0f}, {bounds[1]:,.0f}]" if bounds else "")


def odds(mine: np.ndarray, others: np.ndarray) -> str:
    """Probability that a seed of the one beats a seed of the other."""
    return f"{improvement(mine[:, None], others[:, None])['probability']:.2f}"


if __name__ == "__main__":
    main()
