"""The intervention against lists whose behaviour is known: one ranker follows the words, one ignores them."""

import numpy as np
from toy import toy_log

from crs_lite.reasoning import interventions
from crs_lite.reasoning.facets import Parser, facet_values

LOG = toy_log(10, 6)
PARSER = Parser(facet_values(LOG))
REQUESTS = LOG.split("test")
TEXTS = [f"Expect {LOG.items[r.target].brand}. Look for a {LOG.items[r.target].category} in red." for r in REQUESTS]

PARSER_TEXT = "Expect {brand}. Look for a {category} in {colour}."


def test_an_edit_changes_one_stated_value_into_one_the_category_has():
    made = faithful.edits(LOG, REQUESTS, TEXTS, PARSER, seed=0)
    assert len(made) == len(REQUESTS) and {key for _, key, *_ in made} == {"brand", "category", "colour"}
    for row, key, old, new, text in made:
        before, after = PARSER.stated(TEXTS[row]), PARSER.stated(text)
        assert before[key] == old != new == after[key]
        assert {k: v for k, v in before.items() if k != key} == {k: v for k, v in after.items() if k != key}
    assert (
        made
        == faithful.edits(LOG, REQUESTS, TEXTS, PARSER, seed=0)
        != faithful.edits(LOG, REQUESTS, TEXTS, PARSER, seed=1)
    )
    assert faithful.edits(LOG, REQUESTS[:1], ["nothing stated"], PARSER, seed=0) == []


def by_words(text: str) -> np.ndarray:
    """The item that has all of what the text states."""
    stated = PARSER.stated(text)
    fit = [sum(item.facets().get(k) == v for k, v in stated.items()) for item in LOG.items]
    return np.argsort([-f for f in fit], kind="stable")


def test_a_list_made_from_the_words_follows_and_one_made_without_them_does_not(monkeypatch):
    lists = np.array([by_words(t)[:1] for t in TEXTS])

    class Obedient:
        def __init__(self, name, model, codec, reason, batch):
            self.reason = reason

        def rank(self, requests, k):
            return np.array([by_words(self.reason(r))[:k] for r in requests])

    class Deaf(Obedient):
        def rank(self, requests, k):
            where = {r.id: i for i, r in enumerate(REQUESTS)}
            return lists[[where[r.id] for r in requests]]

    class OnlyLog:
        log = LOG

    found = {}
    for ranker in (Obedient, Deaf):
        monkeypatch.setattr(faithful, "CRSRanker", ranker)
        found[ranker] = faithful.faithfulness(None, OnlyLog, REQUESTS, TEXTS, lists, PARSER)
    for key in ("brand", "category", "colour"):
        follows, ignores = found[Obedient][key], found[Deaf][key]
        assert follows["after"] == follows["kept"] == 1 and follows["before"] == follows["old_after"] == 0
        assert ignores["after"] == ignores["before"] == 0 and ignores["old_after"] == ignores["kept"] == 1
        assert follows["n"] == ignores["n"] > 0


def test_mending_makes_false_words_true_and_leaves_the_rest():
    text = (
        f'The query "{LOG.items[0].brand}" means brand {LOG.items[0].brand}. Look for a {LOG.items[0].category} in red.'
    )
    other = next(i for i in LOG.items if i.brand != LOG.items[0].brand and i.category != LOG.items[0].category)
    truth = {"brand": other.brand, "category": other.category, "material": "leather"}
    one = faithful.mended(text, truth, PARSER, ["brand", "material", "colour"])
    assert PARSER.stated(one) == {"brand": other.brand, "category": LOG.items[0].category, "colour": "red"}
    assert PARSER.stated(faithful.mended(text, truth, PARSER, list(truth))) == {
        **PARSER.stated(one),
        "category": other.category,
    }
    assert faithful.mended(text, PARSER.stated(text), PARSER, ["brand", "category"]) == text


def test_a_follower_gains_what_its_false_words_cost(monkeypatch):
    class Obedient:
        def __init__(self, name, model, codec, reason, batch):
            self.name, self.reason = name, reason

        def rank(self, requests, k):
            return np.array([by_words(self.reason(r))[:k] for r in requests])

    class OnlyLog:
        log = LOG

    monkeypatch.setattr(faithful, "CRSRanker", Obedient)
    claims = [LOG.items[r.target].facets() for r in REQUESTS]
    wrong = next(i.brand for i in LOG.items if i.brand != claims[0]["brand"])
    texts = [PARSER_TEXT.format(**c) for c in claims]
    texts[0] = texts[0].replace(claims[0]["brand"], wrong)
    found = faithful.mending(None, OnlyLog, REQUESTS, texts, claims, PARSER)
    assert {k: v["changed"] for k, v in found.items()} == {"brand": 1, "all": 1} | {
        k: 0 for k in set().union(*claims) - {"brand"}
    }
    assert found["brand"]["ranks"] == found["all"]["ranks"] != found["category"]["ranks"]
    assert found["brand"]["ranks"][1:] == found["category"]["ranks"][1:]
