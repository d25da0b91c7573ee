"""The evaluator against trec_eval, scipy's bootstrap, brute force and numbers worked out by hand."""

import json
import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crs_lite.errors import CRSError
from crs_lite.evaluate import (
    MISS,
    Evaluation,
    bootstrap_interval,
    compare,
    evaluate,
    paired_bootstrap,
    per_request,
    ranks_of_targets,
    score,
    slices,
)
from crs_lite.logs import Item, SearchLog, SearchRequest, User

N_ITEMS = 40
lists_of_ranks = st.lists(st.one_of(st.integers(0, 30), st.just(MISS)), min_size=1, max_size=40)


class Fixed:
    """Returns the same prepared lists, by request id."""

    def __init__(self, lists: dict[int, np.ndarray], name: str = "fixed"):
        self.lists, self.name = lists, name

    def rank(self, requests, k):
        return np.array([self.lists[r.id][:k] for r in requests])


@pytest.fixture
def log():
    rng = np.random.default_rng(0)
    items = [Item(id=i, key=f"i{i}", title=f"thing {i}", category="abcd"[i % 4]) for i in range(N_ITEMS)]
    users = [User(id=u, key=f"u{u}") for u in range(12)]
    requests = [
        SearchRequest(
            id=i,
            user=int(rng.integers(12)),
            time=1000 + i,
            query=str(rng.choice(["warm", "case", "pro gear"])),
            shown=(3, 4),
            clicked=(int(rng.integers(N_ITEMS)),),
            split="train" if i < 120 else "valid" if i < 140 else "test",
        )
        for i in range(200)
    ]
    return SearchLog("little", items, users, requests)


def random_lists(log, k=20, seed=0, n_padded=0):
    rng = np.random.default_rng(seed)
    lists = {r.id: rng.permutation(N_ITEMS)[:k] for r in log.requests}
    for request in log.requests[:: max(1, n_padded)] if n_padded else []:
        lists[request.id][rng.integers(1, k) :] = -1
    return lists


def some_metrics(evaluation):
    return {name: e.value for name, e in evaluation.metrics.items()}


# -- metrics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_metrics_agree_with_trec_eval(log, seed):
    requests, k = log.requests, 10
    lists = random_lists(log, k, seed, n_padded=3)
    # trec_eval sorts by score, so the list's order becomes a falling score; padding is simply not retrieved.
    run = {str(q): {str(i): float(k - r) for r, i in enumerate(row) if i >= 0} for q, row in lists.items()}
    qrels = {str(r.id): {str(r.target): 1} for r in requests}
    judge = pytrec_eval.RelevanceEvaluator(qrels, {"success.1,5,10", "ndcg_cut.1,5,10", "recip_rank"})
    verdict = judge.evaluate(run)
    assert len(verdict) == len(requests)
    names = {f"HR@{c}": f"success_{c}" for c in (1, 5, 10)} | {f"NDCG@{c}": f"ndcg_cut_{c}" for c in (1, 5, 10)}
    names["MRR"] = "recip_rank"
    got = evaluate(Fixed(lists), log, requests, k)
    for ours, theirs in names.items():
        want = np.array([verdict[str(r.id)][theirs] for r in requests])
        np.testing.assert_allclose(got.per_request()[ours], want, atol=1e-12)
        assert got.metrics[ours].value == pytest.approx(want.mean())
    assert 0 < got.metrics["HR@10"].value < 1


def test_metrics_by_hand():
    ranks = np.array([0, 1, 2, 6, 9, 10, MISS])
    got = score(ranks)
    assert got["HR@1"] == pytest.approx(1 / 7)
    assert got["HR@5"] == pytest.approx(3 / 7)
    assert got["HR@10"] == pytest.approx(5 / 7)
    assert got["NDCG@1"] == pytest.approx(1 / 7)
    assert got["NDCG@5"] == pytest.approx((1 + 0.6309297536 + 0.5) / 7)  # 1/log2(2), 1/log2(3), 1/log2(4)
    assert got["NDCG@10"] == pytest.approx((1 + 0.6309297536 + 0.5 + 1 / 3 + 0.2890648263) / 7)  # 1/log2(8), 1/log2(11)
    assert got["MRR"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 7 + 1 / 10) / 7)  # rank 10 is not in the top-10 list
    assert list(got) == ["HR@1", "HR@5", "HR@10", "NDCG@1", "NDCG@5", "NDCG@10", "MRR"]


