"""The simulated shop: frozen bytes, exact sums, no leaks, and ceilings that fall when something is hidden."""

import gzip
import json
import re
from datetime import UTC, datetime, timezone
from functools import cache
from itertools import product

import numpy as np
import pytest
from crs_lite.marketplace.__main__ import SHIPPED, ceiling, write

from crs_lite import marketplace
from crs_lite.errors import CRSError
from crs_lite.evaluate import ranks_of_targets, score
from crs_lite.logs import SearchLog, write_jsonl_gz
from crs_lite.marketplace import FROZEN_SHA256, HIDEABLE, Weights, generate, load
from crs_lite.marketplace.shoppers import CITIES, CONSOLE_OWNERS, TRAVELLING
from crs_lite.marketplace.tables import (
    AGES,
    BANDS,
    CATEGORIES,
    CONSOLES,
    INITIALS,
    LAPTOPS,
    PHONES,
    QUERIES,
    RANGE_GIVEN_AGE,
    STYLE_GIVEN_AGE,
    band,
)  # fmt: skip
from crs_lite.marketplace.utility import TASTES, THETAS, theta_prior


@pytest.fixture(scope="module")
def shop():
    return generate()


def facet_values(log: SearchLog) -> dict[str, set[str]]:
    values = {}
    for item in log.items:
        for key, value in item.facets().items():
            values.setdefault(key, set()).add(value)
    return values


# -- a second, slow, literal implementation of what utility.py and truth.py promise -------------------


def slow_fit(item, query, band_index, profile, w=Weights()):
    """Utility without taste."""
    f, q = item.facets(), QUERIES[query]
    u = w.asked * (f["category"] in q.categories or f["brand"] == q.brand)
    u += w.wanted * sum(f.get(key) == value for key, value in q.wants.items())
    if "weather" in f:
        u -= w.weather * abs(BANDS.index(f["weather"]) - band_index)
    if "audience" in f and f["audience"] != {"female": "women", "male": "men"}[profile["gender"]]:
        u -= w.audience
    if "fits" in f and f["fits"] not in profile.values():
        u -= w.fits
    return u + w.popularity * np.log(item.sales)


def slow_liking(item, taste, w=Weights()):
    f = item.facets()
    has = f | {"hobby": next(c.department for c in CATEGORIES if c.name == f["category"])}
    return sum(getattr(w, name) for name in ("style", "range", "brand", "hobby") if taste[name] == has[name])


@cache
def slow_likings(log):
    every = [{name: values[v] for (name, values), v in zip(TASTES.items(), theta, strict=True)} for theta in THETAS]
    return np.array([[slow_liking(item, taste) for item in log.items] for taste in every])


