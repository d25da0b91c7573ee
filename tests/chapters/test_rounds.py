"""Recorded arms and rounds as tables, against hand-made rows and the recorded files."""

import numpy as np
import pytest

from crs_lite.chapters import rounds
from crs_lite.paths import EVIDENCE, SECOND
from crs_lite.study import gather


def row(ranks, seed=0, true=None, **more):
    about = {"row": "x", "seed": seed, "request_ids": list(range(len(ranks))), "cold": [0] * len(ranks)}
    return {**about, "ranks": ranks, "true_reasoning_ranks": true or ranks, **more}


BETTER, WORSE = {s: row([0, 0], s) for s in (0, 1)}, {s: row([0, None], s, true=[0, 0]) for s in (0, 1, 2)}


def test_a_difference_is_over_the_seeds_that_both_have():
    d, n = rounds.minus({"a − b": (BETTER, WORSE)})["a − b"]
    assert n == 2 and d.mean == pytest.approx(0.5)
    assert rounds.minus({"none": (BETTER, {7: row([0, 0], 7)})}) == {}
    two_runs = rounds.minus({"a": ([BETTER, WORSE], WORSE)})["a"][0]
    assert two_runs.mean == pytest.approx((0.25 + 0.25 + 0) / 3)  # runs are averaged first; seed 2 has one


def test_the_probe_replaces_the_list():
    assert rounds.ndcg(WORSE[0]) == pytest.approx(0.5)
    assert rounds.ndcg(rounds.probed(WORSE)[0]) == 1 and WORSE[0]["ranks"] == [0, None]


def test_tables_use_the_seeds_that_all_stages_have():
    stages = {"start": WORSE, "RL 1": BETTER}
    assert rounds.common(stages) == [0, 1]
    table = rounds.table(stages, {"NDCG@10": rounds.ndcg})
    assert table["NDCG@10"].to_dict() == pytest.approx({"start": 0.5, "RL 1": 1.0})
    assert rounds.lines(stages, rounds.ndcg).tolist() == [[0.5, 1.0], [0.5, 1.0]]


def test_effects_are_text_with_their_seeds():
    pairs = {"same": (BETTER, BETTER)}
    table = rounds.effects({"NDCG@10": rounds.minus(pairs), "HR@1": rounds.minus(pairs, "HR@1")})
    assert table.loc["same"].tolist() == ["+0.000 [+0.000, +0.000]", "+0.000 [+0.000, +0.000]", 2]


def test_what_the_audit_counted():
    planted = {"claims": 4, "prior": 1, "unsupported": 2}
    audit = {"attribute_truth": 0.5, "stated": 3, "words": 9, "repeated": 0, "contradicts_context": 1}
    found = rounds.audited(row([0], audit={**audit, "planted": planted}))
    assert found["claims the favourite"] == 0.25 and found["claims nothing supports"] == 0.5
    none = {"claims": 0, "prior": 0, "unsupported": 0}
    assert rounds.audited(row([0], audit={**audit, "planted": none}))["claims the favourite"] == 0


def test_what_was_logged_at_each_step():
    rows = {s: row([0], s, steps={"kl": [0.1 * s, 0.2]}) for s in (1, 2)}
    assert np.allclose(rounds.steps(rows, "kl")["kl"], [[0.1, 0.2], [0.2, 0.2]])


def test_the_paths_are_the_recorded_stages_in_order():
    thoughts, explored = gather(SECOND, "thoughts"), gather(SECOND, "explorers")
    second, first = rounds.second_path(thoughts, explored), rounds.first_path(EVIDENCE)
    assert list(second) == ["start", "RL 1", "SFT 1", "RL 2"] and list(first) == [*second, "SFT 2"]
    assert second["RL 1"][0]["arm"] == "rgrpo" and second["RL 2"][0]["round"] == 1
    assert all(len(rounds.common(path)) == 5 for path in (second, first))
    assert set(rounds.ARMS.values()) <= {name.split("-")[0] for name in explored}
