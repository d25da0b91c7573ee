"""CRS in the reader's browser: everything the page "Try it" loads, made from the files that Python reads.

The page's own scripts stand in `book/live/`. This module adds what they compute with (weights in half precision,
tokenizer, catalogue, IDs, some shoppers), the rankings that need the known truth, and a recorded run for readers
without JavaScript. Pages are opened from the disk, where a script can fetch nothing: so all of it comes as scripts.
"""

from __future__ import annotations

import base64
import inspect
import json
from collections import Counter
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from crs_lite import marketplace
from crs_lite.baselines.counting import N_PAST, SMOOTHING, Counting
from crs_lite.chapters import checkpoints
from crs_lite.chapters.lesson import running_example
from crs_lite.context import DAYPARTS, MONTHS, when
from crs_lite.errors import CRSError
from crs_lite.files import read_json, write_text
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.marketplace import Truth
from crs_lite.marketplace.tables import BANDS, CITIES, band
from crs_lite.merging import MergingRanker
from crs_lite.model.backbones import END_THINK, THINK
from crs_lite.paths import CHECKPOINTS, SHIPPED
from crs_lite.ranker import CRSRanker
from crs_lite.tasks import Codec

WORKER = ("tokenizer", "context", "model", "beam", "worker")  # the scripts that compute, in this order
CHECKPOINT, DIRECT = "distilled", "direct"  # the model that reasons, and the one that answers at once
K = 10  # items in a list
N_QUERIES = 48  # queries offered: the most frequent ones
RECORDED = "<!-- recorded run -->"
# What the scripts take for granted of a model. (Sizes they read from the config.)
ASSUMED = {
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": True,
}


def write(folder: Path) -> list[Path]:
    """Add to `folder`, a copy of `book/live`, what is made: `data.js`, `weights.js` and `weights-direct.js`,
    `worker-source.js`, and the recorded run in `page.html`. Returns the files that the finished page needs beside it.

    Raises `CRSError` for a model that the scripts cannot run."""
    log, truth = marketplace.load(SHIPPED)
    codec, offered, counts = checkpoints.codec(log), shoppers(log), Counting(log)
    data = page_data(log, truth, codec, offered, counts)
    worker = "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in WORKER)
    made = {"data": data, "weights": _weights(CHECKPOINT), "weights-direct": _weights(DIRECT), "worker-source": worker}
    for name, value in made.items():
        write_text(folder / f"{name}.js", f"(self.LIVE ??= {{}})[{json.dumps(name)}] = {_script(value)};\n")
    page = (folder / "page.html").read_text(encoding="utf-8")
    write_text(folder / "page.html", page.replace(RECORDED, recorded_run(log, truth, codec, offered[0], counts)))
    return [folder / name for name in (*(f"{name}.js" for name in made), "counting.js", "page.js", "page.css")]


def _weights(checkpoint: str) -> str:
    return base64.b64encode((CHECKPOINTS / checkpoint / "model.safetensors").read_bytes()).decode()


