"""Did the transfer help? One sentence, which claims no more than the intervals over seeds support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from transreward.evaluation.statistics import Difference, difference
from transreward.types import CONTROLS

LEAST = 3  # seeds below which nothing is claimed: an interval of two stands on a spread with one degree of freedom
ENOUGH = 5  # seeds below which the sentence says how few they are
ALONE, JOINT = "95% interval", "joint interval"  # how an interval of one difference, or of several, is called
ALIKE = 0.05  # of a control's return: a difference that is surely smaller makes no difference


@dataclass(frozen=True)
class Outcome:
    """What a method came to in the target. Returns are raw, steps per seed and really taken."""

    name: str
    per_seed: np.ndarray  # [seeds], of the final policies
    seeds: tuple[int, ...]
    target_steps: int
    budget: int  # of target steps
    stopped: str = "budget"
    agent: str | None = None  # which source agent it starts from; None = from nothing
    breaks_budget: bool = False
    finished: bool = True

    @property
    def mean(self) -> float:
        """Over seeds; NaN where nothing was evaluated yet."""
        return float(np.mean(self.per_seed)) if len(self.per_seed) else float("nan")

    def over(self, other: Outcome, level: float = 0.95) -> Difference:
        """By how much it returns more: seed by seed where the seeds share a source agent, else Welch's."""
        paired = self.agent is not None and self.agent == other.agent and self.seeds == other.seeds
        return difference(self.per_seed, other.per_seed, paired, level)


@dataclass(frozen=True)
class Verdict:
    """`kind`: helped (surely more than every control), partly (than some), beaten (one returns surely more), hurt
    (zero_shot does), same, unknown, too_few, no_controls, unfinished, ceiling."""

    kind: str
    sentence: str
    differences: dict[str, Difference] = field(default_factory=dict)  # to each control that was run


def verdict(one: Outcome, controls: Sequence[Outcome]) -> Verdict:
    """What a run says about its method, held against the `controls` that were run beside it."""
    if one.breaks_budget:
        return Verdict("ceiling", f"{one.name} is a ceiling and no transfer: it breaks the target budget.")
    if not one.finished:
        return _unfinished(one)
    others = [c for c in controls if c.name != one.name and not c.breaks_budget and c.finished]
    got = f"{one.name} returned {number(one.mean)} in the target after {_cost(one)}"
    if not others:
        return Verdict(
            "no_controls",
            f"No verdict, since no control was run beside it: {got}; without {','.join(CONTROLS)} nobody "
            f"can say what of it is the transfer's.",
        )
    found = {c.name: one.over(c) for c in others}
    seeds = min(len(x.per_seed) for x in (one, *others))
    if seeds < LEAST:
        beside = _list([f"{c.name} {number(c.mean)}" for c in others])
        few = "One seed cannot" if seeds == 1 else f"{seeds} seeds cannot"
        text = f"{few} tell whether the transfer helped: {got}, beside {beside}; run {ENOUGH} seeds or more."
        return Verdict("too_few", text, found)
    kind, text = _judge(got, others, found, seeds)
    return Verdict(kind, text + _caution(seeds), found)


def _judge(got: str, others: list[Outcome], found: dict[str, Difference], seeds: int) -> tuple[str, str]:
    """The kind of a verdict, and its sentence without the full stop."""
    more = [name for name, d in found.items() if certain(d) > 0]
    less = [name for name, d in found.items() if certain(d) < 0]
    open_ = [name for name in found if name not in (*more, *less)]
    alike = [c.name for c in others if c.name in open_ and bound(found[c.name]) <= ALIKE * abs(c.mean)]
    if less:
        head = "hurt, since the source policy as it is does better" if "zero_shot" in less else "did not pay"
        kind = "hurt" if "zero_shot" in less else "beaten"
        rest = _rest(found, more=more, open_=open_)
        return kind, f"At 95% confidence the transfer {head}: {got}, less than {_amounts(found, less)}{rest}"
    if more and not open_:
        return "helped", f"At 95% confidence the transfer helped: {got}, more than {_amounts(found, more)}"
    if more:
        head = f"At 95% confidence the transfer helped beside {_list(more)}, but not surely beside {_list(open_)}"
        return "partly", f"{head}: {got}, more than {_amounts(found, more)}{_rest(found, more=[], open_=open_)}"
    if len(alike) == len(found):
        sure = _list([f"{name} ({_interval(found[name])})" for name in alike])
        head = "The transfer made no difference that matters"
        if "zero_shot" in alike:
            head += " beside the source policy as it is, which costs no target steps"
        return "same", f"{head}: {got}, at 95% confidence within {ALIKE:.0%} of {sure}"
    if "zero_shot" in found and found["zero_shot"]["mean"] <= 0:
        head = "The source policy as it is returned no less, and costs no target steps"
        return "unknown", f"{head}; {seeds} seeds do not tell them apart: {got}, beside {_amounts(found, open_)}"
    head = f"{seeds} seeds do not tell whether the transfer helped"
    return "unknown", f"{head}: {got}, and none of its differences is certain: {_amounts(found, open_)}"


