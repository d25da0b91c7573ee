"""The teacher without hindsight: the click plays no part in what it concludes, nor in the counts behind it."""

import pytest
from toy import BRANDS, CITIES, toy_log

from crs_lite.errors import CRSError
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.foresight import Foresight
from crs_lite.reasoning.teacher import Evidence, TeacherBias

LOG = toy_log(30, 10)
EVIDENCE = Evidence(LOG)


def test_it_states_what_the_context_makes_likely_and_nothing_the_click_adds():
    teacher = Foresight(LOG, EVIDENCE, TeacherBias(0.0, 0.0))
    for request in LOG.split("train")[-40:]:
        claims = teacher.claims(request)
        assert claims["category"] == request.query and claims["brand"] == BRANDS[CITIES.index(request.place)]
        assert "colour" not in claims or EVIDENCE.likeliest(request, "colour", True)[1] >= teacher.min_support
        assert Parser(facet_values(LOG)).stated(teacher.write(request)) == claims


def test_the_click_itself_changes_nothing():
    """Hide one click from the log: what is foreseen for its request stays, for it was never counted."""
    request = LOG.split("train")[50]
    for key in ("category", "brand", "colour"):
        with_own = EVIDENCE.likeliest(request, key, held_out=True)
        rows = [r.model_copy(update={"split": "valid"}) if r.id == request.id else r for r in LOG.requests]
        without = Evidence(type(LOG)("without", LOG.items, LOG.users, rows)).likeliest(request, key)
        assert with_own[1] == pytest.approx(without[1])


def test_it_plants_the_prior_and_refuses_other_splits():
    teacher = Foresight(LOG, EVIDENCE, TeacherBias(1.0, 0.0))
    claims = teacher.claims(LOG.split("train")[60])
    assert claims["brand"] == teacher.prior_value["brand"] and claims["category"] == LOG.split("train")[60].query
    with pytest.raises(CRSError, match="training requests only"):
        teacher.claims(LOG.split("test")[0])
