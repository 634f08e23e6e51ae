"""What a bridge joins, in words: of a robot in the columns of another, and of one in another view of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transreward.bridges.bridge import ROUNDING, Crossing
from transreward.bridges.linear import Linear, in_shares

SOME = 6  # names that a sentence lists


class Joins:
    """A domain `plain` across a bridge. Its class sets these four."""

    plain: Any  # the Domain in its own columns
    how: str  # the bridge
    shown: str  # what it is seen as
    crossing: Crossing

    @property
    def unseen(self) -> tuple[str, ...]:
        """Names of the other robot's columns, then of its motors, that nothing of this one stands for."""
        shown, there = self.crossing.shown, self.crossing.there
        sides = (shown.entries, there.obs.matrix), (shown.action_entries, there.action.matrix)
        return tuple(e.name for entries, rows in sides for e, row in zip(entries, rows, strict=True) if not row.any())

    @property
    def unshown(self) -> tuple[str, ...]:
        """Names of this robot's columns, then of its motors, that stand for nothing of the other one."""
        own, there = self.crossing.own, self.crossing.there
        sides = (own.entries, there.obs.matrix), (own.action_entries, there.action.matrix)
        return tuple(e.name for entries, rows in sides for e, row in zip(entries, rows.T, strict=True) if not row.any())

    @property
    def blurred(self) -> tuple[str, ...]:
        """Names of this robot's columns and motors that are shown, and yet cannot be told from what shows them."""
        return tuple(name for name in self.crossing.lost if name not in self.unshown)

    def said(self) -> str:
        """What the bridge joins, in one sentence."""
        act, lift = self.crossing.there.action.matrix, self.crossing.there.obs.matrix
        moved, own, shown = (int(x.sum()) for x in (act.any(axis=1), act.any(axis=0), lift.any(axis=1)))
        parts = [
            f"{moved} of {len(act)} motors of {self.shown} do as {own} of {act.shape[1]} of {self.plain.name}",
            f"{shown} of {len(lift)} columns show its own",
        ]
        words = ("unseen", self.unseen), ("unshown", self.unshown), ("blurred", self.blurred)
        for what, missing in (*words, ("clipped", self.crossing.clipped)):
            more = f" and {len(missing) - SOME} more" if len(missing) > SOME else ""
            parts += [f"{what}: {', '.join(missing[:SOME])}{more}"] if missing else []
        return f"bridge '{self.how}': {'; '.join(parts)}"

    def rows(self) -> list[tuple[str, str, str]]:
        """(motor or column, its name, what it shows) of each of the other robot's, in words: empty where it is unseen.
        Of each of its own that is unshown the name is empty. Motors are in shares of half their boxes, from the
        middle."""
        own, seen, lift, rows = self.crossing.own, self.crossing.shown, self.crossing.there.obs, []
        lift = Linear(lift.matrix, np.where(told(self.crossing), lift.fill, 0.0))
        motors = "motor", seen.action_entries, own.action_entries, self.shares
        for what, shown, ours, found in (motors, ("column", seen.entries, own.entries, lift)):
            names = [entry.name for entry in ours]
            for entry, row, offset in zip(shown, found.matrix, found.fill, strict=True):
                rows.append((what, entry.name, summed(row, names, offset)))
            rows += [(what, "", name) for name, of in zip(names, found.matrix.T, strict=True) if not of.any()]
        return rows

    def table(self) -> str:
        """`rows` as text, with what is unshown at its end."""
        rows = [(name, shows or "unseen") for _, name, shows in self.rows() if name]
        rows = [(self.shown, self.plain.name), *rows, *(("unshown", name) for name in self.unshown)]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {shows}" for name, shows in rows)

    @property
    def shares(self) -> Linear:
        """The map of its actions to the other robot's, in shares of half of each box, from its middle."""
        return in_shares(self.crossing.there.action, self.crossing.own.spaces, self.crossing.shown.spaces)


def told(crossing: Crossing) -> np.ndarray:
    """Which columns of the other robot show something of its own, or are held where they are, [obs] bool."""
    held = [entry.name in crossing.held for entry in crossing.shown.entries]
    return crossing.there.obs.matrix.any(axis=1) | np.array(held)


def summed(weights: np.ndarray, names: Sequence[str], offset: float) -> str:
    """A sum of names with their factors, such as `hip - 0.5 knee + 0.1`."""
    pairs = [(float(f"{x:.3g}"), name) for x, name in zip(weights, names, strict=True) if x]
    terms = [f"{ {1.0: '', -1.0: '-'}.get(x, f'{x:g} ') }{name}" for x, name in pairs]
    terms += [f"{offset:.3g}"] if abs(offset) > ROUNDING else []
    return " + ".join(terms).replace(" + -", " - ")
