"""One evaluator for every ranker: HR, NDCG and MRR over the full catalogue, with intervals, slices and paired tests.

Source: paper's metrics (HR and NDCG at 1, 5, 10; no sampled negatives; one relevant item a request). The bootstrap,
the slices and MRR are our choice. Requests are resampled as if independent; several requests of one shopper
are not quite that, so intervals are slightly optimistic where a few shoppers search a lot.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog, SearchRequest

CUTOFFS = (1, 5, 10)
DEPTH = CUTOFFS[-1]  # length of the list a shopper sees, and of the list MRR looks at
MISS = 2**31 - 1  # rank of a target that is not in the list: larger than any cutoff
COLD = 2  # at most this many past interactions is a cold start


class Ranker(Protocol):
    """Anything that orders the catalogue. `name` labels its results."""

    name: str

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids, best first, no item twice; `-1` pads the end when fewer than k are ranked."""
        ...


class Difference(NamedTuple):
    """Mean of a - b over the same requests, with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


class Estimate(BaseModel):
    """A mean over requests with the ends of its 95 % bootstrap interval."""

    model_config = ConfigDict(frozen=True)
    value: float
    low: float
    high: float


class SliceScore(BaseModel):
    """Metrics of the `n` requests of one slice."""

    model_config = ConfigDict(frozen=True)
    n: int
    metrics: dict[str, Estimate]


class Evaluation(BaseModel):
    """What one ranker did on one list of requests. `ranks` is 0-based, `None` where the target was missed."""

    model_config = ConfigDict(frozen=True)
    name: str
    log: str
    n: int
    k: int
    metrics: dict[str, Estimate]
    slices: dict[str, SliceScore]
    request_ids: list[int]
    ranks: list[int | None]

    def rank_array(self) -> np.ndarray:
        """`(n,)` 0-based ranks with `MISS` for missed targets."""
        return np.array([MISS if r is None else r for r in self.ranks], dtype=np.int64)

    def per_request(self) -> dict[str, np.ndarray]:
        """Metric -> `(n,)` values, in the order of `request_ids`."""
        return per_request(self.rank_array())


# -- metrics -----------------------------------------------------------------------------------


def ranks_of_targets(ranked: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """`ranked (n, k)`, `targets (n,)` -> `(n,)` 0-based rank of each target, `MISS` where it is not in its list."""
    ranked, targets = np.asarray(ranked), np.asarray(targets)
    if ranked.ndim != 2 or targets.shape != ranked.shape[:1]:
        shapes = f"ranked {ranked.shape} and targets {targets.shape}"
        raise CRSError(f"{shapes} must be (n, k) and (n,); pass one list for each target.")
    if ranked.shape[1] == 0:
        return np.full(len(ranked), MISS, dtype=np.int64)
    hit = ranked == targets[:, None]  # (n, k)
    return np.where(hit.any(1), hit.argmax(1), MISS)


def per_request(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """`(n,)` 0-based ranks -> HR@K, NDCG@K = [r < K] / log2(r + 2) and MRR = [r < 10] / (r + 1), each `(n,)` in [0, 1].

    MRR is that of the top-10 list: a target at rank 10 or later counts 0, however long the list was.
    """
    r = np.asarray(ranks, dtype=np.int64)
    out = {f"HR@{k}": (r < k).astype(np.float64) for k in CUTOFFS}
    gain = 1 / np.log2(r + 2.0)
    out |= {f"NDCG@{k}": np.where(r < k, gain, 0.0) for k in CUTOFFS}
    return out | {"MRR": np.where(r < DEPTH, 1 / (r + 1.0), 0.0)}


def score(ranks: np.ndarray) -> dict[str, float]:
    """`(n,)` ranks -> HR@1/5/10, NDCG@1/5/10 and MRR (of the top-10 list), averaged. Raises `CRSError` when n = 0."""
    if len(ranks) == 0:
        raise CRSError("no requests to score; choose a split that has requests.")
    return {name: float(values.mean()) for name, values in per_request(ranks).items()}


# -- intervals ---------------------------------------------------------------------------------


def bootstrap_interval(values: np.ndarray, n: int = 2000, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values (m,)`, from `n` resamples; same seed, same interval.

    Drawing m values with replacement and counting how often each distinct one came is a multinomial draw, so that
    is what we draw: a metric of a top-10 list has at most 11 distinct values, whatever m is.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise CRSError(f"values of shape {values.shape} cannot be resampled; pass a one-dimensional, non-empty array.")
    if not np.isfinite(values).all():
        raise CRSError("values to resample hold NaN or infinity; drop those requests or mend the metric.")
    distinct, counts = np.unique(values, return_counts=True)
    share, rng = counts / len(values), np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // len(distinct))  # at most 16 MB of counts at a time
    means = [
        rng.multinomial(len(values), share, size=min(chunk, n - start)) @ distinct / len(values)
        for start in range(0, n, chunk)
    ]
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def paired_bootstrap(a: np.ndarray, b: np.ndarray, n: int = 2000, seed: int = 0) -> Difference:
    """Mean of `a - b`, both `(m,)` over the same requests in the same order, with its 95 % interval."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise CRSError(f"paired values have shapes {a.shape} and {b.shape}; score both rankers on the same requests.")
    low, high = bootstrap_interval(a - b, n, seed)
    return Difference(float((a - b).mean()), low, high)


