"""House-style figures: Okabe-Ito colours (safe for colour-blind readers), white ground, readable at page width."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

from crs_lite.study import results as R

COLOURS = {"blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "red": "#D55E00", "purple": "#CC79A7",
           "sky": "#56B4E9", "yellow": "#F0E442", "black": "#000000"}  # fmt: skip
STYLE = {"figure.dpi": 110, "savefig.facecolor": "white", "figure.facecolor": "white", "font.size": 10,
         "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "crs"}  # fmt: skip


def side_by_side(columns: int, width: float, height: float, **more) -> tuple[plt.Figure, np.ndarray]:
    """Panels side by side in the house style, `width` by `height` inches; `more` goes to `plt.subplots`."""
    with plt.rc_context(STYLE):
        return plt.subplots(1, columns, figsize=(width, height), layout="tight", **more)


def use() -> None:
    """The house style for every figure from here on. A notebook calls it once."""
    plt.rcParams.update(STYLE)


def curve(x, y, xlabel: str, ylabel: str, *, colour: str = "blue", log: bool = False, top: float | None = None,
          ax: plt.Axes | None = None) -> plt.Axes:  # fmt: skip
    """One line with a dot at every point, from zero up (to `top`); `log`: the points of x are what is marked on a
    logarithmic axis. Draws into `ax`, or into a new figure."""
    if ax is None:
        with plt.rc_context(STYLE):
            ax = plt.subplots(figsize=(6, 2.6), layout="tight")[1]
    ax.plot(x, y, "o-", color=COLOURS[colour])
    if log:
        ax.set_xscale("log")
        ax.set_xticks(x, [str(v) for v in x])
        ax.minorticks_off()
    ax.set_ylim(0, top)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return ax


def dot_plot(results: dict, metric: str = "NDCG@10", reference: dict | None = None) -> plt.Figure:
    """Every system as a dot with its 95 % interval, the ceilings as lines; `reference` (a recorded run) in grey."""
    rows = R.rows(results)
    ceilings = {r["name"]: r["metrics"][metric]["value"] for r in rows if r["name"] in ("informed", "oracle")}
    rows = [r for r in rows if r["name"] not in ceilings]
    known = {r["name"]: r for r in R.rows(reference)} if reference else {}
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(7, 0.42 * len(rows) + 1.2))
        for y, r in enumerate(reversed(rows)):
            if r["name"] in known:
                m = known[r["name"]]["metrics"][metric]
                ax.plot([m["low"], m["high"]], [y - 0.2, y - 0.2], color="0.7", lw=2)
                ax.plot(m["value"], y - 0.2, "o", color="0.7", ms=5)
            m = r["metrics"][metric]
            colour = (
                COLOURS["blue"] if "audit" in r else COLOURS["orange"] if r in results["stages"] else COLOURS["black"]
            )
            ax.plot([m["low"], m["high"]], [y, y], color=colour, lw=2)
            ax.plot(m["value"], y, "o", color=colour, ms=6)
            if r.get("true_reasoning"):
                ax.plot(
                    r["true_reasoning"]["metrics"][metric]["value"], y, "D", mfc="none", color=COLOURS["green"], ms=6
                )
        for (name, value), style, side in zip(ceilings.items(), ("--", ":"), ("right", "left"), strict=False):
            ax.axvline(value, color="0.3", ls=style, lw=1)
            ax.text(
                value, len(rows) - 0.4, f" {name} ", ha=side, va="bottom", fontsize=8
            )  # the two stand close together
        ax.set_yticks(range(len(rows)), [r["name"] for r in reversed(rows)])
        ax.set_xlabel(f"{metric} on the test requests")
        ax.set_xlim(0, max([*ceilings.values(), *(r["metrics"][metric]["high"] for r in rows)]) * 1.08)
        fig.tight_layout()
    return fig


def rl_curves(results: dict, window: int = 10) -> plt.Figure:
    """Rank reward, silent groups and tokens a trajectory over the RL steps (running mean over `window` steps)."""
    steps = results["rl_steps"]
    w = max(1, min(window, len(steps) // 2))
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(1, 3, figsize=(8.5, 2.6))
        panels = (("rank", "rank reward"), ("silent_groups", "silent groups"), ("tokens", "tokens a trajectory"))
        for ax, (key, label), colour in zip(axes, panels, ("blue", "orange", "green"), strict=True):
            values = np.array([s[key] for s in steps])
            ax.plot(values, color=COLOURS[colour], alpha=0.25, lw=1)
            smooth = np.convolve(values, np.ones(w) / w, "valid")
            ax.plot(np.arange(len(smooth)) + (w - 1) / 2, smooth, color=COLOURS[colour], lw=2)
            ax.set_title(label, fontsize=10)
            ax.set_xlabel("step")
            ax.set_ylim(bottom=0)
        fig.tight_layout()
    return fig


def group_bars(reward: np.ndarray, advantage: np.ndarray, labels: list[str]) -> plt.Figure:
    """One group of rollouts: its rewards and what GRPO makes of them. reward, advantage `(G,)`."""
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(1, 2, figsize=(8, 0.34 * len(reward) + 1), sharey=True)
        y = np.arange(len(reward))[::-1]
        axes[0].barh(y, reward, color=COLOURS["blue"])
        axes[0].set_xlabel("reward")
        axes[0].set_yticks(y, labels)
        axes[1].barh(y, advantage, color=[COLOURS["green"] if a >= 0 else COLOURS["red"] for a in advantage])
        axes[1].axvline(0, color="black", lw=0.8)
        axes[1].set_xlabel("advantage")
        fig.tight_layout()
    return fig


def residual_error(report: dict) -> plt.Figure:
    """How much of the item vectors each code leaves unexplained (share of variance), layer by layer."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(4.2, 2.4))
        errors = [1.0, *report["error"]]
        ax.plot(range(4), errors, "o-", color=COLOURS["blue"])
        ax.set_xticks(range(4), ["none", "a", "a b", "a b c"])
        ax.set_xlabel("codes known")
        ax.set_ylabel("error left")
        ax.set_ylim(0, 1.05)
        fig.tight_layout()
    return fig


