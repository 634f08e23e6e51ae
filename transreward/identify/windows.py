"""Parameters where observations are noisy: short windows of steps, each from a first state that is fitted, too.

A one-step residual begins at a noisy observation, and a fit to such residuals is biased (errors in variables): it takes
noise for friction. Here each window is simulated from an unknown first state, and Gauss and Newton's steps are taken in
the parameters and in all first states at once (multiple shooting: Bock 1981); a window's state is solved for first, so
that what each says of the parameters stays apart. That makes windows the blocks of a bootstrap, and their residuals an
estimate of the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from transreward.identify.evidence import Evidence
from transreward.identify.problem import Problem
from transreward.identify.uncertainty import half_width

LENGTH = 4  # control steps of a window: in longer ones contacts make too many local minima
MOST = 200  # windows
TURNS = 15
STEP = 0.1  # of an entry's noise: finite differences by its first state
SLOPE = 3e-3  # the same by a parameter, as the fit moves it
SMALL, STALL = 1e-3, 0.998  # of a parameter's move, and of what windows leave after a turn: less than that is the end
NEAR, CLOSE = 0.5, 3e-3  # noise of a first state, and a parameter's move, within which derivatives stay as they are
# Windows drawn anew do not show that a contact which goes another way pulls all of them in one direction.
WIDER = 3.0
FAR = 4.0  # windows that are this many times as bad as the median count less: a contact went another way


@dataclass(frozen=True)
class Shot:
    """What a fit to windows found."""

    values: np.ndarray  # [parameters]
    noise: np.ndarray  # [entries], standard deviation
    first: np.ndarray  # states, [windows, entries]
    off: np.ndarray  # simulated less observed states, [windows, length + 1, entries]
    spans: dict[int, tuple[float, float]]  # chosen parameter -> its 95% interval

    def of(self, which: np.ndarray) -> Shot:
        """What it is of some of the windows, [count] bool."""
        return replace(self, first=self.first[which], off=self.off[which])


class Windows:
    """`count` windows that do not overlap, at most `MOST`, of steps that follow on one another."""

    def __init__(self, problem: Problem, evidence: Evidence, length: int = LENGTH) -> None:
        simulator = problem.simulator
        good = evidence.known & simulator.shown(evidence.obs) & simulator.shown(evidence.next_obs)
        starts, at, done = [], 0, 0  # a window from `at` on, of which the rows before `done` are
        while at + length <= evidence.n and done < evidence.n:
            if not good[done]:
                at = done + 1
            elif done > at and not evidence.follows[done]:
                at = done
            done += 1
            if done - at == length:
                starts.append(at)
                at = done
        starts = starts[:: -(-len(starts) // MOST) or 1]
        self.count, self.length, self.problem = len(starts), length, problem
        first = np.array(starts, int)
        self.rows = [evidence.take(first + k) for k in range(length)]

    def of(self, which: np.ndarray) -> Windows:
        """Some of them, [count] bool."""
        some = copy(self)
        some.count, some.rows = int(which.sum()), [rows.take(which) for rows in self.rows]
        return some

    def observed(self, values: np.ndarray) -> np.ndarray:
        """What a variant `values` [parameters] makes of the observations, [count, length + 1, entries]."""
        simulator = self.problem.simulator
        (variant,) = simulator.family.variants(values[None], exact=False)
        obs = [self.rows[0].obs, *(rows.next_obs for rows in self.rows)]
        return np.stack([simulator.unbiased(variant, x) for x in obs], axis=1)

    def simulated(self, values: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Paths of variants `values` [m, parameters] from `first` [m, count, entries], [m, count, length + 1,
        entries]."""
        path, simulator = [first], self.problem.simulator
        different, which = np.unique(values, axis=0, return_inverse=True)
        made = simulator.family.variants(different)
        variants = [made[i] for i in which.reshape(-1)]
        for rows in self.rows:
            path.append(simulator.ahead(variants, path[-1], rows))
        return np.stack(path, axis=2)


