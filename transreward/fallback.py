"""Never worse than the source policy: which candidate acts in a target episode, and which one is delivered.

The candidates of a run are the source policy and the policies at the ends of its stages. What is known of each is a
normal belief about its return in the target: from the episodes that it acted in, which the budget has paid for anyway,
and before them from what the identified simulator expects, shrunk by the share of the difference that is explained. A
test by further evaluation episodes would not fit: two policies that differ by one standard deviation of their returns
need five or six episodes each.

Kin: Bayesian optimisation over policies with a simulated prior (arXiv:2202.05843), commitment to whole episodes as in
AC-Teach (arXiv:1909.04121), conservative bandits (arXiv:1602.04282), optimistic Thompson sampling (May et al. 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SOURCE = "source"  # the candidate that every run with a fallback has; of several sources the first word of each one's
EPISODES = 2  # of the source policy, before anything else acts in the target
BOUND = -0.8416  # normal quantile, of 0.2: a candidate is delivered by this lower bound of its lead
MEMORY = 0.25  # share of the target steps so far after which an episode of a policy that still learns counts half
MARGIN = 0.02  # of the delivered candidate's lower bound, by which another has to be better to go on
SPREAD = 0.3  # prior standard deviation of the return of a policy that nothing is known of: see `_open`
LEAST = 0.02  # of the source policy's return: least doubt of a lead that a simulator expects
NOISE, NOISE_EPISODES = 0.1, 2.0  # prior standard deviation of one episode's return, in `scale`s, and what it weighs


class Episode(NamedTuple):
    """A finished target episode."""

    who: str  # the candidate that acted in all of it
    total: float  # raw return
    at: int  # target steps of its seed when it ended


class Belief(NamedTuple):
    """Normal beliefs about returns in the target, [candidates] each, the source policy first.

    Others are compared with it: their doubt is about their lead over it, and its own return is what it is. Below the
    mean it is `down`: one that has acted may since have won back what the source policy lost on the way, but has lost a
    share of its own return at most.
    """

    mean: np.ndarray
    sd: np.ndarray
    down: np.ndarray

    @property
    def low(self) -> np.ndarray:
        """By which a candidate is delivered."""
        return self.mean + BOUND * _of_lead(self.down)

    @property
    def high(self) -> np.ndarray:
        """The upper bound of as much probability."""
        return self.mean - BOUND * _of_lead(self.sd)


def _of_lead(doubt: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], doubt[1:]])


def of_source(name: str) -> bool:
    """Whether a candidate is the policy of a source, which was trained before any target step."""
    return name.partition(" ")[0] == SOURCE


def opening(target_steps: int, episode_steps: int, sources: int = 1) -> int:
    """Target steps that the source policies take first: `EPISODES` whole episodes' worth, or one of each of more
    `sources`, as long as that is half of the budget at most; one where the budget has fewer than four, and half of a
    budget of less than two."""
    for episodes in range(max(EPISODES, sources), EPISODES - 1, -1):
        if target_steps >= 2 * episodes * episode_steps:
            return episodes * episode_steps
    return min(episode_steps, -(-target_steps // 2))


def expected(simulated: np.ndarray, explained: float, reach: float | None = None) -> Belief:
    """What an identified simulator expects: `simulated` returns [candidates, episodes], the source policy's first, in
    a simulator that explains so much of what differs, in [0, 1].

    All began alike, so that episodes are compared one by one. The lead over the source policy is believed for the
    explained share. Where nothing is explained there is as much doubt as of a policy that nothing is known of; where
    the share is e, sqrt(1 - e) of that: what is not explained is a share of a squared error. `reach` as in `beliefs`.
    """
    apart, share = simulated - simulated[0], min(max(explained, 0.0), 1.0)
    lead, error = apart.mean(axis=1), apart.std(axis=1) / np.sqrt(simulated.shape[1])
    base, scale = simulated[0].mean(), np.abs(simulated[0]).mean()
    doubt = np.hypot(max(np.sqrt(1.0 - share) * _open(base, scale, reach), LEAST * scale), share * error)
    return Belief(base + share * lead, doubt, doubt)


def beliefs(
    episodes: Sequence[Episode],
    names: Sequence[str],
    learning: str | None,
    prior: Belief | None,
    now: int,
    reach: float | None = None,
) -> Belief:
    """What is known of the candidates `names` after `now` target steps of one seed. The first is the source policy.

    The episodes of the candidate that is `learning` fade, since its policy changes, and its doubt grows back as they
    do, up to that of a policy that nothing is known of. Without a `prior` from a simulator every other candidate is
    believed to be like the source policy, with much doubt. `reach` is what the source policy returns in the source.
    """
    returns = [np.array([e.total for e in episodes if e.who == name]) for name in names]
    base = returns[0].mean() if returns[0].size else 0.0 if prior is None else prior.mean[0]
    scale = np.abs(returns[0]).mean() if returns[0].size else abs(base)
    noise = _noise([r for r in returns if r.size], scale)
    unknown = _open(float(base), float(scale), reach)
    own = noise**2 / returns[0].size if returns[0].size else unknown**2
    means, sds = np.full(len(names), float(base)), np.full(len(names), unknown)
    if prior is not None:
        means, sds = base + prior.mean - prior.mean[0], prior.sd.copy()
    sds[0] = np.sqrt(own)
    downs = sds.copy()
    for i, name in enumerate(names[1:], 1):
        acted = [e for e in episodes if e.who == name]
        if not acted:
            continue
        ages = np.array([now - e.at for e in acted]) / max(MEMORY * now, 1.0)
        weight = 0.5**ages if name == learning else np.ones(len(acted))
        since = 1 - weight @ weight / weight.sum()  # what is no longer told of a policy that has learned since
        found = weight @ returns[i] / weight.sum()
        lost = min(unknown, SPREAD * max(float(scale), abs(found)))
        sure = noise**2 / weight.sum() + own
        known, told = _precision(sds[i]), _precision(np.sqrt(sure + since * unknown**2))
        means[i] = (known * means[i] + told * found) / (known + told)
        sds[i] = (known + told) ** -0.5
        downs[i] = (_precision(downs[i]) + _precision(np.sqrt(sure + since * lost**2))) ** -0.5
    return Belief(means, sds, downs)


def _precision(sd: float) -> float:
    return max(sd, 1e-12) ** -2  # returns may all be 0


def _open(base: float, scale: float, reach: float | None) -> float:
    """Standard deviation of the return of a policy that nothing is known of: a share of what the source policy returns
    in the target, or of what it lost on the way from the source where that is more, since another may win it back."""
    return SPREAD * (scale if reach is None else max(scale, abs(reach - base)))


def _noise(returns: list[np.ndarray], scale: float) -> float:
    """Standard deviation of an episode's return within a candidate, pooled over all, with a prior."""
    squares = sum(float(((r - r.mean()) ** 2).sum()) for r in returns)
    freedom = sum(r.size - 1 for r in returns)
    return float(np.sqrt((NOISE_EPISODES * (NOISE * scale) ** 2 + squares) / (NOISE_EPISODES + freedom)))


