"""Training pairs say what they should, and batches hold what they may."""

from hypothesis import given
from hypothesis import strategies as st

from crs_lite.logs import SearchLog
from crs_lite.tasks import (
    Codec,
    context_to_sid,
    item_to_sid,
    reasoned,
    sid_to_item,
    specification_to_sid,
    token_batches,
)


def test_every_example_predicts_exactly_its_answer(toy_kit):
    log, sids, _, codec = toy_kit
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


def test_a_prompt_never_holds_its_target_or_the_future(toy_kit):
    log, sids, _, codec = toy_kit
    for request in log.split("test"):
        past = {i for p in log.history(request) for i in p.shown + p.clicked}
        held = {i for i in range(24) if sids.to_string(i) in codec.context(request).to_json()}
        assert held <= past


def test_specifications_hold_only_true_facets(toy_kit):
    log, _, _, codec = toy_kit
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


def test_what_has_no_place_inside_reasoning(toy_kit):
    _, sids, _, codec = toy_kit
    names = codec.tokenizer.convert_ids_to_tokens(codec.not_words().tolist())
    used = {token for item in range(24) for token in sids.tokens_of(item)}
    assert set(names) == used | {"<bos>", "<eos>", "<pad>", "<think>"} and "</think>" not in names


def test_items_are_taught_both_ways_by_the_same_id(toy_kit):
    log, sids, _, codec = toy_kit
    for item, there, back in zip(log.items, item_to_sid(codec), sid_to_item(codec), strict=True):
        assert codec.decode(there.ids).endswith(f"<think></think>{sids.to_string(item.id)}<eos>")
        assert codec.decode(back.ids) == f'<bos>{{"sid":"{sids.to_string(item.id)}"}}{item.title}<eos>'
        given = [i for i, on in zip(there.ids, there.loss, strict=True) if not on]
        assert given == [*codec.item_prompt(item.id), codec.end_think]


def test_items_of_which_a_log_says_nothing_have_no_specification(toy_kit):
    log, sids, _, codec = toy_kit
    tokenizer = codec.tokenizer
    nothing = {"brand": None, "category": None, "attributes": {}}
    for some in (range(0, 24, 2), range(24)):
        items = [i.model_copy(update=nothing) if i.id in some else i for i in log.items]
        codec = Codec(SearchLog("bare", items, log.users, log.requests), sids, tokenizer)
        made = specification_to_sid(codec, lambda claims, rng: " ".join(claims.values()), 40, seed=1)
        assert len(made) == (40 if len(some) < 24 else 0)
        named = [codec.decode(e.ids).split("</think>")[1].removesuffix("<eos>") for e in made]
        assert not {sids.from_string(name) for name in named} & set(some)


def test_a_bracket_in_a_title_hides_no_past_click(toy_kit):
    log, sids, _, codec = toy_kit
    tokenizer = codec.tokenizer
    odd = [i.model_copy(update={"title": f'a ] "b\\ {i.id}'}) for i in log.items]
    for view in ("sid", "both"):
        counts = []
        for items in (log.items, odd):
            shop = SearchLog("odd", items, log.users, log.requests)
            codec = Codec(shop, sids, tokenizer, {"budget": 2000, "item_view": view})
            counts.append([sum(codec.past_clicks(r)) for r in log.requests[-20:]])
        assert counts[0] == counts[1] and sum(counts[0]) > 0
