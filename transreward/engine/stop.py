"""When a run stops before its budget is spent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from transreward.domains.difference import same_task
from transreward.engine.delivery import beliefs, tested
from transreward.engine.state import Run
from transreward.evaluation import diagnostics
from transreward.evaluation.returns import evaluate
from transreward.fallback import decided, of_source
from transreward.ground import SURE
from transreward.plan.compile import TRIAL
from transreward.plan.ledger import EVALUATION
from transreward.presets import scale
from transreward.request.config import Config

ALIGNED_EPISODES = 5  # finished target episodes per seed whose mean return is compared with the source's


def stop_reason(run: Run) -> str | None:
    """aligned, converged, decided or None; judged by target episodes that the budget has paid for anyway."""
    loop, target = run.config.loop, run.takers.get("target")
    if target is None or not target.domain.reward_terms or loop.eval_target == "none" or not run.stage.budget.target:
        return None  # its returns are not known, must not be used, or are of an earlier policy
    if run.stage.phase == TRIAL:
        return "decided" if all(map(decided, beliefs(run), tested(run))) else None
    recent = target.recent_return(ALIGNED_EPISODES)
    wanted = mark(run)
    if wanted is not None and recent.mean() >= wanted:  # NaN, and so False, while a seed has too few episodes
        if run.state.learned is None:
            run.state.learned = learned(run)
        if run.state.learned:
            return "aligned"
    if loop.converged and target.stalled(loop.converged):
        return "converged"
    return None


def learned(run: Run) -> bool:
    """True if the source agent is better than an untrained one: alignment with a random policy would mean nothing.

    Both returns are in the source. Where the robot's scale is known, it is the rule of the warning that it has not
    (`diagnostics.learned`), otherwise any improvement: episodes of the untrained agent count as evaluation there.
    """
    config, reference, source = run.config, run.reference, run.config.domains.source
    if reference is None or config.loop.target_returns:  # the user has given the scale
        return True
    if (known := scale(source.name, config.learner.name)) is not None:
        return diagnostics.learned(reference, known)
    keys = jax.vmap(jax.random.key)(jnp.asarray(config.seed_list))
    agents, _ = run.programs.init(keys)
    loop, pay = config.loop, run.ledger.payer(EVALUATION.source)
    act, episodes = run.programs.act, loop.final_episodes
    seen = evaluate(source, act, agents, config.seed_list, episodes, loop.threads, pay, loop.limits)
    return reference > float(seen.returns.mean())


def mark(run: Run) -> float | None:
    """The raw target return at which a run counts as aligned: that of `aligned_return`, unless nobody who was trained
    in the identified simulator can reach the source's return there. Then it is measured against the best of them."""
    reference, reachable = run.reference, optimum(run)
    if reference is not None and reachable is not None and not run.config.loop.target_returns:
        reference = min(reference, reachable)
    return aligned_return(run.config, reference)


def optimum(run: Run) -> float | None:
    """What the target's body can return by the identified simulator: the mean over seeds of the best that a candidate
    returned there. None where it does not explain enough, or nobody has been trained in it yet."""
    known = {} if run.choice is None else run.choice.simulated
    if run.choice is None or all(map(of_source, known)) or min(run.choice.explained, default=0.0) < SURE:
        return None
    return float(np.max([np.mean(returns, axis=1) for returns in known.values()], axis=0).mean())


def aligned_return(config: Config, reference: float | None) -> float | None:
    """The raw target return that counts as aligned with a source agent whose source return is `reference`.

    With `loop.source_returns` and `loop.target_returns`, both agents are put on one scale, 0 for random and 1 for
    trained; with the target's alone, the source agent counts as trained. With neither, raw returns are compared if the
    task is the same. None if there is nothing to compare.
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
