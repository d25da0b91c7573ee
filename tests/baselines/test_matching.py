"""Matching: which items hold the words, and that the order is the other ranker's."""

import numpy as np
from small_logs import CORPUS, asks, log_of

from crs_lite.baselines.matching import Matching


class Backwards:
    name = "backwards"

    def rank(self, requests, k):
        return np.tile(np.arange(len(CORPUS))[::-1][:k], (len(requests), 1))


def test_items_with_every_word_come_first_and_the_order_is_the_inner_one():
    ranker = Matching(log_of(CORPUS), Backwards())
    assert ranker.matches("case phone") == {2, 3} and ranker.matches("Acme parka") == {0, 1}
    assert ranker.matches("acme nothing") == set() and ranker.matches("?") == set(range(7))
    assert ranker.rank(asks("case phone", "acme", "zeppelin"), 4).tolist() == [[3, 2, 6, 5], [6, 1, 0, 5], [6, 5, 4, 3]]
    assert ranker.rank(asks("acme"), 9).tolist() == [[6, 1, 0, 5, 4, 3, 2, -1, -1]]


def test_many_requests_are_ranked_as_one_by_one():
    ranker, requests = Matching(log_of(CORPUS), Backwards()), asks(*["red", "case", "warm parka"] * 200)
    whole = ranker.rank(requests, 5)
    assert (whole == np.concatenate([ranker.rank([r], 5) for r in requests])).all()
