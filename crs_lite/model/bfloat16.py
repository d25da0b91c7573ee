"""Mixed precision on a processor: passes in bfloat16, master weights and optimiser in float32.

Before each training pass the float32 weights are rounded to bfloat16, once; the pass and its gradient run on the
rounded ones, and the gradient arrives at the float32 weights, where it is clipped and stepped as ever (Micikevicius et
al. 2018, mixed precision training). So the optimiser is torch's own, and what is saved or scored is float32. Whether
this pays depends on the machine, and is measured on it.
"""

from __future__ import annotations

import copy
from functools import wraps
from pathlib import Path
from statistics import median
from time import perf_counter
from types import MethodType

import torch
from torch.func import functional_call
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_json
from crs_lite.model.distributed import n_processes

NEEDED = 1.3  # times as fast as float32: less is not worth the digits
SECONDS, TOKENS = 2.0, 512  # how long a measurement takes, and the size of its batch
FILE = "computed_in.json"
_measured: dict[str, float] = {}  # this process's measurements, by the layer's shape


def prepare(model: PreTrainedModel, wanted: str, folder: Path) -> PreTrainedModel:
    """The model, ready to train as fast as this machine can with what a profile wants ("float32", "bfloat16" or
    "float16"): on a processor its passes run in bfloat16 if a measurement says that this pays.

    A decision is kept in `folder`, where a training keeps what it needs to go on after a kill: it goes on in the same
    numbers. On an accelerator, with float32 wanted, and where several processes train together, nothing changes."""
    if wanted == "float32" or model.device.type != "cpu" or n_processes() > 1:
        return model
    path = folder / FILE
    try:
        rounded = read_json(path, dict[str, bool], "")["bfloat16"]
    except (CRSError, KeyError):
        rounded = decide(model.config)
        write_json(path, {"bfloat16": rounded})
    return round_weights(model) if rounded else model


def decide(config: PretrainedConfig) -> bool:
    """Whether a model of this shape trains enough faster in bfloat16 on this machine. Says so in a sentence."""
    times = speedup(config)
    pays = times >= NEEDED
    chosen = "bfloat16, with weights and optimiser in float32" if pays else f"float32 ({NEEDED} times would pay)"
    print(f"measured: bfloat16 trains {times:.1f} times as fast as float32 here, so passes run in {chosen}", flush=True)
    return pays


def speedup(config: PretrainedConfig) -> float:
    """How many times as fast a layer of this shape trains in bfloat16 as in float32, on this machine, at this moment.

    One layer, with its share of the vocabulary, forwards and backwards on `TOKENS` tokens, in turns, for about
    `SECONDS`; the median of the turns' ratios. Measured once in a process; global generators are left as they were."""
    shape = {k: v for k, v in config.to_dict().items() if k not in ("layer_types", "_name_or_path")}
    shape |= {"num_hidden_layers": 1, "vocab_size": max(64, config.vocab_size // config.num_hidden_layers)}
    if str(shape) not in _measured:
        with torch.random.fork_rng(devices=[]):
            layer = AutoModelForCausalLM.from_config(type(config).from_dict(shape), dtype=torch.float32)
            ids = torch.randint(64, (2, TOKENS // 2))
        rounded = round_weights(copy.deepcopy(layer))
        started, ratios = perf_counter(), []
        while len(ratios) < 3 or perf_counter() - started < SECONDS:
            ratios.append(seconds(layer, ids) / seconds(rounded, ids))
        _measured[str(shape)] = median(ratios[1:])  # the first turn is warm-up
    return _measured[str(shape)]


def seconds(model: PreTrainedModel, ids: torch.Tensor) -> float:
    """What one pass forwards and backwards takes on ids `(B, T)`."""
    started = perf_counter()
    model(input_ids=ids, use_cache=False).logits.float().logsumexp(-1).mean().backward()
    return perf_counter() - started


def round_weights(model: PreTrainedModel) -> PreTrainedModel:
    """The same model; from now on, passes that build a gradient run on its weights rounded to bfloat16. Others, such as
    sampling and beams, read the float32 weights as they are: rounding them anew for every token would cost more than it
    saves."""

    @wraps(type(model).forward)
    def forward(self, *args, **kwargs):
        if self.rounding or not torch.is_grad_enabled():
            return type(self).forward(self, *args, **kwargs)
        weights = {name: p.to(torch.bfloat16) for name, p in self.named_parameters()}
        if kwargs.get("input_ids") is not None:
            # A frequent token's row of the embedding sums hundreds of gradients: in bfloat16 most would be lost.
            looked_up = self.get_input_embeddings()(kwargs.pop("input_ids"))
            kwargs["inputs_embeds"] = looked_up.to(torch.bfloat16)
        self.rounding = True
        try:
            return functional_call(self, weights, args, kwargs)
        finally:
            self.rounding = False

    model.rounding = False
    model.forward = MethodType(forward, model)  # bound, so that a copy of the model calls its own
    return model


def plain_weights(model: PreTrainedModel) -> PreTrainedModel:
    """The same model, as it was before `round_weights`."""
    del model.rounding, model.forward
    return model


def is_rounded(model: PreTrainedModel) -> bool:
    """Whether the model's training passes run in bfloat16 (see `round_weights`)."""
    return hasattr(model, "rounding")


def like(model: PreTrainedModel, reference: PreTrainedModel) -> PreTrainedModel:
    """The frozen `reference` in the numbers of the model it is compared with: where they begin as the same model, their
    log-probabilities are then the same too."""
    if is_rounded(model):
        for p in reference.parameters():  # `reference.to` would round the angles of positions, too
            p.data = p.data.to(torch.bfloat16)
    return reference


def remembered(model: PreTrainedModel) -> dict[str, str]:
    """What a stage's manifest should remember: nothing where all was float32."""
    return {"computed_in": "bfloat16"} if is_rounded(model) else {}
