"""Match, then rank: only items that hold every word of the query, in another ranker's order. What most shops do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from crs_lite.baselines.bm25 import document, words_of
from crs_lite.evaluate import Ranker
from crs_lite.logs import SearchLog, SearchRequest


class Matching:
    """`inner`'s list of the whole catalogue, items that hold all words of the query (title, brand, category) first."""

    def __init__(self, log: SearchLog, inner: Ranker):
        self.name, self.inner, self.n = f"matching, then {inner.name}", inner, len(log.items)
        self.having: dict[str, set[int]] = defaultdict(set)
        for item in log.items:
            for word in words_of(document(item)):
                self.having[word].add(item.id)

    def matches(self, query: str) -> set[int]:
        """The items that hold every word; of a query without words, all."""
        words = words_of(query)
        return set.intersection(*(self.having.get(w, set()) for w in words)) if words else set(range(self.n))

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids, best first; `-1` pads catalogues of fewer than k items."""
        out = np.full((len(requests), k), -1, dtype=np.int64)
        for start in range(0, len(requests), 256):
            some = requests[start : start + 256]
            for row, (request, order) in enumerate(zip(some, self.inner.rank(some, self.n), strict=True), start):
                found, ranked = self.matches(request.query), [i for i in order.tolist() if i >= 0]
                best = [i for i in ranked if i in found] + [i for i in ranked if i not in found]
                out[row, : len(best[:k])] = best[:k]
        return out
