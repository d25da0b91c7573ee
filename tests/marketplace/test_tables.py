"""The shop's vocabulary: every name can be told from every other, every distribution is one."""

import pytest

from crs_lite.marketplace import tables


def test_distributions_sum_to_one():
    given = [*tables.STYLE_GIVEN_AGE.values(), *tables.RANGE_GIVEN_AGE.values()]
    for p in (*given, tables.BRAND_PRIOR, tables.HOBBY_PRIOR, tables.AGE_PRIOR):
        assert sum(p) == pytest.approx(1) and min(p) > 0
    for of, values in ((tables.STYLE_GIVEN_AGE, tables.STYLES), (tables.RANGE_GIVEN_AGE, tables.RANGES)):
        assert set(of) == set(tables.AGES) and all(len(p) == len(values) for p in of.values())


def test_queries_ask_for_what_the_shop_has():
    names = {c.name for c in tables.CATEGORIES}
    values = {"style": tables.STYLES, "range": tables.RANGES, "brand": tables.BRANDS, "weather": tables.BANDS}
    values["audience"] = tables.AUDIENCES
    for text, query in tables.QUERIES.items():
        assert query.text == text and query.weight > 0
        assert set(query.categories) <= names and (query.categories or query.brand in tables.BRANDS)
        assert all(value in values[key] for key, value in query.wants.items())


def test_every_department_and_device_has_its_categories():
    assert {c.department for c in tables.CATEGORIES} == set(tables.DEPARTMENTS)
    assert {c.fits for c in tables.CATEGORIES} == {None, *tables.DEVICES}
    assert len({c.name for c in tables.CATEGORIES}) == len(tables.CATEGORIES) == 32
    assert all(tables.DEPARTMENTS[n] == c.department for c in tables.CATEGORIES for n in [tables.DEPARTMENT_OF[c.name]])
    assert len(set(tables.INITIALS.values())) == len(tables.BRANDS)


@pytest.mark.parametrize(
    "city, month, name", [("Oslo", 1, "cold"), ("Oslo", 7, "mild"), ("Mumbai", 1, "hot"), ("Sydney", 7, "mild")]
)
def test_weather_by_hand(city, month, name):
    assert tables.BANDS[tables.band(city, month)] == f"{name} weather"


def test_bands_begin_where_they_say(monkeypatch):
    """Cold below 10 degrees, hot from 20: the edges themselves are mild and hot."""
    monkeypatch.setitem(tables.CITIES, "Edge", (9, 10, 19, 20, *[0] * 8))
    assert [tables.band("Edge", month) for month in (1, 2, 3, 4)] == [0, 1, 1, 2]
