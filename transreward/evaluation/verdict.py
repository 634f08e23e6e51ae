"""Did the transfer help? One sentence, which claims no more than the intervals over seeds support.

Where nothing differs, at most 5% of the sentences claim a difference, however many controls or methods they speak of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from transreward.evaluation.statistics import Difference, difference, joint
from transreward.types import CONTROLS, ZERO_SHOT

LEAST = 3  # seeds below which nothing is claimed: with two the variance has one degree of freedom
ENOUGH = 5  # seeds below which the sentence says how few they are
AS_WELL = "The unchanged source policy already does as well, and costs no target steps"
NO_LESS = "The unchanged source policy returned no less, and costs no target steps"
ALIKE = 0.05  # of a control's return: a difference that is certainly smaller does not matter


@dataclass(frozen=True)
class Outcome:
    """What a method reached in the target, in raw returns, and what it cost: per seed, the steps that it learned from
    and those of its evaluations, which no budget pays."""

    name: str
    per_seed: np.ndarray  # [seeds], of the final policies; [0]: not evaluated
    seeds: tuple[int, ...]
    target_steps: int
    budget: int  # of target steps
    stopped: str = "budget"
    agent: str | None = None  # which source agent it starts from; None = trained from scratch
    breaks_budget: bool = False
    finished: bool = True
    evaluation_steps: int | None = 0  # in the target; None: nobody counted
    eval_target: str = "simulated"  # `Loop.eval_target`: what the returns are those of
    judge: str = ""  # the simulator that stands for the target where policies are evaluated; "" = the target itself

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN before the first evaluation."""
        return float(np.mean(self.per_seed)) if len(self.per_seed) else float("nan")

    def over(self, other: Outcome, level: float = 0.95) -> Difference:
        """Its return minus the other's: seed by seed where the seeds share a source agent, else Welch's."""
        paired = self.agent is not None and self.agent == other.agent and self.seeds == other.seeds
        return difference(self.per_seed, other.per_seed, paired, level)


Kind = Literal[
    "helped", "partly", "beaten", "hurt", "same", "unknown", "too_few", "no_controls", "unfinished", "not_evaluated",
    "ceiling",
]  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """`kind`: helped (certainly more than every control), partly (than some), beaten (a control returns certainly
    more), hurt (zero_shot does)."""

    kind: Kind
    sentence: str
    differences: dict[str, Difference] = field(default_factory=dict)  # to each control that was run

    @property
    def over_the_source(self) -> bool:
        """Whether it certainly returned more than the unchanged source policy, or nobody ran that."""
        return ZERO_SHOT not in self.differences or certain(self.differences[ZERO_SHOT]) > 0


def verdict(one: Outcome, controls: Sequence[Outcome], together: int = 1) -> Verdict:
    """Whether a method helped, compared with the `controls` of its run.

    `together`: how many methods are judged side by side; their sentences then hold jointly.
    """
    if one.breaks_budget:
        return Verdict("ceiling", f"{one.name} is a ceiling and no transfer: it breaks the target budget.")
    if not one.finished:
        return _unfinished(one)
    if not len(one.per_seed):
        each = " for every seed" if len(one.seeds) > 1 else ""
        ended = f"no training episode of the policy that learns, and of it alone, ended there{each}"
        why = ended if one.eval_target == "training" else "as was asked for"
        text = f"No verdict, since {one.name} was not evaluated in the target ({why}): it took {_cost(one)}."
        return Verdict("not_evaluated", text)
    run = [c for c in controls if c.name != one.name and not c.breaks_budget and c.finished]
    others = [c for c in run if len(c.per_seed)]
    got = f"{one.name} returned {_returned(one)}"
    if not others:
        return Verdict(
            "no_controls",
            f"No verdict, since no control was {'evaluated' if run else 'run'}: {got}; without {','.join(CONTROLS)} "
            f"nobody can say how much of it is due to the transfer.",
        )
    found = _tested(one, others, together)
    seeds = min(len(x.per_seed) for x in (one, *others))
    unsure = seeds < LEAST or not any(map(certain, found.values()))
    sure = "95% confidence" + (f" for all {together} methods together" if together > 1 else "")
    if unsure and seeds >= LEAST:
        each = {c.name: one.over(c, joint(together)) for c in others}  # all must hold: no correction
        if all(bound(each[c.name]) <= ALIKE * abs(c.mean) for c in others):
            return Verdict("same", _alike(got, each, sure) + _caution(seeds), each)
    if unsure and any(c.name == ZERO_SHOT and np.array_equal(one.per_seed, c.per_seed) for c in others):
        return Verdict("same", f"{AS_WELL}: {got}, and {ZERO_SHOT} the same for every seed.", found)
    if seeds < LEAST:
        compared = _list([f"{c.name} {number(c.mean)}" for c in others])
        few = "One seed cannot" if seeds == 1 else f"{seeds} seeds cannot"
        text = f"{few} tell whether the transfer helped: {got}, compared with {compared}; run {ENOUGH} seeds or more."
        return Verdict("too_few", text, found)
    if unsure:
        return Verdict("unknown", _unknown(got, found, seeds) + _caution(seeds), found)
    kind, text = _judge(got, found, sure, _equal(others, found))
    return Verdict(kind, text + _caution(seeds), found)


