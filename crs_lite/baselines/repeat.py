"""Repeat-last: what was clicked in the last interactions, most recent first, then what is popular."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crs_lite.baselines.popularity import Popularity
from crs_lite.baselines.topk import top_k
from crs_lite.logs import SearchLog, SearchRequest

N_PAST = 10


class RepeatLast:
    """Ranks the items clicked in the last 10 interactions, the most recent first, then the others by popularity."""

    name = "repeat-last"

    def __init__(self, log: SearchLog):
        self.log, self._popularity = log, Popularity(log).clicks.astype(np.float64)

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids, best first; `-1` pads catalogues of fewer than k items."""
        out = np.empty((len(requests), k), dtype=np.int64)
        for row, request in enumerate(requests):
            scores = self._popularity.copy()
            for turn, past in enumerate(self.log.history(request, N_PAST)):
                scores[list(past.clicked)] = self._popularity.max() + 1 + turn
            out[row] = top_k(scores, k)
        return out
