"""Transfer to another task, with and without other physics, at 5,000, 20,000 and 50,000 target steps; resumable.

    python benchmarks/tasks.py run [--pairs backward,...] [--methods fine_tune,...]
    python benchmarks/tasks.py table [--pairs ...] [--methods ...] [--markdown]
    python benchmarks/tasks.py as-it-is|defaults run|table ...

Source agents are trained with soft actor-critic on the source's task alone. A method then has 50,000 target steps with
half an update each; returns are read along the one curve, so that what `target_only` has at 50,000 is what a method had
to reach with a tenth of its steps, at 5,000. The source is seen as the transfer chooses: in a mirror for `backward`,
after a quarter turn for `direction`; with `as-it-is` as the first word it is not. With `defaults` the learner is as
`transreward transfer` has it, with an update a step and 5,000 random steps first: twice the time, and nothing to be
read at 5,000 steps.
"""

from __future__ import annotations

from pathlib import Path

import record
from cells import SYMMETRY, Plan, Source, asked_for

import transreward as tr
from transreward.presets import LEGGED

METHODS = (
    "zero_shot", "target_only", "fine_tune", "successor", "value_potential", "dpba", "reward_gap", "relabel", "jsrl",
)  # fmt: skip
ON_ONE_PAIR = ("mean_gap", "policy_advice", "kickstart")
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
    methods=(*METHODS, *ON_ONE_PAIR),
    target_steps=50_000,
    read=(5_000, 20_000, 50_000),
    settings={
        "loop.aligned": 0,
        "loop.evaluations": 10,
        "loop.eval_episodes": 3,
        "loop.final_episodes": 3,
        "learner.target_updates_per_step": 0.5,
        "learner.random_steps": 1_000,  # in place of 5,000: else nothing was learned by the first reading
    },
    against=("target_only",),
    only=dict.fromkeys(ON_ONE_PAIR, ("backward",)),
)


DEFAULTS = PLAN._replace(
    results=record.RESULTS / "tasks_defaults",
    settings={path: value for path, value in PLAN.settings.items() if not path.startswith("learner.")},
)
AS_IT_IS = PLAN._replace(
    results=record.RESULTS / "tasks_as_it_is",
    pairs={name: PLAN.pairs[name] for name in ("backward", "direction")},  # the others' sources are seen as they are
    settings={**PLAN.settings, SYMMETRY: "none"},
)


if __name__ == "__main__":
    asked_for({"defaults": DEFAULTS, "as-it-is": AS_IT_IS}, PLAN).command(__doc__)
