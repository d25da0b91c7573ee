"""The packed update against the plain one, the loss by hand, and learning on a problem with a known answer."""

import copy

import numpy as np
import pytest
import torch
from plain import naive_logprobs, ragged

from crs_lite import rl
from crs_lite.decode import chosen
from crs_lite.errors import CRSError
from crs_lite.model.backbones import tiny_model
from crs_lite.profiles import get_profile
from crs_lite.rewards import RewardConfig
from crs_lite.rl import (
    RLConfig,
    Vocabulary,
    is_clean,
    packed_logprobs,
    policy_loss,
    rollout,
    token_weight,
    train,
    update,
)
from crs_lite.trie import Trie

END, PAD = 3, 0


@pytest.fixture
def vocab(catalogue_ids):
    return Vocabulary(PAD, END, catalogue_ids)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_update_has_the_gradient_of_the_plain_one(random_model, checkpointing):
    prompts, completion, mask = ragged()
    model = random_model.double().train()  # the large weights magnify float32's rounding, differently on every CPU
    weight = torch.randn(completion.shape, generator=torch.Generator().manual_seed(0)) * mask
    plain = naive_logprobs(model, prompts, completion, mask)
    (plain * weight).sum().backward()
    want = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    if checkpointing:
        model.gradient_checkpointing_enable()
    packed = packed_logprobs(model, prompts, completion, mask, PAD)
    (packed * weight).sum().backward()
    assert torch.allclose(packed.double(), plain, atol=1e-5)
    scale = max(g.norm() for g in want.values())
    for name, p in model.named_parameters():
        assert (p.grad - want[name]).norm() <= 1e-5 * max(want[name].norm(), 1e-2 * scale), name


def test_policy_loss_by_hand():
    config = RLConfig(kl=0.1, clip=0.2)
    logprob = torch.log(torch.tensor([[[0.5, 0.3], [0.2, 0.9]]]))
    old = torch.log(torch.tensor([[[0.4, 0.1], [0.4, 0.9]]]))
    reference = torch.log(torch.tensor([[[0.25, 0.3], [0.2, 0.9]]]))
    mask = torch.tensor([[[True, True], [True, False]]])
    loss, logs = policy_loss(
        logprob, old, reference, torch.tensor([[1.0, -1.0]]), token_weight(mask, config, 2), config
    )
    # ratios 1.25 and 3 are cut at 1.2 (A = +1); ratio 0.5 is cut at 0.8 from below (A = -1): min(-0.5, -0.8) = -0.8
    k3 = 0.5 - np.log(0.5) - 1
    want = 0.5 * ((-1.2 + 0.1 * k3 - 1.2) / 2) + 0.5 * 0.8
    assert float(loss) == pytest.approx(want, abs=1e-6)
    assert logs["kl"] == pytest.approx(0.5 * k3 / 2, abs=1e-6)


def test_loss_gradient_is_minus_advantage_over_length_at_ratio_one():
    logprob = torch.zeros(1, 2, 3, requires_grad=True)
    mask = torch.tensor([[[True, True, True], [True, False, False]]])
    policy_loss(
        logprob, logprob.detach(), None, torch.tensor([[0.9, -0.9]]), token_weight(mask, RLConfig(), 3), RLConfig()
    )[0].backward()
    assert logprob.grad[0].flatten().tolist() == pytest.approx([-0.15, -0.15, -0.15, 0.45, 0.0, 0.0])


def test_token_weights_by_hand():
    mask = torch.tensor([[[True, True, True], [True, False, False]]])
    weights = {loss: token_weight(mask, RLConfig(loss=loss), 10)[mask].tolist() for loss in ("grpo", "dapo", "dr_grpo")}
    assert weights["grpo"] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert weights["dapo"] == pytest.approx([1 / 4] * 4)
    assert weights["dr_grpo"] == pytest.approx([1 / 20] * 4)


def test_silent_groups_carry_no_gradient_and_no_kl(random_model, vocab):
    prompts, completion, mask = ragged()
    model = random_model
    logprob = packed_logprobs(model, prompts, completion, mask, PAD)
    reference = logprob.detach() - 1.0
    advantage, weight = torch.zeros(3, 4), token_weight(mask, RLConfig(), 7)
    loss, _ = policy_loss(logprob, logprob.detach(), reference, advantage, weight, RLConfig())
    loss.backward()
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in model.parameters())
    loss, _ = policy_loss(logprob, logprob.detach(), reference, advantage, weight, RLConfig(kl_on_silent_groups=True))
    assert loss > 0


