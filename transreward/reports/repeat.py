"""The command that repeats a run, from what the run wrote down."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, NamedTuple

from transreward.domains.files.place import SCHEMES
from transreward.domains.robots import ROBOTS
from transreward.domains.several import joined, sources_in
from transreward.evaluation.verdict import ENOUGH
from transreward.learners.learner import Learner
from transreward.methods import method, variant
from transreward.presets import DEFAULT_STEPS, make_learner, scale
from transreward.reports.subject import Subject
from transreward.request.loop import Loop
from transreward.row import SECTIONS
from transreward.runs.record import Record
from transreward.types import ASKED, CONTROLS, DEFAULT_METHOD, NO, RequestError

WIDTH = 80  # characters of a line that is to be copied
NEXT = "next: "  # stands before a command that is to follow


def stepped_elsewhere(first: Record) -> bool:
    """Whether the target was a robot that asked: a program took its steps, and no command takes them again."""
    return ASKED in first.config["target"]


def repeat(first: Record, records: Sequence[Record], seeds: int | None = None) -> str:
    """The command that repeats a run, or runs it with so many seeds: everything that is not the default."""
    c: dict[str, Any] = {**first.config, "seeds": seeds or first.config["seeds"]}
    words = ["transreward", "transfer", joined(sources_in(c)), c["target"]]
    usual = {"method": DEFAULT_METHOD, "controls": ",".join(CONTROLS), "seeds": 3, "seed": 0}
    usual["target_steps"] = DEFAULT_STEPS.target
    asked = {"method": c["method"], "controls": ",".join(c.get("controls", [])) or "none"}
    asked |= {"learner": c["learner"]["name"]}
    asked |= {name: c[name] for name in ("source_steps", "target_steps", "seeds", "seed")}
    for option, value in asked.items():  # a robot's own learner and budget may be another one's in a later version
        words += [f"--{option.replace('_', '-')}", str(value)] if usual.get(option) != value else []
    if c.get("source_run") and not seeds:  # whose agents are of seeds of its own
        words += ["--source-run", c["source_run"]]
    words += ["--evaluate", c["evaluate"]] if c.get("evaluate") else []
    words += ["--cotrain"] if c.get("cotrain") else []
    words += [word for name in c.get("imports", ()) for word in ("--import", name)]
    loop = {"symmetry": NO, **c["loop"]}  # there were none at first
    words += ["--bridge", NO] if loop.pop("symmetry") == NO else []
    usual_loop = {k: _plain(v) for k, v in asdict(Loop()).items()}
    settings = {f"loop.{k}": v for k, v in loop.items() if usual_loop.get(k) != v}
    learner = asdict(found) if (found := _preset(c["learner"]["name"], c["source"])) else {}
    own = {"name", *c.get("replaced", {})}  # the method brings these itself, and the source agent has others
    settings |= {f"learner.{k}": v for k, v in c["learner"].items() if k not in own and _plain(learner.get(k)) != v}
    for r in records:
        prefix = "" if r is first else f"{r.config['method']}."
        settings |= {f"{prefix}{path}": v for path, v in _own_settings(r.config).items()}
    return shlex.join([*words, *["--set"] * bool(settings), *(f"{path}={typed(v)}" for path, v in settings.items())])


def anew(records: Sequence[Record], target_steps: int, stopped: str) -> str:
    """The command that runs it anew with so many target steps, without that for which it `stopped` early; empty for a
    run that no command repeats."""
    first = records[0]
    if stepped_elsewhere(first):
        return ""
    off = {stopped: 0} if stopped in ("aligned", "converged") else {}
    config = {**first.config, "target_steps": target_steps, "loop": {**first.config["loop"], **off}}
    more = replace(first, config=config)
    again = [] if off else typed_again(first.provenance or {}, "--target-steps", target_steps)
    return shlex.join(again) if again else repeat(more, [more, *records[1:]])


class Next(NamedTuple):
    """A command, and why it is the next one."""

    command: str
    why: str


def following(subject: Subject, out: str) -> Next | None:
    """The command that the verdict on a run suggests next; None where it suggests none."""
    if subject.comparison:
        return None
    verdict, focus = subject.verdicts()[0], subject.focus
    kind = verdict.kind
    pair = [joined(sources_in(focus.config)), focus.config["target"]]
    if stepped_elsewhere(focus) and (focus.unlearned or kind not in ("helped", "partly")):
        return Next(shlex.join(["transreward", "data", out]), "what the robot's steps show")
    if focus.unlearned and kind not in ("unfinished", "ceiling", "not_evaluated"):
        return _learn(subject, out)
    if kind == "helped" or (kind == "partly" and verdict.over_the_source):
        return Next(shlex.join(["transreward", "export", out]), "the policy as a file for the robot")
    if kind in ("hurt", "beaten", "same"):
        return Next(shlex.join(["transreward", "check", *pair]), "what the pair promises")
    if kind in ("unknown", "too_few", "partly"):
        own, most = [r for r in subject.records if r.run == focus.run], max(ENOUGH, 2 * focus.config["seeds"])
        again = _again(focus, "--seeds", most)
        return Next(shlex.join(again) if again else repeat(focus, own, most), "more seeds, to be certain")
    if kind == "unfinished":
        return Next(shlex.join(["transreward", "resume", out]), "it goes on from its last round")
    return None


def _learn(subject: Subject, out: str) -> Next:
    """What to do about a source agent that has not learned its task."""
    focus, origin = subject.focus, subject.focus.provenance or {}
    if focus.config.get("source_run") or "source_policy" in origin:  # more steps would not be that agent's
        return Next(shlex.join(["transreward", "play", out, "--before-after"]), "what the source policy does")
    known = scale(focus.config["source"], focus.config["learner"]["name"])
    steps = max(2 * focus.config["source_steps"], known.steps if known else 0)
    more = replace(focus, config={**focus.config, "source_steps": steps})
    again = _again(focus, "--source-steps", steps)
    own = [more if r is focus else r for r in subject.records if r.run == focus.run]
    return Next(shlex.join(again) if again else repeat(more, own), "more source steps, for the source agent to learn")


def after(subject: Subject, out: str) -> str:
    """`following` as text: its command in lines that a shell takes, and why; empty where there is none."""
    found = following(subject, out)
    if found is None:
        return ""
    command, why = folded(shlex.split(found.command), WIDTH - len(NEXT)), f"   ({found.why})"
    fits = len(command.rpartition("\n")[2]) + len(why) <= WIDTH - len(NEXT)
    return f"{command}{why}" if fits else f"{command}\n {why}"


def _again(first: Record, option: str, number: int) -> list[str]:
    """`typed_again`, with the target steps that `resume` went on to, where that was asked for after the command."""
    origin, config = first.provenance or {}, first.config
    words, before = typed_again(origin, option, number), config["loop"].get("horizon")
    if not words or not before or "loop.horizon" in origin["command"]:
        return words
    words = typed_again({"command": shlex.join(words)}, "--target-steps", config["target_steps"])
    return [*words, "--set", f"loop.horizon={before}"]


def typed_again(origin: Mapping[str, Any], option: str, number: int) -> list[str]:
    """The words of the command that made a run, by its provenance, with another number behind an option (--seeds, say)
    and for a new directory; nothing where it was no `transfer` of the command line. A source run has agents for its own
    seeds alone, so another one is trained, and a policy from elsewhere is adopted anew."""
    try:
        typed = shlex.split(origin.get("command", ""))
    except ValueError:  # of a directory that was damaged
        return []
    if typed[:2] != ["transreward", "transfer"]:
        return []
    words, rest, new = typed[:2], iter(typed[2:]), [option, str(number)]
    if "source_policy" in origin and "--source-policy" not in typed:
        new += ["--source-policy", origin["source_policy"]["file"]]
    for word in rest:
        if word.partition("=")[0] not in (option, "--out", "--source-run"):
            words.append(word)
            continue
        words, new = words + new, []  # in its place: behind --set nothing else may stand
        if "=" not in word:
            next(rest, None)
    return words + new


def folded(words: Sequence[str], width: int = WIDTH) -> str:
    """A command as a shell takes it, in lines of `width` characters where it is longer."""
    lines = [""]
    for word in map(shlex.quote, words):
        if lines[-1] and len(lines[-1]) + len(word) + 3 > width:  # a blank before it, and a blank and \\ behind it
            lines.append("   ")
        lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n".join(lines)


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
    row, found = variant(method(config["method"]), config.get("variant", "")), {}
    for section in SECTIONS:
        part = getattr(row, section)
        if part is not None and section in config:
            default = {f.name: _plain(getattr(part, f.name)) for f in fields(part)}
            # `name` is no setting, but which learner an offline method has
            found |= {f"{section}.{k}": v for k, v in config[section].items() if k != "name" and default.get(k) != v}
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def typed(value: Any) -> str:
    """The value of a setting as the command line takes it."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
