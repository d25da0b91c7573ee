"""Differences and their intervals against theory and by hand, and the protocol's rule for a verdict."""

import numpy as np
import pytest
from known_world import world

from crs_lite.errors import CRSError
from crs_lite.evaluate import Difference, paired_bootstrap
from crs_lite.study import comparison, recorded


def test_the_interval_of_one_seed_is_the_paired_bootstrap():
    d = np.random.default_rng(0).normal(0.1, 1, 400)
    ours, plain = comparison.hierarchical([d]), paired_bootstrap(d, np.zeros(400))
    assert ours.mean == pytest.approx(plain.mean) and ours[1:] == pytest.approx(plain[1:], abs=0.02)


def test_seeds_that_differ_widen_the_interval_as_theory_says():
    """Variance of a mean of means: between seeds / S + within / (S m)."""
    rng = np.random.default_rng(1)
    effects = np.array([-0.3, -0.1, 0.0, 0.1, 0.3])
    d = [rng.normal(e, 1, 500) for e in effects]
    means = np.array([x.mean() for x in d])
    se = np.sqrt(means.var() / 5 + np.mean([x.var() for x in d]) / 2500)  # the bootstrap divides by S, not by S - 1
    ours = comparison.hierarchical(d)
    assert (ours.high - ours.low) / 2 == pytest.approx(1.96 * se, rel=0.12)
    assert ours.high - ours.low > 2 * 1.96 * np.sqrt(1 / 2500)


def test_the_protocol_s_rule():
    up, flat, down = Difference(0.1, 0.05, 0.2), Difference(0.1, -0.05, 0.2), Difference(-0.1, -0.2, -0.05)
    assert comparison.judge(up, []) == "reproduced"
    assert comparison.judge(flat, [flat, up]) == "partly"
    assert comparison.judge(flat, [flat, down]) == comparison.judge(down, []) == "not reproduced"
    assert comparison.judge(down, [], sign=-1) == "reproduced"


def rows(ranks: dict[int, list], ids=None, name="a") -> dict[int, dict]:
    """Seed -> a row with these ranks."""
    made = {}
    for seed, of in ranks.items():
        cold = [int(i == 0) for i in range(len(of))]
        made[seed] = {"row": name, "request_ids": ids or list(range(len(of))), "ranks": of, "cold": cold}
    return made


def test_differences_are_paired_by_seed_and_request():
    a = rows({0: [0, 0, None, 5], 1: [0, None, 0, 0], 2: [0, 0, 0, 0]})
    b = rows({0: [0, None, None, 0], 1: [None, None, None, 0]})
    found, seeds = comparison.difference([a], [b], "HR@1")
    assert seeds == 2 and found.mean == pytest.approx(((1 - 1) / 4 + (3 - 1) / 4) / 2)
    cold, _ = comparison.difference([a], [b], "HR@1", cold=True)
    assert cold.mean == pytest.approx((0 + 1) / 2)  # the first request of each seed
    assert comparison.difference([a], [rows({7: [0]})], "HR@1") is None


def test_runs_of_one_system_are_averaged_before_they_are_compared():
    a = [rows({0: [0, None]}), rows({0: [0, 0]}), {}]
    found, seeds = comparison.difference(a, [rows({0: [None, None]})], "HR@1")
    assert (found.mean, seeds) == (0.75, 1)


def test_other_requests_are_never_compared():
    with pytest.raises(CRSError, match="rows 'a' and 'b', seed 0: different requests; run both again"):
        comparison.difference([rows({0: [0, 1]})], [rows({0: [0, 1]}, ids=[3, 4], name="b")], "HR@1")


def test_too_few_seeds_make_no_verdict():
    for seeds, verdict in ((comparison.SEEDS, "reproduced"), (3, "no verdict yet: 3 of 5 seeds so far")):
        entry = comparison.Entry("X", "claim", seeds=seeds)
        assert comparison.enough(entry, "reproduced").verdict == verdict
    assert comparison.enough(comparison.Entry("X", "claim"), None).verdict == "not run"


def test_commands_stand_once_in_the_order_of_the_experiments(tmp_path):
    world(tmp_path, {("loop", "a"): 0.5, ("arms", "b"): 0.5, ("arms", "c"): 0.5}, seeds=2, n=4)
    e = {name: recorded.gather(tmp_path, name) for name in ("arms", "loop")}
    assert comparison.commands(e, "loop", "arms") == ["experiment loop", "experiment arms"]


def test_a_difference_in_words():
    assert comparison.Effect("HR@1", Difference(0.0204, -0.001, 0.0361)) == "HR@1 +0.020 [-0.001, +0.036]"


def of_members(name: str, members: list[list[int]], places: list[list[int | None]], own: list[int | None]) -> dict:
    drawn = [{"members": m, "ranks": r} for m, r in zip(members, places, strict=True)]
    return {"row": name, "request_ids": list(range(len(own))), "ranks": own, "drawn": drawn}


def test_an_ensemble_s_interval_takes_one_drawing_of_its_members_at_a_time():
    """Every request of a drawing has the same place, so all that varies is which drawing is taken: first places against
    misses in half of the drawings, level in the others. A mean over drawings would lie between."""
    members = [[0, 0], [1, 1], [0, 1], [1, 0]]
    a = of_members("a", members, [[0] * 6, [0] * 6, [None] * 6, [None] * 6], [0] * 6)
    b = of_members("b", members, [[None] * 6] * 4, [None] * 6)
    alone = {"row": "c", "request_ids": list(range(6)), "ranks": [None] * 6}
    for other in (b, alone):
        assert comparison.between_ensembles(a, other, "NDCG@10") == Difference(1.0, 0.0, 1.0)
    one = of_members("one", members[:1], [[0, 3, None, 1, 0, 2]], [0, 3, None, 1, 0, 2])
    d, plain = comparison.between_ensembles(one, alone, "HR@1"), np.array([1, 0, 0, 0, 1, 0])
    drawn = np.random.default_rng(1).choice(plain, (20000, 6)).mean(1)
    assert d.mean == pytest.approx(1 / 3)
    np.testing.assert_allclose([d.low, d.high], np.quantile(drawn, [0.025, 0.975]), atol=0.01)


@pytest.mark.parametrize("change", [{"request_ids": [1, 0]}, {"drawn": [{"members": [1, 1], "ranks": [0, 0]}]}])
def test_ensembles_of_other_requests_or_other_drawings_are_never_compared(change):
    a = of_members("a", [[0, 1]], [[0, 0]], [0, 0])
    with pytest.raises(CRSError, match="rows 'a' and 'a': different requests or drawings"):
        comparison.between_ensembles(a, {**a, **change}, "HR@1")
