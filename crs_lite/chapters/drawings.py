"""The figures of chapters 2 to 5, 11 and 12, one function each; what they show is computed in the chapter."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from crs_lite.chapters.plots import COLOURS, curve, side_by_side
from crs_lite.study.comparison import hierarchical

KINDS = {
    "kmeans": ("residual K-means", "blue"),
    "rqvae": ("RQ-VAE", "green"),
    "random": ("random", "orange"),
}  # kind of ID, as recorded -> its name, its colour


# -- chapter 2 ------------------------------------------------------------------------------------


def parts_of_a_text(sizes: dict[str, int] | list[tuple[str, int]]) -> plt.Figure:
    """One bar from the beginning of a text to its end, cut into its parts: (name, tokens)."""
    parts = list(sizes.items()) if isinstance(sizes, dict) else list(sizes)
    fig, ax = side_by_side(1, 8, 1.9)
    shades = [COLOURS["blue"], *(["#9ecae1", "#c6dbef"] * len(parts))[: len(parts) - 2], COLOURS["orange"]]
    left = 0
    for (name, n), colour in zip(parts, shades, strict=True):
        ax.barh(0, n, left=left, color=colour, edgecolor="white")
        ink = "white" if colour == COLOURS["blue"] else "black"
        ax.text(left + n / 2, 0, str(int(n)), ha="center", va="center", fontsize=8, color=ink)
        ax.text(left + n / 2, 0.45, name, va="bottom", rotation=35, fontsize=8)
        left += n
    ax.set_yticks([])
    ax.set_ylim(-0.45, 1.9)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("tokens, from the beginning of the text to its end")
    return fig


def kept_by_budget(budgets: tuple[int, ...], counts: np.ndarray, ours: int) -> plt.Figure:
    """Interactions kept, median and quartiles. counts `(budgets, requests)`; `ours` is marked."""
    low, mid, high = np.percentile(counts, [25, 50, 75], axis=1)
    fig, ax = side_by_side(1, 6.5, 2.8)
    ax.fill_between(budgets, low, high, color=COLOURS["sky"], alpha=0.4)
    curve(budgets, mid, "budget in tokens", "interactions kept of 10", top=10.5, ax=ax)
    ax.axvline(ours, color="0.4", ls="--", lw=1)
    ax.text(ours, 0.4, " ours", color="0.3")
    return fig


# -- chapter 3 ------------------------------------------------------------------------------------


def residuals_in_a_plane(x: np.ndarray, codebooks: list[np.ndarray], codes: np.ndarray, marked: int) -> plt.Figure:
    """What each of three codebooks sees: items `x` `(N, d)`, then what one and two codes leave; item `marked` a star.

    All panels show the two directions in which the items differ most."""
    fig, axes = side_by_side(3, 8.5, 3, sharex=True, sharey=True)
    directions = np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:2]  # (2, d)
    left = x
    for layer, (ax, title) in enumerate(
        zip(axes, ("the vectors", "what one code leaves", "what two leave"), strict=True)
    ):
        middle = x.mean(0) if layer == 0 else 0
        dots, centres = (left - middle) @ directions.T, (codebooks[layer] - middle) @ directions.T
        ax.scatter(*dots.T, s=3, color="0.75")
        ax.scatter(*centres.T, s=14, color=COLOURS["blue"], marker="s")
        ax.scatter(*dots[marked], s=50, color=COLOURS["red"], marker="*")
        ax.set_title(title, fontsize=10)
        ax.set_xticks([])
        ax.set_yticks([])
        left = left - codebooks[layer][codes[:, layer]]
    return fig


def agreement(shares: dict[str, list[float]], chance: dict[str, list[float]]) -> plt.Figure:
    """Facet -> share of pairs that agree in it, by shared leading codes 0 to 3; `chance`, for random IDs, dotted."""
    fig, ax = side_by_side(1, 6.5, 2.9)
    for (key, y), colour, mark in zip(shares.items(), ("blue", "orange", "green"), "osD", strict=True):
        ax.plot(y, mark + "-", color=COLOURS[colour], label=key)
        ax.plot(chance[key], mark + ":", color=COLOURS[colour], alpha=0.5)
    ax.set_xticks(range(4), ["none", "a", "a b", "a b c"])
    ax.set_xlabel("codes that two items share")
    ax.set_ylabel("share of pairs that agree")
    ax.set_ylim(0, 1.05)
    ax.legend(frameon=False, loc="upper left")
    return fig


def kinds_of_ids(reports: dict[str, dict]) -> plt.Figure:
    """Collision rate, codes in use and error of several sets of IDs: name -> `sid.report.report`."""
    fig, axes = side_by_side(3, 8.5, 2.6, sharey=True)
    panels = {
        "collision rate": [r["collision_rate"] for r in reports.values()],
        "codes used, mean of layers": [np.mean(r["utilisation"]) for r in reports.values()],
        "error after three codes": [r["error"][2] for r in reports.values()],
    }
    y = np.arange(len(reports))[::-1]
    for ax, (title, values), colour in zip(axes, panels.items(), ("red", "green", "blue"), strict=True):
        ax.barh(y, values, color=COLOURS[colour])
        ax.set_title(title, fontsize=10)
        ax.set_xlim(0, max(1.05, 1.05 * max(values)))
    axes[0].set_yticks(y, list(reports))
    return fig


# -- chapter 4 ------------------------------------------------------------------------------------


def branching(children: list[list[int]]) -> plt.Figure:
    """How many tokens may follow, level by level. `children[l]`: the number of children of every node of level l."""
    fig, ax = side_by_side(1, 6.5, 2.6)
    at = np.arange(len(children))
    ax.bar(at - 0.2, [max(n) for n in children], 0.4, color=COLOURS["blue"], label="widest node")
    ax.bar(at + 0.2, [np.mean(n) for n in children], 0.4, color=COLOURS["sky"], label="mean")
    ax.set_xticks(at, [f"token {level + 1}" for level in at])
    ax.set_ylabel("allowed tokens")
    ax.legend(frameon=False)
    return fig


def by_width(widths: tuple[int, ...], panels: dict[str, list[float]]) -> plt.Figure:
    """Curves over the beam width, side by side: title -> one value a width. The first is a share."""
    fig, axes = side_by_side(len(panels), 4 * len(panels), 2.7)
    for n, (ax, (title, y)) in enumerate(zip(axes, panels.items(), strict=True)):
        curve(widths, y, "beam width", "", log=True, top=None if n else 1.05, ax=ax)
        ax.set_title(title, fontsize=10)
    return fig


# -- chapter 5 ------------------------------------------------------------------------------------


def mapping_curves(recorded: list[dict], mine: list[tuple[float, float, float]]) -> plt.Figure:
    """How the names are learnt: recorded runs by kind of ID (mean over the seeds, band from lowest to highest), and the
    run just made as crosses. A curve is rows of (times seen, item → ID, ID → title)."""
    fig, axes = side_by_side(2, 8, 2.9, sharey=True)
    here = np.array(mine)
    for column, (ax, title) in enumerate(zip(axes, ("item → ID", "ID → title"), strict=True), 1):
        for kind, (label, colour) in KINDS.items():
            curves = np.array([r["curve"] for r in recorded if r["kind"] == kind])  # (seeds, points, 3)
            seen, y = curves[0, :, 0], curves[:, :, column]
            ax.plot(seen, y.mean(0), "o-", ms=3, color=COLOURS[colour], label=label)
            ax.fill_between(seen, y.min(0), y.max(0), color=COLOURS[colour], alpha=0.2, lw=0)
        ax.plot(here[:, 0], here[:, column], "kx", label="this run")
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("times every pair was seen")
        ax.set_xticks(range(0, 17, 4))
    axes[0].set_ylabel("share right")
    axes[0].legend(frameon=False, fontsize=8)
    return fig


def likeness(alike: np.ndarray, rows: dict[str, np.ndarray]) -> plt.Figure:
    """Pairs of tokens: how alike their rows are over how alike their categories are, both `(pairs,)`; a panel each."""
    fig, axes = side_by_side(len(rows), 7.5, 2.8, sharey=True)
    for ax, (title, y) in zip(axes, rows.items(), strict=True):
        ax.plot(alike, y, ".", ms=4, alpha=0.6, color=COLOURS["blue"])
        ax.axhline(0, color="0.7", lw=0.8)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("how alike their categories are (cosine)")
    axes[0].set_ylabel("how alike their rows are (cosine)")
    return fig


# -- chapter 11 -----------------------------------------------------------------------------------

Row = tuple[str, str, list[np.ndarray]]  # a name, a colour, one array of values a seed


def intervals(rows: list[Row], lines: dict[str, float], xlabel: str = "NDCG@10") -> plt.Figure:
    """A dot and its 95 % interval for every system, the first on top; `lines`: name -> where a line stands."""
    fig, ax = side_by_side(1, 7.2, 0.34 * len(rows) + 1.0)
    for y, (_, colour, of) in enumerate(reversed(rows)):
        d = hierarchical(of)
        ax.plot([d.low, d.high], [y, y], color=COLOURS[colour], lw=2)
        ax.plot(d.mean, y, "o", color=COLOURS[colour], ms=6)
    ax.set_yticks(range(len(rows)), [name for name, *_ in reversed(rows)])
    for name, x in lines.items():
        ax.axvline(x, color="0.5", ls=":", lw=1.2)
        ax.text(x, len(rows) - 0.4, name, ha="center", fontsize=8)
    ax.set_xlabel(xlabel)
    return fig


def over_thoughts(curves: dict[str, dict[int, float]], direct: float) -> plt.Figure:
    """Merged lists over the number of thoughts: name -> number -> NDCG@10; a line where the direct answer stands."""
    fig, ax = side_by_side(1, 6.5, 3.2)
    for (name, curve_of), colour, mark in zip(curves.items(), ("red", "orange", "blue", "green"), "osD^", strict=False):
        x = sorted(curve_of)
        ax.plot(x, [curve_of[m] for m in x], marker=mark, color=COLOURS[colour], label=name)
    ax.axhline(direct, color="0.5", ls=":", lw=1.2, label="direct answer")
    ax.set_xscale("log", base=2)
    ax.set_xticks([1, 4, 8, 16], ["1", "4", "8", "16"])
    ax.set_xlabel("sampled thoughts, merged")
    ax.set_ylabel("NDCG@10")
    ax.legend(frameon=False, fontsize=8)
    return fig


def two_teachers(doubt: np.ndarray, curves: dict[str, np.ndarray]) -> plt.Figure:
    """The two-item shop: NDCG over how sure the evidence is; name -> values at `doubt (n,)`."""
    fig, ax = side_by_side(1, 6.0, 3.0)
    for (name, y), colour, style in zip(curves.items(), ("red", "orange", "blue"), ("-", "--", "-."), strict=False):
        ax.plot(doubt, y, style, color=COLOURS[colour], label=name, lw=2)
    ax.set_xlabel("chance of the likelier brand")
    ax.set_ylabel("NDCG of two")
    ax.legend(frameon=False, fontsize=8)
    return fig


def memory_of_a_trie(items: np.ndarray, megabytes: dict[str, np.ndarray], built: dict[int, float]) -> plt.Figure:
    """Memory over the size of the catalogue: a line for each size of codebook, and `built` tries as dots."""
    fig, ax = side_by_side(1, 6.0, 3.0)
    for (name, y), colour, style in zip(megabytes.items(), ("blue", "orange"), ("-", "--"), strict=False):
        ax.plot(items, y, style, color=COLOURS[colour], label=name, lw=2)
    ax.plot(list(built), list(built.values()), "o", color="black", label="built here")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("items")
    ax.set_ylabel("megabytes")
    ax.legend(frameon=False, fontsize=8)


# -- chapter 12 -----------------------------------------------------------------------------------


def account(files: dict[str, dict]) -> plt.Figure:
    """What became of the rows of every file: file -> `kept` and `skipped` (reason -> rows), a bar each, logarithmic."""
    bars = [(f"{name}: {why}", n, why == "kept") for name, of in files.items()
            for why, n in {"kept": of["kept"], **of["skipped"]}.items()]  # fmt: skip
    fig, ax = side_by_side(1, 7.5, 0.24 * len(bars) + 0.8)
    y = np.arange(len(bars))[::-1]
    ax.barh(y, [n for _, n, _ in bars], color=[COLOURS["blue" if kept else "orange"] for *_, kept in bars])
    for at, (_, n, _) in zip(y, bars, strict=True):
        ax.text(n, at, f" {n:,}", va="center", fontsize=8)
    ax.set_yticks(y, [label for label, *_ in bars], fontsize=8)
    ax.set_xscale("log")
    ax.set_xlabel("rows")
    return fig


def scores_by_log(columns: list[str], table: dict[str, list[float]]) -> plt.Figure:
    """Rankers over logs: log -> one score a column, written into its field; the darker, the higher."""
    values = np.array(list(table.values()))
    fig, ax = side_by_side(1, 6.5, 0.36 * len(table) + 0.9)
    ax.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        ax.text(x, y, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(table)), list(table))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    return fig
