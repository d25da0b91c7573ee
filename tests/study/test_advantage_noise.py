"""The split of the advantage's variance: by hand, and on a model whose trajectories are judged over and over."""

import numpy as np
import pytest
import torch

from crs_lite.decode import beam_search, force, plant
from crs_lite.rl import RLConfig
from crs_lite.study import advantage_noise
from crs_lite.trie import Trie


def test_variance_shares_by_hand():
    same = np.tile(np.array([[1.0, -1.0]]), (4, 1, 1))  # every judgement agrees: all signal
    assert advantage_noise.variance_shares(same) == {"between": 2.0, "within": 0.0, "noise_share": 0.0}
    coin = np.random.default_rng(0).choice([-1.0, 1.0], size=(4000, 5, 6))  # judgements ignore the trajectory
    shares = advantage_noise.variance_shares(coin)
    assert (
        shares["within"] == pytest.approx(1.0, abs=0.02) and shares["between"] < 0.001 and shares["noise_share"] > 0.99
    )
    mixed = advantage_noise.variance_shares(coin + np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]))
    assert mixed["between"] == pytest.approx(1.2, abs=0.02)  # the sample variance of the six effects
    assert advantage_noise.variance_shares(np.zeros((3, 2, 2)))["noise_share"] == 0.0


def test_a_tree_put_back_answers_as_before(toy_model):
    model, codec = toy_model
    prompts = [codec.prompt(r) for r in codec.log.split("test")[:3]]
    tree = force(plant(model, prompts, codec.pad), [[codec.end_think]] * 3, codec.pad)
    here, trie = (tree.logits, tree.visible, tree.position), Trie.build(codec.sid_ids)
    first = beam_search(tree, trie, 10)
    for _ in range(2):
        again = beam_search(advantage_noise._back(tree, *here), trie, 10)
        assert torch.equal(first[0], again[0]) and torch.allclose(first[1], again[1], atol=1e-10)


def test_sampled_judges_disagree_with_themselves_and_beams_do_not(toy_model):
    model, codec = toy_model
    found = advantage_noise.measure(
        model,
        codec,
        codec.log.split("test")[:8],
        RLConfig(group=4, beams=10, max_reasoning=6),
        draws=6,
        seed=0,
        batch=4,
    )
    for arm in ("rgrpo", "beam_top1"):
        assert found[arm]["within"] == 0 and 0 <= found[arm]["silent"] <= 1
    assert found["grpo"]["reward"] <= 1 and found["rgrpo"]["reward"] > 0
    assert found["grpo"]["within"] > 0 or found["grpo"]["silent"] == 1
