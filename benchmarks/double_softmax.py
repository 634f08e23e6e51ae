"""What did the field's benchmark measure? {double softmax, correct} x {critic on source steps, critic on the mix}.

    python benchmarks/double_softmax.py run [--pairs halfcheetah-hip,halfcheetah-gravity]
    python benchmarks/double_softmax.py table

ODRL (Lyu et al. 2024, arXiv:2410.20750) trains DARC's classifiers on softmax outputs given to a cross-entropy that
applies softmax again, and its DARC never shows the critic a target step, while other methods of its tables do. The two
are told apart here: the loss is changed and nothing else (network, inputs, noise, gate and strength are `darc`'s), and
so is the critic's feed. The wrong loss lives in this file alone.

With p = sigmoid(logit) for the target class, the second softmax sees p and 1 - p, so the loss is the logistic one of
2 p - 1, which never leaves [-1, 1]: to lower it further the logit has to go to infinity wherever the true log-ratio is
above 1. What is read from it is what ODRL reads since July 2025, log(p + 1e-10) - log(1 - p + 1e-10) for each head.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import ClassVar

import grid
import jax.numpy as jnp
import record
from cells import cell_text
from jax.nn import sigmoid

from transreward.gaps.classifier import Classifier, ClassifierState, cross_entropy, logits, standardised
from transreward.methods import METHODS, Feed
from transreward.types import Array, Pair, Transition

PLAN = grid.PLAN._replace(results=record.RESULTS / "double_softmax", further=None)
PAIRS = ("halfcheetah-hip", "halfcheetah-gravity")
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


def rows() -> dict[str, str]:
    """The four cells, put into the table of methods; name -> what it is."""
    darc, found = METHODS["darc"], {}
    for loss, gap in (("correct", darc.gap), ("double softmax", DoubleSoftmax())):
        for feed, share in (("source", 0.0), ("mix", 0.5)):
            name = f"{loss.replace(' ', '_')}_{feed}"
            METHODS[name] = replace(darc, name=name, gap=gap, feed=Feed(share))
            found[name] = f"{loss}, critic on {feed}"
    return found


def main() -> None:
    """Run what is missing, or print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"), nargs="?", default="run")
    parser.add_argument("--pairs", default=",".join(PAIRS))
    args = parser.parse_args()
    cells = rows()
    for name in args.pairs.split(",") if args.what == "run" else ():
        for method in cells:
            PLAN.cell(name, method)
    print(table(cells))


def table(cells: dict[str, str]) -> str:
    """Mean raw target return and interval along each curve, beside the compensation's spread and the accuracy."""
    head = ["pair", "cell", *(f"{n:,}" for n in PLAN.read), "gap std", "accuracy"]
    lines = [head]
    for name in PAIRS:
        for method, text in cells.items():
            readings = [PLAN.reading(name, method, steps) for steps in PLAN.read]
            if readings[-1] is None:
                continue
            last = PLAN.found(name, method)["curve"][-1]
            figures = [f"{sum(last[key]) / len(last[key]):.2f}" for key in ("gap_std", "gap_accuracy")]
            lines.append([name, text, *(cell_text(x) for x in readings if x is not None), *figures])
    return record.table(lines)


if __name__ == "__main__":
    main()
