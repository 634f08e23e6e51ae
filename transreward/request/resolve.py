"""From a request to a `Config` with all settings, with every check that takes no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from numbers import Integral
from pathlib import Path
from typing import Any

from transreward.bridges import is_view
from transreward.bridges.match import NAMED, named
from transreward.domains.across import Across, Described
from transreward.domains.difference import ShiftMeasure, fits, require_difference, require_fit
from transreward.domains.domain import Domain
from transreward.domains.history import history_of, with_history
from transreward.domains.ids import domain
from transreward.domains.logs.recorded import Recorded, logged, pair, recorded
from transreward.domains.several import apart
from transreward.domains.views import seen, viewed
from transreward.learners.learner import Learner
from transreward.learners.offline import Offline
from transreward.methods import Method, method
from transreward.presets import DEFAULT_STEPS, source_budget
from transreward.request.budgets import MOST, require_rounds
from transreward.request.config import Config
from transreward.request.learner import converted, learner_of, require_tuned, tell_unused
from transreward.request.loop import Loop
from transreward.request.rules import (
    fitting,
    in_simulator,
    of_logs,
    require_cotrain,
    require_effect,
    require_fallback,
    require_family,
    require_ground,
    require_learner,
    require_log,
    require_one_body,
    require_recorded,
    require_rewards,
    require_several,
    require_simulated,
    require_source_log,
    sharing,
    together,
    with_terms,
    without_a_model,
)
from transreward.request.settings import apply_settings, settings_of, typed, with_settings
from transreward.request.told import require_tasks, settled
from transreward.row import SECTIONS
from transreward.runs.source_agent import SourceAgent, import_all
from transreward.types import AUTO, NO, Pair, RequestError

Sources = Domain | str | Sequence[Domain | str]  # one, or several, which a text has between commas

MAPS = ", and where names do not tell which parts are alike `bridge` says it (kinematic, or a map of your own)"


def resolve(
    source: Sources,
    target: Domain | str,
    method_name: str,
    *,
    learner: Any,
    source_steps: int | None,
    target_steps: int | None,
    seeds: int,
    seed: int,
    settings: dict[str, Any],
    controls: tuple[str, ...],
    source_run: str | Path | None,
    bridge: str = AUTO,
    evaluate: Domain | str | None = None,
    cotrain: bool = False,
    imports: Sequence[str] | str = (),
) -> Config:
    """Check a whole request; the arguments are those of `transfer`. Raises RequestError, one line that says what is
    wrong."""
    imports = import_all(imports, source_run)
    for name in (method_name, *controls):  # an unknown name is reported before domains are made
        method(str(name))
    judge = None if evaluate is None else domain(evaluate)
    settings = unmapped(settings, bridge)
    domains, shift, others = pairs_of(source, target, settings, bridge, judge)
    if others and source_run is not None:
        raise RequestError("several sources train an agent each: leave `source_run` out, or name its source alone")
    return resolved(
        domains, shift, method_name, others=others, learner=learner, source_steps=source_steps,
        target_steps=target_steps, seeds=seeds, seed=seed, settings=settings, controls=controls, source_run=source_run,
        evaluate=judge, cotrain=cotrain, imports=imports,
    )  # fmt: skip


def resolved(
    pair: Pair[Domain],
    shift: ShiftMeasure | None,
    method_name: str,
    *,
    learner: Any,
    source_steps: int | None,
    target_steps: int | None,
    seeds: int,
    seed: int,
    settings: dict[str, Any],
    controls: tuple[str, ...] = (),
    source_run: str | Path | None = None,
    evaluate: Domain | None = None,
    cotrain: bool = False,
    imports: tuple[str, ...] = (),
    others: tuple[Domain, ...] = (),
) -> Config:
    """`resolve` for a pair, and `others` as further sources, that were already made and measured."""
    require_judge(pair, evaluate, settings)
    rows = [method(str(name)) for name in dict.fromkeys((method_name, *controls))]
    if (log := recorded(pair.target)) is not None:
        settings, target_steps = of_a_log(log, rows, settings, target_steps)
    rows = [without_a_model(r, pair) for r in rows]
    if cotrain:
        rows[0] = together(rows[0], source_run)
    taken_over = converted(learner := learner_of(learner, pair.source, source_run, rows), source_run)
    rows = [of_logs(fitting(r, pair, learner), pair) for r in rows]
    all_rows, learner, loop = with_all_settings(rows, learner, settings)
    target_steps = count("target steps", target_steps, DEFAULT_STEPS.target)
    usual = usual_budget(learner, pair.source, all_rows, taken_over, source_run)
    row, *control_rows = (sharing(in_simulator(r, target_steps, settings), pair) for r in all_rows)
    config = Config(
        domains=pair,
        method=with_terms(row, pair),
        controls=tuple(with_terms(r, pair) for r in control_rows),
        learner=learner,
        loop=loop,
        source_steps=count("source steps", source_steps, usual),
        target_steps=target_steps,
        seeds=count("seeds", seeds, seeds),
        seed=count("seed", seed, seed, least=0),
        source_run=Path(source_run) if source_run else None,
        converted=taken_over,
        chosen=frozenset(settings),
        **{"shift": shift, "evaluate": evaluate, "cotrain": cotrain, "imports": imports, "others": others},
    )
    config = settled(config)
    require_all(config)
    return config


def usual_budget(
    learner: Learner,
    source: Domain,
    rows: Sequence[Method],
    taken_over: Learner | None,
    source_run: str | Path | None,
) -> int:
    """Source steps of a request that names none: of a log all. Where no method goes on in the source, those of the
    agent that is taken up, which is not trained on then."""
    if (log := recorded(source)) is not None:
        return len(log.log)
    taken = 0 if source_run is None else SourceAgent.about(Path(source_run))["steps"]
    if taken_over is not None:  # whose training is none of its own
        return source_budget(learner, source) + taken
    ends = not any(row.walks or row.replayed for row in rows)
    return taken if taken and ends else source_budget(learner, source)


def pairs_of(
    source: Sources, target: Domain | str, settings: dict[str, Any], bridge: str = AUTO, like: Domain | None = None
) -> tuple[Pair[Domain], ShiftMeasure | None, tuple[Domain, ...]]:
    """`pair_of` of the first source that needs no bridge, or of the first; then the other sources, each in the target's
    columns. Raises RequestError also for a source that is named twice, and for a log among several."""
    made = [pair_of(one, target, settings, bridge, like) for one in each(source)]
    sources = [found.source for found, _ in made]
    require_once([one.name for one in sources])
    for one in sources if len(sources) > 1 else ():
        if recorded(one) is not None:
            raise RequestError(f"'{one.name}' is a log, in which no policy was trained that could act: name it alone")
    first = leading(sources)
    return (*made[first], tuple(one for i, one in enumerate(sources) if i != first))


def leading(sources: Sequence[Domain]) -> int:
    """Which of several sources leads: the first that needs no bridge, else the first."""
    return next((i for i, one in enumerate(sources) if not isinstance(one, Across)), 0)


def each(source: Sources) -> Sequence[Domain | str]:
    """The sources, one by one. Raises RequestError if there is none."""
    several = isinstance(source, (list, tuple))
    asked: Any = apart(source) if isinstance(source, str) else source if several else [source]
    if not asked:
        raise RequestError("name a source: the list of sources is empty")
    return asked


def require_once(names: Sequence[str], among: str = "sources") -> None:
    """Raise RequestError for a source, or a target, that is named twice."""
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RequestError(f"'{twice}' is named twice among the {among}: leave one of them out")


def pair_of(
    source: Domain | str,
    target: Domain | str,
    settings: dict[str, Any],
    bridge: str = AUTO,
    like: Domain | None = None,
) -> tuple[Pair[Domain], ShiftMeasure | None]:
    """The domains of a request, the source across the bridge or in the view that `viewed` chooses, and the measure of
    the shift; None if the target is not simulated, where the measure would take steps, or an unlike robot. Logs of both
    are of a robot `like` that one."""
    sent = typed("loop.history", settings.get("loop.history", Loop.history), int)
    made: Pair[Domain] = pair(source, target, like).map(lambda d: remembering(d, sent))
    made = bridged(made, bridge)
    require_fit(made.source, made.target, MAPS)
    shift = None
    if not any(logged(made)) and settings.get("loop.eval_target", Loop.eval_target) == Loop.eval_target:
        if not isinstance(made.source, Across):  # whose body is another, whatever a step of it does
            shift = require_difference(made.source, made.target)
    elif made.source.name == made.target.name:
        raise RequestError(f"source and target are the same: '{made.source.name}'")
    as_it_is = settings.get("loop.symmetry", Loop.symmetry) == "none"
    return made if as_it_is else viewed(made), shift


def remembering(one: Domain, sent: int) -> Domain:
    """The domain with its last commanded actions among its columns. What is across a bridge to a robot that shows them
    has that one's columns, and so these already. Raises RequestError for another number of them."""
    if isinstance(one, Across) and history_of(one.other):
        with_history(one.other, sent)
        return one
    return with_history(one, sent)


