"""What a text states: hand-written sentences that no teacher of this project wrote."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crs_lite.logs import Item, SearchLog
from crs_lite.reasoning.facets import SENTENCE_END, Parser, facet_values

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
        (
            "I'd pick a Nordfell parka since it gets cold.",
            {"brand": "Nordfell", "category": "parka", "weather": "cold"},
        ),
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


def test_however_many_values_there_are_a_word_costs_a_few_look_ups():
    """One for each length of the values that begin with it: as many with 4,000 values as with 40."""

    class Counting(dict):
        asked = 0

        def get(self, *key):
            Counting.asked += 1
            return super().get(*key)

    texts = [f"The query is long, so look for Maker{i} Co; still, then again, expect Brand {i}." * 2 for i in range(20)]
    cost = {}
    for n in (20, 2000):
        parser = Parser({"brand": [f"Brand {i}" for i in range(n)] + [f"Maker{i} Co" for i in range(n)]})
        parser._keys, Counting.asked = Counting(parser._keys), 0
        assert all(parser.stated(text) == {"brand": f"Brand {i}"} for i, text in enumerate(texts))
        cost[n] = Counting.asked / len(texts)
    assert cost[20] <= cost[2000] <= cost[20] + 4 * 2  # two more lengths of a number, for the two words of a sentence
    assert cost[2000] < len(texts[0].split())


def nearest_by_hand(keys, text, start, end):
    """Every name of every key, the gap looked at: cubic, and easy to believe."""
    gaps = [(10**9, 0, keys[0])]
    for order, key in enumerate(keys):
        spans = [m.span() for m in re.finditer(rf"(?<!\w){re.escape(key)}(?!\w)", text)]
        before = [(a, b) for a, b in spans if b <= start][-1:]
        after = [(a, b) for a, b in spans if a >= end][:1]
        for a, b in before + after:
            gap = text[end:a] if a >= end else text[b:start]
            if not SENTENCE_END.search(gap):
                gaps.append((len(gap), order, key))
    return min(gaps)[2]


@given(st.lists(st.sampled_from(["red", "brand", "colour", ".", ". ", " ", "!", "x", "\n", "reds"])).map("".join))
def test_a_shared_value_goes_to_the_key_named_nearest(text):
    parser = Parser({"brand": ["red"], "colour": ["red"]})
    plain = f" {text} "
    spans = [m.span() for m in re.finditer(r"(?<!\w)red(?!\w)", plain)]
    wanted = [(nearest_by_hand(["brand", "colour"], plain, *span), "red") for span in spans]
    assert parser.mentions(text) == wanted


@pytest.mark.parametrize("piece", ["red brand ", "red ", "brand. red", 'red "', '\\"', "red.colour", "[.!?] "])
def test_a_megabyte_is_read_at_once(piece):
    parser = Parser({"brand": ["red"], "colour": ["red", "dark red"]})
    started = time.process_time()
    parser.stated(piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 20
