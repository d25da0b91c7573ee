"""Which schedule: SFT, RL, one after the other, or in turns? N2: all from one distilled start, with equal updates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from crs_lite import evolve
from crs_lite.model import backbones
from crs_lite.prepared import Prepared
from crs_lite.study.experiments.shared import TUNED, Made, later, tested
from crs_lite.tasks import Example, reasoned, token_batches
from crs_lite.training import align, distil, explained, explore, supervised
from crs_lite.workspace import Stage

TOKENS = 7200  # of an SFT step; one of R-GRPO reads and samples about 6,300 on the recorded pool (see the protocol)
# Each word is a stage that begins where the one before ended; it takes its share of twice `rl_steps` updates.
SCHEDULES: dict[str, tuple[str, ...]] = {
    "sft": ("sft",),
    "rl": ("rl",),
    "sft-rl": ("sft", "rl"),
    "rl-sft": ("rl", "sft"),
    "alternate": ("rl", "sft", "rl", "sft"),
}


def schedules(p: Prepared) -> Made:
    """The last checkpoint of every schedule; those that begin alike share their first stage."""
    start = later(distil, p, later(align, p))
    for name, words in SCHEDULES.items():
        steps = 2 * p.profile.rl_steps // len(words)
        about = {"words": list(words), "updates_a_stage": steps, "tokens_an_sft_step": TOKENS}
        yield name, partial(tested, p, f"schedule {name}", followed(p, start, name), **about)


def followed(p: Prepared, start: Stage | Callable[[], Stage], name: str, root: str = "schedule") -> Callable[[], Stage]:
    """The last stage of a schedule, made when it is asked for. `root`: how the folders of its stages begin."""
    words, stage = SCHEDULES[name], start
    steps = 2 * p.profile.rl_steps // len(words)
    for n, word in enumerate(words):
        path = f"{root}-{name}-{n}" if n else f"{root}-{word}-{steps}"
        if word == "rl":
            stage = later(explore, p, stage, "rgrpo", path, **TUNED["rgrpo"], steps=steps)
        else:
            stage = later(practise, p, stage, path=path, steps=steps)
    return stage


def practise(p: Prepared, start: Stage, path: str, steps: int) -> Stage:
    """SFT alone: `steps` updates of `TOKENS` tokens on the start's own reasoning that led to the target, from there."""

    def lessons() -> list[Example]:
        model = backbones.load_model(start.folder)
        kept = evolve.collect(model, p.codec, p.pool, p.profile, p.seed, p.thought_prompt)
        return as_many(reasoned(p.codec, explained(p, p.pool, kept)), steps, p.seed)

    q = replace(p, profile=replace(p.profile, batch_tokens=TOKENS))
    depends = {"steps": steps, "samples": p.profile.collect_samples, "temperature": p.profile.rl_temperature}
    return supervised(q, path, start, depends, lessons, p.profile.sft_lr)


def as_many(examples: list[Example], steps: int, seed: int) -> list[Example]:
    """The examples again and again, in a new order each time, as many as fill `steps` batches of `TOKENS` tokens."""
    rng, out = np.random.default_rng(seed), []
    if not examples:
        return out

    def batches(n: int) -> int:
        return len(token_batches([len(e.ids) for e in out[:n]], TOKENS, seed))

    while batches(len(out)) <= steps:
        out += [examples[i] for i in rng.permutation(len(examples))]
    low, high = 0, len(out)  # the most examples that still fit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if batches(middle) <= steps else (low, middle - 1)
    return out[:low]
