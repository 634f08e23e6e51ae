"""The physics of robots that are simulated side by side: the same for all, or another for some."""

# MuJoCo's bindings carry no types:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from transreward.domains.shifts.kinds import Beside, Physics


class Fleet:
    """n robots in a `Batch` of one of their models: row i has the physics `variants[of[i]]`.

    `now` is what each row has beside its model, `body_mass` [n, bodies] what its bodies weigh in kg; both follow
    `assign`. `fresh` [variants, state] is the state of the batch that a reset begins with.
    """

    def __init__(self, batch: Batch, variants: Sequence[Physics], of: np.ndarray) -> None:
        self.variants, self.of = tuple(variants), np.array(of)
        self.several = len(self.variants) > 1
        self._batch, self._scratch = batch, None
        self._beside = Beside(*(np.stack([getattr(v, name) for v in self.variants]) for name in Beside._fields))
        self._mass = np.stack([v.model.body_mass for v in self.variants])
        self.now, self.body_mass = Beside(*(every[self.of] for every in self._beside)), self._mass[self.of]
        self.fresh = self._resets() if self.several else batch.state[:1].copy()
        self._set_models(self.of)

    def model(self, row: int) -> Any:
        """The compiled model of a row."""
        return self.variants[self.of[row]].model

    def assign(self, rows: np.ndarray, of: np.ndarray | Sequence[int]) -> None:
        """Give rows the variants `of` [rows]. Their states stay."""
        if not self.several:
            return
        self.of[rows] = of
        for now, every in zip((*self.now, self.body_mass), (*self._beside, self._mass), strict=True):
            now[rows] = every[self.of[rows]]
        self._set_models(self.of)

    def contact_forces(self, forces: np.ndarray) -> None:
        """Write into `forces` [n, bodies, 6] the external forces after a step, by `mj_rnePostConstraint` as in
        Gymnasium. The batch itself runs that only for sensors, and before the last substep. Without a contact they are
        zero."""
        self._scratch = self._scratch or mujoco.MjData(self.model(0))
        forces[:] = 0
        for i in np.flatnonzero(self._batch.bind("ncon")).tolist():
            self._batch.get_data(i, self._scratch)
            mujoco.mj_rnePostConstraint(self.model(i), self._scratch)
            forces[i] = self._scratch.cfrc_ext

    def _resets(self) -> np.ndarray:
        """The states of a reset of each variant, as many at a time as there are rows."""
        n, found = self._batch.nsim, []
        for first in range(0, len(self.variants), n):
            self._set_models(np.arange(first, first + n).clip(max=len(self.variants) - 1))
            self._batch.reset(stage=int(mujoco.mjtStage.mjSTAGE_NONE))
            found.append(self._batch.state.copy())
        return np.concatenate(found)[: len(self.variants)]

    def _set_models(self, of: np.ndarray) -> None:
        if self.several:
            self._batch.set_models([self.variants[i].model for i in of.tolist()])
