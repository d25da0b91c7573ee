"""Hand-written sentences that no teacher of this project wrote, and arithmetic done by hand."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crs_lite.audit import attribute_truth, audit
from crs_lite.errors import CRSError
from crs_lite.facets import Parser, facet_values
from crs_lite.logs import Item, SearchLog

VALUES = {
    "category": ["parka", "phone cases", "graphics card"],
    "brand": ["Nordfell", "Nord", "3M", "Dr. Martens", "premium"],
    "weather": ["cold", "mild"],
    "fits": ["phone", "iPhone 15"],
    "range": ["premium", "budget"],
}
PARSER = Parser(VALUES)


@pytest.mark.parametrize(
    "text, stated",
    [
        ("I'd pick a Nordfell parka since it gets cold.", {"brand": "Nordfell", "category": "parka", "weather": "cold"}),
        ("NORDFELL PARKA!", {"brand": "Nordfell", "category": "parka"}),
        ("nordfells parkas colder scold", {}),
        ('She typed "cold parka" and wants something mild', {"weather": "mild"}),
        (r'"a \" cold" quote inside a quote', {}),
        ("Not Nordfell this time; 3M it is.", {"brand": "3M"}),
        ("phone cases", {"category": "phone cases"}),
        ("a phone, cases", {"fits": "phone"}),
        ("(iphone 15)", {"fits": "iPhone 15"}),
        ("iphone 150 or 13M", {}),
        ("Likes Dr. Martens.", {"brand": "Dr. Martens"}),
        ("Nord-like, mild_ish", {"brand": "Nord"}),
        ("the premium range", {"range": "premium"}),
        ("that premium brand", {"brand": "premium"}),
        ("premium", {"brand": "premium"}),
        ("A range of things. premium", {"brand": "premium"}),
        ("brand premium, range premium", {"brand": "premium", "range": "premium"}),
        ("", {}),
    ],
)
def test_what_a_text_states(text, stated):
    assert PARSER.stated(text) == stated


def test_spelling_of_the_catalogue():
    parser = Parser({"brand": ["uxcell", "UXCELL", "a<b", 'Ø 5" pipe', "***", ""]})
    assert parser.stated("UXCELL") == {"brand": "UXCELL"} and parser.stated("Uxcell") == {"brand": "uxcell"}
    assert parser.stated(r"by a\u003cb.") == {"brand": "a<b"} and parser.stated("by a<b.") == {}
    assert parser.stated(r"an ø 5\" pipe") == {"brand": 'Ø 5" pipe'} and parser.stated("***") == {}


@given(st.lists(st.sampled_from(["cold", "mild", "phone", "Nord", "parka", "the", "so", "chill"]), max_size=12))
def test_agrees_with_a_word_by_word_reading(words):
    """For one-word values: the last word of each key."""
    expected = {}
    for word in words:
        expected |= {key: word for key, values in VALUES.items() if word in values}
    assert PARSER.stated(" ".join(words)) == expected


@given(st.text(max_size=80))
def test_any_text_can_be_parsed(text):
    assert PARSER.stated(text).keys() <= VALUES.keys()


def test_facet_values():
    items = [
        Item(id=0, key="a", title="a", brand="B", attributes={"fits": "y"}),
        Item(id=1, key="b", title="b", category="c", brand="A", attributes={"fits": "y"}),
    ]
    assert facet_values(SearchLog("s", items, [], [])) == {"brand": ["A", "B"], "fits": ["y"], "category": ["c"]}


def test_attribute_truth():
    truth = {"category": "parka", "brand": "Nordfell", "weather": "cold"}
    assert attribute_truth({"category": "parka", "brand": "Nord", "fits": "phone"}, truth) == (1, 2)
    assert attribute_truth({"brand": "NORDFELL"}, truth) == (1, 1) and attribute_truth({}, truth) == (0, 0)


def test_audit_by_hand():
    texts = ["Expect Nordfell. It is cold. expect  nordfell.", "A mild day. Dr. Martens, Dr. Martens.", "Nothing here at all", ""]
    truths = [{"brand": "Nordfell", "weather": "mild"}, {"weather": "mild"}, {"brand": "3M"}, {}]
    # true: Nordfell, mild; false: cold; Dr. Martens has no truth to compare with
    assert audit(texts, truths, PARSER) == {"attribute_truth": 2 / 3, "stated": 1.0, "repeated": 0.25, "words": 18 / 4}
    assert audit([""], [{}], PARSER)["attribute_truth"] is None
    assert audit(['It says "a b. a b. a b."'], [{}], PARSER)["repeated"] == 0
    for bad in (([], []), (["a"], [])):
        with pytest.raises(CRSError):
            audit(*bad, PARSER)


def test_thousands_of_values_parse_fast():
    parser = Parser({"brand": [f"Brand {i}" for i in range(2000)] + [f"Maker{i} Co" for i in range(2000)]})
    texts = [f"The query is long, so look for Maker{i % 2000} Co; still, then again, expect Brand {i % 1999}." * 2 for i in range(10_000)]
    start = time.process_time()
    stated = [parser.stated(text) for text in texts]
    assert time.process_time() - start < 10
    assert all(s == {"brand": f"Brand {i % 1999}"} for i, s in enumerate(stated))
