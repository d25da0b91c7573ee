"""Popularity: the same list for everyone, by clicks in the train split. What any ranker has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crs_lite.baselines.topk import top_k
from crs_lite.logs import SearchLog, SearchRequest


class Popularity:
    """Ranks by `clicks (N,)`, counted in the train split only; items nobody clicked come last, by id."""

    name = "popularity"

    def __init__(self, log: SearchLog):
        clicked = [item for request in log.split("train") for item in request.clicked]
        self.clicks = np.bincount(np.array(clicked, dtype=np.int64), minlength=len(log.items))

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids, every row the same; `-1` pads catalogues of fewer than k items."""
        return np.tile(top_k(self.clicks.astype(np.float64), k), (len(requests), 1))