def compare(a: Evaluation, b: Evaluation, metric: str = "NDCG@10", n: int = 2000, seed: int = 0) -> Difference:
    """`a - b` in one metric, paired by request. Raises `CRSError` when they did not rank the same requests."""
    if a.log != b.log or a.request_ids != b.request_ids:
        raise CRSError(f"{a.name!r} and {b.name!r} ranked different requests; evaluate both on the same list.")
    of_a, of_b = a.per_request(), b.per_request()
    if metric not in of_a:
        raise CRSError(f"unknown metric {metric!r}; use one of {', '.join(of_a)}.")
    return paired_bootstrap(of_a[metric], of_b[metric], n, seed)


def _estimates(ranks: np.ndarray, seed: int) -> dict[str, Estimate]:
    estimates = {}
    for name, values in per_request(ranks).items():
        low, high = bootstrap_interval(values, seed=seed)
        estimates[name] = Estimate(value=float(values.mean()), low=low, high=high)
    return estimates


# -- slices ------------------------------------------------------------------------------------


def slices(log: SearchLog, requests: Sequence[SearchRequest], top_categories: int = 20) -> dict[str, np.ndarray]:
    """Name -> `(n,)` boolean mask over `requests`.

    - `cold start` (at most 2 past interactions) and `warm`: together everything.
    - `query: unseen` (never asked in the train split), `query: specific` and `query: ambiguous`: together everything.
      A query is as ambiguous as the number of distinct categories (items, in a log without categories) its train
      clicks led to; ambiguous means more than the median over the seen `requests`.
    - `category: X` for the `top_categories` most frequent categories of the targets.
    """
    cold = np.array([log.n_past(r) <= COLD for r in requests], dtype=bool)
    categories = [item.category for item in log.items]
    kinds = categories if any(categories) else list(range(len(log.items)))
    led_to: dict[str, set] = defaultdict(set)
    for r in log.split("train"):
        led_to[_same_query(r.query)].add(kinds[r.target])
    breadth = np.array([len(led_to.get(_same_query(r.query), ())) for r in requests])
    seen = breadth > 0
    middle = np.median(breadth[seen]) if seen.any() else 0
    out = {
        "cold start": cold,
        "warm": ~cold,
        "query: unseen": ~seen,
        "query: specific": seen & (breadth <= middle),
        "query: ambiguous": seen & (breadth > middle),
    }
    of_target = [categories[r.target] for r in requests]
    frequent = sorted(Counter(c for c in of_target if c).items(), key=lambda pair: (-pair[1], pair[0]))
    return out | {f"category: {c}": np.array([t == c for t in of_target]) for c, _ in frequent[:top_categories]}


def _same_query(query: str) -> str:
    return " ".join(query.casefold().split())


# -- the referee -------------------------------------------------------------------------------


def evaluate(
    ranker: Ranker, log: SearchLog, requests: Sequence[SearchRequest], k: int = DEPTH, seed: int = 0
) -> Evaluation:
    """Rank the whole catalogue for every request and score it; slices that hold no request are left out.

    The ranker gets copies without `clicked` and `shown`, so it cannot see the answer even by mistake.
    Raises `CRSError` when `requests` is empty, k < 10, or the ranker breaks its contract.
    """
    if not requests:
        raise CRSError(f"no requests of log {log.name!r} to evaluate {ranker.name!r} on; choose a split that has some.")
    if k < DEPTH:
        raise CRSError(f"k = {k} is too short for HR@{DEPTH}; ask for at least {DEPTH} items.")
    blind = [r.model_copy(update={"clicked": (), "shown": ()}) for r in requests]
    ranked = np.asarray(ranker.rank(blind, k))
    _check_lists(ranked, (len(requests), k), len(log.items), ranker.name)
    ranks = ranks_of_targets(ranked, np.array([r.target for r in requests]))
    return Evaluation(
        name=ranker.name,
        log=log.name,
        n=len(requests),
        k=k,
        metrics=_estimates(ranks, seed),
        slices={
            name: SliceScore(n=int(mask.sum()), metrics=_estimates(ranks[mask], seed))
            for name, mask in slices(log, requests).items()
            if mask.any()
        },
        request_ids=[r.id for r in requests],
        ranks=[None if r == MISS else int(r) for r in ranks],
    )


def _check_lists(ranked: np.ndarray, shape: tuple[int, int], n_items: int, name: str) -> None:
    if ranked.shape != shape or not np.issubdtype(ranked.dtype, np.integer):
        got = f"{ranked.dtype} of shape {ranked.shape}"
        raise CRSError(f"ranker {name!r} returned {got}; return integers of shape {shape}.")
    pad = ranked == -1
    ordered = np.sort(ranked, axis=1)
    faults = {
        f"holds an item outside 0..{n_items - 1}": ((ranked < -1) | (ranked >= n_items)).any(1),
        "has padding before an item": (pad[:, :-1] & ~pad[:, 1:]).any(1),
        "holds an item twice": ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(1),
    }
    for fault, rows in faults.items():
        if rows.any():
            raise CRSError(f"ranker {name!r}, list {int(rows.argmax())}: {fault}; mend the ranker.")
