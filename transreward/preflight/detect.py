"""How well a classifier tells the domains apart by their steps, on held-out ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from transreward.gaps.classifier import Classifier, ClassifierState
from transreward.types import Pair, Spaces, Transition

CLASSIFIER, UPDATES = Classifier(batch=128), 600
RESAMPLES = 200  # of groups, for the interval of the AUC
BINS = 10


@dataclass(frozen=True)
class Detection:
    """Performance of a classifier on steps from held-out states."""

    auc: float  # how often a target step scores above a source step: 0.5 = cannot tell, 1 = always
    interval: tuple[float, float]  # 95%, bootstrap over states
    calibration: float  # expected calibration error of its probabilities after calibration
    uncalibrated: float  # the same before
    held_out: int  # steps


def detect(steps: Pair[Transition], group: Pair[np.ndarray], spaces: Spaces, seed: int = 0) -> Detection:
    """Train on three fifths of the groups, calibrate (Platt 1999) on the fourth, judge on the fifth.

    The AUC is that of the last two, since calibration keeps the order; the calibration error that of the last.
    """
    groups = np.unique(np.concatenate(list(group)))
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(groups)) % 5
    of = group.map(lambda g: fold[np.searchsorted(groups, g)])
    rows = of.map(lambda f: rng.choice(np.flatnonzero(f < 3), (UPDATES, CLASSIFIER.batch)))
    batches = Pair(*(_float32(t, r) for t, r in zip(steps, rows, strict=True)))  # of one shape: compiled once
    state = _train(batches, jax.random.key(seed), spaces)
    score, label, place = _scored(state, steps, of, group)
    fitted, judged = place[0] == 3, place[0] == 4
    slope, offset = platt(score[fitted], label[fitted])
    ends = np.percentile(_resampled(score, label, place[1], seed), [2.5, 97.5])
    return Detection(
        auc(score, label),
        (float(ends[0]), float(ends[1])),
        calibration_error(slope * score[judged] + offset, label[judged]),
        calibration_error(score[judged], label[judged]),
        len(score),
    )


def _float32(t: Transition, rows: np.ndarray) -> Transition:
    return Transition(*(np.asarray(x[rows], np.float32) for x in t))


@partial(jax.jit, static_argnames="spaces")
def _train(batches: Pair[Transition], key: jax.Array, spaces: Spaces) -> ClassifierState:
    def update(state: ClassifierState, xs: tuple[Pair[Transition], jax.Array]) -> tuple[ClassifierState, None]:
        return CLASSIFIER.update(state, *xs)[0], None

    start, key = jax.random.split(key)
    return jax.lax.scan(update, CLASSIFIER.init(start, spaces), (batches, jax.random.split(key, UPDATES)))[0]


def _scored(state, steps, of, group) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Scores and labels (1 = target) of held-out steps, their folds and their groups."""
    scores, labels, folds, groups = [], [], [], []
    for label, (t, fold, g) in enumerate(zip(steps, of, group, strict=True)):
        rows = fold >= 3
        scores.append(np.asarray(CLASSIFIER.score(state, _float32(t, rows)), float))
        labels.append(np.full(int(rows.sum()), float(label)))
        folds.append(fold[rows])
        groups.append(g[rows])
    return np.concatenate(scores), np.concatenate(labels), (np.concatenate(folds), np.concatenate(groups))


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """P(score of a target step > of a source step) + P(equal) / 2: Mann and Whitney's U over n m."""
    n = int(label.sum())
    m = len(label) - n
    return float((rankdata(score)[label == 1].sum() - n * (n + 1) / 2) / (n * m)) if n and m else 0.5


def _resampled(score: np.ndarray, label: np.ndarray, group: np.ndarray, seed: int) -> list[float]:
    """The AUC with resampled groups, since the steps of one state are not independent."""
    rng, names = np.random.default_rng(seed), np.unique(group)
    members = [np.flatnonzero(group == name) for name in names]
    draws = (rng.integers(len(names), size=len(names)) for _ in range(RESAMPLES))
    picked = (np.concatenate([members[i] for i in draw]) for draw in draws)
    return [auc(score[rows], label[rows]) for rows in picked]


def platt(score: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """(slope, offset) of the logistic regression of label on score, with Platt's softened labels."""
    n, centre, scale = label.sum(), score.mean(), score.std() + 1e-6
    soft = np.where(label == 1, (n + 1) / (n + 2), 1 / (len(label) - n + 2))
    x = np.stack([(score - centre) / scale, np.ones_like(score)], axis=1)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w
        return float((np.logaddexp(0.0, z) - soft * z).mean()), x.T @ (_sigmoid(z) - soft) / len(z)

    slope, offset = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    return float(slope / scale), float(offset - slope * centre / scale)


def calibration_error(logit: np.ndarray, label: np.ndarray) -> float:
    """Expected calibration error: mean distance between the probability and the share of target steps, over tenths of
    the steps."""
    order = np.random.default_rng(0).permutation(len(logit))  # or ties would be sorted by label
    p, label = _sigmoid(logit[order]), label[order]
    parts = np.array_split(np.argsort(p, kind="stable"), BINS)
    return float(sum(len(i) * abs(p[i].mean() - label[i].mean()) for i in parts if len(i)) / len(p))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))
