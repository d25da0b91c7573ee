"""Figures of chapter 13 show the numbers they are made from."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from crs_lite.chapters import drawings_13
from crs_lite.chapters.plots import COLOURS


def test_a_path_is_drawn_seed_by_seed_and_as_their_mean_and_may_end_early():
    long, short = np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]]), np.array([[0.6, 0.8]])
    fig = drawings_13.by_stage({"true": {"first": long, "second": short}, "more": {"first": long}}, ["a", "b", "c"])
    left, right = fig.axes
    thin, thick = ([li.get_ydata().tolist() for li in left.lines if (li.get_marker() == "None") == x] for x in (1, 0))
    assert thin == [[0.1, 0.2, 0.3], [0.3, 0.4, 0.5], [0.6, 0.8]]
    assert np.allclose(thick[0], [0.2, 0.3, 0.4]) and thick[1] == [0.6, 0.8]
    assert left.get_ylim()[0] == 0 and [t.get_text() for t in right.get_xticklabels()] == ["a", "b", "c"]
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["first", "second"]


def test_every_run_is_a_dot_the_first_line_is_on_top_and_panels_share_a_scale_from_zero():
    panels = {"here": [("teacher", "orange", [0.3]), ("student", "blue", [0.2, 0.4])], "kept": [("x", "blue", [0.5])]}
    left, right = drawings_13.inherited(panels, "share").axes
    dots = [line for line in left.lines if line.get_marker() == "o"]
    assert [d.get_xdata().tolist() for d in dots] == [[0.3], [0.2, 0.4]]
    assert dots[0].get_ydata()[0] > dots[1].get_ydata()[0]
    assert np.allclose([line.get_xdata()[1] for line in left.lines if line.get_marker() == "None"], [0.3, 0.3])
    assert left.get_xlim() == right.get_xlim() == (0, pytest.approx(0.55))


def test_every_decoder_has_its_own_mark_and_what_was_not_measured_is_left_out():
    shares = pd.DataFrame({"a": [1.0, 0.6], "b": [0.5, np.nan], "c": [0.4, 0.0]}, index=["category", "style"])
    ax = drawings_13.followed(shares).axes[0]
    found = [line for line in ax.lines if line.get_marker() in "osD"]
    assert [line.get_xdata()[0] for line in found] == [1.0, 0.5, 0.4] and np.isnan(found[1].get_xdata()[1])
    wanted = [COLOURS[c].lower() for c in ("red", "orange", "blue")]
    assert [to_hex(line.get_color()).lower() for line in found] == wanted
    assert [line.get_ydata()[0] for line in found] == [1, 1, 1]


def test_a_model_stands_where_it_follows_and_ranks():
    ax = drawings_13.trust({"hindsight": [(0.9, 0.44), (0.8, 0.45)], "none": [(0.3, 0.55)]}).axes[0]
    assert [list(zip(*line.get_data(), strict=True)) for line in ax.lines] == [
        [(0.9, 0.44), (0.8, 0.45)],
        [(0.3, 0.55)],
    ]
    assert len({line.get_marker() for line in ax.lines}) == 2 and ax.get_xlim()[0] == 0
