"""Unfinished training: what a loop needs to go on after a kill as if nothing had happened, in one file, never pickle.

The file is safetensors; its header carries everything that is no tensor, as JSON. It is written beside the old one and
then takes its name, so a kill at any moment leaves the old or the new one whole. Only process 0 of several writes; all
read the same file, and each finds its own generators and position in it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.distributed import all_gather_object, broadcast_object_list
from transformers import Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME

from crs_lite import deadline
from crs_lite.errors import CRSError
from crs_lite.files import write_json
from crs_lite.model.distributed import n_processes, process_number

SECONDS = 60.0  # between two saves: what a kill costs at most
FILE = "state.safetensors"


class GlobalGenerators:
    """numpy's and torch's global generators, as one thing with a state."""

    def state_dict(self) -> dict:
        """Their states."""
        numpy = np.random.get_state(legacy=False)
        numpy["state"]["key"] = numpy["state"]["key"].tolist()
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        return {"numpy": numpy, "torch": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state: dict) -> None:
        """They go on from `state`."""
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"])


GENERATORS = (torch.Generator, np.random.Generator, GlobalGenerators)  # every process has its own state of these


def trainable(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights that learn, tied ones once. What is frozen is where the training began, and need not be saved."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


class Keeper:
    """Keeps training that can be killed in `folder`, and loads it again.

    Loading raises `CRSError` when the state was left by another number of processes; a damaged one, or that of another
    model, is thrown away. Whoever gave the folder deletes it once the training has led to something.
    """

    def __init__(self, folder: Path):
        self.folder = as_first(folder)  # the first process's folder holds the state of all
        self.everywhere = GlobalGenerators()
        self._saved_at, self._over = perf_counter(), False

    def load(self, parts: dict[str, Any]) -> Any:
        """Put what was saved into `parts` (name -> model, optimiser, schedule, scaler or generator) and the global
        generators. Returns the position that was saved with them; None, and nothing happens, when nothing was."""
        found = self.read(parts["model"])
        if found is None:
            return None
        position, restore = found
        restore({**parts, "everywhere": self.everywhere})
        return position

    def read(self, model: torch.nn.Module) -> tuple[Any, Callable[[dict[str, Any]], None]] | None:
        """What `load` does, in two steps: (position, a function that restores the parts it is given)."""
        self._saved_at = perf_counter()
        if not as_first((self.folder / FILE).exists()):
            return None
        path, n, rank = self.folder / FILE, n_processes(), process_number()
        try:
            with safe_open(str(path), framework="pt") as f:
                tensors, metadata = {name: f.get_tensor(name) for name in f.keys()}, f.metadata()
            if int(metadata["crc32"]) != _checksum(metadata["header"], tensors):
                raise ValueError("the checksum is another one")
            header = json.loads(metadata["header"])
        except Exception as e:  # safetensors and torch raise many kinds, and none may stop a run
            return self._throw_away(f"damaged ({str(e)[:120]})")
        if header["about"] != _about(model):
            return self._throw_away("of another model")
        if (before := len(header["processes"])) != n:
            raise CRSError(f"{path}: left by {before} processes, not {n}; start as many again, or delete the file.")
        own = header["processes"][rank]
        states = header["states"] | own["states"]
        if rank == 0:
            print(f"{self.folder}: going on with what was left unfinished", flush=True)
        return own["position"], lambda parts: _restore(parts, states, tensors)

    def save(self, parts: dict[str, Any], position: Any) -> None:
        """Between two steps: once in `SECONDS`, keep `parts` (see `load`), the global generators and `position`, which
        is JSON-able: what the loop needs besides them."""
        if self.due():
            self.keep(parts, position)

    def due(self) -> bool:
        """Is it time, because a while has passed or the command's minutes are over? All processes agree."""
        self._over, a_while = as_first((deadline.passed(), perf_counter() - self._saved_at >= SECONDS))
        return self._over or a_while

    def keep(self, parts: dict[str, Any], position: Any) -> None:
        """`save`, now. Raises `CRSError` when a weight is not a finite number: such a state helps nobody; and, with all
        kept, `OutOfTime` when the command's minutes are over."""
        if bad := [name for name, p in trainable(parts["model"]).items() if not torch.isfinite(p).all()]:
            raise CRSError(f"{self.folder}: the weights {bad[0]} are not finite any more; lower the learning rate.")
        self._write({**parts, "everywhere": self.everywhere}, position)
        self._saved_at = perf_counter()
        if self._over:
            raise deadline.OutOfTime(f"between two training steps, which {self.folder} keeps")

    def _write(self, parts: dict[str, Any], position: Any) -> None:
        tensors: dict[str, torch.Tensor] = {}
        mine: dict[str, torch.Tensor] = {}
        rank = process_number()
        own = {k: _lift(_state(v), f"{rank}.{k}", mine) for k, v in parts.items() if isinstance(v, GENERATORS)}
        everyones = gathered(({"position": position, "states": own}, mine))
        if rank > 0:
            return
        shared = {k: _lift(_state(v), k, tensors) for k, v in parts.items() if not isinstance(v, GENERATORS)}
        for _, theirs in everyones:
            tensors |= theirs
        header = {"about": _about(parts["model"]), "states": shared, "processes": [own for own, _ in everyones]}
        text = json.dumps(header)
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / f".{FILE}.new"
        save_file(tensors, new, metadata={"header": text, "crc32": str(_checksum(text, tensors))})
        os.replace(new, self.folder / FILE)

    def _throw_away(self, why: str) -> None:
        if process_number() == 0:
            print(f"{self.folder}: the unfinished training there is {why} and thrown away; it begins anew.", flush=True)
            shutil.rmtree(self.folder, ignore_errors=True)


