"""Numbers that cannot flatter: a forced token is no action, ties have one order, what is not finite is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from crs_lite import evolve, rl
from crs_lite.decode import Tree, beam_search, chosen, top_in_order
from crs_lite.errors import CRSError
from crs_lite.model import backbones
from crs_lite.profiles import get_profile
from crs_lite.rl import RLConfig, Vocabulary, is_clean, rollout, token_weight
from crs_lite.trie import Trie


def tiny(vocab: int = 80):
    torch.manual_seed(0)
    return backbones.tiny_model(get_profile("smoke", hidden=32, heads=2, ffn=64), vocab)


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=8))
def test_all_real_tokens_are_chosen_but_a_forced_end(rows):
    mask = torch.tensor([[t < n for t in range(6)] for n, _ in rows])[None]
    closed = torch.tensor([[done for _, done in rows]])
    by_hand = [[t < n and (done or t < n - 1) for t in range(6)] for n, done in rows]
    assert chosen(mask, closed)[0].tolist() == by_hand


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


@given(st.lists(st.lists(st.integers(0, 4), min_size=7, max_size=7), min_size=1, max_size=4), st.integers(1, 7))
def test_the_first_of_equals_is_kept(rows, k):
    x = torch.tensor(rows, dtype=torch.float32)
    values, index = top_in_order(x, k)
    for row, got in zip(rows, index.tolist(), strict=True):
        best = sorted(range(7), key=lambda i: (-row[i], i))[:k]
        assert got == sorted(best)
    assert torch.equal(values, x.gather(-1, index))


class Flat(Tree):
    """A model to which every next token is as likely as every other."""

    def feed(self, token, visible, position):
        self.visible = torch.nn.functional.pad(visible, (0, token.shape[1]), value=True)
        self.position = position + 1
        return torch.zeros(*token.shape, 80)


def flat(logits: torch.Tensor) -> Flat:
    return Flat(None, None, logits, torch.ones(1, 1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.long))


def test_equal_scores_stand_in_the_order_of_the_trie_whatever_k_is(catalogue_ids):
    trie = Trie.build(catalogue_ids)
    in_order = np.lexsort(catalogue_ids.T[::-1]).tolist()
    for k in (1, 2, 3, 5, 10, 60, 70):
        items, _ = beam_search(flat(torch.zeros(1, 1, 80)), trie, k)
        assert items[0, 0].tolist() == (in_order + [-1] * 70)[:k]


def test_scores_that_are_not_numbers_are_refused(catalogue_ids):
    with pytest.raises(CRSError, match="not finite"):
        beam_search(flat(torch.full((1, 1, 80), torch.nan)), Trie.build(catalogue_ids), 5)


def test_a_damaged_checkpoint_is_neither_loaded_nor_saved(tmp_path):
    model = tiny()
    backbones.save(tmp_path, model)
    path = tmp_path / "model.safetensors"
    sound = load_file(path)
    name = "model.layers.0.mlp.up_proj.weight"
    for value in (torch.nan, torch.inf):
        damaged = {k: v.clone() for k, v in sound.items()}
        damaged[name][3, 5] = value
        save_file(damaged, path, metadata={"format": "pt"})
        with pytest.raises(CRSError, match=f"{name} are not finite"):
            backbones.load_model(tmp_path)
    save_file({k: v for k, v in sound.items() if k != name}, path, metadata={"format": "pt"})
    with pytest.raises(CRSError, match="1 tensors are missing"):
        backbones.load_model(tmp_path)
    with torch.no_grad():
        model.get_parameter(name)[0, 0] = torch.nan
    with pytest.raises(CRSError, match="nothing is saved"):
        backbones.save(tmp_path / "other", model)
    assert not (tmp_path / "other").exists()


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


def test_only_well_formed_thoughts_become_lessons(monkeypatch):
    requests = [SimpleNamespace(target=4), SimpleNamespace(target=7)]
    drawn = [[("good", 4, True), ("with an ID", 4, False)], [("cut", 7, False), ("wrong", 4, True)]]
    monkeypatch.setattr(evolve, "sample_thoughts", lambda *_: drawn)
    assert evolve.collect(None, None, requests, get_profile("smoke"), 0) == [(0, "good")]
