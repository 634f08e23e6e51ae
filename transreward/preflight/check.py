"""The pre-flight: spaces, shift, support, detection, rewards and a verdict on a pair, before training."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from transreward.domains.across import Across
from transreward.domains.bridged import plain, view_of
from transreward.domains.changes import Change, changes
from transreward.domains.difference import (
    ShiftMeasure,
    delay,
    measure,
    one_body,
    one_row,
    relabels,
    require_fit,
    same_starts,
)
from transreward.domains.domain import Domain, Tried, invertible
from transreward.domains.files.tips import remarks
from transreward.domains.ids import domain
from transreward.domains.names import Entry, action_entries, entries
from transreward.domains.views import viewed
from transreward.identify.identification import Identification
from transreward.preflight import rewards
from transreward.preflight.about import about
from transreward.preflight.command import next_command
from transreward.preflight.detect import Detection, detect
from transreward.preflight.forecast import Forecast, forecast
from transreward.preflight.identify import Paths, Watch, target_or_logs
from transreward.preflight.physical import limits, of_recorded, physical, unshifted
from transreward.preflight.rank import Ranking, ranked, run_of_each
from transreward.preflight.rewards import TermChange
from transreward.preflight.steps import Budget, Probes, in_states, probe, require_enough
from transreward.preflight.support import answers, reach
from transreward.preflight.unlike import Unlike, unlike
from transreward.preflight.verdict import (
    THRESHOLDS,
    Coverage,
    Figures,
    Verdict,
    decide,
)
from transreward.request.resolve import Sources, bridged, count, each, require_once
from transreward.runs.source_agent import import_all
from transreward.types import AUTO, NO, Pair, RequestError

MOST_TARGET_STEPS = 2_000
MEASURED_SHARE = 8  # an eighth of the budget, at most MEASURED steps, goes to `domains.difference.measure`
MEASURED = 256


class Moved(NamedTuple):
    """How far the next state of a part or an entry differs from the source's after the same action."""

    name: str
    spreads: float  # root mean square over the steps, and over a part's entries


@dataclass(frozen=True)
class Check:
    """The result of a pre-flight."""

    domains: Pair[Domain]
    seed: int
    source_run: str | None
    target_steps: int  # taken
    source_steps: int
    shift: ShiftMeasure
    changes: list[Change]  # in the compiled model, if both are versions of one robot
    identification: Identification | str  # what differs physically; or why that cannot be said
    forecast: Forecast | None  # what the source policy would return, where there is one and both pay alike
    entries: list[Moved]  # the largest first
    parts: list[Moved]  # the same by joint, body or actuator
    starts_differ: bool
    detection: Detection
    terms: list[TermChange]
    reward_explained: float  # share of the rewards that models explain; 1 = rewards are computed
    figures: Figures
    verdict: Verdict
    seen: str | None  # id of the source in the view in which its reward agrees with the target's, if there is one
    command: str  # to run next

    @property
    def relabelling(self) -> str:
        """Whether source steps can be relabelled with the target's reward, in words."""
        if not self.figures.tasks_differ and self.figures.reward_distance:
            return "nothing to relabel: both pay alike for the steps seen, up to scale and shaping"
        if not self.figures.tasks_differ:
            return "nothing to relabel: both pay alike for the same step"
        if self.figures.relabels:
            return "exact: the target's reward for a source step is computed from the step's reward terms"
        if one_row(self.domains.source, self.domains.target):
            return "not exact: the target's reward depends on the executed action, which delay or noise hides"
        return "not exact: the target's reward for a source step has to be learned from target steps"

    @property
    def space_entries(self) -> Pair[dict[str, tuple[Entry, ...]]]:
        """Entries of the observation and the action of each domain."""
        return self.domains.map(lambda d: {"observation": entries(d), "action": action_entries(d)})

    def as_json(self) -> dict[str, Any]:
        """The object that `check --json` prints; docs/check.md says what each key is."""
        f = self.figures
        return {
            **about(self.domains, self.seed, self.source_run),
            "target_steps": self.target_steps,
            "source_steps": self.source_steps,
            "verdict": self.verdict.verdict,
            "reason": self.verdict.reason,
            "command": self.command,
            "limits": list(self.verdict.limits),
            "shift": {
                **asdict(self.shift),
                "changes": [change._asdict() for change in self.changes],
                "moved_entries": [one._asdict() for one in self.entries],
                "moved_parts": [one._asdict() for one in self.parts],
                "starts_differ": self.starts_differ,
                "noise": f.noise,
                "answer": f.answer,
                "agreement": f.agreement,
            },
            "identification": None if isinstance(self.identification, str) else self.identification.as_json(),
            "forecast": None if self.forecast is None else self.forecast._asdict(),
            "support": {
                "random": asdict(f.random),
                "policy": asdict(f.policy) if f.policy else None,
                "explained": f.explained,
            },
            "detection": asdict(self.detection),
            "rewards": {
                "distance": f.reward_distance,
                "tasks_differ": f.tasks_differ,
                "terms": [term._asdict() for term in self.terms],
                "relabelling_exact": f.relabels,
                "relabelling": self.relabelling,
                "seen": self.seen,
                "explained": self.reward_explained,
            },
            "twin": invertible(self.domains.source),
            "thresholds": asdict(THRESHOLDS),
        }


