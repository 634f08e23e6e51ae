"""What a source policy would return in a target, by the simulator that the steps of a check show."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from transreward.domains.bridged import plain
from transreward.domains.domain import Domain
from transreward.domains.ids import domain
from transreward.evaluation.returns import evaluate
from transreward.identify.identification import Identification
from transreward.preflight.steps import source_policy
from transreward.types import BrokenRun

EPISODES = 10  # in either simulator, from the same initial states


class Forecast(NamedTuple):
    """Mean raw returns of whole episodes of the run's first seed, without exploration."""

    source: float  # in the source
    target: float  # in the source's simulator with what was identified


def forecast(run: Path | None, source: Domain, found: Identification | str, same: bool, seed: int) -> Forecast | None:
    """Of the source policy of a run; it takes no target step. None without a run, where what differs is not known, or
    is a rule of the motors, which no id holds, and where a simulator diverges. `same`: nothing differs."""
    own = plain(source)
    if run is None:
        return None
    if same:
        simulators = [own]
    elif isinstance(found, str) or found.motors is not None:
        return None
    else:
        simulators = [own, domain(found.id)]
    act = source_policy(run, own)
    try:
        each = [evaluate(one, lambda _, obs, __: act(obs), None, [seed], EPISODES).returns for one in simulators]
    except BrokenRun:
        return None
    return Forecast(float(each[0].mean()), float(each[-1].mean()))
