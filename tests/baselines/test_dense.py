"""Dense retrieval against cosines computed one by one."""

import math

import numpy as np
import pytest
from small_logs import CORPUS, asks, letters

from crs_lite.baselines.dense import Dense
from crs_lite.errors import CRSError


def test_dense_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    items = rng.normal(size=(300, 16)) * rng.uniform(0.1, 10, size=(300, 1))
    table = {f"q{i}": rng.normal(size=16) for i in range(400)}  # more queries than one chunk holds
    requests = asks(*table, "q3", "q3")
    got = Dense(items, lambda texts: np.array([table[t] for t in texts])).rank(requests, 12)
    for request, row in zip(requests, got, strict=True):
        q = table[request.query]
        cosine = [float(q @ x) / math.sqrt(float(q @ q) * float(x @ x)) for x in items]
        assert row.tolist() == sorted(range(300), key=lambda i: -cosine[i])[:12]


def test_dense_edges():
    items = letters([title for title, _, _ in CORPUS])
    ranker = Dense(items, letters)
    got = ranker.rank(asks("red wool parka", ""), 10)
    assert got[0, 0] == 0 and sorted(got[0, :7]) == list(range(7)) and (got[:, 7:] == -1).all()
    assert got[1, :7].tolist() == list(range(7))  # an all-zero query is equally far from everything
    assert ranker.rank([], 5).shape == (0, 5)
    with pytest.raises(CRSError, match="own encoder"):
        Dense(items[:, :25], letters).rank(asks("red"), 5)
    with pytest.raises(CRSError, match="finite"):
        Dense(np.full((2, 3), np.nan), letters)
