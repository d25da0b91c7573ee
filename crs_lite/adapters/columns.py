"""Searches as columns: a hundred bytes each, where an object takes a thousand. So ten million fit into a small machine.

A search is written into flat arrays as it is read, in the order of the file, and never moved: what comes later is an
`order` of the rows. A `ColumnLog` is a `SearchLog` over these arrays, which makes a request when it is asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.logs import SPLITS, Interaction, Item, SearchLog, SearchRequest, Split, User

NOT = -(2**63)  # a time that is not known
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


class Names:
    """A column of names that come again and again: a number each, -1 for none; `known`: name -> number."""

    def __init__(self):
        self.known: dict[str, int] = {}
        self.codes = array("i")

    def append(self, name: str | None) -> None:
        """One row more."""
        self.codes.append(-1 if name is None else self.known.setdefault(name, len(self.known)))

    def all(self) -> list[str]:
        """The names by number."""
        return list(self.known)


class Lists:
    """A column of lists of numbers: all values in one array of the type `kind`, and where each row begins."""

    def __init__(self, kind: str):
        self.values, self.first = array(kind), array("q", [0])

    def append(self, row: Iterable[float]) -> None:
        """One row more."""
        self.values.extend(row)
        self.first.append(len(self.values))

    def __getitem__(self, n: int) -> tuple:
        return tuple(self.values[self.first[n] : self.first[n + 1]])


class Texts(Lists):
    """A column of texts, in UTF-8."""

    def __init__(self):
        super().__init__("B")

    def append(self, text: str) -> None:
        """One row more."""
        self.values.frombytes(text.encode("utf-8", "surrogatepass"))
        self.first.append(len(self.values))

    def __getitem__(self, n: int) -> str:
        return self.values[self.first[n] : self.first[n + 1]].tobytes().decode("utf-8", "surrogatepass")


class Columns:
    """Searches in the order they came. `columns[n]` is the `Search` again."""

    FOR_READERS = ("user", "session", "last", "events", "split")  # what a log no longer needs

    def __init__(self, searches: Iterable[Search] = ()):
        self.user, self.session, self.place, self.entrance = (Names() for _ in range(4))
        self.query = Texts()
        self.clicked, self.shown, self.strength = Lists("i"), Lists("i"), Lists("d")
        self.time, self.last, self.events = array("q"), array("q"), array("i")
        self.timed, self.split = array("b"), array("b")
        for search in searches:
            self.append(search)

    def append(self, s: Search) -> None:
        """One search more."""
        self.user.append(s.user)
        self.session.append(s.session)
        self.place.append(s.place)
        self.entrance.append(s.entrance)
        self.query.append(s.query)
        self.clicked.append(s.clicked)
        self.shown.append(s.shown)
        self.strength.append(() if all(x == 1 for x in s.strength) else s.strength)  # () says that too
        self.time.append(NOT if s.time is None else s.time)
        self.last.append(NOT if s.last is None else s.last)
        self.events.append(s.events)
        self.timed.append(s.timed)
        self.split.append(-1 if s.split is None else SPLITS.index(s.split))

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, n: int) -> Search:
        name = {of: _name(getattr(self, of), n) for of in ("user", "session", "place", "entrance")}
        return Search(
            **name, query=self.query[n], clicked=self.clicked[n], strength=self.strength[n], shown=self.shown[n],
            time=None if self.time[n] == NOT else self.time[n], timed=bool(self.timed[n]), events=self.events[n],
            split=None if self.split[n] < 0 else SPLITS[self.split[n]],
            last=None if self.last[n] == NOT else self.last[n],
        )  # fmt: skip


def _name(column: Names, n: int) -> str | None:
    code = column.codes[n]
    return None if code < 0 else column.all()[code]


class Requests(Sequence):
    """A stretch of the requests of a `ColumnLog`, each made when it is asked for. Slices are stretches, too."""

    def __init__(self, log: ColumnLog, at: range):
        self._log, self._at = log, at

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, n):
        return Requests(self._log, self._at[n]) if isinstance(n, slice) else self._log.request(self._at[n])

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None


class ColumnLog(SearchLog):
    """A `SearchLog` whose request n is row `order[n]` of `columns`, asked by `user[n]`, in `split[n]`; its id is n.

    `order`, `user`, `split`: `(n,)` whole numbers; the rows in time order, the splits one after the other. What only
    readers need of the columns is let go. Raises `CRSError` for an unknown item.
    """

    def __init__(
        self, name: str, items: list[Item], users: list[User], columns: Columns, order: np.ndarray, user: np.ndarray,
        split: np.ndarray,
    ):  # fmt: skip
        self.name, self.items, self.users, self.columns = name, items, users, columns
        self._order, self._user, self._split = array("q", order.tobytes()), array("i", user.tobytes()), split
        self._begin = np.searchsorted(split, range(len(SPLITS) + 1)).tolist()
        for gone in Columns.FOR_READERS:
            delattr(columns, gone)
        self._places, self._entrances = columns.place.all(), columns.entrance.all()
        # The requests of user u are by_user[of[u] : of[u + 1]], in time order.
        self._by_user = array("q", np.argsort(user, kind="stable").astype(np.int64).tobytes())
        self._of = np.searchsorted(np.sort(user), range(len(users) + 1)).tolist()
        self.requests = Requests(self, range(len(order)))
        for lists in (columns.clicked, columns.shown):
            found = np.frombuffer(lists.values, np.int32)
            for wrong in np.flatnonzero((found < 0) | (found >= len(items)))[:1]:
                raise CRSError(f"log {name!r}: unknown item {found[wrong]}; add the item or drop the row.")

    @property
    def n_bytes(self) -> int:
        """Of all arrays behind the requests."""
        c = self.columns
        lists = [of for column in (c.query, c.clicked, c.shown, c.strength) for of in (column.values, column.first)]
        own = [self._order, self._user, self._by_user, c.time, c.timed, c.place.codes, c.entrance.codes]
        return self._split.nbytes + sum(len(of) * of.itemsize for of in lists + own)

    def request(self, n: int) -> SearchRequest:
        """Request n, made from its row."""
        row, c = self._order[n], self.columns
        place, entrance = c.place.codes[row], c.entrance.codes[row]
        return SearchRequest.model_construct(
            time=c.time[row], place=None if place < 0 else self._places[place],
            entrance=None if entrance < 0 else self._entrances[entrance], query=c.query[row], shown=c.shown[row],
            clicked=c.clicked[row], strength=c.strength[row], timed=bool(c.timed[row]), id=n, user=self._user[n],
            split=SPLITS[self._split[n]], synthetic_query=False, _fields_set=FIELDS,
        )  # fmt: skip

    def split(self, name: Split) -> Requests:
        """Requests of one split, in time order. Raises `CRSError` for an unknown split."""
        if name not in SPLITS:
            raise CRSError(f"unknown split {name!r}; use one of {', '.join(SPLITS)}.")
        n = SPLITS.index(name)
        return Requests(self, range(self._begin[n], self._begin[n + 1]))

    def _past(self, request: SearchRequest) -> tuple[int, int]:
        """Where the user's requests begin in `_by_user`, and where those before `request` end."""
        if not 0 <= request.user < len(self.users):
            return 0, 0
        begin, end = self._of[request.user], self._of[request.user + 1]
        moment = lambda n: (self.columns.time[self._order[n]], n)  # noqa: E731
        return begin, bisect_left(self._by_user, (request.time, request.id), begin, end, key=moment)

    def history(self, request: SearchRequest, n: int = 10) -> list[Interaction]:
        """The user's `n` most recent interactions strictly before `request`, oldest first."""
        begin, end = self._past(request)
        return [self.request(m) for m in self._by_user[max(begin, end - n) : end]]

    def n_past(self, request: SearchRequest) -> int:
        """How many interactions the user had before `request`."""
        begin, end = self._past(request)
        return end - begin
