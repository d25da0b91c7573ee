"""The figures of chapters 8 and 9, one function each; what they show is computed in the chapter or in `rounds`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from crs_lite.chapters.plots import COLOURS, side_by_side
from crs_lite.evaluate import Difference
from crs_lite.rewards import rank_weights

PALE = {"blue": "#dceefa", "green": "#d5f0e5", "red": "#f9e0d0", "grey": "0.94"}
Gains = dict[str, tuple[Difference, int]]  # what is compared -> the difference, and over how many seeds


def _box(ax, x: float, y: float, text: str, colour: str = "grey") -> None:
    style = {"boxstyle": "round,pad=0.35", "fc": PALE[colour], "ec": "0.6"}
    ax.text(x, y, text, ha="center", va="center", fontsize=9, color="black", bbox=style)


def _arrow(ax, start: tuple[float, float], end: tuple[float, float], style: str = "-", bend: str = "arc3") -> None:
    look = {"arrowstyle": "->", "color": "0.35", "ls": style, "connectionstyle": bend}
    ax.annotate("", end, start, arrowprops=look)


# -- chapter 8 ------------------------------------------------------------------------------------


def rollout_diagram() -> plt.Figure:
    """Three thoughts under two judges: one drawn ID each, and one searched list each."""
    fig, axes = side_by_side(2, 8.5, 3)
    for ax, name in zip(axes, ("GRPO", "R-GRPO"), strict=True):
        ax.set_xlim(0, 10)
        ax.set_ylim(0, 6.2)
        ax.axis("off")
        ax.set_title(name, fontsize=11)
        _box(ax, 0.8, 3, "prompt")
        ax.text(9.2, 5.95, "reward", ha="center", fontsize=8)
        for n, y in enumerate((5, 3, 1)):
            ax.plot([1.5, 2.7], [3, y], color="0.5", lw=1)
            _box(ax, 3.7, y, f"thought {n + 1}", "blue")
            if name == "GRPO":
                _arrow(ax, (4.8, y), (6.2, y), "--")
                _box(ax, 7.2, y, "drawn ID", "green" if n == 2 else "red")
                worth = "1" if n == 2 else "0"
            else:
                _list_of_five(ax, y, (0, 2, None)[n])
                worth = ("1", "1/2", "0")[n]
            ax.text(9.2, y, worth, ha="center", va="center", fontsize=11)
    return fig


def _list_of_five(ax, y: float, at: int | None) -> None:
    """Five places below each other, the target's green."""
    for k in range(5):
        middle = y + 0.72 - 0.36 * k
        ax.plot([4.8, 6.2], [y, middle], color="0.7", lw=0.8)
        colour = COLOURS["green"] if k == at else "0.9"
        ax.add_patch(plt.Rectangle((6.2, middle - 0.15), 1.9, 0.3, fc=colour, ec="white"))


def worth_by_place(k: int, credits: tuple[float, ...]) -> plt.Figure:
    """What a list is worth by the place of its target, and what `k` near misses collect at each of these credits."""
    w = rank_weights(k)
    fig, ax = side_by_side(1, 7, 2.6)
    ax.bar(range(1, k + 1), w, color=COLOURS["blue"])
    for c, style in zip(credits, ("--", ":"), strict=True):
        ax.plot([0.4, k + 0.6], [c * w.sum()] * 2, color=COLOURS["red"], ls=style, lw=1.4)
        label = f"{k} near misses,\ncredit {c}"
        ax.text(k + 0.8, c * w.sum(), label, va="center", fontsize=8, color=COLOURS["red"])
    ax.set_xticks(range(1, k + 1))
    ax.set_xlim(0.4, k + 3)
    ax.set_xlabel("place of the target")
    ax.set_ylabel("reward")
    return fig


def two_judges(judged: dict[str, tuple[np.ndarray, np.ndarray]]) -> plt.Figure:
    """One group under several judges, a row each: name -> the answers' rewards and the advantages, both `(G,)`."""
    fig, axes = plt.subplots(len(judged), 2, figsize=(8, 2 * len(judged)), layout="tight", sharex=True, squeeze=False)
    for row, (name, (reward, advantage)) in zip(axes, judged.items(), strict=True):
        thought = np.arange(1, len(reward) + 1)
        row[0].bar(thought, reward, color=COLOURS["blue"])
        row[0].set_ylim(0, 1.05)
        row[0].set_ylabel(name)
        row[1].bar(thought, advantage, color=[COLOURS["green" if a >= 0 else "red"] for a in advantage])
        row[1].axhline(0, color="black", lw=0.8)
        row[1].set_ylim(-3, 3)
        if not np.any(advantage):
            row[1].text(np.mean(thought), 0.3, "silent", ha="center", color="0.4")
    axes[0, 0].set_title("reward of the answer", fontsize=10)
    axes[0, 1].set_title("advantage", fontsize=10)
    for ax in axes[-1]:
        ax.set_xlabel("thought")
        ax.set_xticks(thought)
    return fig


