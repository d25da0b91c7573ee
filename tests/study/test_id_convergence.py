"""Kinds of ID, learnt alone: which they are, when they are looked at, and on how many items."""

import numpy as np
import pytest
from toy import toy_log

from crs_lite import unfinished
from crs_lite.baselines.rqvae import RQVAE
from crs_lite.profiles import get_profile
from crs_lite.sid.kmeans import ResidualKMeans
from crs_lite.study import id_convergence
from crs_lite.study.id_convergence import KINDS, converge, ids_of

LOG = toy_log(2, 2)
X = np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32)
SMALL = dict(hidden=32, heads=2, ffn=64, vocab=400, sid_sizes=(4, 4, 4), align_lr=3e-3, batch_tokens=400)


def test_three_kinds_of_ids_for_the_same_vectors():
    made = {kind: ids_of(kind, X, (4, 4, 4), 0) for kind in KINDS}
    assert isinstance(made["kmeans"].quantiser, ResidualKMeans) and isinstance(made["rqvae"].quantiser, RQVAE)
    assert made["random"].quantiser is None
    assert (made["random"].codes == ids_of("random", X * 0, (4, 4, 4), 0).codes).all()  # they mean nothing
    assert (ids_of("kmeans", X, (4, 4, 4), 0).codes == made["kmeans"].codes).all()


@pytest.mark.parametrize("epochs, looked", [(2, [1, 2]), (16, [2, 4, 6, 8, 10, 12, 14, 16])])
def test_it_is_tried_eight_times_on_a_quarter_and_at_the_end_on_all(monkeypatch, epochs, looked):
    tried = []

    def look(model, codec, most):
        tried.append(most)
        return {"items_tried": most, "item_to_sid_hr1": 0.5, "sid_to_title_exact": 0.25}

    def train(model, tokenizer, examples, epochs, on_epoch, **_):
        assert len(examples) == 2 * len(LOG.items)
        for epoch in range(1, epochs + 1):
            on_epoch(epoch)

    monkeypatch.setattr(id_convergence, "roundtrip", look)
    monkeypatch.setattr(id_convergence.sft, "train", train)
    profile = get_profile("smoke", mapping_epochs=epochs, check_items=20, **SMALL)
    found = converge(LOG, X, "random", profile, 0)
    assert found["curve"] == [(epoch, 0.5, 0.25) for epoch in looked]
    assert tried == [5] * len(looked) + [20] and found["final"]["items_tried"] == 20


@pytest.mark.slow
def test_pairs_alone_are_learnt():
    profile = get_profile("smoke", mapping_epochs=60, check_items=24, layers=2, **SMALL)
    found = converge(LOG, X, "kmeans", profile, 0)
    (_, first, _), (_, last, _) = found["curve"][0], found["curve"][-1]
    assert found["final"]["item_to_sid_hr1"] > 0.9 and first <= last


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_with_the_same_curve(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    profile = get_profile("smoke", mapping_epochs=8, check_items=24, layers=1, **SMALL)
    whole = converge(LOG, X, "kmeans", profile, 0, tmp_path / "whole")
    real, lives = id_convergence.roundtrip, []

    def dies(model, codec, most):
        lives.append(most)
        if len(lives) in (3, 6):
            raise KeyboardInterrupt
        return real(model, codec, most)

    monkeypatch.setattr(id_convergence, "roundtrip", dies)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            converge(LOG, X, "kmeans", profile, 0, tmp_path / "killed")
    again = converge(LOG, X, "kmeans", profile, 0, tmp_path / "killed")
    assert (again["curve"], again["final"]) == (whole["curve"], whole["final"])  # the report tells seconds
    assert len(lives) < 2 * 9  # no epoch was learnt twice but those that a death cut short
