"""Figures show the numbers they are made from."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from crs_lite.chapters import plots
from crs_lite.chapters.plots import COLOURS


def row(name: str, value: float, **more) -> dict:
    return {"name": name, "metrics": {"NDCG@10": {"value": value, "low": value - 0.02, "high": value + 0.03}}, **more}


RESULTS = {
    "baselines": [row("BM25", 0.1), row("informed", 0.8), row("oracle", 0.9)],
    "stages": [row("aligned", 0.3), row("after RL", 0.4, audit={}, true_reasoning=row("probe", 0.6))],
}


def points(ax, marker: str) -> dict[float, tuple[float, str]]:
    """Height -> (place, colour) of every single point with that marker."""
    lines = [line for line in ax.lines if line.get_marker() == marker and len(line.get_xdata()) == 1]
    return {line.get_ydata()[0]: (line.get_xdata()[0], to_hex(line.get_color()).upper()) for line in lines}


def test_every_system_is_a_dot_with_its_interval_and_the_ceilings_are_lines():
    ax = plots.dot_plot(RESULTS).axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["after RL", "aligned", "BM25"]
    dots = points(ax, "o")
    assert {names[int(y)]: x for y, (x, _) in dots.items()} == {"BM25": 0.1, "aligned": 0.3, "after RL": 0.4}
    colours = {names[int(y)]: colour for y, (_, colour) in dots.items()}
    assert colours == {"BM25": COLOURS["black"], "aligned": COLOURS["orange"], "after RL": COLOURS["blue"]}
    assert {x for x, _ in points(ax, "D").values()} == {0.6}
    spans = {tuple(np.round(line.get_xdata(), 3)) for line in ax.lines if len(line.get_xdata()) == 2}
    assert {(0.08, 0.13), (0.28, 0.33), (0.38, 0.43)} <= spans and {(0.8, 0.8), (0.9, 0.9)} <= spans
    assert ax.get_xlim()[1] > 0.9 and {t.get_text().strip() for t in ax.texts} == {"informed", "oracle"}


def test_a_reference_run_stands_in_grey_beside_it():
    ax = plots.dot_plot(RESULTS, reference={"baselines": [row("BM25", 0.2)], "stages": []}).axes[0]
    grey = [x for y, (x, colour) in points(ax, "o").items() if colour == to_hex("0.7").upper()]
    assert grey == [0.2]


def test_curves_show_every_step_and_its_running_mean():
    steps = [{"rank": float(i % 3), "silent_groups": 0.5, "tokens": 10.0 + i} for i in range(12)]
    axes = plots.rl_curves({"rl_steps": steps}, window=4).axes
    assert [ax.get_title() for ax in axes] == ["rank reward", "silent groups", "tokens a trajectory"]
    raw, smooth = axes[0].lines
    assert raw.get_ydata().tolist() == [s["rank"] for s in steps]
    by_hand = [np.mean([s["rank"] for s in steps[i : i + 4]]) for i in range(9)]
    assert smooth.get_ydata() == pytest.approx(by_hand) and smooth.get_xdata()[0] == 1.5
    assert axes[2].lines[0].get_ydata()[-1] == 21.0 and axes[2].get_ylim()[0] == 0
    two = plots.rl_curves({"rl_steps": steps[:2]}).axes[0].lines[1]
    assert two.get_ydata().tolist() == [0.0, 1.0]  # a short run is not smoothed away


def test_bars_of_a_group_are_its_rewards_and_advantages():
    reward, advantage = np.array([1.0, 0.25, 0.0]), np.array([1.2, -0.4, -0.8])
    left, right = plots.group_bars(reward, advantage, ["a", "b", "c"]).axes
    assert [bar.get_width() for bar in left.patches] == reward.tolist()
    assert [bar.get_width() for bar in right.patches] == advantage.tolist()
    heights = [bar.get_y() for bar in left.patches]
    assert heights == sorted(heights, reverse=True)  # the first on top
    ticks = dict(zip(left.get_yticks(), (t.get_text() for t in left.get_yticklabels()), strict=True))
    assert ticks == {2: "a", 1: "b", 0: "c"}
    colours = [to_hex(bar.get_facecolor()).upper() for bar in right.patches]
    assert colours == [COLOURS["green"], COLOURS["red"], COLOURS["red"]]


def test_the_error_left_begins_with_everything():
    (line,) = plots.residual_error({"error": [0.6, 0.4, 0.3]}).axes[0].lines
    assert line.get_ydata().tolist() == [1.0, 0.6, 0.4, 0.3]


def test_tokens_are_boxes_in_order_filled_where_they_are_predicted():
    words = [("in" * 10, False), ("out", True), ("x\ny", False)] * 4
    ax = plots.token_rows({"a row": words}, width=60).axes[0]
    texts = [t.get_text() for t in ax.texts]
    assert texts == ["a row"] + [w.replace("\n", " ") for w, _ in words]
    filled = [to_hex(box.get_facecolor()).upper() == COLOURS["sky"] for box in ax.patches]
    assert filled == [on for _, on in words]
    ends = [box.get_x() + box.get_width() for box in ax.patches]
    assert max(ends) <= 60.5 and len({box.get_y() for box in ax.patches}) > 1  # wrapped


def test_the_map_names_every_chapter_that_it_shows():
    fig = plots.system_map()
    said = {t.get_text() for t in fig.axes[0].texts}
    assert {"align", "reasoning", "ranked list", "tree of all IDs"} <= said
    shown = {n.strip() for t in said if t.startswith("ch. ") for n in t.removeprefix("ch. ").split(",")}
    assert shown == {str(n) for n in range(1, 11)}


def test_a_curve_marks_its_points_and_begins_at_zero():
    ax = plots.curve((1, 10, 100), [3, 2, 1], "width", "score", log=True)
    assert ax.lines[0].get_ydata().tolist() == [3, 2, 1] and ax.get_ylim()[0] == 0
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "10", "100"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "score")


def test_the_house_style_is_set_once():
    with plt.rc_context():
        plots.use()
        assert {key: plt.rcParams[key] for key in plots.STYLE} == plots.STYLE
