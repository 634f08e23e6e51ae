"""The jobs of a study: the request of each, its run directory, and its state."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from transreward.domains.across import Across
from transreward.domains.bridged import plain_id
from transreward.domains.difference import ShiftMeasure
from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.domains.several import apart
from transreward.domains.users import import_modules
from transreward.methods import method as named
from transreward.presets import preset
from transreward.reports.repeat import typed
from transreward.request.budgets import pretrain_steps, require_steps_left
from transreward.request.config import Config
from transreward.request.learner import need_replay, require_source_run
from transreward.request.resolve import leading, pairs_of, resolved, unmapped
from transreward.row import SECTIONS, Method
from transreward.runs.places import STATE, request_of
from transreward.study.plan import Plan, Row
from transreward.types import AUTO, CONTROLS, Pair, RequestError
from transreward.workers import attempt

UNCHANGED = CONTROLS[0]  # the control that only trains a source agent
AGENTS, RUNS, LOGS, CLAIMS = "agents", "runs", "logs", "claims"  # below a study's directory
# Settings that a source agent's training reads, beside learner.*
OF_AGENTS = (
    "loop.source_evaluations", "loop.eval_episodes", "loop.eval_target", "loop.threads", "loop.history",
    "loop.diverged", "loop.patience",
)  # fmt: skip
OF_PAIRS = ("loop.eval_target", "loop.symmetry", "loop.history")  # on which making and measuring a pair depends
LONGEST = 80  # characters of a directory's name before its hash
OPTIONS = ("learner", "source_steps", "target_steps", "seeds", "seed", "bridge", "evaluate")


@dataclass(frozen=True)
class Job:
    """One command, and the run directory that it fills."""

    pair: str  # its name in the plan
    method: str  # its name in the plan; empty for a source agent
    request: dict[str, Any] = field(hash=False)  # arguments of `transfer` without `source_run` and `out`
    place: Path  # its run directory
    agent: Job | None = None  # the job that trains its source agent
    known: tuple[Job, ...] = ()  # jobs of earlier targets, whose findings it starts from

    @property
    def name(self) -> str:
        """Its name in messages and tables."""
        return f"{self.pair}, {self.method}" if self.method else f"source agent {self.place.name}"

    @property
    def done(self) -> bool:
        """True if its run is finished."""
        return (self.place / "result.json").exists()

    @property
    def resumes(self) -> bool:
        """True if its run was stopped and has a checkpoint."""
        return self.checkpoint.exists()

    @property
    def checkpoint(self) -> Path:
        """The file without which its run cannot be resumed."""
        return request_of(self.place, STATE)

    @property
    def log(self) -> Path:
        """The file with the output of its latest command; if that failed, the last line is `exit` and its code."""
        return self.place.parent.parent / LOGS / f"{self.place.name}.txt"

    @property
    def failure(self) -> str:
        """The last line of its latest command's output if it failed, else empty."""
        return "" if self.done else attempt.failure(self.log)

    @property
    def identifies(self) -> bool:
        """True if its method asks what differs physically."""
        ground = named(self.request["method"]).ground
        return ground is not None and ground.physics

    @property
    def before(self) -> tuple[Job, ...]:
        """The jobs that have to end before it begins."""
        return self.known if self.agent is None else (self.agent, *self.known)

    def command(self, known: Iterable[Job] | None = None) -> list[str]:
        """The arguments of `transreward` that run it from the beginning, and from what all jobs that it knows, or these
        of them, have found."""
        r, run = self.request, self.request.get("source_run")
        words = ["transfer", r["source"], r["target"], "--method", r["method"], "--controls", "none"]
        for option in OPTIONS:
            words += [f"--{option.replace('_', '-')}", str(r[option])] if r.get(option) is not None else []
        words += ["--source-run", str(self.agent.place if self.agent else run)] if self.agent or run else []
        words += ["--cotrain"] if r.get("cotrain") else []
        words += [word for name in r.get("imports", ()) for word in ("--import", name)]
        words += ["--out", str(self.place), "--no-video"]
        settings = [f"{path}={typed(value)}" for path, value in r["settings"].items()]
        found = ",".join(str(job.place) for job in (self.known if known is None else known))
        settings += [f"ground.known={found}"] if found else []
        return [*words, "--set", *settings] if settings else words


def jobs_of(plan: Plan, out: Path, of: Row | None = None) -> list[Job]:
    """All jobs of a plan, each source agent before the first job that starts from it. Checks the whole plan; or those
    `of` one method, with the learner and the source that it has beside the plan's others.

    Raises RequestError for the first cell that is not valid.
    """
    import_modules(plan.imports)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = _all_cells(plan, out, of)
    for text in dict.fromkeys(str(warning.message) for warning in said):  # once, and not for every cell
        warnings.warn(text, stacklevel=2)
    require_apart(found)
    return found


