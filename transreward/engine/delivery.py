"""Which candidate of a run is delivered, seed by seed: see `transreward.fallback`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward.engine.state import Run
from transreward.fallback import Belief, best


def deliver(run: Run) -> dict[str, Any]:
    """Make the best candidate of each seed the run's policy, and say in the words of fallback.json which and why; empty
    where the run has no candidates."""
    if not run.stage.candidates:
        return {}
    said = standing(run)
    run.state.agents = deliverable(run)
    return said


def deliverable(run: Run) -> Any:
    """The agents that would be delivered now, [seeds]; the learner's own where the run has no candidates."""
    names = run.stage.candidates
    if not names:
        return run.state.agents
    chosen, of = [best(belief) for belief in beliefs(run)], [_agents(run, name) for name in names]
    return jax.tree.map(lambda *leaves: jnp.stack([leaves[i][k] for k, i in enumerate(chosen)]), *of)


def delivered(run: Run) -> list[str]:
    """The candidate of each seed that would be delivered now; empty where the run has none."""
    return [run.stage.candidates[best(belief)] for belief in beliefs(run)]


def beliefs(run: Run) -> list[Belief]:
    """What is known of the candidates, by seed."""
    if not run.stage.candidates:
        return []
    assert run.choice is not None
    return [run.choice.belief(k, run.stage.candidates) for k in range(run.config.seeds)]


def latest(run: Run, episodes: int) -> np.ndarray:
    """Returns [seeds, n] of the newest training episodes of what would be delivered; n <= `episodes` is the number that
    every seed has."""
    assert run.choice is not None
    own = [
        [e.total for e in of_seed if e.who == who]
        for of_seed, who in zip(run.choice.episodes, delivered(run), strict=True)
    ]
    n = min(episodes, *map(len, own))
    return np.array([returns[len(returns) - n :] for returns in own]).reshape(len(own), n)


def standing(run: Run) -> dict[str, Any]:
    """The content of fallback.json: for each seed the belief about each candidate, and who acted when."""
    assert run.choice is not None
    names, seeds = run.stage.candidates, []
    for k, (seed, belief) in enumerate(zip(run.config.seed_list, beliefs(run), strict=True)):
        episodes = run.choice.episodes[k]
        counts = {name: sum(e.who == name for e in episodes) for name in names}
        seeds.append(
            {
                "seed": seed,
                "delivered": names[best(belief)],
                "candidates": [
                    {"name": n, "mean": float(m), "low": float(low), "high": float(high), "episodes": counts[n]}
                    for n, m, low, high in zip(names, belief.mean, belief.low, belief.high, strict=True)
                ],
                "episodes": [{"who": e.who, "return": e.total, "target_steps": e.at} for e in episodes],
            }
        )
    return {"target_steps": run.steps.target, "seeds": seeds}


def _agents(run: Run, name: str) -> Any:
    return run.state.candidates.get(name, run.state.agents)
