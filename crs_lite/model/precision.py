"""Numbers on accelerators: bfloat16 where the card has it, float16 with a loss scaler elsewhere (a T4). A CPU computes
in float32, or as `bfloat16` says."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch.nn.utils import clip_grad_norm_

from crs_lite.errors import CRSError
from crs_lite.model.distributed import average_gradients

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def best_dtype(wanted: str) -> str:
    """What this machine can do of what a profile wants: float32 without an accelerator, float16 for a missing
    bfloat16."""
    if wanted not in DTYPES:
        raise CRSError(f"unknown dtype {wanted!r}; use one of {', '.join(DTYPES)}.")
    if not torch.cuda.is_available():
        return "float32"
    return "float16" if wanted == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False) else wanted


class Precision:
    """Forward passes in `dtype`, weights and optimiser in float32. With float16, the loss is scaled up so that small
    gradients survive; a step whose gradient overflows is skipped and the scale halved."""

    def __init__(self, dtype: str, device: torch.device | str):
        self.dtype, self.device = DTYPES[dtype], torch.device(device).type
        self.scaler = torch.amp.GradScaler(self.device, enabled=dtype == "float16", init_scale=2.0**14)

    def autocast(self) -> AbstractContextManager:
        """The context in which forward passes run in `dtype`."""
        return torch.autocast(self.device, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def step(
        self, loss: torch.Tensor, model: torch.nn.Module, optimizer: torch.optim.Optimizer, max_norm: float
    ) -> float:
        """Backward, average over processes, clip, update, clear. Returns the gradient's norm (not finite: step
        skipped)."""
        self.scaler.scale(loss).backward()
        average_gradients(model)
        self.scaler.unscale_(optimizer)
        norm = clip_grad_norm_(model.parameters(), max_norm)
        if self.scaler.is_enabled():
            self.scaler.step(optimizer)  # looks for overflow itself
            self.scaler.update()
        elif torch.isfinite(norm):
            optimizer.step()
        optimizer.zero_grad()
        return float(norm)
