"""A pretrained backbone without a GPU: how fast it trains on this machine, and how long its stages would take.

Hours are arithmetic: tokens of the lessons, times their passes, over tokens a second. Nothing of it was run to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import process_time

import pandas as pd
import torch
from pydantic import BaseModel, FiniteFloat
from transformers import AutoModelForCausalLM, LlamaConfig

from crs_lite.files import read_json
from crs_lite.model import backbones, bfloat16
from crs_lite.model.precision import Precision
from crs_lite.prepared import Prepared
from crs_lite.sft import masked_loss
from crs_lite.study.timing import Row, pair, timed
from crs_lite.tasks import Example, context_to_sid, reasoned
from crs_lite.training import about_items

# SmolLM2-135M's sizes; the weights do not matter for time.
SMOLLM2 = LlamaConfig(
    vocab_size=49152, hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
    intermediate_size=1536, tie_word_embeddings=True,
)  # fmt: skip
STEP = (2, 384)  # texts and tokens of a step


def steps(repeats: int = 2, config: LlamaConfig = SMOLLM2) -> list[Row]:
    """A training step of a pretrained backbone, optimiser included, in bfloat16 passes ("ours") and in float32. In CPU
    seconds, so that it matters little what else the machine does."""
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    ids = torch.randint(config.vocab_size, STEP, generator=torch.Generator().manual_seed(0))
    optimizer, precision = torch.optim.AdamW(model.parameters(), lr=1e-6), Precision("float32", "cpu")

    def work() -> None:
        total, n, _ = masked_loss(model, ids, ids)
        precision.step(total / n, model, optimizer, 1.0)

    def rounded() -> float:
        bfloat16.round_weights(model)
        try:
            return timed(work, process_time)()
        finally:
            bfloat16.plain_weights(model)

    ours, stock = pair(rounded, timed(work, process_time), repeats)
    speeds = [ids.numel() / seconds for seconds in (ours, stock)]
    note = f'{speeds[0]:.0f} tokens a CPU second in bfloat16, {speeds[1]:.0f} in float32 ("stock"); '
    note += f"{ids.numel()} tokens and one update; threads: {torch.get_num_threads()}"
    return [Row(f"a training step of {backbones.n_parameters(model) / 1e6:.0f} M weights", ours, stock, None, note)]


class Lessons(BaseModel):
    """Of one supervised stage: how many lessons, their mean length in tokens, and the passes over them."""

    stage: str
    lessons: int
    length: FiniteFloat
    passes: int

    @property
    def tokens(self) -> float:
        """What the stage reads in all."""
        return self.lessons * self.length * self.passes


class Counted(BaseModel):
    """What was counted, and how."""

    stages: list[Lessons]
    log: str
    profile: str
    backbone: str
    parameters: int
    command: str
    commit: str


def count(p: Prepared, n: int = 50) -> list[Lessons]:
    """What the supervised stages of a run read.

    Lessons about items are counted whole, those about requests on `n` of them, evenly spread. Padding, a few per cent,
    is not counted."""

    def row(stage: str, examples: Sequence[Example], lessons: int, passes: int) -> Lessons:
        length = sum(len(e.ids) for e in examples) / max(1, len(examples))
        return Lessons(stage=stage, lessons=lessons, length=length, passes=passes)

    def some(requests: list) -> list:
        return [requests[i * len(requests) // n] for i in range(n)] if len(requests) > n else requests

    profile, codec = p.profile, p.codec
    items = about_items(p)
    contexts = context_to_sid(codec, some(p.train), profile.align_reconstruct)
    answers = context_to_sid(codec, some(p.taught))
    thoughts = reasoned(codec, [(r, p.lesson(r), r.target) for r in some(p.taught)], replay=profile.replay)
    return [
        row("alignment: items", items, len(items), profile.align_context_epochs),
        row("alignment: contexts", contexts, len(p.train), profile.align_context_epochs),
        row("direct", answers, len(p.taught), profile.sft_epochs),
        row("distillation", thoughts, len(p.taught), profile.sft_epochs),
    ]


def counted(p: Prepared, command: str, commit: str) -> Counted:
    """`count`, with its origin."""
    about = {"log": p.log.name, "profile": p.profile.name, "backbone": p.profile.backbone}
    parameters = p.fresh.info["parameters"]
    return Counted(stages=count(p), **about, parameters=parameters, command=command, commit=commit)


def load(path: Path) -> Counted:
    """Raises `CRSError` naming the file when it is missing or damaged."""
    return read_json(path, Counted, "make it with `python -m crs_lite hours --record`.")


def hours(stages: Sequence[Lessons], measured: dict) -> pd.DataFrame:
    """What the stages read, and the hours of one core that it takes at a measured speed (a row of the benchmark, see
    `steps`), in bfloat16 and in float32: tokens / tokens a CPU second / 3600. The last row is all of them.

    Rather too many: the benchmark predicts every token, and the stages few, whose logits are a fifth of a step."""
    made = pd.DataFrame([{**s.model_dump(), "tokens": s.tokens} for s in stages])
    for name, key in (("bfloat16", "ours"), ("float32", "stock")):
        made[name] = made["tokens"] / (STEP[0] * STEP[1] / measured[key]) / 3600
    whole = made[["tokens", "bfloat16", "float32"]].sum()
    return pd.concat([made, pd.DataFrame([{"stage": "all", **whole}])], ignore_index=True).set_index("stage")


def markdown(made: Counted, bench: dict) -> str:
    """The table of `hours` for a page, at the speed that a benchmark file recorded, with both origins."""
    speed = bench["bench"]["pretrained"]
    lines = [
        "| | lessons | tokens a lesson | passes | tokens | hours in bfloat16 | hours in float32 |",
        "|" + " --- |" * 7,
    ]
    for stage, row in hours(made.stages, speed["rows"][0]).iterrows():
        cells = ["" if pd.isna(row[k]) else f"{row[k]:,.0f}" for k in ("lessons", "length", "passes", "tokens")]
        lines.append(f"| {stage} | " + " | ".join([*cells, f"{row['bfloat16']:.1f}", f"{row['float32']:.1f}"]) + " |")
    where = f"Log {made.log}, profile {made.profile}, {made.backbone} with {made.parameters:,} parameters; "
    where += f"`{made.command}`, commit {made.commit[:7]}. Speed: {speed['hardware']}, {speed['date']}."
    return "\n".join(lines) + f"\n\n{where}\n"