def _tested(one: Outcome, others: Sequence[Outcome], together: int) -> dict[str, Difference]:
    """The differences to n controls, with intervals at the level at which they may be claimed.

    Hochberg's step-up procedure (1988): if all n are certain at 95% all are claimed, else if n - 1 are at 1 - 0.05 / 2,
    and so on; one alone has to be certain at 1 - 0.05 / n.
    """
    found: dict[str, Difference] = {}
    for k in range(1, len(others) + 1):
        found = {c.name: one.over(c, joint(k * together)) for c in others}
        if sum(map(abs, map(certain, found.values()))) > len(others) - k:
            break
    return found


def _equal(others: Sequence[Outcome], found: dict[str, Difference]) -> list[str]:
    """Those from which it certainly differs by nothing that matters."""
    return [c.name for c in others if not certain(found[c.name]) and bound(found[c.name]) <= ALIKE * abs(c.mean)]


def _judge(got: str, found: dict[str, Difference], sure: str, equal: Sequence[str] = ()) -> tuple[Kind, str]:
    """The kind of a verdict that claims something, and its sentence without the full stop. More seeds would not tell
    it apart from the `equal`."""
    more = [name for name, d in found.items() if certain(d) > 0]
    less = [name for name, d in found.items() if certain(d) < 0]
    open_ = [name for name in found if name not in (*more, *less, *equal)]
    if less:
        head = "hurt, since the source policy does better unchanged" if ZERO_SHOT in less else "did not pay"
        kind = "hurt" if ZERO_SHOT in less else "beaten"
        rest = _rest(found, more=more, open_=open_, equal=equal)
        return kind, f"At {sure} the transfer {head}: {got}, less than {_amounts(found, less)}{rest}"
    if not open_ and not equal:
        return "helped", f"At {sure} the transfer helped: {got}, more than {_amounts(found, more)}"
    if ZERO_SHOT in open_ and found[ZERO_SHOT]["mean"] <= 0:
        rest = _rest(found, more=[], open_=open_, equal=equal)
        head = f"{NO_LESS}; at {sure} the transfer beat {_list(more)} alone"
        return "unknown", f"{head}: {got}, more than {_amounts(found, more)}{rest}"
    head = f"At {sure} the transfer beat {_list(more)}"
    head += f", but not certainly {_list(open_, 'or')}" if open_ else ""
    if equal:
        costs = {ZERO_SHOT: f"{ZERO_SHOT}, which costs no target steps"}
        named = _list(sorted((costs.get(name, name) for name in equal), key=lambda name: name.startswith(ZERO_SHOT)))
        head += f", {'and' if open_ else 'but'} made no difference that matters to {named}"
    rest = _rest(found, more=[], open_=open_, equal=[])
    return "partly", f"{head}: {got}, more than {_amounts(found, more)}{rest}"


def _alike(got: str, found: dict[str, Difference], sure: str) -> str:
    head = "The transfer made no difference that matters"
    if ZERO_SHOT in found:
        head += " compared with the unchanged source policy, which costs no target steps"
    amounts = _list([f"{name} ({_interval(d)})" for name, d in found.items()])
    return f"{head}: {got}, at {sure} within {ALIKE:.0%} of {amounts}"


def _unknown(got: str, found: dict[str, Difference], seeds: int) -> str:
    if ZERO_SHOT in found and found[ZERO_SHOT]["mean"] <= 0:
        return f"{NO_LESS}; {seeds} seeds do not tell them apart: {got}, compared with {_amounts(found, list(found))}"
    head = f"{seeds} seeds do not tell whether the transfer helped"
    return f"{head}: {got}, and none of its differences is certain: {_amounts(found, list(found))}"


def _unfinished(one: Outcome) -> Verdict:
    seen = f"its latest evaluation returned {number(one.mean)}" if len(one.per_seed) else "nothing was evaluated"
    cost = f"{one.target_steps:,} of {one.budget:,} target steps a seed"
    return Verdict("unfinished", f"No verdict, since the run was cut short: {one.name} took {cost}, and {seen}.")


