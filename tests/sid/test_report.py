"""Figures of a set of IDs, by hand."""

import numpy as np
import pytest
from vectors import clusters

from crs_lite.sid.codes import SemanticIDs, random_ids
from crs_lite.sid.report import entropy_bits, report, table


def test_entropy_by_hand():
    assert entropy_bits(np.array([4, 4, 4, 4])) == pytest.approx(2.0)
    assert entropy_bits(np.array([2, 1, 1, 0])) == pytest.approx(1.5)  # 1/2 * 1 + 2 * 1/4 * 2
    assert entropy_bits(np.array([7, 0])) == 0.0


def test_report_by_hand():
    """Four items on a line; layer a splits them in two, b and c say nothing, items 2 and 3 collide."""
    three = np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]])
    figures = report(np.array([[0.0], [2.0], [10.0], [12.0]]), SemanticIDs.from_three(three, (4, 2, 1)))
    assert figures["collision_rate"] == 0.5 and figures["max_d"] == 1
    assert figures["items_per_code"] == pytest.approx(4 / 3) and figures["max_items_per_code"] == 2
    assert figures["utilisation"] == [0.5, 1.0, 1.0]
    assert figures["entropy_bits"] == pytest.approx([1.0, 0.8112781245, 0.0])
    assert figures["entropy_share"] == pytest.approx([0.5, 0.8112781245, 1.0])
    # Variance 4 * 26 = 104. Layer a leaves -1, 1, -1, 1 (4); b takes 1 off item 1 and adds 1/3 to the others.
    assert figures["error"] == pytest.approx([4 / 104, (8 / 3) / 104, (8 / 3) / 104])


def test_error_falls_layer_by_layer_and_random_ids_are_worse():
    x = clusters()
    ids = SemanticIDs.build(x, sizes=(8, 8, 8), seed=1)
    good, bad = report(x, ids), report(x, random_ids(len(x), (8, 8, 8)))
    assert 1 > good["error"][0] > good["error"][1] > good["error"][2] > 0
    assert all(b > 2 * g for g, b in zip(good["error"], bad["error"], strict=True))
    rows = table({"K-means": good, "random": bad})
    assert list(rows.index) == ["K-means", "random"] and rows.loc["K-means", "error c"] == good["error"][2]
    assert good["build_seconds"] > 0