@dataclass(frozen=True)
class Equations:
    """Gauss and Newton's equations, window by window, with derivatives that were taken where they are or near it."""

    off: np.ndarray  # simulated less observed states, [count, length + 1, width]
    noise: np.ndarray  # [width]
    by_state: np.ndarray  # derivatives of what is off by the first state, [count, residuals, width]
    by_parameter: np.ndarray  # and by each parameter, as the fit moves it, [count, residuals, free]
    first: np.ndarray  # states in which the derivatives were taken, [count, width]
    at: np.ndarray  # with which parameters, [free]

    @property
    def cost(self) -> np.ndarray:
        """Of each window, [count]."""
        return np.asarray(((self.off / self.noise) ** 2).mean(axis=(1, 2)))

    @property
    def weight(self) -> np.ndarray:
        """How much each window counts, [count]: less if far worse than the median, as where a contact was missed."""
        return np.minimum(1.0, FAR * np.median(self.cost) / self.cost)

    def scaled(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is off, [count, residuals], and both derivatives, in each entry's noise, as the first state is."""
        count, times, _ = self.off.shape
        rows = np.tile(self.noise, times)
        a, b = (x / rows[:, None] for x in (self.by_state * self.noise, self.by_parameter))
        return self.off.reshape(count, -1) / rows, a, b

    def stale(self, first: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Of which windows the derivatives are no longer those of a `first` state and parameters `at`, [count] bool."""
        moved = np.abs((first - self.first) / self.noise).max(axis=1) > NEAR
        return moved | (np.abs(at - self.at).max(initial=0) > CLOSE)

    def solved(self, weight: np.ndarray, damping: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Moves of the parameters [free] and of first states [count, width], and each window's own part of the reduced
        equations: information [count, free, free] and gradient [count, free]. `damping` [count] of first states."""
        r, a, b = self.scaled()
        normal = np.einsum("wri,wrj->wij", a, a) + damping[:, None, None] * np.eye(a.shape[2])
        right = np.concatenate([np.einsum("wri,wr->wi", a, r)[..., None], np.einsum("wri,wrk->wik", a, b)], axis=2)
        solved = np.linalg.solve(normal, right)
        ab = right[..., 1:]
        information = np.einsum("wrk,wrl->wkl", b, b) - np.einsum("wik,wil->wkl", ab, solved[..., 1:])
        gradient = np.einsum("wrk,wr->wk", b, r) - np.einsum("wik,wi->wk", ab, solved[..., 0])
        whole = np.tensordot(weight, information, 1)
        move = -np.linalg.lstsq(whole, weight @ gradient, rcond=1e-12)[0]
        states = -(solved[..., 0] + solved[..., 1:] @ move) * self.noise
        return move, states, information, gradient


class Shooting:
    """A fit of the chosen parameters to windows."""

    def __init__(self, windows: Windows, chosen: Sequence[int]) -> None:
        self.windows, self.problem = windows, windows.problem
        self.free = [i for i in chosen if not self.problem.parameters[i].counts]

    def off(self, path: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Simulated less observed states."""
        return self.problem.simulator.turned(path - seen)

    def run(self, values: np.ndarray, first: np.ndarray | None = None) -> Shot:
        """From `values` [parameters] and first states [windows, entries] on, as observed unless given. A window whose
        state does not improve keeps the one it has."""
        windows, problem = self.windows, self.problem
        first = windows.observed(values)[:, 0] if first is None else first
        equations = self.linear(values, first, self._first_noise(values, first))
        damping, fresh = np.full(windows.count, 0.1), True  # whether all derivatives were taken where it is
        for turn in range(TURNS):
            cost, noise = equations.cost, equations.noise
            enough = FAR * np.median(cost)
            move, states, *_ = equations.solved(equations.weight, damping)
            trial = self._bounded(values, problem.at(values, self.free) + move)
            off, both = self._tried([trial, trial, values], [first, first + states, first + states], noise)
            moved, stayed = np.minimum(both[0], both[1]), np.minimum(cost, both[2])
            ahead = np.minimum(moved, enough).sum() < np.minimum(stayed, enough).sum()
            better = both[1] < both[0] if ahead else both[2] < cost
            damping = np.where(better, damping / 4, damping * 4).clip(1e-6, 1e6)
            first = np.where(better[:, None], first + states, first)
            found = np.where(better[:, None, None], off[1 if ahead else 2], off[0] if ahead else equations.off)
            values = trial if ahead else values
            now = moved if ahead else stayed
            noise = self._noise(found[now <= FAR * np.median(now)])
            stalls = np.minimum(now, enough).sum() > STALL * np.minimum(cost, enough).sum()
            if stalls and turn > 2 and fresh and (not ahead or np.abs(move).max(initial=0) < SMALL):
                break
            fresh = bool(stalls)
            equations = (
                self.linear(values, first, noise)
                if fresh
                else self._renewed(replace(equations, off=found, noise=noise), values, first)
            )
        return self._shot(values, first, self.linear(values, first, noise))

    def _renewed(self, equations: Equations, values: np.ndarray, first: np.ndarray) -> Equations:
        """With derivatives taken anew for the windows that have moved since: many stay long before the last does."""
        stale = equations.stale(first, self.problem.at(values, self.free))
        if not stale.any():
            return equations
        new = Shooting(self.windows.of(stale), self.free).linear(values, first[stale], equations.noise)
        both = {name: getattr(equations, name).copy() for name in ("by_state", "by_parameter", "first")}
        for name, array in both.items():
            array[stale] = getattr(new, name)
        return replace(equations, at=new.at if stale.all() else equations.at, **both)

    def linear(self, values: np.ndarray, first: np.ndarray, noise: np.ndarray) -> Equations:
        """The equations at parameters `values` and first states [windows, entries], by finite differences."""
        windows, problem, width = self.windows, self.problem, first.shape[1]
        h, at = STEP * noise, problem.at(values, self.free)
        moved = [problem.moved(values, [i], at[j : j + 1, None] + SLOPE)[0] for j, i in enumerate(self.free)]
        variants = np.stack([*[values] * (1 + width), *moved])
        firsts = np.repeat(first[None], len(variants), axis=0)
        firsts[1 : 1 + width] += np.eye(width)[:, None] * h
        path = windows.simulated(variants, firsts)
        seen = windows.observed(values)
        near = np.stack([self.off(p, seen) for p in path[: 1 + width]])
        flat = near.reshape(len(near), windows.count, -1)
        by_state = (flat[1:] - flat[0]) / h[:, None, None]
        far = [self.off(p, windows.observed(v)) for p, v in zip(path[1 + width :], moved, strict=True)]
        by_parameter = (np.reshape(far, (len(far), *flat.shape[1:])) - flat[0]) / SLOPE
        return Equations(near[0], noise, by_state.transpose(1, 2, 0), by_parameter.transpose(1, 2, 0), first, at)

    def _tried(
        self, values: list[np.ndarray], first: list[np.ndarray], noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Differences [m, count, length + 1, entries] of variants from their first states, and costs [m, count]."""
        path = self.windows.simulated(np.stack(values), np.stack(first))
        off = np.stack([self.off(p, self.windows.observed(v)) for p, v in zip(path, values, strict=True)])
        return off, ((off / noise) ** 2).mean(axis=(2, 3))

    def _noise(self, off: np.ndarray) -> np.ndarray:
        """Of each entry, from the differences [windows, length + 1, entries] of a fit that took up one of them."""
        share = (self.windows.length + 1) / self.windows.length
        return np.maximum(np.sqrt((off**2).mean(axis=(0, 1)) * share), 1e-9 * self.problem.spread_of_states)

    def _shot(self, values: np.ndarray, first: np.ndarray, equations: Equations) -> Shot:
        weight = equations.weight
        *_, information, gradient = equations.solved(weight, np.full(len(weight), 1e-9))
        spans = {}
        if self.free:
            half, at = WIDER * half_width(information, gradient, weight), self.problem.at(values, self.free)
            low, high = (self._bounded(values, at + sign * half) for sign in (-1, 1))
            spans = {i: (float(low[i]), float(high[i])) for i in self.free}
        return Shot(values, equations.noise, first, equations.off, spans)

    def _bounded(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        return self.problem.moved(values, self.free, x.clip(*self.problem.bounds(self.free))[None])[0]

    def _first_noise(self, values: np.ndarray, first: np.ndarray) -> np.ndarray:
        """From one step's residuals, of which the states on both sides are noisy."""
        simulator = self.problem.simulator
        found = simulator.ahead(simulator.family.variants(values[None]), first[None], self.windows.rows[0])[0]
        off = self.off(found, self.windows.observed(values)[:, 1])
        share = np.sqrt(np.median((off / self.problem.spread_of_states) ** 2) / 2)
        return np.maximum(share, 1e-9) * self.problem.spread_of_states
