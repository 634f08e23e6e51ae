"""What did the field's benchmark measure? {double softmax, correct} x {critic on source steps, critic on the mix}.

    python benchmarks/double_softmax.py run [--pairs halfcheetah-hip,hopper-gravity]
    python benchmarks/double_softmax.py table

ODRL (Lyu et al. 2024, arXiv:2410.20750) trains DARC's classifiers on softmax outputs given to a cross-entropy that
applies softmax again, and its DARC never shows the critic a target step, while other methods of its tables do. The two
are told apart here: the loss is changed and nothing else (network, inputs, noise, gate and strength are `darc`'s), and
so is the critic's feed. The wrong loss lives in this file alone.

With p = sigmoid(logit) for the target class, the second softmax sees p and 1 - p, so the loss is the logistic one of
2 p - 1, which never leaves [-1, 1]: to lower it further the logit has to go to infinity wherever the true log-ratio is
above 1. What is read from it is what ODRL reads since July 2025, log(p + 1e-10) - log(1 - p + 1e-10).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

import grid
import jax
import optax
import record

from transreward.gaps import classifier
from transreward.gaps.classifier import Classifier, ClassifierState
from transreward.methods import METHODS, Feed
from transreward.networks import mlp
from transreward.types import Array, Key, Metrics, Pair, Transition

RESULTS = record.RESULTS / "double_softmax"
PAIRS = ("halfcheetah-hip", "hopper-gravity")
MOST = 23.0  # log(1 + 1e10): what 1e-10 inside the logarithms leaves


@dataclass(frozen=True)
class DoubleSoftmax(Classifier):
    """`Classifier` with the loss of ODRL."""

    def update(self, state: ClassifierState, batches: Pair[Transition], key: Key) -> tuple[ClassifierState, Metrics]:
        """As the classifier's, but that both heads' probabilities are taken for logits."""
        right = classifier._cross_entropy
        classifier._cross_entropy = lambda logits: right(logits.map(lambda l: 2.0 * jax.nn.sigmoid(l) - 1.0))
        try:  # at tracing time, so that nothing of the right loss is copied here
            return super().update(state, batches, key)
        finally:
            classifier._cross_entropy = right

    def score(self, state: ClassifierState, batch: Transition) -> Array:
        """Difference of the two heads' log-ratios, each within what the epsilon leaves."""
        raise NotImplementedError
