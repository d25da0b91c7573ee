"""Every baseline and both ceilings, each with the requests and the budget that CRS has."""

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import toy

from crs_lite.study.experiments import EXPERIMENTS, runner

main = import_module("crs_lite.study.experiments.main")
FIXED = ["popularity", "repeat-last", "BM25", "dense"]


def test_what_does_not_learn_is_taken_once(make, hollow):
    p = make("shared")
    names = [name for name, _ in EXPERIMENTS["main"](p)]
    assert names[:4] == FIXED and "aligned" in names and "aligned-valid" in names
    other = SimpleNamespace(**{**vars(p), "seed": 1, "codec_options": p.codec_options, "tokenizer": p.tokenizer})
    assert [name for name, _ in EXPERIMENTS["main"](other)] == names[4:]


def test_ceilings_are_rows_where_there_is_a_truth(make, hollow):
    names = [name for name, _ in EXPERIMENTS["main"](make("shared", toy.Known()))]
    assert names[4:6] == ["informed", "oracle"]


def test_a_row_that_nobody_wants_trains_nothing(job, hollow):
    assert runner.run_seed(job("main", "aligned")) == 1
    assert hollow == ["align", "score-aligned"]
    assert runner.run_seed(job("main", "LTRGR")) == 1
    assert hollow[2:] == ["dsi-lr=0.0006", "ltrgr-lr=0.0001-generation=10.0", "score-LTRGR"]


@pytest.mark.parametrize("name", FIXED)
def test_fixed_rankers_are_called_by_the_name_of_their_row(make, name):
    p = make("shared")
    ranker = main.fixed_ranker(p, name, None)
    assert ranker.name == name
    assert ranker.rank(p.test[:3], 5).shape == (3, 5)


def test_a_ceiling_is_asked_of_the_truth(make):
    asked = []
    truth = SimpleNamespace(ranker=lambda kind: asked.append(kind) or "the ceiling")
    assert main.fixed_ranker(make("shared", truth), "oracle", None) == "the ceiling" and asked == ["oracle"]


def test_rows_of_the_main_table(toy_study):
    rows = toy_study.rows["main"]
    systems = {"DSI", "LTRGR", "LatentR3", "latent-SFT", "direct-SFT", "aligned", "aligned-query-only"}
    assert set(rows) == {*FIXED, *systems, *(f"{name}-valid" for name in systems)}
    assert all(r["utility"] is None and r["true_reasoning_ranks"] is None for r in rows.values())  # nobody knows
    assert not np.array_equal(rows["aligned"]["ranks"], rows["aligned-query-only"]["ranks"])
    assert rows["aligned"]["stage"] == rows["aligned-query-only"]["stage"] == "align"
