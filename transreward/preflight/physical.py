"""What differs physically in a pair that is checked: read off the steps that the check has taken, or off logs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from transreward.domains.difference import bodies, one_body
from transreward.domains.domain import Domain
from transreward.identify.evidence import COMMANDS, Evidence, of_walks
from transreward.identify.identification import Identification
from transreward.identify.identified import Watch, identifiable, identified
from transreward.preflight.identify import Paths, of_logs, read
from transreward.preflight.steps import WALKERS, Probes
from transreward.types import Pair, RequestError, Transition

HELD = 5  # of so many states in which steps were taken, the steps of the last are held out


def physical(pair: Pair[Domain], probes: Probes, watch: Watch = nullcontext) -> Identification | str:
    """What differs by the target's steps of `probes`; why that cannot be said where it cannot. Takes no step."""
    if _late(pair):
        return (
            "one of the two acts or sees later than the other, which single steps from given states do not tell from "
            "motors that make no force: ask `transreward identify`, whose steps follow on one another"
        )
    try:
        robot = identifiable(pair.source)
        told = _single(probes) if one_body(pair.source, pair.target) else _walked(probes)
        return identified(robot, told, watch)
    except RequestError as error:
        return str(error)


def _late(pair: Pair[Domain]) -> bool:
    """Whether two of one body act or see late by different numbers of steps: what was commanded had not arrived yet."""
    both = [robot.physics for robot in bodies(pair.source, pair.target) or ()]
    return len({(physics.delay, physics.sensor_delay) for physics in both}) > 1


def of_recorded(source: Domain, logs: Paths | Sequence[Paths], watch: Watch = nullcontext) -> Identification:
    """What differs by logs of the target, for a check that has nothing else of it.

    Raises:
        RequestError: as `identify` does, and where something differs that no parameter describes.
    """
    robot = identifiable(source)
    found = identified(robot, of_logs(robot, read(logs)), watch)
    if found.remains and not found.named:
        shown = ", ".join(name for name, _ in found.remains[:3])
        raise RequestError(
            f"what differs in these logs is no parameter that is looked for (it shows most in {shown}), so no "
            f"simulator can stand for the target: name the target itself"
        )
    return found


def unshifted(found: Identification | str) -> int:
    """Of how many of the target's steps the source's simulator knows where they led; 0: not of all."""
    if isinstance(found, str) or found.named or found.remains:
        return 0
    return found.target_steps


def limits(found: Identification) -> tuple[str, ...]:
    """What a check does not know where logs are all that there is of a target."""
    share = (
        f"with what the logs show (it explains {found.explained:.1%} of what differs)" if found.named else "as it is"
    )
    said = (
        f"The target took no step: the source's simulator {share} stands for it, in the command to run next, too, and "
        f"the source's task for its task."
    )
    if not found.remains:
        return (said,)
    shown = ", ".join(name for name, _ in found.remains[:3])
    return said, f"What that does not explain (most in {shown}) is in no figure here."


def _single(probes: Probes) -> Evidence:
    """Single steps from given states: the action acted before it, too, however late the target's motors are."""
    t, group = probes.steps.target, probes.group.target
    n = len(t.obs)
    commanded = np.repeat(np.asarray(t.action, float)[None], COMMANDS, axis=0)
    known, follows, held = np.ones(n, bool), np.zeros(n, bool), group % HELD == HELD - 1
    return Evidence(t.obs, commanded, t.next_obs, t.reward, known, follows, held)


def _walked(probes: Probes) -> Evidence:
    """The walks of several robots, one after the other."""
    return of_walks(Transition(*(x.reshape(-1, WALKERS, *x.shape[1:]) for x in probes.steps.target)))
