"""The same run with another context: a part of it hidden, nothing but the query, fewer requests to learn from, or one
learned vector for everything that text said (N1, C6). Every such run keeps its stages in a folder of its own."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from transformers import AddedToken

from crs_lite.baselines.generative import HIDDEN
from crs_lite.context import DAYPARTS, MONTHS, Past, escape
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.model import backbones
from crs_lite.prepared import Prepared, prepare
from crs_lite.reasoning.perception import Perception
from crs_lite.tasks import Codec
from crs_lite.workspace import Workspace

# What the ceilings can hide, as what a context is written without: fields, and words of the profile.
GROUPS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "history": (frozenset({"history"}), frozenset()),
    "place_time": (frozenset({"place", "time"}), frozenset()),
    "profile": (frozenset(), frozenset({"gender", "age", "city"})),
    "device": (frozenset(), frozenset({"phone", "laptop", "console"})),
}
OFTEN = 20  # a past query typed at least as often in training has a vector of its own
ROOM = 1.08  # a model with vectors may have this many times the weights of the one with text


def without(p: Prepared, group: str) -> Prepared:
    """The run whose prompts lack one of `GROUPS`; "everything" leaves the query alone. The teacher and the truth still
    know all: use it for answers without reasoning."""
    hide, words = (HIDDEN, frozenset()) if group == "everything" else GROUPS[group]
    log = copy.copy(p.log)
    log.users = [
        u.model_copy(update={"profile": {k: v for k, v in u.profile.items() if k not in words}}) for u in p.log.users
    ]
    codec = Codec(log, p.codec.sids, p.tokenizer, {**p.codec_options, "hide": hide})
    work = Workspace(p.work.root / f"without-{group}", p.seed)
    return replace(p, codec=codec, work=work, perception=Perception(codec, p.profile.reasoning))


class Recent(SearchLog):
    """A log of which only the last n training requests may be learnt from. Histories reach further back, as they do
    for a shop that kept its shoppers' pasts and not its old logs."""

    def __init__(self, log: SearchLog, n: int):
        self.__dict__.update(log.__dict__)
        self._train = log.split("train")[-n:]

    def split(self, name: str) -> list[SearchRequest]:
        """As of the whole log; of "train" the last n."""
        return list(self._train) if name == "train" else super().split(name)


def smaller(p: Prepared, name: str, requests: int, **sizes) -> Prepared:
    """The run with fewer training requests, for the teacher's counts too, and another size of the backbone."""
    whole = requests >= p.profile.train_requests
    return _again(p, name, p.log if whole else Recent(p.log, requests), requests, sizes)


def counted_alone(p: Prepared, name: str) -> Prepared:
    """The run whose teacher counts the requests that its model learns from, and no others of the log."""
    n = p.profile.train_requests
    return _again(p, name, Recent(p.log, n), n, {})


def _again(p: Prepared, name: str, log: SearchLog, requests: int, sizes: dict) -> Prepared:
    profile = replace(p.profile, train_requests=requests, fresh_pool=False, **sizes)
    return prepare(log, p.truth, profile, p.seed, p.work.root / name, p.shipped)


# -- vectors in place of text -----------------------------------------------------------------------


