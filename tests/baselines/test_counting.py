"""The counting model: its numbers by hand, its gradient by finite differences, and what it may not see."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import logsumexp
from toy import toy_log

from crs_lite.baselines import counting
from crs_lite.baselines.counting import Counting
from crs_lite.errors import CRSError
from crs_lite.evaluate import evaluate

LOG = toy_log(40, 12)
MODEL = Counting(LOG)


def test_popularity_lift_and_history_by_hand():
    train = LOG.split("train")
    request = max(LOG.split("test"), key=LOG.n_past)
    x, names = MODEL.features(request), MODEL.names
    clicks = np.bincount([r.target for r in train], minlength=24)
    assert np.allclose(x[:, names.index("popularity")], np.log(clicks + 1))
    past = [i for h in LOG.history(request, 10) for i in h.clicked]
    for item in LOG.items:
        same = sum(LOG.items[i].brand == item.brand for i in past) / (len(past) + 1)
        assert x[item.id, names.index("past brand")] == pytest.approx(same)
        assert x[item.id, -1] == (item.id in past)
    behind = [r for r in train if r.query == request.query]  # the lift of a query, from counts of each facet
    lift = 0.0
    for key in ("category", "brand", "colour"):
        values = sorted({i.facets()[key] for i in LOG.items})
        everywhere = {v: 1 + sum(LOG.items[r.target].facets()[key] == v for r in train) for v in values}
        prior = {v: n / sum(everywhere.values()) for v, n in everywhere.items()}
        v = LOG.items[3].facets()[key]
        here = sum(LOG.items[r.target].facets()[key] == v for r in behind)
        lift += np.log((here + counting.SMOOTHING * prior[v]) / (len(behind) + counting.SMOOTHING) / prior[v])
    assert x[3, names.index("query")] == pytest.approx(lift)


def test_without_a_clock_there_is_no_month():
    request = LOG.requests[-1]
    assert MODEL._facts(request)["season"] == [(request.place, 10 if request.time < 1_701_388_800 else 11)]
    assert MODEL._facts(request.model_copy(update={"timed": False}))["season"] == [(request.place, None)]


def test_the_weights_are_at_the_top_of_the_likelihood():
    """By finite differences, on the requests they were fitted on and with the counts of the requests before them."""
    train = LOG.split("train")
    last = train[-(len(train) // 5) :]
    MODEL._count(train[: len(train) - len(last)])
    x, targets = np.stack([MODEL.features(r) for r in last]), np.array([r.target for r in last])
    MODEL._count(train)

    def loss(w):
        score = x @ w
        return (logsumexp(score, 1) - score[np.arange(len(last)), targets]).mean() + 1e-3 * w @ w

    assert np.abs(approx_fprime(MODEL.weights, loss, 1e-6)).max() < 2e-3


def test_it_finds_what_decides_and_loses_it_when_it_may_not_look():
    test = LOG.split("test")
    full = evaluate(MODEL, LOG, test).metrics["HR@5"].value
    assert full > 0.9  # query and city leave four colours
    assert evaluate(Counting(LOG, ("query",)), LOG, test).metrics["HR@5"].value < full - 0.2
    with pytest.raises(CRSError, match="no part 'weather'"):
        Counting(LOG, ("weather",))


def test_no_later_click_is_counted():
    """The same model from a log whose validation and test clicks are shuffled."""
    rng = np.random.default_rng(0)
    rows = [
        r if r.split == "train" else r.model_copy(update={"clicked": (int(rng.integers(24)),)}) for r in LOG.requests
    ]
    other = Counting(type(LOG)("shuffled", LOG.items, LOG.users, rows))
    assert np.allclose(other.weights, MODEL.weights)
    assert all(np.array_equal(other.lift[fact], MODEL.lift[fact]) for fact in MODEL.lift)


def test_probabilities_and_lists_agree():
    request = LOG.split("test")[5]
    p = np.exp(MODEL.log_probabilities(request))
    assert p.sum() == pytest.approx(1)
    assert MODEL.rank([request], 5)[0].tolist() == np.argsort(-p, kind="stable")[:5].tolist()
