"""Results files are checked when they are read, and tables are made from them alone."""

import json

import pytest

from crs_lite.errors import CRSError
from crs_lite.study import results


def test_results_files_are_checked(tmp_path):
    path = tmp_path / "r.json"
    with pytest.raises(CRSError, match="no such file; restore it, or make it"):
        results.load(path)
    path.write_text('{"schema": 1,\n "x": ')
    with pytest.raises(CRSError, match="line 2: damaged"):
        results.load(path)
    path.write_text(json.dumps({"schema": 0}))
    with pytest.raises(CRSError, match="another version"):
        results.load(path)


def test_table_and_gap_by_hand():
    """With a truth: shares, probes and the two gaps, from numbers small enough to check in the head."""

    def row(name, ndcg, **more):
        metric = {"value": ndcg, "low": ndcg - 0.01, "high": ndcg + 0.01}
        return {"name": name, "metrics": dict.fromkeys(("HR@1", "HR@10", "NDCG@10", "MRR"), metric), **more}

    probe = {"metrics": {"NDCG@10": {"value": 0.6, "low": 0.59, "high": 0.61}}}
    run = {
        "baselines": [row("BM25", 0.1), row("informed", 0.8)],
        "stages": [row("after RL", 0.4, true_reasoning=probe, audit={"attribute_truth": 0.75})],
    }
    table = results.table(run)
    assert table.loc["after RL", "share of ceiling"] == "0.50"
    assert table.loc["after RL", "NDCG@10, true reasoning"] == "0.600 [0.590, 0.610]"
    assert table.loc["after RL", "attribute truth"] == "0.750"
    gap = results.gap(run, "after RL")
    assert gap["decoder gap"] == pytest.approx(0.2) and gap["reasoning gap"] == pytest.approx(0.2)
