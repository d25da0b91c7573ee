"""Synthetic queries and topics for logs that recorded none: words taken from an item's own title and brand.

Our choice, and a poor substitute for real queries: whoever uses them marks the request `synthetic_query`.
"""

from __future__ import annotations

import re
from collections import Counter
from hashlib import blake2b
from itertools import combinations

from crs_lite.logs import Item

_NOISE = frozenset(
    "a all an and any are as at by each for from in into is it its new no not of off on or our out per plus set so "
    "than that the these this to up use used using with without you your "
    "cm count feet foot ft gal gallon inch inches kg lb lbs length mil mm ounce ounces oz pack packs pc pcs piece "
    "pieces qty quantity size thick thickness width wide yard yards yd yds".split()
)

MOST_WORDS = 200  # of a title, for queries: pairs of them are counted


def words(text: str) -> list[str]:
    """Distinct lower-case words of a text in order of appearance."""
    return list(dict.fromkeys(re.findall(r"[^\W_]+", text.lower())))


def telling(text: str) -> list[str]:
    """The words a shopper might type: at least two signs, one of them a letter, no unit and no filler."""
    return [w for w in words(text) if len(w) > 1 and w not in _NOISE and any(c.isalpha() for c in w)]


def with_topics(items: list[Item], least: int, share: float) -> list[Item]:
    """Adds `topic`: the rarest title word that at least `least` and at most a `share` of all titles have.

    Of equally rare words the first in the alphabet; no number, no word of the item's brand; left out when none is fit.
    """
    titles = [[w for w in telling(item.title) if w.isalpha() and len(w) > 2] for item in items]
    df = Counter(w for title in titles for w in title)
    out = []
    for item, title in zip(items, titles, strict=True):
        brand = set(words(item.brand or ""))
        fit = [w for w in title if least <= df[w] <= share * len(items) and w not in brand]
        topic = {"topic": min(fit, key=lambda w: (df[w], w))} if fit else {}
        out.append(item.model_copy(update={"attributes": topic}))
    return out


class Queries:
    """Synthetic queries, drawn by a hash of seed, user and item: the order of the rows plays no part."""

    def __init__(self, items: list[Item], seed: int, min_matches: int):
        self.seed = seed
        texts = [telling(f"{item.title} {item.brand or ''}") for item in items]
        self.df = Counter(w for text in texts for w in text)
        self.common = [[w for w in text if self.df[w] >= min_matches][:MOST_WORDS] for text in texts]
        together = Counter(pair for text in self.common for pair in combinations(sorted(text), 2))
        self.pairs = [
            [pair for pair in combinations(text, 2) if together[tuple(sorted(pair))] >= min_matches]
            for text in self.common
        ]

    def of(self, user: str, item: Item) -> str | None:
        """One word, or two, that at least `min_matches` items hold; the most general word when no two do."""
        common, pairs = self.common[item.id], self.pairs[item.id]
        if not common:
            return None
        drawn = blake2b(f"{self.seed}\n{user}\n{item.key}".encode(), digest_size=9).digest()
        pick = int.from_bytes(drawn[1:])
        if drawn[0] % 2:
            return common[pick % len(common)]
        return " ".join(pairs[pick % len(pairs)]) if pairs else max(common, key=lambda w: (self.df[w], w))
