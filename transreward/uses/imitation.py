"""Imitation: the target's steps are paid for looking like the source agent's (GAIfO)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from jax.nn import softplus

from transreward.feed import DEMONSTRATIONS
from transreward.gaps.gap import Gap
from transreward.gates.chain import NATS, Gate
from transreward.gates.transforms import Keep, Strength, Transform
from transreward.types import Pair, RequestError, Transition
from transreward.uses.use import Change, Use, paid, require_strength, score


@dataclass(frozen=True)
class Imitation(Use):
    """Target reward keep * r + lambda * g, with g = z or softplus(z) of z = -score: how much the step looks like one of
    the source's.

    With D = sigmoid(z), the probability that a step is a demonstration, `logit` is log D - log(1 - D) (Fu et al. 2018)
    and `softplus` is -log(1 - D) (Ho and Ermon 2016). The second is above 0 everywhere, which pays for staying alive
    whatever one does there, and is flat where no step looks like the source's, as after a large shift. The first has
    the same slope everywhere; on the learner's own steps its mean is minus a divergence, which would pay for dying, and
    so it wants to be centred.

    Source rewards stay raw. They are not to train the learner: where they are mixed in all the same, its critic learns
    the task's reward from them and the imitation's from the target's steps, which agree only by chance.
    """

    strength: float = 1.0  # lambda; of nats, or with gate.scale in units of the source reward's own spread
    keep: float = 0.0  # share of the target's own reward that stays; 0 = pure imitation, and it need not be known
    form: Literal["logit", "softplus"] = "logit"  # log D - log(1 - D), or -log(1 - D), which is never negative

    name = "imitation"
    side = "target"
    wants = ("log_ratio",)
    feed = DEMONSTRATIONS

    def __post_init__(self) -> None:
        if not 0 <= self.keep <= 1:
            raise RequestError(f"use.keep must be in [0, 1], not {self.keep}")
        if self.form not in ("logit", "softplus"):
            raise RequestError(f"use.form must be logit or softplus, not {self.form!r}")
        require_strength(self.strength)
        if not self.keep and not self.strength:
            raise RequestError("use.strength and use.keep are both 0, so nothing would pay the learner")

    @property
    def kept(self) -> float:
        """`keep`."""
        return self.keep

    def gate(self, gap: Gap | None) -> Gate:
        """In nats."""
        return NATS

    def transforms(self, gate: Gate | None) -> tuple[Transform, ...]:
        """The gate's, lambda, and what is kept of the target's own reward."""
        return (*(gate.transforms if gate else ()), Strength(self.strength), Keep(self.keep))

    def change(self, gap: Gap, state: Any, batches: Pair[Transition], **extra: Any) -> Pair[Change]:
        """g of the target's steps."""
        likeness = -score(gap, state, batches.target, extra)
        return paid(batches, "target", likeness if self.form == "logit" else softplus(likeness))
