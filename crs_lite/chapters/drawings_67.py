"""The figures of chapters 6 and 7, one function each; what they show is computed in the chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from crs_lite.chapters.plots import COLOURS, side_by_side

# -- chapter 6 ------------------------------------------------------------------------------------


def supports(found: Sequence[tuple[str, str, float]], threshold: float) -> plt.Figure:
    """What a fact makes of each value: (value, the fact behind it, chance), the first on top. Blue from `threshold`,
    the dashed line, on; grey below it."""
    fig, ax = side_by_side(1, 7.5, 0.4 * len(found) + 0.7)
    y = np.arange(len(found))[::-1]
    for at, (_, fact, p) in zip(y, found, strict=True):
        ax.barh(at, p, color=COLOURS["blue"] if p >= threshold else "0.75")
        ax.text(p + 0.01, at, fact, va="center", fontsize=8)
    ax.set_yticks(y, [value for value, *_ in found])
    ax.axvline(threshold, color="black", ls="--", lw=0.8)
    ax.set_xlim(0, 1.35)
    ax.set_xticks(np.arange(0, 1.1, 0.2))
    ax.set_xlabel("chance of the value, given the fact")
    return fig


def by_facet(shares: Mapping[str, Mapping[str, float]]) -> plt.Figure:
    """Pairs of bars, facet by facet: teacher -> facet -> share of its claims that are true of the click."""
    fig, ax = side_by_side(1, 7.0, 2.8)
    facets = list(next(iter(shares.values())))
    at = np.arange(len(facets))
    for n, ((name, of), colour) in enumerate(zip(shares.items(), ("orange", "blue"), strict=True)):
        ax.bar(at + 0.4 * n - 0.2, [of[facet] for facet in facets], 0.38, color=COLOURS[colour], label=name)
    ax.set_xticks(at, facets)
    ax.set_ylim(0, 1.25)
    ax.set_yticks(np.arange(0, 1.1, 0.2))
    ax.set_ylabel("true of the click")
    ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    return fig


def probes(editions: Mapping[str, Sequence[tuple[float, float]]]) -> plt.Figure:
    """Starts as a dot (own reasoning) below a diamond (true reasoning), a panel an edition: name -> one pair a seed."""
    fig, axes = side_by_side(len(editions), 4 * len(editions), 2.9, sharey=True)
    for ax, (name, pairs) in zip(np.atleast_1d(axes), editions.items(), strict=True):
        own, true = np.transpose(pairs)
        ax.vlines(range(len(own)), own, true, color="0.8", lw=1)
        ax.plot(own, "o", color=COLOURS["blue"], label="own reasoning")
        ax.plot(true, "D", mfc="none", color=COLOURS["green"], label="true reasoning")
        ax.set_title(name, fontsize=10)
        ax.set_xticks(range(len(own)))
        ax.set_xlabel("seed")
        ax.set_ylim(0, 0.75)
    first = np.atleast_1d(axes)[0]
    first.set_ylabel("NDCG@10")
    first.legend(frameon=False, fontsize=8, loc="lower left")
    return fig


def bars(values: Mapping[str, float], colours: Sequence[str], xlabel: str) -> plt.Figure:
    """One bar a name, the first on top."""
    fig, ax = side_by_side(1, 6.0, 0.4 * len(values) + 0.8)
    names = list(values)[::-1]
    ax.barh(names, [values[n] for n in names], color=[COLOURS[c] for c in reversed(colours)])
    ax.set_xlabel(xlabel)
    return fig


# -- chapter 7 ------------------------------------------------------------------------------------


def clip_and_leash(clip: float) -> plt.Figure:
    """Left: one token's objective over its ratio, for an advantage of +1 and -1, with the band that the clip leaves.
    Right: two estimates of the KL over the log-ratio."""
    fig, axes = side_by_side(2, 8, 2.8)
    ratio, delta = np.linspace(0.4, 1.8, 200), np.linspace(-2, 1.5, 200)
    for a, colour, style in ((1, "green", "-"), (-1, "red", "--")):
        y = np.minimum(ratio * a, ratio.clip(1 - clip, 1 + clip) * a)
        axes[0].plot(ratio, y, style, color=COLOURS[colour], label=f"A = {a:+d}")
    axes[0].axvspan(1 - clip, 1 + clip, color="0.93")
    axes[0].set_xlabel("ratio")
    axes[0].set_ylabel("clipped objective")
    axes[0].legend(frameon=False)
    axes[1].plot(delta, np.exp(delta) - delta - 1, color=COLOURS["blue"], label=r"$e^\delta - \delta - 1$")
    axes[1].plot(delta, -delta, "--", color="0.6", label=r"$-\delta$")
    axes[1].axhline(0, color="black", lw=0.6)
    axes[1].set_xlabel(r"$\delta$")
    axes[1].set_ylabel("estimate of the KL")
    axes[1].legend(frameon=False)
    return fig


def over_steps(
    runs: Mapping[str, Mapping[str, Sequence[float]]], panels: Mapping[str, tuple[str, float, float]], window: int = 10
) -> plt.Figure:
    """Means over `window` steps: run -> key -> value a step; a panel for each key -> (title, lowest, highest)."""
    fig, axes = side_by_side(len(panels), 2.9 * len(panels), 2.6)
    for (name, of), colour, style in zip(runs.items(), ("blue", "orange", "green"), ("-", "--", ":"), strict=False):
        for ax, (key, (title, low, high)) in zip(np.atleast_1d(axes), panels.items(), strict=True):
            y = np.convolve(of[key], np.ones(window) / window, "valid")
            ax.plot(np.arange(len(y)) + window / 2, y, style, color=COLOURS[colour], label=name)
            ax.set_title(title, fontsize=10)
            ax.set_xlabel("step")
            ax.set_ylim(low, high)
    np.atleast_1d(axes)[0].legend(frameon=False, fontsize=7)
    return fig