def drawn(belief: Belief, random: np.random.Generator) -> int:
    """The candidate that acts in the next episode: a Thompson draw, optimistic for all but the source policy. Of that
    another episode would teach the least, so that it acts where all others are drawn below what it is believed to
    return: a policy that never acted, and is believed to be like it, acts at once."""
    draws = np.maximum(belief.mean + belief.sd * random.standard_normal(len(belief.mean)), belief.mean)
    draws[0] = belief.mean[0]
    return len(draws) - 1 - int(np.argmax(draws[::-1]))  # of equals the latest


def best(belief: Belief) -> int:
    """The candidate whose lower bound is the largest; of equals the first, which is the source policy."""
    return int(np.argmax(belief.low))


def enough(who: str, sure: bool) -> int:
    """Target episodes after which the return of candidate `who` may be believed: one of the source policy, or where it
    is `sure` that the simulator is the target, since that shows how far a policy's episodes are apart. Else two: what
    fails in every other episode of the target may do so in none of the simulator's."""
    return 1 if of_source(who) or sure else 2


def decided(belief: Belief, tested: bool) -> bool:
    """Whether another episode could hardly change what is delivered: it was `tested` often enough on the target, and no
    other candidate's upper bound exceeds its lower bound by `MARGIN`."""
    i, low = best(belief), belief.low
    others = np.delete(belief.high, i)
    return tested and bool((others <= low[i] + MARGIN * abs(low[i])).all())
