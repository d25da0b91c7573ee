"""The informed reader against plain sums over items and tastes, and what claims and rankings must not see."""

from itertools import product

import numpy as np
import pytest
from literal_shop import seen_bands, slow_band, slow_fit, slow_informed, slow_liking

from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog
from crs_lite.marketplace import HIDEABLE, Truth
from crs_lite.marketplace.shoppers import CONSOLE_OWNERS, TRAVELLING
from crs_lite.marketplace.tables import AGES, CITIES, CONSOLES, LAPTOPS, PHONES, band


def some_requests(log, n, past):
    return [r for r in log.split("test") if log.n_past(r) == past][:n]


@pytest.mark.parametrize("past", [0, 1, 2])
def test_informed_equals_brute_force_over_items_and_tastes(small_shop, past):
    log, truth = small_shop
    for request in some_requests(log, 1, past):
        profile = log.users[request.user].profile
        slow = slow_informed(log, request, [(1.0, profile)], seen_bands)
        np.testing.assert_allclose(truth.informed_probabilities([request])[0], slow, rtol=1e-9)


def test_hidden_profile_is_summed_out(small_shop):
    log, truth = small_shop
    request = some_requests(log, 1, 1)[0]
    profile = log.users[request.user].profile
    states = [(1 / 8, profile | {"gender": g, "age": a}) for g in ("female", "male") for a in AGES]
    slow = slow_informed(log, request, states, seen_bands)
    np.testing.assert_allclose(truth.informed_probabilities([request], ("profile",))[0], slow, rtol=1e-9)


def test_hidden_place_and_time_are_summed_out(small_shop):
    log, truth = small_shop
    request = some_requests(log, 1, 1)[0]
    profile = log.users[request.user].profile
    share = {b: 0.0 for b in range(3)}
    for city, month in product(CITIES, range(1, 13)):
        p = 1 - TRAVELLING if city == profile["city"] else TRAVELLING / (len(CITIES) - 1)
        share[band(city, month)] += p / 12
    slow = slow_informed(log, request, [(1.0, profile)], lambda _: share)
    np.testing.assert_allclose(truth.informed_probabilities([request], ("place_time",))[0], slow, rtol=1e-9)


def test_hidden_devices_are_summed_out(small_shop):
    log, truth = small_shop
    request = next(r for r in some_requests(log, 99, 1) if "fits" in log.items[log.history(r)[0].target].attributes)
    profile = {k: v for k, v in log.users[request.user].profile.items() if k not in ("phone", "laptop", "console")}
    states = []
    for phone, laptop, console in product(PHONES, LAPTOPS, (*CONSOLES, None)):
        p = (CONSOLE_OWNERS / 3 if console else 1 - CONSOLE_OWNERS) / len(PHONES) / len(LAPTOPS)
        states.append((p, profile | {"phone": phone, "laptop": laptop} | ({"console": console} if console else {})))
    slow = slow_informed(log, request, states, seen_bands)
    np.testing.assert_allclose(truth.informed_probabilities([request], ("device",))[0], slow, rtol=1e-9)


def test_true_probabilities_are_a_softmax_over_all_items(small_shop):
    log, truth = small_shop
    for request in log.split("test")[:5]:
        profile, taste = log.users[request.user].profile, truth.tastes[request.user]
        fit = [slow_fit(i, request.query, slow_band(request), profile) for i in log.items]
        u = np.array(fit) + [slow_liking(i, taste) for i in log.items]
        p = np.exp(u) / np.exp(u).sum()
        np.testing.assert_allclose(truth.true_probabilities([request])[0], p, rtol=1e-9)
        assert truth.oracle([request], 3)[0].tolist() == np.argsort(-p)[:3].tolist()
        ranked = np.array([[7, 3, -1]])
        assert np.isclose(truth.expected_utility([request], ranked)[0], p[7] / np.log2(2) + p[3] / np.log2(3))


def test_clicks_follow_the_informed_probabilities(shop):
    """Calibration on clicks: the mean probability of what was clicked first by the ranking equals its hit rate."""
    log, truth = shop
    some = [r for r in log.split("test") if r.user % 3 == 0]
    p = truth.informed_probabilities(some)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-9)
    hits = p.argmax(1) == [r.target for r in some]
    assert abs(hits.mean() - p.max(1).mean()) < 4 * np.sqrt(0.25 / len(some))


@pytest.mark.parametrize("part", HIDEABLE)
def test_hiding_costs(shop, part):
    """Measured again on some users, in expected NDCG, which has less noise than one click a request."""
    log, truth = shop
    some = [r for r in log.split("test") if r.user % 12 == 0]
    kept, lost = (truth.expected_utility(some, truth.ranker("informed", h).rank(some, 10)) for h in ((), (part,)))
    assert lost.mean() < kept.mean() - 0.01


def test_claims_and_rankings_ignore_the_outcome_and_the_future(shop):
    log, truth = shop
    test = log.split("test")
    some = test[::600]
    blind = [r.model_copy(update={"clicked": (), "shown": ()}) for r in some]
    other = [r.model_copy(update={"clicked": ((r.target + 1) % 1000,), "shown": ()}) for r in some]
    for a, b, c in zip(some, blind, other, strict=True):
        assert truth.claims(a) == truth.claims(b) == truth.claims(c)
    assert (truth.informed(some, 10) == truth.informed(blind, 10)).all()
    assert (truth.oracle(some, 10) == truth.oracle(blind, 10)).all()
    last = some[2]
    cut = SearchLog("cut", log.items, log.users, [r for r in log.requests if r.time <= last.time])
    assert Truth(cut, truth.tastes).claims(last) == truth.claims(last)
    shuffled = Truth(log, truth.tastes[::-1])  # nor the hidden tastes
    assert [shuffled.claims(r) for r in some] == [truth.claims(r) for r in some]


def test_claims_are_likely_values(shop):
    log, truth = shop
    facets, right, n = [item.facets() for item in log.items], 0, 0
    for r in log.split("test")[::25]:
        p = truth.informed_probabilities([r])[0]
        said = truth.claims(r)
        for key, value in said.items():
            match = np.array([f.get(key) == value for f in facets])
            assert p[match].sum() >= 0.5 * p.sum() - 1e-12
            p = p * match
            right, n = right + (facets[r.target].get(key) == value), n + 1
    assert right / n > 0.75


def test_what_cannot_be_asked(small_shop):
    log, truth = small_shop
    with pytest.raises(CRSError, match="cannot hide taste"):
        truth.informed(log.split("test")[:1], 10, ("taste",))
    with pytest.raises(CRSError, match="no ceiling"):
        truth.ranker("best")
    with pytest.raises(CRSError, match="no ceiling"):
        truth.ranker("oracle", ("device",))
    with pytest.raises(CRSError, match="none of this marketplace's"):
        truth.informed([log.requests[0].model_copy(update={"query": "unheard of"})], 10)
    with pytest.raises(CRSError, match="tastes for"):
        Truth(log, truth.tastes[:-1])


def test_a_ceiling_is_a_ranker_that_is_named_after_what_it_does_not_see(small_shop):
    log, truth = small_shop
    some = log.split("test")[:4]
    ranker = truth.ranker("informed", ("history", "device"))
    assert ranker.name == "informed -history -device" and truth.ranker("oracle").name == "oracle"
    assert (ranker.rank(some, 7) == truth.informed(some, 7, ("device", "history"))).all()
    assert (truth.ranker("oracle").rank(some, 120)[:, 100:] == -1).all()  # a catalogue of 100
