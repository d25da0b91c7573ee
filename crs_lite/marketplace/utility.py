"""The utility behind every click, and exact sums over the catalogue for all tastes at once (our choice throughout).

A shopper with taste theta = (style, range, brand, hobby) values item i in a request at

    u = asked(query, i) + popularity(i) - misfit(weather, gender, devices; i) + liked(theta, i)

and clicks i with probability softmax(u) over the *whole* catalogue: a shopper finds what there is to find.
exp(u) is a product of three tables, which makes sums over all 288 tastes cheap:

    exp(u) = E[query, i] * G[row, context class of i] * F[theta, taste class of i]

*Taste class*: (style, range, brand, department), 288 of them. *Context class*: (weather, audience, fits), a few dozen.
*Row*: the part of the shopper's state that an item is sensitive to. There are four kinds of item: those that fit a
phone, a laptop, a console, and all others; a state (weather band, gender, phone, laptop, console) selects one row of
each kind, and an item belongs to the rows of its own kind only. So sums over the catalogue are sums of four rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.logs import Item
from crs_lite.marketplace.tables import (
    AUDIENCES,
    BANDS,
    BRAND_PRIOR,
    BRANDS,
    DEPARTMENT_OF,
    DEPARTMENTS,
    DEVICES,
    GENDERS,
    HOBBY_PRIOR,
    QUERIES,
    RANGE_GIVEN_AGE,
    RANGES,
    STYLE_GIVEN_AGE,
    STYLES,
)  # fmt: skip

TASTES = {"style": STYLES, "range": RANGES, "brand": BRANDS, "hobby": DEPARTMENTS}
THETAS = np.array(list(product(*(range(len(v)) for v in TASTES.values()))))  # (288, 4) indices, also of taste classes
N_THETA = len(THETAS)
KINDS = ("other", *DEVICES)  # kinds of item


@dataclass(frozen=True)
class Weights:
    """Utility in nats: added when a facet is as asked or liked, taken away when it does not suit the context."""

    asked: float = 12.0  # the category (or brand) is one the query asks for
    wanted: float = 4.0  # each further value the query states
    weather: float = 5.0  # taken away for each band between the item's weather and the place's
    audience: float = 6.0  # taken away when the item is for the other audience
    fits: float = 7.0  # taken away when the shopper does not own the device
    style: float = 5.0
    range: float = 3.0
    brand: float = 3.5
    hobby: float = 4.5
    popularity: float = 0.7  # times log(sales)


FROZEN_WEIGHTS = Weights()


def theta_index(taste: dict[str, str]) -> int:
    """Row of `THETAS` of a taste {"style": .., "range": .., "brand": .., "hobby": ..}."""
    index = 0
    for name, values in TASTES.items():
        index = index * len(values) + values.index(taste[name])
    return index


def theta_prior(age: str) -> np.ndarray:
    """P(theta | age bucket), `(288,)`: style and range depend on age, brand and hobby do not."""
    parts = (STYLE_GIVEN_AGE[age], RANGE_GIVEN_AGE[age], BRAND_PRIOR, HOBBY_PRIOR)
    return np.prod([np.array(p)[THETAS[:, axis]] for axis, p in enumerate(parts)], axis=0)


class Utility:
    """The tables E, G and F for one catalogue and one set of weights."""

    def __init__(self, items: list[Item], weights: Weights = Weights()):
        self.weights = weights
        facets = [item.facets() for item in items]
        self._n = len(items)
        self._has: dict[tuple[str, str], np.ndarray] = {}  # (facet, value) -> (N,) whether the item has it
        for i, f in enumerate(facets):
            for pair in f.items():
                self._has.setdefault(pair, np.zeros(len(items)))[i] = 1.0
        taste = [
            (STYLES.index(f["style"]), RANGES.index(f["range"]), BRANDS.index(f["brand"]), DEPARTMENT_OF[f["category"]])
            for f in facets
        ]
        self.cell = np.ravel_multi_index(np.array(taste).T, [len(v) for v in TASTES.values()])  # (N,) taste class
        log_sales = np.log([item.sales or 1 for item in items])
        self.popularity = weights.popularity * (log_sales - log_sales.mean())  # (N,)
        contexts = [(f.get("weather"), f.get("audience"), f.get("fits")) for f in facets]
        self._contexts = sorted(set(contexts), key=str)
        self.context = np.array([self._contexts.index(c) for c in contexts])  # (N,) context class
        self._make_rows()
        self._queries: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def _make_rows(self) -> None:
        """Row numbers of every state, and `log_g (R, C)`: minus the misfit, -inf where the item is of another kind."""
        w = self.weights
        self.other_row = np.arange(len(BANDS) * len(GENDERS)).reshape(len(BANDS), len(GENDERS))
        self.device_row: dict[str, dict[str | None, int]] = {}
        rows: list[tuple] = [("other", b, g) for b in range(len(BANDS)) for g in range(len(GENDERS))]
        for kind, models in DEVICES.items():
            owned = (*models, None) if kind == "console" else models
            self.device_row[kind] = {model: len(rows) + i for i, model in enumerate(owned)}
            rows += [(kind, model) for model in owned]
        kind_of_model = {model: kind for kind, models in DEVICES.items() for model in models}
        self.kind_of_context = [kind_of_model.get(fits, "other") for _, _, fits in self._contexts]
        self.log_g = np.full((len(rows), len(self._contexts)), -np.inf)
        for r, row in enumerate(rows):
            for c, (weather, audience, fits) in enumerate(self._contexts):
                if row[0] != self.kind_of_context[c]:
                    continue
                misfit = 0.0
                if row[0] != "other":
                    misfit = w.fits * (fits != row[1])
                else:
                    misfit += w.weather * abs(BANDS.index(weather) - row[1]) if weather else 0.0
                    misfit += w.audience * (AUDIENCES.index(audience) != row[2]) if audience else 0.0
                self.log_g[r, c] = -misfit
        self.g = np.exp(self.log_g)  # (R, C)

    @cached_property
    def liked(self) -> np.ndarray:
        """`(288, 288)`: utility of a taste class for a taste."""
        weight = np.array([getattr(self.weights, name) for name in TASTES])
        return ((THETAS[:, None, :] == THETAS[None, :, :]) * weight).sum(2)

    @cached_property
    def f(self) -> np.ndarray:
        """`(288, 288)`: exp of `liked`, by which click probabilities of classes are weighted."""
        return np.exp(self.liked)

    def asked(self, text: str) -> np.ndarray:
        """`(N,)` utility from the query alone. Raises `CRSError` for a query this shop does not know."""
        if text not in QUERIES:
            raise CRSError(f"query {text!r} is none of this marketplace's; use a log made by the same version.")
        query, none = QUERIES[text], np.zeros(self._n)
        main = [("category", name) for name in query.categories] + ([("brand", query.brand)] if query.brand else [])
        u = self.weights.asked * sum(self._has.get(pair, none) for pair in main)
        return u + self.weights.wanted * sum((self._has.get(pair, none) for pair in query.wants.items()), none)

    def base(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """-> `log E (N,)` of a query, and `Z (R, 288)`: the part of sum_i exp(u_i) each row contributes, by theta."""
        if text not in self._queries:
            log_e = self.asked(text) + self.popularity
            mass = np.zeros((len(self._contexts), N_THETA))  # (C, taste class)
            np.add.at(mass, (self.context, self.cell), np.exp(log_e))
            self._queries[text] = log_e, (self.g @ mass) @ self.f.T
        return self._queries[text]

    def context_utility(self, text: str, rows: list[int]) -> np.ndarray:
        """`(N,)` utility without taste, in the state that selects `rows`, one of each kind."""
        return self.base(text)[0] + self.log_g[rows].max(0)[self.context]

    def utility(self, text: str, rows: list[int], theta: int) -> np.ndarray:
        """`(N,)` the utility of every item."""
        return self.context_utility(text, rows) + self.liked[theta][self.cell]
