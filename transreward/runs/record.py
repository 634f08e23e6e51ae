"""What the run of one method left, as reports read it, and how run directories become that: whole runs, comparisons,
and runs that were cut short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from transreward.domains.users import import_modules
from transreward.evaluation import diagnostics
from transreward.evaluation.verdict import Outcome
from transreward.methods import method
from transreward.runs import store
from transreward.runs.account import account
from transreward.types import CEILING, CONTROLS, RequestError

PAIR = ("source", "target")


@dataclass(frozen=True)
class Record:
    """What one method's run left: the contents of its directory."""

    config: dict[str, Any]  # config.json
    rows: list[dict[str, Any]]  # metrics.jsonl
    result: dict[str, Any] | None  # result.json; None = the run was cut short
    place: str = ""  # its directory
    run: str = ""  # the directory of the run that it belongs to
    agent: str | None = None  # which source agent it shares with others; None = trained from scratch
    provenance: dict[str, Any] | None = None  # provenance.json
    identification: dict[str, Any] | None = None  # identification.json, where there is one
    fallback: dict[str, Any] | None = None  # fallback.json, where there were candidates
    videos: tuple[Path, ...] = ()
    label: str = ""

    @property
    def name(self) -> str:
        """Its label on the page."""
        return self.label or self.config["method"]

    @property
    def control(self) -> bool:
        """True for a control and for the oracle, with which the others are compared."""
        return self.config["method"] in (*CONTROLS, CEILING)

    @property
    def began_with(self) -> str:
        """What the first candidate of its fallback is: of a policy that may be told what robot it is in, that one, told
        nothing more than at first."""
        return "the family's policy (told nothing more)" if self.config.get("randomise") else "the source policy"

    @property
    def level(self) -> bool:
        """Whether its final return is drawn as a level line, and no curve: of the oracle, whose steps are many times
        the target budget, and of what was not trained."""
        return self.config["method"] == CEILING or not self.own

    @cached_property
    def own(self) -> list[dict[str, Any]]:
        """Its rows of metrics.jsonl without those of the source agent's training."""
        return [row for row in self.rows if row["method"] == self.config["method"]]

    @property
    def success(self) -> dict[str, list[float]]:
        """What the target's task says beside the return -> [seeds]: of the final policies, or of the latest evaluation
        of a run that was cut short. Empty where it says nothing."""
        if self.result is not None:
            return self.result.get("success", {})
        last = list({row["seed"]: row for row in self.own}.values())
        names = dict.fromkeys(name for row in last for name in row.get("target_success", ()))
        return {name: [row["target_success"][name] for row in last if "target_success" in row] for name in names}

    @property
    def unlearned(self) -> list[str]:
        """Where its source agent has not learned its task: a sentence, or none."""
        r = self.result or {}
        returned = r.get("source_agent_return", ())
        return diagnostics.unlearned(r.get("source_success", {}), self.rows, returned, self.config)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The run's seeds."""
        return tuple(self.config["seed"] + i for i in range(self.config["seeds"]))

    @property
    def eval_target(self) -> str:
        """Where the returns in the target come from; see `eval_target`."""
        return eval_target(self.config)

    @property
    def evaluation_steps(self) -> int | None:
        """Target steps per seed that evaluations took; None: not counted by the version that made the run."""
        if self.result is not None:
            return self.result.get("target_evaluation_steps")
        return self.rows[-1].get("target_evaluation_steps") if self.rows else 0

    @property
    def account(self) -> str:
        """Its target steps per seed in words; see `account`."""
        return account(self.outcome.target_steps, self.evaluation_steps, self.eval_target)

    @property
    def source_steps(self) -> int:
        """Source steps per seed that it learned from."""
        if self.result is not None:
            return self.result["source_steps"]
        return max((row["source_steps"] for row in self.rows), default=0)

    @property
    def updates(self) -> int | None:
        """Updates of the learner after the source agent; None: not counted by the version that made the run."""
        if self.result is not None:
            return self.result.get("updates")
        return max((row.get("updates", 0) for row in self.own), default=0)

    @cached_property
    def outcome(self) -> Outcome:
        """Final returns and what they cost; for a run that was cut short, at its latest evaluation."""
        config, oracle = self.config, self.config["method"] == CEILING
        common: dict[str, Any] = {"agent": self.agent, "breaks_budget": oracle}
        common |= {"name": self.name, "seeds": self.seeds, "budget": config["target_steps"]}
        common |= {"evaluation_steps": self.evaluation_steps, "eval_target": self.eval_target}
        common |= {"judge": config.get("evaluate", "")}
        if self.result is not None:
            r = self.result
            returns = np.array(r["target_return"]["per_seed"] if r["target_return"] else [])
            return Outcome(per_seed=returns, target_steps=r["target_steps"], stopped=r["stopped"], **common)
        latest = {row["seed"]: row for row in self.own}
        found = [latest[s]["target_return"] for s in self.seeds if s in latest]
        returns = np.array([r for r in found if r is not None])
        steps = max((row["target_steps"] for row in latest.values()), default=0)
        return Outcome(per_seed=returns, target_steps=steps, finished=False, **common)

    def curve(self, key: Callable[[dict[str, Any]], float | None]) -> tuple[list[float], np.ndarray]:
        """Target steps [n] at which all seeds have a value, and the values [n, seeds]; `key` reads it from a row."""
        at: dict[int, dict[int, float]] = {}
        for row in self.own:
            if (value := key(row)) is not None:
                at.setdefault(row["target_steps"], {})[row["seed"]] = value
        whole = {steps: row for steps, row in sorted(at.items()) if {*self.seeds} <= {*row}}
        return [float(s) for s in whole], np.array([[row[seed] for seed in self.seeds] for row in whole.values()])

    @property
    def _trained_on(self) -> bool:
        """True if it started from the source agent. Assumed for a user's method that is not in the table now."""
        try:
            return (self.config.get("use", {}).get("start") or method(self.config["method"]).start) == "source"
        except RequestError:
            return True

    @cached_property
    def stays(self) -> set[int]:
        """Target steps at which it learned without taking any, as in an identified simulator: a seed was evaluated
        there after more updates each time."""
        updates: dict[tuple[int, int], set[int]] = {}
        for row in self.own:
            updates.setdefault((row["target_steps"], row["seed"]), set()).add(row.get("updates", 0))
        there = {row["target_steps"] for row in self.own if "identified_steps" in row}
        return there | {steps for (steps, _), found in updates.items() if len(found) > 1}

    def returns(self, key: str) -> tuple[list[float], np.ndarray]:
        """The curve of a return, up to the final evaluation, whose mean tables have; in the target it begins with the
        source agent's, if the method starts from one. Where it learned without target steps there are two points: as
        it came, which is as it was before, and as it went on."""
        x, y = self.curve(lambda row: row.get(key))
        result = self.result or {}
        if x and (final := result.get(key)):
            over = max(x[-1], float(result["target_steps"]))
            kept = len(x) - (x[-1] == over)
            x, y = [*x[:kept], over], np.vstack([*y[:kept], final["per_seed"]])
        start = result.get("zero_shot_target_return") if self._trained_on else None
        if key == "target_return" and start and x and x[0] > 0:
            x, y = [0.0, *x], np.vstack([start["per_seed"], y])
        before = [i for i in range(1, len(x)) if int(x[i]) in self.stays]
        for i in reversed(before):
            x, y = [*x[:i], x[i], *x[i:]], np.insert(y, i, y[i - 1], axis=0)
        return x, y


