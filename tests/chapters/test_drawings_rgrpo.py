"""Figures of chapters 8 and 9 show the numbers they are made from."""

import numpy as np
import pytest

from crs_lite.chapters import drawings_rgrpo as drawings
from crs_lite.evaluate import Difference


def said(ax) -> list[str]:
    return [t.get_text() for t in ax.texts]


def test_the_two_rollouts_and_what_they_earn():
    left, right = drawings.rollout_diagram().axes
    assert [t for t in said(left) if t in ("0", "1")] == ["0", "0", "1"]
    assert [t for t in said(right) if t in ("1", "1/2", "0")] == ["1", "1/2", "0"]
    assert len(right.patches) == 3 * 5 and len(left.patches) == 0  # three lists of five


def test_bars_by_place_and_the_lines_of_near_misses():
    ax = drawings.worth_by_place(3, (0.1, 0.5)).axes[0]
    weights = [1, 1 / np.log2(3), 0.5]
    assert [bar.get_height() for bar in ax.patches] == pytest.approx(weights)
    assert [line.get_ydata()[0] for line in ax.lines] == pytest.approx([0.1 * sum(weights), 0.5 * sum(weights)])


def test_a_silent_group_is_called_so():
    judged = {"a": (np.zeros(2), np.zeros(2)), "b": (np.array([0.0, 1.0]), np.array([-0.7, 0.7]))}
    axes = drawings.two_judges(judged).axes
    assert said(axes[1]) == ["silent"] and said(axes[3]) == []
    assert [bar.get_height() for bar in axes[3].patches] == [-0.7, 0.7]


def test_curves_are_means_over_seeds_smoothed():
    of = {"x": np.array([[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]])}
    axes = drawings.over_steps({"one": ("blue", of), "two": ("orange", of)}, {"x": "title"}, window=2).axes
    assert axes[0].lines[0].get_ydata() == pytest.approx([2, 4]) and axes[0].get_title() == "title"
    assert axes[0].lines[0].get_linestyle() != axes[0].lines[1].get_linestyle()


def test_the_first_difference_stands_on_top_with_its_seeds():
    gains = {"up": (Difference(0.2, 0.1, 0.3), 5), "down": (Difference(-0.2, -0.3, -0.1), 3)}
    left, right = drawings.forest({"a": gains, "b": {"up": gains["up"]}}).axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["down", "up"]  # ticks count from below
    dots = {line.get_ydata()[0]: line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"}
    assert dots == {1: 0.2, 0: -0.2} and {t.strip() for t in said(left)} == {"5 seeds", "3 seeds"}
    assert len([line for line in right.lines if line.get_marker() == "o"]) == 1


def test_the_loop_has_its_boxes_and_words():
    words = " ".join(said(drawings.loop_diagram().axes[0]))
    assert all(w in words for w in ("split", "R-GRPO", "collect", "check", "SFT", "next round", "or starts from here"))


def test_shares_stand_in_the_order_of_their_names():
    ax = drawings.shares_of({"all": {"true": 0.5, "known": 0.25}, "kept": {"true": 0.75, "known": 0.3}}).axes[0]
    assert sorted(bar.get_width() for bar in ax.patches) == [0.25, 0.3, 0.5, 0.75]
    top = max(ax.patches, key=lambda bar: bar.get_y())
    assert top.get_width() == 0.5  # the first measure of the first set


def test_the_path_is_solid_and_rl_a_branch():
    y = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])
    ax = drawings.along_the_loop({"NDCG@10": {"own": y}}, ["start", "RL 1", "SFT 1"]).axes[0]
    solid = [line for line in ax.lines if line.get_linestyle() == "-"]
    dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert [list(line.get_ydata()) for line in solid] == [[1, 3], [3, 5], [2, 4]]
    assert [list(line.get_ydata()) for line in dotted] == [[1, 2], [3, 4], [2, 3]]


def test_a_pass_stands_at_its_rate_with_its_interval():
    kept = {6e-4: Difference(-0.2, -0.3, -0.1), 2e-5: Difference(0.0, -0.1, 0.1)}
    ax = drawings.by_rate({"kept": kept, "again": {6e-4: Difference(-0.1, -0.2, 0.0)}}, "change").axes[0]
    first, second, zero = ax.lines
    assert list(first.get_ydata()) == [0.0, -0.2] and list(second.get_ydata()) == [-0.1] and zero.get_ydata()[0] == 0
    assert np.allclose(first.get_xdata(), [2e-5, 6e-4], rtol=0.05) and np.allclose(second.get_xdata(), 6e-4, rtol=0.05)
    spans = [segment[:, 1].tolist() for bars in ax.collections for segment in bars.get_segments()]
    assert spans == [[-0.1, 0.1], [-0.3, -0.1], [-0.2, 0.0]]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2e-05", "0.0006"]
