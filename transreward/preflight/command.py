"""What to run next: the command that a verdict suggests."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transreward.bridges.match import NAMED
from transreward.domains.across import Across
from transreward.domains.domain import Domain, invertible
from transreward.domains.files.tips import agreed
from transreward.methods import ANSWERS, METHODS, Method, method
from transreward.preflight.verdict import COMPENSATE, NO_HELP, SAME, SHAPE, TRANSFER, Verdict
from transreward.presets import DEFAULT_STEPS, make_learner, restore_learner, source_budget
from transreward.request.rules import require_learner
from transreward.runs.source_agent import SourceAgent
from transreward.types import FINE_TUNE, TARGET_ONLY, Pair, RequestError

DEFAULT_SEEDS = 3  # of transfer
OWN_STEPS = 100_000  # source steps that a method gets beside those of a source run
# verdict -> what answers to it, see methods.ANSWERS
ANSWERED = {TRANSFER: "transfer", COMPENSATE: "compensate", SHAPE: "shape", NO_HELP: "no help"}


def next_command(
    pair: Pair[Domain],
    verdict: Verdict,
    source_run: Path | None,
    seen: str | None = None,
    imports: Sequence[str] = (),
) -> str:
    """The command that the verdict suggests, with the source run if the method can start from it. Of arms that reach
    with different points another check: nothing was learned of the task that both are meant to do."""
    if ids := agreed(pair.source, pair.target):
        return shlex.join(["transreward", "check", *ids, *_imports(imports)])
    if verdict.verdict == SAME:
        return "transreward list shifts"
    asked = "relabel" if verdict.relabel else ANSWERED[verdict.verdict]
    if seen and asked in ("relabel", "shape"):
        asked = "known"
    able = [name for name in ANSWERS[asked] if "(" in name or name in METHODS]
    agent = None if source_run is None else SourceAgent.about(source_run)
    tries = [(method(name), a) for a in ([agent, None] if agent else [None]) for name in able]
    row, taken_up = next((row, a) for row, a in tries if _possible(row, pair.source, a))
    words = [*_words("transfer", pair, imports), "--method", row.name]
    if verdict.verdict == TRANSFER:
        words += ["--controls", "none"]
    if taken_up and row.needs_source_agent:
        words += take_up(row, source_run, taken_up)
    elif verdict.verdict in (SHAPE, NO_HELP):
        words += ["--learner", "sac"]  # for scarce target steps
    return shlex.join(words)


def command_across(across: Across, helps: bool, source_run: Path | None, imports: Sequence[str] = ()) -> str:
    """The command for unlike robots: fine-tuning over the bridge or, where that does not help, from scratch."""
    row = method(FINE_TUNE if helps else TARGET_ONLY)
    words = [*_words("transfer", Pair(across.plain, across.other), imports), *_bridge(across.how), "--method", row.name]
    if source_run is not None and row.needs_source_agent:
        words += take_up(row, source_run, SourceAgent.about(source_run))
    return shlex.join(words if helps else [*words, "--learner", "sac"])


def command_to_try(across: Across, imports: Sequence[str] = ()) -> str:
    """The check of unlike robots with an agent, of a run that is still to be named."""
    words = _words("check", Pair(across.plain, across.other), imports) + _bridge(across.how)
    return f"{shlex.join([*words, '--source-run'])} DIR"


def _bridge(how: str) -> list[str]:
    """The option that names a bridge, but for the one that is taken anyway."""
    return [] if how == NAMED else ["--bridge", how]


def _words(command: str, pair: Pair[Domain], imports: Sequence[str]) -> list[str]:
    return ["transreward", command, pair.source.name, pair.target.name, *_imports(imports)]


def _imports(names: Sequence[str]) -> list[str]:
    return [word for name in names for word in ("--import", name)]


def _possible(row: Method, source: Domain, agent: dict[str, Any] | None) -> bool:
    """True if a method can be run on the source: it takes the agent's learner, the source budget suffices, and a
    simulator that it identifies can be put where the target was."""
    if row.ground is not None and not invertible(source):
        return False
    learner = restore_learner(agent["learner"]) if agent else make_learner("sac", source)
    try:
        require_learner(row, learner, source)
    except RequestError:
        return False
    return agent is not None or row.replayed * DEFAULT_STEPS.target < source_budget(learner, source) / 2


def take_up(row: Method, source_run: Path | None, agent: dict[str, Any]) -> list[str]:
    """Options that start from an earlier run: its seeds, and a source budget beyond the agent's own steps."""
    words, seeds = ["--source-run", str(source_run)], agent["seeds"]
    if len(seeds) != DEFAULT_SEEDS or seeds[0]:
        words += ["--seeds", str(len(seeds)), "--seed", str(seeds[0])]
    if row.walks or row.replayed:
        words += ["--source-steps", str(agent["steps"] + max(OWN_STEPS, 2 * row.replayed * DEFAULT_STEPS.target))]
    return words
