"""What a run needs before its first training step: made once, the same for every seed where it must be."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import toy

from crs_lite import marketplace, paths
from crs_lite.adapters.registry import LogSource
from crs_lite.errors import CRSError
from crs_lite.model import backbones
from crs_lite.prepared import RunSpec, codec_options, embeddings, prepare, sample, tokenizer_texts
from crs_lite.profiles import get_profile
from crs_lite.workspace import Workspace


def test_samples_depend_on_their_salt_alone_and_keep_the_order_of_time():
    log = toy.toy_log()
    requests = log.split("train")
    some = sample(requests, 20, 3)
    assert some == sample(requests, 20, 3) != sample(requests, 20, 4)
    assert len(some) == 20 and [r.id for r in some] == sorted({r.id for r in some})
    assert sample(requests, 0, 3) is requests and sample(requests, 10**6, 3) is requests


def test_the_requests_of_a_run(make):
    p = make("a", train_requests=40, distil_requests=10, collect_requests=8, eval_requests=5, valid_requests=3)
    train = p.log.split("train")
    assert p.train == train[-40:] and len(p.taught) == 10 and len(p.pool) == 8
    assert all(r in p.train for r in p.taught + p.pool) and p.taught != p.pool[:8]
    assert p.requests("test") == p.test and len(p.test) == 5 and all(r.split == "test" for r in p.test)
    valid = p.requests("valid")
    assert len(valid) == 3 and all(r.split == "valid" for r in valid)


def test_another_seed_takes_the_same_samples_and_another_model(make):
    p = make("a")
    other = prepare(p.log, None, p.profile, 1, p.work.root.parent / "b", p.shipped)
    assert (other.pool, other.taught, other.test) == (p.pool, p.taught, p.test)
    assert (other.sids.codes == p.sids.codes).all() and other.fresh.key != p.fresh.key
    a, b = (backbones.load_model(x.fresh.folder).get_input_embeddings().weight for x in (p, other))
    assert a.shape == b.shape and not (a == b).all()


def test_what_is_prepared_is_read_the_second_time(make, monkeypatch):
    first = make("a")
    monkeypatch.setattr(Workspace, "_make", lambda *_: pytest.fail("made again"))
    again = make("a")
    assert (again.sids.codes == first.sids.codes).all() and again.fresh.key == first.fresh.key
    assert again.codec.prompt(again.test[0]) == first.codec.prompt(first.test[0])


def test_nothing_in_it_changes_afterwards(make):
    with pytest.raises(FrozenInstanceError):
        make("a").profile = get_profile("laptop")


def test_ids_belong_to_the_vectors_and_the_backbone_to_the_ids(make):
    p = make("a")
    for changes in ({"sid_sizes": (3, 3, 3)}, {"hidden": 48}, {"vocab": 350}):
        other = make(str(changes), **changes)
        assert (other.ids_stage.key == p.ids_stage.key) == ("sid_sizes" not in changes)
        assert other.fresh.key != p.fresh.key
    assert p.ids_stage.info["items"] == 24 and p.fresh.info["vocabulary"] == len(p.tokenizer)


def test_what_trains_on_contexts_depends_on_how_they_are_written(make):
    p = make("a")
    assert p.context_key == {
        "budget": 220,
        "item_view": "sid",
        "max_skipped": p.profile.max_skipped,
        "log": p.log.digest(),
        "train_requests": p.profile.train_requests,
    }
    assert replace(p, profile=replace(p.profile, lora_rank=4)).context_key["lora_rank"] == 4
    assert p.codec_options == codec_options(p.profile)
    assert all(len(p.codec.prompt(r)) <= 220 + 2 for r in p.train)


def test_vectors_are_those_that_came_with_the_log(make, tmp_path):
    p = make("a")
    x = p.embeddings()
    assert x.shape == (24, 384) and np.allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    assert (embeddings(p.log, p.profile, p.work, p.shipped) == x).all()
    other = p.log.items[0].model_copy(update={"title": "something else"})
    changed = type(p.log)("toy", [other, *p.log.items[1:]], p.log.users, p.log.requests)
    with pytest.raises(CRSError, match="texts_sha256"):
        embeddings(changed, p.profile, p.work, p.shipped)


def test_the_tokenizer_sees_training_text_and_no_id(make):
    p = make("a")
    texts = "\n".join(tokenizer_texts(p.log, p.profile, p.train, p.teacher))
    assert "<a_" not in texts and all(item.title in texts for item in p.log.items)
    written = [p.teacher.write(r) for r in p.train]
    assert any(text in texts for text in written)


def test_true_reasoning_says_what_is_true_in_the_teacher_s_words(make):
    p = make("a", toy.Known())
    for request in p.test:
        text = p.true_reasoning(request)
        assert text == p.true_reasoning(request)  # the same for the same request
        assert p.teacher._parser.stated(text) == p.truth.claims(request)


def test_a_run_of_a_command_has_its_folder_and_its_log(tmp_path, monkeypatch, small_shop):
    log, truth = small_shop
    marketplace.save(tmp_path / "world", log, truth, {})
    profile = get_profile("smoke", embedder="made-up", hidden=32, heads=1)
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr("crs_lite.sid.embed.load_embedder", toy.embedder)
    p = RunSpec(profile, LogSource("marketplace", {"world": tmp_path / "world"}))(3)
    assert p.work.root == tmp_path / "runs" / f"{log.name}-smoke-3" and p.seed == 3
    assert p.log.digest() == log.digest() and p.truth.tastes == truth.tastes and p.shipped is None
    assert (p.work.root / "embeddings-made-up.safetensors").exists()  # kept with the run
    assert p.about is None
