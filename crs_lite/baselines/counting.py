"""A counting model: no language, no gradient but for a dozen weights. What a shop should try first (our choice).

Every item gets a score that is a weighted sum of a few counted numbers, and its chance of a click is the softmax of the
scores over the catalogue (a conditional logit; McFadden 1974). Counted on the train split are: how popular an item is;
how much more often than usual its facets are clicked behind this query, in this season and place, by shoppers with this
profile. Read from the context are: the share of the shopper's past clicks that have the item's value of each facet
(shrunk: one click proves less than ten), and whether the item itself was clicked before. The weights are fitted in
seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from crs_lite.baselines.topk import top_k
from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog, SearchRequest

SMOOTHING = 3.0  # pseudo-counts at the overall share; of 1, 3, 8 and 20 the best on validation
N_PAST = 10  # interactions that the context shows
PARTS = ("query", "season", "profile", "history")  # what can be left out


class Counting:
    """Ranks by the fitted scores. `without`: parts of the context that it may not use (for ablations)."""

    name = "counting"

    def __init__(
        self,
        log: SearchLog,
        without: Sequence[str] = (),
        fit_on: int = 3000,
        penalty: float = 1e-3,
        smoothing: float = SMOOTHING,
    ):
        """`fit_on`: how many of the latest training requests the weights are fitted on; their counts come from the
        requests before them, so that no click explains itself. Raises `CRSError` for an unknown part."""
        if unknown := set(without) - set(PARTS):
            raise CRSError(f"counting: no part {sorted(unknown)[0]!r} to leave out; use {', '.join(PARTS)}.")
        self.log, self.without, self.smoothing = log, frozenset(without), smoothing
        facets = [item.facets() for item in log.items]
        self.keys = list(dict.fromkeys(key for of in facets for key in of))
        # value (N, F): the number of the item's value of each facet, -1 where it has none
        self.values = [list(dict.fromkeys(of[k] for of in facets if k in of)) for k in self.keys]
        number = [{v: n for n, v in enumerate(of)} for of in self.values]
        columns = [[number[f].get(of.get(k), -1) for of in facets] for f, k in enumerate(self.keys)]
        self.value = np.array(columns, dtype=np.int64).reshape(len(self.keys), len(facets)).T
        train = log.split("train")
        last = train[-min(fit_on, len(train) // 5, max(1, 3_000_000 // len(facets))) :]
        self._count(train[: len(train) - len(last)])
        self.weights = self._fit(last, penalty)
        self._count(train)

    @property
    def names(self) -> list[str]:
        """What each weight is for."""
        return ["popularity", "query", "season", "profile", *(f"past {k}" for k in self.keys), "seen before"]

    # -- counting ----------------------------------------------------------------------------------

    def _facts(self, r: SearchRequest) -> dict[str, list[tuple]]:
        """Part of the context -> what was seen there."""
        month = int(np.datetime64(r.time, "s").astype("datetime64[M]").astype(int) % 12) if r.timed else None
        profile = self.log.users[r.user].profile
        facts = {
            "query": [(" ".join(r.query.casefold().split()),)],
            "season": [(r.place, month)],
            "profile": [(name, part) for name, text in profile.items() for part in text.split(", ") if part],
        }
        return {kind: [] if kind in self.without else of for kind, of in facts.items()}

    def _count(self, requests: Sequence[SearchRequest]) -> None:
        """Clicks of every item, and of every value behind every fact."""
        self.clicks = np.bincount([r.target for r in requests], minlength=len(self.log.items)).astype(float)
        behind: dict[tuple, np.ndarray] = {}
        for r in requests:
            for kind, of in self._facts(r).items():
                for fact in of:
                    behind.setdefault((kind, *fact), np.zeros(len(self.clicks)))[r.target] += 1
        usual = [self._by_value(self.clicks, f) for f in range(len(self.keys))]
        each = range(len(self.keys))
        self.behind = {fact: [self._by_value(clicks, f) for f in each] for fact, clicks in behind.items()}
        self.lift = {fact: self._lift(counts, usual) for fact, counts in self.behind.items()}

    def _by_value(self, clicks: np.ndarray, f: int) -> np.ndarray:
        has = self.value[:, f] >= 0
        return np.bincount(self.value[has, f], weights=clicks[has], minlength=len(self.values[f]))

    def _lift(self, behind: list[np.ndarray], usual: list[np.ndarray]) -> np.ndarray:
        """`(N,)`: sum over an item's facets of log P(value | fact) / P(value), smoothed; clicks of each facet's values
        `(V,)`, behind the fact and everywhere."""
        out = np.zeros(len(self.value))
        for f, (here, everywhere) in enumerate(zip(behind, usual, strict=True)):
            prior = (everywhere + 1) / (everywhere + 1).sum()
            share = (here + self.smoothing * prior) / (here.sum() + self.smoothing)
            has = self.value[:, f] >= 0
            out[has] += np.log(share / prior)[self.value[has, f]]
        return out

    # -- scoring -----------------------------------------------------------------------------------

    def features(self, r: SearchRequest) -> np.ndarray:
        """`(N, 5 + F)` in the order of `names`; `r.clicked` plays no part."""
        n = len(self.log.items)
        x = np.zeros((n, len(self.names)))
        x[:, 0] = np.log(self.clicks + 1)
        for column, (kind, of) in enumerate(self._facts(r).items(), 1):
            for fact in of:
                x[:, column] += self.lift.get((kind, *fact), 0.0)
        past = [] if "history" in self.without else [i for h in self.log.history(r, N_PAST) for i in h.clicked]
        if past:
            for f in range(len(self.keys)):
                seen = self.value[past, f]
                share = np.bincount(seen[seen >= 0], minlength=len(self.values[f])) / (len(past) + 1)
                has = self.value[:, f] >= 0
                x[has, 4 + f] = share[self.value[has, f]]
            x[past, -1] = 1.0
        return x

    def _fit(self, requests: Sequence[SearchRequest], penalty: float) -> np.ndarray:
        """Weights that make the clicks of `requests` likeliest, `(5 + F,)`."""
        x = np.stack([self.features(r) for r in requests]).astype(np.float32)  # (n, N, 5 + F)
        rows, targets = np.arange(len(requests)), np.array([r.target for r in requests])

        def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
            score = (x @ w.astype(np.float32)).astype(np.float64)
            total = logsumexp(score, axis=1, keepdims=True)
            p = np.exp(score - total)
            p[rows, targets] -= 1  # the derivative of -log p(target) by the scores
            slope = np.einsum("nif,ni->f", x, p.astype(np.float32)).astype(np.float64) / len(rows)
            return (total[:, 0] - score[rows, targets]).mean() + penalty * w @ w, slope + 2 * penalty * w

        return minimize(loss, np.ones(x.shape[-1]), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x

    def log_probabilities(self, r: SearchRequest) -> np.ndarray:
        """`(N,)`: log P(item | context)."""
        score = self.features(r) @ self.weights
        return score - logsumexp(score)

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids; `-1` pads catalogues of fewer than k items."""
        return np.stack([top_k(self.features(r) @ self.weights, k) for r in requests])
