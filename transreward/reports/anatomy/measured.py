"""`body.json` of a run directory: what the compensation paid or charged each joint for, over one episode a seed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward.domains.bridged import view_of
from transreward.domains.difference import bodies
from transreward.domains.domain import TableRobot
from transreward.domains.ids import domain
from transreward.domains.names import entries
from transreward.domains.varied import of_seed
from transreward.evaluation.returns import SEED
from transreward.interruption import unwritable
from transreward.reports.anatomy import gait, outline
from transreward.reports.anatomy.parts import FILE, Delta, Paid, foremost, grouped, paid
from transreward.runs import store
from transreward.runs.result import Result, load
from transreward.types import SHOWN, BrokenRun, RequestError, Transition
from transreward.wrapper import on_its_side

STEPS = 400  # of one episode, at most
PHASES = 8  # of a gait
BEGUN = 0.25  # of the episode, in which the gait has not settled


def keep(place: Path) -> None:
    """Measure it and write it down where a run's method changes rewards: once, and again after the run went on. Warns
    where that cannot be kept, as of a run that may be read alone: its page can do without."""
    learned, told = place / "compensation.safetensors", place / FILE
    if not learned.exists() or (told.exists() and told.stat().st_mtime >= learned.stat().st_mtime):
        return
    if error := unwritable(told):
        warnings.warn(
            f"{told} cannot be written ({error.strerror}), so the page does not say which joints are paid or charged",
            stacklevel=2,
        )
        return
    try:
        found = measured(load(place))
    except (RequestError, BrokenRun) as error:
        found = {"why": str(error)}
    store.write_json(told, found)


def measured(run: Result) -> dict[str, Any]:
    """The same as JSON.

    Raises:
        RequestError: it cannot be said of this run.
    """
    source, target = _pair(run)
    groups = grouped(entries(source), outline.joints(source))
    found, walked = [], None
    for seed in range(run.config["seeds"]):
        steps, outcomes, qpos = _walk(of_seed(source, seed), of_seed(target, seed), run, seed)  # type: ignore[arg-type]
        found.append(paid(_delta(run, seed), steps, outcomes, groups))
        walked = qpos if walked is None else walked
    assert walked is not None
    told = {
        "steps": sum(len(one.whole) for one in found),
        "foremost": foremost(found),
        "seeds": [_mean(run.config["seed"] + i, one) for i, one in enumerate(found)],
        "cycle": [],
    }
    if foremost(found):
        told["cycle"] = _cycle(source, walked, found[0])
    return told


def _pair(run: Result) -> tuple[TableRobot, TableRobot]:
    """Raises RequestError where the target cannot be put into a state of the source."""
    config = run.config
    if run.eval_target != "simulated" or "evaluate" in config:
        raise RequestError("the target is not simulated, so that no state of the source can be tried in it")
    if view_of(config["source"]):
        raise RequestError("the source is seen in another view of its robot")
    both = bodies(domain(config["source"]), domain(config["target"]))
    if both is None:
        raise RequestError("source and target are not one body, whose states can be exchanged")
    for one in both:
        if one.redrawn or not one.physics.sees or one.physics.delay:
            raise RequestError(f"'{one.name}' is not all in its state: it has delays, noise or changing physics")
    return both


def _walk(source: TableRobot, target: TableRobot, run: Result, seed: int) -> tuple[Transition, np.ndarray, np.ndarray]:
    """Steps of the policy in the source [n, ...], the target's next states from the same states and actions [n, obs],
    and where the robot was, [n, nq]."""
    policy, first = run.policy(seed), SEED + run.config["seed"] + seed
    walk, there = source.simulate(1, first), target.simulate(1, first)
    steps, outcomes, places = [], [], []
    for _ in range(min(STEPS, source.episode_steps)):
        places.append(walk.qpos[0].copy())
        there.set_physics(walk.qpos, walk.qvel)
        action = policy(walk.obs.astype(np.float32))
        outcomes.append(there.step(action).next_obs[0])
        steps.append(walk.step(action))
        if (steps[-1].terminated | steps[-1].truncated).any():
            break
    stacked = Transition(*(np.concatenate(x).astype(np.float32) for x in zip(*steps, strict=True)))
    return stacked, np.array(outcomes, np.float32), np.array(places)


def _delta(run: Result, seed: int) -> Delta:
    compensation, state = run.compensation(seed)
    if compensation.side != "source" or compensation.use.relative:
        raise RequestError(f"'{run.method}' does not pay source steps one by one")
    extras = {"source_value": None, **dict.fromkeys(SHOWN), **run.extras(seed)}
    added = jax.jit(on_its_side(compensation, extras))
    return lambda steps: np.asarray(added(state, jax.tree.map(jnp.asarray, steps))[0], float)


def _mean(seed: int, one: Paid) -> dict[str, Any]:
    """Of a seed: what was paid a step, as a whole and for each joint, and how much of the size that is."""
    return {
        "seed": seed,
        "whole": float(one.whole.mean()),
        "told": one.told,
        "parts": {name: float(values.mean()) for name, values in one.parts.items()},
        "sizes": {name: float(np.abs(values).mean()) for name, values in one.parts.items()},
    }


def _cycle(robot: TableRobot, qpos: np.ndarray, one: Paid) -> list[dict[str, Any]]:
    """Of the first seed: by part of its gait, the pose that is nearest to the middle of the part, and what was paid
    there. Empty where its joints do not come again to where they were."""
    begun = int(BEGUN * len(qpos))
    phase = gait.phase(outline.angles(robot, qpos[begun:]))
    if phase is None:
        return []
    found = []
    for part in range(PHASES):
        inside = np.flatnonzero((phase * PHASES).astype(int) % PHASES == part)
        if not len(inside):
            return []
        near = inside[np.argmin(np.abs(phase[inside] * PHASES - part - 0.5))]
        means = {name: float(values[begun + inside].mean()) for name, values in one.parts.items()}
        found.append({**outline.drawn(robot, qpos[begun + near]), "paid": means, "steps": len(inside)})
    return found