@given(lists_of_ranks, st.randoms(use_true_random=False))
def test_order_of_requests_leaves_metrics(ranks, random):
    shuffled = ranks.copy()
    random.shuffle(shuffled)
    assert score(np.array(ranks)) == pytest.approx(score(np.array(shuffled)))


@given(lists_of_ranks)
def test_metrics_keep_their_order(ranks):
    m = per_request(np.array(ranks))
    assert all((0 <= v).all() and (v <= 1).all() for v in m.values())
    assert (m["HR@1"] == m["NDCG@1"]).all()
    for lower, higher in (("HR@1", "HR@5"), ("HR@5", "HR@10"), ("NDCG@5", "NDCG@10"), ("NDCG@10", "HR@10")):
        assert (m[lower] <= m[higher]).all()
    assert (m["MRR"] <= m["NDCG@10"]).all()  # 1/(r+1) falls faster than 1/log2(r+2)


@given(lists_of_ranks, st.integers(0, 39))
def test_a_better_rank_never_scores_less(ranks, at):
    better = np.array(ranks)
    at %= len(better)
    better[at] = 0 if better[at] == MISS else max(0, better[at] - 1)
    before, after = score(np.array(ranks)), score(better)
    assert all(after[name] >= before[name] - 1e-12 for name in before)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_ranks_agree_with_a_loop(seed, k):
    rng = np.random.default_rng(seed)
    ranked = np.array([rng.permutation(15)[:k] for _ in range(8)])
    targets = rng.integers(0, 15, 8)
    want = [list(row).index(t) if t in row else MISS for row, t in zip(ranked, targets, strict=True)]
    assert ranks_of_targets(ranked, targets).tolist() == want


def test_ranks_refuse_wrong_shapes():
    with pytest.raises(CRSError, match="one list for each target"):
        ranks_of_targets(np.zeros((3, 10), int), np.zeros(4, int))
    assert ranks_of_targets(np.zeros((2, 0), int), np.zeros(2, int)).tolist() == [MISS, MISS]
    with pytest.raises(CRSError, match="no requests"):
        score(np.array([], int))


# -- intervals ---------------------------------------------------------------------------------


def test_interval_covers_a_known_mean_about_95_times_in_100():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        low, high = bootstrap_interval((rng.random(200) < 0.3).astype(float), n=400, seed=trial)
        covered += low <= 0.3 <= high
    assert 0.91 <= covered / 300 <= 0.98


@pytest.mark.parametrize("kind", ["hits", "continuous"])
def test_interval_agrees_with_scipy(kind):
    rng = np.random.default_rng(2)
    values = (rng.random(3000) < 0.2).astype(float) if kind == "hits" else rng.exponential(size=3000)
    result = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", batch=200, rng=3)
    want = result.confidence_interval
    got = bootstrap_interval(values, n=4000, seed=4)  # 3,000 distinct values: this one is drawn in several chunks
    width = want.high - want.low
    assert got == pytest.approx((want.low, want.high), abs=0.06 * width)


def test_interval_is_deterministic_and_seeded():
    values = np.random.default_rng(0).random(500)
    assert bootstrap_interval(values, seed=5) == bootstrap_interval(values, seed=5)
    assert bootstrap_interval(values, seed=5) != bootstrap_interval(values, seed=6)
    assert bootstrap_interval(values[::-1], seed=5) == bootstrap_interval(values, seed=5)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
@settings(max_examples=50)
def test_interval_lies_within_the_values(values):
    low, high = bootstrap_interval(np.array(values), n=200)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_interval_of_a_constant_is_a_point():
    assert bootstrap_interval(np.full(50, 0.25)) == (0.25, 0.25)


def test_interval_shrinks_with_more_requests():
    values = (np.random.default_rng(0).random(6400) < 0.5).astype(float)
    width = {n: np.diff(bootstrap_interval(values[:n]))[0] for n in (100, 6400)}
    assert width[100] / width[6400] == pytest.approx(8, rel=0.2)  # sqrt(64)


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, math.nan]])
def test_interval_refuses_what_it_cannot_resample(values):
    with pytest.raises(CRSError):
        bootstrap_interval(np.array(values))


