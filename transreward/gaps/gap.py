"""The contract of a gap: an estimator of how unlike the target a source step is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from transreward.types import Array, Key, Metrics, Pair, Spaces, Transition

# What a gap may offer beyond its methods below, in the words of an error; a use `wants` one of these, or has no gap.
OFFERS = {
    "score": "a gap that scores how like the target's a step is",
    "log_ratio": "a gap whose score is log p_T - log p_S",
    "differences": "a gap that predicts the difference in next state",  # with `differences`, `trust` and `effect`
    "source_reward": "a gap that says what the source would have paid",  # with `likeness`
    "target_reward": "a gap that says what the target pays",  # with `careful`
    "policy_worth": "a gap that says what the source policy would earn",  # with `worth`
}


class Gap:
    """What every gap has. A gap is a frozen dataclass of settings over this class; its state is a separate pytree.

    The attributes are declared with their defaults; a gap whose settings decide one of them makes it a property.
    """

    name: str
    batch: int  # steps of each domain per update
    offers: tuple[str, ...] = ("score",)  # what a use may want of it, of OFFERS
    offers_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # offer -> the settings under which it has that one
    needs: tuple[str, ...] = ()  # extras that come as keywords to update, score and evaluate; see `wanted`
    noise_floor: float = 1.0  # spread of the score below which it is noise
    pace: float = 1.0  # its updates for each of the learner's
    alike: bool = False  # says the same of every step, so that it is believed at each as at any other
    early: bool = False  # learns from what is stored already while the first target steps are random

    def init(self, key: Key, spaces: Spaces) -> Any:
        """State for one seed."""
        raise NotImplementedError

    def update(self, state: Any, batches: Pair[Transition], key: Key, **extra: Any) -> tuple[Any, Metrics]:
        """One training step on a batch of each domain."""
        raise NotImplementedError

    def score(self, state: Any, batch: Transition, **extra: Any) -> Array:
        """[batch]; larger = more like the target's dynamics."""
        raise NotImplementedError

    def evaluate(self, state: Any, batches: Pair[Transition], **extra: Any) -> Metrics:
        """Quality on steps kept from training."""
        raise NotImplementedError

    def judge(self, state: Any, held_out: Metrics) -> Any:
        """The state after it has taken in what `evaluate` found; a gap whose trust follows that says how."""
        return state


def unwritten(gap: Gap) -> tuple[str, ...]:
    """The methods that a gap has to have and only inherits."""
    scores = {"score", "log_ratio"} & set(gap.offers)
    required = ("init", "update", "evaluate", *(("score",) if scores else ()))
    return tuple(name for name in required if getattr(type(gap), name) is getattr(Gap, name))


def wanted(gap: Gap, extra: dict[str, Any]) -> dict[str, Any]:
    """Those extras that a gap asks for in its `needs`, by name. There are:

    value         [n, obs] -> [n], the learner's state value now, in units of the raw reward
    source_value  the same of the source agent, as it was when the transfer began
    act           [n, obs] -> [n, action], what the learner would do now, without noise
    source_act    the same of the source agent
    source_acts   [n, obs] -> [sources, n, action], the same of each source's agent, in their order; mostly one
    source_q      [n, obs], [n, action] -> [n], the source agent's value of actions, in units of the raw reward; of a
                  learner that has a `q`
    source_model  [n, obs], [n, action] -> [n, obs + 1]: s' - s and r of source steps, by a model, where no simulator
                  made the counterparts; else None
    explained     [], share of what differs that is gone with the simulator which was identified; None: there is none
    discount      the learner's
    done          [], share of the transfer that is over
    counterpart   of `update` and `evaluate` alone: the target batch's steps as the source's simulator took them, from
                  the same states with the same actions; truncated = 1 where the state could not be rebuilt
    demonstrations  of `update` and `evaluate` alone: a batch of the newest source steps of the method's teacher
    terms         of the same: what both domains stored beside each step of the batch, Pair of [n, terms]
    """
    return {name: extra[name] for name in gap.needs}
