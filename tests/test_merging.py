"""Merged thoughts: by hand, against brute force, and one thought is today's list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import toy_log

from crs_lite.merging import MergingRanker, merge
from crs_lite.model import backbones
from crs_lite.prepared import prepare
from crs_lite.profiles import get_profile
from crs_lite.ranker import CRSRanker
from crs_lite.sid.embed import item_text, save_embeddings, sha_of_texts


def test_by_hand():
    """One thought is sure of item 7, the other splits itself between 3 and 7."""
    items, p = np.array([[7, 3, 5], [3, 7, -1]]), np.array([[0.8, 0.1, 0.05], [0.5, 0.4, 0.0]])
    with np.errstate(divide="ignore"):
        got, mean = merge(items, np.log(p), 4)
    assert got.tolist() == [7, 3, 5, -1] and mean == pytest.approx([0.6, 0.3, 0.025, 0])


lists = st.lists(st.permutations(range(6)), min_size=1, max_size=5)


@given(lists, st.integers(1, 7), st.integers(0, 2**31))
def test_it_is_the_mean_over_thoughts(rows, k, seed):
    items = np.array(rows)
    logp = np.sort(np.log(np.random.default_rng(seed).random(items.shape)))[:, ::-1]
    mean = [sum(np.exp(logp[m][rows[m].index(i)]) for m in range(len(rows))) / len(rows) for i in range(6)]
    best = sorted(range(6), key=lambda i: (-mean[i], i))[:k]
    got, p = merge(items, logp, k)
    assert got[: len(best)].tolist() == best and p[: len(best)] == pytest.approx([mean[i] for i in best])
    assert (got[len(best) :] == -1).all()


@pytest.mark.slow
def test_one_thought_is_greedy_and_fewer_are_read_from_the_same(tmp_path):
    log = toy_log(12, 8)
    x = np.random.default_rng(0).normal(size=(24, 384)).astype(np.float32)
    save_embeddings(tmp_path / "e.safetensors", x, sha_of_texts([item_text(i) for i in log.items]))
    profile = get_profile(
        "smoke", hidden=32, layers=1, vocab=400, sid_sizes=(4, 4, 4), reasoning="see-count", max_reasoning=40
    )
    p = prepare(log, None, profile, 0, tmp_path / "run", tmp_path / "e.safetensors")
    model, test = backbones.load_model(p.fresh.folder), log.split("test")
    greedy = CRSRanker("greedy", model, p.codec, "own", 40).rank(test, 5)
    assert np.array_equal(MergingRanker("one", model, p.codec, 1, max_reasoning=40).rank(test, 5), greedy)
    many = MergingRanker("many", model, p.codec, 6, beams=12, perceives=True, max_reasoning=12)
    whole = many.rank(test, 5)
    assert np.array_equal(many.merged(6, 5), whole) and many.held.shape == (len(test), 6, 12)
    again = MergingRanker("many", model, p.codec, 6, beams=12, perceives=True, max_reasoning=12)
    assert np.array_equal(again.rank(test, 5), whole) and again.drawn == many.drawn
    for row in range(len(test)):  # the first two thoughts, merged by plain addition
        total = {}
        for m in range(2):
            for item, lp in zip(many.held[row, m], many.logp[row, m], strict=True):
                total[int(item)] = total.get(int(item), 0.0) + np.exp(lp)
        total.pop(-1, None)
        assert many.merged(2, 5)[row].tolist() == sorted(total, key=lambda i: (-total[i], i))[:5]
