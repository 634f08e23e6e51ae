"""The pairs of a study side by side: raw target return against target steps, each method's mean, the first one's seeds.

python benchmarks/plot_grid.py grid docs/images/paired-branched.png
python benchmarks/plot_grid.py three docs/images/three-pairs.png
python benchmarks/plot_grid.py tasks docs/images/tasks.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from tables import Study, at

matplotlib.use("Agg")
from matplotlib import pyplot as plt

# Okabe and Ito's colours, which the colour-blind can tell apart
COLOURS = {"fine_tune": "#0072B2", "target_only": "#009E73", "zero_shot": "#555555"}


class Picture(NamedTuple):
    """What is drawn."""

    study: str  # a name of tables.TABLES
    methods: dict[str, str]  # -> colour; a pair is drawn that has the first two
    columns: int
    pairs: tuple[str, ...] = ()  # () = all of the study's


GRID = Picture(
    "grid",
    {"paired_branched": "#D55E00", "fine_tune": COLOURS["fine_tune"], "mix": "#009E73", "darc": "#CC79A7"},
    3,
)
PICTURES = {
    "grid": GRID,
    "three": GRID._replace(pairs=("halfcheetah-hip", "halfcheetah-friction", "hopper-gravity")),
    "tasks": Picture(
        "tasks",
        {
            "target_only": COLOURS["target_only"],
            "fine_tune": COLOURS["fine_tune"],
            "successor": "#D55E00",
            "relabel": "#CC79A7",
            "value_potential": "#E69F00",
            "reward_gap": "#56B4E9",
            "jsrl": "#882255",
        },
        2,
    ),
}


def main(picture: Picture, out: Path) -> None:
    """Draw every pair that has the first two methods."""
    study, (first, second, *_) = Study(picture.study), picture.methods
    names = picture.pairs or [pair.name for pair in study.plan.pairs]
    names = [n for n in names if series(study, n, first) is not None and series(study, n, second) is not None]
    shape = -(-len(names) // picture.columns), picture.columns
    figure, places = plt.subplots(*shape, figsize=(9, (8.1 / picture.columns) * shape[0]), dpi=160, squeeze=False)
    for axes, name in zip(places.flat, names, strict=False):
        draw(picture, study, axes, name)
    for axes in places.flat[len(names) :]:
        axes.axis("off")
    handles, labels = places.flat[0].get_legend_handles_labels()
    rows = -(-len(labels) // 5)
    figure.legend(handles, labels, loc="upper center", ncols=-(-len(labels) // rows), frameon=False, fontsize=9)
    figure.supxlabel("steps taken on the target robot, per seed", fontsize=9)
    figure.supylabel("raw return in the target", fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 1 - (0.1 + 0.2 * rows) / figure.get_figheight()))
    figure.savefig(out)


def draw(picture: Picture, study: Study, axes: plt.Axes, name: str) -> None:
    """One pair."""
    first, budget = next(iter(picture.methods)), study.how.read[-1]
    for method, colour in picture.methods.items():
        found = series(study, name, method)
        if found is None:
            continue
        x, returns = found
        label = method + (" (thin: its seeds)" if method == first else "")
        axes.plot(x, returns.mean(axis=1), color=colour, lw=2.2 if method == first else 1.5, label=label, zorder=3)
        if method == first:
            axes.plot(x, returns, color=colour, lw=0.6, alpha=0.5)
    zero = study.found(name, "zero_shot")
    if zero is not None:
        mean = np.mean(zero["result"]["target_return"]["per_seed"])
        axes.axhline(mean, color=COLOURS["zero_shot"], ls="--", lw=1.2, label="zero_shot", zorder=1)
    (pair,) = (pair.what for pair in study.plan.pairs if pair.name == name)
    source, target = pair["source"], pair["target"]
    axes.set_title(target if "+" not in target else f"{source} \N{RIGHTWARDS ARROW} {target}", loc="left", fontsize=9)
    ticks = [budget * i // 2 for i in range(3)]
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.set_xlim(0, 1.02 * budget)
    axes.yaxis.set_major_formatter("{x:,.0f}")  # as those of the steps, and as tables write them
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def series(study: Study, name: str, method: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Target steps [points] and raw returns [points, seeds], the last of them the final policy's."""
    found = study.found(name, method)
    if found is None:
        return None
    points = [(p["target_steps"], at(found, p["target_steps"])) for p in found["curve"]]
    return np.array([n for n, _ in points]), np.array([r for _, r in points])


if __name__ == "__main__":
    main(PICTURES[sys.argv[1]], Path(sys.argv[2]))