def slow_clicks(log, query, band_index, profile):
    """(288, N) click probabilities: a plain softmax over all items for each taste."""
    u = np.array([slow_fit(item, query, band_index, profile) for item in log.items]) + slow_likings(log)
    e = np.exp(u - u.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def slow_band(seen):
    return band(seen.place, datetime.fromtimestamp(seen.time, UTC).month)


def slow_prior(age):
    p = [STYLE_GIVEN_AGE[age][s] * RANGE_GIVEN_AGE[age][r] / 6 / 4 for s, r, _, _ in THETAS]
    return np.array(p)


def seen_bands(seen):
    return {slow_band(seen): 1.0}


def slow_informed(log, request, states, bands):
    """(N,): `states` are (probability, profile), `bands(seen)` is {band: probability}."""
    total, joint = 0.0, []
    for p_state, profile in states:
        p = p_state * slow_prior(profile["age"])
        for past in log.history(request, 10):
            p = p * sum(q * slow_clicks(log, past.query, b, profile)[:, past.target] for b, q in bands(past).items())
        now = sum(q * slow_clicks(log, request.query, b, profile) for b, q in bands(request).items())
        joint.append(p @ now)
        total += p.sum()
    return sum(joint) / total


@pytest.fixture(scope="module")
def small():
    """100 items, so that the slow way is bearable."""
    return generate(seed=5, n_items=100, n_users=150)


def some_requests(log, n, past):
    return [r for r in log.split("test") if log.n_past(r) == past][:n]


@pytest.mark.parametrize("past", [0, 1, 2])
def test_informed_equals_brute_force_over_items_and_tastes(small, past):
    log, truth = small
    for request in some_requests(log, 1, past):
        profile = log.users[request.user].profile
        slow = slow_informed(log, request, [(1.0, profile)], seen_bands)
        np.testing.assert_allclose(truth.informed_probabilities([request])[0], slow, rtol=1e-9)


def test_hidden_profile_is_summed_out(small):
    log, truth = small
    request = some_requests(log, 1, 1)[0]
    profile = log.users[request.user].profile
    states = [(1 / 8, profile | {"gender": g, "age": a}) for g in ("female", "male") for a in AGES]
    slow = slow_informed(log, request, states, seen_bands)
    np.testing.assert_allclose(truth.informed_probabilities([request], ("profile",))[0], slow, rtol=1e-9)


def test_hidden_place_and_time_are_summed_out(small):
    log, truth = small
    request = some_requests(log, 1, 1)[0]
    profile = log.users[request.user].profile
    share = {b: 0.0 for b in range(3)}
    for city, month in product(CITIES, range(1, 13)):
        p = 1 - TRAVELLING if city == profile["city"] else TRAVELLING / (len(CITIES) - 1)
        share[band(city, month)] += p / 12
    slow = slow_informed(log, request, [(1.0, profile)], lambda _: share)
    np.testing.assert_allclose(truth.informed_probabilities([request], ("place_time",))[0], slow, rtol=1e-9)


def test_hidden_devices_are_summed_out(small):
    log, truth = small
    request = next(r for r in some_requests(log, 99, 1) if "fits" in log.items[log.history(r)[0].target].attributes)
    profile = {k: v for k, v in log.users[request.user].profile.items() if k not in ("phone", "laptop", "console")}
    states = []
    for phone, laptop, console in product(PHONES, LAPTOPS, (*CONSOLES, None)):
        p = (CONSOLE_OWNERS / 3 if console else 1 - CONSOLE_OWNERS) / len(PHONES) / len(LAPTOPS)
        states.append((p, profile | {"phone": phone, "laptop": laptop} | ({"console": console} if console else {})))
    slow = slow_informed(log, request, states, seen_bands)
    np.testing.assert_allclose(truth.informed_probabilities([request], ("device",))[0], slow, rtol=1e-9)


def test_prior_and_true_probabilities(small):
    log, truth = small
    for age in AGES:
        np.testing.assert_allclose(theta_prior(age), slow_prior(age))
        assert np.isclose(theta_prior(age).sum(), 1)
    for request in log.split("test")[:5]:
        profile, taste = log.users[request.user].profile, truth.tastes[request.user]
        fit = [slow_fit(i, request.query, slow_band(request), profile) for i in log.items]
        u = np.array(fit) + [slow_liking(i, taste) for i in log.items]
        p = np.exp(u) / np.exp(u).sum()
        np.testing.assert_allclose(truth.true_probabilities([request])[0], p, rtol=1e-9)
        assert truth.oracle([request], 3)[0].tolist() == np.argsort(-p)[:3].tolist()
        ranked = np.array([[7, 3, -1]])
        assert np.isclose(truth.expected_utility([request], ranked)[0], p[7] / np.log2(2) + p[3] / np.log2(3))


# -- the frozen world --------------------------------------------------------------------------------


def test_frozen_world_is_regenerated_byte_for_byte(shop, tmp_path):
    log, truth = shop
    world = json.loads((SHIPPED / "world.json").read_text())
    assert world["sha256"] == FROZEN_SHA256
    about = {key: world[key] for key in ("generator", "requests", "test_ceilings")}
    marketplace.save(tmp_path, log, truth, about)
    assert len(list(tmp_path.iterdir())) == 5
    for file in tmp_path.iterdir():
        frozen = (SHIPPED / file.name).read_bytes()
        if file.suffix == ".gz":  # the content: another zlib may compress the same bytes otherwise
            assert gzip.decompress(file.read_bytes()) == gzip.decompress(frozen), file.name
        else:
            assert file.read_bytes() == frozen, file.name
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) < 4_000_000


