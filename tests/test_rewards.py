"""Every reward against numbers computed by hand, and the promises that hold for any list."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crs_lite.rewards import (
    RewardConfig,
    format_reward,
    group_advantage,
    item_scores,
    length_reward,
    rank_reward,
    rank_weights,
    top1_reward,
    total_reward,
    validity_reward,
)

TARGET = np.array([1, 2, 3, 0])


def test_rank_weights_by_hand():
    assert rank_weights(3) == pytest.approx([1.0, 1 / math.log2(3), 0.5])
    assert rank_weights(10).sum() == pytest.approx(4.5436, abs=1e-4)
    assert rank_weights(10)[-1] == pytest.approx(0.2891, abs=1e-4)


def test_item_scores_by_hand():
    lists = np.array([[1, 2, 3, 0], [1, 2, 3, 1], [1, 2, 9, 0], [1, 9, 3, 0], [9, 2, 3, 0], [-1, -1, -1, -1]])
    assert item_scores(lists, TARGET, (0.01, 0.02, 0.05)).tolist() == [1.0, 0.05, 0.02, 0.01, 0.0, 0.0]


def test_rank_reward_by_hand():
    # a near miss on top (0.05), the target second: 0.05 * 1 + 1 * 0.6309
    assert rank_reward(np.array([0.05, 1.0, 0.0])) == pytest.approx(0.05 + 0.63093, abs=1e-5)
    assert rank_reward(np.array([[1.0, 0.0], [0.0, 0.0]])).tolist() == [1.0, 0.0]


@given(st.integers(0, 9))
def test_exact_match_only_is_ndcg(rank):
    scores = np.zeros(10)
    scores[rank] = 1.0
    assert rank_reward(scores) == pytest.approx(1 / math.log2(rank + 2))


@given(
    hnp.arrays(float, 10, elements=st.sampled_from([0.0, *RewardConfig().prefix_credit, 0.06])),
    hnp.arrays(float, 10, elements=st.sampled_from([0.0, *RewardConfig().prefix_credit, 0.06])),
    st.integers(0, 9),
)
def test_any_list_with_the_target_beats_any_list_without(near_misses, others, rank):
    with_target = others.copy()
    with_target[rank] = 1.0
    assert rank_reward(with_target) > rank_reward(near_misses)


def test_default_credits_are_within_the_proven_bound():
    assert all(0 <= c <= 0.06 for c in RewardConfig().prefix_credit)


def test_small_parts_by_hand():
    assert top1_reward(np.array([[1.0, 0.0], [0.05, 1.0]])).tolist() == [1.0, 0.0]
    assert format_reward(np.array([True, True, False]), np.array([True, False, True])).tolist() == [1.0, 0.0, 0.0]
    assert length_reward(np.array([0, 5, 10, 20, 30, 40, 90]), 10, 20).tolist() == [0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0]
    assert validity_reward(np.array([[True, True], [True, False]])).tolist() == [1.0, 0.5]


def test_total_is_the_weighted_sum_of_named_parts():
    parts = {
        "format": np.array([1.0]),
        "length": np.array([0.5]),
        "validity": np.array([1.0]),
        "rank": np.array([0.63]),
    }
    config = RewardConfig(format=0.1, length=0.2, validity=0.3, rank=2.0)
    assert total_reward(parts, config) == pytest.approx([0.1 + 0.1 + 0.3 + 1.26])


def test_advantage_by_hand():
    advantage, informative = group_advantage(np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5]]), eps=0.0)
    # mean 0.25; squares 0.5625 + 3 * 0.0625 = 0.75 over G - 1 = 3, so std 0.5
    assert advantage[0] == pytest.approx([1.5, -0.5, -0.5, -0.5])
    assert advantage[1].tolist() == [0.0] * 4
    assert informative.tolist() == [True, False]


@given(hnp.arrays(float, (3, 6), elements=st.floats(-2, 2, width=32)), st.booleans())
def test_advantages_of_a_group_sum_to_zero(reward, scale):
    advantage, _ = group_advantage(reward, scale=scale)
    assert np.abs(advantage.sum(-1)).max() < 1e-6
