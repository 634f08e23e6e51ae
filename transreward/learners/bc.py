"""Behaviour cloning: the policy that makes the actions that were taken the likeliest."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from transreward.learners.batch import Batch
from transreward.learners.offline import Offline, OfflineState, counted
from transreward.types import Array, Key, Metrics, Shaping


@dataclass(frozen=True)
class BC(Offline):
    """Behaviour cloning: offline, imitates every action and looks at no reward."""

    name = "bc"
    rewarded = False

    def update(
        self, state: OfflineState, batch: Batch, key: Key, shaping: Shaping, turn: Array
    ) -> tuple[OfflineState, Metrics]:
        """One step of the actor."""
        loss, grad = jax.value_and_grad(lambda actor: -counted(batch, self.log_prob(actor, batch)))(
            state.params["actor"]
        )
        return self.stepped(state, {"actor": grad}), {"actor_loss": loss}
