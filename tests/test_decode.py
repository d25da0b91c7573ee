"""The tree decoder against three referees: brute force, Hugging Face `generate`, and itself without a tree."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain import brute_force, random_prompts, seeds

from crs_lite.decode import Tree, beam_search, chosen, draw, force, plant, sample, top_in_order
from crs_lite.errors import CRSError
from crs_lite.study.stock import prefix_allowed_tokens_fn
from crs_lite.trie import Trie

END, PAD = 3, 0


@seeds(5)
def test_beams_equal_brute_force_over_the_whole_catalogue(random_model, catalogue_ids, seed):
    """With a beam as wide as the catalogue nothing is pruned: the search must be exact."""
    prompts = random_prompts(seed)
    items, scores = beam_search(plant(random_model, prompts, PAD), Trie.build(catalogue_ids), len(catalogue_ids))
    for b, prompt in enumerate(prompts):
        truth = brute_force(random_model, prompt, catalogue_ids)
        assert torch.allclose(scores[b, 0], truth.sort(descending=True).values, atol=1e-4)
        assert torch.allclose(truth[items[b, 0]], scores[b, 0], atol=1e-4)
        assert sorted(items[b, 0].tolist()) == list(range(len(catalogue_ids)))


@seeds(8)
def test_beams_equal_hugging_face_generate(random_model, catalogue_ids, seed):
    trie, k = Trie.build(catalogue_ids), 5
    by_id = {tuple(row): i for i, row in enumerate(catalogue_ids.tolist())}
    for prompt in random_prompts(seed):
        items, scores = beam_search(plant(random_model, [prompt], PAD), trie, k)
        out = random_model.generate(
            torch.tensor([prompt]),
            num_beams=k,
            num_return_sequences=k,
            max_new_tokens=4,
            do_sample=False,
            prefix_allowed_tokens_fn=prefix_allowed_tokens_fn(catalogue_ids, len(prompt)),
            pad_token_id=PAD,
            eos_token_id=1,
            return_dict_in_generate=True,
            output_scores=True,
            length_penalty=0.0,
        )
        theirs = [by_id[tuple(row[len(prompt) : len(prompt) + 4])] for row in out.sequences.tolist()]
        assert items[0, 0].tolist() == theirs
        assert torch.allclose(scores[0, 0], out.sequences_scores, atol=1e-3)


def test_beams_continue_from_the_tree_as_from_a_fresh_prompt(random_model, catalogue_ids):
    """Ragged prompts, ragged trajectories, several per prompt: the same lists as computing each from scratch."""
    trie, prompts = Trie.build(catalogue_ids), random_prompts(11, n=5)
    drawn = sample(plant(random_model, prompts, PAD), 3, END, 40, 20.0, torch.Generator().manual_seed(0))
    lengths = drawn.mask.sum(-1)
    assert lengths.min() < lengths.max()  # the case is ragged, or the test proves nothing
    items, scores = beam_search(drawn.tree, trie, 6)
    for b, prompt in enumerate(prompts):
        for g in range(3):
            alone, alone_scores = beam_search(plant(random_model, [prompt + drawn.rows(b, g)], PAD), trie, 6)
            assert items[b, g].tolist() == alone[0, 0].tolist()
            assert torch.allclose(scores[b, g], alone_scores[0, 0], atol=1e-4)


def test_sampled_log_probabilities_are_the_models_own(random_model):
    prompts = random_prompts(5)
    drawn = sample(plant(random_model, prompts, PAD), 4, END, 40, 20.0, torch.Generator().manual_seed(1))
    for b, prompt in enumerate(prompts):
        for g in range(4):
            row = drawn.rows(b, g)
            with torch.no_grad():
                logp = random_model(torch.tensor([prompt + row])).logits[0].log_softmax(-1)
            want = logp[torch.arange(len(prompt) - 1, len(prompt) + len(row) - 1), torch.tensor(row)]
            assert torch.allclose(drawn.logprob[b, g][: len(row)], want, atol=1e-4)
            assert row[-1] == END and END not in row[:-1]
            assert drawn.closed[b, g] == (len(row) < 40)


def test_greedy_sampling_equals_hugging_face(random_model):
    for prompt in random_prompts(7, n=6):
        drawn = sample(plant(random_model, [prompt], PAD), 1, END, 10, 0.0)
        out = random_model.generate(
            torch.tensor([prompt]), max_new_tokens=9, do_sample=False, eos_token_id=END, pad_token_id=PAD
        )
        theirs = out[0, len(prompt) :].tolist()
        mine = drawn.rows(0, 0)
        assert mine == theirs if drawn.closed[0, 0] else mine[:-1] == theirs[:9]


def test_forced_reasoning_equals_a_longer_prompt(random_model, catalogue_ids):
    trie, prompts, texts = Trie.build(catalogue_ids), random_prompts(1, 4), random_prompts(2, 4)
    items, _ = beam_search(force(plant(random_model, prompts, PAD), texts, PAD), trie, 5)
    whole = [p + t for p, t in zip(prompts, texts, strict=True)]
    for b in range(4):
        assert items[b, 0].tolist() == beam_search(plant(random_model, [whole[b]], PAD), trie, 5)[0][0, 0].tolist()


def test_fewer_items_than_beams_gives_padding(random_model, catalogue_ids):
    items, scores = beam_search(plant(random_model, [[5, 6]], PAD), Trie.build(catalogue_ids[:3]), 7)
    assert sorted(items[0, 0, :3].tolist()) == [0, 1, 2]
    assert items[0, 0, 3:].tolist() == [-1] * 4 and torch.isinf(scores[0, 0, 3:]).all()


def test_draws_follow_the_tempered_softmax():
    """Each token's count among 40,000 draws lies within 5 standard errors of its probability; impossible ones never
    come."""
    logits = torch.tensor([[2.0, -1.0, -torch.inf, 0.5, 3.0], [0.0, 0.0, 1.0, -torch.inf, -torch.inf]])
    for temperature in (0.5, 1.0, 2.0):
        drawn = draw(logits.repeat(40_000, 1, 1), temperature, torch.Generator().manual_seed(0))
        for row, want in zip(drawn.T, (logits / temperature).softmax(-1), strict=True):
            share = torch.bincount(row, minlength=5) / len(row)
            assert ((share - want).abs() <= 5 * (want * (1 - want) / len(row)).sqrt()).all()
    assert draw(logits, 0.0, None).tolist() == [4, 2]


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=8))
def test_all_real_tokens_are_chosen_but_a_forced_end(rows):
    mask = torch.tensor([[t < n for t in range(6)] for n, _ in rows])[None]
    closed = torch.tensor([[done for _, done in rows]])
    by_hand = [[t < n and (done or t < n - 1) for t in range(6)] for n, done in rows]
    assert chosen(mask, closed)[0].tolist() == by_hand


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
