"""Training pairs: what the model reads and what it must write, as token ids.

Every sequence has one of two shapes. Ranking: `<bos> input <think> reasoning </think> ID <eos>`, with empty reasoning
where none is asked for. Describing: `<bos> {"sid":"ID"} title <eos>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from crs_lite.context import Context, ContextBuilder, escape, item_context
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.model.backbones import END_THINK, THINK, token_ids
from crs_lite.sid.codes import SemanticIDs

# Typed text holds no raw quote, so this can only be the key itself; a title may hold a bracket.
_CLICKED = re.compile(r'"clicked":\[((?:"(?:[^"\\]|\\.)*+",?)*+)\]')


@dataclass(frozen=True)
class Example:
    """One training sequence; `loss[t]` says whether token t is to be predicted. Both of length T."""

    ids: list[int]
    loss: list[bool]


class Codec:
    """Requests, items and reasoning <-> token ids, for one log, one set of IDs and one tokenizer."""

    def __init__(self, log: SearchLog, sids: SemanticIDs, tokenizer, context: dict | None = None):
        self.log, self.sids, self.tokenizer = log, sids, tokenizer
        self.bos, self.eos, self.pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
        self.think, self.end_think = token_ids(tokenizer, [THINK, END_THINK])
        self.builder = ContextBuilder(
            log, sids.to_string, lambda text: len(self.encode(text)), **(context or {"budget": 320})
        )
        self._prompts: dict[int, list[int]] = {}
        self._last = ("", [])

    def encode(self, text: str) -> list[int]:
        """Text -> token ids, without special tokens of its own."""
        if text != self._last[0]:  # a context is counted first and encoded next: once is enough
            self._last = (text, self.tokenizer(text, add_special_tokens=False).input_ids)
        return list(self._last[1])

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids -> text."""
        return self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)

    @cached_property
    def sid_ids(self) -> np.ndarray:
        """Token ids of every item: `(N, 4)`."""
        names = self.sids.tokens()
        table = dict(zip(names, token_ids(self.tokenizer, names), strict=True))
        return np.array([[table[t] for t in self.sids.tokens_of(i)] for i in range(len(self.log.items))])

    def not_words(self, device: torch.device | str = "cpu") -> torch.Tensor:
        """The tokens that have no place inside reasoning: ID tokens, and control tokens but for its end."""
        return torch.as_tensor(
            [*np.unique(self.sid_ids).tolist(), self.bos, self.eos, self.pad, self.think], device=device
        )

    def context(self, request: SearchRequest) -> Context:
        """The request's context within the token budget."""
        return self.builder.build(request)

    def prompt(self, request: SearchRequest) -> list[int]:
        """`<bos> context <think>`: the model's next token begins its reasoning."""
        if request.id not in self._prompts:
            self._prompts[request.id] = [self.bos, *self.encode(self.context(request).to_json()), self.think]
        return self._prompts[request.id]

    def reasoning(self, text: str) -> list[int]:
        """`reasoning </think>`; for the empty text just `</think>`: a direct answer."""
        return [*(self.encode(text) if text else []), self.end_think]

    def answer(self, item: int) -> list[int]:
        """`ID <eos>`: five tokens."""
        return [*self.sid_ids[item].tolist(), self.eos]

    # -- examples ------------------------------------------------------------------------------

    def ranking(
        self, prompt: list[int], text: str, item: int, loss_on_prompt: list[bool] | None = None, id_only: bool = False
    ) -> Example:
        """A ranking sequence. The loss is on reasoning and ID, with `id_only` on the ID alone, and on the prompt where
        `loss_on_prompt` says so."""
        thought, answer = self.reasoning(text), self.answer(item)
        tail, head = thought + answer, loss_on_prompt or [False] * len(prompt)
        if id_only:
            return Example(prompt + tail, head + [False] * len(thought) + [True] * len(answer))
        if not text:  # an empty `<think></think>` is given, not predicted
            return Example(prompt + tail, head + [False] + [True] * (len(tail) - 1))
        return Example(prompt + tail, head + [True] * len(tail))

    def past_clicks(self, request: SearchRequest) -> list[bool]:
        """Which tokens of the request's prompt are IDs of items that were clicked (not merely shown)."""
        text = self.context(request).to_json()
        spans = [m.span(1) for m in _CLICKED.finditer(text)]
        read = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        known = set(token_ids(self.tokenizer, self.sids.tokens()))
        inside = (any(a <= start < b for a, b in spans) for start, _ in read.offset_mapping)
        return [False, *(i in known and yes for i, yes in zip(read.input_ids, inside, strict=True)), False]

    def item_prompt(self, item: int) -> list[int]:
        """`<bos> item <think>`: the model's next token begins the reasoning before its ID."""
        return [self.bos, *self.encode(item_context(self.log.items[item])), self.think]

    def sid_prompt(self, item: int) -> list[int]:
        """`<bos> {"sid":"ID"}`: what a title is asked for with."""
        return [self.bos, *self.encode(f'{{"sid":"{self.sids.to_string(item)}"}}')]

    def title(self, item: int) -> list[int]:
        """`title <eos>`."""
        return [*self.encode(escape(self.log.items[item].title)), self.eos]


