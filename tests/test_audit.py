"""Hand-written sentences that no teacher of this project wrote, and arithmetic done by hand."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import toy_log

from crs_lite.errors import CRSError
from crs_lite.logs import Item, SearchLog, SearchRequest, User
from crs_lite.reasoning.audit import attribute_truth, audit, by_attribute, planted
from crs_lite.reasoning.contradictions import Citations, contradicts_itself
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.teacher import Evidence, Teacher, TeacherBias

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


def test_attribute_truth():
    truth = {"category": "parka", "brand": "Nordfell", "weather": "cold"}
    assert attribute_truth({"category": "parka", "brand": "Nord", "fits": "phone"}, truth) == (1, 2)
    assert attribute_truth({"brand": "NORDFELL"}, truth) == (1, 1) and attribute_truth({}, truth) == (0, 0)


def test_audit_by_hand():
    texts = [
        "Expect Nordfell. It is cold. expect  nordfell.",
        "A mild day. Dr. Martens, Dr. Martens.",
        "Nothing here at all",
        "",
    ]
    truths = [{"brand": "Nordfell", "weather": "mild"}, {"weather": "mild"}, {"brand": "3M"}, {}]
    # true: Nordfell, mild; false: cold; Dr. Martens has no truth to compare with
    found = audit(texts, truths, PARSER)
    assert found == {
        "attribute_truth": 2 / 3,
        "stated": 1.0,
        "repeated": 0.25,
        "contradicts_itself": 0.0,
        "words": 18 / 4,
    }
    assert audit([""], [{}], PARSER)["attribute_truth"] is None
    assert audit(['It says "a b. a b. a b."'], [{}], PARSER)["repeated"] == 0
    for bad in (([], []), (["a"], [])):
        with pytest.raises(CRSError):
            audit(*bad, PARSER)


def test_thousands_of_values_parse_fast():
    parser = Parser({"brand": [f"Brand {i}" for i in range(2000)] + [f"Maker{i} Co" for i in range(2000)]})
    texts = [
        f"The query is long, so look for Maker{i % 2000} Co; still, then again, expect Brand {i % 1999}." * 2
        for i in range(10_000)
    ]
    start = time.process_time()
    stated = [parser.stated(text) for text in texts]
    assert time.process_time() - start < 10
    assert all(s == {"brand": f"Brand {i % 1999}"} for i, s in enumerate(stated))


@pytest.mark.parametrize(
    "text, contradicts",
    [
        ("It is cold, so look for Nordfell. Expect 3M.", True),
        ("It is cold, so look for Nordfell. Expect NORDFELL parka.", False),
        ("The last click was Nordfell, but expect 3M.", False),  # what was clicked is cited, not concluded
        ("Cold suggests Nordfell. Nordfell it was; mild.", False),
        ("This calls for cold and mild weather.", True),
        ('"expect Nordfell" means 3M.', False),  # a quoted query concludes nothing
        ("", False),
    ],
)
def test_two_conclusions_about_one_facet_contradict_each_other(text, contradicts):
    assert contradicts_itself(text, PARSER) is contradicts


def small_shop() -> SearchLog:
    items = [
        Item(id=0, key="a", title="a", category="parka", brand="Nordfell", attributes={"weather": "cold"}),
        Item(id=1, key="b", title="b", category="parka", brand="3M", attributes={"weather": "mild"}),
    ]
    users = [
        User(id=0, key="u", profile={"city": "Oslo", "phone": "Pixel 9"}),
        User(id=1, key="v", profile={"city": "Rome", "phone": "Xperia"}),
    ]
    june = 1_718_000_000  # 10 June 2024
    rows = [
        SearchRequest(
            id=n,
            user=u,
            time=june + n * 3600 + 1,
            place="Oslo",
            query="warm parka. now",
            shown=(0, 1),
            clicked=(c,),
            split="train",
        )
        for n, (u, c) in enumerate([(0, 0), (1, 1), (0, 0), (0, 1), (0, 0)])
    ]
    return SearchLog("small", items, users, rows)


@pytest.mark.parametrize(
    "text, kind, false, cited",
    [
        ('The query is "warm parka. now", so go for a parka.', "query", 0, 1),
        ('"phone cases" means phone cases.', "query", 1, 1),
        ("It is June in Oslo; look for mild.", "season", 0, 1),
        ("Now January calls for cold.", "season", 1, 1),
        ("The profile lists phone Pixel 9: expect 3M.", "profile", 0, 1),
        ("Having phone Xperia suggests 3M.", "profile", 1, 1),
        ('Phone "Pixel 9" means 3M.', "profile", 0, 1),
        ("City Rome points to mild.", "profile", 1, 1),
        ("Stay with 3M, the last click.", "last", 0, 1),
        ("The last click was Nordfell, but expect 3M.", "last", 1, 1),
        ("2 of the recent clicks had brand Nordfell.", "history count", 0, 1),
        ("Look for Nordfell, clicked twice before.", "history count", 0, 1),
        ("Look for Nordfell, clicked 3 times before.", "count", 1, 1),
        ("Recent clicks favour 3M.", "history", 0, 1),
        ("Past clicks chose 3M twice.", "count", 1, 1),
        ("Past clicks chose Dr. Who.", "history", 0, 0),
        ("Look for a nice parka.", "query", 0, 0),
    ],
)
def test_citations_are_held_against_the_context(text, kind, false, cited):
    log = small_shop()
    parser = Parser(facet_values(log))
    found = Citations(log, parser).check(text, log.requests[4])  # its history: Nordfell, Nordfell, 3M
    if kind == "count":  # the value was clicked, the number is wrong
        assert found.pop("history") == (0, 1)
    assert all(found.pop(k) == (false, cited) for k in kind.split())
    assert all(counts == (0, 0) for counts in found.values())


def test_a_teacher_never_cites_falsely_but_its_texts_are_false_of_other_requests():
    """Sentences nobody wrote for this test: true where they belong, false elsewhere."""
    log = toy_log(20, 8)
    teacher, parser = Teacher(log, Evidence(log), TeacherBias(0.3, 0.3)), Parser(facet_values(log))
    requests = log.split("train")
    texts = [teacher.write(r) for r in requests]
    own = audit(texts, [{}] * len(texts), parser, requests, teacher)
    others = audit(texts, [{}] * len(texts), parser, requests[1:] + requests[:1], teacher)
    assert own["contradicts_context"] == 0 and sum(cited for _, cited in own["citations"].values()) > len(texts) / 2
    assert others["contradicts_context"] > 0.3


def test_planted_errors_are_counted_where_a_teacher_planted_them():
    log = toy_log(20, 8)
    requests, evidence, parser = log.split("train"), Evidence(log), Parser(facet_values(log))
    counts = {}
    for bias in (0.0, 1.0):
        teacher = Teacher(log, evidence, TeacherBias(bias, 0.0))
        stated = [parser.stated(teacher.write(r)) for r in requests]
        truths = [log.items[r.target].facets() for r in requests]
        counts[bias] = planted(stated, truths, requests, teacher)
    assert counts[0.0]["prior_false"] == 0 < counts[0.0]["claims"] == counts[0.0]["judged"]
    assert counts[1.0]["prior"] == counts[1.0]["claims"]  # every claim but the category is the prior's
    wrong = sum(
        log.items[r.target].facets()[k] != v
        for r, s in zip(requests, stated, strict=True)
        for k, v in s.items()
        if k != "category"
    )
    assert counts[1.0]["prior_false"] == wrong > 0
    by_hand = planted(
        [{"category": "lamp", "brand": "Nordfell", "colour": "red"}], [{"brand": "Solano"}], requests[:1], teacher
    )
    assert by_hand["claims"] == 2 and by_hand["judged"] == 1


def test_what_is_stated_is_counted_by_attribute():
    stated = [{"brand": "A", "colour": "red"}, {"brand": "B"}, {}]
    truths = [{"brand": "A", "colour": "blue"}, {"brand": "A"}, {"brand": "C", "size": "L"}]
    assert by_attribute(stated, truths) == {"brand": (3, 2, 1), "colour": (1, 1, 0), "size": (1, 0, 0)}