def best(outcomes: Sequence[Outcome]) -> str:
    """Which of several methods returned most within the budget, and over which of the others that is certain.

    Which one leads is known only afterwards, so its leads have the intervals of `pairwise`, which hold jointly.
    """
    fair = [x for x in outcomes if not x.breaks_budget and x.finished and len(x.per_seed)]
    if len(fair) < 2:
        return "Nothing to compare: fewer than two methods ended within the target budget and were evaluated there."
    first = max(fair, key=lambda x: x.mean)
    seeds = min(len(x.per_seed) for x in fair)
    head = f"Highest mean of {len(fair)} methods: {first.name}, {_returned(first)}"
    if seeds < LEAST:
        few = "one seed" if seeds == 1 else f"{seeds} seeds"
        return f"{head}; {few} cannot tell whether any method is better than another."
    pairs, level = pairwise(outcomes)
    leads = {x.name: first.over(x, level) for x in fair if x is not first}
    more = [name for name, lead in leads.items() if certain(lead) > 0]
    equal = _equal([x for x in fair if x is not first], leads)
    rest = [name for name in leads if name not in (*more, *equal)]
    together = f" for all {pairs} pairs together" if pairs > 1 else ""
    sure = f"; at 95% confidence{together} it beats {_amounts(leads, more)}" if more else ""
    sure += f"; {_list(equal)} returned the same, within {ALIKE:.0%}" if equal else ""
    if not rest:
        return f"{head}{sure}{_caution(seeds)}"
    unsure = f"its lead over {_amounts(leads, rest)} is not certain"
    return f"{head}{sure}{', while ' if more else '; '}{unsure}{_caution(seeds)}"


def pairwise(outcomes: Sequence[Outcome]) -> tuple[int, float]:
    """Number of pairs of methods that were evaluated, and the level at which all their intervals hold jointly."""
    pairs = math.comb(sum(len(x.per_seed) > 0 for x in outcomes), 2)
    return pairs, joint(pairs)


def certain(d: Difference) -> int:
    """Sign of a difference that its interval settles: 1 where it lies above 0, -1 below, else 0."""
    if d["interval"] is None:
        return 0
    return int(d["interval"][0] > 0) - int(d["interval"][1] < 0)


def bound(d: Difference) -> float:
    """Largest absolute difference inside the interval."""
    return max(map(abs, d["interval"])) if d["interval"] else float("inf")


def number(x: float, signed: bool = False) -> str:
    """A return or a reward, with three figures or so; a true minus sign."""
    if 0 < abs(x) < 1e-3:
        return f"{x:{'+' if signed else ''}.1e}".replace("-", "\N{MINUS SIGN}")
    digits = 0 if abs(x) >= 100 or x == 0 else 1 if abs(x) >= 10 else 2 if abs(x) >= 0.1 else 4
    x = round(x, digits) + 0.0  # no minus zero
    return f"{x:{'+' if signed else ''},.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _rest(found: dict[str, Difference], more: list[str], open_: list[str], equal: Sequence[str]) -> str:
    parts = [f"though more than {_amounts(found, more)}"] if more else []
    parts += [f"while the difference to {_amounts(found, open_)} is not certain"] if open_ else []
    parts += [f"while it is certainly within {ALIKE:.0%} of {_list(list(equal))}"] if equal else []
    return "".join(f", {part}" for part in parts)


def _amounts(found: dict[str, Difference], names: list[str]) -> str:
    return _list([f"{name} (by {number(found[name]['mean'], True)}, {_interval(found[name])})" for name in names])


def _interval(d: Difference) -> str:
    low, high = d["interval"] or (float("nan"), float("nan"))
    return f"{percent(d['level'])} interval {number(low, True)} to {number(high, True)}"


def percent(level: float) -> str:
    """A level of confidence: 95%, 98.33%."""
    return f"{100 * level:.4g}%"


def _returned(one: Outcome) -> str:
    """Return, where it was evaluated, and its cost in steps."""
    where = "in its last training episodes in the target" if one.eval_target == "training" else "in the target"
    where = f"in {one.judge}" if one.judge else where
    return f"{number(one.mean)} {where} after {_cost(one)}"


def _cost(one: Outcome) -> str:
    evaluated = f" (and {one.evaluation_steps:,} to evaluate)" if one.evaluation_steps else ""
    if one.stopped == "budget" or not one.target_steps:
        return f"{one.target_steps:,} target steps a seed{evaluated}"
    return f"{one.target_steps:,} of {one.budget:,} target steps a seed{evaluated}, where it stopped ({one.stopped})"


def _caution(seeds: int) -> str:
    return "." if seeds >= ENOUGH else f" ({seeds} seeds; {ENOUGH} or more are safer)."


def _list(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