def test_pairing_sees_what_separate_intervals_hide():
    rng = np.random.default_rng(0)
    b = rng.normal(size=400)  # requests differ a lot from each other ...
    a = b + 0.1 + 0.1 * rng.normal(size=400)  # ... the rankers only a little
    difference = paired_bootstrap(a, b)
    assert difference.mean == pytest.approx((a - b).mean())
    assert 0 < difference.low < 0.1 < difference.high
    assert bootstrap_interval(a)[0] < bootstrap_interval(b)[1]  # the two intervals overlap
    back = paired_bootstrap(b, a)
    assert back.mean == pytest.approx(-difference.mean)
    assert (-back.high, -back.low) == pytest.approx((difference.low, difference.high), abs=0.002)


def test_pairing_refuses_different_requests(log):
    with pytest.raises(CRSError, match="same requests"):
        paired_bootstrap(np.zeros(3), np.zeros(4))
    ranker = Fixed(random_lists(log))
    a, b = evaluate(ranker, log, log.split("test")), evaluate(ranker, log, log.split("valid"))
    with pytest.raises(CRSError, match="different requests"):
        compare(a, b)
    with pytest.raises(CRSError, match="unknown metric"):
        compare(a, a, "HR@7")


# -- slices ------------------------------------------------------------------------------------


def little_log(categories):
    """One shopper with four requests and one with two; the test split asks "wide", "narrow" and something new."""
    items = [Item(id=i, key=str(i), title=f"t{i}", category=c) for i, c in enumerate(categories)]
    rows = [("train", 0, "wide", 0), ("train", 0, "Wide ", 1), ("train", 0, "narrow", 2), ("train", 0, "narrow", 3)]
    rows += [("test", 0, "wide", 0), ("test", 1, "narrow", 1), ("test", 1, "new", 2), ("test", 1, "wide", 3)]
    requests = [
        SearchRequest(id=n, time=n, split=s, user=u, query=q, clicked=(i,)) for n, (s, u, q, i) in enumerate(rows)
    ]
    return SearchLog("tiny", items, [User(id=0, key="a"), User(id=1, key="b")], requests)


def test_slices_by_hand():
    log = little_log(["x", "y", "z", "z"])  # "wide" led to x and y, "narrow" to z twice
    masks = slices(log, log.split("test"))
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "cold start": [False, True, True, True],
        "warm": [True, False, False, False],
        "query: unseen": [False, False, True, False],
        "query: specific": [True, True, False, True],  # breadths 2, 1, 2: none is above the median 2
        "query: ambiguous": [False, False, False, False],
        "category: z": [False, False, True, True],
        "category: x": [True, False, False, False],
        "category: y": [False, True, False, False],
    }
    first_three = slices(log, log.split("test")[:3])
    assert first_three["query: ambiguous"].tolist() == [True, False, False]  # median of 2 and 1 is 1.5


def test_without_categories_ambiguity_counts_items():
    log = little_log([None] * 4)  # both queries led to two items
    masks = slices(log, log.split("test")[:2])
    assert masks["query: ambiguous"].tolist() == [False, False]
    assert not any(name.startswith("category") for name in masks)


def test_ambiguity_is_learnt_from_train_only():
    log = little_log(["x", "y", "z", "z"])
    before = slices(log, log.split("test")[:3])
    moved = [r.model_copy(update={"clicked": (3,)}) if r.split == "test" else r for r in log.requests]
    after = slices(SearchLog("tiny", log.items, log.users, moved), moved[4:7])
    assert (before["query: ambiguous"] == after["query: ambiguous"]).all()


def test_slices_partition_the_requests(log):
    for requests in (log.requests, log.split("test"), []):
        masks = slices(log, requests)
        assert (masks["cold start"].astype(int) + masks["warm"] == 1).all()
        assert (sum(masks[f"query: {q}"].astype(int) for q in ("unseen", "specific", "ambiguous")) == 1).all()
        of_category = [m.astype(int) for n, m in masks.items() if n.startswith("category")]
        assert (sum(of_category, np.zeros(len(requests))) == 1).all()


def test_only_the_most_frequent_categories_are_sliced(log):
    names = [name for name in slices(log, log.requests, top_categories=2) if name.startswith("category")]
    counts = {c: sum(log.items[r.target].category == c for r in log.requests) for c in "abcd"}
    assert names == [f"category: {c}" for c in sorted(counts, key=lambda c: (-counts[c], c))[:2]]


# -- the whole ---------------------------------------------------------------------------------


