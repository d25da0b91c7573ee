"""The k best against sorting, ties and padding included."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crs_lite.baselines.topk import top_k


@given(st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0]), max_size=12), st.integers(1, 15))
def test_top_k_agrees_with_sorting(scores, k):
    order = sorted((i for i, s in enumerate(scores) if s > -math.inf), key=lambda i: (-scores[i], i))[:k]
    assert top_k(np.array(scores), k).tolist() == order + [-1] * (k - len(order))
