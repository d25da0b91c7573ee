"""A log too large for objects, from files to a beam step: memory and minutes of the data path, without any training.

`write` makes three parquet files by a seeded script; `measure` reads them as `--log mylog` does, and asks of the log
what a run would. Not measured: the vectors of the items are random, for embedding a million titles takes a CPU hours.
"""

from __future__ import annotations

import os
import platform
import resource
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyarrow import compute, parquet
from pydantic import BaseModel, FiniteFloat

from crs_lite.adapters import checks, mylog
from crs_lite.context import ContextBuilder, item_context
from crs_lite.decode import beam_search, plant
from crs_lite.files import read_json
from crs_lite.logs import SearchLog, SearchRequest
from crs_lite.model import backbones
from crs_lite.prepared import codec_options, sample
from crs_lite.profiles import Profile, get_profile
from crs_lite.sid.codes import SemanticIDs
from crs_lite.study.bench import timed
from crs_lite.tasks import Codec, context_to_sid
from crs_lite.trie import Trie
from crs_lite.workspace import hardware, versions

SHOWN, A_SESSION, A_SHOPPER = 10, 3, 10  # items shown a search, searches a session, searches a shopper
CHUNK = 300_000  # searches written at a time
DIM, CODES, BEAMS, PROMPTS = 32, 256, 10, 4
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


class Part(BaseModel):
    """One part of the path. `peak_gb`: most memory the process had had until its end, in GB of 10**9 bytes."""

    name: str
    seconds: FiniteFloat
    peak_gb: FiniteFloat
    note: str = ""


class Scale(BaseModel):
    """The record. `bytes_a_search`: of the arrays behind a request; `nodes`: of the trie, level by level;
    `beam_step_ms`: one token of all beams, model included; `load`: how many processes wanted a core, on average over
    the last five minutes."""

    items: int
    searches: int
    shoppers: int
    bytes_a_search: FiniteFloat
    tokens_a_prompt: FiniteFloat
    tokens_a_lesson: FiniteFloat
    trie_mb: FiniteFloat
    nodes: list[int]
    beam_step_ms: FiniteFloat
    parts: list[Part]
    minutes: FiniteFloat
    peak_gb: FiniteFloat
    command: str
    commit: str
    seed: int
    hardware: str
    threads: int
    load: FiniteFloat
    versions: dict[str, str]
    date: str


def load(path: Path) -> Scale:
    """Raises `CRSError` naming the file when it is missing or damaged."""
    return read_json(path, Scale, "make it with `python -m crs_lite scale --record`.")


# -- the files ------------------------------------------------------------------------------------------------------


