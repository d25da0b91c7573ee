"""Supervised stages (alignment, direct SFT, distilled SFT, consolidation): one call of TRL's `SFTTrainer`."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
from datasets import Dataset
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from crs_lite.errors import CRSError
from crs_lite.model.precision import best_dtype
from crs_lite.tasks import Example, token_batches

warnings.filterwarnings("ignore", message=".*pin_memory.*")
warnings.filterwarnings("ignore", message=".*gradient_checkpointing.*", category=FutureWarning)
logging.getLogger("trl").setLevel(logging.ERROR)


class TokenBatches(torch.utils.data.Sampler[list[int]]):
    """Batches of similar length within a token budget, shuffled anew each epoch; every process gets its own share.

    Of n processes, number r takes batches r, r + n, ... A few batches are repeated so that all take equally many.
    """

    def __init__(self, lengths: Sequence[int], budget: int, seed: int, rank: int = 0, n: int = 1):
        self.lengths, self.budget, self.seed, self.rank, self.n, self.epoch = lengths, budget, seed, rank, n, 0

    def _share(self, epoch: int) -> list[list[int]]:
        batches = token_batches(self.lengths, self.budget, self.seed + epoch)
        return (batches + (batches * self.n)[: -len(batches) % self.n])[self.rank :: self.n]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._share(self.epoch))

    def __len__(self) -> int:
        return len(self._share(0))

    def set_epoch(self, epoch: int) -> None:
        """The batches of that epoch come next."""
        self.epoch = epoch


class TokenLoader(DataLoader):
    """A loader that passes the epoch on to its batches, as the trainer expects of accelerate's own."""

    def set_epoch(self, epoch: int) -> None:
        """The batches of that epoch come next."""
        self.batch_sampler.set_epoch(epoch)


class Progress(TrainerCallback):
    """One calm bar with the loss in it, in place of a dictionary printed every few steps."""

    def on_train_begin(self, args, state, control, **_):
        """The bar appears."""
        silent, done = not state.is_world_process_zero, state.global_step
        self.bar = tqdm(total=state.max_steps, initial=done, desc="SFT", mininterval=5, disable=silent)

    def on_step_end(self, args, state, control, **_):
        """One step further."""
        self.bar.update()

    def on_log(self, args, state, control, logs=None, **_):
        """The loss behind the bar."""
        if logs and "loss" in logs:
            self.bar.set_postfix_str(f"loss {float(logs['loss']):.3f}", refresh=False)

    def on_train_end(self, args, state, control, **_):
        """The bar is done."""
        self.bar.close()


class AfterEpoch(TrainerCallback):
    """Calls `fn(epochs done)` between epochs, with the model in evaluation mode."""

    def __init__(self, fn: Callable[[int], None]):
        self.fn = fn

    def on_epoch_end(self, args, state, control, model=None, **_):
        """The call, between two epochs."""
        model.eval()
        self.fn(round(state.epoch))
        model.train()


def masked_loss(model, input_ids: torch.Tensor, labels: torch.Tensor):
    """Sum of -log p over the tokens to be predicted: input_ids, labels `(B, T)`, -100 where nothing is asked
    -> (sum, number of such tokens, the model's outputs).

    The same as the model's own loss, with logits only in columns where some row has a label. Most of a context is
    read, not predicted, so most logits would be thrown away. Padding stands on the right, where a causal model never
    sees it: no attention mask is needed either. Together a fifth of a step is saved.
    """
    labels = labels[:, 1:]  # token t is predicted by what stands before it
    columns = (labels != -100).any(0).nonzero()[:, 0]
    outputs = model(input_ids=input_ids, logits_to_keep=columns, use_cache=False)
    wanted = labels[:, columns].flatten()
    total = cross_entropy(outputs.logits.flatten(0, 1).float(), wanted, ignore_index=-100, reduction="sum")
    return total, (wanted != -100).sum(), outputs


class TokenBudgetTrainer(SFTTrainer):
    """`SFTTrainer` whose batches hold a number of tokens, not of rows: item pairs are 10 times shorter than
    contexts."""

    token_budget = 4096

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """`masked_loss` over all labels of the optimiser step."""
        total, n, outputs = masked_loss(model, inputs["input_ids"], inputs["labels"])
        if not torch.isfinite(total):
            step = self.state.global_step
            raise CRSError(f"SFT step {step}: the loss is not finite; lower the learning rate or check the start.")
        if num_items_in_batch is None:
            loss = total / n
        else:  # labels of the whole optimiser step, over all processes, whose gradients are then averaged
            loss = total / num_items_in_batch * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def get_train_dataloader(self) -> DataLoader:
        """Batches of `token_budget` tokens; every process gets its share."""
        lengths = [len(row) for row in self.train_dataset["input_ids"]]
        rank, n = self.accelerator.process_index, self.accelerator.num_processes
        batches = TokenBatches(lengths, self.token_budget, self.args.seed, rank, n)
        return TokenLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)


def train(
    model: PreTrainedModel,
    tokenizer,
    examples: Sequence[Example],
    *,
    epochs: int,
    lr: float,
    batch_tokens: int,
    seed: int,
    dtype: str = "float32",
    schedule: str = "cosine",
    accumulate: int = 1,
    log_every: int = 25,
    on_epoch: Callable[[int], None] | None = None,
    fit: Callable[[SFTTrainer], object] = SFTTrainer.train,
) -> list[dict]:
    """Train in place, where the model is; returns TRL's log rows (loss, learning rate, tokens). Loss only where an
    example asks for it.

    `on_epoch(n)` is called after every epoch, 1 .. `epochs`. A step takes `accumulate` batches of `batch_tokens` in
    each process: one process with 2 does what two do with 1. `fit`: runs the trainer, by default from the start
    (see `unfinished`)."""
    rows = {
        "input_ids": [e.ids for e in examples],
        "labels": [[i if on else -100 for i, on in zip(e.ids, e.loss, strict=True)] for e in examples],
    }
    on_gpu = model.device.type == "cuda"
    dtype = best_dtype(dtype) if on_gpu else "float32"
    with tempfile.TemporaryDirectory() as scratch:
        args = SFTConfig(
            output_dir=scratch,
            num_train_epochs=epochs,
            learning_rate=lr,
            lr_scheduler_type=schedule,
            warmup_steps=0.03,
            adam_beta2=0.98,
            weight_decay=0.01,
            max_grad_norm=1.0,
            logging_steps=log_every,
            gradient_accumulation_steps=accumulate,
            save_strategy="no",
            report_to="none",
            seed=seed,
            use_cpu=not on_gpu,
            bf16=dtype == "bfloat16",
            fp16=dtype == "float16",
            gradient_checkpointing=False,
            max_length=None,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        )
        trainer = TokenBudgetTrainer(
            model=model, args=args, train_dataset=Dataset.from_dict(rows), processing_class=tokenizer
        )
        trainer.token_budget = batch_tokens
        for callback in list(trainer.callback_handler.callbacks):  # the trainer picks a bar of its own for notebooks
            if isinstance(callback, PrinterCallback) or "Progress" in type(callback).__name__:
                trainer.remove_callback(callback)
        trainer.add_callback(Progress())
        if on_epoch:
            trainer.add_callback(AfterEpoch(on_epoch))
        fit(trainer)
        log = list(trainer.state.log_history)
    model.eval()
    return log
