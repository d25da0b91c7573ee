"""Figures of chapters 6 and 7 show the numbers they are made from."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from crs_lite.chapters import drawings_67
from crs_lite.chapters.plots import COLOURS


def colour(artist) -> str:
    return to_hex(artist.get_facecolor()).upper()


def test_what_is_supported_stands_out_and_the_first_is_on_top():
    ax = drawings_67.supports([("a", "query: hub", 0.9), ("b", "history: b", 0.3)], 0.4).axes[0]
    assert [(bar.get_width(), bar.get_y() + 0.4) for bar in ax.patches] == [(0.9, 1), (0.3, 0)]
    assert colour(ax.patches[0]) == COLOURS["blue"] and colour(ax.patches[1]) != COLOURS["blue"]
    assert [t.get_text() for t in ax.texts] == ["query: hub", "history: b"] and set(ax.lines[0].get_xdata()) == {0.4}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_teachers_stand_side_by_side_facet_by_facet():
    ax = drawings_67.by_facet({"one": {"brand": 0.5, "style": 1.0}, "two": {"style": 0.25, "brand": 0.75}}).axes[0]
    heights = {round(bar.get_x() + bar.get_width() / 2, 1): bar.get_height() for bar in ax.patches}
    assert heights == {-0.2: 0.5, 0.2: 0.75, 0.8: 1.0, 1.2: 0.25}
    assert [t.get_text() for t in ax.get_xticklabels()] == ["brand", "style"]


def test_each_edition_has_its_panel_and_each_seed_its_two_marks():
    left, right = drawings_67.probes({"first": [(0.1, 0.5), (0.2, 0.6)], "second": [(0.3, 0.4)]}).axes
    assert [list(line.get_ydata()) for line in left.lines] == [[0.1, 0.2], [0.5, 0.6]]
    assert [line.get_marker() for line in right.lines] == ["o", "D"] and right.get_title() == "second"
    assert max(line.get_ydata().max() for ax in (left, right) for line in ax.lines) < left.get_ylim()[1]


def test_bars_are_read_from_above():
    ax = drawings_67.bars({"before": 0.1, "after": 0.4}, ("sky", "green"), "score").axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["after", "before"]
    assert [(bar.get_width(), colour(bar)) for bar in ax.patches] == [(0.4, COLOURS["green"]), (0.1, COLOURS["sky"])]


def test_the_clip_stops_what_is_rewarded_and_the_estimate_is_never_negative():
    left, right = drawings_67.clip_and_leash(0.2).axes
    x = left.lines[0].get_xdata()
    up, down = (line.get_ydata() for line in left.lines)
    assert up.max() == pytest.approx(1.2) and np.allclose(up[x < 1.2], x[x < 1.2])
    assert down.max() == pytest.approx(-0.8) and np.allclose(down[x > 0.8], -x[x > 0.8])
    ours, plain = (line.get_ydata() for line in right.lines[:2])
    assert ours.min() >= 0 and plain.min() < 0


def test_curves_are_means_over_the_window():
    steps = {"reward": [0, 2, 4, 6], "rank": [1, 1, 1, 1]}
    axes = drawings_67.over_steps({"a": steps, "b": steps}, {"reward": ("R", 0, 9), "rank": ("hits", 0, 2)}, 2).axes
    assert list(axes[0].lines[0].get_ydata()) == [1, 3, 5] and list(axes[0].lines[0].get_xdata()) == [1, 2, 3]
    assert [ax.get_title() for ax in axes] == ["R", "hits"] and axes[1].get_ylim() == (0, 2)
    assert len({line.get_linestyle() for line in axes[0].lines}) == 2
