"""Whether steps can be those of a robot at all: it moves, and its simulator knows something of where they lead."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from transreward.domains.logs.degrees import in_degrees
from transreward.domains.parameters import DELAYS
from transreward.ground import LEAST
from transreward.identify.evidence import Evidence
from transreward.identify.problem import Problem
from transreward.identify.simulator import Simulator
from transreward.types import RequestError

STILL = 1e-4  # of an entry's size: a robot that moves less stands still
ROWS = 500  # of the steps that are compared
RELATED = 0.3  # rank correlation of a simulated with an observed change; least of the robots tried: 0.46
UNRELATED = 1 / 6  # of the entries, and at least two, that may be below it: one joint may be stuck
TRIED = {"delay": None, "gear": (0.0, 0.25)}  # what may change all entries; the values tried (None: all)
SEEN = 1e-3  # of the largest effect: below it a parameter does not show in a robot that stands still
SHOWN = 8  # names that an error lists


def require_usable(simulator: Simulator, told: Evidence) -> None:
    """Raise RequestError where the state, or the actions that may act in it, are known of too few steps."""
    usable = int((told.known & simulator.shown(told.obs)).sum())
    if usable < LEAST:
        clip = f", and velocities within {simulator.robot.clip:g}" if np.isfinite(simulator.robot.clip) else ""
        raise RequestError(
            f"{usable} of {told.n:,} steps can be used, and {LEAST} are needed: each needs {DELAYS} of its episode "
            f"before it{clip}; an episode ends where the next step begins elsewhere"
        )


def require_motion(simulator: Simulator, told: Evidence) -> None:
    """Raise RequestError where the robot only stands still."""
    states = simulator.seen(told.obs)
    if (states.std(axis=0) >= STILL * (np.abs(states).max(axis=0) + 1e-12)).any():
        return
    effects = simulator.effects(told.take(np.arange(min(told.n, ROWS))))
    size = {simulator.family.parameters[i].name: np.abs(effect).max() for i, effect in effects.items()}
    names = [name for name, x in size.items() if x <= SEEN * max(size.values())]
    hidden = f", which cannot show {_listed(names)}" if names else ""
    raise RequestError(f"the robot only stands still in these steps{hidden}: give steps in which it moves")


def require_related(problem: Problem) -> None:
    """Raise RequestError where the simulator says no more of where steps lead than of where any other step of them
    does, whatever delay its motors have and however weak they are: then columns or units are others."""
    simulator, rows = problem.simulator, problem.steps.take(np.arange(min(problem.steps.n, ROWS)))
    change = simulator.seen(rows.next_obs) - simulator.seen(rows.obs)
    simulated = simulator.differences(_tries(problem), rows) + change
    related = np.array([[correlation(x, y) for x, y in zip(s.T, change.T, strict=True)] for s in simulated]).max(axis=0)
    moves = change.std(axis=0) > 0
    lost = [simulator.entries[i] for i in np.flatnonzero(moves & (related < RELATED))]
    if len(lost) < 2 or len(lost) < UNRELATED * moves.sum():
        return
    unknown = (
        f"the simulator cannot foretell where {len(lost)} of {moves.sum()} entries of the state go "
        f"({_listed([e.name for e in lost])})"
    )
    if asked := in_degrees(simulator.entries, simulator.seen(problem.steps.obs)):
        raise RequestError(f"{asked}; as they are, {unknown}, and columns may be others, too")
    raise RequestError(
        f"{unknown}, however strong or late its motors are: their columns may be others, or in other units (angles are "
        f"in rad, lengths in m, velocities per second), a joint may be stuck, or there is only noise"
    )


def _tries(problem: Problem) -> np.ndarray:
    """Variants [m, parameters]: nothing changed, and what may change all entries."""
    neutral, found = problem.family.neutral, [problem.family.neutral]
    for i, p in enumerate(problem.parameters):
        if p.pattern is None and p.kind.name in TRIED:
            for value in TRIED[p.kind.name] or p.search.trials:
                found.append(neutral.copy())
                found[-1][i] = value
    return np.stack(found)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Of ranks: what an unstable simulation makes of a wrong state may be of any size."""
    a, b = rankdata(x), rankdata(y)
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / size) if size else 0.0


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
