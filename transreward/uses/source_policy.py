"""What the uses of the source policy share: how far an action is from the one that it would take."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from transreward.feed import Feed
from transreward.types import Array, Key, Spaces
from transreward.uses.use import Use


class OfSourcePolicy(Use):
    """Abstract: tells a learner that begins from scratch what the source policy would do. Rewards stay raw."""

    side = "target"
    pays = False
    shapes = True
    of = "policy"
    needs = ("source_act",)
    start = "nothing"
    feed = Feed(1.0)

    def init(self, gap: None, key: Key, spaces: Spaces) -> Array:
        """Half the side of the action box, [action]."""
        return jnp.asarray(spaces.half_width)

    def apart(self, unit: Array, obs: Array, action: Array, extra: dict[str, Any]) -> Array:
        """Mean square of the distance in `unit`s [action], [...]."""
        return distance(unit, action, extra["source_act"](obs))


def distance(unit: Array, action: Array, other: Array) -> Array:
    """Mean square of the distance of actions in `unit`s [action], [...]."""
    return jnp.mean(((action - other) / unit) ** 2, axis=-1)
