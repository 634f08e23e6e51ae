"""The command that repeats a run, from what the run wrote down."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from transreward.domains.files.place import SCHEMES
from transreward.domains.robots import ROBOTS
from transreward.domains.several import joined, sources_in
from transreward.evaluation.verdict import ENOUGH
from transreward.learners.learner import Learner
from transreward.methods import method
from transreward.presets import make_learner
from transreward.reports.subject import Subject
from transreward.runs.record import Record
from transreward.types import RequestError


def repeat(first: Record, records: Sequence[Record]) -> str:
    """The command that repeats a run: the loop's settings, and every other that is not the default."""
    c = first.config
    others = c.get("controls", [])
    words = ["transreward", "transfer", joined(sources_in(c)), c["target"], "--method", c["method"]]
    words += ["--controls", ",".join(others) or "none", "--learner", c["learner"]["name"]]
    for option in ("source_steps", "target_steps", "seeds", "seed"):
        words += [f"--{option.replace('_', '-')}", str(c[option])]
    words += ["--source-run", c["source_run"]] if c.get("source_run") else []
    words += ["--evaluate", c["evaluate"]] if c.get("evaluate") else []
    words += ["--cotrain"] if c.get("cotrain") else []
    words += [word for name in c.get("imports", ()) for word in ("--import", name)]
    settings = {"loop.symmetry": "none"} | {f"loop.{k}": v for k, v in c["loop"].items()}  # there were none at first
    learner = asdict(found) if (found := _preset(c["learner"]["name"], c["source"])) else {}
    own = {"name", *c.get("replaced", {})}  # the method brings these itself, and the source agent has others
    settings |= {f"learner.{k}": v for k, v in c["learner"].items() if k not in own and _plain(learner.get(k)) != v}
    for r in records:
        prefix = "" if r is first else f"{r.config['method']}."
        settings |= {f"{prefix}{path}": v for path, v in _own_settings(r.config).items()}
    return shlex.join([*words, "--set", *(f"{path}={typed(v)}" for path, v in settings.items())])


def after(subject: Subject, out: str) -> str:
    """The command that the verdict on a run suggests next, with its reason; empty where it suggests none."""
    if subject.comparison:
        return ""
    kind, config = subject.verdicts()[0].kind, subject.focus.config
    pair, seeds = [joined(sources_in(config)), config["target"]], config["seeds"]
    if kind in ("helped", "partly"):
        return f"{shlex.join(['transreward', 'export', out])}   (the policy as a file for the robot)"
    if kind in ("hurt", "beaten", "same"):
        return f"{shlex.join(['transreward', 'check', *pair])}   (what the pair promises)"
    if kind in ("unknown", "too_few"):
        more = ["--method", config["method"], "--seeds", str(max(ENOUGH, 2 * seeds))]
        return f"{shlex.join(['transreward', 'transfer', *pair, *more])}   (more seeds, to be certain)"
    return ""


def _preset(name: str, source: str) -> Learner | None:
    """The settings with which a request for the learner begins; None of a factory, of which preset its robot has its id
    says nothing, and of a file that is no longer there."""
    robot = re.split(r"[+:@]", source)[0]
    try:
        return make_learner(name, source) if robot in ("gym", *ROBOTS, *SCHEMES) else None
    except RequestError:
        return None


def _own_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Settings that differ from the row of the table."""
    row, found = method(config["method"]), {}
    for section in ("feed", "gap", "use", "gate", "offline"):
        part = getattr(row, section)
        if part is not None and section in config:
            default = {f.name: _plain(getattr(part, f.name)) for f in fields(part)}
            found |= {f"{section}.{k}": v for k, v in config[section].items() if default.get(k) != v}
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def typed(value: Any) -> str:
    """The value of a setting as the command line takes it."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