def test_recorded_ceilings_and_their_order(shop):
    log, truth = shop
    world = json.loads((SHIPPED / "world.json").read_text())
    recorded = world["test_ceilings"]
    assert ceiling(log, truth, "oracle") == recorded["oracle"]
    assert ceiling(log, truth, "informed") == recorded["informed"]
    assert 0.45 < recorded["informed"]["HR@1"] < 0.65 and recorded["oracle"]["HR@1"] > recorded["informed"]["HR@1"]
    for part in HIDEABLE:
        assert recorded[f"informed -{part}"]["NDCG@10"] < recorded["informed"]["NDCG@10"] - 0.02


@pytest.mark.parametrize("part", HIDEABLE)
def test_hiding_costs(shop, part):
    """Measured again on some users, in expected NDCG, which has less noise than one click a request."""
    log, truth = shop
    some = [r for r in log.split("test") if r.user % 12 == 0]
    kept, lost = (truth.expected_utility(some, truth.ranker("informed", h).rank(some, 10)) for h in ((), (part,)))
    assert lost.mean() < kept.mean() - 0.01


def test_splits_and_cold_start(shop):
    log, _ = shop
    parts = {s: log.split(s) for s in ("train", "valid", "test")}
    assert len(log.items) == 1000 and len(parts["train"]) >= 12_000 and len(parts["test"]) >= 4000
    assert parts["train"][-1].time < parts["valid"][0].time and parts["valid"][-1].time < parts["test"][0].time
    past = np.array([log.n_past(r) for r in parts["test"]])
    assert (past <= 2).sum() >= 1000 and np.mean(past[past > 2] >= 8) > 0.8
    assert {datetime.fromtimestamp(r.time, UTC).month for r in parts["train"]} == set(range(1, 13))
    times = [r.time for r in log.requests]
    assert len(set(times)) == len(times) and all(t % 86400 for t in times)


def test_pages(shop):
    log, _ = shop
    for r in log.requests:
        assert 4 <= len(r.shown) == len(set(r.shown)) <= 6 and r.target in r.shown and len(r.clicked) == 1
    place = [r.shown.index(r.target) / (len(r.shown) - 1) for r in log.requests]
    assert abs(np.mean(place) - 0.5) < 0.01  # random order


def test_clicks_follow_the_informed_probabilities(shop):
    """Calibration on clicks: the mean probability of what was clicked first by the ranking equals its hit rate."""
    log, truth = shop
    some = [r for r in log.split("test") if r.user % 3 == 0]
    p = truth.informed_probabilities(some)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-9)
    hits = p.argmax(1) == [r.target for r in some]
    assert abs(hits.mean() - p.max(1).mean()) < 4 * np.sqrt(0.25 / len(some))


# -- words -------------------------------------------------------------------------------------------


def test_titles_and_values(shop):
    log, _ = shop
    titles = [i.title for i in log.items]
    assert len(set(titles)) == len(titles)
    words = [len(t.split()) for t in titles]
    assert min(words) >= 4 and np.mean([5 <= n <= 9 for n in words]) > 0.95
    values = facet_values(log)
    every = [(k, v.lower()) for k, found in values.items() for v in found]
    for (k, v), (other, w) in product(every, every):
        assert k == other or v not in w, f"{k} {v!r} occurs in {other} {w!r}"
    assert len(values["category"]) == 32 and len(values["brand"]) == 6
    assert len(set(INITIALS.values())) == 6
    for brand in values["brand"]:  # every brand is active in every department
        assert {c.department for c in CATEGORIES for i in log.items if (i.brand, i.category) == (brand, c.name)} == {
            "outdoor", "gaming", "home", "mobile"
        }  # fmt: skip


