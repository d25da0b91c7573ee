"""The stock way: the same constraint in Hugging Face's `generate`, and the same update without packing."""

import pytest
import torch
from plain import brute_force, ragged, random_prompts

from crs_lite.errors import CRSError
from crs_lite.rl import packed_logprobs
from crs_lite.study.stock import CatalogueLogits, hf_beams, naive_logprobs, prefix_allowed_tokens_fn
from crs_lite.trie import Trie

END, PAD = 3, 0


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


def test_one_copy_of_the_prompt_per_completion_gives_the_same_numbers(random_model):
    prompts, completion, mask = ragged()
    full = torch.ones_like(mask)
    completion = torch.where(mask, completion, 5)
    model = random_model.double()
    ours = packed_logprobs(model, prompts, completion, full, PAD)
    with torch.no_grad():
        assert torch.allclose(naive_logprobs(model, prompts, completion).float(), ours, atol=1e-5)


def test_stock_beams_are_the_best_of_all_ids(random_model, catalogue_ids):
    """With as many beams as items, nothing is pruned: the order is that of brute force."""
    prompts, k = random_prompts(4, n=2), len(catalogue_ids)
    lists = hf_beams(random_model, prompts, catalogue_ids, k)
    for prompt, ids in zip(prompts, lists, strict=True):
        truth = brute_force(random_model, prompt, catalogue_ids)
        assert sorted(ids) == sorted(catalogue_ids.tolist())
        of = {tuple(row): score for row, score in zip(catalogue_ids.tolist(), truth.tolist(), strict=True)}
        scores = [of[tuple(row)] for row in ids]
        assert scores == pytest.approx(sorted(scores, reverse=True), abs=1e-4)
