"""The main job: a request in, a result out."""

from __future__ import annotations

import shlex
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.asked import require_answered
from transreward.domains.domain import Domain, Kept
from transreward.domains.files.tips import remarks
from transreward.domains.several import joined
from transreward.domains.users import begun_in, located, made_in
from transreward.engine.checkpoint import settle
from transreward.engine.converted import converted
from transreward.engine.stages import execute
from transreward.engine.state import Progress, Watch
from transreward.interruption import undone
from transreward.plan.compile import EARLIER, compile
from transreward.plan.streams import repaid
from transreward.presets import restore_learner
from transreward.progress import shown
from transreward.replay import in_order
from transreward.request.config import Config
from transreward.request.fields import FIELDS
from transreward.request.learner import for_method, require_source_run, trained_in
from transreward.request.resolve import Sources, resolve, unmapped
from transreward.runs import store
from transreward.runs.comparison import Comparison
from transreward.runs.places import SESSION, STATE, goes_on, request_of
from transreward.runs.result import Result, load
from transreward.runs.sinks import Log
from transreward.runs.source_agent import SourceAgent
from transreward.types import AUTO, DEFAULT_METHOD, BrokenRun, RequestError

OVER = {  # why a run stopped before its target steps were spent -> what that means for more of them
    "aligned": "it does as well as the source agent in the source; run it anew with `loop.aligned=0` to go on",
    "converged": "its returns rose no more; run it anew with `loop.converged=0` to go on",
    "decided": "its candidates were told apart: from the steps that are left nobody would learn; run it anew with "
    "more `target_steps`, of which the learner gets its share",
}
__all__ = ["Progress", "Watch", "resume", "transfer"]


def transfer(
    source: Sources,
    target: Domain | str,
    method: str = DEFAULT_METHOD,
    *,
    learner: Any = None,
    source_steps: int | None = None,
    target_steps: int | None = None,
    seeds: int = 3,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    controls: Sequence[str] = (),
    source_run: str | Path | None = None,
    bridge: str = AUTO,
    evaluate: Domain | str | None = None,
    cotrain: bool = False,
    fresh: bool = False,
    out: str | Path | None = None,
    log: Sequence[str] = (),
    imports: Sequence[str] = (),
    watch: Watch | None = None,
) -> Result:
    """Move a skill from `source` to `target`. Budgets are steps per seed and are never exceeded.

    `source` may be several, as a list or between commas: an agent is trained in each, with `source_steps` of its own,
    and whose policy opens an episode, whose the method goes on from and who is delivered is decided seed by seed.

    `learner` is a name, settings made by `tr.learner`, or None for the source robot's preset. `settings` are paths such
    as {"use.strength": 0.5}. `controls` run beside the method from the same source agent. `source_run` is an earlier
    run's directory, whose source agent is taken up instead of training one; its steps count as taken.
    `bridge` names the map: between unlike robots one such as named, kinematic, clone(named) or a file of yours, and of
    one robot a view, such as mirrored. auto takes named where columns differ, and the view in which the source is paid
    most like the target where tasks do; none takes neither.
    `evaluate` is a simulated robot in which policies are evaluated where the target is a log, or a machine: what
    returns in the target are then those of.
    A source agent of robots of the table that was trained on this machine before, for the same settings, is taken up,
    to the same bits, unless `fresh`.
    With `cotrain` an agent learns in each source beside the target's, each compensated by the others' steps; they are
    the result's `partners`. `log` names rows of `runs.sinks.SINKS`, such as tensorboard, to which evaluations go too.
    `imports` names modules whose rows (robots, gaps, methods, learners) the request uses; they stand in config.json, so
    that the run is opened with them.
    Raises RequestError for a wrong request, before anything is written; BrokenRun where a number stopped being finite.
    """
    config = planned(
        source, target, method, learner=learner, source_steps=source_steps, target_steps=target_steps, seeds=seeds,
        seed=seed, settings=settings, controls=controls, source_run=source_run, bridge=bridge, evaluate=evaluate,
        cotrain=cotrain, fresh=fresh, imports=imports,
    )  # fmt: skip
    return carry_out(config, requested(config, learner, settings or {}, log), out, log, watch)


def planned(
    source: Sources,
    target: Domain | str,
    method: str = DEFAULT_METHOD,
    *,
    out: str | Path | None = None,
    log: Sequence[str] = (),
    fresh: bool = False,
    settings: dict[str, Any] | None = None,
    controls: Sequence[str] = (),
    imports: Sequence[str] = (),
    **request: Any,
) -> Config:
    """The checked request of a `transfer` with these arguments, of which nothing is run."""
    asked: dict[str, Any] = dict.fromkeys(("learner", "source_steps", "target_steps", "source_run"))
    asked |= {"seeds": 3, "seed": 0, "cotrain": False, **request}
    found = resolve(
        source, target, method, settings=settings or {}, controls=tuple(controls), imports=tuple(imports), **asked
    )
    return replace(found, fresh=fresh)


