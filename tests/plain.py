"""What trees, packing and beams must not change: one plain forward pass a completion, no padding, no cache."""

import numpy as np
import pytest
import torch


def naive_logprobs(model, prompts, completion, mask):
    """One forward pass per completion, no packing, no padding."""
    out = torch.zeros(completion.shape, dtype=model.dtype)
    for b, prompt in enumerate(prompts):
        for g in range(completion.shape[1]):
            row = completion[b, g][mask[b, g]].tolist()
            logp = model(torch.tensor([list(prompt) + row])).logits[0].log_softmax(-1)
            picked = logp[torch.arange(len(prompt) - 1, len(prompt) + len(row) - 1), torch.tensor(row)]
            out = out.index_put((torch.tensor(b), torch.tensor(g), torch.arange(len(row))), picked)
    return out


def ragged(seed=0):
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(4, 40, size=n).tolist() for n in (3, 9, 6)]
    mask = torch.arange(7) < torch.tensor(rng.integers(1, 8, size=(3, 4)))[..., None]
    return prompts, torch.tensor(rng.integers(4, 70, size=(3, 4, 7))) * mask, mask


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


def seeds(n: int):
    """Seeds for a test that takes its time: the first in the fast tests, all of them in the others."""
    return pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, n))])