def write(folder: Path, n_items: int, n_searches: int, seed: int = 0) -> dict[str, Path]:
    """Files of a made-up shop, by option of `mylog`; the same rows for the same numbers and seed.

    Popular items are shown and clicked far more often than others; half of the queries are words of the item clicked.
    Rows are nearly in time order, as shops write them.
    """
    rng = np.random.default_rng(seed)
    paths = {option: folder / f"{option}.parquet" for option in ("items", "users", "searches")}
    vocabulary = pa.array([a + b + c for a in ("ba", "ke", "li", "mo", "nu") for b in _SYLLABLES for c in _SYLLABLES])
    words = rng.integers(0, len(vocabulary), (n_items, 5))
    keys = _named("i", np.arange(n_items))
    table = {
        "item_id": keys,
        "title": compute.binary_join_element_wise(*(vocabulary.take(pa.array(w)) for w in words.T), " "),
        "brand": _named("brand ", rng.integers(0, 2000, n_items)),
        "category": _named("kind ", words[:, 0] % 300),
        "price": pa.array(np.round(rng.lognormal(3, 1, n_items) + 1, 2)),
        "attribute_colour": vocabulary.take(pa.array(words[:, 1] % 12)),
    }
    parquet.write_table(pa.table(table), paths["items"])
    n_users = max(1, n_searches // A_SHOPPER)
    users = {"user_id": _named("u", np.arange(n_users)), "city": _named("town ", rng.integers(0, 50, n_users))}
    parquet.write_table(pa.table(users), paths["users"])
    writer = None
    for start in range(0, n_searches, CHUNK):
        rows = _searches(np.arange(start, min(start + CHUNK, n_searches)), n_users, keys, vocabulary, words, rng)
        writer = writer or parquet.ParquetWriter(paths["searches"], rows.schema)
        writer.write_table(rows)
    writer.close()
    return paths


def _named(word: str, numbers: np.ndarray) -> pa.Array:
    return compute.binary_join_element_wise(word, compute.cast(pa.array(numbers), pa.string()), "")


def _searches(n: np.ndarray, n_users: int, keys: pa.Array, vocabulary: pa.Array, words: np.ndarray, rng) -> pa.Table:
    session = n // A_SESSION
    who = session * 7919 % n_users
    shown = (len(keys) * rng.random((len(n), SHOWN)) ** 3).astype(np.int64)  # a third of them among the first 4 %
    at = rng.integers(0, SHOWN, len(n))
    clicked = shown[np.arange(len(n)), at]
    any_words = rng.integers(0, len(vocabulary), (len(n), 2))
    asked = np.where(rng.random((len(n), 1)) < 0.5, words[clicked][:, :2], any_words)
    second = (rng.random(len(n)) < 0.1).astype(np.int64)
    both = np.stack([clicked, shown[np.arange(len(n)), (at + 1) % SHOWN]], 1)
    taken = both.ravel()[np.stack([np.ones(len(n), bool), second.astype(bool)], 1).ravel()]
    clicks = pa.array(np.concatenate([[0], np.cumsum(1 + second)]), pa.int32())
    tens = pa.array(np.arange(len(n) + 1) * SHOWN, pa.int32())
    return pa.table(
        {
            "user_id": _named("u", who),
            "session_id": _named("s", session),
            "time": pa.array(1_700_000_000 + 3 * n + rng.integers(0, 600, len(n))),
            "query": compute.binary_join_element_wise(*(vocabulary.take(pa.array(w)) for w in asked.T), " "),
            "shown": pa.ListArray.from_arrays(tens, keys.take(pa.array(shown.ravel()))),
            "clicked": pa.ListArray.from_arrays(clicks, keys.take(pa.array(taken))),
            "strength": pa.ListArray.from_arrays(clicks, pa.array(1.0 + 2 * (rng.random(len(taken)) < 0.03))),
            "place": _named("town ", who % 50),
            "entrance": _named("page ", rng.integers(0, 4, len(n))),
        }
    )


# -- the path -------------------------------------------------------------------------------------------------------


class _Clock:
    """Does the parts one after the other and remembers what each took."""

    def __init__(self):
        self.parts: list[Part] = []

    def __call__(self, name: str, do: Callable[[], Any]) -> Any:
        started = perf_counter()
        found = do()
        self.parts.append(Part(name=name, seconds=perf_counter() - started, peak_gb=peak_gb()))
        print(f"{name}: {self.parts[-1].seconds:.1f} s, peak {self.parts[-1].peak_gb:.2f} GB", flush=True)
        return found


def peak_gb() -> float:
    """The most memory this process has had, in GB of 10**9 bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if platform.system() == "Darwin" else 1024) / 1e9


def measure(n_items: int, n_searches: int, n_contexts: int, command: str, commit: str, seed: int = 0) -> Scale:
    """The whole path, once, by the budgets of the profile `laptop`. The files lie in a temporary folder meanwhile."""
    part, started, profile = _Clock(), perf_counter(), get_profile("laptop", sid_sizes=(CODES,) * 3)
    with tempfile.TemporaryDirectory() as folder:
        paths = part("write three parquet files", lambda: write(Path(folder), n_items, n_searches, seed))
        log, account, sessions = part("read them, order, split", lambda: mylog.read(**paths, many=0))
    print(account)
    part("checks: what to know before a number is believed", lambda: checks.check(log, sessions))
    part("sha256 of the log", log.digest)
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n_items, DIM), dtype=np.float32)
    sids = part(f"IDs of random vectors, {DIM} wide", lambda: SemanticIDs.build(vectors, profile.sid_sizes, seed))
    asked = [r for split in ("train", "test") for r in sample(log.split(split), n_contexts // 2, seed)]
    model, codec = part("tokenizer, fresh model", lambda: _begin(log, sids, asked[-3000:], profile))
    prompts = part(f"contexts of {len(asked):,} requests", lambda: [codec.prompt(r) for r in asked])
    ids = part("token ids of every item", lambda: codec.sid_ids)
    lessons = part("their lessons, a fifth reconstructed", lambda: context_to_sid(codec, asked, 0.2))
    trie = part("trie", lambda: Trie.build(ids))

    def beams() -> float:
        tree = plant(model, prompts[:PROMPTS], codec.pad)
        return timed(lambda: beam_search(tree, trie, BEAMS))()

    step = part(f"{BEAMS} beams of {PROMPTS} requests, six times", lambda: median([beams() for _ in range(6)][1:]))
    return Scale(
        items=len(log.items), searches=len(log.requests), shoppers=len(log.users),
        bytes_a_search=log.n_bytes / len(log.requests),
        tokens_a_prompt=float(np.mean([len(p) for p in prompts])),
        tokens_a_lesson=float(np.mean([len(lesson.ids) for lesson in lessons])),
        trie_mb=sum(t.numel() * t.element_size() for t in (trie.first, trie.token, trie.item)) / 1e6,
        nodes=_nodes(trie), beam_step_ms=1e3 * step / trie.depth,
        parts=part.parts, minutes=(perf_counter() - started) / 60, peak_gb=peak_gb(), command=command, commit=commit,
        seed=seed, hardware=hardware(), threads=torch.get_num_threads(), load=os.getloadavg()[1],
        versions={**versions(), "pyarrow": pa.__version__, "numpy": np.__version__}, date=date.today().isoformat(),
    )  # fmt: skip


def _begin(log: SearchLog, sids: SemanticIDs, some: list[SearchRequest], profile: Profile) -> tuple[Any, Codec]:
    """A model of random weights, and the codec, whose tokenizer has read some contexts and items."""
    builder = ContextBuilder(log, lambda _: "", len, budget=10**6, max_skipped=profile.max_skipped)
    texts = [builder.build(r).to_json() for r in some] + [item_context(log.items[r.target]) for r in some]
    model, tokenizer = backbones.build(profile, texts, sids.tokens(), 0)
    return model.eval(), Codec(log, sids, tokenizer, codec_options(profile))


def _nodes(trie: Trie) -> list[int]:
    """How many nodes each level below the root has."""
    ends = [0]  # edges down to each level: edge e leads to node e + 1
    for _ in range(trie.depth):
        ends.append(int(trie.first[ends[-1] + 1]))
    return np.diff(ends).tolist()


def markdown(made: Scale) -> str:
    """The record as a table."""
    lines = ["| | seconds | most memory until then, GB |", "| --- | --- | --- |"]
    lines += [f"| {p.name} | {p.seconds:.1f} | {p.peak_gb:.2f} |" for p in made.parts]
    said = [
        f"{made.items:,} items, {made.searches:,} searches of {made.shoppers:,} shoppers",
        f"{made.bytes_a_search:.0f} bytes a search, trie {made.trie_mb:.1f} MB, {made.beam_step_ms:.0f} ms a beam step",
        f"{made.minutes:.1f} minutes, at most {made.peak_gb:.2f} GB, on {made.hardware}, {made.threads} threads",
        f"load {made.load:.1f}, {made.date}; `{made.command}`",
    ]
    return "\n".join(lines) + "\n\n" + "; ".join(said) + "\n"
