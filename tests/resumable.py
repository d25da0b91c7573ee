"""Training that dies where it is told to, for `test_resume` and `test_unfinished`; also a program to be killed.

Arguments of the program: kind ("sft", "rl", "lora", or "sft rounded", "rl rounded": in bfloat16 passes), folder of a
workspace, step at which it kills itself (-1: never).
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from two_processes import fresh_model, tokenizer

from crs_lite import rl, sft, unfinished
from crs_lite.files import write_json
from crs_lite.model import backbones, bfloat16
from crs_lite.rl import RLConfig, Vocabulary
from crs_lite.tasks import Example
from crs_lite.trie import Trie
from crs_lite.unfinished import Keeper, fit
from crs_lite.workspace import UNFINISHED, Workspace

torch.set_num_threads(1)


class Death(Exception):
    """The power is cut."""


def learn(kind: str, folder: Path, die) -> None:
    """One stage: `die(n)` is called in the middle of the n-th step that this process makes."""
    model, steps = fresh_model(), [0]
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3 if p.ndim > 1 else 1)
    if kind == "lora":
        model = backbones.adapt(model, 2)
    if kind.endswith(" rounded"):
        model, kind = bfloat16.round_weights(model), kind.removesuffix(" rounded")
    keeper = Keeper(folder / UNFINISHED)
    if kind == "rl":
        rng = np.random.default_rng(0)
        codes = np.unique(rng.integers(0, [6, 6, 6, 12], size=(30, 4)), axis=0) + np.array([40, 46, 52, 58])
        examples = [(rng.integers(4, 40, size=n).tolist(), n) for n in range(3, 9)]

        def roll_out(*given):
            roll = rl.rollout(*given)
            steps[0] += 1
            die(steps[0])
            return roll

        config = RLConfig(steps=8, prompts=4, group=3, beams=4, max_reasoning=6, lr=1e-2, kl=0.1)
        trie, vocab, log = Trie.build(codes), Vocabulary(0, 3, codes), folder / "steps.jsonl"
        rl.train(model, fresh_model(), examples, trie, vocab, config, 0, log, roll_out=roll_out, keeper=keeper)
    else:
        rng = np.random.default_rng(0)
        rows = [rng.integers(4, 80, size=rng.integers(4, 20)).tolist() for _ in range(30)]
        examples = [Example(ids, [bool(rng.random() < 0.5) for _ in ids]) for ids in rows]
        real = sft.masked_loss

        def dying(*given):
            steps[0] += 1
            die(steps[0])
            return real(*given)

        sft.masked_loss = dying
        try:
            log = sft.train(
                model, tokenizer(), examples, epochs=3, lr=3e-3, batch_tokens=80, seed=0, accumulate=2, log_every=2,
                fit=lambda trainer: fit(trainer, keeper),
            )  # fmt: skip
        finally:
            sft.masked_loss = real
        write_json(folder / "log.json", log)
    write_json(folder / "after.json", [torch.rand(1).item(), np.random.rand()])  # the generators stand where they would
    backbones.save(folder, backbones.merged(model))


def run(kind: str, root: Path, die=lambda n: None, **depends):
    """The stage in a workspace; every step is saved."""
    unfinished.SECONDS = 0.0
    return Workspace(root, 0).run(kind, depends, lambda folder: learn(kind, folder, die))


def outcome(folder: Path) -> dict:
    """All that a finished stage holds, but for what measures time."""
    timed = ("seconds", "runtime", "per_second")
    rows = []
    for path in sorted(folder.glob("*log.json")) + sorted(folder.glob("steps.jsonl")):
        text = path.read_text(encoding="utf-8")
        rows += json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    rows = [{k: v for k, v in row.items() if not any(t in k for t in timed)} for row in rows]
    names = sorted(p.name for p in folder.iterdir())
    after = (folder / "after.json").read_text(encoding="utf-8")
    return {"names": names, "rows": rows, "after": after, "weights": (folder / "model.safetensors").read_bytes()}


if __name__ == "__main__":
    at = int(sys.argv[3])
    run(sys.argv[1], Path(sys.argv[2]), lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == at else None)
