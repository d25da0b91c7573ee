"""BM25 over title, brand and category: what the words of the query alone can do, without any context.

Lucene's variant (Kamphuis et al. 2020; the default of bm25s): for each query word w and item d
`ln(1 + (N - df_w + 0.5) / (df_w + 0.5)) * tf / (tf + k1 * (1 - b + b * |d| / mean|d|))`, summed over w.
Our choice: every word counts (no stop words, no stemming), since shop queries are a word or two long.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import bm25s
import numpy as np

from crs_lite.baselines.topk import top_k
from crs_lite.errors import CRSError
from crs_lite.evaluate import DEPTH, ranks_of_targets, score
from crs_lite.logs import Item, SearchLog, SearchRequest

K1, B = 1.5, 0.75
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Lower-case words of a text, repetitions kept."""
    return _WORD.findall(text.lower())


def document(item: Item) -> str:
    """The text an item is found by: title, brand and category."""
    return " ".join(part for part in (item.title, item.brand, item.category) if part)


class BM25:
    """Ranks by the query's BM25 score. Items without any word of the query are not ranked (`-1`)."""

    name = "BM25"

    def __init__(self, log: SearchLog, k1: float = K1, b: float = B):
        self._n = len(log.items)
        self._documents = [words_of(document(item)) for item in log.items]
        self._known = {word for words in self._documents for word in words}
        self._index = bm25s.BM25(k1=k1, b=b, method="lucene")
        if self._known:
            self._index.index(self._documents, show_progress=False)

    def scores(self, query: str) -> np.ndarray:
        """`(N,)` float32 scores, 0 where an item has no word of the query."""
        words = [word for word in words_of(query) if word in self._known]
        return self._index.get_scores(words) if words else np.zeros(self._n, dtype=np.float32)

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids, best first, ties by id; `-1` pads the end."""
        lists: dict[str, np.ndarray] = {}
        for request in requests:
            if request.query not in lists:
                scores = self.scores(request.query)
                lists[request.query] = top_k(np.where(scores > 0, scores, -np.inf), k)
        return np.array([lists[r.query] for r in requests], dtype=np.int64).reshape(len(requests), k)


def query_leak(log: SearchLog) -> float:
    """HR@10 of BM25 on the valid split, 0 to 1: how much of the answer the query's words give away.

    Read it before trusting a log with synthetic queries, whose words were taken from the target itself.
    Raises `CRSError` when the log has no valid requests.
    """
    valid = log.split("valid")
    if not valid:
        raise CRSError(f"log {log.name!r} has no valid requests; load more reviews, or split it differently.")
    ranked = BM25(log).rank(valid, DEPTH)
    return score(ranks_of_targets(ranked, np.array([r.target for r in valid])))[f"HR@{DEPTH}"]