class VectorCodec(Codec):
    """As `Codec`, but what surrounds the query is one learned vector a fact: a token of its own for each value of each
    field, each past query that is typed often, and each item; with `ids` items keep their semantic IDs. Answers and
    reasoning are as ever."""

    def __init__(self, log: SearchLog, sids, tokenizer, context: dict | None = None, ids: bool = False):
        super().__init__(log, sids, tokenizer, context)
        self.ids = ids
        self.row = {t: i for i, t in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))}

    def _of(self, field: str, value: str | None) -> list[int]:
        if value is None:
            return []
        return [self.row.get(vector(field, value), self.row[vector(field, "?")])]

    def _when(self, time: str | None) -> list[int]:
        return [i for n, part in enumerate((time or "").split()) for i in self._of(("month", "daypart")[n], part)]

    def _item(self, item: int) -> list[int]:
        return self.sid_ids[item].tolist() if self.ids else [self.row[vector("item", str(item))]]

    def facts(self, request: SearchRequest) -> list[int]:
        """What surrounds the query: profile, then past interactions, oldest first, then time, place and entrance."""
        context = self.context(request)
        known = [i for field, value in context.profile.items() for i in self._of(field, value)]
        history = self.log.history(request, self.builder.max_history)
        for past, seen in zip(context.history, history[len(history) - len(context.history) :], strict=True):
            known += self._past(past) + [t for i in seen.clicked for t in self._item(i)]
            for item in seen.skipped[: len(past.skipped)]:
                known += [*self._of("shown", "?"), *self._item(item)]
        now = context.request
        return known + self._when(now.time) + self._of("place", now.place) + self._of("entrance", now.entrance)

    def _past(self, past: Past) -> list[int]:
        return self._when(past.time) + self._of("place", past.place) + self._of("asked", past.query)

    def prompt(self, request: SearchRequest) -> list[int]:
        """`<bos> vectors {"query":"..."} <think>`."""
        if request.id not in self._prompts:
            asked = self.encode(f'{{"query":"{escape(self.context(request).request.query)}"}}')
            self._prompts[request.id] = [self.bos, *self.facts(request), *asked, self.think]
        return self._prompts[request.id]

    def past_clicks(self, request: SearchRequest) -> list[bool]:
        """Which tokens of the prompt are of items that were clicked."""
        marks, shown = [], 0
        for token in self.prompt(request):
            if token == self.row[vector("shown", "?")]:
                shown = len(self._item(0)) + 1  # this sign and the item behind it
            marks.append(token in self._items and not shown)
            shown = max(0, shown - 1)
        return marks

    @cached_property
    def _items(self) -> frozenset[int]:
        return frozenset(t for i in range(len(self.log.items)) for t in self._item(i))

    def item_prompt(self, item: int) -> list[int]:
        """The item's vector, before its ID; with `ids`, its text."""
        return super().item_prompt(item) if self.ids else [self.bos, *self._item(item), self.think]


def vector(field: str, value: str) -> str:
    """The token whose embedding is the vector of a value; "?" stands for all rare ones. No typed text holds a raw
    `<`."""
    return f"<{field}={value or '?'}>"


def vector_names(log: SearchLog) -> list[str]:
    """Every vector of a log, counted on its training requests."""
    train = log.split("train")
    asked = Counter(r.query for r in train)
    names = [vector("asked", q) for q, n in asked.items() if n >= OFTEN]
    names += [vector(k, v) for u in log.users for k, v in u.profile.items()]
    names += [vector("place", r.place) for r in train if r.place] + [
        vector("entrance", r.entrance) for r in train if r.entrance
    ]
    names += [vector("month", m) for m in MONTHS] + [vector("daypart", part) for _, part in DAYPARTS]
    names += [vector("item", str(i.id)) for i in log.items]
    fields = sorted({n[1:].split("=")[0] for n in names})
    return list(dict.fromkeys([*names, *(vector(f, "?") for f in (*fields, "shown"))]))


def vectors(p: Prepared, ids: bool = False) -> Prepared:
    """The run with vectors in place of the text around the query, with `ids` not of the items. Its feed-forward layers
    are narrower, so that the vectors add at most `ROOM` to the weights."""
    names, profile = vector_names(p.log), p.profile
    names = [n for n in names if not (ids and n.startswith("<item="))]
    spare = (ROOM - 1) * p.fresh.info["parameters"] - len(names) * profile.hidden
    ffn = profile.ffn + min(0, int(np.floor(spare / (3 * profile.layers * profile.hidden) / 8)) * 8)
    q = prepare(
        p.log,
        p.truth,
        replace(profile, ffn=max(8, ffn)),
        p.seed,
        p.work.root / ("vectors-ids" if ids else "vectors"),
        p.shipped,
    )

    def widen(folder: Path) -> dict:
        model, tokenizer = backbones.load_model(q.fresh.folder, "cpu"), backbones.load_tokenizer(q.fresh.folder)
        tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in names])
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        backbones.save(folder, model, tokenizer)
        return {"parameters": backbones.n_parameters(model), "vocabulary": len(tokenizer), "vectors": len(names)}

    fresh = q.work.run("widened", {"backbone": q.fresh, "often": OFTEN}, widen)
    codec = VectorCodec(p.log, q.sids, backbones.load_tokenizer(fresh.folder), q.codec_options, ids)
    return replace(q, fresh=fresh, codec=codec, perception=Perception(codec, profile.reasoning))
