"""The ceilings on record are those of the shop, and `data` writes no shop that did not come out as frozen."""

import json

import pytest

from crs_lite.errors import CRSError
from crs_lite.evaluate import ranks_of_targets, score
from crs_lite.marketplace import FROZEN_SHA256, HIDEABLE, load
from crs_lite.paths import SHIPPED
from crs_lite.study import ceilings
from crs_lite.study.ceilings import ceiling, write


@pytest.mark.slow
def test_recorded_ceilings_and_their_order(shop):
    log, truth = shop
    world = json.loads((SHIPPED / "world.json").read_text(encoding="utf-8"))
    recorded = world["test_ceilings"]
    assert ceiling(log, truth, "oracle") == recorded["oracle"]
    assert ceiling(log, truth, "informed") == recorded["informed"]
    assert 0.45 < recorded["informed"]["HR@1"] < 0.65 and recorded["oracle"]["HR@1"] > recorded["informed"]["HR@1"]
    for part in HIDEABLE:
        assert recorded[f"informed -{part}"]["NDCG@10"] < recorded["informed"]["NDCG@10"] - 0.02


@pytest.mark.slow
def test_other_worlds(tmp_path):
    write(tmp_path, seed=3, n_items=3000, n_users=20)
    log, truth = load(tmp_path)
    assert len(log.items) == 3000 == len({i.title for i in log.items}) and log.name == "marketplace-3-3000-20"
    assert log.digest() != FROZEN_SHA256
    test = log.split("test")
    assert truth.ranker("informed", ("device",)).rank(test, 10).shape == (len(test), 10)
    for kind in ("oracle", "informed"):
        ranks = ranks_of_targets(truth.ranker(kind).rank(test, 10), [r.target for r in test])
        assert score(ranks)["NDCG@10"] > 0.3


def test_a_small_world_is_written_with_the_ceilings_it_has(tmp_path, capsys):
    write(tmp_path, seed=5, n_items=100, n_users=60)
    log, truth = load(tmp_path)
    world = json.loads((tmp_path / "world.json").read_text(encoding="utf-8"))
    assert world["generator"] == {"seed": 5, "n_items": 100, "n_users": 60}
    assert world["requests"]["test"] == len(log.split("test"))
    assert world["requests"]["cold_start_test"] == sum(log.n_past(r) <= 2 for r in log.split("test"))
    assert set(world["test_ceilings"]) == {"oracle", "informed", *(f"informed -{part}" for part in HIDEABLE)}
    test = log.split("test")
    place = [list(row).index(r.target) for row, r in zip(truth.oracle(test, 100), test, strict=True)]
    assert world["test_ceilings"]["oracle"]["HR@1"] == round(sum(p == 0 for p in place) / len(test), 4)
    mrr = sum(1 / (p + 1) for p in place if p < 10) / len(test)
    assert world["test_ceilings"]["oracle"]["MRR"] == pytest.approx(mrr, abs=6e-5)
    assert f"oracle                  HR@1 {world['test_ceilings']['oracle']['HR@1']:.3f}" in capsys.readouterr().out


def test_a_shop_that_does_not_come_out_as_frozen_is_not_written(tmp_path, monkeypatch, small_shop):
    monkeypatch.setattr(ceilings, "generate", lambda **_: small_shop)
    with pytest.raises(CRSError, match=f"expected {FROZEN_SHA256}, got another log"):
        write(tmp_path / "out")
    assert not (tmp_path / "out").exists()
