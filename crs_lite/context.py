"""One search request -> one JSON text under a token budget, and back again (paper, section on context representation).

Text that shoppers or sellers typed is data. `escape` writes every `<` as the JSON escape `\\u003c`, and every
control token and semantic-ID token of this project contains a `<`; so no typed text can ever become one.
The parser gets the `<` back. (The escape is our choice; the paper is silent.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from crs_lite.errors import CRSError
from crs_lite.logs import Interaction, Item, SearchLog, SearchRequest

ItemView = Literal["title", "sid", "both"]
_SPECIAL = frozenset('<"\\')
TEXT_BYTES = 160  # per typed text, after escaping: at worst one byte-level token a byte

MONTHS = ("January February March April May June July August September October November December").split()
DAYPARTS = ((6, "night"), (12, "morning"), (18, "afternoon"), (24, "evening"))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemRef(_Strict):
    """How an item stands in a context: its semantic-ID tokens, its title, or both (`item_view`)."""

    sid: str | None = None
    title: str | None = None


class Past(_Strict):
    """One interaction of the history as the model sees it."""

    time: str | None = None
    place: str | None = None
    query: str
    clicked: tuple[ItemRef, ...]
    skipped: tuple[ItemRef, ...] = ()


class Now(_Strict):
    """The current request. The query comes last: it is the part that must never be lost."""

    time: str | None = None
    place: str | None = None
    entrance: str | None = None
    query: str


class Context(_Strict):
    """The typed form of the JSON text: `profile`, `history` (oldest first), `request`."""

    profile: dict[str, str] = {}
    history: tuple[Past, ...] = ()
    request: Now

    def to_json(self) -> str:
        """Compact JSON in which typed text is escaped and semantic IDs stand as tokens."""
        return _json(self)

    @classmethod
    def from_json(cls, text: str) -> Context:
        """The inverse of `to_json`. Raises `CRSError` when the text is not such a context."""
        try:
            plain = _REF.sub(lambda m: f'{{"sid":"{m[1]}"' + (f',"title":"{m[2]}"' if m[2] else "") + "}", text)
            value = json.loads(plain)
            for past in value.get("history", ()):
                for field in ("clicked", "skipped"):
                    past[field] = [{"title": r} if isinstance(r, str) else r for r in past.get(field, ())]
            return cls.model_validate(value)
        except (ValueError, AttributeError, TypeError, RecursionError) as e:  # ValueError: JSON, pydantic, digits
            raise CRSError(
                f"not a context JSON ({str(e).splitlines()[0]}); it must come from `Context.to_json`."
            ) from None


# A string of a list that begins with raw tokens is an item; typed text holds neither a raw `<` nor a raw quote.
_REF = re.compile(r'(?<=[\[,])"((?:<[^<>"]*>)++)((?:[^"\\]|\\.)*+)"')  # nothing is tried twice


def _json(value) -> str:
    if isinstance(value, ItemRef):
        return f'"{value.sid or ""}{escape(value.title or "")}"'
    if isinstance(value, BaseModel):
        fields = ((k, getattr(value, k)) for k in type(value).model_fields)
        return "{" + ",".join(f'"{k}":{_json(v)}' for k, v in fields if v is not None and v != () and v != {}) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(f'"{escape(k)}":{_json(v)}' for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ",".join(map(_json, value)) + "]"
    return f'"{escape(value)}"'


def escape(text: str, max_bytes: int = TEXT_BYTES) -> str:
    """Typed text as it stands between JSON quotes: no raw `<`, quote, backslash or control character.

    Cut to `max_bytes` UTF-8 bytes (never inside a character or an escape); lone surrogates become U+FFFD.
    """
    text = text[:max_bytes]
    if text.isascii() and text.isprintable() and not _SPECIAL.intersection(text):
        return text  # nearly all text is like this, and this is a hot spot
    out, size = [], 0
    for char in text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"):
        piece = "\\u003c" if char == "<" else json.dumps(char, ensure_ascii=False)[1:-1]
        size += len(piece.encode())
        if size > max_bytes:
            break
        out.append(piece)
    return "".join(out)


# -- from a log to a context ----------------------------------------------------------------------


def when(seconds: int) -> str:
    """Month and part of the day, UTC: `January evening`; the month alone for logs that only know the day."""
    t = datetime.fromtimestamp(seconds, UTC)
    part = next(name for hour, name in DAYPARTS if t.hour < hour)
    return MONTHS[t.month - 1] if seconds % 86400 == 0 else f"{MONTHS[t.month - 1]} {part}"


@dataclass(frozen=True)
class ContextBuilder:
    """Builds the context of any request of a log.

    `sid_of(item) -> str` gives the tokens of an item; `n_tokens(text) -> int` counts tokens as the model will see
    them. `budget` bounds the tokens of the whole JSON text. What is dropped, in this order: the oldest interactions
    until one is left, its skipped items, that interaction, the profile, the entrance, the place, the query's tail, the
    time. `hide` removes whole fields (for ablations): any of profile, history, place, time, entrance.
    """

    log: SearchLog
    sid_of: Callable[[int], str]
    n_tokens: Callable[[str], int]
    budget: int
    item_view: ItemView = "sid"
    max_history: int = 10
    max_skipped: int = 2
    hide: frozenset[str] = frozenset()
    _sizes: dict = field(default_factory=dict, repr=False, compare=False)

    def ref(self, item: int) -> ItemRef:
        """An item as `item_view` shows it."""
        sid = self.sid_of(item) if self.item_view != "title" else None
        return ItemRef(sid=sid, title=self.log.items[item].title if self.item_view != "sid" else None)

    def past(self, i: Interaction) -> Past:
        """One past interaction as the model sees it, without what `hide` removes."""
        return Past(
            time=when(i.time) if i.timed and "time" not in self.hide else None,
            place=None if "place" in self.hide else i.place,
            query=i.query,
            clicked=tuple(map(self.ref, i.clicked)),
            skipped=tuple(map(self.ref, i.skipped[: self.max_skipped])),
        )

    def build(self, request: SearchRequest) -> Context:
        """The context of `request`, within the budget. The target is not in it. Raises `CRSError` for a budget that not
        even one sign fits in (32 tokens are always enough)."""
        history = () if "history" in self.hide else self.log.history(request, self.max_history)
        past = [self.past(i) for i in history]
        now = Now(
            time=when(request.time) if request.timed and "time" not in self.hide else None,
            place=None if "place" in self.hide else request.place,
            entrance=None if "entrance" in self.hide else request.entrance,
            query=request.query,
        )
        profile = {} if "profile" in self.hide else self.log.users[request.user].profile
        # Remembered sizes of single interactions say where to start; the exact count below decides.
        room = self.budget - self.n_tokens(Context(profile=profile, request=now).to_json())
        keep = 0
        while keep < len(past) and (room := room - self._size(past[-1 - keep])) >= 0:
            keep += 1
        past = past[len(past) - keep :] if keep else past[-1:]
        while True:
            context = Context(profile=profile, history=tuple(past), request=now)
            if self.n_tokens(context.to_json()) <= self.budget:
                return context
            if len(past) > 1:
                past = past[1:]
            elif past and past[0].skipped:
                past = [past[0].model_copy(update={"skipped": past[0].skipped[:-1]})]
            elif past:
                past = []
            elif profile:
                profile = {}
            elif now.entrance is not None or now.place is not None:
                now = now.model_copy(update={"place" if now.entrance is None else "entrance": None})
            elif len(now.query) > 1:
                now = now.model_copy(update={"query": now.query[: len(now.query) // 2]})
            elif now.time:
                now = now.model_copy(update={"time": None})
            else:
                raise CRSError(f"request {request.id}: no context fits in {self.budget} tokens; raise `budget`.")

    def _size(self, past: Past) -> int:
        if past not in self._sizes:
            self._sizes[past] = (
                self.n_tokens(_json(past)) - 1
            )  # its brackets and comma share tokens with its neighbours
        return self._sizes[past]


def item_context(item: Item) -> str:
    """The item side: what the seller and the shop say of an item, as JSON (paper: title, brand, category, price,
    sales)."""
    facts = {"title": item.title, "brand": item.brand, "category": item.category}
    facts["price"] = None if item.price is None else f"{item.price:{'.0f' if item.price >= 1 else '.2g'}}"
    facts["sales"] = None if item.sales is None else str(item.sales)
    return _json({k: v for k, v in facts.items() if v})