def _all_cells(plan: Plan, out: Path, of: Row | None) -> list[Job]:
    agents: dict[Path, Job] = {}
    earlier: dict[tuple[Any, ...], tuple[Job, ...]] = {}
    found: list[Job] = []
    for pair in plan.pairs:
        for row in plan.methods_on(pair):
            if of is not None and row is not of:
                continue
            try:
                job, agent = cell(plan, pair, row, out)
            except RequestError as error:
                said = str(error) if plan.typed else in_words(error)
                raise RequestError(f"{pair.name}, {row.name}: {said}") from None
            if agent is not None and agent.place not in agents:
                agents[agent.place] = agent
                found.append(agent)
            job = replace(job, agent=agent and agents[agent.place])
            if plan.asked_of(pair, row).get("share") and job.identifies:
                kin = (row.name, pair.what["source"], job.request["seed"])
                job = after(job, earlier.get(kin, ()))
                earlier[kin] = (*earlier.get(kin, ()), job)
            found.append(job)
    return found


def after(job: Job, known: tuple[Job, ...]) -> Job:
    """The job, which starts from what these have found, if there are any yet: its run is another one than without.
    Raises RequestError where a list of their directories could not be taken apart."""
    if "," in str(job.place):
        out = job.place.parent.parent
        raise RequestError(f"`out` {out} has a comma, as between the runs of earlier targets: name another one")
    request = {**job.request, "agent": job.place.name, "known": [one.place.name for one in known]}
    return replace(job, known=known, place=job.place.with_name(directory(request)))


def cell(plan: Plan, pair: Row, row: Row, out: Path) -> tuple[Job, Job | None]:
    """The job of one method on one pair, and that of its source agent if it starts from one."""
    asked, method = plan.asked_of(pair, row), named(row.what["method"])
    own, bridge = dict(asked.get("agent", {})), asked.get("bridge", AUTO)
    settings = unmapped(dict(asked["settings"]), bridge)
    taken = own.get("source_steps")
    if method.feed is None:  # it trains as a source agent does, or not at all
        settings |= own.get("settings", {})
    for path in settings:
        if path.startswith(f"{method.name}."):
            raise RequestError(f"write {path[len(method.name) + 1 :]} below the settings of that method, not {path}")
    what = {**pair.what, "source": source_of(plan, pair, method, asked)}
    request: dict[str, Any] = {**what, "method": method.name, "learner": asked.get("learner")}
    request |= {key: asked.get(key) for key in ("source_steps", "target_steps")}
    request |= {"seeds": asked.get("seeds", 3), "seed": asked.get("seed", 0), "settings": settings}
    request |= {key: asked[key] for key in ("cotrain", "source_run", "bridge", "evaluate") if asked.get(key)}
    if request["learner"] is None and "source_run" not in request:
        request["learner"] = learner_for(plan, pair)
    if taken is not None and not method.uses_source:
        request["source_steps"] = taken
    found = made(what["source"], what["target"], asked, settings)
    request, config = checked(request, *found, plan.imports)
    require_own_agent(config, own)
    require_source_run(config)
    job = Job(pair.name, row.name, request, out / RUNS / directory(request))
    if not config.needs_source_agent or config.source_run is not None or config.method.randomise or config.others:
        return job, None  # several sources' agents are trained in the job, or taken from the cache
    steps = pretrain_steps(config, config.method) if taken is None else taken
    first = agent_of(config, request, steps, own)
    require_steps_left(config, steps)
    about = {
        key: value for key, value in first.items() if key not in ("target", "method", "bridge")
    }  # a source agent depends neither on the target nor on the bridge to it
    if isinstance(config.domains.source, Across):
        about |= {"source": plain_id(config.domains.source.plain.name)}
    place = out / AGENTS / directory({**about, "target": about["source"], "method": "agent"})
    job = replace(job, place=out / RUNS / directory({**request, "agent": about}))
    return job, Job(pair.name, "", first, place)


def source_of(plan: Plan, pair: Row, method: Method, asked: Mapping[str, Any]) -> str:
    """The pair's source. Of several a row that cannot choose between them takes the leading one, beside one that can,
    as a control does beside a method."""
    source, target = pair.what.values()
    several = apart(source)
    if len(several) == 1 or method.chooses or not any(named(r.what["method"]).chooses for r in plan.methods_on(pair)):
        return source
    settings = unmapped(dict(asked["settings"]), asked.get("bridge", AUTO))
    sources = [made(one, target, asked, settings)[0].source for one in several]
    return several[leading(sources)]


