"""What `model/test_distributed` starts, alone or under `accelerate launch`: SFT, and an update on a recorded rollout.

Writes losses and weights to the folder given; arguments: folder, batches an SFT step takes in each process.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from crs_lite import sft
from crs_lite.model import distributed
from crs_lite.model.backbones import tiny_model
from crs_lite.profiles import get_profile
from crs_lite.rl import RLConfig, Rollout, Vocabulary, update
from crs_lite.tasks import Example

torch.set_num_threads(1)


def fresh_model():
    torch.manual_seed(0)
    return tiny_model(get_profile("smoke", hidden=32, heads=2, ffn=64), 80)


def tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({f"t{i}": i for i in range(80)}, unk_token="t0"))
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="t0", eos_token="t1")


def recorded_rollout(loss: str) -> tuple[Rollout, RLConfig]:
    """Four prompts, one of them silent; completions of different lengths."""
    rng = np.random.default_rng(0)
    prompts = [rng.integers(4, 40, size=n).tolist() for n in (3, 9, 6, 5)]
    mask = torch.arange(7) < torch.tensor(rng.integers(1, 8, size=(4, 4)))[..., None]
    completion = torch.tensor(rng.integers(4, 70, size=(4, 4, 7))) * mask
    advantage = rng.standard_normal((4, 4))
    advantage[2] = 0
    heard = np.array([True, True, False, True])
    config = RLConfig(loss=loss, group=4, kl=0.1, kl_on_silent_groups=True, max_grad_norm=1e9)
    return Rollout(prompts, completion, mask, mask, torch.zeros(4, 4, 7), {}, advantage, advantage, heard), config


def share(roll: Rollout, rank: int, n: int) -> Rollout:
    rows = slice(rank, None, n)
    tensors = (getattr(roll, name)[rows] for name in ("completion", "mask", "chosen", "old_logprob"))
    return Rollout(roll.prompts[rows], *tensors, {}, roll.reward[rows], roll.advantage[rows], roll.informative[rows])


def main(folder: Path, accumulate: int) -> None:
    distributed.start()
    rank, n = distributed.process_number(), distributed.n_processes()
    rng = np.random.default_rng(0)
    # 66 rows make 12 batches, so that pairs come out even.
    rows = [rng.integers(4, 80, size=rng.integers(4, 20)).tolist() for _ in range(66)]
    examples = [Example(ids, [bool(rng.random() < 0.5) for _ in ids]) for ids in rows]
    model = fresh_model()
    log = sft.train(
        model, tokenizer(), examples, epochs=2, lr=3e-3, batch_tokens=80, seed=0, accumulate=accumulate, log_every=1
    )
    weights = {f"sft {name}": p.detach().clone() for name, p in model.named_parameters()}
    for loss in ("grpo", "dapo", "dr_grpo"):
        model, reference = fresh_model(), fresh_model()
        with torch.no_grad():
            for p in reference.parameters():
                p.mul_(1.1)
        roll, config = recorded_rollout(loss)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        update(
            model,
            reference,
            torch.optim.SGD(model.parameters(), lr=1.0),
            share(roll, rank, n),
            Vocabulary(0, 3, np.zeros((1, 4), int)),
            config,
        )
        # With learning rate 1, what changed is the gradient.
        weights |= {f"{loss} {name}": before[name] - p.detach() for name, p in model.named_parameters()}
    if rank == 0:
        save_file({name: w.contiguous().clone() for name, w in weights.items()}, folder / "weights.safetensors")
        losses = [row["loss"] for row in log if "loss" in row]
        (folder / "log.json").write_text(json.dumps({"processes": n, "loss": losses}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
