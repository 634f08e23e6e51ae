"""The pre-flight of unlike robots: what a bridge joins, what differs across it, and whether a policy gets over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transreward.bridges.bridge import Map
from transreward.domains.across import Across
from transreward.domains.changes import Change
from transreward.domains.domain import Domain, control_rate
from transreward.domains.files import inside
from transreward.evaluation.returns import evaluate
from transreward.preflight.about import about
from transreward.preflight.command import command_across, command_to_try
from transreward.preflight.steps import Budget, Overspent
from transreward.preflight.verdict import NO_HELP, Verdict
from transreward.presets import restore_learner
from transreward.runs.policy import policy_of
from transreward.runs.source_agent import SourceAgent
from transreward.streams.stream import Act
from transreward.types import UNKNOWN, Entry, Pair, RequestError

CROSS, UNCLEAR, UNTRIED = "fine-tune across", "unclear", "not tried"
VERDICTS = {  # verdict -> what to do
    CROSS: "the map carries what the source knows: let its agent cross, and learn on",
    UNCLEAR: "the map carries something, or these episodes are luck: let the agent cross, beside its controls",
    UNTRIED: "what the map carries shows only once a policy acts across it",
    NO_HELP: "the map carries no more than a wrong one: mend it, or train from scratch in the target",
}
MOST_EPISODES = 10  # of each map
APART = 0.01  # ranges that differ by less, as a share, are the same


class Tried(NamedTuple):
    """Returns in the target of the source policy across the bridge, and across the same with its parts shuffled."""

    returns: np.ndarray  # [episodes]
    shuffled: np.ndarray | None  # [episodes]; None for a bridge whose parts cannot be


@dataclass(frozen=True)
class Unlike:
    """The result of a pre-flight of unlike robots."""

    across: Across
    seed: int
    source_run: str | None
    target_steps: int  # taken
    differs: list[Change]  # units, ranges, boxes and strengths of what is joined, and the control rate
    doubts: list[tuple[str, str]]  # parts of one robot that could as well change places
    tried: Tried | None
    verdict: Verdict
    command: str  # to run next
    to_try: str | None  # the command that tries the map, where it was not

    @property
    def domains(self) -> Pair[Domain]:
        """The robots, each in its own columns."""
        return Pair(self.across.plain, self.across.other)

    def as_json(self) -> dict[str, Any]:
        """The object that `check --json` prints; docs/check.md says what each key is."""
        tried = self.tried
        return {
            **about(self.domains, self.seed, self.source_run),
            "target_steps": self.target_steps,
            "verdict": self.verdict.verdict,
            "reason": self.verdict.reason,
            "command": self.command,
            "limits": list(self.verdict.limits),
            "bridge": {
                "how": self.across.how,
                "said": self.across.said(),
                "unseen": list(self.across.unseen),
                "unshown": list(self.across.unshown),
                "differs": [change._asdict() for change in self.differs],
                "doubts": [list(parts) for parts in self.doubts],
            },
            "returns": None if tried is None else [float(x) for x in tried.returns],
            "shuffled": None if tried is None or tried.shuffled is None else [float(x) for x in tried.shuffled],
        }


def unlike(
    across: Across, source_run: str | Path | None, target_steps: int, seed: int, imports: Sequence[str] = ()
) -> Unlike:
    """Look at a bridge and, where an earlier run has a source agent, let it act in the target across it, and across the
    same with its parts shuffled. Raises RequestError for a run of another robot."""
    run, budget = None if source_run is None else Path(source_run), Budget(target_steps)
    tried = None if run is None else _tried(across, run, budget, seed)
    found, doubts = differs(across), across.doubts()
    verdict = decide(tried, (*_limits(across, doubts), *_untried(across, run, tried, target_steps)))
    return Unlike(
        across=across,
        seed=seed,
        source_run=None if run is None else str(run),
        target_steps=budget.taken,
        differs=found,
        doubts=doubts,
        tried=tried,
        verdict=verdict,
        command=command_across(across, verdict.verdict != NO_HELP, run, imports),
        to_try=None if run else command_to_try(across, imports),
    )


def decide(tried: Tried | None, limits: tuple[str, ...] = ()) -> Verdict:
    """The verdict by what was tried."""
    if tried is None:
        return Verdict(UNTRIED, "no policy of the source acted in the target", limits=limits)
    reason = f"the source policy earns {_earned(tried.returns)} across the bridge"
    if tried.shuffled is None:
        return Verdict(UNCLEAR, reason, limits=limits)
    reason = f"{reason}, and {_earned(tried.shuffled)} where its parts are shuffled"
    if tried.returns.mean() <= tried.shuffled.mean():
        return Verdict(NO_HELP, reason, limits=limits)
    return Verdict(CROSS if tried.returns.min() > tried.shuffled.max() else UNCLEAR, reason, limits=limits)


def _earned(returns: np.ndarray) -> str:
    """A mean, and where there are several their range."""
    figures = (float(returns.mean()), float(returns.min()), float(returns.max()))
    mean, least, most = (f"{x:,.0f}" if abs(x) >= 100 else f"{x:.3g}" for x in figures)
    return f"{mean} ({f'{least} to {most} in {len(returns)} episodes' if len(returns) > 1 else '1 episode'})"


# -- what is tried -------------------------------------------------------------------------------------------------


def _tried(across: Across, run: Path, budget: Budget, seed: int) -> Tried | None:
    """Whole episodes of the run's first seed, one across each map in turn; None where the budget may be too small for
    the first two. Another two follow where they are not likely to be, and are left out where they are."""
    longest = across.other.episode_steps
    if budget.left < 2 * longest:
        return None
    about = SourceAgent.about(run)
    agent = SourceAgent.load(run, across.plain, restore_learner(about["learner"]), about["seeds"])
    agent = replace(agent, replay=None)  # which would cross, too, and takes long
    wrong = shuffled(across)
    acts = [_policy(agent, one) for one in (across, *([wrong] if wrong else []))]
    earned: list[list[float]] = []
    while budget.left >= 2 * longest and len(earned) < MOST_EPISODES:
        try:
            each = [evaluate(across.other, act, None, [seed + len(earned)], 1, pay=budget.take) for act in acts]
        except Overspent:
            break
        earned.append([float(one.returns[0, 0]) for one in each])
        longest = max(int(one.lengths.max()) for one in each)
    returns = np.array(earned).T
    return Tried(returns[0], returns[1] if wrong else None)


def _policy(agent: SourceAgent, across: Across) -> Act:
    act = policy_of(agent.learner, agent.across(across).agents, 0, across.spaces.obs)
    return lambda agents, obs, noise: act(obs)


def shuffled(across: Across) -> Across | None:
    """The same with its parts shuffled; None where it has only one, or lines beside them."""
    try:
        wrong = Across(across.plain, across.other, f"shuffled({across.how})")
    except RequestError:
        return None
    moves, others = (one.crossing.there.action.matrix for one in (across, wrong))
    return None if np.array_equal(moves, others) else wrong


# -- what is said --------------------------------------------------------------------------------------------------


def differs(across: Across) -> list[Change]:
    """Units and ranges of columns that show one another, strengths and boxes of motors, and the control rate."""
    own, shown, there = across.crossing.own, across.crossing.shown, across.crossing.there
    found = [*_joined(there.obs, own.entries, shown.entries, "unit", "range")]
    found += _joined(there.action, own.action_entries, shown.action_entries, "strength", "box")
    rates = control_rate(across.plain), control_rate(across.other)
    if rates[0] != rates[1]:
        found.append(Change("control steps a second", "the robot", *(f"{x:g}" if x else "not known" for x in rates)))
    return found


def _joined(found: Map, own: Sequence[Entry], shown: Sequence[Entry], unit: str, ranges: str) -> Iterator[Change]:
    for entry, row, offset in zip(shown, found.matrix, found.fill, strict=True):
        places = np.flatnonzero(row)
        if len(places) != 1:  # a sum has no counterpart to compare with
            continue
        mine, factor = own[places[0]], row[places[0]]
        what = entry.name if entry.name == mine.name else f"{entry.name} = {mine.name}"
        if entry.unit != mine.unit and UNKNOWN not in (entry.unit, mine.unit):
            yield Change(unit, what, mine.unit, entry.unit)
        mapped, asked = np.sort([factor * mine.low + offset, factor * mine.high + offset]), (entry.low, entry.high)
        if np.isfinite([*mapped, *asked]).all() and not np.allclose(mapped, asked, rtol=APART, atol=1e-9):
            yield Change(ranges, what, _range(*mapped), _range(*asked))


def _range(low: float, high: float) -> str:
    return f"[{low:.3g}, {high:.3g}]"


def _limits(across: Across, doubts: list[tuple[str, str]]) -> Iterator[str]:
    """What is not known of the bridge."""
    act = [bool(row.any()) for row in across.crossing.there.action.matrix]
    yield from inside.said(across.plain, across.other)
    if doubts:
        pairs = ", ".join(f"{a} with {b}" for a, b in doubts)
        yield f"By place and axis these could as well change places: {pairs}. If they should, say so in a file."
    if 2 * sum(act) < len(act):
        yield f"Only {sum(act)} of {len(act)} motors of the target do as the source's: the others are at rest."
    own, other = control_rate(across.plain), control_rate(across.other)
    if own and other and own != other:
        times = f"{other / own:.3g} times as often as the source"
        yield f"The target is controlled {times}: the policy acts at a pace that it has not learned."


def _untried(across: Across, run: Path | None, tried: Tried | None, most: int) -> Iterator[str]:
    """Why the map was not tried, or not against another."""
    steps, name = 2 * across.other.episode_steps, across.other.name
    if run is None:
        yield "Name an earlier run of the source to let its policy act across the bridge, and across a wrong one."
    elif tried is None:
        yield f"Two episodes of {name} may take {steps:,} target steps, and this check {most:,}: nothing was tried."
    elif tried.shuffled is None:
        yield "The parts of this bridge cannot be shuffled, so there is no wrong map to compare with."