def made(
    source: str, target: str, asked: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[Pair[Domain], ShiftMeasure | None, tuple[Domain, ...]]:
    """The domains of a cell, measured once for all of its pair."""
    of_pairs = [path for path in OF_PAIRS if path in settings and not isinstance(settings[path], list)]  # refused later
    loop = {path: settings[path] for path in of_pairs}
    return measured(source, target, asked.get("bridge", AUTO), asked.get("evaluate"), *sorted(loop.items()))


def require_own_agent(config: Config, own: Mapping[str, Any]) -> None:
    """Raise RequestError for what `agent` asks of a source agent that is no job of its own."""
    if not (own.get("settings") or own.get("source_steps")):
        return
    if config.others:
        raise RequestError("'agent' is of one source, and those of several train in this job: leave it to other pairs")
    if config.source_run is not None:
        raise RequestError("'agent' is of an agent that is trained, and 'source_run' brings one: leave one of them out")


def learner_for(plan: Plan, pair: Row) -> str | None:
    """The learner for all methods of a pair if the plan names none, chosen as in `compare`."""
    if need_replay([named(row.what["method"]) for row in plan.methods_on(pair)]):
        return "sac"
    found = preset(apart(pair.what["source"])[0])
    return found.chosen if found else None


def agent_of(config: Config, request: dict[str, Any], steps: int, own: Mapping[str, Any]) -> dict[str, Any]:
    """The request for a source agent: only the settings that its training reads, and the source without a view, since
    each transfer chooses its own."""
    unread = {f"learner.{name}" for name in config.learner.tuning}
    settings = {
        path: value
        for path, value in request["settings"].items()
        if (path.startswith("learner.") and path not in unread) or path in OF_AGENTS
    }
    settings |= {**own.get("settings", {}), "loop.symmetry": "none"}
    kept = {key: request[key] for key in ("source", "target", "learner", "seeds", "seed", "bridge") if key in request}
    first = {**kept, "method": UNCHANGED, "source_steps": steps, "target_steps": None, "settings": settings}
    return checked(first, config.domains, config.shift, (), config.imports)[0] | {"target_steps": None}


def checked(
    request: dict[str, Any],
    domains: Pair[Domain],
    shift: ShiftMeasure | None,
    others: tuple[Domain, ...],
    imports: tuple[str, ...],
) -> tuple[dict[str, Any], Config]:
    """The request with defaults filled in and typed settings, and its `Config`."""
    asked = {key: value for key, value in request.items() if key not in ("source", "target", "method", "bridge")}
    judge = None if asked.get("evaluate") is None else domain(asked["evaluate"])
    asked |= {"evaluate": judge, "others": others, "imports": imports}
    config = resolved(domains, shift, request["method"], **asked)
    sections: dict[str, Any] = {"learner": config.learner, "loop": config.loop}
    sections |= {name: getattr(config.method, name) for name in SECTIONS}
    found = {path: plain(sections, path) for path in sorted(asked["settings"])}
    filled = {key: getattr(config, key) for key in ("source_steps", "target_steps", "seeds", "seed")}
    told = {"imports": list(imports)} if imports else {}
    return {**request, **filled, "learner": config.learner.name, "settings": found, **told}, config


@lru_cache
def measured(
    source: str, target: str, bridge: str, evaluate: str | None, *settings: tuple[str, Any]
) -> tuple[Pair[Domain], ShiftMeasure | None, tuple[Domain, ...]]:
    """`pairs_of`, cached for all methods of a pair."""
    return pairs_of(source, target, dict(settings), bridge, None if evaluate is None else domain(evaluate))


def plain(sections: dict[str, Any], path: str) -> Any:
    """The value of a setting as after a round trip through JSON."""
    section, _, name = path.partition(".")
    value = getattr(sections[section], name)
    return list(value) if isinstance(value, tuple) else value


def directory(request: Mapping[str, Any]) -> str:
    """A directory name from the request, independent of the order of its keys: target, method, and a hash of it all."""
    text = json.dumps({key: value for key, value in request.items() if value is not None}, sort_keys=True)
    name = "".join(c if c.isalnum() else "-" for c in f"{request['target']}-{request['method']}")
    return f"{name[:LONGEST].strip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def require_apart(jobs: Iterable[Job]) -> None:
    """Raise RequestError if two cells would be one run or one line of the table and must not be: of one name runs of
    other seeds alone are taken together, and a control's name is the control's."""
    seen: dict[tuple[str, str], list[range]] = {}
    asked: dict[tuple[str, str], dict[str, Any]] = {}
    runs: dict[Path, str] = {}
    for job in jobs:
        if not job.method:
            continue
        if job.method in CONTROLS and job.request["method"] != job.method:
            raise RequestError(
                f"'{job.method}' is the name of a control, with which the others are compared: give the row of "
                f"{job.request['method']} another 'name'"
            )
        if (other := runs.setdefault(job.place, job.name)) != job.name:
            raise RequestError(f"{other} and {job.name} ask for the same run: leave one of them out")
        seeds = range(job.request["seed"], job.request["seed"] + job.request["seeds"])  # which may be any number
        known = seen.setdefault((job.pair, job.method), [])
        both = [range(max(one.start, seeds.start), min(one.stop, seeds.stop)) for one in known]
        twice = min((one.start for one in both if one), default=None)
        if twice is not None:
            raise RequestError(
                f"{job.name} is asked for twice with seed {twice}: give one of the two a 'name' (of one name only runs "
                f"of other seeds are taken together)"
            )
        request = {key: value for key, value in job.request.items() if key not in ("seed", "seeds")}
        if asked.setdefault((job.pair, job.method), request) != request:
            raise RequestError(
                f"{job.name} is asked for twice with other settings: give one of the two a 'name' (of one name only "
                f"runs of other seeds are taken together)"
            )
        known.append(seeds)


def in_words(error: RequestError) -> str:
    """An error's text with fields as keys of a plan, not as options."""
    return str(error).replace("`", "")
