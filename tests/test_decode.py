"""The tree decoder against three referees: brute force, Hugging Face `generate`, and itself without a tree."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crs_lite.decode import beam_search, draw, force, plant, sample
from crs_lite.errors import CRSError
from crs_lite.study.stock import CatalogueLogits, prefix_allowed_tokens_fn
from crs_lite.trie import Trie

END, PAD = 3, 0


def random_prompts(seed, n=4):
    rng = np.random.default_rng(seed)
    return [rng.integers(4, 40, size=rng.integers(1, 12)).tolist() for _ in range(n)]


def brute_force(model, prompt, ids):
    """Log-probability of every catalogue item after a prompt, one plain forward pass per item: (N,)."""
    rows = torch.tensor([prompt + list(map(int, row)) for row in ids])
    with torch.no_grad():
        logp = model(rows).logits.log_softmax(-1)
    start = len(prompt) - 1
    picked = [logp[torch.arange(len(ids)), start + j, rows[:, start + j + 1]] for j in range(ids.shape[1])]
    return torch.stack(picked).sum(0)


@pytest.mark.parametrize("seed", range(5))
def test_beams_equal_brute_force_over_the_whole_catalogue(random_model, catalogue_ids, seed):
    """With a beam as wide as the catalogue nothing is pruned: the search must be exact."""
    prompts = random_prompts(seed)
    items, scores = beam_search(plant(random_model, prompts, PAD), Trie.build(catalogue_ids), len(catalogue_ids))
    for b, prompt in enumerate(prompts):
        truth = brute_force(random_model, prompt, catalogue_ids)
        assert torch.allclose(scores[b, 0], truth.sort(descending=True).values, atol=1e-4)
        assert torch.allclose(truth[items[b, 0]], scores[b, 0], atol=1e-4)
        assert sorted(items[b, 0].tolist()) == list(range(len(catalogue_ids)))


@pytest.mark.parametrize("seed", range(8))
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


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=40, unique=True))
def test_trie_holds_exactly_the_catalogue(codes):
    ids = np.array(codes) + np.array([0, 10, 20])
    trie = Trie.build(ids)
    found = {}

    def walk(node, level, prefix):
        if level == trie.depth:
            found[prefix] = int(trie.items(torch.tensor(node)))
            return
        token, child, exists = trie.children(torch.tensor(node), level)
        for t, c in zip(token[exists].tolist(), child[exists].tolist(), strict=True):
            walk(c, level + 1, (*prefix, t))

    walk(0, 0, ())
    assert found == {tuple(row): i for i, row in enumerate(ids.tolist())}


def test_shared_id_is_refused():
    with pytest.raises(CRSError, match="share one semantic ID"):
        Trie.build(np.array([[1, 2], [3, 4], [1, 2]]))


def test_walk_finds_prefixes_and_nothing_else(catalogue_ids):
    trie = Trie.build(catalogue_ids)
    for m in range(1, 5):
        assert (trie.walk(torch.tensor(catalogue_ids[:, :m])) > 0).all()
    leaves = trie.walk(torch.tensor(catalogue_ids))
    assert trie.items(leaves).tolist() == list(range(len(catalogue_ids)))
    strange = catalogue_ids.copy()
    strange[:, 1] = 70
    assert (trie.walk(torch.tensor(strange)) == -1).all()


@pytest.mark.parametrize("seed", range(3))
def test_logits_processor_equals_the_python_function_in_beams(random_model, catalogue_ids, seed):
    trie, k, prompt = Trie.build(catalogue_ids), 5, random_prompts(seed)[0]
    same = dict(
        num_beams=k, num_return_sequences=k, max_new_tokens=4, do_sample=False, pad_token_id=PAD, eos_token_id=1
    )
    ids = torch.tensor([prompt])
    processor = CatalogueLogits(trie, 1, prompt_length=len(prompt))
    mine = random_model.generate(ids, logits_processor=[processor], **same)
    theirs = random_model.generate(
        ids, prefix_allowed_tokens_fn=prefix_allowed_tokens_fn(catalogue_ids, len(prompt)), **same
    )
    assert mine.tolist() == theirs.tolist()


def test_logits_processor_in_sampling_emits_catalogue_items_only(random_model, catalogue_ids):
    """A batch of left-padded prompts; free text up to the marker, then one item, then the end."""
    known = set(map(tuple, catalogue_ids.tolist()))
    prompts = random_prompts(3, n=6)
    width = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    torch.manual_seed(0)
    out = random_model.generate(
        ids,
        attention_mask=mask,
        do_sample=True,
        temperature=20.0,
        max_new_tokens=120,
        num_return_sequences=8,
        logits_processor=[CatalogueLogits(Trie.build(catalogue_ids), 1, marker=END)],
        pad_token_id=PAD,
        eos_token_id=1,
    )
    found = 0
    for row in out[:, width:].tolist():
        if END in row and len(row) >= row.index(END) + 6:
            behind = row[row.index(END) + 1 :]
            assert tuple(behind[:4]) in known and behind[4] == 1
            found += 1
    assert found > 5


def test_logits_processor_wants_one_place_where_ids_begin(catalogue_ids):
    with pytest.raises(CRSError, match="one of the two"):
        CatalogueLogits(Trie.build(catalogue_ids), 1)


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
