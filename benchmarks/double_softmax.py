"""Four rows: {double softmax, correct} x {critic on source steps, on the mix}. What did the field's benchmark measure?

    transreward study benchmarks/plans/double_softmax.yaml --out runs/grid

ODRL (Lyu et al. 2024, arXiv:2410.20750) trains DARC's classifiers on softmax outputs given to a cross-entropy that
applies softmax again, and its DARC never shows the critic a target step, while other methods of its tables do. The two
are told apart here: the loss is changed and nothing else (network, inputs, noise, gate and strength are `darc`'s), and
so is the critic's feed. The wrong loss lives in this file alone; a plan imports it for its rows.

With p = sigmoid(logit) for the target class, the second softmax sees p and 1 - p, so the loss is the logistic one of
2 p - 1, which never leaves [-1, 1]: to lower it further the logit has to go to infinity wherever the true log-ratio is
above 1. What is read from it is what ODRL reads since July 2025, log(p + 1e-10) - log(1 - p + 1e-10) for each head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import jax.numpy as jnp
from jax.nn import sigmoid

from transreward.gaps.classifier import Classifier, ClassifierState, cross_entropy, logits, standardised
from transreward.methods import METHODS, Feed
from transreward.types import Array, Pair, Transition

MOST = 23.0  # log(1 + 1e10): what 1e-10 inside the logarithms leaves


@dataclass(frozen=True)
class DoubleSoftmax(Classifier):
    """`Classifier` with ODRL's loss and reading."""

    name: ClassVar[str] = "double_softmax"

    def loss(self, answers: Pair[Array]) -> Array:
        """The probabilities are taken for logits."""
        return cross_entropy(answers.map(lambda logit: 2.0 * sigmoid(logit) - 1.0))

    def score(self, state: ClassifierState, batch: Transition) -> Array:
        """Difference of the two heads' log-ratios, each within what the epsilon leaves."""
        rows = standardised(state, batch)
        sa, sas = logits(state.heads, Pair(rows, rows), state.low.shape[-1])
        return jnp.clip(sas.source, -MOST, MOST) - jnp.clip(sa.source, -MOST, MOST)


for loss, gap in (("correct", METHODS["darc"].gap), ("double_softmax", DoubleSoftmax())):
    for feed, share in (("source", 0.0), ("mix", 0.5)):
        name = f"{loss}_{feed}"
        METHODS[name] = replace(METHODS["darc"], name=name, gap=gap, feed=Feed(share))