def fit(trainer: Trainer, keeper: Keeper) -> None:
    """`trainer.train()` that keeps its state, and begins where a killed one was."""
    keeping = Keeping(trainer, keeper)
    trainer.add_callback(keeping)
    if keeping.position is None:
        trainer.train()
        return
    # The trainer's own files would be pickles: it finds its place alone, and the weights come with everything else.
    trainer._load_from_checkpoint = lambda *_, **__: None
    with tempfile.TemporaryDirectory() as place:
        write_json(Path(place) / TRAINER_STATE_NAME, keeping.position[0])
        trainer.train(resume_from_checkpoint=place)


class Keeping(TrainerCallback):
    """Saves a trainer's state, and puts what was saved back into a trainer that resumes.

    The trainer finds its place in the data by itself, from its own `TrainerState`. Everything else is ours. Both happen
    at the same moment, when all of a step, its log row included, is behind: before a step, or before an epoch, whose
    first batches draw from the generators.
    """

    def __init__(self, trainer: Trainer, keeper: Keeper):
        self.trainer, self.keeper = trainer, keeper
        self.position, self.restore = keeper.read(trainer.model) or (None, None)
        self.resumed = self.position is None

    def on_train_begin(self, args, state, control, optimizer=None, lr_scheduler=None, **_):
        """Weights, optimiser, schedule, loss scaler and the sums behind the logged losses go on."""
        trainer = self.trainer
        self.parts = {"model": trainer.model, "optimizer": optimizer, "schedule": lr_scheduler}
        if (scaler := trainer.accelerator.scaler) is not None:
            self.parts["scaler"] = scaler
        if not self.resumed:
            self.restore(self.parts)
            _, running, trainer._total_loss_scalar, trainer._globalstep_last_logged = self.position
            trainer._tr_loss.fill_(running)
            trainer._initial_global_step = 0  # the mean loss at the end is that of the whole training

    def on_epoch_begin(self, args, state, control, **_):
        """Between two epochs."""
        if self._between_epochs(state):
            self._here(state)

    def on_step_begin(self, args, state, control, **_):
        """Between two steps of an epoch."""
        if not self._between_epochs(state):
            self._here(state)

    def _between_epochs(self, state) -> bool:
        return state.global_step % (state.max_steps // state.num_train_epochs) == 0

    def _here(self, state) -> None:
        trainer = self.trainer
        if not self.resumed:
            self.restore({"everywhere": self.keeper.everywhere})
            self.resumed = True
        elif self.keeper.due():
            trainer.store_flos()
            sums = trainer._tr_loss.item(), trainer._total_loss_scalar, trainer._globalstep_last_logged
            self.keeper.keep(self.parts, (asdict(state), *sums))


def finite(loss: torch.Tensor, what: str, step: int) -> None:
    """Raises `CRSError` naming the step when its loss is no finite number."""
    if not torch.isfinite(loss):
        raise CRSError(f"{what} step {step}: the loss is not finite; lower the learning rate or check the start.")


def as_first(value: Any) -> Any:
    """What the first process gave, in every process."""
    if n_processes() == 1:
        return value
    box = [value]
    broadcast_object_list(box)
    return box[0]


def gathered(value: Any) -> list:
    """What every process gave, in their order, in every process."""
    if n_processes() == 1:
        return [value]
    values = [None] * n_processes()
    all_gather_object(values, value)
    return values


def _about(model: torch.nn.Module) -> dict:
    """What a state must fit: shapes of the weights that learn, and the kinds of device."""
    weights = {name: list(p.shape) for name, p in trainable(model).items()}
    return {"weights": weights, "devices": sorted({p.device.type for p in model.parameters()})}


def _restore(parts: dict[str, Any], states: dict, tensors: dict[str, torch.Tensor]) -> None:
    for name, part in parts.items():
        state = _lower(states[name], tensors)
        if isinstance(part, torch.Generator):
            part.set_state(state)
        elif isinstance(part, np.random.Generator):
            part.bit_generator.state = state
        elif isinstance(part, torch.nn.Module):
            with torch.no_grad():
                for weight, p in trainable(part).items():
                    p.copy_(state[weight])
        else:
            part.load_state_dict(state)


def _state(part: Any) -> Any:
    if isinstance(part, torch.Generator):
        return part.get_state()
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return trainable(part) if isinstance(part, torch.nn.Module) else part.state_dict()


def _lift(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """`value` as JSON, its tensors lifted out into `tensors`. Dictionaries become pairs, for keys may be numbers."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"pairs": [[k, _lift(v, f"{name}.{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [_lift(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]
    return value


def _lower(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """What `_lift` was given; tuples come back as lists."""
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {k: _lower(v, tensors) for k, v in value["pairs"]}
    return [_lower(v, tensors) for v in value] if isinstance(value, list) else value


def _checksum(text: str, tensors: dict[str, torch.Tensor]) -> int:
    sum_ = zlib.crc32(text.encode())
    for name in sorted(tensors):
        sum_ = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy(), sum_)
    return sum_
