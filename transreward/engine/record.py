"""The records of a run: evaluations on raw reward and, separately, what the compensation did."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.logs.recorded import recorded
from transreward.engine.delivery import deliverable, delivered, evaluated, foresee, latest
from transreward.engine.state import Run
from transreward.evaluation.diagnostics import felt
from transreward.evaluation.fitted import fitted
from transreward.evaluation.returns import Evaluation
from transreward.plan.ledger import EVALUATION, Ledger
from transreward.request.config import Config
from transreward.types import Adjusted, Pair


def evaluation_rows(run: Run) -> list[dict[str, Any]]:
    """One row of metrics.jsonl per seed: raw returns in both domains and, separately, what the compensation did."""
    episodes = run.config.loop.eval_episodes
    foresee(run)
    agents, chosen = deliverable(run), delivered(run)
    seen = evaluate_both(run.config, agents, episodes, run.ledger)
    returns = raw_returns(run, seen, episodes)
    acted_on = adjusted_steps(run, seen, agents, episodes)
    figures = compensation_figures(run, seen, acted_on)
    moved = policy_change(run, seen.target or seen.source)
    explained, evaluation, rows = run.asked.explained, run.evaluation, []
    for i, seed in enumerate(run.config.seed_list):
        paid = figures[i].pop("gap_per_episode", None)
        rows.append(
            {
                "method": run.name,
                "phase": run.stage.phase,
                "step": sum(run.steps),
                "source_steps": run.steps.source,
                "target_steps": run.steps.target,
                "source_evaluation_steps": evaluation.source,
                "target_evaluation_steps": evaluation.target,
                "seed": seed,
                "round": run.state.rounds,
                "updates": run.state.updates,
                **({} if moved is None else {"policy_change": float(moved[i])}),
                "source_return": mean_or_none(returns.source[i]),
                "target_return": mean_or_none(returns.target[i]),
                "compensated_return": None
                if paid is None or acted_on is None
                else run.stage.method.kept * float(acted_on.returns[i].mean()) + paid,
                **figures[i],
                "source_terms": terms_of(seen.source, i),
                "target_terms": terms_of(seen.target, i),
                **({"source_tasks": found} if (found := tasks_of(seen.source, i)) else {}),
                **({"target_success": found} if (found := success_of(seen.target, i)) else {}),
                **{name: float(value[i]) for name, value in run.state.metrics.items()},
                **{name: word for taker in run.takers.values() for name, word in taker.said().items()},
                **({"delivered": chosen[i]} if chosen else {}),
                **({} if explained is None else {"grounded_explained": float(explained[i])}),
                **({"source_agent": "untrained"} if run.state.learned is False else {}),
                **(
                    {"relabelled": "exactly" if run.stage.method.gap is None else "by a model"}
                    if run.stage.method.relabels
                    else {}
                ),
                "seconds": time.perf_counter() - run.began,
            }
        )
    return rows


def mean_or_none(returns: np.ndarray) -> float | None:
    """Mean return of one seed's episodes; None without episodes."""
    return float(returns.mean()) if returns.size else None


def terms_of(seen: Evaluation | None, i: int) -> dict[str, float]:
    """Mean reward terms of one seed's evaluation; empty without one."""
    return {} if seen is None else {name: float(value[i]) for name, value in seen.terms.items()}


def tasks_of(seen: Evaluation | None, i: int) -> dict[str, float]:
    """Mean raw return of one seed's episodes in each task of a family that has several, where there was one."""
    each = {} if seen is None else seen.tasks
    return {id: float(value[i]) for id, value in each.items() if not np.isnan(value[i])}


def success_of(seen: Evaluation | None, i: int) -> dict[str, float]:
    """What the task says of one seed's evaluation beside its return."""
    return {name: per_seed[i] for name, per_seed in successes_of(seen).items()}


def policy_change(run: Run, seen: Evaluation | None) -> np.ndarray | None:
    """Root mean square change of the policy's actions since the previous evaluation, [seeds], in half-widths of the
    action box; in the states of this evaluation (the target's, if there is one). None at the first evaluation."""
    before, run.state.judged = run.state.judged, run.state.agents
    if before is None or seen is None:
        return None
    obs = seen.first_episodes_first().obs
    now, then = (np.asarray(run.programs.act(agents, obs, None)) for agents in (run.state.agents, before))
    apart = (now - then) / run.config.domains.source.spaces.half_width
    return np.sqrt(np.mean(apart**2, axis=tuple(range(1, apart.ndim))))


