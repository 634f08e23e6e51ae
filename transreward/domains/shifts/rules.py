"""What acts in a robot's motors beside what is commanded, as a rule that was learned from its steps.

A rule is a function of each motor alone: of its command now and one control step before, and of its joint's position
and velocity. So it can say what no number of the model says: torque that falls with speed, a lag, a motor that is weak
in one direction. Kin: actuator networks (Hwangbo et al. 2019, arXiv:1901.08652), delta actions (ASAP,
arXiv:2502.01143).
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from transreward.tree import ON_JOINT, of_controls
from transreward.types import RequestError

INPUTS = 4  # of each motor: see `inputs`
FAR = 4.0  # spreads from its middle beyond which an input counts as there
ARRAYS = ("middle", "spread", "mixing", "offset", "weight")


@dataclass(frozen=True, eq=False)
class Rule:
    """What is added to each command, as a share of half its range: linear in the inputs, in spreads, and in the
    hyperbolic tangents of fixed mixtures of them."""

    middle: np.ndarray  # [INPUTS, motors]
    spread: np.ndarray  # [INPUTS, motors]
    mixing: np.ndarray  # [INPUTS, mixtures]
    offset: np.ndarray  # [mixtures]
    weight: np.ndarray  # [motors, 1 + INPUTS + mixtures]
    file: str = ""  # where it is kept

    def features(self, inputs: np.ndarray) -> np.ndarray:
        """In which what it adds is linear, [n, motors, 1 + INPUTS + mixtures], of `inputs` [INPUTS, n, motors]."""
        x = np.moveaxis(((inputs - self.middle[:, None]) / self.spread[:, None]).clip(-FAR, FAR), 0, -1)
        return np.concatenate([np.ones((*x.shape[:-1], 1)), x, np.tanh(x @ self.mixing + self.offset)], axis=-1)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """What is added, [n, motors], of `inputs` [INPUTS, n, motors]."""
        return np.einsum("njf,jf->nj", self.features(inputs), self.weight)

    @cached_property
    def _bytes(self) -> bytes:
        return b"".join(np.ascontiguousarray(getattr(self, name)).tobytes() for name in ARRAYS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __str__(self) -> str:
        """Its file, or a word that only it has."""
        return self.file or f"learned-{hashlib.sha256(self._bytes).hexdigest()[:8]}"

    def save(self, file: Path) -> Rule:
        """The same, kept in an npz file."""
        with file.open("wb") as out:
            np.savez(out, **{name: getattr(self, name) for name in ARRAYS})
        return replace(self, file=str(file))

    @staticmethod
    def read(file: str) -> Rule:
        """The rule in a file.

        Raises:
            RequestError: there is none.
        """
        try:
            with np.load(file, allow_pickle=False) as found:
                rule = Rule(*(np.asarray(found[name], float) for name in ARRAYS), file=file)
        except (OSError, ValueError, KeyError, EOFError, OverflowError, RuntimeError, BadZipFile, zlib.error) as error:
            raise RequestError(f"'motors={file}': {file} is no file that `identify` wrote: {error}") from error
        motors, mixtures = rule.middle.shape[-1], rule.mixing.shape[-1]
        shapes = ((INPUTS, motors), (INPUTS, motors), (INPUTS, mixtures), (mixtures,), (motors, 1 + INPUTS + mixtures))
        arrays = [getattr(rule, name) for name in ARRAYS]
        if tuple(x.shape for x in arrays) != shapes or not all(np.isfinite(x).all() for x in arrays):
            raise RequestError(f"'motors={file}': {file} is damaged, so identify the motors again")
        return rule


def share(action: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Actions within their box as shares of half of it, from its middle."""
    return (action - (low + high) / 2) / ((high - low) / 2)


def inputs(model: Any, share: np.ndarray, before: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    """[INPUTS, n, motors]: the command and the one before, as shares of half its range [n, motors], and position and
    velocity of the joint that a motor drives; 0 of one that drives none."""
    q, v = np.zeros_like(share), np.zeros_like(share)
    for motor, actuator in enumerate(of_controls(model)):
        joint = model.actuator_trnid[actuator, 0]
        if model.actuator_trntype[actuator] in ON_JOINT:
            q[:, motor] = qpos[:, model.jnt_qposadr[joint]]
            v[:, motor] = qvel[:, model.jnt_dofadr[joint]]
    return np.stack([share, before, q, v])
