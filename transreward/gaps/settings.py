"""The settings that several gaps have: one name means the same in each of them, and has the same bounds."""

from __future__ import annotations

from transreward.types import RequestError

AT_LEAST_ONE = ("members", "width", "iterations", "batch", "standardise")
ABOVE_ZERO = ("learning_rate", "regularisation", "reach", "tolerance")
NOT_NEGATIVE = ("noise", "weight_decay", "guard")


def require_settings(gap: object) -> None:
    """Hold a gap to the bounds of those settings that it has; what only one gap knows of, it checks itself."""
    for name, value in vars(gap).items():
        if name == "hidden" and (not value or min(value) < 1):
            raise RequestError(f"gap.hidden must name at least one layer's width, as (64, 64) does, not {value}")
        if name in AT_LEAST_ONE and value < 1:
            raise RequestError(f"gap.{name} must be at least 1, not {value}")
        if name in ABOVE_ZERO and not value > 0:
            raise RequestError(f"gap.{name} must be above 0, not {value}")
        if name in NOT_NEGATIVE and value < 0:
            raise RequestError(f"gap.{name} must not be negative, not {value}")
