"""Profile -> tokenizer and language model with semantic-ID rows; saved and loaded the Hugging Face way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AddedToken,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)
from transformers.utils import logging as hf_logging

from crs_lite.errors import CRSError
from crs_lite.model import smollm2
from crs_lite.profiles import Profile

hf_logging.disable_progress_bar()  # loading a million parameters needs no bar

THINK, END_THINK = "<think>", "</think>"
BOS, EOS, PAD = "<bos>", "<eos>", "<pad>"

# A run of JSON syntax around one key, such as `","query":"`, stays one piece, so that BPE can make it one token.
_PIECES = r"""["\]}\[{,]*"[a-z]+":["\[{]*|["\]}\[{,:]+| ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}"\]}\[{,:]+|\s+"""


def train_tokenizer(texts: Iterable[str], vocab: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the domain: any text at all can be encoded, none becomes unknown."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=PAD, bos_token=BOS, eos_token=EOS, padding_side="left"
    )


def add_control_tokens(tokenizer, sid_tokens: list[str]) -> int:
    """Add `<think>`, `</think>` and all semantic-ID tokens; returns how many were new.

    Not as *special* tokens: TRL decodes with `skip_special_tokens=True`, which would erase every ID.
    """
    return tokenizer.add_tokens(
        [AddedToken(t, special=False, normalized=False) for t in [THINK, END_THINK, *sid_tokens]]
    )


def build(profile: Profile, texts: Iterable[str], sid_tokens: list[str], seed: int):
    """A fresh `(model, tokenizer)`: from scratch on the texts (`tiny`), or a pretrained backbone by name or folder."""
    torch.manual_seed(seed)
    if profile.backbone == "tiny":
        tokenizer = train_tokenizer(texts, profile.vocab)
        model = tiny_model(profile, len(tokenizer))
    else:
        model, tokenizer = load(smollm2.fetch() if profile.backbone == smollm2.NAME else profile.backbone)
        if tokenizer.pad_token is None or tokenizer.bos_token is None:
            spare = tokenizer.eos_token
            tokenizer.pad_token = tokenizer.pad_token or spare
            tokenizer.bos_token = tokenizer.bos_token or spare
    add_control_tokens(tokenizer, sid_tokens)
    # A pretrained vocabulary may be padded: no row that is there is cut. mean_resizing would fit a Gaussian to the old
    # rows, which for a fresh random model is work for nothing.
    rows = max(len(tokenizer), model.get_input_embeddings().num_embeddings)
    model.resize_token_embeddings(rows, mean_resizing=profile.backbone != "tiny")
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model, tokenizer


def tiny_model(profile: Profile, vocab: int) -> PreTrainedModel:
    """A Llama- or Qwen3-style model of 1 to 6 M parameters, from its config, random weights."""
    common = dict(
        vocab_size=vocab,
        hidden_size=profile.hidden,
        num_hidden_layers=profile.layers,
        num_attention_heads=profile.heads,
        num_key_value_heads=profile.heads,
        intermediate_size=profile.ffn,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        # The usual 0.02 suits wide models; at width 64 it leaves attention uniform for hundreds of steps.
        initializer_range=profile.hidden**-0.5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        attention_dropout=0.0,
    )
    configs = {"llama": LlamaConfig, "qwen3": Qwen3Config}
    config = configs[profile.arch](**common, head_dim=profile.hidden // profile.heads)
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)


def adapt(model: PreTrainedModel, rank: int):
    """The model to train: itself for rank 0, else low-rank adapters on its linear layers, and the whole embedding.

    New ID rows are random, so the embedding must learn, and the output head too: where the two are tied they stay so
    (without `ensure_weight_tying` the head would keep the old rows), else both learn. Every stage merges its adapters
    (`merged`) and the next begins with fresh ones, so a checkpoint is always a plain model, and the KL reference simply
    the one it started from."""
    if rank == 0:
        return model
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        modules_to_save=["embed_tokens"] if tied else ["embed_tokens", "lm_head"],
        ensure_weight_tying=tied,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def merged(model) -> PreTrainedModel:
    """The plain model with what its adapters learnt."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def save(folder: Path, model: PreTrainedModel, tokenizer=None) -> None:
    """Weights as safetensors plus config (and tokenizer files), loadable with the Auto classes alone. Raises `CRSError`
    when a weight is not a finite number: such a checkpoint would be used without a word."""
    if name := not_finite(model):
        raise CRSError(f"{folder}: the weights {name} are not finite, so nothing is saved; lower the learning rate.")
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def accelerator() -> str:
    """Where large models live: the GPU, if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_model(folder: str | Path, device: str | None = None) -> PreTrainedModel:
    """A model in evaluation mode, by default on the accelerator if there is one. Raises `CRSError` naming the folder
    when it is missing or damaged."""
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="sdpa", dtype=torch.float32, output_loading_info=True
        )
    except Exception as e:  # the libraries below raise many kinds; the reader needs one sentence
        raise _unreadable(folder, e) from None
    if missing := sorted(report["missing_keys"]):
        raise _unreadable(folder, f"{len(missing)} tensors are missing, {missing[0]} among them")
    if name := not_finite(model):
        raise _unreadable(folder, f"the weights {name} are not finite")
    return model.eval().to(device or accelerator())


def load_tokenizer(folder: str | Path):
    """A tokenizer that pads on the left. Raises `CRSError` naming the folder when it is missing or damaged."""
    try:
        return AutoTokenizer.from_pretrained(folder, padding_side="left")
    except Exception as e:
        raise _unreadable(folder, e) from None


def load(folder: str | Path):
    """`(model, tokenizer)` from a folder or a hub name."""
    return load_model(folder), load_tokenizer(folder)


def not_finite(model: PreTrainedModel) -> str | None:
    """The name of the first weights that hold NaN or infinity, None when all are sound."""
    return next((name for name, p in model.named_parameters() if not torch.isfinite(p).all()), None)


def _unreadable(folder: str | Path, e: Exception | str) -> CRSError:
    first = (str(e).strip().splitlines() or [type(e).__name__])[0]
    return CRSError(
        f"{folder}: cannot load this checkpoint ({first[:160]}); delete the folder and run the stage again."
    )


def token_ids(tokenizer, texts: list[str]) -> list[int]:
    """Ids of tokens that must exist as such. Raises `CRSError` naming the first that does not."""
    ids = tokenizer.convert_tokens_to_ids(texts)
    for text, i in zip(texts, ids, strict=True):
        if i is None or tokenizer.convert_ids_to_tokens(i) != text:
            raise CRSError(
                f"the tokenizer lacks the token {text!r}; build it with `backbones.build` for these semantic IDs."
            )
    return ids


def n_parameters(model: PreTrainedModel) -> int:
    """How many weights there are; tied ones count once."""
    return sum(p.numel() for p in model.parameters())
