"""What a thought is worth to the others: by hand, by brute force, and as an unbiased gradient by enumeration."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crs_lite.merging import merge
from crs_lite.rl import RLConfig, Vocabulary
from crs_lite.trie import Trie
from crs_lite.variety import batch_scaled, merged_worth, mixture_worth, rollout, target_logprob


def test_worth_by_hand():
    """Two thoughts put the target second, the third alone puts it first: without it the merged list loses."""
    items = np.array([[[1, 2], [1, 2], [2, 1]]])
    logp = np.log(np.array([[[0.6, 0.3], [0.6, 0.3], [0.9, 0.05]]]))
    worth = merged_worth(items, logp, np.array([2]), 2)[0]
    second = 1 / np.log2(3)
    assert worth == pytest.approx([0, 0, 1 - second])  # 1.5 against 1.25; without the third 0.6 against 1.2


lists = st.lists(st.permutations(range(5)), min_size=2, max_size=5)


@given(lists, st.integers(0, 4), st.integers(1, 5), st.integers(0, 2**31))
def test_worth_is_the_value_of_the_merged_list_with_and_without(rows, target, k, seed):
    items = np.array(rows)
    logp = np.log(np.random.default_rng(seed).random(items.shape))

    def value(some):
        got = merge(items[some], logp[some], k)[0].tolist()
        return 1 / np.log2(got.index(target) + 2) if target in got else 0.0

    g = len(rows)
    by_hand = [value(list(range(g))) - value([j for j in range(g) if j != i]) for i in range(g)]
    assert merged_worth(items[None], logp[None], np.array([target]), k)[0] == pytest.approx(by_hand)


def test_leaving_a_thought_out_breaks_no_tie():
    """Without the third thought both items have 0.002, and ties count against the target: it is second, as with all. By
    subtraction 0.005 - 0.003 falls just short of 0.002, and the third thought would seem to do harm."""
    items = np.array([[[1, 2], [1, 2], [1, -1]]])
    logp = np.log(np.array([[[0.001, 0.001], [0.001, 0.001], [0.003, 1.0]]]))
    assert merged_worth(items, logp, np.array([2]), 2)[0].tolist() == [0.0, 0.0, 0.0]


def test_the_worth_of_a_thought_is_an_unbiased_gradient_of_the_merged_list():
    """Three thoughts, two drawn: E[sum_i worth_i grad log pi(o_i)] equals the gradient of E[R(all)], by enumeration."""
    logits = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
    items = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    logp = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.45, 0.4, 0.15]]))

    def value(drawn):
        got = merge(items[list(drawn)], logp[list(drawn)], 3)[0].tolist()
        return 1 / np.log2(got.index(0) + 2)

    logpi = logits.log_softmax(0)
    expected = sum(value(d) * logpi[list(d)].sum().exp() for d in product(range(3), repeat=2))
    (exact,) = torch.autograd.grad(expected, logits, retain_graph=True)
    estimate = torch.zeros(3, dtype=torch.float64)
    for d in product(range(3), repeat=2):
        worth = merged_worth(items[list(d)][None], logp[list(d)][None], np.array([0]), 3)[0]
        score = sum(w * logpi[o] for w, o in zip(worth, d, strict=True))
        estimate += logpi[list(d)].sum().exp().detach() * torch.autograd.grad(score, logits, retain_graph=True)[0]
    assert torch.allclose(estimate, exact, atol=1e-12)


@given(st.lists(st.floats(-20, 0), min_size=2, max_size=8))
def test_mixture_by_plain_probabilities(logp):
    p = np.exp(np.array(logp))
    by_hand = [np.log(p.mean()) - np.log(np.delete(p, i).mean()) for i in range(len(p))]
    assert mixture_worth(np.array(logp), 50.0) == pytest.approx(by_hand, rel=1e-6, abs=1e-6)
    assert np.abs(mixture_worth(np.array(logp))).max() <= 1.0


def test_one_scale_a_batch():
    a = batch_scaled(np.array([[3.0, -3.0], [0.0, 0.0]]))
    assert a == pytest.approx(np.array([[1.0, -1.0], [0, 0]]) * np.sqrt(2), rel=1e-3)


@pytest.mark.parametrize("arm", ["merged", "mixture"])
def test_rollouts_of_both_arms(random_model, catalogue_ids, arm):
    vocab, trie = Vocabulary(0, 3, catalogue_ids), Trie.build(catalogue_ids)
    config = RLConfig(arm=arm, group=4, max_reasoning=8, beams=10)
    roll = rollout(
        random_model, [[5, 6], [7, 8, 9]], np.array([1, 2]), trie, vocab, config, torch.Generator().manual_seed(0)
    )
    assert roll.advantage.shape == (2, 4) and set(roll.parts) == {"format", "length", "rank"}
    assert roll.informative.tolist() == (np.abs(roll.reward) > 1e-8).any(-1).tolist()


def test_the_target_s_log_probability_is_that_of_its_tokens(random_model, catalogue_ids):
    from crs_lite.decode import plant

    prompts = [[5, 6, 7], [8, 9, 10]]
    got = target_logprob(plant(random_model, prompts, 0), catalogue_ids[[4, 9]])
    for row, (prompt, codes) in enumerate(zip(prompts, catalogue_ids[[4, 9]].tolist(), strict=True)):
        ids = torch.tensor([prompt + codes])
        logp = random_model(ids).logits.log_softmax(-1)[0, len(prompt) - 1 : -1]
        assert got[row, 0].item() == pytest.approx(sum(logp[t, c].item() for t, c in enumerate(codes)), abs=1e-4)
