"""What a robot is paid for, told from its steps: its reward as a weighted sum of the terms that its simulator has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from transreward.domains import robots
from transreward.domains.domain import TableRobot
from transreward.domains.tasks import Task
from transreward.identify.evidence import held_out
from transreward.types import Transition

ENOUGH = 0.9  # share of the reward's variance that has to be explained on held-out steps
SURE = 3.0  # standard errors; and a weight is not told apart from 0 or 1 by less than
APART = 0.02


class Pay(NamedTuple):
    """What the steps of a robot show about its reward."""

    tasks: tuple[Task, ...]  # with which its simulator pays alike
    explained: float  # of the reward's variance, in [0, 1], on held-out steps; of one that does not vary of the steps


def pay_of(simulator: TableRobot, seeds: list[int], t: Transition) -> Pay:
    """The tasks of the robot of `simulator`, which can be put into a state, that pay for steps [seeds, n, ...] as the
    robot was paid. Its own where these explain enough; otherwise weights of its terms, those beside its own as well.

    Least squares over the steps of all seeds. A weight that is not surely another is 1, or 0 where the term is none of
    its own.
    """
    rows, known, own, stored = retaken(simulator, seeds, t)
    reward, own, stored = rows.reward[known], own[known], stored[known]
    held = held_out(len(reward))
    if not held.any():
        return Pay(simulator.tasks, 0.0)

    def explained(paid: np.ndarray) -> float:
        left, varied = np.mean((reward - paid)[held] ** 2), np.var(reward[held])
        if not varied > 0:  # such as a reward for standing: the share of the steps that are paid alike
            return float(np.isclose(paid[held], reward[held], rtol=1e-5, atol=1e-6).mean())
        return float(np.clip(1.0 - left / varied, 0.0, 1.0))

    as_before = Pay(simulator.tasks, explained(own))
    if as_before.explained >= ENOUGH or simulator.robot.placed:  # which other tasks would take the place's columns from
        return as_before
    row = robots.row(simulator.robot.name)
    names = [name for name in (*row.terms, *row.more) if name in simulator.stored_terms]
    terms = stored[:, [simulator.stored_terms.index(name) for name in names]]
    usual = np.array([float(name in row.terms) for name in names])
    weights = told(terms[~held], reward[~held], usual)
    other = tuple((n, float(w)) for n, w, u in zip(names, weights, usual, strict=True) if w != u)
    found = Pay((Task("terms", other),) if other else (), explained(terms @ weights))
    return found if found.explained >= ENOUGH and weights.any() else as_before


def retaken(
    simulator: TableRobot, seeds: list[int], t: Transition
) -> tuple[Transition, np.ndarray, np.ndarray, np.ndarray]:
    """Steps [seeds, n, ...] as rows, whether the simulator can be put where each began, and what it is paid and stores
    for each: [rows] and [rows, terms]."""
    rows = seeds_in_turn(t)
    simulation = simulator.simulate(len(rows.reward), seeds)
    simulation.storing = True
    known = simulation.put(rows.obs)
    own = simulation.step(rows.action).reward
    return rows, known, own, simulation.stored


def seeds_in_turn(t: Transition) -> Transition:
    """Steps [seeds, ...] as rows, one seed after the other, in float64."""
    lead = np.ndim(t.reward)
    return Transition(*(np.asarray(x, float).reshape(-1, *np.shape(x)[lead:]) for x in t))


def told(terms: np.ndarray, reward: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Weights [terms] with which terms [n, terms] add up to the reward [n], by least squares; the `usual` ones where
    the steps do not tell another for sure."""
    weights, open_ = usual.copy(), terms.std(axis=0) > 0
    while open_.any():
        x, rest = terms[:, open_], reward - terms[:, ~open_] @ weights[~open_]
        found, *_ = np.linalg.lstsq(x, rest, rcond=None)
        noise = np.var(rest - x @ found)
        doubt = np.maximum(SURE * np.sqrt(noise * np.diag(np.linalg.pinv(x.T @ x))), APART)
        close = np.abs(found - usual[open_]) / doubt
        weights[open_] = [float(f"{w:.3g}") if abs(w) > d else 0.0 for w, d in zip(found, doubt, strict=True)]
        if close.min() > 1.0:
            return weights
        at = np.flatnonzero(open_)[close.argmin()]  # the one that is most surely the usual, and then again
        weights[at], open_[at] = usual[at], False
    return weights
