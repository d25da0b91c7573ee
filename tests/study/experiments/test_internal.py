"""Soft targets come from the merged list, as often as it says."""

from collections import Counter
from importlib import import_module

import numpy as np

from crs_lite.merging import merge
from crs_lite.study.experiments import runner
from crs_lite.study.experiments.internal import DRAWS, targets


def test_both_teachers_give_as_many_lessons_to_the_same_model(job, hollow):
    assert runner.run_seed(job("internal")) == 3
    assert [n for n in hollow if not n.startswith("score")] == [
        "align", "direct", "distil", "internal-merged", "internal-clicks",
    ]  # fmt: skip


def test_clicks_teach_what_was_clicked(make):
    p = make("shared")
    assert targets(p, None, "clicks") == [[r.target for r in p.pool]] * DRAWS


def test_items_are_drawn_by_their_merged_chance(make, monkeypatch):
    p, module = make("shared"), import_module("crs_lite.study.experiments.internal")
    logp = np.log([[[0.5, 0.25], [0.5, 0.1]]] * len(p.pool))
    items = np.array([[[3, 4], [4, 7]]] * len(p.pool))

    class Fixed:
        def rank(self, requests, k):
            assert all(r.clicked == () for r in requests)  # the answer is not shown

    Fixed.held, Fixed.logp = items, logp
    monkeypatch.setattr(module, "merging_ranker", lambda *a: Fixed())
    monkeypatch.setattr(module, "DRAWS", 600)
    stage = type("S", (), {"folder": None})
    found, chance = merge(items[0], logp[0], 4)
    want = dict(zip(found.tolist(), chance / chance.sum(), strict=True))
    drawn = Counter(row[0] for row in targets(p, stage, "merged"))
    assert set(drawn) <= {i for i in want if i >= 0}
    for item, count in drawn.items():
        assert abs(count / 600 - want[item]) < 0.08  # five standard errors, wide of luck


def test_rows_of_both(toy_study):
    rows = toy_study.rows["internal"]
    assert set(rows) == {"taught-by-merged", "taught-by-clicks", "before"}
    a, b = (rows[f"taught-by-{n}"]["stage_info"]["examples"] for n in ("merged", "clicks"))
    assert a == b == 12 * DRAWS and not any(rows["before"]["thoughts"])
