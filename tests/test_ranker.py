"""CRS as a ranker: reasoning first, and given words lead where they would have led as the model's own."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from crs_lite import ranker, sft
from crs_lite.model import backbones
from crs_lite.ranker import CRSRanker, rank_with, roundtrip, sample_thoughts
from crs_lite.tasks import item_to_sid, sid_to_item


@pytest.mark.slow
def test_alignment_converges_on_a_small_catalogue_and_survives_saving(toy_kit, tmp_path):
    """Item -> ID and ID -> title must both become exact; the saved model loads with the Auto classes alone."""
    _, _, model, codec = toy_kit
    torch.manual_seed(0)
    pairs = (item_to_sid(codec) + sid_to_item(codec)) * 160
    sft.train(model, codec.tokenizer, pairs, epochs=1, lr=3e-3, batch_tokens=400, seed=0)
    assert roundtrip(model, codec) == {"items_tried": 24, "item_to_sid_hr1": 1.0, "sid_to_title_exact": 1.0}
    backbones.save(tmp_path / "m", model, codec.tokenizer)
    again, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tmp_path / "m"),
        AutoTokenizer.from_pretrained(tmp_path / "m"),
    )
    assert tokenizer("<think><a_1></think>").input_ids == codec.encode("<think><a_1></think>")
    assert tokenizer.padding_side == "left"
    ids = torch.tensor([codec.item_prompt(3)])
    assert torch.equal(again.eval()(ids).logits, model.eval()(ids).logits)


def test_ranker_modes_agree_where_they_must(toy_kit):
    """Putting a model's own reasoning in its mouth gives its own list; empty text is the direct answer."""
    log, _, model, codec = toy_kit
    requests = log.split("test")[:10]
    own = CRSRanker("own", model, codec, "own", max_reasoning=12, batch=3, progress=False)
    ranked = own.rank(requests, 5)
    closed = dict(zip([r.id for r in requests], own.thoughts, strict=True))
    given_back = CRSRanker("given", model, codec, lambda r: closed[r.id], batch=4, progress=False).rank(requests, 5)
    same = [codec.encode(t) for t in own.thoughts]
    for i in range(len(requests)):
        if codec.decode(same[i]) == own.thoughts[i] and len(same[i]) < 11:
            assert ranked[i].tolist() == given_back[i].tolist()
    none = CRSRanker("none", model, codec, "none", progress=False).rank(requests, 5)
    assert none.tolist() == CRSRanker("empty", model, codec, lambda r: "", progress=False).rank(requests, 5).tolist()


def test_lists_that_given_words_lead_to(toy_model):
    """In any order of the requests, each text stands behind its own request."""
    model, codec = toy_model
    requests = codec.log.split("test")[:6]
    texts = [f"Expect {codec.log.items[i].brand}." for i in range(0, 24, 4)]
    rank = rank_with(model, codec, 5, batch=4)
    lists = rank(requests, texts)
    for request, text, row in zip(requests, texts, lists, strict=True):
        alone = CRSRanker("one", model, codec, lambda r, text=text: text, progress=False).rank([request], 5)
        assert row.tolist() == alone[0].tolist()
    assert rank(requests[::-1], texts[::-1]).tolist() == lists[::-1].tolist()


def test_sampled_thoughts_are_judged_by_their_own_beams(toy_model):
    """The first item is the one that the text, put in place of the model's own, leads to; what was cut is not well
    formed, nor is what names an ID."""
    model, codec = toy_model
    requests = codec.log.split("test")[:5]
    drawn = sample_thoughts(model, codec, requests, 3, 1.0, 8, batch=2, seed=0)
    assert len(drawn) == 5 and all(len(of) == 3 for of in drawn)
    assert drawn == sample_thoughts(model, codec, requests, 3, 1.0, 8, batch=2, seed=0)
    formed = [formed for of in drawn for _, _, formed in of]
    assert not all(formed)
    for request, of in zip(requests, drawn, strict=True):
        for text, item, good in of:
            ids = codec.encode(text)
            if codec.decode(ids) == text and good:
                assert rank_with(model, codec, 4)([request], [text])[0, 0] == item
            assert not good or not set(ids) & set(codec.not_words().tolist())


def test_the_round_trip_counts_what_is_right(toy_kit, monkeypatch):
    """On a model whose beams and titles are known: every second item is found, every title but one is spelled."""
    _, _, model, codec = toy_kit
    tried = []

    def beams(tree, trie, k):
        return torch.tensor([[[i if i % 2 == 0 else 0] for i in [item]] for item in tried]), None

    def spelled(tree, group, end, longest, temperature):
        rows = [codec.title(i) if i != 5 else codec.title(6) for i in tried]
        return SimpleNamespace(rows=lambda b, g: rows[b])

    def planted(model, prompts, pad):
        of = {tuple(codec.item_prompt(i)): i for i in range(24)} | {tuple(codec.sid_prompt(i)): i for i in range(24)}
        tried[:] = [of[tuple(p)] for p in prompts]

    monkeypatch.setattr(ranker, "plant", planted)
    monkeypatch.setattr(ranker, "force", lambda tree, texts, pad: None)
    monkeypatch.setattr(ranker, "beam_search", beams)
    monkeypatch.setattr(ranker, "sample", spelled)
    found = roundtrip(model, codec, batch=7)
    assert found == {"items_tried": 24, "item_to_sid_hr1": 12 / 24, "sid_to_title_exact": 23 / 24}
    assert roundtrip(model, codec, most=5, batch=7)["items_tried"] == 5
