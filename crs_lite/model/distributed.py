"""Several processes (`accelerate launch`): who am I, wait for the others, average with them. All are no-ops in one
process."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from torch.distributed import all_reduce, barrier, get_rank, get_world_size, is_available, is_initialized


def start() -> None:
    """Join the group that `accelerate launch` or `torchrun` announced in the environment, if any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from accelerate import PartialState

        # One process may score for hours while the others wait.
        PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(hours=12))


def n_processes() -> int:
    """How many processes train together; 1 without a launcher."""
    return get_world_size() if is_available() and is_initialized() else 1


def process_number() -> int:
    """This process among them, from 0."""
    return get_rank() if n_processes() > 1 else 0


def wait() -> None:
    """Until every process is here."""
    if n_processes() > 1:
        barrier()


def process_mean(value: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes."""
    if n_processes() > 1:
        value = value.clone()
        all_reduce(value)
        value /= n_processes()
    return value


def average_gradients(model: torch.nn.Module) -> None:
    """Every gradient becomes its mean over all processes, in place."""
    if n_processes() == 1:
        return
    for p in model.parameters():
        if p.requires_grad:
            p.grad = process_mean(torch.zeros_like(p) if p.grad is None else p.grad)
