"""Target steps in words, account by account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from transreward.evaluation.verdict import number


def account(learning: int, evaluation: int | None, how: str) -> str:
    """Target steps per seed, account by account; `how` is `Loop.eval_target`."""
    said = "evaluation not counted" if evaluation is None else f"{evaluation:,} evaluation"
    kind = {"simulated": "simulated", "training": "returns are those of training episodes", "none": "no returns"}[how]
    return f"{learning:,} learning, {said} ({kind})"


def estimate(found: Mapping[str, Any]) -> str:
    """What `Result.estimated` says, in words."""
    seeds = found["per_seed"]
    each = f" ({' '.join(map(number, seeds))})" if len(seeds) > 1 else ""
    return (
        f"about {number(sum(seeds) / len(seeds))}{each}, and {number(found['log'])} of the policy that took the log; "
        f"both are estimates by fitted Q, discounted by {found['discount']:g}"
    )


def of_log(found: Mapping[str, Any]) -> str:
    """What `Result.recorded` says, in words."""
    many, mean = found["episodes"], number(found["mean"])
    if many == 1:
        return f"its one episode returned {mean}"
    return f"its {many:,} episodes returned {mean} on average ({number(found['least'])} to {number(found['most'])})"


def account_of_all(spent: Sequence[tuple[int, int, int | None]], how: str) -> str:
    """The `account` of several methods over all their seeds: of each its seeds, and learning and evaluation steps per
    seed."""
    groups = Counter((seeds, learning) for seeds, learning, _ in spent if learning)
    terms = [f"{many(n, 'method')} x {many(seeds, 'seed')} x {steps:,}" for (seeds, steps), n in groups.items()]
    learning, evaluation = sum(seeds * steps for seeds, steps, _ in spent), None
    if None not in (counted := [one[2] for one in spent]):
        evaluation = sum(one[0] * steps for one, steps in zip(spent, counted, strict=True) if steps)
    # the methods share a source agent, whose evaluations stand in the account of each
    shared = "; the source agent's evaluations are counted for each method" if evaluation and len(spent) > 1 else ""
    return f"{' + '.join(terms)}{' = ' if terms else ''}{account(learning, evaluation, how)}{shared}"


def many(n: int, what: str) -> str:
    """So many of something, in words."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
