"""A second, slow, literal implementation of what `marketplace.utility` and `marketplace.truth` promise."""

from datetime import UTC, datetime
from functools import cache

import numpy as np

from crs_lite.marketplace import Weights
from crs_lite.marketplace.tables import BANDS, CATEGORIES, QUERIES, RANGE_GIVEN_AGE, STYLE_GIVEN_AGE, band
from crs_lite.marketplace.utility import TASTES, THETAS

WEIGHTS = Weights()


def slow_fit(item, query, band_index, profile, w=WEIGHTS):
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


def slow_liking(item, taste, w=WEIGHTS):
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