@pytest.mark.parametrize("arm", ["grpo", "rgrpo", "beam_top1"])
def test_rollout_rewards_are_those_of_its_lists(random_model, catalogue_ids, vocab, arm):
    prompts = [[5, 6, 7], [8, 9]]
    config = RLConfig(arm=arm, group=4, beams=10, max_reasoning=12)
    roll = rollout(
        random_model,
        prompts,
        np.array([3, 5]),
        Trie.build(catalogue_ids),
        vocab,
        config,
        torch.Generator().manual_seed(0),
    )
    total = 0.1 * roll.parts["format"] + 0.1 * roll.parts["length"] + 0.1 * roll.parts["validity"] + roll.parts["rank"]
    assert roll.reward == pytest.approx(total)
    again = packed_logprobs(random_model, prompts, roll.completion, roll.mask, PAD)
    assert torch.allclose(again, roll.old_logprob, atol=1e-4)
    if arm == "grpo":  # the sampled ID stands behind `</think>` in every completion
        for b in range(2):
            for g in range(4):
                row = roll.completion[b, g][roll.mask[b, g]].tolist()
                assert row.index(END) == len(row) - 5
    else:
        assert (roll.parts["validity"] == 1).all()


def test_update_on_silent_rollout_changes_nothing(random_model, catalogue_ids, vocab):
    config = RLConfig(group=4, max_reasoning=6)
    roll = rollout(random_model, [[5, 6]], np.array([3]), Trie.build(catalogue_ids), vocab, config)
    roll.advantage[:], roll.informative[:] = 0, False
    before = copy.deepcopy(random_model.state_dict())
    update(random_model, None, torch.optim.AdamW(random_model.parameters()), roll, vocab, config)
    assert all(torch.equal(before[k], v) for k, v in random_model.state_dict().items())


def test_an_update_that_does_not_fit_is_made_in_parts_with_the_same_gradient(random_model, vocab, monkeypatch):
    """Of three prompts one, or two, at a time: the weights move as in one pass, and every part is computed again in the
    backward pass, so only one has to fit."""
    prompts, completion, mask = ragged()
    start, reward = random_model.double(), np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    reference = copy.deepcopy(start).requires_grad_(False)
    for weights in reference.parameters():
        weights.mul_(0.9)
    roll = rl.Rollout(
        prompts, completion, mask, mask, torch.zeros(mask.shape), {}, reward, reward - 0.25, np.ones(3, bool)
    )
    row, moved, real = max(map(len, prompts)) + int(mask.flatten(1).sum(-1).max()), {}, packed_logprobs
    for rows in (3, 2, 1):
        model, passes = copy.deepcopy(start), []
        monkeypatch.setattr(rl, "ROOM", rows * row * 2 * 32)  # two layers of width 32
        monkeypatch.setattr(
            rl, "packed_logprobs", lambda of, some, *more, to=passes: to.append(some) or real(of, some, *more)
        )
        logs = update(model, reference, torch.optim.SGD(model.parameters(), lr=1.0), roll, vocab, RLConfig(kl=0.1))
        moved[rows] = {"norm": torch.tensor(logs["grad_norm"]), "kl": torch.tensor(logs["kl"]), **model.state_dict()}
        assert max(map(len, passes)) == rows
        assert sum(map(len, passes)) == (6 if rows == 3 else 9)  # reference, policy, and the policy once more
    assert moved[3]["norm"] > 0 and moved[3]["kl"] > 0
    for rows in (2, 1):
        for name, value in moved[3].items():
            assert torch.allclose(moved[rows][name], value, rtol=1e-4, atol=1e-7), name


@pytest.mark.parametrize("arm", ["rgrpo", "grpo"])
def test_learning_finds_the_known_optimum(random_model, catalogue_ids, vocab, arm):
    """Rewarded only for closing the reasoning after 2 to 4 tokens, the policy must learn just that."""
    torch.manual_seed(0)
    with torch.no_grad():  # the fixture's weights are sharp; exploration needs flat ones
        for p in random_model.parameters():
            if p.ndim > 1:
                p.mul_(0.2)
    reward = RewardConfig(format=1.0, length=1.0, validity=0.0, rank=0.0, min_tokens=2, max_tokens=4)
    config = RLConfig(arm=arm, steps=50, prompts=2, group=16, lr=5e-3, max_reasoning=12, kl=0.0, reward=reward)
    examples = [([5, 6, 7], 3), ([8, 9, 10], 40)]
    history = train(random_model, None, examples, Trie.build(catalogue_ids), vocab, config, seed=0)
    first, last = (np.mean([h["reward"] for h in part]) for part in (history[:5], history[-5:]))
    assert last > first + 0.8


