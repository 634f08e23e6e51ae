"""A log as a slower robot would have taken it: several of its steps as one."""

from __future__ import annotations

import numpy as np

from transreward.domains.logs.clock import differ
from transreward.domains.logs.log import Log
from transreward.types import RequestError

SAME = 1e-6  # of an action's range: a motor that keeps its command


def slower(log: Log, rate: float) -> tuple[Log, float]:
    """The log with a whole part of its own control steps a second, the one that is near `rate`, and the share of the
    new steps in which the action changed: there it is the mean of those that were commanded, and no robot of that rate
    did quite that.

    Rewards are added up. Steps that fill no step of the new ones are left out: at the end of an episode that was cut
    off, and at the beginning of one that terminated.

    Raises:
        RequestError: the log's rate is not known, or no multiple of `rate`; no episode is long enough.
    """
    if log.rate is None:
        raise RequestError(f"log {log.source} does not say its rate, so how many of its steps make one is not known")
    if rate > log.rate and differ(log.rate, rate):
        raise RequestError(f"log {log.source} has {log.rate:g} steps a second: a slower log cannot be made faster")
    many = round(log.rate / rate)
    if many < 1 or differ(log.rate, many * rate):
        raise RequestError(f"log {log.source} has {log.rate:g} steps a second, which is no multiple of {rate:g}")
    if many == 1:
        return log, 0.0
    lengths, first = np.bincount(log.episode), log.begins
    last = first + lengths - 1
    spare = np.where(log.terminated[last], lengths % many, 0)  # so that the step that terminated is in the last one
    starts = [np.arange(a + s, b - many + 2, many) for a, s, b in zip(first, spare, last, strict=True)]
    at = np.concatenate(starts)
    if not len(at):
        raise RequestError(f"log {log.source}: no episode has {many} steps, which make one of {rate:g} Hz")
    ends = at + many - 1
    within = at[:, None] + np.arange(many)  # [steps, many]
    actions = log.action[within]
    changed = np.ptp(actions, axis=1) > SAME * np.ptp(log.action, axis=0)
    over = np.append(np.diff(log.episode[at]) != 0, True)
    lost = None if log.missing is None else np.add.reduceat(log.missing, at)
    taken = Log(
        log.obs[at], actions.mean(axis=1), log.reward[within].sum(axis=1), log.next_obs[ends], log.terminated[ends],
        over & ~log.terminated[ends], log.source, log.dropped, log.rewarded, log.rate / many,
        None if log.time is None else log.time[at], lost, log.names, log.dropped_ends,
        spare=log.spare + len(log) - within.size,
    )  # fmt: skip
    return taken, float(changed.any(axis=1).mean())
