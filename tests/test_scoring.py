"""Rows of the table: what is measured of a checkpoint, and what is not asked where nobody knows."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import toy

from crs_lite import scoring
from crs_lite.evaluate import evaluate
from crs_lite.training import align


class Fixed:
    """Ranks by item number, whatever is asked."""

    name = "by number"

    def rank(self, requests, k):
        return np.tile(np.arange(k), (len(requests), 1))


def test_a_remembering_ranker_is_the_ranker_inside():
    kept = scoring.Remembering(Fixed())
    lists = kept.rank([1, 2], 3)
    assert kept.name == "by number" and lists.tolist() == kept.lists.tolist() == [[0, 1, 2]] * 2


def test_a_row_is_the_evaluator_s_with_what_the_shopper_can_expect(make):
    p = make("run", toy.Known())
    p.truth.expected_utility = lambda requests, lists: lists[:, 0] + np.arange(len(requests)) / 3
    row = scoring.score(p, "by number", p.ids_stage, "none", ranker=lambda folder: Fixed())
    assert row["metrics"] == evaluate(Fixed(), p.log, p.test, 10).model_dump()["metrics"]
    assert row["request_ids"] == [r.id for r in p.test] and row["minutes"] == p.ids_stage.minutes
    assert row["utility"] == [round(i / 3, 5) for i in range(len(p.test))]
    assert "audit" not in row and "true_reasoning" not in row  # it does not reason


def test_without_a_truth_there_is_neither_utility_nor_probe(make):
    p = make("run")
    row = scoring.score(p, "own words", p.fresh)
    assert "utility" not in row and "true_reasoning" not in row
    assert row["audit"]["attribute_truth"] is None and len(row["thoughts"]) == len(p.test)


def test_the_probe_puts_true_reasoning_in_place_of_the_model_s(make, monkeypatch):
    p, asked = make("run", toy.Known()), []

    def crs(p, folder, reason, name):
        asked.append((folder.name, reason, name))
        told = SimpleNamespace(name=name, model=None)

        def rank(requests, k):
            told.thoughts = ["Look for a lamp."] * len(requests)
            return Fixed().rank(requests, k)

        told.rank = rank
        return told

    monkeypatch.setattr(scoring, "crs_ranker", crs)
    monkeypatch.setattr(scoring, "rank_with", lambda *_: lambda requests, texts: Fixed().rank(requests, 10))
    row = scoring.score(p, "x", p.fresh)
    assert asked == [("backbone", "own", "x"), ("backbone", p.true_reasoning, "x, true reasoning")]
    assert row["true_reasoning"]["ranks"] == row["ranks"] and row["thoughts"] == ["Look for a lamp."] * len(p.test)
    lamps = [r.query == "lamp" for r in p.test]
    assert row["audit"]["attribute_truth"] == pytest.approx(np.mean(lamps))
    assert row["faithfulness"]["category"]["n"] == min(len(p.test), p.profile.intervened)
    asked.clear()
    scoring.score(p, "y", p.fresh, split="valid")
    assert asked == [("backbone", "own", "y")]  # choices are made without the probe


def test_a_system_is_scored_once_on_each_split(make, hollow):
    p = make("run")
    stage = align(p)
    for split in ("test", "valid", "test"):
        scoring.score(p, "direct SFT", stage, "none", split)
    assert hollow == ["align", "score-direct-SFT", "score-valid-direct-SFT"]
    scoring.score(p, "direct SFT", p.fresh, "none")  # another checkpoint under the same name
    assert hollow[-1] == "score-direct-SFT" and len(hollow) == 4


def test_what_does_not_learn_is_scored_with_the_leak_of_the_queries(make):
    rows, leak = scoring.baselines(make("run"))
    assert [r["name"] for r in rows] == ["popularity", "BM25", "dense", "counting"]
    assert leak == pytest.approx(1.0)  # the query is the category, and ten of the eight items of a category fit a list
    assert rows[1]["metrics"]["HR@10"]["value"] == 1.0
    assert json.dumps(rows)  # a results file can hold them


def test_ceilings_are_among_them_where_there_is_a_truth(make):
    truth = toy.Known()
    truth.ranker = lambda kind: SimpleNamespace(name=kind, rank=Fixed().rank)
    rows, _ = scoring.baselines(make("run", truth))
    assert [r["name"] for r in rows][-2:] == ["informed", "oracle"]