def carry_out(
    config: Config,
    request: dict[str, Any],
    out: str | Path | None,
    log: Sequence[str],
    watch: Watch | None,
    again: bool = False,
) -> Result:
    """The method and its controls; `again`: in a directory that they were begun in."""
    require_answered(config.domains.target)
    for sentence in remarks(*config.sources, config.domains.target):
        warnings.warn(sentence, stacklevel=3)
    title = f"{joined(one.name for one in config.sources)} -> {config.domains.target.name}"
    with one_target(config), shown(title, watch) as view:
        return all_methods(config, out, log, view, request, again)


def requested(
    config: Config, learner: Any, settings: dict[str, Any], log: Sequence[str], compared: Sequence[str] = ()
) -> dict[str, Any]:
    """The arguments of `transfer` as JSON keeps them, to ask for the same again, and the methods that `compare` was
    asked for, in its table's order."""
    if learner is not None and not isinstance(learner, str):
        learner = {"name": learner.name, **asdict(learner)}
    return {
        "source": joined(one.name for one in config.sources),
        "target": config.domains.target.name,
        "method": config.method.name,
        "learner": learner,
        "source_steps": config.source_steps,
        "target_steps": config.target_steps,
        "seeds": config.seeds,
        "seed": config.seed,
        "settings": unmapped(settings, config.loop.symmetry),  # a `bridge` is in the source's id, none is not
        "controls": [row.name for row in config.controls],
        "source_run": None if config.source_run is None else str(config.source_run),
        "evaluate": None if config.evaluate is None else config.evaluate.name,
        "cotrain": config.cotrain,
        "imports": list(config.imports),
        "log": list(log),
        "compared": list(compared),
        "begun_in": made_in(),
    }


def resume(directory: str | Path, *, target_steps: int | None = None, watch: Watch | None = None) -> Result:
    """Go on with a run that was interrupted, from its last checkpoint: to the same bits as the run never interrupted,
    where the domains' state can be put back. Elsewhere new episodes begin, and those that were cut stay counted.

    A run that is finished is loaded; one that spent its budget goes on with more `target_steps` per seed than it was
    asked for, as a run of so many whose `loop.horizon` is the first budget. Source steps go on at their pace.
    Raises RequestError for a directory without a checkpoint, for a run that goes on in another process, and for one
    that cannot go on.
    """
    store.confined(directory := Path(directory))
    finished, file = (directory / "result.json").exists(), request_of(directory, STATE)
    if not finished and (directory / SESSION).is_dir():
        raise RequestError(f"{directory} holds a session, whose robot has to be answered: {goes_on(directory)}")
    if finished and target_steps is None:
        return load(directory)
    told = store.read_json(directory / "config.json")
    if not file.exists():
        whole = directory.resolve().parent.parent
        if directory.resolve().parent.name == "controls" and request_of(whole, STATE).exists():
            raise RequestError(f"{directory} is a control, which goes on with its run: resume {whole}")
        raise RequestError(
            f"the run in {directory} kept no state to go on from (loop.keep_state): run it anew with more steps"
            if finished
            else f"the run in {directory} was cut short before its first checkpoint: remove it, and run it anew"
        )
    request = store.read_json(file)
    if target_steps is not None:
        request = with_more(directory, told, request, target_steps)
    with begun_in(request.get("begun_in")):
        config, request = asked_in(file, request)
        return carry_out(config, request, directory, request["log"], watch, again=True)


def asked_in(file: Path, request: dict[str, Any]) -> tuple[Config, dict[str, Any]]:
    """The request that a file of a run directory holds, checked, and as JSON keeps it. Raises RequestError."""
    request = {key: value for key, value in request.items() if key != "begun_in"}
    learner, log = request.pop("learner"), request.pop("log")
    learner = restore_learner(learner) if isinstance(learner, dict) else learner
    names = [request.pop(name) for name in ("source", "target", "method")]
    if request["source_run"] is not None:
        request["source_run"] = str(located(request["source_run"]))
    controls, settings, compared = tuple(request.pop("controls")), request.pop("settings"), request.pop("compared", [])
    if unknown := set(request) - set(FIELDS):
        raise RequestError(f"{file} is damaged: it asks for '{min(unknown)}'")
    config = resolve(*names, learner=learner, controls=controls, settings=settings, **request)
    return config, requested(config, learner, settings, log, compared)


def with_more(directory: Path, told: dict[str, Any], request: dict[str, Any], target_steps: int) -> dict[str, Any]:
    """The request of a run with more target steps, beyond its first budget. Raises RequestError where it stopped
    before that was spent, or where they are not more."""
    if isinstance(target_steps, bool) or not isinstance(target_steps, int) or target_steps <= told["target_steps"]:
        raise RequestError(
            f"the run in {directory} is of {told['target_steps']:,} target steps: `target_steps` must be more, not "
            f"{target_steps}"
        )
    if why := over(directory):
        raise RequestError(f"the run in {directory} {why}")
    horizon = told["loop"].get("horizon") or told["target_steps"]
    settings = {**request["settings"], "loop.horizon": horizon}
    return {**request, "target_steps": target_steps, "settings": settings}


