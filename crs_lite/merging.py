"""Think several times, and merge: one thought commits to a brand or a style, a sum over thoughts gives the doubt back.

p(item | context) is the mean of p(item | context, thought) over the thoughts the model might have. It is estimated from
M sampled thoughts, each with its own beams (our choice; the paper infers with one thought).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from crs_lite.decode import Tree, beam_search, plant, sample
from crs_lite.logs import SearchRequest
from crs_lite.reasoning.perception import LINE
from crs_lite.tasks import Codec
from crs_lite.trie import Trie


def merge(items: np.ndarray, logp: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Lists of M thoughts -> one list: items (-1: none), logp `(M, K)` -> the k items with the highest mean probability
    and these probabilities, `(k,)`; -1 and 0 at the end where fewer are held.

    What no beam of a thought holds counts zero there, so the means are lower bounds that wider beams raise. Items with
    the same mean stand by id.
    """
    held = items >= 0
    found, where = np.unique(items[held], return_inverse=True)
    mean = np.bincount(where, weights=np.exp(logp[held]), minlength=len(found)) / len(items)
    best = np.argsort(-mean, kind="stable")[:k]
    out, p = np.full(k, -1, dtype=np.int64), np.zeros(k)
    out[: len(best)], p[: len(best)] = found[best], mean[best]
    return out, p


def merged_lists(held: np.ndarray, logp: np.ndarray, k: int) -> np.ndarray:
    """Items and log-probabilities `(n, M, K)` of M versions of every request -> the merged lists `(n, k)`."""
    return np.array([merge(items, p, k)[0] for items, p in zip(held, logp, strict=True)]).reshape(len(held), k)


class MergingRanker:
    """CRS that thinks `thoughts` times at a `temperature` and merges, `beams` items a thought (wider than a list).

    What is seen and counted is decoded once, greedily; the conclusions branch from that cache. One thought is greedy,
    with beams as wide as the list: then the list is `CRSRanker`'s own. After `rank`, `drawn` holds each thought's text,
    `held` its items `(n, M, K)` and `logp` their log-probabilities; lists of fewer thoughts are read from them.
    """

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        codec: Codec,
        thoughts: int = 16,
        temperature: float = 0.7,
        beams: int = 20,
        perceives: bool = False,
        max_reasoning: int = 64,
        batch: int = 16,
        seed: int = 0,
    ):
        self.name, self.model, self.codec = name, model.eval(), codec
        self.thoughts, self.temperature, self.beams = thoughts, temperature if thoughts > 1 else 0.0, beams
        self.perceives, self.max_reasoning, self.batch, self.seed = perceives, max_reasoning, batch, seed
        self.trie = Trie.build(codec.sid_ids).to(model.device)
        self.line = codec.encode(LINE)[-1]

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """-> item ids `(n, k)`, best first."""
        n, m = len(requests), self.thoughts
        width = k if m == 1 else max(self.beams, k)
        self.held, self.logp = np.full((n, m, width), -1), np.full((n, m, width), -np.inf)
        self.drawn: list[list[str]] = [[] for _ in requests]
        generator = torch.Generator(self.model.device).manual_seed(self.seed)
        prompts = [self.codec.prompt(r) for r in requests]
        order = sorted(range(n), key=lambda i: len(prompts[i]))  # prompts of similar length together
        batches = range(0, n, self.batch)
        for start in tqdm(batches, desc=f"think and merge: {self.name}", mininterval=5):
            rows = order[start : start + self.batch]
            tree, texts = self._think([prompts[i] for i in rows], generator)
            items, logp = beam_search(tree, self.trie, width)
            self.held[rows], self.logp[rows] = items.cpu().numpy(), logp.cpu().numpy()
            for i, text in zip(rows, texts, strict=True):
                self.drawn[i] = text
        return self.merged(m, k)

    def _think(self, prompts: list[list[int]], generator: torch.Generator) -> tuple[Tree, list[list[str]]]:
        """Thoughts of every prompt: the tree behind each, and the texts `(B, M)`."""
        codec, tree = self.codec, plant(self.model, prompts, self.codec.pad)
        heads = [[] for _ in prompts]
        if self.perceives:
            seen = sample(tree, 1, self.line, self.max_reasoning, 0.0)
            tree, heads = seen.tree, [seen.rows(b, 0) for b in range(len(prompts))]
        drawn = sample(tree, self.thoughts, codec.end_think, self.max_reasoning, self.temperature, generator)
        each = range(self.thoughts)
        texts = [[codec.decode(head + drawn.rows(b, g)[:-1]) for g in each] for b, head in enumerate(heads)]
        return drawn.tree, texts

    def merged(self, m: int, k: int) -> np.ndarray:
        """The lists `(n, k)` of the first m thoughts."""
        return merged_lists(self.held[:, :m], self.logp[:, :m], k)
