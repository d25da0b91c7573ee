"""A shop of 24 items and a rule anyone can check by hand: the city decides the brand, the query the category."""

import numpy as np

from crs_lite.logs import Item, SearchLog, SearchRequest, User

CATEGORIES, BRANDS, COLOURS = ("parka", "kettle", "lamp"), ("Nordfell", "Solano"), ("red", "blue", "green", "black")
CITIES = ("Oslo", "Madrid")


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
            )  # fmt: skip
        )
    return SearchLog("toy", items, users, rows)
