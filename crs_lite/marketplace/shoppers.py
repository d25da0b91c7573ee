"""Shoppers, their sessions, and what they click.

Exposure policy: first the shopper clicks one item, drawn from the softmax of the true utility over the whole
catalogue. The page shown holds it and 3 to 5 distractors, drawn without replacement with chances proportional to
exp(utility without taste), in random order. Given the click, the page is independent of the hidden tastes; so
skipped items tell nothing about them, and a posterior from clicks alone is exact.
"""

from __future__ import annotations

from calendar import timegm
from datetime import UTC, datetime

import numpy as np

from crs_lite.logs import Item, SearchLog, SearchRequest, User
from crs_lite.marketplace.tables import (
    AGE_PRIOR,
    AGES,
    CITIES,
    CONSOLE_OWNERS,
    CONSOLES,
    ENTRANCES,
    GENDERS,
    LAPTOPS,
    PHONES,
    QUERIES,
    band,
)  # fmt: skip
from crs_lite.marketplace.utility import TASTES, THETAS, Utility, theta_prior

Rng = np.random.Generator
START, DAYS = timegm((2023, 11, 6, 0, 0, 0)), 455  # 15 months; the rate of requests triples over them
REGULARS = 0.22  # share of users who come all the time
REGULAR_SESSIONS = 9, 18  # how often, the end excluded
RETURNING = 0.3  # share who come twice within 20 days; all others come once
TRAVELLING = 0.12  # share of sessions away from home, every other city equally likely
TRAIN, VALID = 0.735, 0.07  # shares of the requests, in time order; the rest is test


def make_users(rng: Rng, n: int) -> tuple[list[User], list[dict[str, str]]]:
    """`n` users with what the shop knows of them, and apart from them their hidden tastes."""

    def pick(values: tuple[str, ...]) -> str:
        return values[int(rng.integers(len(values)))]

    users, tastes = [], []
    for i in range(n):
        age = AGES[_draw(rng, np.array(AGE_PRIOR))]
        profile = {"gender": pick(GENDERS), "age": age, "city": pick(tuple(CITIES))}
        profile |= {"phone": pick(PHONES), "laptop": pick(LAPTOPS)}
        if rng.random() < CONSOLE_OWNERS:
            profile["console"] = pick(CONSOLES)
        users.append(User(id=i, key=f"U{i:05d}", profile=profile))
        theta = THETAS[_draw(rng, theta_prior(age))]
        tastes.append({name: values[v] for (name, values), v in zip(TASTES.items(), theta, strict=True)})
    return users, tastes


def rows_of(utility: Utility, profile: dict[str, str], place: str, time: int) -> list[int]:
    """The rows that a shopper's open state selects."""
    month = datetime.fromtimestamp(time, UTC).month
    other = utility.other_row[band(place, month), GENDERS.index(profile["gender"])]
    return [int(other)] + [rows[profile.get(kind)] for kind, rows in utility.device_row.items()]


def make_log(
    rng: Rng, name: str, items: list[Item], users: list[User], thetas: np.ndarray, utility: Utility
) -> SearchLog:
    """Searches of all users in time order. `thetas (n_users,)` are rows of `THETAS`."""
    visits = sorted(v for user in users for v in _visits(rng, user))
    texts = list(QUERIES)
    weight = np.cumsum([q.weight for q in QUERIES.values()])
    requests, last = [], 0
    for i, (time, user, place) in enumerate(visits):
        time = max(time, last + 1)
        last = time = time + (time % 86400 == 0)  # a time of exactly midnight would read as "only the day is known"
        text = texts[int(np.searchsorted(weight, rng.random() * weight[-1], side="right"))]
        rows = rows_of(utility, users[user].profile, place, time)
        plain = utility.context_utility(text, rows)
        luck = _gumbel(rng, (2, len(items)))
        clicked = int(np.argmax(plain + utility.liked[thetas[user]][utility.cell] + luck[0]))
        tempting = plain + luck[1]
        tempting[clicked] = np.inf
        size = int(rng.integers(4, 7))
        page = np.sort(np.argpartition(-tempting, size)[:size])
        shown = [int(page[j]) for j in rng.permutation(len(page))]
        split = "train" if i < TRAIN * len(visits) else "valid" if i < (TRAIN + VALID) * len(visits) else "test"
        requests.append(
            SearchRequest(
                id=i,
                user=user,
                time=time,
                place=place,
                entrance=ENTRANCES[int(rng.integers(len(ENTRANCES)))],
                query=text,
                shown=tuple(shown),
                clicked=(clicked,),
                split=split,
            )  # fmt: skip
        )
    return SearchLog(name, items, users, requests)


def _visits(rng: Rng, user: User) -> list[tuple[int, int, str]]:
    """(time, user, place) of each search. A session is 1 to 3 searches some minutes apart, in one place."""
    kind = rng.random()
    if kind < REGULARS:
        starts = [_moment(rng) for _ in range(int(rng.integers(*REGULAR_SESSIONS)))]
    else:
        starts = [_moment(rng)]
        if kind < REGULARS + RETURNING:
            starts.append(starts[0] + rng.random() * 20 / DAYS)
    home, out = user.profile["city"], []
    away = [city for city in CITIES if city != home]
    for start in (s for s in starts if s < 1):
        place = away[int(rng.integers(len(away)))] if rng.random() < TRAVELLING else home
        time = START + int(start * DAYS * 86400)
        for _ in range(1 + _draw(rng, np.array((0.6, 0.25, 0.15)))):
            out.append((time, user.id, place))
            time += int(rng.integers(60, 900))
    return out


def _moment(rng: Rng) -> float:
    """A moment in [0, 1) of the period, with a density that grows from 1/2 to 3/2."""
    return (np.sqrt(1 + 8 * rng.random()) - 1) / 2


def _draw(rng: Rng, p: np.ndarray) -> int:
    """An index drawn with probabilities `p`."""
    return min(int(np.searchsorted(np.cumsum(p), rng.random() * p.sum(), side="right")), len(p) - 1)


def _gumbel(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Standard Gumbel noise: argmax(u + noise) is a draw from softmax(u)."""
    return -np.log(-np.log(np.maximum(rng.random(shape), 1e-300)))
