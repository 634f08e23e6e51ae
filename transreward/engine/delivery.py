"""Which candidate of a run is delivered, seed by seed: see `transreward.fallback`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward.domains.domain import Domain
from transreward.engine.programs import programs
from transreward.engine.state import Run
from transreward.evaluation.returns import Evaluation, evaluate
from transreward.fallback import Belief, best, enough, of_source
from transreward.ground import SURE
from transreward.plan.ledger import EVALUATION
from transreward.request.config import PLAIN, Config


def lead(run: Run) -> tuple[str, ...]:
    """Where the policies of several sources are all there is yet: let each seed learn on from the one that is believed
    to be the best. Returns who that is, in words, a line a seed."""
    known = [name for name in run.stage.candidates if name != run.stage.name]
    if run.stage.phase == "evidence" or len(known) < 2 or not all(map(of_source, known)):
        return ()
    assert run.choice is not None
    which = [best(run.choice.belief(k, known)) for k in range(run.config.seeds)]
    run.choice.began = [known[i] for i in which]
    run.state.agents = chosen([_agents(run, name) for name in known], which)
    seeds = zip(run.config.seed_list, which, strict=True)
    return tuple(f"seed {seed}: goes on from the policy of {run.config.sources[i].name}" for seed, i in seeds)


def deliver(run: Run) -> dict[str, Any]:
    """Make the best candidate of each seed the run's policy, and say in the words of fallback.json which and why; empty
    where the run has no candidates."""
    if not run.stage.candidates:
        return {}
    foresee(run)
    said = standing(run)
    run.state.agents = deliverable(run)
    return said


def deliverable(run: Run) -> Any:
    """The agents that would be delivered now, [seeds]; the learner's own where the run has no candidates."""
    names = run.stage.candidates
    if not names:
        return run.state.agents
    return chosen([_agents(run, name) for name in names], [best(belief) for belief in beliefs(run)])


def delivered(run: Run) -> list[str]:
    """The candidate of each seed that would be delivered now; empty where the run has none."""
    return [run.stage.candidates[best(belief)] for belief in beliefs(run)]


def beliefs(run: Run) -> list[Belief]:
    """What is known of the candidates, by seed."""
    if not run.stage.candidates:
        return []
    assert run.choice is not None
    return [run.choice.belief(k, run.stage.candidates) for k in range(run.config.seeds)]


def tested(run: Run) -> list[bool]:
    """Whether what would be delivered acted in enough whole target episodes, by seed; see `fallback.enough`."""
    assert run.choice is not None
    explained = run.choice.explained or [0.0] * run.config.seeds
    of_seeds = zip(run.choice.episodes, delivered(run), explained, strict=True)
    return [sum(e.who == who for e in episodes) >= enough(who, share >= SURE) for episodes, who, share in of_seeds]


def foresee(run: Run) -> None:
    """Let the candidates act in the identified simulator, where there is one: what their returns there are is the first
    that is known of them. The steps have the account of evaluations in the source."""
    if run.grounded is None or run.grounded.believed is None or not run.stage.candidates:
        return
    assert run.choice is not None
    run.choice.explained = run.grounded.believed.tolist()
    for name in run.stage.candidates:
        if name not in run.choice.simulated or name == run.choice.learning:
            run.choice.simulated[name] = simulated(run, _agents(run, name)).tolist()


def remember(run: Run) -> list[dict[str, Any]]:
    """At an evaluation of a stage that takes no target steps: keep each seed's policy that has earned most in the
    identified simulator so far. Returns what metrics.jsonl says of each seed's policy there; else nothing."""
    if run.grounded is None or run.grounded.believed is None or run.stage.budget.target:
        return []
    state, known = run.state, {} if run.choice is None else run.choice.simulated
    returns = known[run.stage.name] if run.stage.name in known else simulated(run, state.agents)
    scores = np.mean(returns, axis=1)
    said = _learned_there(run, scores)
    if state.peaks is None:
        state.peak, state.peaks = state.agents, scores.tolist()
        return said
    better = scores > state.peaks
    state.peak = chosen([state.peak, state.agents], better.astype(int).tolist())
    state.peaks = np.maximum(scores, state.peaks).tolist()
    return said


def _learned_there(run: Run, scores: np.ndarray) -> list[dict[str, Any]]:
    """What a row of each seed says of its policy's return in the identified simulator, and of the stage's steps there;
    nothing where that of some seed explains too little, or pays for another task."""
    assert run.grounded is not None and run.grounded.believed is not None and run.stage.method.ground is not None
    if run.grounded.believed.min() < run.stage.method.ground.least:
        return []
    steps = run.steps.source - (run.ledger.granted["source"] or 0) + run.stage.budget.source
    return [{"identified_steps": steps, "identified_return": float(score)} for score in scores]


def recall(run: Run) -> None:
    """At the end of such a stage: make these policies its own."""
    if run.state.peak is None:
        return
    run.state.agents = run.state.peak
    if run.choice is not None:
        run.choice.simulated.pop(run.stage.name, None)  # of the last policy


def chosen(agents: list[Any], which: list[int]) -> Any:
    """Of agents [seeds] those at the place `which` [seeds] says, [seeds]."""
    return jax.tree.map(lambda *leaves: jnp.stack([leaves[i][k] for k, i in enumerate(which)]), *agents)


def simulated(run: Run, agents: Any) -> np.ndarray:
    """Returns [seeds, episodes] in the identified simulator."""
    assert run.grounded is not None
    pay, episodes = run.ledger.payer(EVALUATION.source), run.config.loop.eval_episodes
    return evaluated(run.config, run.grounded.source, agents, episodes, pay).returns


def evaluated(config: Config, domain: Domain, agents: Any, episodes: int, pay: Callable[[int], None]) -> Evaluation:
    """Whole episodes of the agents [seeds] in a domain, their steps paid for by `pay`."""
    act = programs(config.learner, PLAIN.compensation(), config.domains.source.spaces).act
    return evaluate(
        domain, act, agents, config.seed_list, episodes, config.loop.threads, pay, config.loop.limits
    )  # fmt: skip


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
                **({"began": run.choice.began[k]} if run.choice.began else {}),
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
