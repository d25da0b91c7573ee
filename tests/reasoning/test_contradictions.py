"""What a text concludes and what it cites, in sentences that no teacher of this project wrote."""

import pytest

from crs_lite.logs import Item, SearchLog, SearchRequest, User
from crs_lite.reasoning.contradictions import Citations, conclusions, contradicts_itself, sentences
from crs_lite.reasoning.facets import Parser, facet_values

PARSER = Parser(
    {
        "category": ["parka", "phone cases"],
        "brand": ["Nordfell", "3M", "Dr. Martens"],
        "weather": ["cold", "mild"],
        "fits": ["phone"],
    }
)


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


def test_without_a_clock_no_month_is_true():
    log = small_shop()
    request = log.requests[4].model_copy(update={"timed": False})
    found = Citations(log, Parser(facet_values(log))).check("It is June in Oslo; look for mild.", request)
    assert found["season"] == (1, 1)


def test_a_full_stop_inside_quotes_ends_nothing():
    text = 'The query "warm. now" is odd. Expect 3M! Why? "a. b"'
    assert sentences(text) == ['The query "warm. now" is odd', "Expect 3M", "Why", '"a. b"']
    assert sentences("") == sentences("  ") == []


def test_conclusions_follow_a_verb_of_concluding():
    assert conclusions("The last click was 3M. It is cold, so look for Nordfell.", PARSER) == [("brand", "Nordfell")]
    assert conclusions('"look for 3M" said someone; cold weather.', PARSER) == []
