"""Titles a seller might write, attributes in balance, one item for every title."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

from crs_lite.marketplace.catalogue import make_items
from crs_lite.marketplace.tables import CATEGORIES, DEPARTMENTS, DEVICES, INITIALS
from crs_lite.reasoning.facets import facet_values


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
        assert {c.department for c in CATEGORIES for i in log.items if (i.brand, i.category) == (brand, c.name)} == set(
            DEPARTMENTS
        )


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


def test_context_facets_are_in_balance(shop):
    """Within a category, every combination of device, audience and weather has as many items, give or take one."""
    for category in CATEGORIES:
        of = Counter(
            tuple(item.attributes.get(key) for key in ("fits", "audience", "weather"))
            for item in shop[0].items
            if item.category == category.name
        )
        assert max(of.values()) - min(of.values()) <= 1
        axes = (len(DEVICES.get(category.fits, [0])), 1 + category.audience, 3 if category.weather else 1)
        assert len(of) == axes[0] * axes[1] * axes[2]


def test_popular_items_sell_by_a_power_law(shop):
    sales = sorted((item.sales for item in shop[0].items), reverse=True)
    assert sales == [round(20_000 / rank**0.8) for rank in range(1, 1001)]


@pytest.mark.parametrize("n", [100, 357])
def test_any_number_of_items_in_the_shares_of_the_categories(n):
    items = make_items(np.random.default_rng(1), n)
    assert [i.id for i in items] == list(range(n)) and len({i.title for i in items}) == n
    total, of = sum(c.share for c in CATEGORIES), Counter(i.category for i in items)
    assert all(abs(of[c.name] - n * c.share / total) < 1 for c in CATEGORIES)
