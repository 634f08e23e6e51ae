"""Write a run directory of each kind as this version does, below the number of its schema.

    python tests/data/runs/make.py

Those of a schema are never written anew: they are what `tests/runs/test_schemas.py` holds later versions to.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import transreward as tr
from transreward.engine import checkpoint
from transreward.runs import store

HERE = Path(__file__).parent / str(store.SCHEMA)
PAIR = "inverted_pendulum", "inverted_pendulum:gravity=1.5"
BUDGET = {"source_steps": 64, "target_steps": 32, "seeds": 1, "seed": 3}
PPO = tr.learner("ppo", hidden=(2,), robots=2, rollout_steps=8, minibatches=2, epochs=1, target_rollout=16)
SAC = tr.learner("sac", hidden=(2,), robots=4, batch=8, burst=4, steps_per_update=8.0, random_steps=16)
LOOP = {"final_episodes": 2, "eval_episodes": 1, "evaluations": 1, "source_evaluations": 1, "aligned": 0.0}
SETTINGS: dict[str, Any] = {f"loop.{name}": value for name, value in LOOP.items()}
GAP: dict[str, Any] = {"gap.hidden": (2,), "gap.batch": 8}


class Cut(Exception):
    """The run ends here."""


def cut(progress: Any) -> None:
    """Watches a run, and ends it in the midst of its target steps."""
    if progress.steps.target > progress.budget.target / 2:
        raise Cut


def main() -> None:
    """Write all of them."""
    tr.transfer(*PAIR, "darc", learner=PPO, settings=SETTINGS | GAP, out=HERE / "transfer-ppo", **BUDGET)
    sac = {"learner": SAC, "settings": SETTINGS} | BUDGET
    tr.transfer(*PAIR, "mix", controls=("zero_shot",), out=HERE / "transfer-sac", **sac)
    store.write_json(HERE / "transfer-sac" / store.IDENTIFICATION, tr.identify(*PAIR).as_json())
    tr.compare(*PAIR, ["mix"], out=HERE / "compare", **sac)
    cotrain = sac | {"settings": SETTINGS | GAP}
    tr.transfer(*PAIR, "reward_gap", cotrain=True, out=HERE / "cotrain", **cotrain)
    checkpoint.EVERY = 0.0
    for name in ("unfinished", "checkpoint"):
        with suppress(Cut):
            tr.transfer(*PAIR, "mix", out=HERE / name, watch=cut, **sac)
    for name in ("unfinished", "compare", "cotrain", "transfer-sac", "transfer-ppo"):
        shutil.rmtree(HERE / name / "state")
    for path in HERE.rglob("provenance.json"):  # of no machine
        about = {"command": "python make.py", "started": "2026-11-27 12:00:00 +0000", "machine": {"cores": 2}}
        path.write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