def over(directory: Path) -> str:
    """Why a finished run does not go on with more target steps, and what to do in its place; empty where it does."""
    if not (directory / "result.json").exists():
        return ""
    if (directory / SESSION).is_dir():
        return "has a robot that asks, whose steps were granted as it began; open another session with `source_run`"
    if store.read_json(directory / "config.json").get("cotrain"):
        return "trained from both sides, each agent on a budget of its own; run it anew with more `target_steps`"
    stopped = store.read_json(directory / "result.json")["stopped"]
    return f"stopped early, since {OVER[stopped]}" if stopped in OVER else ""


def reopen(directory: Path, request: dict[str, Any]) -> None:
    """Make a directory that of a run which is not over, from here on to be gone on with as `request` says."""
    for name in ("result.json", "comparison.json"):
        for path in (directory / name, *directory.rglob(name)):
            path.unlink(missing_ok=True)
    store.write_json(request_of(directory, STATE), request)


@contextmanager
def one_target(config: Config) -> Iterator[None]:
    """Within it a target that is not simulated has one environment for each of its robots, made once and used
    throughout. They are closed at the end, also where the command is interrupted: a robot would go on with its last
    command."""
    target = config.domains.target
    if config.simulates_target or not isinstance(target, Kept):
        yield
        return
    with target.kept(), undone(target.close):
        yield


def earlier(config: Config) -> SourceAgent | None:
    """The source agent of an earlier run that a request takes up, if it does.

    Raises RequestError for one of another domain, of other seeds or networks, or one that leaves no steps.
    """
    if config.source_run is None or not config.needs_source_agent:
        return None
    require_source_run(config)
    agent = SourceAgent.load(config.source_run, *trained_in(config), config.seed_list)
    require_stored_terms(config, agent)
    return agent


def all_methods(
    config: Config, out: str | Path | None, log: Sequence[str], watch: Watch, request: dict[str, Any], again: bool
) -> Result:
    """See `carry_out`."""
    directory, provenance = Path(out) if out is not None else None, store.provenance()
    sinks, agents = Log(log, directory), {}
    if (agent := earlier(config)) is not None:
        assert config.source_run is not None
        agents[EARLIER] = agent if config.converted is None else converted(config, agent)
        if (config.source_run / store.ADOPTED).exists():
            provenance["source_policy"] = store.read_json(config.source_run / store.ADOPTED)
    plan = compile(config, agents[EARLIER].steps if agents else None)
    place = nullcontext() if directory is None else store.locked(directory) if again else store.claimed(directory)
    with place, going_on(directory), sinks.closing():
        if directory is not None:
            if again:
                reopen(directory, request)
                provenance |= store.begun_by(directory)
            else:
                store.write_json(directory / "provenance.json", provenance)
            store.write_json(directory / "config.json", for_method(config, config.method).as_json(config.method))
        result = execute(config, plan, agents, directory, sinks.beside(watch), request)
        result.provenance = provenance
        if directory is not None:
            result.write(directory)
            if request["compared"]:
                compared(result, request["compared"]).write(directory)
            if config.loop.keep_state and (directory / STATE).exists():
                settle(directory)
            else:
                shutil.rmtree(directory / STATE, ignore_errors=True)
    return result


def compared(result: Result, names: Iterable[str]) -> Comparison:
    """A method and its controls as a table of `names`, in this order."""
    results = {result.method: result, **result.controls}
    return Comparison({name: results[name] for name in names})


@contextmanager
def going_on(directory: Path | None) -> Iterator[None]:
    """Within it a run that breaks, also because its directory cannot be written to, says whether `resume` goes on.

    Raises BrokenRun where the disk gives out, RequestError where nothing may be written.
    """

    def said(error: Exception) -> Exception:
        if directory is not None and request_of(directory, STATE).exists():
            error.add_note(f"'transreward resume {shlex.quote(str(directory))}' goes on from its last round")
        return error

    try:
        yield
    except BrokenRun as error:
        said(error)
        raise
    except OSError as error:
        found = store.unwritten(directory or Path(), error)
        for note in vars(error).get("__notes__", ()):
            found.add_note(note)
        raise said(found) from error


def require_stored_terms(config: Config, agent: SourceAgent) -> None:
    """Raise RequestError where the terms of an earlier run's steps are needed, which stored none."""
    rows = (config.method, *config.controls)
    wanting = [row.name for row in rows if repaid(row) or row.needs("terms")]
    if wanting and agent.replay is not None and np.isnan(in_order(agent.replay).terms).any():
        raise RequestError(
            f"the steps of the source run {config.source_run} were stored without their reward terms, which "
            f"'{wanting[0]}' needs: leave `source_run` out"
        )
