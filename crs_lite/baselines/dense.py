"""Dense retrieval: cosine of the query's embedding and the item embeddings that the semantic IDs are built from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crs_lite.baselines.topk import top_k
from crs_lite.errors import CRSError
from crs_lite.logs import SearchRequest

CHUNK = 256  # queries scored at a time: 256 x 100,000 items in float32 is 100 MB


class Dense:
    """Ranks by cosine; nothing is fitted, so nothing of any split is used.

    `items (N, d)` are the catalogue's embeddings in id order, `encode` maps texts to `(n, d)` in the same space.
    Neither needs rows of length 1. Raises `CRSError` when shapes disagree or a value is not finite.
    """

    name = "dense"

    def __init__(self, items: np.ndarray, encode: Callable[[list[str]], np.ndarray]):
        self._encode = encode
        self._items = _unit(items, "item embeddings")

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids, best first, ties by id; `-1` pads catalogues of fewer than k items."""
        if not requests:
            return np.empty((0, k), dtype=np.int64)
        queries = sorted({r.query for r in requests})
        vectors = _unit(self._encode(queries), "query embeddings")
        if vectors.shape != (len(queries), self._items.shape[1]):
            want = (len(queries), self._items.shape[1])
            raise CRSError(f"query embeddings have shape {vectors.shape}, not {want}; use the items' own encoder.")
        lists: dict[str, np.ndarray] = {}
        for start in range(0, len(queries), CHUNK):
            cosines = vectors[start : start + CHUNK] @ self._items.T  # (chunk, N)
            lists |= {q: top_k(row, k) for q, row in zip(queries[start : start + CHUNK], cosines, strict=True)}
        return np.array([lists[r.query] for r in requests], dtype=np.int64)


def _unit(x: np.ndarray, what: str) -> np.ndarray:
    """Rows scaled to length 1; a zero row stays zero, and is then equally far from everything."""
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise CRSError(f"{what} must be a finite (n, d) matrix, got shape {x.shape}; embed the texts again.")
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
