"""Refine: when a run has nothing more to learn."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from transreward.domains.difference import same_task
from transreward.engine.state import Run
from transreward.evaluation.returns import evaluate
from transreward.plan.ledger import EVALUATION
from transreward.presets import PRESETS
from transreward.request.config import Config

LEARNED = 0.1  # of the way from an untrained agent's return to its preset's
ALIGNED_EPISODES = 5  # finished target episodes per seed whose mean is compared with the source's return


def stop_reason(run: Run) -> str | None:
    """aligned, converged or None; judged by target episodes that the budget has paid for anyway."""
    loop, target = run.config.loop, run.takers.get("target")
    if target is None or not target.domain.reward_terms or loop.eval_target == "none":
        return None  # nothing says how well it does, or nothing is to be said of it
    recent = target.recent_return(ALIGNED_EPISODES)
    wanted = aligned_return(run.config, run.reference)
    if wanted is not None and recent.mean() >= wanted:  # not while a seed has too few episodes: then the mean is NaN
        if run.state.learned is None:
            run.state.learned = learned(run)
        if run.state.learned:
            return "aligned"
    if loop.converged and target.stalled(loop.converged):
        return "converged"
    return None


def learned(run: Run) -> bool:
    """Whether the source agent is more than the untrained one that it began as: nothing is aligned with chance.

    Both returns are the source's. Where the robot's preset is known to reach a return, a tenth of the way there is
    asked for; elsewhere any way at all. The untrained agent's episodes are counted as the source's evaluation.
    """
    config, reference, source = run.config, run.reference, run.config.domains.source
    if reference is None or config.loop.target_returns:  # the user has said what is much
        return True
    keys = jax.vmap(jax.random.key)(jnp.asarray(config.seed_list))
    agents, _ = run.programs.init(keys)
    episodes, pay = config.loop.final_episodes, run.ledger.payer(EVALUATION.source)
    seen = evaluate(source, run.programs.act, agents, config.seed_list, episodes, config.loop.threads, pay)
    untrained, chosen = float(seen.returns.mean()), PRESETS.get(source.name)
    tuned = chosen.of(config.learner.name) if chosen is not None else None
    if tuned is None or tuned.reached is None:
        return reference > untrained
    return reference - untrained > LEARNED * (tuned.reached - untrained)


def aligned_return(config: Config, reference: float | None) -> float | None:
    """The raw target return that counts as aligned with a source agent whose return there is `reference`.

    Where both domains' random and trained returns are given, both agents are put on one scale, 0 for random and 1 for
    trained; with the target's alone, the source agent counts as trained. Without them the returns themselves are
    compared, where the task is the same. None: there is nothing to judge by.
    """
    loop = config.loop
    if not loop.aligned or reference is None or not config.domains.target.reward_terms or loop.eval_target == "none":
        return None
    if loop.target_returns:
        share = 1.0
        if loop.source_returns:
            low, high = loop.source_returns
            share = (reference - low) / (high - low)
        low, high = loop.target_returns
        return low + loop.aligned * share * (high - low)
    if not same_task(config.domains.source, config.domains.target):
        return None
    return reference - (1 - loop.aligned) * abs(reference)
