"""Who pays a step of which the robot tells no reward: its task, as far as observations show it."""

from __future__ import annotations

import numpy as np

from transreward.domains.asked import asked
from transreward.domains.domain import Domain
from transreward.domains.observed import Observed
from transreward.request.config import Config
from transreward.types import RequestError


class Payment:
    """The task of a session's robot: that of the domain whose columns it has, or else the source's. Raises RequestError
    where it cannot pay and is `required` to."""

    def __init__(self, config: Config, required: bool = False) -> None:
        self._reason, self._observed = "", None
        robot = asked(config.domains.target)
        domain: Domain = config.domains.source if robot is None or robot.like is None else robot.like
        try:
            self._observed = Observed(domain)
        except RequestError as error:
            if required:
                raise
            self._reason = str(error)

    def require(self) -> Observed:
        """What computes rewards. Raises RequestError, with why, where nothing can."""
        if self._observed is None:
            raise RequestError(self._reason)
        return self._observed

    def __call__(self, obs: np.ndarray, action: np.ndarray, next_obs: np.ndarray) -> float:
        """The reward of a step that was taken; see `Observed`. Raises RequestError where it cannot be computed."""
        return in_single("the reward computed for this step", self.require()(obs, action, next_obs))

    @property
    def said(self) -> str:
        """Whether rewards may be left out, in one line."""
        if self._observed is None:
            return self._reason
        return f"rewards may be left out: they are computed from observations, {self._observed.said}"


def in_single(what: str, reward: float) -> float:
    """A reward as the journal keeps it, so that whoever reads it adds up the same. Raises RequestError for one that is
    not finite in single precision."""
    with np.errstate(over="ignore"):
        kept = float(np.float32(reward))
    if not np.isfinite(kept):
        raise RequestError(f"{what} must be finite in float32, not {reward:g}")
    return kept
