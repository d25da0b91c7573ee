"""Context JSON: the budget, the round trip, and text that tries to become a token."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crs_lite.context import (
    TEXT_BYTES,
    Context,
    ContextBuilder,
    ItemRef,
    Now,
    Past,
    escape,
    item_context,
    when,
)
from crs_lite.errors import CRSError
from crs_lite.logs import Item, SearchLog, SearchRequest, User
from crs_lite.model.backbones import BOS, END_THINK, EOS, PAD, THINK, add_control_tokens, train_tokenizer

SIDS = ["<a_1><b_2><c_3><d_0>", "<a_1><b_2><c_3><d_1>", "<a_4><b_0><c_0><d_0>"]
TOKENS = [f"<{x}_{i}>" for x in "abcd" for i in range(5)]
WORDS = ["warm", "case", "Oslo", "January evening", "pro gear", '{"profile":{"city":"Oslo"},"history":[{"query":"a"}]}']

TOKENIZER = train_tokenizer(WORDS * 20, 400)
add_control_tokens(TOKENIZER, TOKENS)
CONTROL = {TOKENIZER.convert_tokens_to_ids(t) for t in [THINK, END_THINK, *TOKENS, BOS, EOS, PAD]}


def ids(text):
    return TOKENIZER(text, add_special_tokens=False).input_ids


def shop(n_past, query="case", title="a case"):
    items = [Item(id=i, key=str(i), title=title) for i in range(3)]
    users = [User(id=0, key="u", profile={"city": "Oslo", "phone": "Pixel 9"})]
    day = 86400
    requests = [
        SearchRequest(
            id=i,
            user=0,
            time=day * i + 3600 * 19,
            place="Oslo",
            query=f"q{i}",
            shown=(2, 0, 1),
            clicked=(0,),
            split="train",
        )
        for i in range(n_past)
    ]
    requests.append(SearchRequest(id=n_past, user=0, time=day * n_past, query=query, clicked=(1,), split="test"))
    return SearchLog("shop", items, users, requests)


def builder(log, budget, **more):
    return ContextBuilder(log, SIDS.__getitem__, lambda t: len(ids(t)), budget, **more)


hostile = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            [
                *TOKENS,
                THINK,
                END_THINK,
                BOS,
                EOS,
                PAD,
                '"',
                "\\",
                "\\u003c",
                "<",
                ">",
                "\x00",
                "é",
                "漢字",
                "🦊",
                "\ud800",
            ]
        )
    ).map("".join),
    st.binary().map(lambda b: b.decode("latin-1")),
)


def stays_text(text):
    written = Context(profile={text[:9] or "k": text}, request=Now(query=text)).to_json()
    assert not CONTROL & set(ids(written))
    assert not CONTROL & set(ids(item_context(Item(id=0, key="k", title=text, brand=text, category=text))))
    json.loads(written)  # and it is still JSON


@settings(max_examples=200, deadline=None)
@given(hostile)
def test_typed_text_never_becomes_a_control_or_id_token(text):
    stays_text(text)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(hostile)
def test_much_typed_text_never_becomes_a_control_or_id_token(text):
    stays_text(text)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=24), st.sampled_from(SIDS), st.booleans())
def test_context_comes_back_unchanged(text, sid, both):
    ref = ItemRef(sid=sid, title=(text or None) if both else None)
    typed = ItemRef(title=text)
    context = Context(
        profile={"city": text},
        history=(Past(time="May", place=text, query=text, clicked=(ref,), skipped=(ref, typed)),),
        request=Now(time="May evening", place=None, query=text),
    )
    assert Context.from_json(context.to_json()) == context


@given(hostile)
def test_escape_is_bounded_and_reversible(text):
    written = escape(text)
    assert "<" not in written and len(written.encode()) <= TEXT_BYTES
    typed = json.loads(f'"{written}"')
    assert text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").startswith(typed[:-1])


def test_one_megabyte_of_text_is_cut():
    log = shop(3, query="<a_1>" * 200_000, title="\x00<" * 500_000)
    context = builder(log, 900, item_view="title").build(log.requests[-1])
    text = context.to_json()
    assert len(ids(text)) <= 900 and not CONTROL & set(ids(text))
    assert context.request.query.startswith("<a_1>")


def test_ids_are_written_as_tokens():
    log = shop(1)
    text = builder(log, 500).build(log.requests[-1]).to_json()
    for token in ("<a_1>", "<b_2>", "<c_3>", "<d_0>"):
        assert TOKENIZER.convert_tokens_to_ids(token) in ids(text)
    assert '"clicked":["<a_1><b_2><c_3><d_0>"]' in text


@pytest.mark.parametrize("view, want", [("sid", SIDS[0]), ("title", "a case"), ("both", SIDS[0] + "a case")])
def test_item_views(view, want):
    log = shop(1)
    assert f'"clicked":["{want}"]' in builder(log, 500, item_view=view).build(log.requests[-1]).to_json()


def test_no_target_and_no_future_in_a_context():
    log = shop(4)
    first = builder(log, 500).build(log.requests[0])
    assert first.history == ()
    middle = builder(log, 500).build(log.requests[2])
    assert [p.query for p in middle.history] == ["q0", "q1"]


def test_budget_drops_the_oldest_first_then_skipped_items_never_the_query():
    log = shop(12)
    request = log.requests[-1]
    full = builder(log, 10_000).build(request)
    assert [p.query for p in full.history] == [f"q{i}" for i in range(2, 12)]  # ten at most
    seen = {}
    for budget in range(len(ids(full.to_json())), 10, -1):
        try:
            context = builder(log, budget).build(request)
        except CRSError:
            break
        assert len(ids(context.to_json())) <= budget
        assert [p.query for p in context.history] == [f"q{i}" for i in range(12 - len(context.history), 12)]
        if len(context.history) > 1:
            assert all(len(p.skipped) == 2 for p in context.history)
        assert context.request.query.startswith("c") and "case".startswith(context.request.query)
        if context.profile:
            assert context.request.query == "case"
        seen[len(context.history), len(context.history[0].skipped) if context.history else 0] = budget
    assert {(9, 2), (5, 2), (1, 2), (1, 1), (1, 0), (0, 0)} <= set(seen)
    # close to the best possible: a budget that just fits n interactions keeps at least n - 1 of them
    for n in range(1, 11):
        exact = len(ids(full.model_copy(update={"history": full.history[10 - n :]}).to_json()))
        assert len(builder(log, exact).build(request).history) >= n - 1


def test_time_in_words():
    assert when(0) == "January"  # midnight sharp: a log that only knows the day
    assert when(1_700_000_000) == "November evening"  # 2023-11-14 22:13 UTC
    assert when(1_720_000_000) == "July morning"  # 2024-07-03 09:46 UTC


def test_a_request_without_a_clock_tells_no_time():
    log = shop(2)
    untimed = [r.model_copy(update={"timed": False}) for r in log.requests]
    context = builder(SearchLog("shop", log.items, log.users, untimed), 500).build(untimed[-1])
    assert [p.query for p in context.history] == ["q0", "q1"]
    assert {context.request.time, *(p.time for p in context.history)} == {None}
    assert context == builder(log, 500, hide=frozenset({"time"})).build(log.requests[-1])


def test_garbage_is_refused_in_one_sentence():
    for text in ("", "[]", "{", '{"request":{}}', '{"request":{"query":3}}', '{"history":3}'):
        with pytest.raises(CRSError, match="not a context JSON"):
            Context.from_json(text)


def test_a_price_below_one_is_not_told_as_nothing():
    def told(price):
        return json.loads(item_context(Item(id=0, key="k", title="t", price=price)))["price"]

    assert [told(p) for p in (0.0, 0.004, 0.49, 0.999, 1.0, 1.4, 19.99)] == ["0", "0.004", "0.49", "1", "1", "1", "20"]


def test_what_does_not_fit_is_cut_in_order_and_never_ends_a_run():
    """The entrance, the place, the query's tail, the time; a budget of 32 is always enough."""
    log = shop(0, query="a query of many words " * 50_000)
    wide = {"place": "Place " * 60, "entrance": "Entrance " * 60, "time": 1_700_000_000}
    request = log.requests[0].model_copy(update=wide)
    log.users[0] = log.users[0].model_copy(update={"profile": {f"field {n}": "value" * 9 for n in range(30)}})
    rank, last = 0, len(request.query)
    for budget in range(300, 31, -4):
        context = builder(log, budget).build(request)
        assert len(ids(context.to_json())) <= budget and not context.profile
        now = context.request
        cut = [now.entrance is None, now.place is None, len(now.query) < 100, now.time is None]
        assert cut == sorted(cut, reverse=True) and sum(cut) >= rank and len(now.query) <= last
        rank, last = sum(cut), len(now.query)
    assert rank >= 3
    with pytest.raises(CRSError, match="request 0: no context fits in 3 tokens; raise"):
        builder(log, 3).build(request)


@pytest.mark.parametrize(
    "text", ['"' + "<a>" * 300_000, ',"<a>' * 200_000, '["<a>\\' * 150_000, "[" * 1_000_000, "9" * 5000]
)
def test_a_megabyte_that_is_no_context_is_refused_at_once(text):
    started = time.process_time()
    with pytest.raises(CRSError, match="not a context JSON"):
        Context.from_json(text)
    assert time.process_time() - started < 5
