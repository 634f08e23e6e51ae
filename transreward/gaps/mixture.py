"""Which of several sources is like the target: a classifier of K + 1 classes, and the weights that follow from it.

The classes are the K sources and the target, in equal numbers. Two heads of K + 1 logits, one from (s, a), one from
(s, a, s') as a residual on the first, as in DARC (see classifier.py, whose settings and state these are). With softmax
in place of the sigmoid the difference of the two heads' log-ratios is, of each source k,

    log p_T(s'|s,a) - log p_k(s'|s,a)  =  extra_T - extra_k                        in nats,

so that steps that other policies took in other states do not count as another physics. On target steps kept from
training its mean is the divergence of the source, where the target goes:

    D_k = E_T[log p_T(s'|s,a) - log p_k(s'|s,a)] = E_T[KL(p_T || p_k)] >= 0        in nats a step.

The weight of source k is proportional to exp(-D_k / temperature). With temperature 1 that is the geometric mean of
p_k(s'|s,a) over the target's steps: how well the source foretells one of them. A constant in D does not change the
weights, so that what the classifier learns by heart of the few target steps (extra_T) cancels. Each source keeps a
`floor` of its equal share, so that it is looked at and may come back.

Kin: log-ratios of many classes by one softmax (Srivastava et al. 2023, arXiv:2305.00869); source steps that count by
how likely the target makes them (Tirinzoni et al. 2018, arXiv:1805.10886), step by step and with models of the domains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from transreward.gaps.classifier import Classifier, ClassifierState, standardised
from transreward.gaps.features import follow, split, step_rows
from transreward.networks import Layers, mlp
from transreward.types import Array, Key, RequestError, Spaces, Transition

# Little noise, since with more of it small shifts are none; and a high rate: as long as the first head lags behind, the
# second makes up for it, and where the policies go counts as physics.
CLASSIFIER = Classifier(batch=128, noise=0.03, learning_rate=3e-3)


class MixtureState(NamedTuple):
    """One seed's classifier and what it says of the sources."""

    classifier: ClassifierState
    divergence: Array  # [K], nats a step; 0 at the start
    weights: Array  # [K], sum 1; equal at the start


@dataclass(frozen=True)
class Mixture:
    """Settings of the weights of `sources` sources. Raises RequestError for a value out of range."""

    sources: int
    classifier: Classifier = CLASSIFIER
    temperature: float = 1.0  # nats a step, in which divergences count
    floor: float = 0.05  # of an equal share, that every source keeps

    def __post_init__(self) -> None:
        if self.sources < 2 or not self.temperature > 0 or not 0 <= self.floor <= 1:
            raise RequestError("weights are of two sources or more, with a temperature above 0 and a floor in [0, 1]")

    def init(self, key: Key, spaces: Spaces) -> MixtureState:
        """State for one seed: it cannot tell, and all sources count equally."""
        equal = jnp.full(self.sources, 1 / self.sources)
        return MixtureState(self.classifier.init(key, spaces, self.sources + 1), jnp.zeros(self.sources), equal)

    def update(self, state: MixtureState, sources: Transition, target: Transition, key: Key) -> MixtureState:
        """One step of logistic regression, on steps of each source [K, n, ...] and of the target [n, ...]."""
        of, settings = state.classifier, self.classifier
        steps = jax.tree.map(lambda s, t: jnp.concatenate([s, t[None]]), sources, target)
        raw = step_rows(steps, of.low, of.high)
        inputs = follow(of.inputs, raw.reshape(-1, raw.shape[-1]), settings.standardise)
        noise = settings.noise * jax.random.normal(key, raw.shape[1:])  # one draw for all classes, as in classifier.py
        noisy = inputs(raw) + noise

        def total(heads: dict[str, Layers]) -> tuple[Array, Array]:
            sa = mlp(heads["sa"], split(noisy, of.low.shape[-1])[0])
            sas = jax.lax.stop_gradient(sa) + mlp(heads["extra"], noisy)
            return cross_entropy(sa) + cross_entropy(sas), cross_entropy(sas)

        return state._replace(classifier=settings.descended(of._replace(inputs=inputs), total)[0])

    def log_ratios(self, state: MixtureState, batch: Transition) -> Array:
        """log p_T(s'|s,a) - log p_k(s'|s,a) in nats, [..., K]; above 0 = more like the target than like source k."""
        extra = mlp(state.classifier.heads["extra"], standardised(state.classifier, batch))
        return extra[..., -1:] - extra[..., :-1]

    def judge(self, state: MixtureState, target: Transition) -> MixtureState:
        """The divergence of each source on target steps kept from training, [n, ...], and the weights by it."""
        divergence = self.log_ratios(state, target).mean(axis=0)
        return state._replace(divergence=divergence, weights=self.weights(divergence))

    def weights(self, divergence: Array) -> Array:
        """Of sources with divergences [..., K], the same shape, sum 1."""
        likely = jax.nn.softmax(-divergence / self.temperature, axis=-1)
        return self.floor / self.sources + (1 - self.floor) * likely


def cross_entropy(logits: Array) -> Array:
    """Mean over steps [K + 1, n] of as many classes, from logits [K + 1, n, K + 1]."""
    own = jnp.diagonal(jax.nn.log_softmax(logits), axis1=0, axis2=2)  # [n, K + 1]
    return -jnp.mean(own)
