"""Refine: when a run has nothing more to learn."""

from __future__ import annotations

from transreward.config import Config
from transreward.domains.difference import same_task
from transreward.engine.state import Run

ALIGNED_EPISODES = 5  # finished target episodes per seed whose mean is compared with the source's return


def stop_reason(run: Run) -> str | None:
    """aligned, converged or None; judged by target episodes that the budget has paid for anyway."""
    loop, walk = run.config.loop, run.walks.target
    if walk is None or not walk.domain.reward_terms or loop.eval_target == "none":
        return None  # nothing says how well it does, or nothing is to be said of it
    recent = walk.recent_return(ALIGNED_EPISODES)
    wanted = aligned_return(run.config, run.reference)
    if wanted is not None and recent.mean() >= wanted:  # not while a seed has too few episodes: then the mean is NaN
        return "aligned"
    if loop.converged and walk.stalled(loop.converged):
        return "converged"
    return None


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