def test_category_attributes(shop):
    log, _ = shop
    kind = {c.name: c for c in CATEGORIES}
    for item in log.items:
        c = kind[item.category]
        want = {"style", "range"}
        want |= {"audience"} if c.audience else set()
        want |= {"weather"} if c.weather or c.season else set()
        want |= {"fits"} if c.fits else set()
        assert set(item.attributes) == want and item.price > 0 and item.sales > 0


# -- nothing leaks -----------------------------------------------------------------------------------


def test_log_holds_no_hidden_taste(shop):
    log, truth = shop
    assert {key for u in log.users for key in u.profile} == {"gender", "age", "city", "phone", "laptop", "console"}
    hidden = {v for t in truth.tastes for v in t.values()}
    assert not hidden & {v for u in log.users for v in u.profile.values()}
    # Queries are drawn without looking at the shopper: stated styles agree with tastes only by chance.
    stated = [r for r in log.requests if r.query.split()[0] in TASTES["style"]]
    agree = [r.query.split()[0] == truth.tastes[r.user]["style"] for r in stated]
    assert len(agree) > 500 and abs(np.mean(agree) - 0.25) < 0.08


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
    assert marketplace.Truth(cut, truth.tastes).claims(last) == truth.claims(last)
    shuffled = marketplace.Truth(log, truth.tastes[::-1])  # nor the hidden tastes
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


# -- other worlds and wrong input ----------------------------------------------------------------------


def test_other_worlds(tmp_path):
    write(tmp_path, seed=3, n_items=3000, n_users=20)
    log, truth = load(tmp_path)
    assert len(log.items) == 3000 == len({i.title for i in log.items}) and log.name == "marketplace-3-3000-20"
    assert log.digest() != FROZEN_SHA256
    test = log.split("test")
    assert truth.ranker("informed", ("device",)).rank(test, 10).shape == (len(test), 10)
    for kind in ("oracle", "informed"):
        ranks = ranks_of_targets(truth.ranker(kind).rank(test, 10), [r.target for r in test])
        assert score(ranks)["NDCG@10"] > 0.3


def test_load_gives_back_what_was_saved(small, tmp_path):
    log, truth = small
    marketplace.save(tmp_path, log, truth, {})
    again, known = load(tmp_path)
    assert again.digest() == log.digest() and again.name == log.name
    assert known.tastes == truth.tastes and known.weights == truth.weights
    test = log.split("test")
    assert (known.informed(again.split("test"), 5) == truth.informed(test, 5)).all()


def test_errors(small, tmp_path):
    log, truth = small
    with pytest.raises(CRSError, match="too small"):
        generate(n_items=10)
    with pytest.raises(CRSError, match="cannot hide taste"):
        truth.informed(log.split("test")[:1], 10, ("taste",))
    with pytest.raises(CRSError, match="no ceiling"):
        truth.ranker("best")
    with pytest.raises(CRSError, match="none of this marketplace's"):
        truth.informed([log.requests[0].model_copy(update={"query": "unheard of"})], 10)
    with pytest.raises(CRSError, match="world.json"):
        load(tmp_path)
    with pytest.raises(CRSError, match="tastes for"):
        marketplace.Truth(log, truth.tastes[:-1])
    marketplace.save(tmp_path, log, truth, {})
    world = (tmp_path / "world.json").read_text()
    (tmp_path / "world.json").write_text(re.sub(r'"sha256": "\w', '"sha256": "x', world))
    with pytest.raises(CRSError, match="sha256"):
        load(tmp_path)
    (tmp_path / "world.json").write_text(world)
    write_jsonl_gz(tmp_path / "tastes.jsonl.gz", [{"user": 0, "style": "plain"}])
    with pytest.raises(CRSError, match="tastes.jsonl.gz, row 1"):
        load(tmp_path)
