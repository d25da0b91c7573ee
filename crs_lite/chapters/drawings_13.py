"""The figures of chapter 13, one function each; what they show is computed in the chapter."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crs_lite.chapters.plots import COLOURS, side_by_side

MARKS = "osD^v"
Dots = list[tuple[str, str, list[float]]]  # name, colour, one value a run


def by_stage(panels: dict[str, dict[str, np.ndarray]], stages: list[str]) -> plt.Figure:
    """Shares stage by stage: title -> name of a path -> `(seeds, stages)`. A path may end before the last stage. Thin
    lines are seeds, thick ones their mean; from zero up."""
    fig, axes = side_by_side(len(panels), 2.3 * len(panels), 2.9)
    for ax, (title, paths) in zip(axes, panels.items(), strict=True):
        for (name, y), colour, mark in zip(paths.items(), ("orange", "blue"), MARKS, strict=False):
            ax.plot(y.T, color=COLOURS[colour], lw=0.7, alpha=0.6)
            ax.plot(y.mean(0), mark + "-", ms=5, color=COLOURS[colour], lw=2, label=name)
        ax.set_title(title, fontsize=9)
        ax.set_xticks(range(len(stages)), stages, rotation=90, fontsize=8)
        ax.set_ylim(bottom=0)
    lines, names = axes[0].get_legend_handles_labels()
    fig.legend(lines, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False, fontsize=8)
    return fig


def inherited(panels: dict[str, Dots], xlabel: str) -> plt.Figure:
    """Panels side by side on one scale from zero: title -> a line of dots for each name, the first on top."""
    highest = max(v for rows in panels.values() for *_, values in rows for v in values)
    lines = max(map(len, panels.values()))
    fig, axes = side_by_side(len(panels), 4.3 * len(panels), 0.34 * lines + 1.2, sharex=True)
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        y = np.arange(len(rows))[::-1]
        for at, (_, colour, values) in zip(y, rows, strict=True):
            ax.plot([0, float(np.mean(values))], [at, at], color=COLOURS[colour], lw=1.5)
            ax.plot(values, [at] * len(values), "o", ms=6, alpha=0.7, color=COLOURS[colour])
        ax.set_yticks(y, [name for name, *_ in rows])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel(xlabel)
    axes[0].set_xlim(0, 1.1 * highest)
    return fig


def followed(shares: pd.DataFrame) -> plt.Figure:
    """How far the new value comes on its way to where the old one was: attribute (rows, the first on top) by decoder;
    a missing value is not drawn."""
    fig, ax = side_by_side(1, 6.8, 0.42 * len(shares) + 1.2)
    y = np.arange(len(shares))[::-1]
    for column, colour, mark in zip(shares, ("red", "orange", "blue"), MARKS, strict=False):
        ax.plot(shares[column], y, mark, ms=7, color=COLOURS[colour], label=column)
    for x in (0, 1):
        ax.axvline(x, color="0.7", lw=0.8)
    ax.set_yticks(y, shares.index)
    ax.set_ylim(-0.5, len(shares) - 0.5)
    ax.set_xlabel("0: the list ignores the word      1: it follows")
    ax.legend(frameon=False, fontsize=8, ncol=3, bbox_to_anchor=(0.5, 1.0), loc="lower center")
    return fig


def trust(groups: dict[str, list[tuple[float, float]]]) -> plt.Figure:
    """Models as marks: how far their lists follow a changed word (across), how good the lists are (up); name of a group
    of models -> (followed, quality) of each."""
    fig, ax = side_by_side(1, 6.5, 3.4)
    for (name, points), colour, mark in zip(groups.items(), ("red", "orange", "blue", "sky"), MARKS, strict=False):
        ax.plot(*np.transpose(points), mark, ms=7, alpha=0.8, color=COLOURS[colour], label=name)
    ax.set_xlim(0, 1.05)
    ax.set_xlabel("how much of the way the list follows a changed word")
    ax.set_ylabel("NDCG@10, one thought")
    ax.legend(frameon=False, fontsize=8, bbox_to_anchor=(1.0, 1.0), loc="upper right")
    return fig
