"""The picture of the grid's pairs side by side: raw target return against target steps, each method's mean and seeds.

python benchmarks/plot_grid.py docs/images/paired-branched.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from grid import PLAN
from plot_study import COLOURS, plt

METHODS = {"paired_branched": "#D55E00", "fine_tune": COLOURS["fine_tune"], "mix": "#009E73", "darc": "#CC79A7"}


def main(out: Path) -> None:
    """Draw every pair that has the first two methods."""
    names = [n for n in PLAN.pairs if all(series(n, m) is not None for m in ("paired_branched", "fine_tune"))]
    columns = 3
    shape = -(-len(names) // columns), columns
    figure, grid_axes = plt.subplots(*shape, figsize=(9, 2.7 * shape[0]), dpi=160, squeeze=False)
    for axes, name in zip(grid_axes.flat, names, strict=False):
        draw(axes, name)
    for axes in grid_axes.flat[len(names) :]:
        axes.axis("off")
    handles, labels = grid_axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False, fontsize=9)
    figure.supxlabel("steps taken on the target robot, per seed", fontsize=9)
    figure.supylabel("raw return in the target", fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / figure.get_figheight()))
    figure.savefig(out)


def draw(axes: plt.Axes, name: str) -> None:
    """One pair."""
    for method, colour in METHODS.items():
        found = series(name, method)
        if found is None:
            continue
        x, returns = found
        thick = 2.2 if method == "paired_branched" else 1.5
        label = method + (" (thin: its seeds)" if method == "paired_branched" else "")
        axes.plot(x, returns.mean(axis=1), color=colour, lw=thick, label=label, zorder=3)
        if method == "paired_branched":
            axes.plot(x, returns, color=colour, lw=0.6, alpha=0.5)
    zero = PLAN.found(name, "zero_shot")
    if zero is not None:
        mean = np.mean(zero["result"]["target_return"]["per_seed"])
        axes.axhline(mean, color=COLOURS["zero_shot"], ls="--", lw=1.2, label="zero_shot", zorder=1)
    axes.set_title(PLAN.pairs[name][1], loc="left", fontsize=9)
    axes.set_xticks([0, 5_000, 10_000], ["0", "5,000", "10,000"])
    axes.set_xlim(0, 10_200)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def series(name: str, method: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Target steps [points] and raw returns [points, seeds]."""
    found = PLAN.found(name, method)
    if found is None:
        return None
    points = [(p["target_steps"], p["target_return"]) for p in found["curve"]]
    return np.array([n for n, _ in points]), np.array([r for _, r in points])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
