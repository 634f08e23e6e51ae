"""What stands between a policy's action and a robot: limits, a largest change, and a function of the user's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transreward.domains.domain import beyond
from transreward.domains.users import in_one_line, numbers
from transreward.types import RequestError, Spaces

Safe = Callable[[np.ndarray, np.ndarray], Any]  # (obs [obs], action [action]) -> the action to take, or None: this one


@dataclass
class Safety:
    """The action that a robot is sent: within `low` and `high`, no more than `change` away from the one before it, and
    as `safe` says; in this order, and within the limits again after it. `counts` says how often each of them changed
    one.

    Raises RequestError for limits that are none, or that leave the robot's own.
    """

    spaces: Spaces
    low: Any = None  # [action], in the robot's units; None = the robot's own
    high: Any = None
    change: Any = None  # [action] or one number: per control step, in the robot's units; None = no limit
    safe: Safe | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        n = (self.spaces.action,)
        bounds = {"low": self.spaces.low, "high": self.spaces.high}
        for name, own in bounds.items():
            told = getattr(self, name)
            found = np.array(own, np.float64) if told is None else _array(name, told, n)
            if beyond(found, self.spaces).any():
                raise RequestError(
                    f"`{name}` {found.tolist()} is beyond the robot's own limits, {self.spaces.low.tolist()} to "
                    f"{self.spaces.high.tolist()}"
                )
            setattr(self, name, np.clip(found, self.spaces.low, self.spaces.high))
        if not (self.low < self.high).all():
            raise RequestError(f"`low` {self.low.tolist()} must be below `high` {self.high.tolist()}")
        if self.change is not None:
            self.change = _array("change", self.change, n)
            if not (self.change > 0).all():
                raise RequestError(f"`change` must be above 0, not {self.change.tolist()}")
        if self.safe is not None and not callable(self.safe):
            raise RequestError(f"`safe` must be a function of an observation and an action, not {self.safe!r}")

    def __call__(self, obs: np.ndarray, action: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        """The action to send, float32 [action]; `before` is the one before it.

        Raises RequestError for an action that is not finite, and if `safe` raises, or returns what is no action.
        """
        if not np.isfinite(action).all():
            raise RequestError(f"the policy gives no number here, but {action.tolist()}: no action is given")
        found = self._counted("clipped", action, np.clip(action, self.low, self.high))
        if self.change is not None and before is not None:
            found = self._counted("slowed", found, np.clip(found, before - self.change, before + self.change))
        if self.safe is not None:
            told = self._told(obs, found)
            if told is not None:
                found = self._counted("overruled", found, told)
        return np.clip(found, self.low, self.high).astype(np.float32)

    def _counted(self, what: str, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        self.counts[what] += int(not np.allclose(before, after, rtol=0, atol=1e-6))
        return after

    def _told(self, obs: np.ndarray, action: np.ndarray) -> np.ndarray | None:
        assert self.safe is not None
        try:
            told = self.safe(obs.copy(), action.copy())
        except Exception as error:
            raise RequestError(f"`safe` failed, so no action is given: {in_one_line(error)}") from error
        return None if told is None else _array("what `safe` returns", told, action.shape)


def _array(what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers [action], all of them finite. Raises RequestError otherwise."""
    one = isinstance(value, (int, float)) and not isinstance(value, bool)
    found = np.full(shape, float(value)) if one else numbers(what, value, shape)
    if not np.isfinite(found).all():
        raise RequestError(f"{what} must be finite, not {found.tolist()}")
    return np.array(found, np.float64)
