"""A search over a method's settings, by Optuna, under an honest budget.

A trial is a setting. It is run on the pairs that are set aside, with `loop.eval_target=training`: no step is taken in
the target to evaluate it, and what it is judged by are the last training episodes there, which its budget has paid. The
chosen setting is then a row of its own on the other pairs. Nothing is kept but run directories and search.json: done
trials are read from there, and the next suggestion depends on them and on its number alone, so that a search that was
interrupted goes on as if it had not been, and several processes make the same one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from transreward.evaluation.verdict import number as figure
from transreward.runs import store
from transreward.runs.schema import COUNT, NUMBER, NUMBERS, TEXTS, fits
from transreward.study import folder
from transreward.study.jobs import Job, jobs_of, require_apart
from transreward.study.plan import Plan, Row, merged
from transreward.study.ranges import Choices, Range, Search
from transreward.types import BrokenRun, RequestError

FILE = "search.json"
TRAINING = {"loop.eval_target": "training"}
DIGITS = 4  # of a setting: so that it is the same on every machine, and can be typed
SUFFIX = "_searched"
# What search.json must hold, see runs/schema.py
TRIAL = {
    "number": COUNT,
    "settings": dict,
    "score": NUMBER | None,
    "returns": {str: NUMBERS},
    "steps": dict.fromkeys(("target", "evaluation", "source"), COUNT),
}
HOLDS = {"of": COUNT, "method": str, "pairs": TEXTS, "trials": [TRIAL]}


@dataclass(frozen=True)
class Trial:
    """A setting, and what it came to on the pairs set aside."""

    number: int
    settings: dict[str, Any]  # empty: the method as it is
    score: float | None  # None: a job of it failed
    returns: dict[str, list[float]]  # by pair, of the last training episodes in the target, per seed
    steps: dict[str, int]  # over all seeds and pairs: target, evaluation, source


def require_optuna() -> Any:
    """Optuna. Raises RequestError if it is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optuna: Any = import_module("optuna")
    except ImportError:
        raise RequestError("a search needs Optuna: pip install 'transreward[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def require_same(out: Path, plan: Plan, first: Sequence[Job]) -> None:
    """Raise RequestError if the directory holds another search, also one whose `first` trial is of other runs: what was
    suggested after their returns says nothing of these."""
    if not (out / FILE).exists():
        return
    held = store.read_json(out / FILE)
    asked, runs = held.get("asked"), held.get("runs", runs_of(first))
    other = not isinstance(asked, dict) or {**asked, "trials": 0} != {**(plan.search or {}), "trials": 0}
    if other or runs != runs_of(first):
        raise RequestError(f"{out / FILE} is of another search than the plan's: name another directory")


def runs_of(jobs: Sequence[Job]) -> list[str]:
    """The names of their directories, which say all that they are asked for."""
    return [job.place.name for job in jobs]


def trial_jobs(plan: Plan, search: Search, settings: dict[str, Any], out: Path) -> list[Job]:
    """The jobs of a trial, source agents included. Raises RequestError where the method does not take a setting."""
    asked = merged(search.row.asked, {"settings": {**settings, **TRAINING}})
    row = replace(search.row, asked=asked, pairs=("*",))
    pairs = tuple(pair for pair in plan.pairs if pair.name in search.pairs)
    methods = tuple(row if one == search.row else one for one in plan.methods)
    return jobs_of(replace(plan, pairs=pairs, methods=methods), out, row)


def reported(plan: Plan, search: Search, settings: dict[str, Any], out: Path) -> list[Job]:
    """The jobs on the pairs that are reported on: the plan's methods and, where settings were chosen, the method with
    these as another row, but where they are those of a row of the plan. Raises RequestError."""
    pairs = tuple(pair for pair in plan.pairs if pair.name not in search.pairs)
    rest = replace(plan, pairs=pairs, methods=tuple(_with_pairs(plan.methods, pairs)))
    jobs = jobs_of(rest, out)
    if settings:
        asked = merged(search.row.asked, {"settings": settings})
        row = replace(search.row, name=search.row.name + SUFFIX, asked=asked)
        there = {job.place for job in jobs}
        chosen = jobs_of(replace(rest, methods=(*rest.methods, row)), out, row)
        jobs += [job for job in chosen if job.place not in there]
        require_apart(jobs)
    return jobs


def _with_pairs(methods: Sequence[Row], pairs: Sequence[Row]) -> list[Row]:
    left = Plan(tuple(pairs), (), {}, ())
    return [row for row in methods if any(row in replace(left, methods=(row,)).methods_on(pair) for pair in pairs)]


def checked(plan: Plan, search: Search, out: Path) -> list[Job]:
    """The jobs of the first trial, after the ends of every range were tried on paper, on all pairs: what is chosen is
    run on the others. Raises RequestError."""
    for path, values in search.settings.items():
        for value in values.ends:
            trial_jobs(plan, search, {path: value}, out)
            reported(plan, search, {path: value}, out)
    return trial_jobs(plan, search, {}, out)


def searched(
    plan: Plan, search: Search, out: Path, run: Callable[[str, Sequence[Job]], dict[Path, str]]
) -> tuple[list[Trial], Trial]:
    """All trials, and the best. `run` gets a title and jobs, and returns directory -> why its job failed.

    Raises BrokenRun if the method as it is cannot be run, and what `run` raises.
    """
    optuna, known = require_optuna(), read(out)
    trials: list[Trial] = []
    counted: set[Path] = set()
    about = {"optuna": optuna.__version__, "asked": plan.search, "runs": runs_of(trial_jobs(plan, search, {}, out))}
    for number in range(search.trials):
        settings = known[number].settings if number < len(known) else suggested(optuna, search, trials, number)
        jobs, why = tried(plan, search, settings, out)
        failed = run(f"trial {number} of {search.trials}: {in_words(settings)}{why and f', refused: {why}'}", jobs)
        first = trials[0] if trials else None
        trials.append(found(number, settings, jobs, failed, first, counted))
        if trials[0].score is None:
            why = next(iter(failed.values()), "no training episode ended in the target")
            raise BrokenRun(f"{search.row.name} as it is cannot be scored on the pairs set aside for the search: {why}")
        write(out, search, trials, about)
    return trials, best(trials)


def tried(plan: Plan, search: Search, settings: dict[str, Any], out: Path) -> tuple[list[Job], str]:
    """The jobs of a trial; none, and why, where its values do not go together, or one between the ends of a range is
    not taken: that is known of no setting before it is suggested, and another may be better."""
    try:
        jobs = trial_jobs(plan, search, settings, out)
        reported(plan, search, settings, out)
    except RequestError as error:
        if not settings:
            raise
        return [], str(error)
    return jobs, ""


def best(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest score, the earlier of equal ones."""
    return max((one for one in trials if one.score is not None), key=lambda one: (one.score, -one.number))


def in_words(settings: dict[str, Any]) -> str:
    """Settings as they are typed."""
    return " ".join(f"{path}={value}" for path, value in settings.items()) or "the method as it is"


def suggested(optuna: Any, search: Search, trials: Sequence[Trial], number: int) -> dict[str, Any]:
    """The settings of a trial: the method's own first, then those of Optuna's TPE sampler (Bergstra et al. 2011)."""
    if number == 0:
        return {}
    kinds = {path: _distribution(optuna, values) for path, values in search.settings.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(seed=(search.seed * 100_003 + number) % 2**32)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for one in trials:
            if one.settings and one.score is not None:
                told = {"params": one.settings, "distributions": kinds, "value": one.score}
                study.add_trial(optuna.trial.create_trial(**told))
        asked = study.ask(kinds).params
    return {path: _rounded(asked[path], values) for path, values in search.settings.items()}


def _distribution(optuna: Any, values: Range | Choices) -> Any:
    if isinstance(values, Choices):
        return optuna.distributions.CategoricalDistribution(values.ends)
    kind = optuna.distributions.IntDistribution if values.whole else optuna.distributions.FloatDistribution
    return kind(values.low, values.high, log=values.log)


def _rounded(value: Any, values: Range | Choices) -> Any:
    if isinstance(values, Choices) or values.whole:
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), values.low), values.high)


def found(
    number: int, settings: dict[str, Any], jobs: Sequence[Job], failed: dict[Path, str], first: Trial | None,
    counted: set[Path],
) -> Trial:  # fmt: skip
    """A trial that has ended. Steps are counted with the first trial that takes them: others start from the same source
    agent, or are of the same settings."""
    steps: dict[str, int] = {"target": 0, "evaluation": 0, "source": 0}
    returns: dict[str, list[float]] = {}
    for job in jobs:
        if not job.done:
            continue
        result, seeds = store.read_json(job.place / "result.json"), job.request["seeds"]
        if job.method:
            own = result["target_return"]
            returns[job.pair] = own["per_seed"] if own else []
        if job.place not in counted:
            counted.add(job.place)
            before = store.read_json(job.agent.place / "result.json")["source_steps"] if job.agent else 0
            steps["target"] += result["target_steps"] * seeds if job.method else 0
            steps["evaluation"] += result.get("target_evaluation_steps", 0) * seeds
            steps["source"] += max(result["source_steps"] - before, 0) * seeds
    whole = jobs and not failed and all(returns.get(job.pair) for job in jobs if job.method)
    score = None
    if whole:
        score = gain(returns, first.returns if first else returns)
    return Trial(number, settings, score, returns, steps)


def gain(returns: dict[str, list[float]], first: dict[str, list[float]]) -> float:
    """The mean over pairs of (r - d) / (|r| + |d|), for mean returns r and those d of the method as it is: 0 for these,
    from -1 to 1, whatever the scale of a pair's rewards."""
    each = []
    for pair, own in returns.items():
        r, d = float(np.mean(own)), float(np.mean(first[pair]))
        each.append((r - d) / (abs(r) + abs(d)) if r != d else 0.0)
    return float(np.mean(each))


# -- search.json ---------------------------------------------------------------------------------------------------


def write(out: Path, search: Search, trials: Sequence[Trial], more: dict[str, Any]) -> None:
    """What was tried so far, what it cost, and what is best. Later trials that are there stay: they were suggested
    before an earlier one was run again, or by a process that is further."""
    trials = [*trials, *read(out)[len(trials) : search.trials]]
    text = {
        "schema": store.SCHEMA, "method": search.row.name, "pairs": list(search.pairs), "of": search.trials,
        **more, "steps": spent(trials), "best": best(trials).number, "trials": [asdict(one) for one in trials],
    }  # fmt: skip
    folder.put(out / FILE, store.json_text(text))


def spent(trials: Sequence[Trial]) -> dict[str, int]:
    """All steps of a search, over trials, pairs and seeds."""
    return {name: sum(one.steps[name] for one in trials) for name in ("target", "evaluation", "source")}


def read(out: Path) -> list[Trial]:
    """The trials in search.json; none if there is no such file. Raises RequestError if it is damaged."""
    if not (out / FILE).exists():
        return []
    found = store.read_json(out / FILE)
    if not fits(found, HOLDS) or (found["trials"] and found["trials"][0]["score"] is None):  # the method as it is
        raise RequestError(f"{out / FILE} is damaged: remove it, and the search begins again from its runs")
    return [Trial(**{name: one[name] for name in TRIAL}) for one in found["trials"]]


def about(out: Path) -> dict[str, Any] | None:
    """What a report says of a search, or None: a sentence, and a row for each trial."""
    trials = read(out)
    if not trials:
        return None
    text, steps, top = store.read_json(out / FILE), spent(trials), best(trials)
    gained = f" (gain {top.score:+.2f} over the method as it is)" if top.number else ""
    said = (
        f"search: {len(trials)} of {text['of']} trials of {text['method']} on {', '.join(text['pairs'])}, judged by "
        f"training episodes: {steps['target']:,} target steps, {steps['evaluation']:,} of evaluation, "
        f"{steps['source']:,} source steps; best is trial {top.number}, {in_words(top.settings)}{gained}"
    )
    rows = [
        {
            "trial": f"{one.number}{' (best)' if one is top else ''}",
            "settings": in_words(one.settings),
            "gain": "failed" if one.score is None else figure(one.score, True),
            **{f"return, {pair}": f"{np.mean(own):,.1f}" if own else "-" for pair, own in one.returns.items()},
            "target steps": f"{one.steps['target']:,}",
            "source steps": f"{one.steps['source']:,}",
        }
        for one in trials
    ]
    return {"said": said, "heads": list(rows[0]), "rows": rows}
