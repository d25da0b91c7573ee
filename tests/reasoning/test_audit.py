"""Counted by hand: true, repeated, contradicted, planted."""

import pytest
from toy import toy_log

from crs_lite.errors import CRSError
from crs_lite.reasoning.audit import attribute_truth, audit, by_attribute, planted
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.teacher import Evidence, Teacher, TeacherBias

PARSER = Parser({"brand": ["Nordfell", "Nord", "3M", "Dr. Martens"], "weather": ["cold", "mild"], "fits": ["phone"]})


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
