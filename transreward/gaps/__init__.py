"""How the target differs from the source: the table of gaps, a file each."""

from collections.abc import Iterable

from transreward.gaps.classifier import Classifier
from transreward.gaps.contrastive import Contrastive
from transreward.gaps.ensemble import Ensemble
from transreward.gaps.gap import OFFERS, Gap
from transreward.gaps.latent import Latent
from transreward.gaps.neighbours import Neighbours
from transreward.gaps.paired import Paired
from transreward.gaps.reward import MeanReward, Reward
from transreward.gaps.state import State
from transreward.gaps.successor import Successor
from transreward.gaps.transport import Transport

FEW = 4  # gaps that an error names

GAPS: dict[str, type[Gap]] = {
    "classifier": Classifier,
    "latent": Latent,
    "ensemble": Ensemble,
    "contrastive": Contrastive,
    "transport": Transport,
    "neighbours": Neighbours,
    "state": State,
    "paired": Paired,
    "reward": Reward,
    "mean_reward": MeanReward,
    "successor": Successor,
}


def offering(wants: Iterable[str]) -> str:
    """What gap would do, in the words of an error: each offer of OFFERS, with the few gaps that have it."""
    return "; or ".join(OFFERS[offer] + _having(offer) for offer in wants)


def _having(offer: str) -> str:
    found = {name: kind for name, kind in GAPS.items() if offer in (*kind().offers, *kind.offers_with)}
    if len(found) > FEW:
        return ""
    under = [", ".join(f"gap.{k}={v}" for k, v in kind.offers_with.get(offer, {}).items()) for kind in found.values()]
    return ": " + ", ".join(f"{name} with {how}" if how else name for name, how in zip(found, under, strict=True))
