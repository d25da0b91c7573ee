"""A chat model of random weights, whose turns begin and end with tokens, one of them without a `<`."""

import torch
from transformers import PreTrainedTokenizerFast

from crs_lite.model.backbones import tiny_model, train_tokenizer
from crs_lite.profiles import get_profile

BEGIN, END, ODD = "<|im_start|>", "<|im_end|>", "[INST]"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = ["the shopper typed a query and clicked a parka, a kettle or a lamp by Nordfell or Solano"] * 3


def little_chat() -> tuple:
    """-> (model in float64, tokenizer)."""
    core = train_tokenizer(WORDS, 300)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core._tokenizer, pad_token=END, eos_token=END)
    tokenizer.add_special_tokens({"additional_special_tokens": [BEGIN, END, ODD]})
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    model = tiny_model(get_profile("smoke", hidden=32, heads=2, ffn=64), len(tokenizer)).double().eval()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model, tokenizer
