"""Rewards for a list, by hand; and that they reach the training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crs_lite import rewards as R
from crs_lite.rl import RLConfig, Vocabulary
from crs_lite.study.experiments import runner
from crs_lite.study.experiments.list_rewards import NO_CREDIT, REWARDS, log2, rere, top1, uniform
from crs_lite.training import align, distil, explore

SID = np.array([[0, 0, 0, i] for i in range(4)] + [[0, 1, 0, i] for i in range(4)] + [[2, 2, 2, i] for i in range(4)])
VOCAB = Vocabulary(0, 1, SID)
EXACT = RLConfig(reward=R.RewardConfig(prefix_credit=NO_CREDIT))
CREDIT = RLConfig()
d = 1 / np.log2(np.arange(2, 6))


def test_by_hand():
    lists = np.array([[[5, 0, 8, -1], [0, 5, 8, -1], [5, 8, 9, -1]]])  # (1, 3, 4); the target is item 0
    target = np.array([[0]])
    assert uniform(lists, target, VOCAB, EXACT).tolist() == [[1, 1, 0]]
    assert top1(lists, target, VOCAB, EXACT).tolist() == [[0, 1, 0]]
    assert log2(lists, target, VOCAB, EXACT)[0] == pytest.approx([d[1], 1, 0])
    # With credit, item 1 shares three tokens with item 0 (0.03), item 5 one (0.0).
    near = np.array([[[1, 5, 8, 9]]])
    assert uniform(near, target, VOCAB, CREDIT)[0] == pytest.approx([0.03])
    assert top1(near, target, VOCAB, CREDIT)[0] == pytest.approx([0.03])
    assert log2(near, target, VOCAB, CREDIT)[0] == pytest.approx([0.03])
    assert log2(near, target, VOCAB, EXACT)[0] == pytest.approx([0.0])


@given(st.permutations(range(12)), st.integers(0, 11))
def test_reres_reward_summed_over_a_list_is_the_discount(order, target):
    """Item by item, as its authors write it, against the closed form."""
    ranked = np.array(order[:4])
    total = 0.0
    for place, item in enumerate(ranked):
        if item == target:
            total += 1
        elif target in ranked:
            total -= d[place] / d.sum()
    found = rere(ranked[None], np.array([target]), VOCAB, EXACT)[0]
    assert found == pytest.approx(total)
    held = np.flatnonzero(ranked == target)
    assert found == pytest.approx(d[held[0]] / d.sum() if len(held) else 0.0)


def test_all_rewards_share_the_start_and_differ_in_name(job, hollow):
    assert runner.run_seed(job("list-rewards")) == 3 * (1 + len(REWARDS))
    explored = [n for n in hollow if n.startswith("list-") and "split" not in n]
    assert [n.split("-rgrpo")[0].removeprefix("list-") for n in explored] == list(REWARDS)


def test_the_training_sees_the_reward_that_it_is_given(toy_study):
    p = toy_study.open("run")
    explored = explore(p, distil(p, align(p)), "rgrpo", "odd", rank=lambda ranked, *_: np.full(ranked.shape[:-1], 7.0))
    assert {row["rank"] for row in explored.json_lines("steps.jsonl")} == {7.0}


def test_rows_of_all_rewards(toy_study):
    rows = toy_study.rows["list-rewards"]
    assert set(rows) == {f"{n}{k}" for n in ("start", *REWARDS) for k in ("", "-wide", "-thoughts")}
    assert rows["uniform"]["steps"]["tokens"][0] == rows["log2"]["steps"]["tokens"][0]  # the same first rollout


def test_a_wide_list_is_looked_at_to_its_end(toy_study):
    row = toy_study.rows["list-rewards"]["start-wide"]
    found = [r for r in row["ranks"] if r is not None]
    assert len(found) > sum(r < 10 for r in found)
    assert row["NDCG@50"] == pytest.approx(sum(1 / np.log2(r + 2) for r in found) / row["n"])
    assert 0 < row["coverage"] <= 1
