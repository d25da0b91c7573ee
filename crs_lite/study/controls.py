"""Rankers that lack one thing, so that one can say what it is worth: a conclusion of its own, a conclusion at all, the
whole history. And what stands for several thoughts where there are no words: forgetful contexts, perturbed latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from crs_lite.decode import beam_search, force, plant
from crs_lite.logs import SearchRequest
from crs_lite.merging import merged_lists
from crs_lite.model import backbones
from crs_lite.prepared import Prepared
from crs_lite.ranker import CRSRanker, rank_with
from crs_lite.reasoning.perception import parts_of
from crs_lite.scoring import crs_ranker
from crs_lite.study.learned_baselines import Latent
from crs_lite.trie import Trie

DROPPED = 0.3  # chance that a past interaction is left out of a context (our choice)


def given(p: Prepared, reason: Callable[[SearchRequest], str], name: str, folder: Path) -> CRSRanker:
    """CRS under reasoning that code writes, such as what is to be seen and counted, without a conclusion."""
    return crs_ranker(p, folder, reason, name)


class Swapped:
    """CRS that reads its own thought up to the conclusion, and then the conclusion of another request: the one half
    the requests further on."""

    def __init__(self, p: Prepared, name: str, folder: Path):
        self.p, self.name, self.inner = p, name, crs_ranker(p, folder, "own", name)

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """-> item ids `(n, k)`, best first."""
        self.inner.rank(requests, 4)
        heads, conclusions = zip(*map(parts_of, self.inner.thoughts), strict=True)
        other = np.roll(np.array(conclusions, dtype=object), len(requests) // 2)
        texts = [head + text for head, text in zip(heads, other, strict=True)]
        return rank_with(self.inner.model, self.p.codec, k, self.p.profile.eval_batch)(requests, texts)


class Forgetful:
    """Direct answers to `contexts` versions of a request, merged as thoughts are: the context as it is, and others from
    which every past interaction was dropped with a chance of `DROPPED`. `beams` items a version; after `rank`, `held`
    and `logp` `(n, contexts, K)` are what each version led to."""

    def __init__(self, p: Prepared, name: str, folder: Path, contexts: int = 16, beams: int = 20):
        self.name, self.codec, self.model = name, p.codec, backbones.load_model(folder)
        self.contexts, self.beams, self.seed = contexts, beams, p.seed
        self.batch = max(1, p.profile.eval_batch // contexts)
        self.trie = Trie.build(p.codec.sid_ids).to(self.model.device)

    def prompts(self, request: SearchRequest) -> list[list[int]]:
        """The prompts of all versions, the whole one first."""
        codec, rng = self.codec, np.random.default_rng([self.seed, request.id])
        whole, out = codec.context(request), [codec.prompt(request)]
        for _ in range(self.contexts - 1):
            kept = tuple(past for past in whole.history if rng.random() >= DROPPED)
            text = whole.model_copy(update={"history": kept}).to_json()
            out.append([codec.bos, *codec.encode(text), codec.think])
        return out

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """-> item ids `(n, k)`, best first."""
        codec, width = self.codec, max(self.beams, k)
        shape = (len(requests), self.contexts, width)
        self.held, self.logp = np.full(shape, -1), np.full(shape, -np.inf)
        for start in tqdm(range(0, len(requests), self.batch), desc=f"rank: {self.name}", mininterval=5):
            prompts = [prompt for r in requests[start : start + self.batch] for prompt in self.prompts(r)]
            tree = force(plant(self.model, prompts, codec.pad), [[codec.end_think]] * len(prompts), codec.pad)
            items, logp = (x[:, 0].cpu().numpy() for x in beam_search(tree, self.trie, width))
            rows = slice(start, start + len(prompts) // self.contexts)
            self.held[rows], self.logp[rows] = (x.reshape(-1, self.contexts, width) for x in (items, logp))
        return merged_lists(self.held, self.logp, k)


class Perturbed:
    """LatentR3 behind `chains` chains of latents, merged as thoughts are: the latents as they are, and others with
    Gaussian `noise`. `beams` items a chain."""

    def __init__(self, p: Prepared, name: str, noise: float, folder: Path, chains: int = 16, beams: int = 20):
        self.name, self.noise, self.inner = name, noise, Latent(p).ranker(folder)
        self.chains, self.beams, self.seed, self.batch = chains, beams, p.seed, max(1, p.profile.eval_batch // chains)

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """-> item ids `(n, k)`, best first."""
        prompts, width = [self.inner.codec.prompt(r) for r in requests], max(self.beams, k)
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        generator = torch.Generator(self.inner.model.device).manual_seed(self.seed)
        shape = (len(requests), self.chains, width)
        held, logp = np.full(shape, -1), np.full(shape, -np.inf)
        for start in tqdm(range(0, len(order), self.batch), desc=f"rank: {self.name}", mininterval=5):
            rows = order[start : start + self.batch]
            some = [prompts[i] for i in rows]
            held[rows], logp[rows] = self.inner.beams(some, width, self.chains, self.noise, generator)
        return merged_lists(held, logp, k)
