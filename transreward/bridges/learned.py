"""A map between robots that is found in their steps: which column and motor of the one moves as one of the other does.

Both robots' steps are fitted by a linear model, in units of the columns' spreads:

    (s' - s) / spread of it = A s + B a,    C = correlations of s,    r = c s + d a

A signed matching X of columns and Y of motors is wanted under which the source's model is the target's,

    A_T = X A_S X',    B_T = X B_S Y',    C_T = X C_S X',    c_T = X c_S,    d_T = Y d_S

and is improved by turns, each time the best assignment of columns given that of motors and the columns of before, from
several beginnings: the first by what no sign changes (spreads, kurtosis), the others by that and noise. The best of
them is polished by exchanges of two columns, and shaken a few times. It is the idea of MASTER (Taylor, Kuhlmann and
Stone 2008), which tries all mappings and keeps the one whose model errs least.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from transreward.bridges.bridge import Bridge, Columns, Crossing, Side, led_to
from transreward.bridges.match import Parts, Shows, crossing, kind
from transreward.types import UNKNOWN, Entry, RequestError, Transition

LEARNED = "learned"  # a bridge, with the file of the target's steps in brackets
STARTS, TURNS, KICKS = 40, 30, 12
WIDE = 60  # columns, from which on nothing is polished: it would take minutes
ALIKE = 0.3  # weight of what no sign changes
NEVER = 1e6  # cost of a pair that cannot be: their units differ
UNLIKE = 0.5  # share of the target's model that a matching may leave
LEAST = 200  # steps for each number that a column's model has


class Model(NamedTuple):
    """How a robot moves, in units of spreads."""

    drift: np.ndarray  # [obs, obs]: A
    push: np.ndarray  # [obs, action]: B
    alike: np.ndarray  # [obs, obs]: C
    pay: np.ndarray  # [obs]: c
    price: np.ndarray  # [action]: d
    skew: np.ndarray  # [obs]
    even: np.ndarray  # [obs, figures]: what no sign changes
    moves: np.ndarray  # [obs] bool: columns that vary


class Found(NamedTuple):
    """A signed matching; the cost is the squares that it leaves."""

    columns: np.ndarray  # [obs of the target, obs of the source] of -1, 0 and 1: X
    motors: np.ndarray  # [action of the target, action of the source]: Y
    cost: float
    share: float = 0.0  # of the target's model that is left


@dataclass(frozen=True, eq=False)
class Learned(Bridge):
    """A bridge to another robot from steps that each has taken: `steps` gives those of the two."""

    name: str
    steps: Callable[[Side, Side], tuple[Transition, Transition]]
    known: dict[tuple[str, str], Crossing] = field(default_factory=dict)  # by names, since a run asks several times

    def match(self, own: Side, other: Side) -> Parts:
        """Raises RequestError: columns and motors are matched, and no parts."""
        raise RequestError(f"the bridge '{self.name}' has no parts that could be cloned or shuffled")

    def doubts(self, own: Side, other: Side) -> list[tuple[str, str]]:
        """None is known."""
        return []

    def across(self, robot: Side, other: Side | None = None) -> Crossing:
        """See `Bridge`."""
        other = led_to(self.name, other)
        names = robot.name, other.name
        if names not in self.known:
            self.known[names] = self._learned(robot, other)
        return self.known[names]

    def _learned(self, robot: Side, other: Side) -> Crossing:
        own, shown = Columns.of(robot), Columns.of(other)
        sides = zip(self.steps(robot, other), (own, shown), strict=True)
        ours, theirs = (modelled(self.name, t, [e.name for e in side.action_entries]) for t, side in sides)
        able = _able(own.entries, shown.entries), _able(own.action_entries, shown.action_entries)
        found = matched(ours, theirs, *able)
        if not found.motors.any():
            raise RequestError(f"the bridge '{self.name}': no motor of {other.name} moves as one of {robot.name} does")
        if found.share > UNLIKE:
            raise RequestError(
                f"the bridge '{self.name}': {robot.name} moves too unlike {other.name}, of which the best matching "
                f"explains {1 - found.share:.0%}, and {1 - UNLIKE:.0%} are wanted: take kinematic, or write a map"
            )
        return crossing(own, shown, _shows(found.columns), _shows(found.motors))


def modelled(name: str, t: Transition, motors: Sequence[str]) -> Model:
    """The linear model of steps [n]. Raises RequestError for too few, and for a motor that was never moved."""
    s, a, r, n = (np.asarray(x, np.float64) for x in (t.obs, t.action, t.reward, t.next_obs))
    wanted = LEAST + 10 * (s.shape[1] + a.shape[1])
    if len(s) < wanted:
        raise RequestError(f"the bridge '{name}': {len(s):,} steps are too few to learn from: give {wanted:,} or more")
    if still := [motor for motor, spread in zip(motors, a.std(axis=0), strict=True) if spread < 1e-6]:
        raise RequestError(
            f"the bridge '{name}': the motor '{still[0]}' always does the same: let it vary in the steps"
        )
    x, mean, spread = _standard(s)
    inputs = np.concatenate([x, _standard(a)[0], np.ones((len(s), 1))], axis=1)
    change, _, moved = _standard(n - s)
    weights = np.linalg.lstsq(inputs, np.concatenate([change, _standard(r[:, None])[0]], axis=1), rcond=None)[0].T
    drift, push = weights[:-1, : s.shape[1]], weights[:-1, s.shape[1] : -1]
    pay, price = weights[-1, : s.shape[1]], weights[-1, s.shape[1] : -1]
    skew, fourth = (x**3).mean(axis=0), (x**4).mean(axis=0)
    own = np.log(np.abs(np.diag(drift)) + 0.01)
    logs = [np.log(part + 1e-9) for part in (spread, moved, fourth)]
    even = np.stack([*logs, np.abs(mean / (spread + 1e-9)), np.abs(skew), own], axis=1)
    return Model(drift, push, x.T @ x / len(x), pay, price, skew, np.clip(even, -10, 10), spread > 1e-6)


def matched(own: Model, other: Model, columns: np.ndarray | None = None, motors: np.ndarray | None = None) -> Found:
    """The best signed matching. `columns` [other, own] and `motors` are bool: which may be pairs; None = all."""
    rng, sizes = np.random.default_rng(0), (other.push.shape, own.push.shape)
    able = np.ones((sizes[0][0], sizes[1][0]), bool) if columns is None else columns
    able = able & other.moves[:, None] & own.moves
    driven = np.ones((sizes[0][1], sizes[1][1]), bool) if motors is None else motors
    even = ((other.even[:, None] - own.even) ** 2).sum(axis=-1)
    leans = np.sign(other.skew)[:, None] * np.sign(own.skew)
    search = Search(own, other, able, driven, ALIKE * even)
    found: list[Found] = []
    for start in range(STARTS):
        noise = 0.2 * start * rng.gumbel(size=even.shape)
        flips = np.where(rng.random(even.shape) < 0.3 * (start > 0), -1.0, 1.0)
        found.append(search.settled(_assigned(even + noise, leans * flips, able)))
    best = search.polished(min(found, key=lambda one: one.cost))
    for _ in range(KICKS if len(able) <= WIDE else 0):
        again = search.polished(search.settled(_kicked(best.columns, able, rng)))
        best = min(best, again, key=lambda one: one.cost)
    return _certain(own, other, best)


class Search(NamedTuple):
    """The search for a matching between two models."""

    own: Model
    other: Model
    able: np.ndarray  # which columns may be pairs
    driven: np.ndarray  # which motors may
    even: np.ndarray  # what a pair of columns costs whatever its sign

    def settled(self, x: np.ndarray) -> Found:
        """The matching in which turns end that begin with these columns."""
        found = self._with(x)
        for _ in range(TURNS):
            x = _pairs(*_column_costs(self.own, self.other, found.columns, found.motors, self.even), self.able)
            now = self._with(x)
            if now.cost > found.cost - 1e-9:
                return found
            found = now
        return found

    def polished(self, found: Found) -> Found:
        """The matching after all exchanges of two columns, and turns of a sign, that make it better."""
        better = len(found.columns) <= WIDE
        while better:
            better = False
            for i, k in combinations(range(len(found.columns)), 2):
                for one, other in ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 0)):
                    x = found.columns.copy()
                    x[[i, k]] = x[[k, i]] * [[one], [other]] if one else x[[i, k]] * [[-1.0], [-1.0]]
                    if (np.abs(x[[i, k]]) > self.able[[i, k]]).any():
                        continue
                    now = self._with(x)
                    if now.cost < found.cost - 1e-9:
                        found, better = now, True
        return found

    def _with(self, x: np.ndarray) -> Found:
        y = _pairs(*_motor_costs(self.own, self.other, x), self.driven)
        return Found(x, y, _left(self.own, self.other, x, y))


def _kicked(x: np.ndarray, able: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The columns, of which four in random places have changed places and signs."""
    rows, kicked = rng.choice(len(x), min(4, len(x)), replace=False), x.copy()
    kicked[rows] = kicked[rng.permutation(rows)] * rng.choice([-1.0, 1.0], (len(rows), 1))
    return np.where(able, kicked, 0.0)


