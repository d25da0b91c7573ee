"""Searches, as a reader of a format found them -> a `SearchLog`: in time order, users numbered, split by time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tqdm import tqdm

from crs_lite.adapters.account import Account
from crs_lite.errors import CRSError
from crs_lite.logs import SPLITS, Item, SearchLog, SearchRequest, Split, User

SPLIT_AT = (0.8, 0.9)  # shares of the requests before valid and before test begins
VALID_OF_TRAIN = 0.1  # where a log names its own test requests and no valid ones
NAMES: dict[str, Split] = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}


FIELDS = set(SearchRequest.model_fields)  # one for all requests: a set of its own would double a request's memory


@dataclass(slots=True)
class Search:
    """One search with a click. Items are ids; `clicked[0]` becomes the target.

    `time`: seconds, or None; `timed`: whether it was read from a clock. `split`: as the log names it, if it does.
    `events`: rows of an events file behind it. `last`: seconds of the last action, if known.
    """

    user: str
    query: str
    clicked: tuple[int, ...]
    strength: tuple[float, ...] = ()
    shown: tuple[int, ...] = ()
    time: int | None = None
    timed: bool = True
    session: str | None = None
    place: str | None = None
    entrance: str | None = None
    split: Split | None = None
    events: int = 0
    last: int | None = None


class Read(NamedTuple):
    """What a reader returns. `sessions`: the session of each request, in the log's order, as a number or None."""

    log: SearchLog
    account: Account
    sessions: list[int | None]


def assemble(
    account: Account,
    items: list[Item],
    searches: list[Search],
    drop: Callable[[Search, str], None],
    profiles: Mapping[str, Mapping[str, str]] | None = None,
) -> Read:
    """The log of these searches; `searches` is emptied on the way, which halves the memory.

    `drop(search, reason)` is told of every search that finds no place. Raises `CRSError` when none does.
    """
    searches[:] = _ordered(searches, drop)
    if not searches:
        raise CRSError(
            f"log {account.log}: no search with a click is left ({account.in_short()}); mend what these say."
        )
    splits = _splits(searches, account)
    account.note("an action came after the shopper's next search", _late(searches))
    users: dict[str, User] = {}
    sessions: dict[str, int] = {}
    requests, of = [], []
    known = profiles or {}
    for n, split in enumerate(tqdm(splits, desc="requests", delay=5)):
        s, searches[n] = searches[n], None
        if s.user not in users:
            users[s.user] = User(id=len(users), key=s.user, profile=dict(known.get(s.user, {})))
        of.append(None if s.session is None else sessions.setdefault(s.session, len(sessions)))
        plain = all(x == 1 for x in s.strength)  # () says that too, in less memory
        requests.append(
            SearchRequest.model_construct(
                time=s.time, place=s.place, entrance=s.entrance, query=s.query, shown=s.shown, clicked=s.clicked,
                strength=() if plain else s.strength, timed=s.timed, id=n, user=users[s.user].id, split=split,
                synthetic_query=False, _fields_set=FIELDS,
            )
        )  # fmt: skip
    searches.clear()
    return Read(SearchLog(account.log, items, list(users.values()), requests), account, of)


def _ordered(searches: list[Search], drop: Callable[[Search, str], None]) -> list[Search]:
    """In time order, ties as in the file. What has no time takes that of its session; see `_borrow`."""
    if any(s.time is not None for s in searches):
        searches = _borrow(searches, drop)
    else:  # no clock at all: a session begins where its first search stands, and stays together
        first: dict[str, int] = {}
        begin = [n if s.session is None else first.setdefault(s.session, n) for n, s in enumerate(searches)]
        searches = [searches[n] for n in sorted(range(len(searches)), key=lambda n: (begin[n], n))]
        for n, s in enumerate(searches):
            s.time, s.timed = n, False
    return sorted(searches, key=lambda s: s.time)


def _borrow(searches: list[Search], drop: Callable[[Search, str], None]) -> list[Search]:
    """A search without a time gets the time of the last search before it in its session that has one, else of the
    first after it. Without either it has no place in the order and is dropped."""
    for direction in (searches, reversed(searches)):
        near: dict[str, int] = {}
        for s in direction:
            if s.session is not None and s.time is None and s.session in near:
                s.time, s.timed = near[s.session], False
            elif s.session is not None and s.time is not None:
                near[s.session] = s.time
    kept = []
    for s in searches:
        if s.time is None:
            drop(s, "no time, and no search of its session has one")
        else:
            kept.append(s)
    return kept


def _splits(searches: list[Search], account: Account) -> list[Split]:
    """By time, 80/10/10, a moment never split; or the log's own, where every search has one and they are in order."""
    own = [s.split for s in searches]
    ranks = [SPLITS.index(name) for name in own if name is not None]
    if len(ranks) == len(own) and ranks == sorted(ranks) and {"train", "test"} <= set(own):
        account.note("split as the log names it", len(own))
        if "valid" not in own:
            account.note(f"valid: the last {VALID_OF_TRAIN:.0%} of train by time", len(own))
            n = own.index("test")
            start = searches[int((1 - VALID_OF_TRAIN) * n)].time
            own = [
                "valid" if m < n and s.time >= start else name
                for m, (s, name) in enumerate(zip(searches, own, strict=True))
            ]
        return own
    if ranks:
        account.note("the log's own split is not in time order, or not complete: split by time instead", len(own))
    starts = [searches[int(share * len(searches))].time for share in SPLIT_AT]
    return ["train" if s.time < starts[0] else "valid" if s.time < starts[1] else "test" for s in searches]


def _late(searches: list[Search]) -> int:
    """How many searches have an action later than the same user's next search: its history knows too much."""
    pending: dict[str, int] = {}
    late = 0
    for s in searches:
        late += s.timed and pending.get(s.user, s.time) > s.time
        pending[s.user] = max(pending.get(s.user, 0), s.last or 0)
    return late
