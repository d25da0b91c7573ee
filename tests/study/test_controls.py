"""Rankers that lack one thing: what they are given, and what they fall back to when nothing is lacking."""

import numpy as np
import pytest
from toy_runs import opener

from crs_lite.prepared import taught_as
from crs_lite.ranker import CRSRanker, rank_with
from crs_lite.study.controls import Forgetful, Swapped, given


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """-> (prepared toy run that sees and counts, its fresh checkpoint)."""
    root = tmp_path_factory.mktemp("controls")
    with pytest.MonkeyPatch.context() as patch:
        p = taught_as(opener(root, patch)("run", max_reasoning=40), reasoning="see-count")
        yield p, p.fresh.folder


def test_reasoning_given_by_code_is_what_the_list_hangs_on(run):
    p, folder = run
    ranker = given(p, p.perception.write, "seen", folder)
    lists = ranker.rank(p.test[:6], 5)
    assert ranker.thoughts == [p.perception.write(r) for r in p.test[:6]]
    texts = [p.perception.write(r) for r in p.test[:6]]
    assert (lists == rank_with(ranker.model, p.codec, 5)(p.test[:6], texts)).all()


def test_the_conclusion_comes_from_half_the_requests_further_on(run, monkeypatch):
    """Thoughts with known parts: the head stays, the tail moves."""
    p, folder = run
    ranker = Swapped(p, "swapped", folder)
    requests, asked = p.test[:4], {}

    def rank(some, k):
        ranker.inner.thoughts = [f'Asked: "{i}".\nconclusion {i}' for i in range(4)]

    def lists(model, codec, k, batch):
        return lambda some, texts: asked.update(texts=texts) or np.zeros((len(some), k), dtype=int)

    monkeypatch.setattr(ranker.inner, "rank", rank)
    monkeypatch.setattr("crs_lite.study.controls.rank_with", lists)
    assert ranker.rank(requests, 3).shape == (4, 3)
    assert asked["texts"] == [f'Asked: "{i}".\nconclusion {(i + 2) % 4}' for i in range(4)]


def test_one_version_is_the_direct_answer_and_versions_only_forget(run):
    p, folder = run
    direct = CRSRanker("direct", Forgetful(p, "x", folder).model, p.codec, "none")
    one = Forgetful(p, "one", folder, contexts=1, beams=5)
    assert (one.rank(p.test[:8], 5) == direct.rank(p.test[:8], 5)).all()
    many = Forgetful(p, "many", folder, contexts=8)
    request = max(p.test, key=lambda r: len(p.codec.context(r).history))
    prompts = many.prompts(request)
    assert prompts[0] == p.codec.prompt(request) and len({tuple(x) for x in prompts}) > 2
    assert all(len(x) <= len(prompts[0]) for x in prompts) and prompts == many.prompts(request)
    assert (many.rank(p.test[:4], 5) >= 0).all()


def test_versions_are_merged_by_their_mean_probability(run):
    """Against the direct answers of every version, one at a time, over the whole catalogue."""
    p, folder = run
    many = Forgetful(p, "many", folder, contexts=4, beams=24)
    request = p.test[3]
    from crs_lite.decode import beam_search, force, plant

    total = np.zeros(24)
    for prompt in many.prompts(request):
        tree = force(plant(many.model, [prompt], p.codec.pad), [[p.codec.end_think]], p.codec.pad)
        items, logp = beam_search(tree, many.trie, 24)
        total[items[0, 0].numpy()] += np.exp(logp[0, 0].numpy())
    assert many.rank([request], 5)[0].tolist() == np.argsort(-total, kind="stable")[:5].tolist()
