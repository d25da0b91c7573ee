"""The figures of chapter 14; what they show is computed in the chapter."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np

from crs_lite.chapters.plots import COLOURS, side_by_side
from crs_lite.evaluate import Difference


def differences(rows: Mapping[str, tuple[str, Difference]], xlabel: str) -> plt.Figure:
    """Name -> (colour, difference): a dot and its 95 % interval beside the line of no difference, the first on top."""
    fig, ax = side_by_side(1, 7.2, 0.34 * len(rows) + 1.0)
    for y, (colour, d) in enumerate(reversed(rows.values())):
        ax.plot([d.low, d.high], [y, y], color=COLOURS[colour], lw=2)
        ax.plot(d.mean, y, "o", color=COLOURS[colour], ms=6)
    ax.axvline(0, color="0.5", lw=1)
    ax.set_yticks(range(len(rows)), list(reversed(rows)))
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlabel(xlabel)
    return fig


def worth(groups: Mapping[str, tuple[Difference, Difference]], xlabel: str) -> plt.Figure:
    """What a group of the context is worth: name -> (to a model, to the ceiling), each with its 95 % interval; the
    first on top."""
    fig, ax = side_by_side(1, 7.2, 0.5 * len(groups) + 1.3)
    for y, pair in enumerate(reversed(groups.values())):
        for d, colour, mark, up in zip(pair, ("blue", "black"), "oD", (0.14, -0.14), strict=True):
            ax.plot([d.low, d.high], [y + up] * 2, color=COLOURS[colour], lw=2)
            label = {"o": "the model", "D": "the informed ceiling"}[mark] if y == 0 else None
            ax.plot(d.mean, y + up, mark, color=COLOURS[colour], ms=6, label=label)
    ax.axvline(0, color="0.5", lw=1)
    ax.set_yticks(range(len(groups)), list(reversed(groups)))
    ax.set_ylim(-0.6, len(groups) - 0.4)
    ax.set_xlabel(xlabel)
    ax.legend(frameon=False, fontsize=8, ncol=2, bbox_to_anchor=(0.5, 1.0), loc="lower center")
    return fig


def plane(points: Mapping[str, tuple[str, Difference, Difference]], xlabel: str, ylabel: str) -> plt.Figure:
    """Name -> (colour, x, y): a point with both intervals, and the lines of no change."""
    fig, ax = side_by_side(1, 6.8, 4.4)
    for mark, (name, (colour, x, y)) in zip("osD^vP*X", points.items(), strict=False):
        ax.plot([x.low, x.high], [y.mean, y.mean], color=COLOURS[colour], lw=1, alpha=0.6)
        ax.plot([x.mean, x.mean], [y.low, y.high], color=COLOURS[colour], lw=1, alpha=0.6)
        ax.plot(x.mean, y.mean, mark, color=COLOURS[colour], ms=8, label=name, ls="none")
    ax.axhline(0, color="0.5", lw=1)
    ax.axvline(0, color="0.5", lw=1)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend(frameon=False, fontsize=8, bbox_to_anchor=(1.0, 0.5), loc="center left")
    return fig


def over_requests(curves: Mapping[str, tuple[str, Mapping[int, float]]], ylabel: str = "NDCG@10") -> plt.Figure:
    """Name -> (colour, number of requests -> value): a line each over a logarithmic axis."""
    fig, ax = side_by_side(1, 6.8, 3.2)
    for mark, (name, (colour, points)) in zip("osD^vP", curves.items(), strict=False):
        ax.plot(list(points), list(points.values()), mark + "-", ms=6, color=COLOURS[colour], label=name)
    amounts = sorted({n for _, points in curves.values() for n in points})
    ax.set_xscale("log")
    ax.set_xticks(amounts, [f"{n:,}" for n in amounts])
    ax.set_xticks([], minor=True)
    ax.set_ylim(0, max(v for _, points in curves.values() for v in points.values()) * 1.12)
    ax.set_xlabel("training requests")
    ax.set_ylabel(ylabel)
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return fig


def bars_by_width(values: Mapping[str, Mapping[str, float]], line: float, name: str) -> plt.Figure:
    """Groups of bars: size of the backbone -> kind of answer -> value, and a line to compare with."""
    fig, ax = side_by_side(1, 6.8, 3.0)
    kinds = list(next(iter(values.values())))
    for n, (kind, colour) in enumerate(zip(kinds, ("orange", "blue", "green"), strict=False)):
        at = np.arange(len(values)) + (n - (len(kinds) - 1) / 2) * 0.25
        ax.bar(at, [of.get(kind, np.nan) for of in values.values()], 0.23, color=COLOURS[colour], label=kind)
    ax.axhline(line, color="black", ls="--", lw=1, label=name)
    ax.set_xticks(range(len(values)), list(values))
    ax.set_ylabel("NDCG@10")
    ax.legend(frameon=False, fontsize=8, ncol=4, bbox_to_anchor=(0.5, 1.0), loc="lower center")
    return fig