def _unfinished(one: Outcome) -> Verdict:
    seen = f"its latest evaluation returned {number(one.mean)}" if len(one.per_seed) else "nothing was evaluated"
    cost = f"{one.target_steps:,} of {one.budget:,} target steps a seed"
    return Verdict("unfinished", f"No verdict, since the run was cut short: {one.name} took {cost}, and {seen}.")


def best(outcomes: Sequence[Outcome]) -> str:
    """Which of several methods returned most within the budget, and over which of the others that is certain.

    The leader is chosen by the same returns, so its leads are held to intervals that hold all together (Bonferroni).
    """
    fair = [x for x in outcomes if not x.breaks_budget and x.finished and len(x.per_seed)]
    if len(fair) < 2:
        return "Nothing to compare: fewer than two methods ended within the target budget."
    first = max(fair, key=lambda x: x.mean)
    others = [x for x in fair if x is not first]
    seeds = min(len(x.per_seed) for x in fair)
    head = f"Highest mean of {len(fair)} methods: {first.name}, {number(first.mean)} in the target after {_cost(first)}"
    if seeds < LEAST:
        few = "one seed" if seeds == 1 else f"{seeds} seeds"
        return f"{head}; {few} cannot tell whether any method is better than another."
    leads = {x.name: first.over(x, 1 - 0.05 / len(others)) for x in others}
    more = [name for name, lead in leads.items() if certain(lead) > 0]
    rest = [name for name in leads if name not in more]
    sure = f"; at 95% confidence for all together it beats {_amounts(leads, more, JOINT)}" if more else ""
    if not rest:
        return f"{head}{sure}{_caution(seeds)}"
    unsure = f"its lead over {_amounts(leads, rest, JOINT)} is not certain"
    return f"{head}{sure}{', while ' if more else '; '}{unsure}{_caution(seeds)}"


def certain(d: Difference) -> int:
    """Sign of a difference that its interval settles: 1 where it lies above 0, -1 below, else 0."""
    if d["ci95"] is None:
        return 0
    return int(d["ci95"][0] > 0) - int(d["ci95"][1] < 0)


def bound(d: Difference) -> float:
    """The largest difference, of either sign, that the interval leaves open."""
    return max(map(abs, d["ci95"])) if d["ci95"] else float("inf")


def number(x: float, signed: bool = False) -> str:
    """A return or a reward, with three figures or so; a true minus sign."""
    if 0 < abs(x) < 1e-3:
        return f"{x:{'+' if signed else ''}.1e}".replace("-", "\N{MINUS SIGN}")
    digits = 0 if abs(x) >= 100 or x == 0 else 1 if abs(x) >= 10 else 2 if abs(x) >= 0.1 else 4
    x = round(x, digits) + 0.0  # no minus zero
    return f"{x:{'+' if signed else ''},.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _rest(found: dict[str, Difference], more: list[str], open_: list[str]) -> str:
    parts = [f"though more than {_amounts(found, more)}"] if more else []
    parts += [f"while the difference to {_amounts(found, open_)} is not certain"] if open_ else []
    return "".join(f", {part}" for part in parts)


def _amounts(found: dict[str, Difference], names: list[str], kind: str = ALONE) -> str:
    return _list([f"{name} (by {number(found[name]['mean'], True)}, {_interval(found[name], kind)})" for name in names])


def _interval(d: Difference, kind: str = ALONE) -> str:
    low, high = d["ci95"] or (float("nan"), float("nan"))
    return f"{kind} {number(low, True)} to {number(high, True)}"


def _cost(one: Outcome) -> str:
    if one.stopped == "budget" or not one.target_steps:
        return f"{one.target_steps:,} target steps a seed"
    return f"{one.target_steps:,} of {one.budget:,} target steps a seed, where it stopped ({one.stopped})"


def _caution(seeds: int) -> str:
    return "." if seeds >= ENOUGH else f" ({seeds} seeds; {ENOUGH} or more are safer)."


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
