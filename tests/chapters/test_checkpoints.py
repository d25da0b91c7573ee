"""The checkpoints that come with the book are what they say, and are good enough for the chapters that start from
them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import toy_log

from crs_lite import marketplace, sft
from crs_lite.chapters import checkpoints
from crs_lite.errors import CRSError
from crs_lite.evaluate import per_request, ranks_of_targets
from crs_lite.paths import SHIPPED
from crs_lite.prepared import prepare
from crs_lite.profiles import get_profile
from crs_lite.ranker import CRSRanker, roundtrip
from crs_lite.tasks import context_to_sid
from crs_lite.training import align, direct, distil
from crs_lite.workspace import Workspace


@pytest.fixture
def log(shop):
    return shop[0]


def test_they_belong_to_the_frozen_shop_and_stay_small(log):
    about = checkpoints.about()
    assert about["log"] == "marketplace-large" and set(about["stages"]) == set(checkpoints.STAGES)
    assert sum(f.stat().st_size for f in checkpoints.FOLDER.rglob("*") if f.is_file()) < 9e6
    with pytest.raises(CRSError, match="made for the items of 'marketplace-large', not for"):
        checkpoints.codec(toy_log())
    with pytest.raises(CRSError, match="no artifact"):
        checkpoints.model("oracle")


@pytest.mark.parametrize("name", ["distilled/model.safetensors", "tokenizer/tokenizer.json", "ids/sids.safetensors"])
def test_a_damaged_file_is_named_before_it_is_used(tmp_path, log, name):
    folder = shutil.copytree(checkpoints.FOLDER, tmp_path / "artifacts")
    data = bytearray((folder / name).read_bytes())
    data[-2] ^= 1
    (folder / name).write_bytes(data)
    for use in (
        lambda: checkpoints.codec(log, folder),
        lambda: checkpoints.model("distilled", folder),
        lambda: checkpoints.unpack(tmp_path / "run", folder),
    ):
        with pytest.raises(CRSError, match=f"{name}: damaged or replaced.*; restore the folder"):
            use()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_half_precision_kept_what_was_learnt(log):
    codec, aligned = checkpoints.codec(log), checkpoints.model("aligned")
    found = roundtrip(aligned, codec, 100)
    recorded = checkpoints.about()["stages"]["aligned"]["info"]
    assert found["item_to_sid_hr1"] >= recorded["item_to_sid_hr1"] - 0.03
    assert found["sid_to_title_exact"] >= recorded["sid_to_title_exact"] - 0.08
    requests = log.split("valid")[:120]
    for name, reason in (("aligned", "none"), ("distilled", "own")):
        ranked = CRSRanker(name, checkpoints.model(name), codec, reason).rank(requests, 10)
        ndcg = per_request(ranks_of_targets(ranked, np.array([r.target for r in requests])))["NDCG@10"].mean()
        assert ndcg > 0.15  # popularity reaches a tenth of that


def test_beside_a_gpu_they_stay_and_learn_on_the_cpu(log, monkeypatch):
    """Chapters compare them with arrays of their own. (This machine has no GPU: whatever went to one would fail.)"""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    # A torch that is built for GPUs looks for their driver before every step of its optimiser.
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: None)
    model, codec = checkpoints.model("aligned"), checkpoints.codec(log)
    lesson = context_to_sid(codec, log.split("train")[-2:])
    sft.train(model, codec.tokenizer, lesson, epochs=1, lr=1e-4, batch_tokens=512, seed=0, dtype="float16")
    assert {p.device.type for p in model.parameters()} == {"cpu"} and {p.dtype for p in model.parameters()} == {
        torch.float32
    }


def test_missing_artifacts_say_how_to_make_them(tmp_path):
    with pytest.raises(CRSError, match="python -m crs_lite artifacts"):
        checkpoints.about(tmp_path)


@pytest.mark.slow
def test_a_run_goes_on_from_them_and_any_other_run_does_not(tmp_path, monkeypatch):
    large, mine = marketplace.generate_large()[0], tmp_path / checkpoints.STAGES["distilled"] / "mine"
    assert checkpoints.unpack(tmp_path) == list(checkpoints.STAGES.values())
    mine.touch()
    assert checkpoints.unpack(tmp_path) == []  # a run's own stages are left alone
    assert mine.exists()
    p = prepare(large, None, get_profile("laptop"), 0, tmp_path, SHIPPED / "embeddings.safetensors")
    monkeypatch.setattr(Workspace, "_make", lambda *_: pytest.fail("trained again"))
    distilled = distil(p, align(p))
    assert distilled.minutes == checkpoints.about()["stages"]["distilled"]["minutes"]
    assert direct(p, align(p)).info == checkpoints.about()["stages"]["direct"]["info"]
    other = replace(p, profile=get_profile("laptop", sft_epochs=2))
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        distil(other, align(other))


@pytest.mark.slow
def test_a_run_made_elsewhere_gets_the_keys_of_here_and_another_recipe_is_refused(make, tmp_path, monkeypatch):
    there = make("there", teacher="foresight")
    aligned = align(there)
    trained = [aligned, direct(there, aligned), distil(there, aligned)]
    monkeypatch.setattr("crs_lite.workspace.versions", lambda: {"torch": "another"})
    monkeypatch.setattr(checkpoints, "versions", lambda: {"torch": "another"})
    folder = tmp_path / "artifacts"
    checkpoints.make(there.work.root, make("apart", teacher="foresight"), folder)
    here = make("here", teacher="foresight")
    checkpoints.unpack(here.work.root, folder)
    monkeypatch.setattr(Workspace, "_make", lambda *_: pytest.fail("trained again"))
    again = align(here)
    stages = [again, direct(here, again), distil(here, again)]
    assert [s.minutes for s in stages] == [s.minutes for s in trained]
    assert not {s.key for s in stages} & {s.key for s in trained}
    monkeypatch.undo()
    for changes, named in (({"distil_lr": 0.5}, "direct: trained with another lr"), ({"vocab": 300}, "tokenizer")):
        with pytest.raises(CRSError, match=named):
            checkpoints.make(there.work.root, make(f"other-{named[:3]}", teacher="foresight", **changes), folder)
