"""A shop of 24 items and a rule anyone can check by hand: the city decides the brand, the query the category.

And what a run needs beside a log: a profile of seconds, vectors that mean nothing, an encoder that draws them.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from crs_lite.logs import Item, SearchLog, SearchRequest, User
from crs_lite.profiles import get_profile
from crs_lite.sid.embed import item_text, save_embeddings, sha_of_texts

CATEGORIES, BRANDS, COLOURS = ("parka", "kettle", "lamp"), ("Nordfell", "Solano"), ("red", "blue", "green", "black")
CITIES = ("Oslo", "Madrid")

PROFILE = get_profile(
    "smoke",
    hidden=32,
    layers=1,
    vocab=400,
    context_budget=220,
    sid_sizes=(4, 4, 4),
    align_item_epochs=1,
    align_context_epochs=1,
    distil_requests=20,
    teacher="hindsight",
    rl_steps=2,
    rl_prompts=2,
    rl_group=3,
    rl_beams=5,
    collect_requests=12,
    max_reasoning=10,
    eval_requests=0,
)


def toy_log(n_users: int = 30, per_user: int = 6, seed: int = 0) -> SearchLog:
    """Requests 0.. in time order, 70/10/20 split; a Norwegian buys Nordfell, anyone in Madrid buys Solano."""
    rng = np.random.default_rng(seed)
    items = [
        Item(
            id=i,
            key=f"i{i}",
            title=f"{b} {c} {k}",
            brand=b,
            category=c,
            price=10.0 + i,
            sales=i,
            attributes={"colour": k},
        )
        for i, (c, b, k) in enumerate((c, b, k) for c in CATEGORIES for b in BRANDS for k in COLOURS)
    ]
    users = [User(id=u, key=f"u{u}", profile={"city": CITIES[u % 2]}) for u in range(n_users)]
    rows = []
    n = n_users * per_user
    for i in range(n):
        u = int(rng.integers(n_users))
        c, k = int(rng.integers(3)), int(rng.integers(4))
        target = c * 8 + (u % 2) * 4 + k
        others = rng.choice([j for j in range(24) if j != target], 2, replace=False)
        split = "train" if i < 0.7 * n else "valid" if i < 0.8 * n else "test"
        rows.append(
            SearchRequest(
                id=i,
                user=u,
                time=1_700_000_000 + 5000 * i,
                place=CITIES[u % 2],
                query=CATEGORIES[c],
                shown=tuple(int(j) for j in rng.permutation([target, *others])),
                clicked=(target,),
                split=split,
            )
        )
    return SearchLog("toy", items, users, rows)


class Known:
    """The toy shop's truth: the city decides the brand, the query the category. Nobody is happy with any list."""

    def claims(self, request):
        return {"brand": BRANDS[CITIES.index(request.place)], "category": request.query}

    def expected_utility(self, requests, lists):
        return np.zeros(len(lists))


def shipped_vectors(path: Path, log: SearchLog) -> Path:
    """Embeddings as they come with a log, at random."""
    x = np.random.default_rng(0).normal(size=(len(log.items), 384)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    save_embeddings(path, x, sha_of_texts([item_text(i) for i in log.items]))
    return path


def embedder(name: str):
    """In place of a sentence encoder: the same text has the same vector."""
    fixed = {}

    def encode(texts):
        drawn = [fixed.setdefault(t, np.random.default_rng(len(t)).normal(size=384)) for t in texts]
        return np.stack(drawn).astype(np.float32)

    return SimpleNamespace(encode=encode)
