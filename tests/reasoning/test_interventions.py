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
    made = interventions.edits(LOG, REQUESTS, TEXTS, PARSER, seed=0)
    assert len(made) == len(REQUESTS) and {key for _, key, *_ in made} == {"brand", "category", "colour"}
    for row, key, old, new, text in made:
        before, after = PARSER.stated(TEXTS[row]), PARSER.stated(text)
        assert before[key] == old != new == after[key]
        assert {k: v for k, v in before.items() if k != key} == {k: v for k, v in after.items() if k != key}
    assert (
        made
        == interventions.edits(LOG, REQUESTS, TEXTS, PARSER, seed=0)
        != interventions.edits(LOG, REQUESTS, TEXTS, PARSER, seed=1)
    )
    assert interventions.edits(LOG, REQUESTS[:1], ["nothing stated"], PARSER, seed=0) == []


def by_words(text: str) -> np.ndarray:
    """The item that has all of what the text states."""
    stated = PARSER.stated(text)
    fit = [sum(item.facets().get(k) == v for k, v in stated.items()) for item in LOG.items]
    return np.argsort([-f for f in fit], kind="stable")


def test_a_list_made_from_the_words_follows_and_one_made_without_them_does_not():
    lists = np.array([by_words(t)[:1] for t in TEXTS])

    def obedient(requests, texts):
        return np.array([by_words(text)[:1] for text in texts])

    def deaf(requests, texts):
        where = {r.id: i for i, r in enumerate(REQUESTS)}
        return lists[[where[r.id] for r in requests]]

    found = {rank: interventions.faithfulness(LOG, REQUESTS, TEXTS, lists, PARSER, rank) for rank in (obedient, deaf)}
    for key in ("brand", "category", "colour"):
        follows, ignores = found[obedient][key], found[deaf][key]
        assert follows["after"] == follows["kept"] == 1 and follows["before"] == follows["old_after"] == 0
        assert ignores["after"] == ignores["before"] == 0 and ignores["old_after"] == ignores["kept"] == 1
        assert follows["n"] == ignores["n"] > 0


def test_nothing_to_edit_is_nothing_to_say():
    never = lambda requests, texts: 1 / 0  # noqa: E731
    none = np.zeros((len(REQUESTS), 1), int)
    assert interventions.faithfulness(LOG, REQUESTS, ["nothing"] * len(REQUESTS), none, PARSER, never) == {}


def test_mending_makes_false_words_true_and_leaves_the_rest():
    text = (
        f'The query "{LOG.items[0].brand}" means brand {LOG.items[0].brand}. Look for a {LOG.items[0].category} in red.'
    )
    other = next(i for i in LOG.items if i.brand != LOG.items[0].brand and i.category != LOG.items[0].category)
    truth = {"brand": other.brand, "category": other.category, "material": "leather"}
    one = interventions.mended(text, truth, PARSER, ["brand", "material", "colour"])
    assert PARSER.stated(one) == {"brand": other.brand, "category": LOG.items[0].category, "colour": "red"}
    assert PARSER.stated(interventions.mended(text, truth, PARSER, list(truth))) == {
        **PARSER.stated(one),
        "category": other.category,
    }
    assert interventions.mended(text, PARSER.stated(text), PARSER, ["brand", "category"]) == text


def test_texts_are_mended_one_attribute_at_a_time_and_all_at_once():
    claims = [LOG.items[r.target].facets() for r in REQUESTS[:2]]
    wrong = {key: next(i.facets()[key] for i in LOG.items if i.facets()[key] != claims[0][key]) for key in claims[0]}
    texts = [PARSER_TEXT.format(**{**claims[0], "brand": wrong["brand"], "colour": wrong["colour"]}), TEXTS[1]]
    made = interventions.mended_texts(texts, claims, PARSER)
    assert list(made) == ["brand", "category", "colour", "all"]
    assert made["brand"][0] == PARSER_TEXT.format(**{**claims[0], "colour": wrong["colour"]})
    assert made["colour"][0] == PARSER_TEXT.format(**{**claims[0], "brand": wrong["brand"]})
    assert made["all"][0] == PARSER_TEXT.format(**claims[0]) and made["category"] == texts
