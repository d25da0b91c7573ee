"""What is seen and counted follows from the prompt alone, is exact, and is cited, never stated."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import toy_log

from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog
from crs_lite.model.backbones import add_control_tokens, train_tokenizer
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.perception import LINE, Perception, parts_of, repeating_facets
from crs_lite.sid import random_ids
from crs_lite.tasks import Codec

LOG = toy_log(12, 8)


def codec_of(log: SearchLog, budget: int = 220) -> Codec:
    sids = random_ids(len(log.items), (4, 4, 4), 0)
    tokenizer = train_tokenizer([i.title for i in log.items] + ['Asked: "x". Seen: "y". Count: "z"\n'], 300)
    add_control_tokens(tokenizer, sids.tokens())
    return Codec(log, sids, tokenizer, {"budget": budget})


CODEC = codec_of(LOG)


def test_the_facets_in_which_shoppers_repeat_themselves_are_found():
    """In the toy shop the shopper's city decides the brand; category and colour are drawn anew each time."""
    assert "brand" in repeating_facets(LOG) and "category" not in repeating_facets(LOG)


def test_by_hand():
    request = max(LOG.split("test"), key=LOG.n_past)
    perception = Perception(CODEC, "see-count", ["brand", "colour"])
    items = [LOG.items[i] for i in perception.past_items(request)]
    kept = len(CODEC.context(request).history)
    assert 0 < len(items) == kept <= LOG.n_past(request)
    seen = ", ".join(f"{i.brand} {i.attributes['colour']}" for i in items)
    text = perception.write(request)
    assert text.startswith(f'Asked: "{request.query}". Seen: "{seen}". Count: "') and text.endswith('".' + LINE)
    brand, n = re.search(r'Count: "(\w+) (\d+), ', text).groups()
    assert Counter(i.brand for i in items)[brand] == int(n) == max(Counter(i.brand for i in items).values())
    assert Perception(CODEC, "see", ["brand"]).write(request).count('"') == 4
    assert Perception(CODEC, "conclude").write(request) == ""
    with pytest.raises(CRSError, match="unknown format"):
        Perception(CODEC, "look")


@pytest.mark.parametrize("how", ["see", "see-count"])
def test_changing_the_target_changes_nothing(how):
    perception = Perception(CODEC, how)
    for request in LOG.split("valid"):
        texts = {perception.write(request.model_copy(update={"clicked": (i,), "shown": ()})) for i in range(24)}
        assert len(texts) == 1


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(min_size=1, max_size=30))
def test_whatever_is_typed_it_is_cited_and_never_stated(query, brand):
    items = [i.model_copy(update={"brand": brand}) for i in LOG.items]
    request = max(LOG.split("test"), key=LOG.n_past).model_copy(update={"query": query})
    log = SearchLog("odd", items, LOG.users, [r for r in LOG.requests if r.id < request.id] + [request])
    codec = Codec(log, CODEC.sids, CODEC.tokenizer, {"budget": 400})
    text = Perception(codec, "see-count", ["brand", "colour"]).write(request)
    assert Parser(facet_values(log)).stated(text) == {}
    assert not set(codec.encode(text)) & set(codec.not_words().tolist())
    assert text.count(LINE) == 1 and parts_of(text + "Take the parka.") == (text, "Take the parka.")


def test_a_text_without_a_line_end_only_concludes():
    assert parts_of("Take the parka.") == ("", "Take the parka.")
