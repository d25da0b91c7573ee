"""The figures of chapters 1 and 10, one function each; what they show is computed in the chapter."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from crs_lite.chapters.drawings import Row
from crs_lite.chapters.plots import COLOURS, side_by_side
from crs_lite.study.comparison import hierarchical

# -- chapter 1 ------------------------------------------------------------------------------------


def by_place(scores: dict[str, np.ndarray]) -> plt.Figure:
    """What the target is worth in place 1, 2, ...: name of a score -> one value a place."""
    fig, ax = side_by_side(1, 6.5, 2.8)
    for (name, y), colour, mark in zip(scores.items(), ("blue", "orange", "green"), "osD", strict=True):
        ax.plot(np.arange(len(y)) + 1, y, mark + "-", ms=4, color=COLOURS[colour], label=name)
        ax.set_xticks(range(1, len(y) + 1, 2))
    ax.set_xlabel("place of the target in the list")
    ax.set_ylabel("score")
    ax.legend(frameon=False)
    return fig


def lengths(values: dict[str, float], colours: list[str], xlabel: str) -> plt.Figure:
    """A bar for every value, from nothing to one, the first on top; the value beside it."""
    fig, ax = side_by_side(1, 6.5, 0.35 * len(values) + 0.8)
    y = np.arange(len(values))[::-1]
    ax.barh(y, list(values.values()), color=[COLOURS[c] for c in colours])
    for at, value in zip(y, values.values(), strict=True):
        ax.text(value + 0.01, at, f"{value:.3f}", va="center", fontsize=9)
    ax.set_yticks(y, list(values))
    ax.set_xlim(0, 1)
    ax.set_xlabel(xlabel)
    return fig


# -- chapter 10 -----------------------------------------------------------------------------------


def quality_and_cost(rows: list[Row], tokens: list[float], minutes: list[float], lines: dict[str, float]) -> plt.Figure:
    """Every system three times, the first on top: NDCG@10 with its 95 % interval and the ceilings as `lines`; tokens
    that it writes for a request before the list; minutes of training. Nothing is drawn for a zero."""
    fig, axes = side_by_side(3, 8.6, 0.33 * len(rows) + 1.1, sharey=True, width_ratios=(3, 1.5, 1.5))
    y = np.arange(len(rows))[::-1]
    for at, (_, colour, of) in zip(y, rows, strict=True):
        d = hierarchical(of)
        axes[0].plot([d.low, d.high], [at, at], color=COLOURS[colour], lw=2)
        axes[0].plot(d.mean, at, "o", color=COLOURS[colour], ms=6)
    for name, x in lines.items():
        axes[0].axvline(x, color="0.5", ls=":", lw=1.2)
        axes[0].text(x, len(rows) - 0.4, name, ha="center", fontsize=8)
    for ax, cost, form in zip(axes[1:], (tokens, minutes), ("{:.0f}", "{:.1f}"), strict=True):
        ax.barh(y, cost, height=0.5, color=[COLOURS[colour] for _, colour, _ in rows])
        ax.set_xlim(0, 1.35 * max(cost))
        for at, value in zip(y, cost, strict=True):
            if value:
                ax.text(value, at, " " + form.format(value), va="center", fontsize=8)
    axes[0].set_yticks(y, [name for name, *_ in rows])
    for ax, label in zip(axes, ("NDCG@10", "tokens written", "minutes of training"), strict=True):
        ax.set_xlabel(label)
    return fig


def shares_of_the_way(parts: pd.DataFrame, marks: dict[str, float]) -> plt.Figure:
    """Stacked bars, the first row on top: how far each system comes, then what is lost where. `marks`: name -> where
    a line stands."""
    fig, ax = side_by_side(1, 7.5, 0.45 * len(parts) + 1.3)
    y = np.arange(len(parts))[::-1]
    left = np.zeros(len(parts))
    for column, colour in zip(parts, (COLOURS["blue"], COLOURS["red"], "0.8"), strict=True):
        ax.barh(y, parts[column], left=left, height=0.6, color=colour, label=column)
        left = left + parts[column].to_numpy()
    for (name, x), style in zip(marks.items(), ("--", ":"), strict=False):
        ax.axvline(x, color="black", ls=style, lw=1, label=name)
    ax.set_yticks(y, parts.index)
    ax.set_xlabel("NDCG@10, mean over seeds")
    ax.legend(frameon=False, fontsize=8, ncol=4, bbox_to_anchor=(0.4, 1.0), loc="lower center", handlelength=1.5)
    return fig
