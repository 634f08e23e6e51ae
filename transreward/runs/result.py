"""The result of a run: its policies, its returns and what they cost."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transreward.domains.asked import readable
from transreward.domains.several import joined, sources_in
from transreward.domains.users import import_modules
from transreward.evaluation import diagnostics
from transreward.evaluation.statistics import known
from transreward.evaluation.verdict import number
from transreward.learners.learner import Learner
from transreward.methods import Method, method, variant
from transreward.presets import restore_learner
from transreward.row import SECTIONS
from transreward.runs import store
from transreward.runs.account import account
from transreward.runs.delivered import delivered_in_words
from transreward.runs.places import SESSION, STATE, request_of
from transreward.runs.policy import policy_of
from transreward.runs.record import Record, eval_target, read
from transreward.runs.shown import Shown
from transreward.runs.withheld import withheld
from transreward.types import CEILING, ZERO_SHOT, Pair, RequestError, Shared, Spaces
from transreward.uses.compensation import Compensation
from transreward.wrapper import LearnedOn

COMPENSATION = "compensation.safetensors"
RETURNS = 2**28  # bytes of returns.safetensors at most
UNFINISHED = "unfinished"  # `stopped` of a run that was cut short or is still running


@dataclass(repr=False)
class Result(Shown):
    """A finished transfer, or the latest evaluation of one that was cut short. Returns are raw."""

    config: dict[str, Any]  # as config.json
    learner: Learner
    agents: Any  # the learner's state, [seeds]
    returns: Pair[np.ndarray]  # [seeds, episodes] in each domain, of the final policies; no episodes: not evaluated
    zero_shot: np.ndarray | None  # [seeds, episodes] of the source policy in the target, where there is one
    steps: Pair[int]  # taken to learn, per seed: what the budgets pay
    stopped: str  # aligned, converged, decided or budget; unfinished: there is no result.json yet
    wall_seconds: float
    rounds: int = 0  # of the loop
    updates: int | None = None  # of the learner, per seed, after the source agent; None: not counted yet
    aligned_return: float | None = None  # raw target return at which it counts as aligned; None: not judged
    success: dict[str, list[float]] = field(default_factory=dict)  # what the target's task says beside it -> [seeds]
    source_success: dict[str, list[float]] = field(default_factory=dict)  # what the source's says of the source agent
    source_agent_return: list[float] = field(default_factory=list)  # there, [seeds]; of controls, and unknown: []
    estimated: dict[str, Any] = field(default_factory=dict)  # returns by fitted Q, where nothing is evaluated
    recorded: dict[str, Any] = field(default_factory=dict)  # what the target's log returned itself, where there is one
    log: list[dict[str, Any]] = field(default_factory=list)  # as metrics.jsonl
    evaluation_steps: Pair[int] | None = None  # of evaluations, per seed, in no budget; None: not counted
    controls: dict[str, Result] = field(default_factory=dict)
    partners: tuple[Result, ...] = ()  # of co-training, the agents that learned in the sources
    provenance: dict[str, Any] = field(default_factory=dict)  # as provenance.json
    sources: list[dict[str, Any]] = field(default_factory=list)  # of several, each one's agent; as result.json
    fallback: dict[str, Any] = field(default_factory=dict)  # as fallback.json; empty: there were no other candidates
    compensation_state: Any = ()  # of the compensation, [seeds]; no leaves: it learns nothing
    source_agents: Any = None  # the source agents' state, [seeds], where the compensation asks for them
    saved: Path | None = None  # the run directory that it was written to or read from

    def __repr__(self) -> str:
        """Three lines, method and pair, returns, costs; before them what makes these worth little, if anything does."""
        own, zero_shot, seeds = known(self.returns.target), self.zero_shot, len(self.returns.target)
        bounds = f" [{number(own['ci95'][0])}, {number(own['ci95'][1])}]" if own and own["ci95"] else ""
        returned = f"{number(own['mean'])}{bounds}" if own else self._unknown
        control = self.controls.get(ZERO_SHOT)  # it trained on all source steps, where the method's agent had a part
        zero_shot = zero_shot if control is None else control.returns.target
        whose = "source policy" if control is None else "zero-shot"
        before = f", {whose} {number(float(zero_shot.mean()))}" if zero_shot is not None and zero_shot.size else ""
        pair = f"{joined(map(readable, sources_in(self.config)))} -> {readable(self.config['target'])}"
        return (
            "".join(f"{text}\n" for text in self.unlearned)
            + f"{self.method}: {pair}, {seeds} seed{'s' if seeds > 1 else ''}\n"
            f"target return {returned}{before}\n"
            f"target steps: {self.account}; {self.steps.source:,} source steps; stopped: {self.stopped}"
            + (f"; delivered: {delivered_in_words(self.fallback['seeds'])}" if self.delivered else "")
            + (f", saved in {self.saved}" if self.saved else "")
        )

    @property
    def _unknown(self) -> str:
        """Why there is no return in the target."""
        untried = self.eval_target == "training" and self.delivered
        return "not known: what is delivered has not acted in a whole episode" if untried else "not evaluated"

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.config["method"]

    @property
    def partner(self) -> Result | None:
        """Of co-training with one source, the agent that learned there; of several, the first's."""
        return self.partners[0] if self.partners else None

    @property
    def delivered(self) -> list[str]:
        """The candidate that each seed's policy is: `source`, or the stage that learned it. Empty without
        `loop.fallback`."""
        return [one["delivered"] for one in self.fallback.get("seeds", ())]

    @property
    def guided(self) -> dict[str, float]:
        """By source, the share of states in which its policy drew the actor (see `cup`), in the mean over evaluations.
        Empty for methods that ask nobody state by state."""
        own = [row for row in self.log if row["method"] == self.method]
        return dict(zip(sources_in(self.config), diagnostics.guided(own), strict=False))

    @property
    def eval_target(self) -> str:
        """Where the returns in the target come from; see `eval_target`."""
        return eval_target(self.config)

    @property
    def account(self) -> str:
        """Its target steps per seed in words, account by account."""
        evaluation = self.evaluation_steps
        return account(self.steps.target, evaluation and evaluation.target, self.eval_target)

    @property
    def target_return(self) -> np.ndarray:
        """Raw returns in the target, [seeds, episodes]; no episodes where nothing was evaluated."""
        return self.returns.target

    @property
    def source_return(self) -> np.ndarray:
        """Raw returns in the source, [seeds, episodes]."""
        return self.returns.source

    @property
    def unlearned(self) -> list[str]:
        """Where its source agent has not learned its task: a sentence, or none."""
        return diagnostics.unlearned(self.source_success, self.log, self.source_agent_return, self.config)

    @property
    def warnings(self) -> list[str]:
        """What a person should know about the gap, by the last evaluation of each seed; a sentence each."""
        own = {row["seed"]: row for row in self.log if row["method"] == self.method}
        found = self.unlearned + diagnostics.warnings_of(own.values())
        if self.stopped == UNFINISHED:
            steps = f"{self.steps.target:,} of {self.config['target_steps']:,} target steps"
            found.insert(0, f"cut short after {steps}: policy and returns are those of its latest evaluation")
        return found

    def policy(self, seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
        """The deterministic policy of one seed (counted from 0): [..., obs] -> [..., action].

        There is no 'best seed': to pick it by target returns would spend target steps. The policy raises RequestError
        for an observation of another size, and for one that is not finite.
        """
        self.require(seed)
        return policy_of(self.learner, self.agents, seed, self.config["spaces"]["obs"])

    def compensation(self, seed: int = 0) -> tuple[Compensation, Any]:
        """The compensation that the method learned, and its state for one seed (counted from 0).

        Raises RequestError for a method that changes nothing in what the learner is paid, and for one that changes the
        rewards of what no other environment is: of a source in another view of its robot, or of an identified
        simulator.
        """
        row = restore_method(self.config)
        if why := withheld(self.config, row, self.log):
            raise RequestError(why)
        if self.stopped == UNFINISHED:
            raise RequestError(
                f"this run of '{self.method}' was cut short, and its compensation is not kept before the end"
            )
        if self.compensation_state is None:
            raise RequestError(
                f"this run of '{self.method}' holds no compensation that this version can read: run it again"
            )
        if row.gate is not None:  # the ramp is over once the transfer is
            row = replace(row, gate=replace(row.gate, ramp=0.0))
        state = self._of(seed, self.compensation_state)
        found = row.compensation()
        return LearnedOn(found.gap, found.use, found.gate, self.config, shared=found.shared), state

    def extras(self, seed: int = 0) -> dict[str, Any]:
        """What a compensation may need beside steps, by name: `value`, [n, obs] -> [n], and `act`, [n, obs] -> [n,
        action], of this seed's final agent; its `discount`; `done`, 0: annealed parts count in full; and, where the
        method uses the source agent, `source_value`, `source_act` and `source_q`, [n, obs], [n, action] -> [n]."""
        agent = self._of(seed, self.agents)
        found = {"discount": self.learner.discount, "done": jnp.zeros(()), **self._asked("", agent)}
        if self.source_agents is not None:
            source = self._of(seed, self.source_agents)
            found |= {**self._asked("source_", source), "source_q": partial(self.learner.q, source)}
        return found

    def _asked(self, whose: str, agent: Any) -> dict[str, Any]:
        """Value and policy of an agent, as extras of a compensation."""
        return {
            f"{whose}value": partial(self.learner.value, agent),
            f"{whose}act": lambda obs: self.learner.act(agent, obs, None),
        }

    def _of(self, seed: int, states: Any) -> Any:
        """One seed's part of a state of all seeds."""
        self.require(seed)
        return jax.tree.map(lambda x: x[seed], states)

    def require(self, seed: int) -> None:
        """Raise RequestError for a seed (counted from 0) that the run does not have."""
        if seed not in range(len(self.target_return)):
            raise RequestError(f"seed {seed} of a run with seeds 0 to {len(self.target_return) - 1}")

    def as_json(self) -> dict[str, Any]:
        """Contents of result.json."""
        seeds = self.config["seeds"]
        return {
            "schema": store.SCHEMA,
            "versions": self.config["versions"],
            **{key: self.config[key] for key in ("source", "target", "method")},
            "learner": self.config.get("offline", self.config["learner"])["name"],
            "seeds": [self.config["seed"] + i for i in range(seeds)],
            "source_steps": self.steps.source,
            "target_steps": self.steps.target,
            "source_evaluation_steps": self.evaluation_steps and self.evaluation_steps.source,
            "target_evaluation_steps": self.evaluation_steps and self.evaluation_steps.target,
            "target_return": known(self.returns.target),
            "source_return": known(self.returns.source),
            "zero_shot_target_return": None if self.zero_shot is None else known(self.zero_shot),
            **({"success": self.success} if self.success else {}),
            **({"source_success": self.source_success} if self.source_success else {}),
            **({"source_agent_return": self.source_agent_return} if self.source_agent_return else {}),
            **({"estimated": self.estimated} if self.estimated else {}),
            **({"recorded": self.recorded} if self.recorded else {}),
            **({"sources": self.sources} if self.sources else {}),
            "stopped": self.stopped,
            "rounds": self.rounds,
            "updates": self.updates,
            "aligned_return": self.aligned_return,
            **({"delivered": self.delivered} if self.delivered else {}),
            "warnings": self.warnings,
            "source_agent": self.zero_shot is not None,
            "breaks_budget": self.config["method"] == CEILING,
            "wall_seconds": self.wall_seconds,
            "steps_per_second": seeds * sum(self.steps) / max(self.wall_seconds, 1e-9),
            "controls": {name: known(control.returns.target) for name, control in self.controls.items()},
        }

    def records(self) -> list[Record]:
        """This run and its controls, as a report reads them: where it has a directory, with what else lies there."""
        if self.saved is not None and (self.saved / "result.json").exists():
            return read(self.saved)
        agent = self.config["source_run"] or "its own"
        return [
            Record(
                one.config, one.log, one.as_json(), agent=None if one.zero_shot is None else agent,
                provenance=one.provenance if one is self else None, fallback=one.fallback or None,
            )
            for one in (self, *self.controls.values())
        ]  # fmt: skip

    def save(self, directory: str | Path) -> None:
        """Write a run directory. Raises RequestError if one is there already."""
        self.write(store.claim(Path(directory)))

    def write(self, directory: Path) -> None:
        """Write into a directory that is this run's own."""
        store.write_json(directory / "config.json", self.config)
        if self.provenance:
            store.write_json(directory / "provenance.json", self.provenance)
        if self.fallback:
            store.write_json(directory / store.FALLBACK, self.fallback)
        store.write_text(directory / "metrics.jsonl", store.lines(self.log))
        store.save_tree(directory / "policy.safetensors", self.agents)
        if jax.tree.leaves(kept := (self.compensation_state, self.source_agents)):
            store.save_tree(directory / COMPENSATION, kept)
        returns = {"source": self.returns.source, "target": self.returns.target, ZERO_SHOT: self.zero_shot}
        store.save_tree(directory / "returns.safetensors", {k: v for k, v in returns.items() if v is not None})
        for name, control in self.controls.items():
            (directory / "controls" / name).mkdir(parents=True, exist_ok=True)
            control.write(directory / "controls" / name)
        for k, partner in enumerate(self.partners):
            (place := directory / store.partner(k)).mkdir(exist_ok=True)
            partner.write(place)
        store.write_json(directory / "result.json", self.as_json())  # last: where it is, everything is
        self.saved = directory


def load(directory: str | Path) -> Result:
    """A saved run, with its controls and its partners. For one that was cut short, or is still running, its latest
    evaluation.

    Raises RequestError if the directory holds no run that this version can read, and where a file is damaged.
    """
    found = _alone(directory := Path(directory))
    folders = store.controls(directory, found.config, ("result.json",))
    found.controls = {path.name: _alone(path) for path in folders}
    places = (directory / store.partner(k) for k in count())
    places = takewhile(lambda place: (place / "result.json").exists(), places)
    found.partners = tuple(_alone(place) for place in places)
    return found


def _alone(directory: Path) -> Result:
    """The run of a directory without those below it."""
    config, done = store.read_json(directory / "config.json"), directory / "result.json"
    _require_policy(directory)
    log = store.read_rows(directory)
    try:
        import_modules(config.get("imports", ()))
        learner = restore_learner(config.get("offline") or config["learner"])
        spaces = _spaces(config["spaces"])
        keys = jax.random.split(jax.random.key(0), config["seeds"])
        like = store.shapes_of(learner, spaces, keys)
        result, returns = _finished(directory, config["seeds"]) if done.exists() else _unfinished(config, log)
    except Exception as error:  # of a learner that is made of a stranger's settings, whatever JAX makes of them
        what = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise RequestError(f"{directory} cannot be read: {what}") from None
    kept = _kept(directory, config, spaces, like, keys)
    origin, chosen = directory / "provenance.json", directory / store.FALLBACK
    return Result(
        config=config,
        learner=learner,
        agents=store.load_tree(directory / "policy.safetensors", like),
        returns=Pair(returns["source"], returns["target"]),
        zero_shot=returns.get(ZERO_SHOT),
        steps=Pair(result["source_steps"], result["target_steps"]),
        evaluation_steps=_evaluation_steps(result),
        stopped=result["stopped"],
        rounds=result.get("rounds", 0),
        updates=result.get("updates"),
        aligned_return=result.get("aligned_return"),
        wall_seconds=result["wall_seconds"],
        success=result.get("success", {}),
        source_success=result.get("source_success", {}),
        source_agent_return=result.get("source_agent_return", []),
        estimated=result.get("estimated", {}),
        recorded=result.get("recorded", {}),
        sources=result.get("sources", []),
        log=log,
        provenance=store.read_json(origin) if origin.exists() else {},
        fallback=store.read_json(chosen) if chosen.exists() else {},
        compensation_state=kept[0],
        source_agents=kept[1],
        saved=directory,
    )


def _require_policy(directory: Path) -> None:
    """Raise RequestError for a run that was interrupted and has no policy yet, with what goes on with it."""
    if (directory / "policy.safetensors").exists() or (directory / "result.json").exists():
        return
    place = str(directory)
    with_it = {SESSION: f"tr.Session.resume({place!r})", STATE: f"'transreward resume {shlex.quote(place)}'"}
    for folder, command in with_it.items():
        if request_of(directory, folder).exists():
            raise RequestError(f"{directory} has no policy yet, since its run has not ended: {command} goes on with it")


def _spaces(sizes: dict[str, Any]) -> Spaces:
    """Those of config.json. Raises RequestError where sizes and bounds do not fit."""
    low, high = (np.asarray(sizes[bound], float) for bound in ("low", "high"))
    if low.shape != (sizes["action"],) or high.shape != low.shape or not (low < high).all():
        raise RequestError(f"its spaces are damaged: low and high must be bounds of {sizes['action']} actions")
    return Spaces(sizes["obs"], sizes["action"], low, high)


def _finished(directory: Path, seeds: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Contents of result.json, and the returns [seeds, episodes] by side."""
    path = directory / "returns.safetensors"
    returns = {name.strip("[]'"): x for name, x in store.load_arrays(path, RETURNS).items()}
    for side in {*Pair._fields, *returns}:
        shape = returns[side].shape if side in returns else None
        if shape is None or len(shape) != 2 or shape[0] != seeds:
            raise RequestError(f"{path.name} is damaged: '{side}' must be [{seeds} seeds, episodes], not {shape}")
        if returns[side].dtype.kind != "f" or not np.isfinite(returns[side]).all():
            raise RequestError(f"{path.name} is damaged: '{side}' must be finite numbers")
    return store.read_json(directory / "result.json"), returns


def _unfinished(config: dict[str, Any], log: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The same for a run without a result, from its latest evaluation: mean return of each seed, [seeds, 1]."""
    latest = {row["seed"]: row for row in log}
    rows = [latest[seed] for seed in range(config["seed"], config["seed"] + config["seeds"]) if seed in latest]
    if len(rows) < config["seeds"]:
        raise ValueError("it was cut short before its first evaluation and holds no policy yet")
    steps = {f"{side}_steps": max(row[f"{side}_steps"] for row in rows) for side in Pair._fields}
    steps |= {key: value for key, value in rows[0].items() if key.endswith("_evaluation_steps")}
    found = {side: [row[f"{side}_return"] for row in rows] for side in Pair._fields}
    returns = {side: np.zeros((len(r), 0)) if None in r else np.array(r)[:, None] for side, r in found.items()}
    return {
        **steps,
        "stopped": UNFINISHED,
        "rounds": rows[0].get("round", 0),
        "wall_seconds": rows[0].get("seconds", 0.0),
    }, returns


def _evaluation_steps(result: dict[str, Any]) -> Pair[int] | None:
    found: list[Any] = [result.get(f"{side}_evaluation_steps") for side in Pair._fields]
    return None if None in found else Pair(*found)


def restore_method(config: dict[str, Any]) -> Method:
    """The method of a run's config.json with its settings. Raises RequestError if this version does not have it."""
    row = variant(method(config["method"]), config.get("variant", ""))
    for section in SECTIONS:
        try:
            kept = {k: v for k, v in config.get(section, {}).items() if k != "name"}  # of an offline learner
            settings = {k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()}
            part = replace(getattr(row, section), **settings) if section in config else None
        except (AttributeError, TypeError) as error:
            raise RequestError(f"the run's {section} is not what '{row.name}' has in this version: {error}") from None
        row = replace(row, **{section: part})
    shared = config["spaces"].get("shared")
    return replace(row, shared=Shared(*(tuple(shared[side]) for side in Shared._fields))) if shared else row


def _kept(directory: Path, config: dict[str, Any], spaces: Spaces, agents: Any, keys: Any) -> tuple[Any, Any]:
    """State of the compensation and of the source agents that it uses, as a run saved them; None if there is none.

    A run whose method this version does not have can still be loaded for its returns; asking for its compensation is
    then an error.
    """
    if not (directory / COMPENSATION).exists():
        return None, None
    try:
        row = restore_method(config)
        like = store.shapes_of(row.compensation(), spaces, keys)
    except RequestError:
        return None, None
    try:
        return store.load_tree(directory / COMPENSATION, (like, agents if row.asks_source else None))
    except RequestError as error:
        warnings.warn(f"{error}: the run is read without what its compensation learned", stacklevel=3)
        return None, None