def adjusted_steps(run: Run, seen: Pair[Evaluation | None], agents: Any, episodes: int) -> Evaluation | None:
    """The evaluation in the domain whose steps the compensation adjusts: those of `seen`, or, where that is the source
    as it was identified, episodes there. None where nobody is evaluated there."""
    method, config = run.stage.method, run.config
    where = config.domains.source if run.grounded is None else run.grounded.walked(method.gap)
    if method.side == "target" or method.use is None or where is config.domains.source:
        return getattr(seen, method.side)
    return evaluated(config, where, agents, episodes, run.ledger.payer(EVALUATION.source))


def compensation_figures(run: Run, seen: Pair[Evaluation | None], acted_on: Evaluation | None) -> list[dict[str, Any]]:
    """Per seed, what the compensation does to the evaluated steps that it adjusts, `acted_on`; empty without any."""
    side, kept, seeds = run.stage.method.side, run.stage.method.kept, range(run.config.seeds)
    if acted_on is None:
        return [{} for _ in seeds]
    if run.stage.method.use is None:
        return [felt(acted_on, None, i) for i in seeds]
    packed = seen._replace(**{side: acted_on}).map(lambda e: (e or acted_on).first_episodes_first())
    reward, weight = getattr(
        run.programs.look(run.state.compensation, packed, run.state.agents, run.asked, run.done), side
    )
    return [felt(acted_on, Adjusted(reward[i], weight[i]), i, kept) for i in seeds]


def evaluate_both(config: Config, agents: Any, episodes: int, ledger: Ledger) -> Pair[Evaluation | None]:
    """Evaluate whole episodes in both domains, where there are simulators. Those in the target decide nothing, and
    their steps have an account of their own; those in the source define what counts as aligned."""
    return Pair(
        *(
            None if domain is None else evaluated(config, domain, agents, episodes, ledger.payer(account))
            for domain, account in zip(config.judged, EVALUATION, strict=True)
        )
    )


def raw_returns(run: Run, seen: Pair[Evaluation | None], episodes: int) -> Pair[np.ndarray]:
    """Raw returns [seeds, episodes] in both domains; in the target those of the last finished training episodes if
    `loop.eval_target` says so. No episodes if nothing is known."""
    source, target = (none_of(run.config) if e is None else e.returns for e in seen)
    if run.config.loop.eval_target == "training" and run.stage.candidates:
        target = latest(run, episodes)
    elif run.config.loop.eval_target == "training" and "target" in run.takers:
        target = run.takers["target"].latest(episodes)
    return Pair(source, target)


def none_of(config: Config) -> np.ndarray:
    """Empty returns, [seeds, 0]."""
    return np.zeros((config.seeds, 0))


class Final(NamedTuple):
    """What the evaluation of final policies found."""

    returns: Pair[np.ndarray]  # raw, [seeds, episodes] in each domain
    success: dict[str, list[float]]  # what the target's task says beside its return -> [seeds]
    in_source: dict[str, list[float]]  # what the source's says


def final(run: Run) -> Final:
    """The evaluation of a run's final policies, for the result."""
    episodes = run.config.loop.final_episodes
    seen = evaluate_both(run.config, run.state.agents, episodes, run.ledger)
    return Final(raw_returns(run, seen, episodes), successes_of(seen.target), successes_of(seen.source))


def estimated(run: Run) -> dict[str, Any]:
    """What the run's policies would earn in a target of which there is a log and no simulator, as result.json says it;
    empty elsewhere, without rewards, and where each step is an episode that was cut off, as in a log whose steps were
    shuffled: what was done next, by which the log's own policy is judged beside it, is told by none."""
    log = recorded(run.config.domains.target)
    if log is None or not log.log.rewarded or run.config.judged.target is not None:
        return {}
    if (log.log.truncated & ~log.log.terminated).all():
        return {}

    def acts(obs: np.ndarray) -> np.ndarray:
        seen = np.broadcast_to(obs.astype(np.float32), (run.config.seeds, *obs.shape))
        return np.asarray(run.programs.act(run.state.agents, seen, None))

    found = fitted(acts(log.log.obs[log.log.begins]), acts(log.log.next_obs), log.log, run.config.learner.discount)
    return {"per_seed": found.per_seed.tolist(), "log": found.log, "discount": found.discount}


def of_log(run: Run) -> dict[str, Any]:
    """What the episodes of the target's log returned, raw, as result.json says it; empty without a log or rewards."""
    log = recorded(run.config.domains.target)
    if log is None or not log.log.rewarded:
        return {}
    found = np.bincount(log.log.episode, log.log.reward)
    figures = {"mean": found.mean(), "least": found.min(), "most": found.max()}
    return {"episodes": len(found), **{name: float(x) for name, x in figures.items()}}


def successes_of(seen: Evaluation | None) -> dict[str, list[float]]:
    """What the task of an evaluation says beside its return -> [seeds]; empty without one."""
    return {} if seen is None else {name: value.tolist() for name, value in seen.success.items()}
