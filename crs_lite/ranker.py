"""CRS as a `Ranker`: reasoning first, then beams over the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from crs_lite.decode import Tree, beam_search, force, plant, sample
from crs_lite.logs import SearchRequest
from crs_lite.tasks import Codec
from crs_lite.trie import Trie


class CRSRanker:
    """Ranks with one checkpoint. `reason` says where the reasoning comes from:

    "own": the model's own, greedy; "none": no reasoning, a direct answer; or a function request -> text, whose text
    is put in place of the model's (the true-reasoning probe). After `rank`, `thoughts` holds the reasoning used.
    """

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        codec: Codec,
        reason: str | Callable[[SearchRequest], str] = "own",
        max_reasoning: int = 64,
        batch: int = 64,
        progress: bool = True,
    ):
        self.name, self.model, self.codec, self.reason = name, model.eval(), codec, reason
        self.max_reasoning, self.batch, self.progress = max_reasoning, batch, progress
        self.trie = Trie.build(codec.sid_ids).to(model.device)
        self.thoughts: list[str] = []

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """-> item ids `(n, k)`, best first."""
        prompts = [self.codec.prompt(r) for r in requests]
        # Prompts of similar length together: padding is wasted work.
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        ranked = np.full((len(requests), k), -1)
        self.thoughts = [""] * len(requests)
        batches = range(0, len(order), self.batch)
        for start in tqdm(batches, desc=f"rank: {self.name}", mininterval=5, disable=not self.progress):
            rows = order[start : start + self.batch]
            tree, thoughts = self._reasoned([requests[i] for i in rows], [prompts[i] for i in rows])
            items, _ = beam_search(tree, self.trie, k)
            ranked[rows] = items[:, 0].cpu().numpy()
            for i, text in zip(rows, thoughts, strict=True):
                self.thoughts[i] = text
        return ranked

    def _reasoned(self, requests: list[SearchRequest], prompts: list[list[int]]) -> tuple[Tree, list[str]]:
        codec = self.codec
        tree = plant(self.model, prompts, codec.pad)
        if self.reason == "own":
            drawn = sample(tree, 1, codec.end_think, self.max_reasoning, 0.0)
            return drawn.tree, [codec.decode(drawn.rows(b, 0)[:-1]) for b in range(len(prompts))]
        texts = [""] * len(requests) if self.reason == "none" else [self.reason(r) for r in requests]
        return force(tree, [codec.reasoning(t) for t in texts], codec.pad), texts


def rank_with(
    model: PreTrainedModel, codec: Codec, k: int, batch: int = 64
) -> Callable[[Sequence[SearchRequest], Sequence[str]], np.ndarray]:
    """-> a function (requests, texts) -> item ids `(n, k)`: the lists that given reasoning leads to."""

    def rank(requests: Sequence[SearchRequest], texts: Sequence[str]) -> np.ndarray:
        text_of = {r.id: text for r, text in zip(requests, texts, strict=True)}
        return CRSRanker("given reasoning", model, codec, lambda r: text_of[r.id], batch=batch).rank(requests, k)

    return rank


@torch.no_grad()
def sample_thoughts(
    model: PreTrainedModel,
    codec: Codec,
    requests: Sequence[SearchRequest],
    n: int,
    temperature: float,
    max_reasoning: int,
    batch: int,
    seed: int,
    prompt: Callable[[SearchRequest], list[int]] | None = None,
) -> list[list[tuple[str, int, bool]]]:
    """n sampled trajectories per request, each judged by its own beam: (reasoning, first item, well formed: closed by
    the model itself, with no ID or control token inside)."""
    trie = Trie.build(codec.sid_ids).to(model.device)
    generator = torch.Generator(model.device).manual_seed(seed)
    out: list[list[tuple[str, int, bool]]] = []
    for start in tqdm(range(0, len(requests), batch), desc="collect", mininterval=5):
        prompts = [(prompt or codec.prompt)(r) for r in requests[start : start + batch]]
        drawn = sample(plant(model, prompts, codec.pad), n, codec.end_think, max_reasoning, temperature, generator)
        items, _ = beam_search(drawn.tree, trie, 4)
        formed = drawn.closed & ~(torch.isin(drawn.token, codec.not_words(drawn.token.device)) & drawn.mask).any(-1)
        for b in range(len(prompts)):
            rows = [codec.decode(drawn.rows(b, g)[:-1]) for g in range(n)]
            out.append(list(zip(rows, items[b, :, 0].tolist(), formed[b].tolist(), strict=True)))
    return out


def roundtrip(model: PreTrainedModel, codec: Codec, most: int = 1000, batch: int = 64) -> dict[str, float]:
    """Alignment check over the catalogue: item -> ID (HR@1 among all items) and ID -> title (share exactly right).

    Of a larger catalogue, `most` items spread evenly over it are tried.
    """
    trie = Trie.build(codec.sid_ids).to(model.device)
    tried = np.unique(np.linspace(0, len(codec.log.items) - 1, min(most, len(codec.log.items))).astype(int)).tolist()
    tried.sort(key=lambda i: len(codec.item_prompt(i)))
    n, found, exact = len(tried), 0, 0
    for start in tqdm(range(0, n, batch), desc="item <-> ID", mininterval=5):
        items = tried[start : start + batch]
        tree = force(
            plant(model, [codec.item_prompt(i) for i in items], codec.pad), [[codec.end_think]] * len(items), codec.pad
        )
        first = beam_search(tree, trie, 4)[0][:, 0, 0].tolist()
        found += sum(a == b for a, b in zip(first, items, strict=True))
        titles = [codec.title(i) for i in items]
        drawn = sample(
            plant(model, [codec.sid_prompt(i) for i in items], codec.pad), 1, codec.eos, max(map(len, titles)) + 1, 0.0
        )
        exact += sum(drawn.rows(b, 0) == title for b, title in enumerate(titles))
    return {"items_tried": n, "item_to_sid_hr1": found / n, "sid_to_title_exact": exact / n}