def over_steps(curves: dict[str, tuple[str, dict[str, np.ndarray]]], panels: dict[str, str], window: int = 10):
    """Curves of RL, smoothed: arm -> its colour, and key -> `(seeds, steps)`; a panel for each key -> title."""
    fig, axes = side_by_side(len(panels), 8.5, 2.8)
    for style, (arm, (colour, of)) in zip(("-", "--", "-.", ":"), curves.items(), strict=False):
        for ax, key in zip(np.atleast_1d(axes), panels, strict=True):
            y = np.convolve(of[key].mean(0), np.ones(window) / window, "valid")
            ax.plot(np.arange(len(y)) + window / 2, y, style, color=COLOURS[colour], label=arm)
    for ax, title in zip(np.atleast_1d(axes), panels.values(), strict=True):
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("step")
        ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=7, loc="best")
    return fig


def forest(panels: dict[str, Gains], xlabel: str = "difference in NDCG@10") -> plt.Figure:
    """Differences with their 95 % intervals, a panel for each title and the first row on top; the panels share an axis,
    and a row names its seeds where they differ from panel to panel."""
    rows = list(next(iter(panels.values())))
    fig, axes = plt.subplots(
        1, len(panels), figsize=(8, 0.36 * len(rows) + 1.1), layout="tight", sharex=True, sharey=True, squeeze=False
    )
    for ax, (title, gains), colour in zip(axes[0], panels.items(), ("blue", "orange", "green"), strict=False):
        for y, name in enumerate(reversed(rows)):
            if name in gains:
                d, n = gains[name]
                ax.plot([d.low, d.high], [y, y], color=COLOURS[colour], lw=2)
                ax.plot(d.mean, y, "o", color=COLOURS[colour], ms=6)
                seeds = f"{n} seeds" if n > 1 else "1 seed"
                ax.text(1.02, y, seeds, transform=ax.get_yaxis_transform(), fontsize=7, color="0.35", va="center")
        ax.axvline(0, color="black", lw=0.8)
        ax.locator_params(axis="x", nbins=4)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel(xlabel, fontsize=9)
    axes[0, 0].set_yticks(range(len(rows)), rows[::-1], fontsize=9)
    axes[0, 0].set_ylim(-0.6, len(rows) - 0.2)
    return fig


# -- chapter 9 ------------------------------------------------------------------------------------


def loop_diagram() -> plt.Figure:
    """One round: split, explore, collect, check, consolidate, and where each half may begin."""
    fig, ax = side_by_side(1, 8.2, 3.4)
    ax.set_xlim(0, 16)
    ax.set_ylim(-0.6, 6.6)
    ax.axis("off")
    for x, y, text, colour in (
        (1.7, 2.9, "SFT checkpoint\nof round i", "blue"),
        (5.2, 4.9, "wrong\nrequests", "red"),
        (5.2, 2.9, "right\nrequests", "green"),
        (9, 4.9, "RL checkpoint", "blue"),
        (13.6, 4.9, "thoughts about\nall requests", "grey"),
        (13.6, 0.9, "kept: those that\nfind the target", "green"),
        (9, 0.9, "SFT checkpoint\nof round i+1", "blue"),
    ):
        _box(ax, x, y, text, colour)
    up = "arc,angleA=90,armA=70,angleB=110,armB=22,rad=12"
    down = "arc,angleA=-90,armA=18,angleB=-90,armB=60,rad=8"
    for start, end, style, bend in (
        ((3.1, 3.6), (4.2, 4.6), "-", "arc3"),
        ((3.3, 2.9), (4.2, 2.9), "-", "arc3"),
        ((6.2, 4.9), (7.5, 4.9), "-", "arc3"),
        ((10.5, 4.9), (11.9, 4.9), "-", "arc3"),
        ((6.2, 3.1), (12.1, 4.2), "-", "arc3"),
        ((13.6, 4.1), (13.6, 1.7), "-", "arc3"),
        ((11.7, 0.9), (10.6, 0.9), "-", "arc3"),
        ((2.2, 2.1), (7.4, 0.9), "-", "arc3"),
        ((1.7, 3.7), (8.3, 5.5), "-", up),
        ((9, 4.25), (9, 1.65), ":", "arc3"),
        ((9, 0.1), (1.4, 2.1), "--", down),
    ):
        _arrow(ax, start, end, style, bend)
    said = [(3.2, 4.4, "split"), (6.85, 5.2, "R-GRPO"), (11.2, 5.2, "collect"), (4.2, 0.95, "starts from"),
            (7.5, 2.95, "also thought about"), (14.3, 2.8, "check"), (11.15, 1.2, "SFT"),
            (4.6, 6.25, "starts from"), (10.5, 2.2, "or starts from here"), (5.2, -0.2, "next round")]  # fmt: skip
    for x, y, text in said:
        ax.text(x, y, text, ha="center", fontsize=8)
    return fig


