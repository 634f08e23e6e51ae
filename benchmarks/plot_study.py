"""The picture of a pair of the study: raw target return against target steps, each method's mean and its seeds.

python benchmarks/plot_study.py halfcheetah-hip docs/images/halfcheetah-broken-hip.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
import record
from study import PAIRS, RESULTS, TARGET_STEPS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

# Okabe and Ito's colours, which the colour-blind can tell apart; the word stands at the line's end as well
COLOURS = {
    "darc": "#D55E00",
    "fine_tune": "#0072B2",
    "target_only": "#009E73",
    "zero_shot": "#555555",
    "oracle": "#CC79A7",
}
LABELS = {
    "darc": "darc",
    "fine_tune": "fine-tune",
    "target_only": "target only",
    "zero_shot": "zero-shot",
    "oracle": "oracle: trained in the target\nwith the source's budget",
}


def main(name: str, out: Path) -> None:
    """Draw what there is of one pair."""
    figure, axes = plt.subplots(figsize=(8, 4.4), dpi=160)
    ends = []
    for method, colour in COLOURS.items():
        x, returns = series(name, method)
        if not len(x):
            continue
        mean = returns.mean(axis=1)
        style = {"darc": "o-", "zero_shot": "--", "oracle": ":"}.get(method, "-")
        width, order = (2.2, 3) if method == "darc" else (1.6, 2)
        axes.plot(x, mean, style, color=colour, lw=width, zorder=order)
        if method not in ("zero_shot", "oracle"):  # level lines: their seeds stand in the table
            axes.plot(x, returns, "o" if method == "darc" else "-", color=colour, lw=0.7, ms=3.5, alpha=0.45)
        ends.append((mean[-1], method))
    label(axes, ends)
    axes.set_xscale("log")
    axes.set_xticks(TARGET_STEPS, [f"{n:,}" for n in TARGET_STEPS])
    axes.minorticks_off()
    axes.set_xlim(TARGET_STEPS[0] * 0.8, TARGET_STEPS[-1] * 1.03)
    axes.set_xlabel("steps taken on the target robot, per seed")
    axes.set_ylabel("raw return in the target")
    pair = PAIRS[name]
    axes.set_title(f"{pair.source} → {pair.target}: mean (thick) of three seeds (thin)", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def series(name: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Target steps [points] and raw returns [points, seeds]; level where a method's return does not depend on them."""
    if method == "darc":
        found = [(n, record.read(RESULTS / name / f"darc-{n}.json")) for n in TARGET_STEPS]
        points = [(n, cell["result"]["target_return"]["per_seed"]) for n, cell in found if cell]
    else:
        cell = record.read(RESULTS / name / f"{method}.json")
        points = []
        if cell is not None and method in ("zero_shot", "oracle"):
            points = [(n, cell["result"]["target_return"]["per_seed"]) for n in (TARGET_STEPS[0], TARGET_STEPS[-1])]
        elif cell is not None:
            points = [(p["target_steps"], p["target_return"]) for p in cell["curve"]]
    return np.array([n for n, _ in points]), np.array([r for _, r in points])


def label(axes: plt.Axes, ends: list[tuple[float, str]]) -> None:
    """Names at the lines' ends, moved apart where they would cover one another."""
    low, high = axes.get_ylim()
    line, last = 0.055 * (high - low), -np.inf
    for y, method in sorted(ends):
        tall = 2 if method == "oracle" else 1  # lines of text
        last = max(y, last + line * (tall + 1) / 2)
        place = {"xy": (1.01, last), "xycoords": ("axes fraction", "data"), "va": "center"}
        axes.annotate(LABELS[method], color=COLOURS[method], **place)
        last += line * (tall - 1) / 2


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
