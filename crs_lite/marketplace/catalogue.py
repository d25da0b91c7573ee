"""The items of the shop: attributes first, then a title that a seller might write about them."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np

from crs_lite.logs import Item
from crs_lite.marketplace.tables import (
    AUDIENCES,
    BANDS,
    BRANDS,
    CATEGORIES,
    COLOURS,
    DEVICES,
    PRICE_FACTOR,
    RANGE_WORDS,
    RANGES,
    STYLE_WORDS,
    STYLES,
    WEATHER_WORDS,
    Category,
)  # fmt: skip

Rng = np.random.Generator
BEST_SELLER, ZIPF = 20_000, 0.8  # sales of the item at rank r (1, 2, ...) are BEST_SELLER / r ** ZIPF


def make_items(rng: Rng, n: int) -> list[Item]:
    """`n` items, categories in shares of `Category.share`, ids in random order; titles are unique."""
    drafts = [d for category, size in zip(CATEGORIES, _sizes(n), strict=True) for d in _drafts(rng, category, size)]
    sales_rank = rng.permutation(n)
    items, titles = [], set()
    for i, d in enumerate(rng.permutation(n)):
        category, brand, attributes = drafts[d]
        title = _unique(rng, _title(rng, category, brand, attributes), titles)
        price = category.price * PRICE_FACTOR[attributes["range"]] * (0.8 + 0.4 * rng.random())
        items.append(
            Item(
                id=i,
                key=f"M{i:06d}",
                title=title,
                brand=brand,
                category=category.name,
                price=round(round(price) - 0.01, 2),
                sales=round(BEST_SELLER / (1 + int(sales_rank[i])) ** ZIPF),
                attributes=attributes,
            )  # fmt: skip
        )
    return items


def _sizes(n: int) -> list[int]:
    """Items a category: shares of `n`, the largest remainders rounded up."""
    exact = np.array([c.share for c in CATEGORIES]) * n / sum(c.share for c in CATEGORIES)
    sizes = np.floor(exact).astype(int)
    sizes[np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]] += 1
    return sizes.tolist()


def _drafts(rng: Rng, category: Category, n: int) -> list[tuple[Category, str, dict[str, str]]]:
    """`n` x (category, brand, attributes).

    Every combination of context facets (device, audience, weather) gets the same number of items, and within each,
    every style, range and brand as equal a number as possible; equal items only once all 72 combinations are used.
    """
    axes: dict[str, tuple[str, ...]] = {}
    if category.fits:
        axes["fits"] = DEVICES[category.fits]
    if category.audience:
        axes["audience"] = AUDIENCES
    if category.weather or category.season:
        axes["weather"] = BANDS if category.weather else (category.season,)
    contexts = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    counts = [n // len(contexts) + (i < n % len(contexts)) for i in range(len(contexts))]
    out = []
    for context, count in zip(contexts, rng.permutation(counts), strict=True):
        for style, price_range, brand in _tastes(rng, int(count)):
            out.append((category, brand, context | {"style": style, "range": price_range}))
    return out


def _tastes(rng: Rng, n: int) -> list[tuple[str, str, str]]:
    """`n` balanced, as far as possible distinct (style, range, brand)."""
    every = list(product(STYLES, RANGES, BRANDS))
    out: list[tuple[str, str, str]] = []
    while len(out) < n:
        left = [every[i] for i in rng.permutation(len(every))]
        used: Counter[str] = Counter()
        for _ in range(min(n - len(out), len(every))):  # next: the combination whose values were used least
            best = min(left, key=lambda values: sum(used[v] for v in values))
            left.remove(best)
            used.update(best)
            out.append(best)
    return out


def _title(rng: Rng, category: Category, brand: str, attributes: dict[str, str]) -> str:
    """5 to 9 words or so, in one of several orders."""

    def pick(words: tuple[str, ...]) -> str:
        return words[int(rng.integers(len(words)))]

    noun, detail = pick(category.nouns), pick(category.details)
    style, price_range = pick(STYLE_WORDS[attributes["style"]]), pick(RANGE_WORDS[attributes["range"]])
    weather = pick(WEATHER_WORDS[attributes["weather"]]) + " " if category.weather else ""
    first, last = ("", f" {detail}") if detail.startswith("with") else (f"{detail} ", "")
    form = int(rng.integers(4))
    if "fits" in attributes:
        device = attributes["fits"]
        return (
            f"{brand} {style} {noun}{last} for {device}, {price_range}",
            f"{price_range} {style} {noun} for {device} by {brand}",
            f"{device} {first}{noun}, {style}, {price_range}, {brand}",
            f"{brand} {price_range} {device} {noun}, {style}",
        )[form]
    whom = attributes.get("audience")
    to, of = (f" for {whom}", f"{whom}'s ") if whom else ("", "")
    short, short_last = ("", "") if whom else (first, last)  # titles without an audience have room for the detail
    return (
        f"{brand} {style} {weather}{short}{noun}{last}{to}, {price_range}",
        f"{price_range} {of}{style} {weather}{first}{noun} by {brand}",
        f"{of}{weather}{short}{noun}{last}, {style}, {price_range}, {brand}",
        f"{brand} {price_range} {first}{weather}{noun}{short_last}{to}, {style}",
    )[form]


def _unique(rng: Rng, title: str, taken: set[str]) -> str:
    """The title, with a colour or a model number added when it is taken already."""
    title = title[0].upper() + title[1:]
    for colour in [""] + [f", {COLOURS[i]}" for i in rng.permutation(len(COLOURS))]:
        if title + colour not in taken:
            break
    else:
        colour = f", model {len(taken)}"
    taken.add(title + colour)
    return title + colour