def check(
    source: Sources,
    target: Domain | str | None = None,
    *,
    logs: Paths | Sequence[Paths] | None = None,
    source_run: Paths | Sequence[Paths] | None = None,
    target_steps: int = MOST_TARGET_STEPS,
    seed: int = 0,
    imports: Sequence[str] = (),
    bridge: str = AUTO,
    watch: Watch = nullcontext,
) -> Check | Unlike | Ranking:
    """Judge a pair before training, with at most `target_steps` (at most 2,000) target steps. Several sources, as a
    list or between commas, are judged in turn, each with an equal part of the steps, and ranked.

    `source_run` is an earlier run's directory, whose source policy (its first seed's, without exploration) then acts in
    half of the walks, and in the simulator that is identified: what it would return in the target. Of several sources
    it is a run of each, in their order. Identical domains are no error here: their verdict is `same`, and no target
    step is taken if source and target are one. Where there are only `logs` of the target (see docs/logs.md), or it is
    `data:FILE`, the source's simulator with what they show stands for it, and no target step is taken. Where robots are
    unlike, or a `bridge` is named, it looks at what that joins: see `Unlike`. `imports` and `bridge`: see `transfer`;
    `watch`: see `identify`.
    Raises RequestError for a wrong request, for robots that nothing joins, and for a budget that is too small.
    """
    require_counts(target_steps, seed)
    sources = each(source)
    runs = run_of_each(len(sources), source_run)
    for run in runs:
        imports = import_all(imports, run)
    target, logs = target_or_logs(target, logs)
    if len(sources) > 1:
        require_once([domain(one).name for one in sources])
    share, how = target_steps // len(sources), (seed, imports, watch)
    if target is None:
        assert logs is not None
        if bridge not in (AUTO, NO):
            raise RequestError("logs are of a robot like the source: leave `bridge` out")
        found = [_of_logs(domain(one), logs, run, share, *how) for one, run in zip(sources, runs, strict=True)]
    else:  # all that cannot be checked is refused before the first is looked at
        pairs = [_joined(one, target, bridge) for one in sources]
        if len(sources) > 1:
            for pair in pairs:
                _require_share(pair, share, len(sources))
        found = [_of_pair(pair, run, share, *how) for pair, run in zip(pairs, runs, strict=True)]
    return found[0] if len(sources) == 1 else ranked(found, imports, logs is None, bridge)


def _of_logs(
    source: Domain,
    logs: Paths | Sequence[Paths],
    source_run: Path | None,
    target_steps: int,
    seed: int,
    imports: Sequence[str],
    watch: Watch,
) -> Check:
    """Of a source and logs of the target, for which the source's simulator stands with what they show."""
    found = of_recorded(source, logs, watch)
    one = _check(source, domain(found.id), source_run, target_steps, seed, imports, found)
    verdict = replace(one.verdict, limits=(*limits(found), *one.verdict.limits))
    return replace(one, verdict=verdict, target_steps=0, source_steps=one.source_steps + one.target_steps)


def _of_pair(
    pair: Pair[Domain], source_run: Path | None, target_steps: int, seed: int, imports: Sequence[str], watch: Watch
) -> Check | Unlike:
    """Of two domains that take steps."""
    if isinstance(pair.source, Across):
        return unlike(pair.source, source_run, target_steps, seed, imports)
    return _check(pair.source, pair.target, source_run, target_steps, seed, imports, watch=watch)


def _require_share(pair: Pair[Domain], share: int, k: int) -> None:
    """Raise RequestError if an equal part of the steps does not do for one of `k` sources."""
    if isinstance(pair.source, Across):
        return
    _, pair = asked_pair(pair)
    try:
        _measured(pair, Budget(share))
    except RequestError as error:
        raise RequestError(f"each of {k} sources gets an equal part of the steps: {error}") from None


def _joined(source: Domain | str, target: Domain | str, bridge: str) -> Pair[Domain]:
    """The pair, of which the source is across a bridge where one is named or robots are unlike. Raises RequestError
    where neither fits."""
    one = domain(source)
    pair = bridged(Pair(one, one if target == source else domain(target)), bridge)
    if not isinstance(pair.source, Across):
        require_fit(pair.source, pair.target)
    return pair