# -- of directories ------------------------------------------------------------------------------------------------


def read(place: Path) -> list[Record]:
    """The run of a directory and then its controls. Raises RequestError where it holds no run."""
    if not place.is_dir():
        raise RequestError(f"{place} is not a run directory: there is no such directory")
    config = store.read_json(place / "config.json")
    import_modules(config.get("imports", ()))
    agent = str(Path(config["source_run"] or place).resolve())
    first = _record(place, place, config, agent)
    found = store.read_json(place / "provenance.json") if (place / "provenance.json").exists() else {}
    first = replace(first, provenance=found, videos=videos(place))
    folders = store.controls(place, config, ("metrics.jsonl", "result.json"))
    return [first, *(_record(p, place, _config(p, config), agent) for p in folders)]


def videos(place: Path) -> tuple[Path, ...]:
    """The films in a run directory, which go into its page: files that lie there, not what a link leads out to."""
    inside = [path for path in sorted((place / "videos").glob("*.mp4")) if path.is_file()]
    return tuple(path for path in inside if path.resolve().is_relative_to(place.resolve()))


def _record(place: Path, run: Path, config: dict[str, Any], agent: str) -> Record:
    done = place / "result.json"
    result = store.read_json(done) if done.exists() else None
    for name in ("target_return", "zero_shot_target_return", "source_return"):
        per_seed = ((result or {}).get(name) or {}).get("per_seed")
        if per_seed is not None and len(per_seed) != config["seeds"]:
            raise RequestError(f"{done} is damaged: '{name}' has {len(per_seed)} values for {config['seeds']} seeds")
    shares = result is not None and result.get("source_agent", result["zero_shot_target_return"] is not None)
    rows = store.read_rows(place)
    more = {}
    for name, file in (("identification", store.IDENTIFICATION), ("fallback", store.FALLBACK)):
        if (place / file).exists():
            more[name] = store.read_json(place / file)
    return Record(config, rows, result, str(place), str(run), agent if shares else None, **more)


