"""Counts of the train split, and of nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st
from small_logs import CORPUS, asks, log_of

from crs_lite.baselines.popularity import Popularity


def test_popularity_counts_train_clicks_only():
    rows = [("train", "q", (2,)), ("train", "q", (2, 5)), ("train", "q", (5,)), ("train", "q", (3,))]
    rows += [("valid", "q", (6,))] * 9 + [("test", "q", (1,))] * 9
    ranker = Popularity(log_of(CORPUS, rows))
    assert ranker.clicks.tolist() == [0, 0, 2, 1, 0, 2, 0]
    got = ranker.rank(asks("a", "b"), 9)
    assert got.tolist() == [[2, 5, 3, 0, 1, 4, 6, -1, -1]] * 2  # ties, and the never clicked, by id


@given(st.lists(st.integers(0, 6), max_size=30), st.lists(st.integers(0, 6), max_size=30))
@settings(max_examples=50)
def test_popularity_does_not_see_the_future(train, later):
    past = [("train", "q", (i,)) for i in train]
    with_future = log_of(CORPUS, past + [("test", "q", (i,)) for i in later])
    assert (Popularity(log_of(CORPUS, past)).clicks == Popularity(with_future).clicks).all()
    assert Popularity(with_future).clicks.tolist() == [train.count(i) for i in range(7)]
