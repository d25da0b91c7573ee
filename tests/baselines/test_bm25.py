"""BM25 against the formula written out, one term at a time."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_logs import CORPUS, asks, letters, log_of

from crs_lite.baselines.bm25 import BM25, K1, B, query_leak
from crs_lite.baselines.dense import Dense
from crs_lite.baselines.popularity import Popularity
from crs_lite.errors import CRSError
from crs_lite.evaluate import evaluate


def bm25_by_hand(documents: list[list[str]], query: list[str]) -> list[float]:
    """Lucene's BM25, one term at a time, straight from its definition."""
    mean_length = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        total = 0.0
        for word in query:
            df = sum(word in other for other in documents)
            tf = document.count(word)
            idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
            total += idf * tf / (tf + K1 * (1 - B + B * len(document) / mean_length))
        scores.append(total)
    return scores


DOCUMENTS = [
    ["red", "wool", "parka", "acme", "coat"],
    ["blue", "parka", "warm", "parka", "acme", "coat"],
    ["phone", "case", "red"],
    ["case", "for", "phone", "x2", "zeta", "case"],
    ["graphics", "card", "8", "gb", "zeta"],
    ["warm", "socks", "3", "pairs", "söcke", "sock"],
    ["acme", "glue", "acme", "glue"],
]


@pytest.mark.parametrize("query", ["parka", "RED case", "acme coat warm", "8", "söcke", "case case", "warm unheardof"])
def test_bm25_agrees_with_the_formula(query):
    ranker = BM25(log_of(CORPUS))
    want = np.array(bm25_by_hand(DOCUMENTS, query.lower().split()))
    np.testing.assert_allclose(ranker.scores(query), want, rtol=1e-5)
    matching = [i for i in np.lexsort((np.arange(len(want)), -want)) if want[i] > 0]
    (got,) = ranker.rank(asks(query), 10)
    assert got.tolist() == matching + [-1] * (10 - len(matching))


def test_bm25_by_a_number():
    # "wool" is in 1 of 7 documents, once; that document has 5 words, the mean is 35 / 7 = 5.
    assert sum(map(len, DOCUMENTS)) == 35
    assert BM25(log_of(CORPUS)).scores("wool")[0] == pytest.approx(math.log(1 + 6.5 / 1.5) / 2.5, rel=1e-6)


def test_bm25_ranks_nothing_without_a_known_word():
    ranker = BM25(log_of(CORPUS))
    assert (ranker.rank(asks("unheardof", "", "!?"), 4) == -1).all()
    assert ranker.rank([], 4).shape == (0, 4)
    assert (BM25(log_of([("!", None, None)])).rank(asks("a"), 2) == -1).all()


@given(st.lists(st.text("ab c.", min_size=0, max_size=12), min_size=1, max_size=8), st.text("abc ", max_size=6))
@settings(max_examples=60, deadline=None)
def test_bm25_agrees_with_the_formula_on_any_corpus(titles, query):
    documents = [title.replace(".", " ").split() for title in titles]
    got = BM25(log_of([(title, None, None) for title in titles])).scores(query)
    want = bm25_by_hand(documents, query.split()) if any(documents) else [0.0] * len(titles)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


def test_bm25_sees_the_query_only():
    log = log_of(CORPUS, [("train", "parka", (1,)), ("test", "red", (2,))])
    other = log_of(CORPUS, [("train", "glue", (6,)), ("test", "red", (0,))])
    requests = asks("red", "case")
    assert (BM25(log).rank(requests, 5) == BM25(other).rank(requests[::-1], 5)[::-1]).all()


def test_query_leak_is_the_share_found_by_words_alone():
    found = [("valid", "wool", (0,)), ("valid", "socks", (5,)), ("valid", "glue", (6,))]
    lost = [("valid", "graphics", (0,))]
    assert query_leak(log_of(CORPUS, [("train", "red", (4,)), *found, *lost])) == pytest.approx(3 / 4)
    with pytest.raises(CRSError, match="no valid requests"):
        query_leak(log_of(CORPUS, [("train", "red", (0,))]))


def test_every_baseline_passes_the_referee():
    rng = random.Random(0)
    corpus = [(f"{rng.choice('abcde')}x {rng.choice('vwyz')}y item{i}", rng.choice("PQR"), None) for i in range(60)]
    rows = []
    for n in range(150):
        target = rng.randrange(60)
        rows.append(("train" if n < 100 else "test", corpus[target][0].split()[n % 2], (target,)))
    log = log_of(corpus, rows)
    items = letters([title for title, _, _ in corpus])
    results = {r.name: evaluate(r, log, log.split("test")) for r in (Popularity(log), BM25(log), Dense(items, letters))}
    assert list(results) == ["popularity", "BM25", "dense"]
    # Among some 12 to 15 items that share the target's word, the first 10 hold it far more often than 10 of 60 would.
    assert results["BM25"].metrics["HR@10"].low > results["popularity"].metrics["HR@10"].high