def _check(
    source: Domain,
    target: Domain,
    source_run: Path | None,
    target_steps: int,
    seed: int,
    imports: Sequence[str],
    known: Identification | None = None,
    watch: Watch = nullcontext,
) -> Check:
    """Of two domains that can be simulated. `known`: what differs, where that was found before."""
    asked, pair = asked_pair(Pair(source, target))
    act = None if source_run is None else in_states(source_run, asked.source)
    budget, body = Budget(target_steps), one_body(pair.source, pair.target)
    same = source is target
    shift, shift_source = _measure(Pair(pair.source, pair.source) if same else pair, budget, seed)
    measured = 0 if same else budget.taken
    starts_differ = not same and not same_starts(pair.source, pair.target, seed=seed)
    same = same or (not body and shift.null and not starts_differ)  # of one robot's versions states may still tell
    probes = probe(pair.source, pair.source if same else pair.target, budget, act, seed)
    detection = detect(probes.steps, probes.group, pair.source.spaces, seed)
    terms = rewards.changed_terms(probes)
    found = known or ("nothing differs" if same else physical(pair, probes, watch))
    figures = figures_of(pair, probes, shift, detection, terms, starts_differ, same)
    figures = figures if body else replace(figures, unshifted=unshifted(found))
    taken = measured if same else budget.taken
    verdict, seen = decide(figures), seen_as(asked)
    verdict = replace(verdict, limits=(*remarks(source, target), *verdict.limits))
    return Check(
        domains=asked,
        seed=seed,
        source_run=None if source_run is None else str(source_run),
        target_steps=taken,
        source_steps=shift_source + probes.source_steps + budget.taken - taken,
        shift=shift,
        changes=changes(pair.source, pair.target),
        identification=found,
        forecast=None if figures.tasks_differ else forecast(source_run, asked.source, found, figures.null, seed),
        entries=_moved_entries(pair.source, probes),
        parts=_moved_parts(pair.source, probes),
        starts_differ=starts_differ,
        detection=detection,
        terms=terms if figures.tasks_differ else [],
        reward_explained=probes.reward_explained,
        figures=figures,
        verdict=verdict,
        seen=seen,
        command=next_command(asked, verdict, source_run, seen, imports),
    )


def require_counts(target_steps: Any, seed: Any) -> None:
    """Raise RequestError for an invalid budget or seed."""
    if not isinstance(target_steps, int) or not 1 <= target_steps <= MOST_TARGET_STEPS:
        raise RequestError(
            f"target steps of a check must be a whole number from 1 to {MOST_TARGET_STEPS:,}, not {target_steps}"
        )
    count("seed", seed, 0, least=0)


def asked_pair(asked: Pair[Domain]) -> tuple[Pair[Domain], Pair[Domain]]:
    """The domains as requested, and in their own view, in which physics and rewards are compared."""
    require_fit(asked.source, asked.target)
    pair = asked.map(plain)
    if view_of(asked.target.name):
        raise RequestError(f"a check compares the target's own view: leave the view out of '{asked.target.name}'")
    return asked, pair.map(lambda d: d.untried() if isinstance(d, Tried) else d)


def seen_as(asked: Pair[Domain]) -> str | None:
    """Id of the source in the view that a transfer would choose; None if that is the requested one."""
    name = viewed(asked).source.name
    return None if name == asked.source.name else name


def _measure(pair: Pair[Domain], budget: Budget, seed: int) -> tuple[ShiftMeasure, int]:
    """`domains.difference.measure` on a part of the budget, and the source steps that it took.

    Raises RequestError, before a step is taken, if the whole budget is too small.
    """
    n = _measured(pair, budget)
    late = delay(pair.source, pair.target)
    return measure(pair.source, pair.target, n=n, seed=seed), n * (
        2 + late if one_body(pair.source, pair.target) else 1
    )