def item_to_sid(codec: Codec) -> list[Example]:
    """Item text -> ID, one per item (paper, alignment)."""
    return [codec.ranking(codec.item_prompt(i.id), "", i.id) for i in codec.log.items]


def sid_to_item(codec: Codec) -> list[Example]:
    """ID -> title, one per item (paper, alignment)."""
    out = []
    for item in codec.log.items:
        prompt, title = codec.sid_prompt(item.id), codec.title(item.id)
        out.append(Example(prompt + title, [False] * len(prompt) + [True] * len(title)))
    return out


def specification_to_sid(
    codec: Codec, describe: Callable[[dict, np.random.Generator], str], n: int, seed: int
) -> list[Example]:
    """Partial-attribute text, in the words of a conclusion, -> ID of an item that has these attributes (our choice).

    Meant to teach the decoder to follow what the reasoning says. Items are drawn by their share of
    training clicks (plus one), so among items that fit, the popular one is expected first.
    """
    rng = np.random.default_rng(seed)
    clicks = np.ones(len(codec.log.items))
    np.add.at(clicks, [r.target for r in codec.log.split("train")], 1)
    clicks *= [bool(item.facets()) for item in codec.log.items]  # of some items a log says nothing
    out, n = [], n if clicks.any() else 0
    for item in rng.choice(len(clicks), size=n, p=clicks / clicks.sum()) if n else ():
        facets = codec.log.items[item].facets()
        keys = rng.permutation(list(facets))[: rng.integers(1, len(facets) + 1)]
        claims = {k: v for k, v in facets.items() if k in keys}
        out.append(codec.ranking([codec.bos, codec.think], describe(claims, rng), int(item)))
    return out


def context_to_sid(codec: Codec, requests: Sequence[SearchRequest], reconstruct: float = 0.0) -> list[Example]:
    """Context -> ID without reasoning.

    With `reconstruct` > 0 this is the alignment task. A share `reconstruct` of the contexts is predicted token by token
    (context reconstruction: our reading of the paper); of the others only the IDs that were clicked in the past, for
    each is one more lesson in context -> ID. What was shown, when and where cannot be foreseen, and trying to
    drowns the lesson in noise.
    """
    out = []
    for n, r in enumerate(requests):
        prompt = codec.prompt(r)
        whole = int((n + 1) * reconstruct) > int(n * reconstruct)
        lessons = [True] * len(prompt) if whole else codec.past_clicks(r) if reconstruct else None
        out.append(codec.ranking(prompt, "", r.target, lessons))
    return out


def reasoned(
    codec: Codec, pairs: Sequence[tuple[SearchRequest, str, int]], id_only: bool = False, replay: float = 0.0
) -> list[Example]:
    """Context -> reasoning and ID: (request, reasoning text, item). For a share `replay` of them, evenly spread, the
    lesson is the direct answer instead: what was known without reasoning is not forgotten unseen."""
    out = []
    for n, (r, text, item) in enumerate(pairs):
        direct = int((n + 1) * replay) > int(n * replay)
        out.append(codec.ranking(codec.prompt(r), "" if direct else text, item, id_only=id_only and not direct))
    return out


def token_batches(lengths: Sequence[int], budget: int, seed: int) -> list[list[int]]:
    """Indices in batches of similar length, at most `budget` tokens each after padding, in random order."""
    rng = np.random.default_rng(seed)
    noise = rng.random(len(lengths))
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], noise[i]))
    batches: list[list[int]] = []
    for i in order:
        if batches and lengths[i] * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(i)
        else:
            batches.append([i])
    return [batches[b] for b in rng.permutation(len(batches))]
