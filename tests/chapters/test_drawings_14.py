"""Figures of chapter 14 show the numbers they are made from."""

import numpy as np

from crs_lite.chapters import drawings_14
from crs_lite.evaluate import Difference


def dots(ax, marks="oD"):
    return [(x.get_xdata()[0], x.get_ydata()[0]) for x in ax.lines if x.get_marker() in tuple(marks)]


def test_the_first_difference_is_on_top_and_no_difference_has_a_line():
    ax = drawings_14.differences({"a": ("blue", Difference(0.1, 0.0, 0.2)), "b": ("red", Difference(-0.1, -0.2, 0.0))},
                                 "x").axes[0]  # fmt: skip
    assert dict(zip([t.get_text() for t in ax.get_yticklabels()], ax.get_yticks(), strict=True)) == {"b": 0, "a": 1}
    assert sorted(dots(ax)) == [(-0.1, 0), (0.1, 1)]
    assert any(list(line.get_xdata()) == [0, 0] for line in ax.lines)


def test_model_and_ceiling_stand_beside_each_other():
    pair = Difference(0.1, 0.05, 0.15), Difference(0.3, 0.25, 0.35)
    ax = drawings_14.worth({"history": pair, "device": pair[::-1]}, "x").axes[0]
    found = sorted(dots(ax), key=lambda p: -p[1])
    assert [x for x, _ in found] == [0.1, 0.3, 0.3, 0.1] and found[0][1] > 1 > found[1][1]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["the model", "the informed ceiling"]


def test_a_point_has_both_intervals():
    ax = drawings_14.plane({"a": ("blue", Difference(1, 0, 2), Difference(3, 2, 5))}, "x", "y").axes[0]
    across, up, dot = ax.lines[:3]
    assert list(across.get_xdata()) == [0, 2] and list(up.get_ydata()) == [2, 5]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (1, 3)


def test_amounts_are_marked_and_all_values_fit():
    ax = drawings_14.over_requests({"a": ("blue", {100: 0.2, 800: 0.6}), "b": ("red", {400: 0.7})}).axes[0]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["100", "400", "800"] and ax.get_xscale() == "log"
    assert ax.get_ylim()[0] == 0 and ax.get_ylim()[1] > 0.7


def test_bars_stand_in_groups_and_a_missing_one_is_not_drawn():
    ax = drawings_14.bars_by_width({"80": {"direct": 0.2, "one": 0.3}, "320": {"direct": 0.5}}, 0.6, "counting").axes[0]
    heights = [bar.get_height() for bar in ax.patches]
    assert heights[:3] == [0.2, 0.5, 0.3] and np.isnan(heights[3])
    assert round(ax.patches[0].get_x() + 0.115, 6) == -0.125
