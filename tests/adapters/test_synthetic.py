"""Queries and topics that are made up from an item's own words."""

import pytest

from crs_lite.adapters.synthetic import Queries, telling, with_topics, words
from crs_lite.logs import Item


def test_the_most_general_word_where_no_two_go_together():
    titles = ["shared alpha"] * 3 + ["shared beta"] * 3 + ["alpha beta shared gamma"] + ["gamma"] * 5
    items = [Item(id=i, key=str(i), title=t) for i, t in enumerate(titles)]
    got = [Queries(items, 0, 5).of(f"u{n}", items[6]) for n in range(200)]
    assert set(got) == {"shared", "gamma"}  # 7 and 6 items; no pair is in 5; "alpha" and "beta" are in 4
    # Half the draws want two words and get the most general one, the other half take either: 3 to 1.
    assert got.count("shared") == pytest.approx(150, abs=20)
    asked = [Queries(items, 0, 7).of(f"u{n}", items[6]) for n in range(10)]
    assert set(asked) == {"shared"}
    assert Queries(items, 0, 8).of("u", items[6]) is None


def test_topic_is_the_rarest_word_in_range():
    titles = ["Common rare Acme"] * 5 + ["common middle unit 12 inch"] * 7 + ["common odd"] + ["common"] * 187
    items = [Item(id=i, key=str(i), title=t, brand="ACME") for i, t in enumerate(titles)]
    topics = [item.attributes.get("topic") for item in with_topics(items, 5, 0.05)]
    # "acme" is the brand, "odd" is too rare, "common" too common
    assert topics == ["rare"] * 5 + ["middle"] * 7 + [None] * 188


def test_telling_words():
    got = telling("The 3D Printer, 1.75 mm x 10 Inch PLA-filament for a 3d_pen")
    assert got == ["3d", "printer", "pla", "filament", "pen"]


def test_words_are_distinct_and_in_order():
    assert words("Duct_Tape duct-tape 3M, 12 Öl") == ["duct", "tape", "3m", "12", "öl"]
    assert words("") == []


def test_a_query_depends_on_seed_user_and_item_alone():
    items = [Item(id=i, key=f"k{i}", title=f"red tape number{i % 2} strong") for i in range(8)]
    first = {(u, i.key): Queries(items, 0, 2).of(u, i) for u in ("a", "b") for i in items}
    moved = [item.model_copy(update={"id": n}) for n, item in enumerate(items[::-1])]
    again = Queries(moved, 0, 2)
    assert {(u, i.key): again.of(u, i) for u in ("a", "b") for i in moved} == first
    assert {Queries(items, seed, 2).of("a", items[0]) for seed in range(20)} > {first["a", "k0"]}


def test_an_item_without_a_fit_word_has_no_topic():
    items = [Item(id=0, key="a", title="12 x 34"), Item(id=1, key="b", title="tape tape")]
    assert [i.attributes for i in with_topics(items, 1, 1.0)] == [{}, {"topic": "tape"}]
    assert [i.attributes for i in with_topics(items, 2, 1.0)] == [{}, {}]
