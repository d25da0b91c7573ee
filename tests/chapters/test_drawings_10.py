"""Figures of chapters 1 and 10 show the numbers they are made from."""

import numpy as np
import pandas as pd

from crs_lite.chapters import drawings_10


def test_places_count_from_one():
    ax = drawings_10.by_place({"HR": np.ones(4), "NDCG": np.array([1, 0.6, 0.5, 0.4]), "MRR": np.zeros(4)}).axes[0]
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2, 3, 4]] * 3
    assert ax.lines[1].get_ydata().tolist() == [1, 0.6, 0.5, 0.4]


def test_the_first_bar_is_on_top_and_says_its_value():
    ax = drawings_10.lengths({"oracle": 0.83, "blind": 0.5}, ["orange", "blue"], "NDCG").axes[0]
    assert [bar.get_width() for bar in ax.patches] == [0.83, 0.5] and ax.patches[0].get_y() > ax.patches[1].get_y()
    assert [t.get_text() for t in ax.texts] == ["0.830", "0.500"]


def test_a_system_stands_in_one_line_of_three_panels_and_a_cost_of_nothing_is_not_drawn():
    rows = [("counts", "black", [np.full(50, 0.6)]), ("thinks", "blue", [np.full(50, 0.5), np.full(50, 0.4)])]
    quality, tokens, minutes = drawings_10.quality_and_cost(rows, [0, 47], [0, 10.5], {"informed": 0.7}).axes
    dots = [line for line in quality.lines if line.get_marker() == "o"]
    assert np.allclose([(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots], [(0.6, 1), (0.45, 0)])
    assert [bar.get_width() for bar in tokens.patches] == [0, 47]
    assert [t.get_text().strip() for t in tokens.texts + minutes.texts] == ["47", "10.5"]
    assert [label.get_text() for label in quality.get_yticklabels()] == ["counts", "thinks"]


def test_stacked_parts_end_where_their_sum_is():
    parts = pd.DataFrame({"own": [0.2, 0.5], "reasoner": [0.3, 0.1], "decoder": [0.2, 0.1]}, index=["old", "new"])
    ax = drawings_10.shares_of_the_way(parts, {"goal": 0.55}).axes[0]
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    assert np.allclose(ends, [0.2, 0.5, 0.5, 0.6, 0.7, 0.7])
    assert ax.lines[0].get_xdata() == [0.55, 0.55]