def unmapped(settings: dict[str, Any], bridge: str) -> dict[str, Any]:
    """The settings; where no bridge is wanted, no symmetry is chosen either, before the run or within it."""
    return {"loop.symmetry": NO, **settings} if bridge == NO else settings


def bridged(pair: Pair[Domain], how: str) -> Pair[Domain]:
    """The pair, with the source across the bridge `how` to a target of other columns, or in the view that it is;
    unchanged if it is "none", or if it is "auto" and the columns are the same. Raises RequestError for a bridge that
    does not lead there."""
    if how == NO or isinstance(pair.source, Across) or (how == AUTO and fits(pair.source, pair.target)):
        return pair
    for one, is_log in zip(pair, logged(pair), strict=True):
        if is_log:
            raise RequestError(f"'{one.name}' is a log of a robot like the other: leave `bridge` out")
    if is_view(how):
        return seen(pair, how)
    sent, sides = pair.map(history_of), pair.map(Described)
    if how == AUTO and (sent.source != sent.target or not named(sides.source, sides.target)):
        return pair  # which is refused as such
    return pair._replace(source=Across(pair.source, pair.target, NAMED if how == AUTO else how))


def require_judge(domains: Pair[Domain], judge: Domain | None, settings: dict[str, Any]) -> None:
    """Raise RequestError for a simulator that could not stand for the target, or that nobody needs."""
    if judge is None:
        return
    if recorded(domains.target) is None and settings.get("loop.eval_target", Loop.eval_target) == Loop.eval_target:
        raise RequestError(
            f"`evaluate` is for a target that is not simulated, and '{domains.target.name}' is: leave it out, or say "
            f"that it is none by `loop.eval_target=none`"
        )
    require_fit(domains.target, judge)


