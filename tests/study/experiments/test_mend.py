"""What false words cost: on lists whose behaviour is known, and at the ends of the loop."""

import numpy as np
import pytest
import toy
from toy import toy_log

from crs_lite.errors import CRSError
from crs_lite.reasoning.facets import Parser, facet_values
from crs_lite.reasoning.interventions import mended_texts
from crs_lite.study.experiments import runner
from crs_lite.study.experiments.mend import mending

LOG = toy_log(10, 6)
PARSER = Parser(facet_values(LOG))
REQUESTS = LOG.split("test")


def follower(requests, texts) -> np.ndarray:
    """Lists of the items that have most of what the text states; it sees no answer."""
    assert not any(r.clicked or r.shown for r in requests)
    lists = []
    for text in texts:
        stated = PARSER.stated(text)
        fit = [sum(item.facets().get(k) == v for k, v in stated.items()) for item in LOG.items]
        lists.append(np.argsort([-f for f in fit], kind="stable")[:10])
    return np.array(lists)


def test_a_follower_gains_what_its_false_words_cost():
    claims = [LOG.items[r.target].facets() for r in REQUESTS]
    wrong = next(i.brand for i in LOG.items if i.brand != claims[0]["brand"])
    texts = ["Expect {brand}. Look for a {category} in {colour}.".format(**c) for c in claims]
    texts[0] = texts[0].replace(claims[0]["brand"], wrong)
    found = mending(follower, REQUESTS, texts, mended_texts(texts, claims, PARSER))
    assert {k: v["changed"] for k, v in found.items()} == {"brand": 1, "all": 1} | {
        k: 0 for k in set().union(*claims) - {"brand"}
    }
    assert found["brand"]["ranks"] == found["all"]["ranks"] != found["category"]["ranks"]
    assert found["brand"]["ranks"][1:] == found["category"]["ranks"][1:]
    assert set(found["all"]["ranks"]) == {0}


def test_what_is_not_in_the_list_has_no_rank():
    found = mending(lambda r, t: np.full((len(r), 10), -1), REQUESTS, ["x"] * len(REQUESTS), {"all": REQUESTS})
    assert found["all"]["ranks"] == [None] * len(REQUESTS)


def test_mending_needs_a_truth(job):
    with pytest.raises(CRSError, match="nobody knows what is true in the log 'toy'; run it on marketplace"):
        runner.run_seed(job("mend"))


def test_it_takes_the_stages_of_the_loop(job, hollow):
    assert runner.run_seed(job("loop", "rgrpo-round1-sft", truth=toy.Known())) == 1
    of_the_loop = set(hollow)
    assert runner.run_seed(job("mend", "rgrpo-round1-sft", truth=toy.Known())) == 1
    assert set(hollow) - of_the_loop == {"mend-rgrpo-round1-sft"}


def test_rows_of_the_mending(toy_study):
    """Own and true ranks are those of the checkpoint's own row; more is changed when more may be."""
    p = toy_study.open("known", toy.Known())
    for row, scored in (("distilled", "score-distilled-SFT"), ("rgrpo-round1-sft", "score-round1-rgrpo-SFT")):
        found = toy_study.rows["mend"][row]
        n = found["n"]
        whole = toy_study.stage("known", scored).json("row.json")
        assert n == min(p.profile.intervened, len(p.test)) and found["ranks"] == whole["ranks"][:n]
        assert found["true_reasoning_ranks"] == whole["true_reasoning"]["ranks"][:n]
        mended = found["mended"]
        assert set(mended) == {"brand", "category", "all"} and all(len(v["ranks"]) == n for v in mended.values())
        assert max(mended["brand"]["changed"], mended["category"]["changed"]) <= mended["all"]["changed"] <= n
        assert all(of[0] == n for of in found["by_attribute"].values())