def _config(place: Path, parent: dict[str, Any]) -> dict[str, Any]:
    """config.json of a control; until the run ends it has none, and the run's own is used."""
    own = place / "config.json"
    return store.read_json(own) if own.exists() else {**parent, "method": place.name, "controls": []}


def require_one_pair(runs: Sequence[Sequence[Record]]) -> None:
    """Raise RequestError where runs are of different pairs."""
    first = runs[0][0]
    for other, *_ in runs[1:]:
        if any(other.config[side] != first.config[side] for side in PAIR):
            pairs = [f"{r.place} is {r.config['source']} -> {r.config['target']}" for r in (first, other)]
            raise RequestError(
                f"one report is about one pair, but {' and '.join(pairs)}: write one for each, or a table of each, to "
                'put together (`out="a.csv"`); a study has one table of several pairs, of runs that it makes itself'
            )


def in_order(run: list[Record], place: Path) -> list[Record]:
    """Records in the order of comparison.json, if there is one."""
    table = place / "comparison.json"
    names = list(store.read_json(table)["methods"]) if table.exists() else []
    return sorted(run, key=lambda r: names.index(r.config["method"]) if r.config["method"] in names else len(names))


def merge(runs: Sequence[Sequence[Record]]) -> list[Record]:
    """The methods of several runs side by side, the methods before the controls.

    A method that several runs hold with the same settings, seeds and returns is shown once; otherwise it goes by its
    directory too.
    """
    kept: list[Record] = []
    for record in (r for run in runs for r in run):
        if not any(_same(record, other) for other in kept):
            kept.append(record)
    names = [r.config["method"] for r in kept]
    labelled = [
        replace(r, label=f"{r.config['method']} ({_own_run(r, runs)})") if names.count(r.config["method"]) > 1 else r
        for r in kept
    ]
    return sorted(labelled, key=lambda r: r.control)


def _own_run(record: Record, runs: Sequence[Sequence[Record]]) -> str:
    """Name of the run directory that a record came from, as a label."""
    place = next(run[0].place for run in runs if record in run)
    places = [Path(run[0].place) for run in runs]
    return place if [p.name for p in places].count(Path(place).name) > 1 else Path(place).name


def _same(a: Record, b: Record) -> bool:
    """True if two directories hold the same run of a method."""
    apart = ("versions", "source_run", "controls", "shift")
    configs = [{k: v for k, v in r.config.items() if k not in apart} for r in (a, b)]
    both = a.result is not None and b.result is not None
    return configs[0] == configs[1] and both and a.result["target_return"] == b.result["target_return"]  # type: ignore[index]


def eval_target(config: dict[str, Any]) -> str:
    """`loop.eval_target` of a config.json: where returns in the target come from. 'simulated' where a simulator stands
    for it, and for a run of before this setting."""
    return "simulated" if "evaluate" in config else config.get("loop", {}).get("eval_target", "simulated")