def of_a_log(
    log: Recorded, rows: Sequence[Method], settings: dict[str, Any], target_steps: int | None
) -> tuple[dict[str, Any], int]:
    """Settings and target steps where the target is a log: all of its steps, or the first `target_steps`, are what is
    learned from, or what the simulator is identified from, and nothing is evaluated there. Raises RequestError for
    other settings."""
    told = typed("ground.steps", settings["ground.steps"], int) if "ground.steps" in settings else None
    steps = count("target steps", target_steps, told or len(log.log))
    require_log(log, settings, steps)
    for i, row in enumerate(rows):
        if row.simulated.ground is not None:
            settings = {**settings, f"{'' if i == 0 else f'{row.name}.'}ground.steps": steps}
    return {"loop.eval_target": "none", **settings}, steps


def with_all_settings(
    rows: list[Method], learner: Learner, settings: dict[str, Any]
) -> tuple[list[Method], Learner, Loop]:
    """Methods, learner and loop with their settings. Settings without a method's name belong to the first method."""
    first, named = rows[0], {r.name: settings_of(r, settings) for r in rows}
    shared = {path: value for path, value in settings.items() if not path.startswith(tuple(f"{n}." for n in named))}
    sections = {"learner": learner, "loop": Loop(), **{name: getattr(first, name) for name in SECTIONS}}
    sections = apply_settings(sections, shared, first)
    first = replace(first, **{name: sections[name] for name in SECTIONS})
    others = [in_its_family(first, alike_offline(first, r)) for r in rows[1:]]
    return [with_settings(r, named[r.name]) for r in (first, *others)], sections["learner"], sections["loop"]


def alike_offline(first: Method, row: Method) -> Method:
    """The row; where it learns offline as the first one does, with that one's networks, batches and updates."""
    if first.offline is None or row.offline is None:
        return row
    shared = {f.name: getattr(first.offline, f.name) for f in fields(Offline)}
    return replace(row, offline=replace(row.offline, **shared))


def in_its_family(first: Method, row: Method) -> Method:
    """The row; where it is trained over a family of robots as the first one is, over that one's."""
    if first.randomise is None or row.randomise is None:
        return row
    return replace(row, randomise=replace(row.randomise, ranges=first.randomise.ranges))


def require_all(config: Config) -> None:
    """Raise RequestError for the first rule that the request breaks; warn of what has no effect."""
    if config.cotrain:
        require_cotrain(config)
    require_simulated(config)
    require_seeds(config)
    require_source_log(config)
    require_recorded(config)
    require_tuned(config)
    require_several(config)
    require_fallback(config)
    for row in (config.method, *config.controls):
        row.compensation()  # checks its settings
        require_effect(row)
        require_one_body(row, config)
        require_family(row, config)
        require_tasks(config, row)
        require_ground(row, config)
        require_rewards(row, config.domains)
        require_learner(row, config.learner, config.domains.source)
    if config.loop.horizon > config.target_steps:
        raise RequestError(
            f"loop.horizon={config.loop.horizon} is more than {config.target_steps} target steps: lower it, or raise "
            f"`target_steps`"
        )
    require_rounds(config.at_horizon)
    tell_unused(config)


def require_seeds(config: Config) -> None:
    """Raise RequestError for more seeds than there are variants of a domain in which each seed has its own."""
    if config.seeds > 1:
        from transreward.domains.varied import require_variants  # which need MuJoCo, as few requests do

        for one in (*config.sources, config.domains.target, config.evaluate):
            if one is not None and recorded(one) is None:
                require_variants(one, config.seeds)


def count(what: str, value: Any, default: int, least: int = 1) -> int:
    value = default if value is None else value
    whole = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if whole is None or whole < least:
        raise RequestError(f"{what} must be a whole number of at least {least}, not {value!r}")
    if whole > MOST:
        raise RequestError(f"{what} must be at most {MOST:,}, not {whole:,}")
    return whole
