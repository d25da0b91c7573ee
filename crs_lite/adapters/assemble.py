"""Searches, as a reader of a format found them -> a `SearchLog`: in time order, users numbered, split by time."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from crs_lite.adapters.account import Account
from crs_lite.adapters.columns import NOT, ColumnLog, Columns, Search
from crs_lite.errors import CRSError
from crs_lite.logs import SPLITS, Item, SearchLog, Split, User

SPLIT_AT = (0.8, 0.9)  # shares of the requests before valid and before test begins
VALID_OF_TRAIN = 0.1  # where a log names its own test requests and no valid ones
NAMES: dict[str, Split] = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}
MANY = 1_000_000  # requests from which they are made when asked for; fewer are held, for that is faster
USER = set(User.model_fields)  # one for all: see `columns.FIELDS`


class Read(NamedTuple):
    """What a reader returns. `sessions`: the number of each request's session, in the log's order; -1 for none."""

    log: SearchLog
    account: Account
    sessions: array


def assemble(
    account: Account,
    items: list[Item],
    searches: Iterable[Search],
    drop: Callable[[Search, str], None],
    profiles: Mapping[str, Mapping[str, str]] | None = None,
    many: int | None = None,
) -> Read:
    """The log of these searches, taken one after the other; a list is emptied on the way, which halves the memory.

    From `many` requests on (by default `MANY`) it is a `ColumnLog`. `drop(search, reason)` is told of every search that
    finds no place. Raises `CRSError` when none does.
    """
    columns = Columns(_taken(searches) if isinstance(searches, list) else searches)
    order = _order(columns, drop)
    if not len(order):
        raise CRSError(
            f"log {account.log}: no search with a click is left ({account.in_short()}); mend what these say."
        )
    time = np.frombuffer(columns.time, np.int64)[order]
    split = _splits(np.frombuffer(columns.split, np.int8)[order], time, account)
    account.note("an action came after the shopper's next search", _late(columns, order))
    user, found = _numbered(np.frombuffer(columns.user.codes, np.int32)[order])
    sessions, _ = _numbered(np.frombuffer(columns.session.codes, np.int32)[order])
    names, known = columns.user.all(), profiles or {}
    users = [
        User.model_construct(id=n, key=names[u], profile=dict(known.get(names[u], {})), _fields_set=USER)
        for n, u in enumerate(found)
    ]
    log = ColumnLog(account.log, items, users, columns, order, user, split)
    if len(order) < (MANY if many is None else many):
        log = SearchLog(account.log, items, users, list(log.requests))
    return Read(log, account, array("i", sessions.tobytes()))


def _taken(searches: list[Search]) -> Iterator[Search]:
    for n in range(len(searches)):
        search, searches[n] = searches[n], None
        yield search
    searches.clear()


def _order(columns: Columns, drop: Callable[[Search, str], None]) -> np.ndarray:
    """The rows in time order, ties as in the file. What has no time takes that of its session; see `_borrow`."""
    time, session = np.frombuffer(columns.time, np.int64), np.frombuffer(columns.session.codes, np.int32)
    rows = np.arange(len(columns))
    if (time != NOT).any():
        if (time == NOT).any():
            _borrow(columns)
        for row in np.flatnonzero(time == NOT):
            drop(columns[row], "no time, and no search of its session has one")
        rows = rows[time != NOT]
        return rows[np.argsort(time[rows], kind="stable")]
    # No clock at all: a session begins where its first search stands, and stays together.
    begin, inside = rows.copy(), session >= 0
    first = np.full(session.max(initial=-1) + 1, len(rows))
    np.minimum.at(first, session[inside], rows[inside])
    begin[inside] = first[session[inside]]
    order = np.argsort(begin, kind="stable")
    time[order] = rows
    np.frombuffer(columns.timed, np.int8)[:] = False
    return order


def _borrow(columns: Columns) -> None:
    """A search without a time gets the time of the last search before it in its session that has one, else of the
    first after it. Without either it has no place in the order."""
    time, timed, session = columns.time, columns.timed, columns.session.codes
    for direction in (range(len(columns)), reversed(range(len(columns)))):
        near: dict[int, int] = {}
        for row in direction:
            if time[row] != NOT:
                near[session[row]] = time[row]
            elif session[row] >= 0 and session[row] in near:
                time[row], timed[row] = near[session[row]], False


def _splits(own: np.ndarray, time: np.ndarray, account: Account) -> np.ndarray:
    """The split of each request, a number of `SPLITS`: by time, 80/10/10, a moment never split; or the log's `own`,
    where every search has one (-1 is none) and they are in order."""
    train, valid, test = range(len(SPLITS))
    named = own[own >= 0]
    if len(named) == len(own) and (np.diff(own) >= 0).all() and {train, test} <= set(np.unique(own).tolist()):
        account.note("split as the log names it", len(own))
        if valid not in own:
            account.note(f"valid: the last {VALID_OF_TRAIN:.0%} of train by time", len(own))
            n = int(np.argmax(own == test))
            own = np.where((own == train) & (time >= time[int((1 - VALID_OF_TRAIN) * n)]), valid, own)
        return own.astype(np.int8)
    if len(named):
        account.note("the log's own split is not in time order, or not complete: split by time instead", len(own))
    starts = [time[int(share * len(time))] for share in SPLIT_AT]
    return np.searchsorted(starts, time, side="right").astype(np.int8)


def _late(columns: Columns, order: np.ndarray) -> int:
    """How many searches have an action later than the same user's next search: its history knows too much."""
    if (np.frombuffer(columns.last, np.int64) == NOT).all():
        return 0
    pending: dict[int, int] = {}
    late = 0
    for row in order.tolist():
        user, time = columns.user.codes[row], columns.time[row]
        late += columns.timed[row] and pending.get(user, time) > time
        pending[user] = max(pending.get(user, 0), columns.last[row])
    return late


def _numbered(codes: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Codes -> numbers in the order they first come, -1 stays; and the code of every number."""
    found, first = np.unique(codes, return_index=True)
    found = found[np.argsort(first)]
    found = found[found >= 0]
    number = np.full(codes.max(initial=-1) + 2, -1, dtype=np.int32)  # the last one is that of code -1
    number[found] = np.arange(len(found))
    return number[codes], found.tolist()