def _script(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def page_data(log: SearchLog, truth: Truth, codec: Codec, offered: list[SearchRequest], counts: Counting) -> dict:
    """What the scripts compute with, as a JSON value (all but the weights)."""
    facts = checkpoints.about()
    builder, tokenizer = codec.builder, codec.tokenizer
    queries = frequent_queries(log)
    return {
        "config": model_config(CHECKPOINTS / CHECKPOINT / "config.json"),
        "tokenizer": read_json(CHECKPOINTS / "tokenizer" / "tokenizer.json", dict, "restore it."),
        "control": {
            "bos": tokenizer.bos_token,
            "eos": tokenizer.eos_token,
            "pad": tokenizer.pad_token,
            "think": THINK,
            "end_think": END_THINK,
        },
        "context": {
            "budget": builder.budget,
            "item_view": builder.item_view,
            "max_history": builder.max_history,
            "max_skipped": builder.max_skipped,
        },
        "max_reasoning": facts["profile"]["max_reasoning"],
        **merging_defaults(),
        "k": K,
        "items": [
            {"title": item.title, "sid": codec.sids.to_string(item.id), "facets": item.facets()} for item in log.items
        ],
        "months": MONTHS,
        "dayparts": [name for _, name in DAYPARTS],
        "places": list(CITIES),
        "bands": {city: [band(city, month) for month in range(1, 13)] for city in CITIES},
        "queries": queries,
        "shoppers": [situation(log, request) for request in offered],
        "informed": [informed(truth, request, queries) for request in offered],
        "counting": counted(counts),
    }


def counted(model: Counting) -> dict:
    """What the counting model has counted and fitted, as `counting.js` takes it: a fact's name is its JSON."""
    behind = {_script(list(fact)): [of.astype(int).tolist() for of in every] for fact, every in model.behind.items()}
    return {
        "keys": model.keys,
        "values": model.values,
        "clicks": model.clicks.astype(int).tolist(),
        "behind": behind,
        "weights": model.weights.tolist(),
        "smoothing": SMOOTHING,
        "n_past": N_PAST,
    }


def merging_defaults() -> dict:
    """The temperature of several thoughts, and how wide the beams of each are, as `MergingRanker` has them."""
    known = inspect.signature(MergingRanker).parameters
    return {name: known[name].default for name in ("temperature", "beams")}


def model_config(path: Path) -> dict:
    """The model's config. Raises `CRSError` when the scripts would compute something else than the model."""
    config = read_json(path, dict, "restore the checkpoint.")
    for name, value in ASSUMED.items():
        if config.get(name) != value:
            raise CRSError(
                f"{path}: {name} is {config.get(name)!r}, but the page can only do {value!r}; extend book/live."
            )
    if config.get("rope_parameters", {}).get("rope_type", "default") != "default":
        raise CRSError(f"{path}: the page knows the default rotary positions only; extend book/live/model.js.")
    return config


# -- shoppers and queries --------------------------------------------------------------------------


def shoppers(log: SearchLog) -> list[SearchRequest]:
    """The requests whose shoppers are offered, all from the validation split: the running example, one experienced
    shopper from every other city, women and men by turns, and two with hardly any history."""
    found = [running_example(log)]
    profiles = [log.users[found[0].user].profile]
    for request in log.split("valid"):
        profile = log.users[request.user].profile
        new = all(profile["city"] != known["city"] for known in profiles)
        if new and log.n_past(request) >= 8 and profile["gender"] != profiles[-1]["gender"]:
            profiles.append(profile)
            found.append(request)
    for n_past in (0, 2):
        found.append(next(r for r in log.split("valid") if log.n_past(r) == n_past))
    return found


def frequent_queries(log: SearchLog, n: int = N_QUERIES) -> list[str]:
    """The n queries typed most often in the train split, most frequent first."""
    return [query for query, _ in Counter(r.query for r in log.split("train")).most_common(n)]


def situation(log: SearchLog, request: SearchRequest) -> dict:
    """A request as the scripts take it: `{profile, history, now}` with items as numbers, and what was clicked next.

    The history is as long as any context may look back, oldest first."""
    t = datetime.fromtimestamp(request.time, UTC)
    history = [
        {"time": when(i.time), "place": i.place, "query": i.query, "clicked": i.clicked, "skipped": i.skipped}
        for i in log.history(request)
    ]
    now = {"time": when(request.time), "place": request.place, "entrance": request.entrance, "query": request.query}
    return {
        "profile": log.users[request.user].profile,
        "history": history,
        "now": now,
        "month": t.month - 1,
        "daypart": next(n for n, (hour, _) in enumerate(DAYPARTS) if t.hour < hour),
        "clicked": request.target,
    }


def informed(truth: Truth, request: SearchRequest, queries: list[str]) -> dict[str, list[list[int]]]:
    """Query -> for every weather band the list of a perfectly informed reader, for this shopper at this moment.

    Of place and time, only the weather moves the informed reader: one city a band stands for all."""
    month = datetime.fromtimestamp(request.time, UTC).month
    places = [next(city for city in CITIES if band(city, month) == b) for b in range(len(BANDS))]
    asked = list(dict.fromkeys([request.query, *queries]))
    lists = truth.informed(
        [request.model_copy(update={"query": query, "place": place}) for query in asked for place in places], K
    ).tolist()
    return {query: lists[n * len(places) : (n + 1) * len(places)] for n, query in enumerate(asked)}


# -- for readers without JavaScript -----------------------------------------------------------------


def recorded_run(log: SearchLog, truth: Truth, codec: Codec, request: SearchRequest, counts: Counting) -> str:
    """One search, run here: what was asked, the reasoning and three lists, as HTML."""
    crs = CRSRanker("CRS", checkpoints.model(CHECKPOINT), codec, progress=False)
    lists = {
        "CRS": crs.rank([request], K)[0],
        "Informed": truth.informed([request], K)[0],
        "Counting model": counts.rank([request], K)[0],
    }
    profile = ", ".join(f"{key} {value}" for key, value in log.users[request.user].profile.items())
    rows = [
        f"<p>Asked: <q>{escape(request.query)}</q>, {escape(when(request.time))}, {escape(request.place or '')}. "
        f"The shopper: {escape(profile)}; {len(log.history(request))} past searches.</p>",
        f"<p>Reasoning: {escape(crs.thoughts[0])}</p>",
        '<div class="try-lists">',
    ]
    for name, items in lists.items():
        titles = "".join(f"<li>{escape(log.items[i].title)}</li>" for i in items)
        rows.append(f"<section><h3>{name}</h3><ol>{titles}</ol></section>")
    return "\n".join([*rows, "</div>"])
