"""The stock way, for comparison: the catalogue's constraint in Hugging Face `generate`, and an update without packing.

`CatalogueLogits` is also what another engine needs to stay within the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from transformers import LogitsProcessor, PreTrainedModel

from crs_lite.decode import left_pad
from crs_lite.errors import CRSError
from crs_lite.trie import Trie

PAD = 0


class CatalogueLogits(LogitsProcessor):
    """For plain `model.generate`, beams and sampling alike: behind a marker, only IDs of the catalogue, then `eos`.

    `marker` is the token behind which IDs begin (say `</think>`); without one they begin behind `prompt_length` tokens.
    Rows that have not reached the marker are free. Where an ID ends, and on rows that left the catalogue
    (Hugging Face keeps dead beams), only `eos` may follow.
    """

    def __init__(self, trie: Trie, eos: int, *, prompt_length: int | None = None, marker: int | None = None):
        if (prompt_length is None) == (marker is None):
            raise CRSError("CatalogueLogits: say where IDs begin, by `prompt_length` or by `marker`, one of the two.")
        self.trie, self.eos, self.prompt_length, self.marker = trie, eos, prompt_length, marker

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """input_ids `(R, L)`, scores `(R, V)` -> scores with -inf where the catalogue forbids."""
        rows, length = input_ids.shape
        if self.marker is None:
            since = torch.full((rows,), length - self.prompt_length, device=input_ids.device)
        else:  # tokens since the last marker; -1 where there is none
            seen = input_ids == self.marker
            since = torch.where(seen.any(1), seen.flip(1).int().argmax(1), -1)
        allowed = (since < 0)[:, None].expand_as(scores).clone()
        allowed[since >= self.trie.depth, self.eos] = True
        for level in range(self.trie.depth):
            here = (since == level).nonzero()[:, 0]
            if len(here):
                node = self.trie.walk(input_ids[here, length - level :])
                token, _, exists = self.trie.children(node.clamp(min=0), level)
                exists &= (node >= 0)[:, None]
                row = here[:, None].expand_as(token)
                allowed[row[exists], token[exists]] = True
                allowed[here[node < 0], self.eos] = True
        return scores.masked_fill(~allowed, -torch.inf)


def prefix_allowed_tokens_fn(ids: np.ndarray, prompt_length: int) -> Callable[[int, torch.Tensor], list[int]]:
    """The same constraint the stock way, as a Python function over nested dictionaries for Hugging Face `generate`.

    Shares nothing with `Trie`: it is the referee in tests and the baseline in benchmarks.
    """
    root: dict = {}
    for row in ids.tolist():
        node = root
        for token in row:
            node = node.setdefault(token, {})

    def allowed(_batch: int, sequence: torch.Tensor) -> list[int]:
        node = root
        for token in sequence[prompt_length:].tolist():
            node = node.get(token, {})
        return list(node) or [0]

    return allowed


def hf_beams(model: PreTrainedModel, prompts: list[list[int]], ids: np.ndarray, k: int) -> list[list[list[int]]]:
    """Ranked lists by Hugging Face `generate` with a prefix function: for each prompt, k IDs."""
    tokens, mask = left_pad(prompts, PAD, model.device)
    width = tokens.shape[1]
    out = model.generate(
        tokens,
        attention_mask=mask.long(),
        num_beams=k,
        num_return_sequences=k,
        max_new_tokens=ids.shape[1],
        do_sample=False,
        prefix_allowed_tokens_fn=prefix_allowed_tokens_fn(ids, width),
        pad_token_id=PAD,
        eos_token_id=1,
        length_penalty=0.0,
    )
    return out[:, width:].view(len(prompts), k, -1).tolist()


def naive_logprobs(model: PreTrainedModel, prompts: list[list[int]], completion: torch.Tensor) -> torch.Tensor:
    """The stock update: each completion `(B, G, C)` behind its own copy of the prompt."""
    b, g, c = completion.shape
    ids, real = left_pad([p for p in prompts for _ in range(g)], PAD, completion.device)
    rows = torch.cat([ids, completion.view(b * g, c)], 1)
    mask = torch.cat([real, torch.ones(b * g, c, dtype=torch.bool)], 1)
    position = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = model(
        rows, attention_mask=mask.long(), position_ids=position, logits_to_keep=c + 1, use_cache=False
    ).logits[:, :-1]
    return (logits.gather(-1, completion.view(b * g, c, 1))[..., 0] - logits.logsumexp(-1)).view(b, g, c)
