"""How two reward functions differ up to shaping, and in which of their terms.

The distance is EPIC's (Gleave et al. 2021, arXiv:2006.13900): remove shaping, then take the Pearson correlation rho of
the rest, sqrt((1 - rho) / 2): 0 = the same up to scale, constant and shaping; 0.71 = unrelated; 1 = opposed. But EPIC
averages over all triples (s, a, s'), most of which no robot can take and no simulator can pay. Here rewards are
compared on steps that the source took, and shaping is removed by least squares, which leaves the member of the class
with the smallest norm (the minimal canonicalisation of Skalse et al. 2023, arXiv:2309.15257), for potentials that are a
sum of the observation's entries and their squares.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transreward.preflight.steps import Probes

DISCOUNT = 0.99
WIDEST = 60  # entries that a potential may look at: those that move most
NOTHING = 1e-10  # of a reward's mean square, below which the rest is rounding


class TermChange(NamedTuple):
    """A reward term that differs between the tasks for the same steps."""

    term: str
    how: str  # in words


def distance(probes: Probes) -> float:
    """Distance in [0, 1] between the rewards of source and target for the source's steps."""
    rewards = [x.ravel() for x in (probes.reward.source, probes.paid)]
    if np.array_equal(rewards[0], rewards[1]):
        return 0.0
    design = _shaping(probes)
    left = [_without(design, r) for r in rewards]
    norms = [np.linalg.norm(x) for x in left]
    if min(norms) == 0.0:  # one of them asks for nothing
        return 0.0 if max(norms) == 0.0 else float(np.sqrt(0.5))
    alike = float(left[0] @ left[1] / (norms[0] * norms[1]))
    return float(np.sqrt(max(1.0 - alike, 0.0) / 2.0))


def _shaping(probes: Probes) -> np.ndarray:
    """gamma phi(s') - phi(s) of each step, and a constant, [steps, features]; phi = 0 where the task ended."""
    obs = np.repeat(probes.obs[:, None], probes.action.shape[1], axis=1).reshape(-1, probes.obs.shape[1])
    after = obs + probes.change.source.reshape(obs.shape)
    entries = np.argsort(-after.std(axis=0), kind="stable")[:WIDEST]
    entries = entries[after[:, entries].std(axis=0) > 1e-8]
    mean, scale = after[:, entries].mean(axis=0), after[:, entries].std(axis=0)

    def phi(x: np.ndarray) -> np.ndarray:
        z = (x[:, entries] - mean) / scale
        return np.concatenate([z, z**2], axis=1)

    going = ~probes.ends.source.reshape(-1, 1)
    return np.concatenate([DISCOUNT * phi(after) * going - phi(obs), np.ones((len(obs), 1))], axis=1)


def _without(design: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """The part of a reward that no potential explains; exactly 0 where it is rounding."""
    left = reward - design @ np.linalg.lstsq(design, reward, rcond=None)[0]
    return left if (left**2).mean() > NOTHING * (reward**2).mean() else np.zeros_like(left)


def changed_terms(probes: Probes) -> list[TermChange]:
    """Terms that only one of the tasks has, or whose values differ for the same steps; in the source's order."""
    a, b = probes.terms
    found = [TermChange(name, "only the source pays it") for name in a if name not in b]
    found += [TermChange(name, "only the target pays it") for name in b if name not in a]
    for name in a:
        if name in b and not np.array_equal(a[name], b[name]):
            found.append(TermChange(name, _how(a[name].ravel(), b[name].ravel())))
    return found


def _how(a: np.ndarray, b: np.ndarray) -> str:
    factor = float(a @ b / (a @ a)) if (a @ a) > 0 else 0.0
    if np.allclose(b, factor * a, rtol=1e-6, atol=1e-9) and factor:
        return f"the target pays {factor:.4g} times as much"
    return "the target pays it otherwise"