def shares_of(columns: dict[str, dict[str, float]]) -> plt.Figure:
    """Shares side by side, a group of bars for each measure: name of a set of thoughts -> measure -> share."""
    measures = list(next(iter(columns.values())))
    fig, ax = side_by_side(1, 7.5, 0.7 * len(measures) + 0.9)
    y, width = np.arange(len(measures))[::-1], 0.8 / len(columns)
    for n, ((name, of), colour) in enumerate(zip(columns.items(), ("orange", "sky", "green"), strict=False)):
        at = y + width * ((len(columns) - 1) / 2 - n)
        ax.barh(at, [of[m] for m in measures], width * 0.92, color=COLOURS[colour], label=name)
    ax.set_yticks(y, measures, fontsize=8)
    ax.set_xlabel("share")
    ax.set_xlim(0, 1)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def along_the_loop(panels: dict[str, dict[str, np.ndarray]], stages: list[str], colour: str = "blue") -> plt.Figure:
    """What a measure does stage by stage: title -> name of a line -> `(seeds, stages)`. Stages take turns: start, RL,
    SFT, RL, ... The path of the model is solid, RL is a dotted branch; thin lines are single seeds."""
    fig, axes = side_by_side(len(panels), 8.6, 2.9)
    for ax, (title, lines) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        for (name, y), ink in zip(lines.items(), (colour, "green", "orange"), strict=False):
            for single in y:
                _branches(ax, single, color=COLOURS[ink], lw=0.7, alpha=0.35)
            _branches(ax, y.mean(0), color=COLOURS[ink], lw=2.2)
            ax.plot(y.mean(0), "osD"[list(lines).index(name)], color=COLOURS[ink], label=name)
        ax.set_xticks(range(len(stages)), stages, fontsize=8, rotation=0 if len(stages) < 6 else 45)
        ax.set_title(title, fontsize=10)
        if len(lines) > 1:
            ax.legend(frameon=False, fontsize=8)
    return fig


def _branches(ax, y: np.ndarray, **style) -> None:
    """y `(stages,)`: the even stages joined by a solid line, each odd one hung on the one before it."""
    ax.plot(range(0, len(y), 2), y[::2], "-", **style)
    for i in range(0, len(y) - 1, 2):
        ax.plot([i, i + 1], y[i : i + 2], ":", **style)


def by_rate(lines: dict[str, dict[float, Difference]], ylabel: str) -> plt.Figure:
    """What a pass changes at several learning rates: name -> rate -> difference, with its 95 % interval."""
    fig, ax = side_by_side(1, 6.2, 3)
    looks = zip(lines.items(), ("blue", "orange", "green"), "oDs", (0.97, 1.03, 1), strict=False)
    for (name, of), colour, mark, beside in looks:  # a little beside each other, or equal rates would hide one
        x, d = np.array(sorted(of)) * beside, [of[rate] for rate in sorted(of)]
        ax.vlines(x, [e.low for e in d], [e.high for e in d], color=COLOURS[colour], lw=1.5)
        ax.plot(x, [e.mean for e in d], "-" + mark, color=COLOURS[colour], ms=6, label=name)
    ax.axhline(0, color="0.5", lw=1)
    rates = sorted({rate for of in lines.values() for rate in of})
    ax.set_xscale("log")
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.minorticks_off()
    ax.set_xlabel("learning rate of the pass")
    ax.set_ylabel(ylabel)
    ax.legend(frameon=False, fontsize=8)
    return fig