def test_evaluation_of_a_perfect_ranker(log):
    perfect = {r.id: np.array([r.target, *(i for i in range(N_ITEMS) if i != r.target)]) for r in log.requests}
    got = evaluate(Fixed(perfect, "oracle"), log, log.split("test"))
    assert got.name == "oracle" and got.n == 60 and got.log == "little"
    assert all((e.value, e.low, e.high) == (1, 1, 1) for e in got.metrics.values())
    assert all(s.metrics["NDCG@10"].value == 1 for s in got.slices.values())


def test_evaluation_matches_its_parts(log):
    requests, lists = log.split("test"), random_lists(log)
    got = evaluate(Fixed(lists), log, requests, k=20, seed=3)
    ranks = ranks_of_targets(np.array([lists[r.id] for r in requests]), np.array([r.target for r in requests]))
    assert (got.rank_array() == ranks).all()
    assert some_metrics(got) == pytest.approx(score(ranks))
    for name, mask in slices(log, requests).items():
        if not mask.any():
            assert name not in got.slices
            continue
        assert got.slices[name].n == mask.sum()
        assert got.slices[name].metrics["MRR"].value == pytest.approx(score(ranks[mask])["MRR"])
    assert (got.metrics["HR@10"].low, got.metrics["HR@10"].high) == bootstrap_interval((ranks < 10) * 1.0, seed=3)


def test_permuting_requests_leaves_the_evaluation(log):
    requests = log.split("test")
    ranker = Fixed(random_lists(log))
    a, b = evaluate(ranker, log, requests), evaluate(ranker, log, requests[::-1])
    assert some_metrics(a) == pytest.approx(some_metrics(b))
    assert a.metrics["MRR"].low == pytest.approx(b.metrics["MRR"].low)
    assert a.slices.keys() == b.slices.keys()
    assert {n: s.n for n, s in a.slices.items()} == {n: s.n for n, s in b.slices.items()}


def test_longer_lists_leave_the_metrics(log):
    ranker = Fixed(random_lists(log, k=30))
    short, long = (evaluate(ranker, log, log.requests, k) for k in (10, 30))
    assert some_metrics(short) == some_metrics(long)


def test_evaluation_survives_json(log):
    got = evaluate(Fixed(random_lists(log)), log, log.split("test"))
    assert Evaluation.model_validate_json(got.model_dump_json()) == got
    plain = json.loads(got.model_dump_json())
    assert plain["metrics"]["NDCG@10"]["value"] == got.metrics["NDCG@10"].value
    assert None in plain["ranks"] and len(plain["ranks"]) == len(plain["request_ids"]) == 60
    difference = compare(Evaluation.model_validate_json(got.model_dump_json()), got)
    assert difference == (0, 0, 0)


def test_compare_is_the_paired_bootstrap(log):
    requests = log.split("test")
    a, b = (evaluate(Fixed(random_lists(log, seed=s)), log, requests) for s in (1, 2))
    want = paired_bootstrap(a.per_request()["HR@5"], b.per_request()["HR@5"])
    assert compare(a, b, "HR@5") == want
    assert want.mean == pytest.approx(a.metrics["HR@5"].value - b.metrics["HR@5"].value)


def test_the_answer_is_hidden_from_the_ranker(log):
    class Cheat:
        name = "cheat"

        def rank(self, requests, k):
            assert [r.shown for r in requests] == [()] * len(requests)
            return np.array([[r.target] for r in requests])

    with pytest.raises(IndexError):
        evaluate(Cheat(), log, log.split("test"))
    assert all(r.clicked for r in log.requests)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[:, :9], "shape"),
        (lambda x: x.astype(float), "integers"),
        (lambda x: np.where(x == x[3, 0], 40, x), "outside"),
        (lambda x: np.where(np.arange(10) == 4, -2, x), "outside"),
        (lambda x: np.where(np.arange(10) == 4, -1, x), "padding before"),
        (lambda x: np.where(np.arange(10) == 4, x[:, :1], x), "twice"),
    ],
)
def test_a_ranker_that_breaks_its_contract_is_named(log, spoil, message):
    class Broken(Fixed):
        def rank(self, requests, k):
            return spoil(super().rank(requests, k))

    with pytest.raises(CRSError, match=f"'broken'.*{message}"):
        evaluate(Broken(random_lists(log), "broken"), log, log.split("test"))


def test_evaluation_needs_requests_and_ten_items(log):
    ranker = Fixed(random_lists(log))
    with pytest.raises(CRSError, match="no requests"):
        evaluate(ranker, log, [])
    with pytest.raises(CRSError, match="at least 10"):
        evaluate(ranker, log, log.requests, 5)