def token_rows(rows: dict[str, list[tuple[str, bool]]], width: int = 92) -> plt.Figure:
    """Token sequences as boxes, the predicted tokens filled: label -> (token text, is it predicted). Long rows are
    wrapped after `width` characters."""
    with plt.rc_context(STYLE):
        drawn, y = [], 0.0
        for label, tokens in rows.items():
            drawn.append((0.0, y, label, None))
            y, x = y + 1.0, 0.0
            for text, on in tokens:
                text = text.replace("\n", " ")
                if x + len(text) + 0.8 > width:
                    x, y = 0.0, y + 1.25
                drawn.append((x, y, text, on))
                x += len(text) + 0.8
            y += 1.7
        size = 8.4 / (width + 1)  # inches a character
        fig, ax = plt.subplots(figsize=(8.4, y * size * 1.85))
        ax.set_xlim(-0.5, width + 0.5)
        ax.set_ylim(y - 0.4, -1)
        ax.axis("off")
        for x, y, text, on in drawn:
            if on is None:
                ax.text(x, y, text, fontsize=9, fontweight="bold", va="center")
                continue
            ax.add_patch(
                plt.Rectangle((x, y - 0.5), len(text) + 0.5, 1, fc=COLOURS["sky"] if on else "0.93", ec="white", lw=0.5)
            )
            ax.text(x + 0.25, y, text, fontsize=size * 72 / 0.62, family="monospace", va="center")
        fig.subplots_adjust(0.01, 0.01, 0.99, 0.99)
    return fig


def system_map() -> plt.Figure:
    """The whole system on one page: what is built once, how the model is trained, what happens at search time."""
    rows = {  # title -> y, boxes (text, chapter, colour)
        "built once": (4.0, [("catalogue\nand log", "1", "black"), ("item → vector → ID", "3", "sky"),
                             ("tree of all IDs", "4", "sky")]),
        "training": (2.25, [("align", "5", "orange"), ("distil from\na teacher", "6", "orange"),
                            ("explore:\nR-GRPO on what\nit gets wrong", "7, 8", "red"),
                            ("consolidate:\nSFT on its own\nright thoughts", "9", "green")]),
        "at search time": (0.5, [("request and\ncontext as JSON", "2", "black"), ("reasoning", "6", "blue"),
                                 ("beams in\nthe tree", "4", "blue"), ("ranked list", "10", "blue")]),
    }  # fmt: skip
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.5, 4.3))
        ax.set_xlim(-1.6, 10.2)
        ax.set_ylim(-0.4, 5)
        ax.axis("off")
        width, height, step = 1.95, 1.0, 2.55
        for title, (y, boxes) in rows.items():
            ax.text(-1.6, y, title, va="center", fontsize=9, color="0.35")
            for i, (text, chapter, colour) in enumerate(boxes):
                x = i * step + 1
                box = FancyBboxPatch((x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0.05", lw=1.6,
                                     fc="white", ec=COLOURS[colour])  # fmt: skip
                ax.add_patch(box)
                ax.text(x, y + 0.06, text, ha="center", va="center", fontsize=8.5)
                ax.text(
                    x + width / 2,
                    y - height / 2 - 0.02,
                    f"ch. {chapter}",
                    ha="right",
                    va="bottom",
                    fontsize=6.5,
                    color="0.35",
                )
                if i:
                    _arrow(ax, (x - step + width / 2 + 0.07, y), (x - width / 2 - 0.07, y))
        top, middle, bottom = (y for y, _ in rows.values())
        x = [i * step + 1 for i in range(4)]
        _arrow(ax, (x[1], top - 0.57), (x[0] + 0.3, middle + 0.57))  # the IDs are what is aligned
        _arrow(ax, (x[3], middle + 0.57), (x[2], middle + 0.57), bend=0.4)
        ax.text(x[3] + 0.1, middle + 0.78, "again and again", fontsize=8, color="0.35")
        _arrow(ax, (x[3] - 0.3, middle - 0.57), (x[1] + 0.3, bottom + 0.57))  # the trained model writes
        _arrow(ax, (x[2] - 0.85, top - 0.57), (x[2] - 0.85, bottom + 0.57), bend=0.35)  # beams walk the tree of all IDs
        fig.tight_layout()
    return fig


def _arrow(ax, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    style = {"arrowstyle": "-|>", "color": "0.45", "lw": 1.2, "connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", end, start, arrowprops=style)