def _motor_costs(own: Model, other: Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each pair of motors with the sign + and -, [action of the other, action] each."""
    apart = _apart(other.push.T, (x @ own.push).T), _apart(other.price[:, None], own.price[:, None])
    return apart[0][0] + apart[1][0], apart[0][1] + apart[1][1]


def _column_costs(
    own: Model, other: Model, x: np.ndarray, y: np.ndarray, even: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each pair of columns with the sign + and -, [obs of the other, obs] each."""
    seen = (
        (other.push, own.push @ y.T),
        (other.drift, own.drift @ x.T),
        (other.drift.T, (x @ own.drift).T),
        (other.alike, own.alike @ x.T),
        (other.pay[:, None], own.pay[:, None]),
    )
    pairs = [_apart(a, b) for a, b in seen]
    return even + sum(same for same, _ in pairs), even + sum(opposite for _, opposite in pairs)


def _apart(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances of the rows of a [n, k] from those of b [m, k] and of -b, [n, m] each."""
    squares, both = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1), a @ b.T
    return squares - 2 * both, squares + 2 * both


def _pairs(same: np.ndarray, opposite: np.ndarray, able: np.ndarray) -> np.ndarray:
    """The cheapest signed assignment."""
    return _assigned(np.minimum(same, opposite), np.where(same <= opposite, 1.0, -1.0), able)


def _assigned(cost: np.ndarray, sign: np.ndarray, able: np.ndarray) -> np.ndarray:
    """The cheapest assignment of pairs that are `able`, with its signs, [other, own] of -1, 0 and 1."""
    from scipy.optimize import linear_sum_assignment  # which takes a while to import

    rows, columns = linear_sum_assignment(np.where(able, cost, NEVER))
    found = np.zeros(cost.shape)
    found[rows, columns] = np.where(sign[rows, columns] < 0, -1.0, 1.0) * able[rows, columns]
    return found


def _left(own: Model, other: Model, x: np.ndarray, y: np.ndarray) -> float:
    """The squares that a matching leaves of the other robot's model."""
    pairs = (
        (other.drift, x @ own.drift @ x.T), (other.push, x @ own.push @ y.T), (other.alike, x @ own.alike @ x.T),
        (other.pay, x @ own.pay), (other.price, y @ own.price),
    )  # fmt: skip
    return float(sum(((a - b) ** 2).sum() for a, b in pairs))


def _certain(own: Model, other: Model, found: Found) -> Found:
    """The matching without pairs that explain less than no pair would."""
    x, y = found.columns.copy(), found.motors.copy()
    for matching in (x, y):
        for i, j in np.argwhere(matching).tolist():
            kept, before = matching[i, j], _left(own, other, x, y)
            matching[i, j] = 0.0
            if _left(own, other, x, y) > before:
                matching[i, j] = kept
    left = _left(own, other, x, y)
    return Found(x, y, left, left / _left(own, other, np.zeros_like(x), np.zeros_like(y)))


def _standard(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns in units of their spreads, their means and their spreads; 0 where they never vary."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    return np.where(spread > 1e-6, (x - mean) / np.maximum(spread, 1e-6), 0.0), mean, spread


def _able(own: Sequence[Entry], shown: Sequence[Entry]) -> np.ndarray:
    """Which may be pairs: of one unit, or of one that is not known; [shown, own] bool."""
    units: Any = [[kind(entry) for entry in side] for side in (shown, own)]
    return np.array([[a == b or UNKNOWN in (a, b) for b in units[1]] for a in units[0]])


def _shows(found: np.ndarray) -> list[Shows]:
    return [Shows(i, j, float(found[i, j])) for i, j in np.argwhere(found).tolist()]
