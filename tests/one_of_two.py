"""What `model/test_distributed` starts for a whole run, alone or under `accelerate launch`: the command line itself.

Arguments: a folder for notes, batches an SFT step takes in each process, and the words of the command. A process notes
a sha256 of the weights of every checkpoint it makes, so that the test can ask whether all hold the same model.
"""

import hashlib
import sys
from functools import partial
from pathlib import Path

import torch
import toy

from crs_lite import scoring, sft
from crs_lite.__main__ import main
from crs_lite.model import backbones, distributed

torch.set_num_threads(1)


def noting(save, notes: Path):
    def saved(folder, model, tokenizer=None):
        save(folder, model, tokenizer)
        weights = b"".join(p.detach().numpy().tobytes() for _, p in sorted(model.named_parameters()))
        with (notes / f"weights-{distributed.process_number()}.txt").open("a", encoding="utf-8") as f:
            f.write(f"{folder.name.split('.partial')[0]} {hashlib.sha256(weights).hexdigest()}\n")

    return saved


if __name__ == "__main__":
    notes, accumulate, *words = sys.argv[1:]
    scoring.load_embedder = toy.embedder  # nothing asks for a real encoder
    backbones.save = noting(backbones.save, Path(notes))
    sft.train = partial(sft.train, accumulate=int(accumulate))
    sys.exit(main(words))
