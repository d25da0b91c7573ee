"""What only the maker of the shop knows: the two ceilings, and what a perfectly informed reader would say.

*Oracle*: ranks by the true utility, hidden tastes included. *Informed*: ranks by the expected click probability given
the open state of the request (query, place, month, profile, devices) and the last 10 interactions, hidden tastes
summed out exactly with the prior of `tables`. `hide` takes away part of what the informed reader sees; what is hidden
is summed out too, with its own prior:

- "history": no past interactions; tastes keep their prior.
- "place_time": the weather band of the request and of each past interaction, each on its own: home city (any city,
  when the profile is hidden as well) or travelling, every month equally likely.
- "profile": gender, age and home city, together with the tastes. "device": the owned phone, laptop and console.

Past interactions inform about what is hidden wherever they can. The page shown never does (see `shoppers`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.logs import Interaction, SearchLog, SearchRequest
from crs_lite.marketplace.shoppers import TRAVELLING, rows_of
from crs_lite.marketplace.tables import AGE_PRIOR, AGES, BANDS, CITIES, CONSOLE_OWNERS, DEVICES, GENDERS, band
from crs_lite.marketplace.utility import FROZEN_WEIGHTS, N_THETA, Utility, Weights, theta_index, theta_prior

HIDEABLE = ("history", "place_time", "profile", "device")
N_PAST = 10
CLAIM_ORDER = ("category", "fits", "audience", "weather", "brand", "style", "range")
CLAIM_FROM = 0.5  # a value is claimed when it is at least this likely, given what is claimed already
Prior = dict[int, float]  # index -> probability, zeros left out

# Shape words below: the state axes are (band B, gender, phone, laptop, console, theta); an axis has one entry where
# the value is known and all of its values where it is hidden.


class _Reader:
    """What one reader, from whom `hide` is hidden, knows of one user before looking at any interaction."""

    def __init__(self, utility: Utility, profile: dict[str, str], hide: Collection[str]):
        self.utility, self.hide = utility, hide
        hidden = "profile" in hide
        gender: Prior = {g: 1 / 2 for g in range(2)} if hidden else {GENDERS.index(profile["gender"]): 1.0}
        ages = dict(zip(AGES, AGE_PRIOR, strict=True)) if hidden else {profile["age"]: 1.0}
        theta = sum(p * theta_prior(age) for age, p in ages.items())
        devices: list[Prior] = []
        for kind, rows in utility.device_row.items():
            if "device" in hide:
                owners = CONSOLE_OWNERS if kind == "console" else 1.0
                devices.append({r: owners / len(DEVICES[kind]) if m else 1 - owners for m, r in rows.items()})
            else:
                devices.append({rows[profile.get(kind)]: 1.0})
        self.genders, self.rows = list(gender), [list(d) for d in devices]
        axes = [list(p.values()) for p in (gender, *devices)] + [theta]
        self.log_prior = sum(np.log(_along(axis, a)) for axis, a in enumerate(axes))  # (gender, phone, .., theta)
        self.band_prior = _band_prior(None if hidden else profile["city"])
        self._cache: dict[int, np.ndarray] = {}

    def bands(self, seen: Interaction) -> Prior:
        """P(weather band) of an interaction."""
        if "place_time" in self.hide:
            return self.band_prior
        return {band(seen.place, datetime.fromtimestamp(seen.time, UTC).month): 1.0}

    def z(self, query: str, bands: Prior) -> np.ndarray:
        """sum_i exp(u_i) in every state: `(B, gender, phone, laptop, console, 288)`."""
        z = self.utility.base(query)[1]
        total = z[self.utility.other_row[list(bands)][:, self.genders]][:, :, None, None, None]
        for axis, rows in enumerate(self.rows):
            shape = [1] * 5 + [N_THETA]
            shape[2 + axis] = len(rows)
            total = total + z[rows].reshape(shape)
        return total

    def log_likelihood(self, past: Interaction, key: int) -> np.ndarray:
        """log P(the clicks | state, theta) without the band axis."""
        if key not in self._cache:
            bands = self.bands(past)
            log_z = np.log(self.z(past.query, bands))
            log_p = sum(self._utility(past.query, item, bands) - log_z for item in past.clicked)
            if len(bands) > 1:
                log_p = np.log((_along(0, list(bands.values()), 6) * np.exp(log_p)).sum(0, keepdims=True))
            self._cache[key] = log_p[0]
        return self._cache[key]

    def _utility(self, query: str, item: int, bands: Prior) -> np.ndarray:
        u = self.utility
        c = u.context[item]
        kind, log_g = u.kind_of_context[c], u.log_g[:, c]
        if kind == "other":
            fit = log_g[u.other_row[list(bands)][:, self.genders]][:, :, None, None, None, None]
        else:
            axis = list(u.device_row).index(kind)
            fit = _along(2 + axis, log_g[self.rows[axis]], 6)
        return u.base(query)[0][item] + fit + u.liked[:, u.cell[item]]

    def posterior(self, history: Sequence[Interaction], keys: Sequence[int]) -> np.ndarray:
        """P(state, theta | history), `(gender, phone, laptop, console, 288)`, sum 1."""
        log_p = self.log_prior.copy()
        for past, key in zip(history, keys, strict=True):
            log_p = log_p + self.log_likelihood(past, key)
        p = np.exp(log_p - log_p.max())
        return p / p.sum()

    def click_probabilities(self, request: SearchRequest, posterior: np.ndarray) -> np.ndarray:
        """`(N,)` P(click i) = sum over states and tastes of posterior * exp(u_i) / Z."""
        u, bands = self.utility, self.bands(request)
        share = _along(0, list(bands.values()), 6) * posterior / self.z(request.query, bands)
        rows, of_row = [], []
        for i, b in enumerate(bands):
            for j, g in enumerate(self.genders):
                rows.append(u.other_row[b, g])
                of_row.append(share[i, j].sum((0, 1, 2)))
        for axis, device_rows in enumerate(self.rows):
            rows += device_rows
            of_row += list(share.sum(tuple(a for a in range(5) if a != 2 + axis)))
        liked = np.array(of_row) @ u.f  # (rows, taste class)
        by_class = u.g[rows].T @ liked  # (C, taste class)
        return np.exp(u.base(request.query)[0]) * by_class[u.context, u.cell]


@cache
def _band_prior(city: str | None) -> Prior:
    """P(weather band) of a search by someone from `city`, or from any city, in any month."""
    share = {c: np.bincount([band(c, month) for month in range(1, 13)], minlength=len(BANDS)) / 12 for c in CITIES}
    mean = sum(share.values()) / len(share)
    if city is not None:
        away = (mean * len(share) - share[city]) / (len(share) - 1)
        mean = (1 - TRAVELLING) * share[city] + TRAVELLING * away
    return {b: float(p) for b, p in enumerate(mean) if p > 1e-12}


def _along(axis: int, values: Sequence[float] | np.ndarray, n: int = 5) -> np.ndarray:
    shape = [1] * n
    shape[axis] = len(values)
    return np.asarray(values, dtype=float).reshape(shape)


class Truth:
    """The known truth of a generated log. `tastes[u]` is the hidden taste of user u.

    Requests may come without `clicked` and `shown`; neither is ever read from a request that is to be ranked.
    """

    def __init__(self, log: SearchLog, tastes: list[dict[str, str]], weights: Weights = FROZEN_WEIGHTS):
        if len(tastes) != len(log.users):
            raise CRSError(f"log {log.name!r}: {len(tastes)} tastes for {len(log.users)} users; load them together.")
        self.log, self.tastes, self.weights = log, tastes, weights
        self.utility = Utility(log.items, weights)
        self._codes: dict[str, tuple[list[str], np.ndarray]] = {}  # facet -> its values, the value of each item (or -1)
        facets = [item.facets() for item in log.items]
        for key in CLAIM_ORDER:
            values = sorted({f[key] for f in facets if key in f})
            self._codes[key] = values, np.array([values.index(f[key]) if key in f else -1 for f in facets])

    # -- click probabilities -------------------------------------------------------------------

    def true_utility(self, request: SearchRequest) -> np.ndarray:
        """`(N,)` utility in nats, hidden tastes included."""
        rows = rows_of(self.utility, self.log.users[request.user].profile, request.place, request.time)
        return self.utility.utility(request.query, rows, theta_index(self.tastes[request.user]))

    def true_probabilities(self, requests: Sequence[SearchRequest]) -> np.ndarray:
        """`(n, N)` click probabilities of shoppers who know their own tastes."""
        u = np.array([self.true_utility(r) for r in requests]).reshape(len(requests), -1)
        p = np.exp(u - u.max(1, keepdims=True, initial=-np.inf))
        return p / p.sum(1, keepdims=True)

    def informed_probabilities(self, requests: Sequence[SearchRequest], hide: Collection[str] = ()) -> np.ndarray:
        """`(n, N)` expected click probabilities; mind the memory for long lists of requests."""
        out = np.empty((len(requests), len(self.log.items)))
        for row, p in self._informed(requests, hide):
            out[row] = p
        return out

    def _informed(self, requests: Sequence[SearchRequest], hide: Collection[str]) -> Iterator[tuple[int, np.ndarray]]:
        """(row, probabilities) user by user, since past interactions are shared among the requests of a user."""
        if unknown := set(hide) - set(HIDEABLE):
            raise CRSError(f"cannot hide {', '.join(sorted(unknown))}; choose from {', '.join(HIDEABLE)}.")
        user, reader = None, None
        for row in sorted(range(len(requests)), key=lambda i: requests[i].user):
            request = requests[row]
            if request.user != user:
                user, reader = request.user, _Reader(self.utility, self.log.users[request.user].profile, hide)
            history = [] if "history" in hide else self.log.history(request, N_PAST)
            posterior = reader.posterior(history, [past.id for past in history])
            yield row, reader.click_probabilities(request, posterior)

    # -- rankings --------------------------------------------------------------------------------

    def oracle(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids by true utility, best first."""
        out = np.full((len(requests), k), -1, dtype=np.int64)
        for row, request in enumerate(requests):
            _fill(out[row], self.true_utility(request))
        return out

    def informed(self, requests: Sequence[SearchRequest], k: int, hide: Collection[str] = ()) -> np.ndarray:
        """`(n, k)` item ids by expected click probability, best first."""
        out = np.full((len(requests), k), -1, dtype=np.int64)
        for row, p in self._informed(requests, hide):
            _fill(out[row], np.log(p))
        return out

    def ranker(self, kind: str, hide: tuple[str, ...] = ()) -> CeilingRanker:
        """The "oracle" or the "informed" ranking for the evaluator."""
        if kind not in ("oracle", "informed") or (kind == "oracle" and hide):
            raise CRSError(f"no ceiling {kind!r} with hide={hide}; use 'oracle', or 'informed' with or without hide.")
        return CeilingRanker(self, kind, hide)

    def expected_utility(self, requests: Sequence[SearchRequest], ranked: np.ndarray) -> np.ndarray:
        """`(n,)` the expected NDCG of the lists if the shoppers searched again, in [0, 1].

        That is sum_j P_true(click ranked[j]) / log2(j + 2), with the discount of NDCG and hidden tastes included; `-1`
        in `ranked (n, k)` counts nothing.
        """
        p = self.true_probabilities(requests)
        ranked = np.asarray(ranked)
        found = np.where(ranked >= 0, np.take_along_axis(p, np.maximum(ranked, 0), 1), 0.0)
        return (found / np.log2(np.arange(ranked.shape[1]) + 2.0)).sum(1)

    # -- true reasoning --------------------------------------------------------------------------

    def claims(self, request: SearchRequest) -> dict[str, str]:
        """What a perfectly informed reader concludes: facet -> value, in the order of `CLAIM_ORDER`.

        The most likely value of a facet is stated if its probability, given the values stated before it, is at least
        one half. Only the request's open state and the past are read: no hidden taste, no click of this request.
        """
        p = self.informed_probabilities([request])[0]
        said = {}
        for key in CLAIM_ORDER:
            values, code = self._codes[key]
            if not values:
                continue
            share = np.bincount(code[code >= 0], p[code >= 0], len(values)) / p.sum()
            best = int(share.argmax())
            if share[best] >= CLAIM_FROM:
                said[key] = values[best]
                p = np.where(code == best, p, 0.0)
        return said


class CeilingRanker:
    """A ceiling as a `Ranker`."""

    def __init__(self, truth: Truth, kind: str, hide: tuple[str, ...]):
        self.truth, self.kind, self.hide = truth, kind, hide
        self.name = kind + "".join(f" -{part}" for part in hide)

    def rank(self, requests: Sequence[SearchRequest], k: int) -> np.ndarray:
        """`(n, k)` item ids, best first."""
        if self.kind == "oracle":
            return self.truth.oracle(requests, k)
        return self.truth.informed(requests, k, self.hide)


def _fill(out: np.ndarray, scores: np.ndarray) -> None:
    """Write the best ids into `out (k,)`: scores are rounded, so that the last bits of a sum never decide a rank."""
    best = np.argsort(-scores.round(9), kind="stable")[: len(out)]  # ties go to the lower id
    out[: len(best)] = best
