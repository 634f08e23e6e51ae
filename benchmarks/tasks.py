"""Transfer to another task, with and without other physics, at 5,000, 20,000 and 50,000 target steps; resumable.

    python benchmarks/tasks.py run [--pairs backward,...] [--methods fine_tune,...]
    python benchmarks/tasks.py table [--pairs ...] [--methods ...] [--markdown]

Source agents are trained with soft actor-critic on the source's task alone. A method then has 50,000 target steps with
an update each; returns are read along the one curve. `target_only_500k` has ten times the steps: what a method has to
reach. Its own curve is read at ten times the steps too (50,000, 200,000 and 500,000), one update in four steps.
"""

from __future__ import annotations

from pathlib import Path

import record
from cells import Plan, Source

import transreward as tr
from transreward.presets import LEGGED

PLAN = Plan(
    results=record.RESULTS / "tasks",
    sources=Path("runs/tasks"),
    agents={
        "halfcheetah": Source(600_000, tr.learner("sac")),
        "hopper+hop": Source(400_000, LEGGED),
        "ant": Source(400_000, LEGGED),
    },
    pairs={
        "backward": ("halfcheetah", "halfcheetah+backward"),
        "run": ("halfcheetah", "halfcheetah+run(speed=3):gravity=1.5"),
        "stand": ("hopper+hop", "hopper+stand"),
        "direction": ("ant", "ant+direction(degrees=90)"),
    },
    methods=(
        "zero_shot",
        "target_only",
        "fine_tune",
        "reward_gap",
        "relabel",
        "value_potential",
        "dpba",
        "jsrl",
        "successor",
        "mean_gap",
        "policy_advice",
        "kickstart",
        "mix",
        "rlpd",
    ),  # fmt: skip
    target_steps=50_000,
    read=(5_000, 20_000, 50_000),
    settings={"loop.aligned": 0, "loop.evaluations": 10, "loop.final_episodes": 10},
    against=("target_only",),
)


if __name__ == "__main__":
    PLAN.command(__doc__)
