"""Training pairs say what they should, batches hold what they may, and a small model can learn them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy import toy_log

from crs_lite import sft
from crs_lite.context import item_context
from crs_lite.model import backbones
from crs_lite.profiles import get_profile
from crs_lite.ranker import CRSRanker, roundtrip
from crs_lite.sid.codes import SemanticIDs
from crs_lite.tasks import (
    Codec,
    context_to_sid,
    item_to_sid,
    reasoned,
    sid_to_item,
    specification_to_sid,
    token_batches,
)


@pytest.fixture(scope="module")
def kit():
    log = toy_log()
    x = np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32)
    sids = SemanticIDs.build(x, (4, 4, 4), seed=0)
    profile = get_profile("smoke", hidden=64, layers=2, vocab=500)
    texts = [item_context(i) for i in log.items] * 3
    model, tokenizer = backbones.build(profile, texts, sids.tokens(), seed=0)
    return log, sids, model, Codec(log, sids, tokenizer, {"budget": 400})


def test_every_example_predicts_exactly_its_answer(kit):
    log, sids, _, codec = kit
    request = log.requests[-1]
    prompt = codec.prompt(request)
    assert prompt[0] == codec.bos and prompt[-1] == codec.think
    example = reasoned(codec, [(request, "because it is cold", 5)])[0]
    predicted = [i for i, on in zip(example.ids, example.loss, strict=True) if on]
    assert codec.decode(predicted) == "because it is cold</think>" + sids.to_string(5) + "<eos>"
    direct = context_to_sid(codec, [request])[0]
    assert [i for i, on in zip(direct.ids, direct.loss, strict=True) if on] == codec.answer(request.target)
    whole = context_to_sid(codec, [request], reconstruct=1.0)[0]
    assert sum(whole.loss) == len(whole.ids) - 1  # all but the given `</think>`
    part = context_to_sid(codec, [request], reconstruct=0.5)[0]
    clicked = [i for p in codec.context(request).history for ref in p.clicked for i in codec.encode(ref.sid)]
    assert clicked and [i for i, on in zip(part.ids, part.loss, strict=True) if on] == clicked + codec.answer(
        request.target
    )
    back = sid_to_item(codec)[3]
    assert codec.decode([i for i, on in zip(back.ids, back.loss, strict=True) if on]) == log.items[3].title + "<eos>"


def test_a_prompt_never_holds_its_target_or_the_future(kit):
    log, sids, _, codec = kit
    for request in log.split("test"):
        past = {i for p in log.history(request) for i in p.shown + p.clicked}
        held = {i for i in range(24) if sids.to_string(i) in codec.context(request).to_json()}
        assert held <= past


def test_specifications_hold_only_true_facets(kit):
    log, _, _, codec = kit
    describe = lambda claims, rng: " ".join(f"{k}={v}." for k, v in claims.items())  # noqa: E731
    for example in specification_to_sid(codec, describe, 50, seed=1):
        text = codec.decode(example.ids)
        item = log.items[codec.sids.from_string(text[text.index("</think>") + 8 : -5])]
        for part in text[len("<bos><think>") : text.index("</think>")].split("."):
            if part.strip():
                key, value = part.strip().split("=")
                assert item.facets()[key] == value


@given(st.lists(st.integers(1, 300), max_size=80), st.integers(300, 2000), st.integers(0, 5))
def test_token_batches_hold_every_row_once_within_budget(lengths, budget, seed):
    batches = token_batches(lengths, budget, seed)
    assert sorted(i for b in batches for i in b) == list(range(len(lengths)))
    assert all(max(lengths[i] for i in b) * len(b) <= budget for b in batches)


def test_alignment_converges_on_a_small_catalogue_and_survives_saving(kit, tmp_path):
    """Item -> ID and ID -> title must both become exact; the saved model loads with the Auto classes alone."""
    _, _, model, codec = kit
    torch.manual_seed(0)
    pairs = (item_to_sid(codec) + sid_to_item(codec)) * 160
    sft.train(model, codec.tokenizer, pairs, epochs=1, lr=3e-3, batch_tokens=400, seed=0)
    assert roundtrip(model, codec) == {"items_tried": 24, "item_to_sid_hr1": 1.0, "sid_to_title_exact": 1.0}
    backbones.save(tmp_path / "m", model, codec.tokenizer)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    again, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tmp_path / "m"),
        AutoTokenizer.from_pretrained(tmp_path / "m"),
    )
    assert tokenizer("<think><a_1></think>").input_ids == codec.encode("<think><a_1></think>")
    assert tokenizer.padding_side == "left"
    ids = torch.tensor([codec.item_prompt(3)])
    assert torch.equal(again.eval()(ids).logits, model.eval()(ids).logits)


def test_ranker_modes_agree_where_they_must(kit):
    """Putting a model's own reasoning in its mouth gives its own list; empty text is the direct answer."""
    log, _, model, codec = kit
    requests = log.split("test")[:10]
    own = CRSRanker("own", model, codec, "own", max_reasoning=12, batch=3, progress=False)
    ranked = own.rank(requests, 5)
    closed = dict(zip([r.id for r in requests], own.thoughts, strict=True))
    given_back = CRSRanker("given", model, codec, lambda r: closed[r.id], batch=4, progress=False).rank(requests, 5)
    same = [codec.encode(t) for t in own.thoughts]
    for i, request in enumerate(requests):
        if codec.decode(same[i]) == own.thoughts[i] and len(same[i]) < 11:
            assert ranked[i].tolist() == given_back[i].tolist()
    none = CRSRanker("none", model, codec, "none", progress=False).rank(requests, 5)
    assert none.tolist() == CRSRanker("empty", model, codec, lambda r: "", progress=False).rank(requests, 5).tolist()
