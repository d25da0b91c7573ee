"""A pretrained backbone without a GPU: how fast it trains on this machine, and how long its stages would take.

Hours are arithmetic: tokens of the lessons, times their passes, over tokens a second. Nothing of it was run to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import process_time

import pandas as pd
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

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


def tokens(p: Prepared, n: int = 50) -> pd.DataFrame:
    """What the supervised stages of a run read: stage -> lessons, mean tokens a lesson, passes over them, all tokens.

    Lessons about items are counted whole, those about requests on `n` of them, evenly spread. Padding, a few per cent,
    is not counted."""

    def mean(examples: Sequence[Example]) -> float:
        return sum(len(e.ids) for e in examples) / max(1, len(examples))

    def some(requests: list) -> list:
        return [requests[i * len(requests) // n] for i in range(n)] if len(requests) > n else requests

    profile, codec = p.profile, p.codec
    items = about_items(p)
    contexts = context_to_sid(codec, some(p.train), profile.align_reconstruct)
    answers = context_to_sid(codec, some(p.taught))
    thoughts = reasoned(codec, [(r, p.lesson(r), r.target) for r in some(p.taught)], replay=profile.replay)
    rows = [
        ("alignment: items", len(items), mean(items), profile.align_context_epochs),
        ("alignment: contexts", len(p.train), mean(contexts), profile.align_context_epochs),
        ("direct", len(p.taught), mean(answers), profile.sft_epochs),
        ("distillation", len(p.taught), mean(thoughts), profile.sft_epochs),
    ]
    table = pd.DataFrame(rows, columns=["stage", "lessons", "tokens a lesson", "passes"]).set_index("stage")
    return table.assign(tokens=table["lessons"] * table["tokens a lesson"] * table["passes"])


def hours(table: pd.DataFrame, measured: dict) -> pd.DataFrame:
    """The table of `tokens` with the hours of one core that they take at a measured speed (a row of the benchmark, see
    `steps`), in bfloat16 and in float32: tokens / tokens a CPU second / 3600; and their sum.

    Rather too many: the benchmark predicts every token, and the stages few, whose logits are a fifth of a step."""
    seconds = {"hours, bfloat16": measured["ours"], "hours, float32": measured["stock"]}
    a_second = {name: STEP[0] * STEP[1] / s for name, s in seconds.items()}
    made = table.assign(**{name: table["tokens"] / speed / 3600 for name, speed in a_second.items()})
    whole = made[["tokens", *seconds]].sum().rename("all")
    return pd.concat([made, whole.to_frame().T])
