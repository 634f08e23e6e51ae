"""Every method on several pairs at few target steps, with equal numbers of updates; resumable cell by cell.

    python benchmarks/grid.py run [--pairs halfcheetah-hip,...] [--methods fine_tune,...]
    python benchmarks/grid.py table [--pairs ...] [--methods ...] [--markdown]

With `further` as the first word it is two more seeds on half-cheetah, where `paired_branched` leads by less than the
intervals of three: of itself and `fine_tune`. The table counts all five.

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

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import record
from cells import Plan, Source, asked_for

import transreward as tr
from transreward.presets import LEGGED

PAIRS = {
    "halfcheetah-hip": ("halfcheetah", "halfcheetah:broken=bthigh"),
    "halfcheetah-gravity": ("halfcheetah", "halfcheetah:gravity=2"),
    "halfcheetah-friction": ("halfcheetah", "halfcheetah:friction=0.1"),
    "halfcheetah-mass": ("halfcheetah", "halfcheetah:mass(torso)=2"),
    "halfcheetah-range": ("halfcheetah", "halfcheetah:range(*foot)=0.5"),
    "hopper-gravity": ("hopper", "hopper:gravity=0.5"),
    "hopper-mass": ("hopper", "hopper:mass(torso)=1.5"),
    "walker2d-friction": ("walker2d", "walker2d:friction=0.3"),
    "walker2d-range": ("walker2d", "walker2d:range(*foot*)=0.4"),
    "ant-gravity": ("ant", "ant:gravity=0.5"),
    "ant-range": ("ant", "ant:range(ankle_*)=0.5"),
}
METHODS = (
    "zero_shot", "fine_tune", "target_only", "paired_branched", "paired", "mix", "rlpd", "jsrl", "darc", "sac_iw",
    "par", "vgdf", "srpo", "food", "gaifo", "darail", "oracle",
)  # fmt: skip
SOURCE_STEPS, TARGET_STEPS = 320_000, 10_000
UPDATES_PER_TARGET_STEP = 2.0
PLAN = Plan(
    results=record.RESULTS / "grid",
    sources=Path("runs/grid"),
    agents={
        "halfcheetah": Source(600_000, tr.learner("sac")),
        "hopper": Source(400_000, LEGGED),
        "walker2d": Source(400_000, LEGGED),
        "ant": Source(400_000, LEGGED),
    },
    pairs=PAIRS,
    methods=METHODS,
    target_steps=TARGET_STEPS,
    read=(2_000, 5_000, 10_000),
    settings={
        "loop.aligned": 0,
        "loop.evaluations": 10,
        "loop.final_episodes": 10,
        "learner.target_updates_per_step": UPDATES_PER_TARGET_STEP,
        "learner.steps_per_update": SOURCE_STEPS / (UPDATES_PER_TARGET_STEP * TARGET_STEPS),
    },
    against=("fine_tune", "mix", "rlpd", "darc"),  # what paired_branched is compared with
    walked=SOURCE_STEPS,
    further=record.RESULTS / "grid_further",
    variants={"paired_branched_10": ("paired_branched", {"feed.branch_length": 10})},  # branches of ten steps each
)


FURTHER = PLAN._replace(
    results=PLAN.further,
    sources=Path("runs/grid_further"),
    pairs={name: pair for name, pair in PAIRS.items() if name.startswith("halfcheetah")},
    methods=("paired_branched", "fine_tune"),
    variants={},
    seeds=2,
    first_seed=PLAN.first_seed + PLAN.seeds,
    further=None,
)


def main() -> None:
    """Run what is missing, or print what there is."""
    plan = asked_for({"further": FURTHER}, PLAN)
    names = plan.command(__doc__).pairs
    if plan is FURTHER:
        return
    print(*(fallbacks(names, control) for control in PLAN.against), sep="\n\n")


def fallbacks(names: Sequence[str], control: str, method: str = "paired_branched") -> str:
    """How often and by how much a method that should fall back to a control fell below it, over seeds that share a
    source agent. Differences are shares of what the source agents return in the source: a control may be at 0."""
    lines = []
    for steps in PLAN.read:
        seeds = []
        for name in names:
            mine, others = PLAN.reading(name, method, steps), PLAN.reading(name, control, steps)
            if mine is not None and others is not None:
                agents = PLAN.found(name, "zero_shot")["result"]["source_return"]["mean"]
                both = min(len(mine), len(others))  # one may have further seeds
                seeds.append((mine[:both] - others[:both]) / agents)
        if not seeds:
            return f"{method} / {control}: not on these pairs"
        means, every = [np.mean(of_pair) for of_pair in seeds], np.concatenate(seeds)
        lines.append(
            f"{method} - {control} at {steps:,} target steps: below 0 on {sum(m < 0 for m in means)} of "
            f"{len(means)} pairs' means "
            f"(least {min(means):+.0%}, median {np.median(means):+.0%}) and for {sum(every < 0)} of {len(every)} seeds "
            f"(least {min(every):+.0%})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
