"""A chat model, by name or folder, that is asked with a few messages and answers with several drafts.

What shoppers and sellers typed stands in the messages, and must not become a control token there either: neither one
of this project (`context.escape` sees to those) nor one that begins or ends a turn of the chat (`Chat.plain`). The
tokens of every prompt are counted: it holds as many control tokens as the same chat with nothing typed in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import torch
from jinja2 import TemplateError
from transformers import DynamicCache

from crs_lite.errors import CRSError
from crs_lite.model import backbones, smollm2
from crs_lite.model.precision import DTYPES, best_dtype

Message = dict[str, str]  # {"role": "user" or "assistant", "content": text}


@dataclass(frozen=True)
class Draft:
    """One answer: its first paragraph. `tokens`: how many the model wrote; `closed`: the paragraph came to an end by
    itself."""

    text: str
    tokens: int
    closed: bool


@dataclass(frozen=True)
class Answer:
    """The drafts of one chat. `read`: tokens of the prompt; `seconds`: what reading and writing took."""

    drafts: list[Draft]
    read: int
    seconds: float


class Writer(Protocol):
    """Whoever answers messages: a `Chat`, or a stand-in. `name` says which model it is; `marks` are texts that no draft
    may hold."""

    name: str
    marks: Sequence[str]

    def answer(self, messages: Sequence[Message], n: int, temperature: float, seed: int, most: int) -> Answer:
        """n drafts of at most `most` tokens each; the same for the same seed."""
        ...


class Chat:
    """A Hugging Face chat model and its tokenizer.

    Marks of a turn that are plain words rather than tokens of the tokenizer cannot be told from typed text; models
    whose template uses such marks are better left alone.
    """

    def __init__(self, name: str, model, tokenizer):
        if not tokenizer.chat_template:
            raise CRSError(f"{name}: this model has no chat template; give one that is made for chats ('Instruct').")
        self.model, self.tokenizer = model, tokenizer
        last = list(model.parameters())[-1].detach().float().cpu().numpy().tobytes()
        described = model.config.to_json_string().encode() + tokenizer.chat_template.encode() + last
        self.name = f"{name} {hashlib.sha256(described).hexdigest()[:12]}"
        added = {*tokenizer.all_special_tokens, *(t for t in tokenizer.get_added_vocab() if t.strip())}
        self.marks = sorted(added, key=len, reverse=True)
        self._control = set(tokenizer.convert_tokens_to_ids(self.marks))
        ends = model.generation_config.eos_token_id
        ends = [] if ends is None else [ends] if isinstance(ends, int) else ends
        self._ends = {*ends, tokenizer.eos_token_id} - {None}

    @classmethod
    def load(cls, name: str) -> Chat:
        """By the name `smollm2`, a folder, or a Hugging Face name where a hub can be reached; half precision on a GPU.
        Raises `CRSError` when it cannot be had or is made for no chat."""
        where = smollm2.fetch() if name == smollm2.NAME else name
        try:
            model, tokenizer = backbones.load(where)
        except CRSError as e:
            remedy = "give the folder of a chat model, or its Hugging Face name where a hub can be reached."
            raise CRSError(f"chat model {name!r} cannot be loaded ({str(e).split('; ')[0][:240]}); {remedy}") from None
        shown = Path(name).name if Path(name).is_dir() else name  # no folder of this machine in a results file
        return cls(shown, model.to(DTYPES[best_dtype("bfloat16")]), tokenizer)

    def plain(self, text: str) -> str:
        """The text without a control token: the first character of each is written as its JSON escape."""
        for mark in self.marks:
            text = text.replace(mark, f"\\u{ord(mark[0]):04x}{mark[1:]}")
        return text

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the chat up to where the model's turn begins.

        Raises `CRSError` when the template cannot be filled, and when what is typed made a control token.
        """
        ids = self._ids([{**m, "content": self.plain(m["content"])} for m in messages])
        bare = self._ids([{**m, "content": "x"} for m in messages])
        if self._marked(ids) != self._marked(bare):
            raise CRSError(
                f"{self.name}: typed text became a control token of this chat; use another model for these requests."
            )
        return ids

    def _ids(self, messages: list[Message]) -> list[int]:
        try:  # a template does not mind what it does not know
            return self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, enable_thinking=False, return_dict=True
            )["input_ids"]
        except (TemplateError, ValueError, TypeError) as e:
            raise CRSError(f"{self.name}: its chat template fails ({str(e)[:120]}); use another model.") from None

    def _marked(self, ids: Sequence[int]) -> list[int]:
        return [i for i in ids if i in self._control]

    @torch.no_grad()
    def answer(self, messages: Sequence[Message], n: int, temperature: float, seed: int, most: int) -> Answer:
        """n drafts, sampled from the whole vocabulary. The prompt is computed once."""
        start = perf_counter()
        ids = torch.tensor([self.prompt(messages)], device=self.model.device)
        cache = DynamicCache(config=self.model.config)
        if ids.shape[1] > 1:
            self.model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache.batch_repeat_interleave(n)
        ids = ids.repeat(n, 1)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            out = self.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=cache, do_sample=True,
                temperature=temperature, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=most,
                eos_token_id=sorted(self._ends), pad_token_id=min(self._ends),
            )  # fmt: skip
        drafts = [self._draft(row[ids.shape[1] :].tolist()) for row in out]
        return Answer(drafts, ids.shape[1], perf_counter() - start)

    def _draft(self, ids: list[int]) -> Draft:
        end = next((at for at, i in enumerate(ids) if i in self._ends), None)
        text = self.tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False)
        first, line_end, _ = text.strip().partition("\n")
        closed = bool(line_end) or end is not None
        return Draft(" ".join(first.split()), len(ids) if end is None else end + 1, closed)
