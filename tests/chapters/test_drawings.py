"""Figures of chapters 2 to 5 show the numbers they are made from."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from crs_lite.chapters import drawings
from crs_lite.chapters.plots import COLOURS


def test_parts_of_a_text_lie_end_to_end():
    ax = drawings.parts_of_a_text([("profile", 30), ("hat", 20), ("hat", 10), ("request", 5)]).axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 30), (30, 20), (50, 10), (60, 5)]
    said = [t.get_text() for t in ax.texts]
    assert said == ["30", "profile", "20", "hat", "10", "hat", "5", "request"]


def test_the_line_is_the_median_and_the_band_the_quartiles():
    ax = drawings.kept_by_budget((64, 128), np.array([[0, 1, 2, 3, 4], [5, 5, 5, 5, 10]]), ours=128).axes[0]
    assert ax.lines[0].get_ydata().tolist() == [2, 5]
    corners = ax.collections[0].get_paths()[0].vertices.tolist()
    assert [64, 1] in corners and [64, 3] in corners and [128, 5] in corners and [128, 10] not in corners
    assert ax.lines[1].get_xdata() == [128, 128]


def test_every_panel_shows_what_the_codes_before_it_leave():
    x = np.array([[5.0, 1.0], [-5.0, 1.0], [5.0, -1.0], [-5.0, -1.0]])
    books = [np.array([[5.0, 0.0], [-5.0, 0.0]]), np.array([[0.0, 1.0], [0.0, -1.0]]), np.array([[0.0, 0.0]])]
    axes = drawings.residuals_in_a_plane(x, books, np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]), 0).axes
    spread = [np.abs(ax.collections[0].get_offsets()).max(axis=0) for ax in axes]
    assert np.allclose(spread, [[5, 1], [0, 1], [0, 0]])
    assert [len(ax.collections[1].get_offsets()) for ax in axes] == [2, 2, 1]
    assert np.allclose(axes[2].collections[2].get_offsets(), 0)  # the star: nothing is left


def test_shares_are_drawn_through_and_chance_is_dotted():
    shares = {"category": [0.1, 0.2, 0.3, 0.4], "brand": [0.2] * 4, "style": [0.3] * 4}
    ax = drawings.agreement(shares, {key: [0.05] * 4 for key in shares}).axes[0]
    assert [line.get_linestyle() for line in ax.lines] == ["-", ":"] * 3
    assert [line.get_ydata()[-1] for line in ax.lines] == [0.4, 0.05, 0.2, 0.05, 0.3, 0.05]


def test_bars_of_the_kinds_of_ids():
    report = {"collision_rate": 0.5, "utilisation": [1.0, 0.5, 0.0], "error": [0.9, 0.8, 0.7]}
    axes = drawings.kinds_of_ids({"one": report, "two": report | {"error": [2.0, 2.0, 1.4]}}).axes
    assert [[bar.get_width() for bar in ax.patches] for ax in axes] == [[0.5, 0.5], [0.5, 0.5], [0.7, 1.4]]
    assert axes[2].get_xlim()[1] > 1.4  # no bar is cut off
    assert axes[0].patches[0].get_y() > axes[0].patches[1].get_y()  # the first on top


def test_the_trie_by_level():
    ax = drawings.branching([[3], [1, 2, 3]]).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [3, 3, 3, 2]  # the widest, then the means


def test_curves_by_width():
    axes = drawings.by_width((1, 5), {"found": [0.1, 0.5], "NDCG@10": [0.2, 0.3]}).axes
    assert [ax.get_title() for ax in axes] == ["found", "NDCG@10"]
    assert axes[1].lines[0].get_ydata().tolist() == [0.2, 0.3]
    assert axes[0].get_ylim() == (0, 1.05) and axes[0].get_xscale() == "log"


def test_recorded_curves_are_means_with_their_range_and_this_run_is_crosses():
    low, high = [[1, 0.2, 0.0], [2, 0.4, 0.1]], [[1, 0.4, 0.2], [2, 0.8, 0.3]]
    recorded = [{"kind": k, "curve": c} for k in drawings.KINDS for c in (low, high)]
    left, right = drawings.mapping_curves(recorded, [(1, 0.1, 0.05)]).axes
    assert left.lines[0].get_ydata() == pytest.approx([0.3, 0.6]) and right.lines[0].get_ydata() == pytest.approx(
        [0.1, 0.2]
    )
    assert left.collections[0].get_paths()[0].vertices[:, 1].max() == 0.8
    assert left.lines[3].get_marker() == "x" and right.lines[3].get_ydata().tolist() == [0.05]
    assert to_hex(left.lines[0].get_color()).upper() == COLOURS["blue"]


def test_a_dot_is_a_pair():
    axes = drawings.likeness(
        np.array([0.0, 0.5]), {"before": np.array([0.1, -0.1]), "after": np.array([0.0, 0.6])}
    ).axes
    assert [ax.get_title() for ax in axes] == ["before", "after"]
    assert axes[1].lines[0].get_xdata().tolist() == [0.0, 0.5] and axes[1].lines[0].get_ydata().tolist() == [0.0, 0.6]


def test_systems_stand_in_the_given_order_from_above_with_their_means():
    rows = [
        ("first", "blue", [np.array([0.0, 1.0]), np.array([1.0, 1.0])]),
        ("second", "black", [np.array([0.2, 0.2])]),
    ]
    ax = drawings.intervals(rows, {"ceiling": 0.9}).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["second", "first"]  # ticks count from below
    dots = {line.get_ydata()[0]: line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"}
    assert dots == {1: 0.75, 0: pytest.approx(0.2)}
    assert [t.get_text() for t in ax.texts] == ["ceiling"]


def test_merged_lists_over_thoughts_beside_the_direct_answer():
    ax = drawings.over_thoughts({"a": {16: 0.5, 1: 0.3}, "b": {1: 0.4, 16: 0.4}}, 0.45).axes[0]
    a, b, direct = ax.lines
    assert list(a.get_xdata()) == [1, 16] and list(a.get_ydata()) == [0.3, 0.5] and list(b.get_ydata()) == [0.4, 0.4]
    assert set(direct.get_ydata()) == {0.45} and a.get_marker() != b.get_marker()


def test_students_are_told_apart_without_colour():
    x = np.linspace(0.5, 1, 5)
    ax = drawings.two_teachers(x, {"a": x, "b": 2 * x}).axes[0]
    assert [list(line.get_ydata()) for line in ax.lines] == [list(x), list(2 * x)]
    assert len({line.get_linestyle() for line in ax.lines}) == 2


def test_an_account_has_a_bar_for_every_reason():
    files = {"queries": {"kept": 6, "skipped": {"blank": 3, "no event": 1}}, "items": {"kept": 2, "skipped": {}}}
    ax = drawings.account(files).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()][::-1] == ["items: kept", "queries: no event", "queries: blank",
                                                                  "queries: kept"]  # fmt: skip
    bars = {bar.get_y() + bar.get_height() / 2: (bar.get_width(), to_hex(bar.get_facecolor())) for bar in ax.patches}
    blue, orange = COLOURS["blue"].lower(), COLOURS["orange"].lower()
    assert bars == {3: (6, blue), 2: (3, orange), 1: (1, orange), 0: (2, blue)}  # the first file on top


def test_every_field_shows_its_score_in_the_order_given():
    ax = drawings.scores_by_log(["BM25", "counting"], {"the export": [0.1, 0.4], "titles": [0.99, 0.3]}).axes[0]
    assert [t.get_text() for t in ax.texts] == ["0.10", "0.40", "0.99", "0.30"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["BM25", "counting"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["the export", "titles"]
    assert ax.images[0].get_array().tolist() == [[0.1, 0.4], [0.99, 0.3]]