def tiny(vocab: int = 80):
    torch.manual_seed(0)
    return tiny_model(get_profile("smoke", hidden=32, heads=2, ffn=64), vocab)


def test_a_forced_end_carries_no_loss_and_the_answer_behind_it_does(catalogue_ids):
    """With four tokens at most, a random model is always cut: the forced end is there, and is no action."""
    config = RLConfig(arm="grpo", group=3, max_reasoning=4)
    vocab, trie = Vocabulary(0, 3, catalogue_ids), Trie.build(catalogue_ids)
    roll = rollout(tiny(), [[5, 6], [7, 8, 9]], np.array([1, 2]), trie, vocab, config, torch.Generator().manual_seed(1))
    forced = ~roll.chosen & roll.mask
    assert forced.sum() > 0 and (roll.completion[forced] == vocab.end_think).all()
    assert (forced.sum(-1) <= 1).all()
    weight = token_weight(roll.chosen, config, config.max_reasoning + 4)
    assert (weight[forced] == 0).all() and (weight[roll.chosen] > 0).all()
    last_four = roll.mask.sum(-1, keepdim=True) - torch.arange(4, 0, -1)
    assert roll.chosen.gather(-1, last_four).all()  # the sampled ID


def test_closing_by_itself_is_learnt_where_only_closing_is_rewarded():
    """The policy is pushed towards its own closings, never away from the end it was forced to write."""
    logit = torch.zeros(1, 2, 3, requires_grad=True)  # of `</think>`, at three places of two trajectories
    logprob = torch.nn.functional.logsigmoid(logit)
    mask = torch.tensor([[[True, False, False], [True, True, True]]])
    closed = torch.tensor([[True, False]])
    config = RLConfig(loss="dr_grpo", scale_advantage=False, kl=0.0)
    weight = token_weight(chosen(mask, closed), config, 3)
    advantage = torch.tensor([[0.5, -0.5]])
    rl.policy_loss(logprob, logprob.detach(), None, advantage, weight, config)[0].backward()
    assert logit.grad[0, 0, 0] < 0  # up
    assert logit.grad[0, 1, 2] == 0  # the forced end


def test_rl_stops_at_the_first_step_that_is_not_finite_and_needs_examples(catalogue_ids, monkeypatch):
    vocab, trie = Vocabulary(0, 3, catalogue_ids), Trie.build(catalogue_ids)
    config = RLConfig(steps=5, prompts=2, group=3, max_reasoning=5, kl=0.0)
    with pytest.raises(CRSError, match="no example"):
        rl.train(tiny(), None, [], trie, vocab, config, 0)
    real, seen = rl.update, []

    def third_breaks(*args, **options):
        seen.append(1)
        return {**real(*args, **options), "grad_norm": torch.nan if len(seen) == 3 else 1.0}

    monkeypatch.setattr(rl, "update", third_breaks)
    with pytest.raises(CRSError, match="RL step 2: the gradient is not finite"):
        rl.train(tiny(), None, [([5, 6], 1), ([7], 2)], trie, vocab, config, 0)


def test_thoughts_with_id_or_control_tokens_are_not_clean(catalogue_ids):
    vocab = Vocabulary(0, 3, catalogue_ids, control=(1, 2))
    token = torch.tensor([[5, 6, 3], [5, int(catalogue_ids[0, 0]), 3], [5, 2, 3], [5, 3, 2]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 0]]).bool()
    assert is_clean(token, mask, vocab).tolist() == [True, False, False, True]


def test_entropy_and_distinct_trajectories_by_hand():
    """Two groups of two: one repeats itself, and its forced end counts as no choice."""
    completion = torch.tensor([[[7, 8, 0], [7, 8, 0]], [[7, 9, 0], [9, 0, 0]]])
    mask = torch.tensor([[[1, 1, 0], [1, 1, 0]], [[1, 1, 0], [1, 0, 0]]], dtype=torch.bool)
    chosen = mask.clone()
    chosen[0, 0, 1] = False
    logprob = torch.full((2, 2, 3), -0.5) * mask
    logprob[0, 0, 1] = -100.0
    zeros = np.zeros((2, 2))
    roll = rl.Rollout([[1], [2]], completion, mask, chosen, logprob, {}, zeros, zeros, np.ones(2, bool))
    assert rl.variety_of(roll) == {"entropy": 0.5, "distinct": 0.75}  # (1/2 + 2/2) / 2