def _measured(pair: Pair[Domain], budget: Budget) -> int:
    """States in which the shift is measured; their steps are counted. Raises RequestError if they, or what they leave
    for the probes, are too few."""
    late = delay(pair.source, pair.target)
    n = min(MEASURED, budget.most // MEASURED_SHARE) // (1 + late) // 4 * 4
    budget.take(n * (1 + late))
    require_enough(pair.source, pair.target, budget)
    if n < 4:
        raise RequestError(f"`target_steps={budget.most}` is too few for a check: give {100 * (1 + late)} or more")
    return n


# -- figures -------------------------------------------------------------------------------------------------------


def figures_of(
    pair: Pair[Domain],
    probes: Probes,
    shift: ShiftMeasure,
    detection: Detection,
    terms: list[TermChange],
    starts_differ: bool,
    same: bool,
) -> Figures:
    """The verdict's inputs, from the measurements. `same`: the domains are known to be identical."""
    spaces, found = pair.source.spaces, reach(probes, pair.source.spaces)
    slopes = answers(probes, spaces)
    by_policy = probes.by_policy
    known = one_body(pair.source, pair.target)
    distance = rewards.distance(probes) if probes.reward_apart > THRESHOLDS.apart else 0.0
    return Figures(
        null=same or (shift.null and not starts_differ and not (known and terms) and _nothing(probes, known)),
        random=_coverage(probes, found, ~by_policy, slice(None)),
        policy=_coverage(probes, found, by_policy, slice(0, 1)) if by_policy.any() else None,
        noise=_noise(probes),
        answer=min(_size(s, probes) for s in slopes) / float(np.sqrt(3.0)),  # of uniform actions in [-1, 1]
        agreement=_agreement(slopes),
        auc=detection.auc,
        reward_distance=distance,
        tasks_differ=bool(terms) if known else distance > THRESHOLDS.reward,
        relabels=relabels(pair.source, pair.target),
        explained=probes.explained,
    )


def _nothing(probes: Probes, known: bool) -> bool:
    """True if the probes find no difference either. Models always differ: then `measure` alone decides."""
    if not known:
        return True
    same = [np.array_equal(x.source, x.target) for x in (probes.change, probes.reward, probes.ends)]
    return all(same)


def _coverage(probes: Probes, found: Pair[np.ndarray], states: np.ndarray, of: slice) -> Coverage:
    """Coverage at the states `states`; its gap is that of the actions `of`."""
    floor = _mean_square(probes.error, probes)
    near = THRESHOLDS.near + np.sqrt(floor) + _noise(probes)
    shares = [float((missed[states] <= near).mean()) for missed in found]
    return Coverage(float(np.sqrt(max(_apart(probes, states, of) - floor, 0.0))), shares[0], shares[1])


def _apart(probes: Probes, states: np.ndarray, of: slice) -> float:
    """Mean square difference after the same action, in spreads, without the part that noise adds: the product of the
    differences of two independent trials is free of it on average; its standard error is subtracted, too."""
    source, target = (change[states][:, of] for change in probes.change)
    if _noise(probes) == 0.0:
        return _mean_square((source - target) ** 2, probes)
    again_source, again_target = (again[states] for again in probes.again)
    products = (source - target)[:, 0] * (again_source - again_target)
    each = [_mean_square(product, probes) for product in products]
    return float(np.mean(each) - np.std(each) / np.sqrt(len(each)))


def _noise(probes: Probes) -> float:
    """Root mean square difference of a repeated step, of both domains together, in spreads."""
    variances = [(change[:, 0] - again) ** 2 / 2 for change, again in zip(probes.change, probes.again, strict=True)]
    return float(np.sqrt(sum(_mean_square(v, probes) for v in variances)))


def _mean_square(squares: np.ndarray, probes: Probes) -> float:
    """Mean of squares [..., obs] in spreads, over the entries that move."""
    moving = np.isfinite(probes.spread)
    return float((squares / probes.spread**2)[..., moving].mean()) if moving.any() else 0.0


def _size(slopes: np.ndarray, probes: Probes) -> float:
    """Root mean square effect of actions of variance 1, in spreads."""
    moving = max(int(np.isfinite(probes.spread).sum()), 1)
    return float(np.sqrt((slopes**2).sum() / len(slopes) / moving))


def _agreement(slopes: Pair[np.ndarray]) -> float:
    norms = [np.linalg.norm(s) for s in slopes]
    largest = max(norms)
    if largest == 0.0 or min(norms) < 1e-6 * largest:
        return float(largest == 0.0)
    return float((slopes.source * slopes.target).sum() / (norms[0] * norms[1]))


def _moved_entries(source: Domain, probes: Probes) -> list[Moved]:
    """Entries of the observation whose change differs, the largest difference first."""
    apart = ((probes.change.source - probes.change.target) / probes.spread) ** 2
    sizes = np.sqrt(apart.reshape(-1, apart.shape[-1]).mean(axis=0))
    found = [Moved(entry.name, float(size)) for entry, size in zip(entries(source), sizes, strict=True) if size > 1e-9]
    return sorted(found, key=lambda one: -one.spreads)


def _moved_parts(source: Domain, probes: Probes) -> list[Moved]:
    """The same by joint, body or actuator."""
    sizes = {one.name: one.spreads for one in _moved_entries(source, probes)}
    parts: dict[str, list[float]] = {}
    for entry in entries(source):
        if entry.part:
            parts.setdefault(entry.part, []).append(sizes.get(entry.name, 0.0) ** 2)
    found = [Moved(part, float(np.sqrt(np.mean(squares)))) for part, squares in parts.items() if any(squares)]
    return sorted(found, key=lambda one: -one.spreads)
