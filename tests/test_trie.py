"""The trie holds the catalogue, all of it and nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crs_lite.errors import CRSError
from crs_lite.trie import Trie


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=40, unique=True))
def test_trie_holds_exactly_the_catalogue(codes):
    ids = np.array(codes) + np.array([0, 10, 20])
    trie = Trie.build(ids)
    found = {}

    def walk(node, level, prefix):
        if level == trie.depth:
            found[prefix] = int(trie.items(torch.tensor(node)))
            return
        token, child, exists = trie.children(torch.tensor(node), level)
        for t, c in zip(token[exists].tolist(), child[exists].tolist(), strict=True):
            walk(c, level + 1, (*prefix, t))

    walk(0, 0, ())
    assert found == {tuple(row): i for i, row in enumerate(ids.tolist())}


def test_shared_id_is_refused():
    with pytest.raises(CRSError, match="share one semantic ID"):
        Trie.build(np.array([[1, 2], [3, 4], [1, 2]]))


def test_walk_finds_prefixes_and_nothing_else(catalogue_ids):
    trie = Trie.build(catalogue_ids)
    for m in range(1, 5):
        assert (trie.walk(torch.tensor(catalogue_ids[:, :m])) > 0).all()
    leaves = trie.walk(torch.tensor(catalogue_ids))
    assert trie.items(leaves).tolist() == list(range(len(catalogue_ids)))
    strange = catalogue_ids.copy()
    strange[:, 1] = 70
    assert (trie.walk(torch.tensor(strange)) == -1).all()
