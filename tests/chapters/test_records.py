"""The tables of the chapters are the recorded rows."""

import json

import pytest

from crs_lite.chapters import records
from crs_lite.errors import CRSError
from crs_lite.paths import BENCH

RECORDED = json.loads(BENCH.read_text(encoding="utf-8"))["bench"]


def test_a_benchmark_stands_in_milliseconds_beside_its_ratio():
    table = records.bench("beam")
    for row in RECORDED["beam"]["rows"]:
        shown = table.loc[row["name"]]
        assert int(shown["ours"].split()[0]) == round(1000 * row["ours"])
        assert int(shown["stock"].split()[0]) == round(1000 * row["stock"])
        assert float(shown["stock / ours"]) == pytest.approx(row["stock"] / row["ours"], rel=0.01)


def test_growth_is_measured_from_the_first_row():
    first, *others = RECORDED["trie"]["rows"]
    growth = records.bench("trie")["beside a thousand items"].astype(float)
    assert growth.iloc[0] == 1
    assert growth.iloc[1:].tolist() == pytest.approx([r["ours"] / first["ours"] for r in others], rel=0.01)


def test_an_unknown_benchmark_is_named():
    with pytest.raises(CRSError, match="no benchmark 'beams'; use one of .*beam"):
        records.bench("beams")


def test_the_mapping_is_a_mean_over_seeds_and_every_seed():
    ends = {"kmeans": [(1.0, 0.9), (0.5, 0.8)], "rqvae": [(1.0, 0.5)] * 2, "random": [(0.0, 0.0)] * 2}
    rows = [
        {"kind": kind, "final": {"item_to_sid_hr1": a, "sid_to_title_exact": b}}
        for kind, both in ends.items()
        for a, b in both
    ]
    table = records.mapping(rows)
    assert list(table.index) == ["residual K-means", "RQ-VAE", "random"]
    assert table.loc["residual K-means"].tolist() == [0.75, 0.85, "0.90, 0.80"]
