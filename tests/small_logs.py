"""Small catalogues and logs whose words can be counted by hand."""

import numpy as np

from crs_lite.logs import Item, SearchLog, SearchRequest, User

CORPUS = [
    ("Red wool parka", "Acme", "coat"),
    ("Blue parka, warm parka", "Acme", "coat"),
    ("Phone case red", None, None),
    ("Case for phone X2", "Zeta", "case"),
    ("Graphics card 8 GB", "Zeta", None),
    ("Warm socks (3 pairs)", "Söcke", "sock"),
    ("ACME glue", "Acme", "glue"),
]


def log_of(corpus, requests=(), n_users=3):
    items = [Item(id=i, key=str(i), title=t, brand=b, category=c) for i, (t, b, c) in enumerate(corpus)]
    rows = [
        SearchRequest(id=n, time=n, user=n % n_users, split=split, query=query, clicked=clicked)
        for n, (split, query, clicked) in enumerate(requests)
    ]
    return SearchLog("shop", items, [User(id=u, key=str(u)) for u in range(n_users)], rows)


def asks(*queries):
    return [SearchRequest(id=n, time=n, user=0, split="test", query=q, clicked=(0,)) for n, q in enumerate(queries)]


def letters(texts):
    """A made-up encoder: 26 letter counts, not scaled to length 1."""
    return np.array([[text.lower().count(chr(97 + j)) for j in range(26)] for text in texts], dtype=np.float64)
