"""The self-evolving loop (paper, self-evolving post-training): explore by RL what the model gets wrong, then
consolidate by SFT what it gets right.

One round: `split` -> `explore` -> `collect`, then SFT on what was collected (`sft.train`). Each is a plain function of
a checkpoint and data; `training.py` makes stages of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from transformers import PreTrainedModel

from crs_lite import rl
from crs_lite.logs import SearchRequest
from crs_lite.model.precision import best_dtype
from crs_lite.profiles import Profile
from crs_lite.ranker import CRSRanker, sample_thoughts
from crs_lite.tasks import Codec
from crs_lite.trie import Trie

Prompt = Callable[[SearchRequest], list[int]]  # where reasoning begins
_FROM_PROFILE = ("steps", "prompts", "group", "beams", "lr", "temperature", "kl")  # budgets called rl_... there


def split(
    model: PreTrainedModel, codec: Codec, requests: Sequence[SearchRequest], profile: Profile
) -> dict[str, list[int]]:
    """Row numbers of the requests whose target the model's own reasoning puts first (`right`) or not (`wrong`)."""
    ranker = CRSRanker("split", model, codec, "own", profile.max_reasoning, profile.eval_batch)
    first = ranker.rank(requests, 4)[:, 0]
    right = first == np.array([r.target for r in requests])
    return {"right": np.flatnonzero(right).tolist(), "wrong": np.flatnonzero(~right).tolist()}


def rl_config(profile: Profile, arm: rl.Arm = "rgrpo", **changes) -> rl.RLConfig:
    """The RL budget of a profile, the same for every arm."""
    same = {name: getattr(profile, f"rl_{name}") for name in _FROM_PROFILE}
    longest = min(profile.max_reasoning, profile.max_conclusion)
    config = rl.RLConfig(arm=arm, max_reasoning=longest, dtype=best_dtype(profile.dtype), **same)
    return replace(config, **changes)


def explore(
    model: PreTrainedModel,
    reference: PreTrainedModel | None,
    codec: Codec,
    wrong: Sequence[SearchRequest],
    config: rl.RLConfig,
    seed: int,
    log_file: Path,
    prompt: Prompt | None = None,
    roll_out: Callable[..., rl.Rollout] = rl.rollout,
    keeper=None,
) -> list[dict]:
    """RL on the requests the model gets wrong. The model changes in place; `reference`, the round's start, anchors the
    KL. `prompt`: where reasoning begins, by default behind the context. `keeper`: see `rl.train`."""
    trie, vocab = Trie.build(codec.sid_ids), rl.Vocabulary.of(codec)
    examples = [((prompt or codec.prompt)(r), r.target) for r in wrong]
    return rl.train(model, reference, examples, trie, vocab, config, seed, log_file, None, roll_out, keeper)


def collect(
    model: PreTrainedModel,
    codec: Codec,
    requests: Sequence[SearchRequest],
    profile: Profile,
    seed: int,
    prompt: Prompt | None = None,
    keep: Literal["correct", "all"] = "correct",
) -> list[tuple[int, str]]:
    """Sampled reasoning that is well formed and whose prediction is correct: (row number, reasoning), at most one per
    request; with `keep` "all", whether it is correct or not.

    Several such trajectories of one request differ in luck more than in truth; one drawn at random is kept.
    """
    rng = np.random.default_rng(seed)
    longest = min(profile.max_reasoning, profile.max_conclusion)
    budgets = (profile.collect_samples, profile.rl_temperature, longest, profile.eval_batch)
    drawn = sample_thoughts(model, codec, requests, *budgets, seed, prompt)
    kept = []
    for row, (request, thoughts) in enumerate(zip(requests, drawn, strict=True)):
        good = sorted(
            {text for text, item, formed in thoughts if formed and text and (keep == "all" or item == request.target)}
        )
        if good:
            kept.append((row, good[rng.integers(len(good))]))
    return kept
