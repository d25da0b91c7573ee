"""A log of your own -> `SearchLog`: three files, CSV, parquet or JSON lines, with the fields in `FIELDS`.

For everybody whose shop writes no format that has a reader: one export to three tables. Lists are written as JSON
(`["A1","B2"]`), with `|` between the names (`A1|B2`), or as lists where the file has such. A row of the searches file
is one search with what was shown and clicked. Made for this project, so there is no real file it has not met.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crs_lite.adapters import rows, values
from crs_lite.adapters.account import Account, FileAccount
from crs_lite.adapters.assemble import NAMES, Read, Search, assemble
from crs_lite.adapters.rows import Row
from crs_lite.adapters.shelf import ITEM_FIELDS, USER_FIELDS, Shelf, profiles, stock

BYTES_A_SEARCH = 1500  # of memory at the peak, for each search kept
FIELDS = {
    "items": ITEM_FIELDS,
    "users": USER_FIELDS,
    "searches": {
        "user_id": "who asked",
        "query": "what was typed; a search without it is left out",
        "clicked": "item ids in the order clicked; a search without any is left out. The first is what is predicted",
        "strength": "optional, one number for each clicked id: 1 clicked, 2 in the cart, 3 bought, or your own labels",
        "shown": "optional, item ids in the order shown; those not clicked count as skipped",
        "time": "ISO 8601, seconds or milliseconds. Optional: rows are then taken in the file's order, a session whole",
        "session_id": "optional; orders a search that has no time",
        "place, entrance": "optional text: where the shopper is, and from which page the search came",
        "split": "optional: train, valid, test; used where all rows have it and it is in time order",
    },
}

READ = tuple(", ".join(FIELDS["searches"]).split(", "))


def read(items: Path, searches: Path, users: Path | None = None, many: int | None = None) -> Read:
    """The log of these files; `many`: see `assemble`. Raises `CRSError` naming file, row, field and remedy."""
    account = Account("mylog")
    shelf = stock(account, Path(items))
    known = profiles(account.of("users", users)) if users else {}
    file = account.of("searches", searches)

    def found() -> Iterator[Search]:
        for row in rows.read(file):
            if search := _search(row, file, shelf):
                if users and search.user not in known:
                    account.note("the shopper is not in the users file: no profile")
                yield search

    return assemble(account, shelf.items, found(), lambda search, reason: file.drop(reason), known, many)


def _search(row: Row, file: FileAccount, shelf: Shelf) -> Search | None:
    file.fields(row.value, READ)
    user, query = values.key(row, "user_id", needed=True), values.text(row, "query")
    clicked, shown = values.names(row, "clicked"), values.keys(row, "shown")
    time = values.moment(row, "time", file)
    strength = values.numbers(row, "strength") or (1.0,) * len(clicked)
    if len(strength) != len(clicked):
        what = f"{len(strength)} numbers for {len(clicked)} clicked items"
        raise values.fault(row, "strength", what, "write one for each")
    split = values.text(row, "split")
    if split is not None and split.lower() not in NAMES:
        raise values.fault(row, "split", f"{split[:20]!r} is none of {', '.join(NAMES)}")
    place, entrance = values.text(row, "place"), values.text(row, "entrance")
    session = values.key(row, "session_id")
    if query is None:
        return file.skip("no query")
    if not clicked:
        return file.skip("nothing clicked")
    done: dict[int, float] = {}
    for key, s in zip(clicked, strength, strict=True):
        if (item := shelf.ids.get(key)) is not None:
            done[item] = max(s, done.get(item, s))
    seen = tuple(shelf.ids[key] for key in shown if key in shelf.ids)
    if not done:
        return file.skip("no clicked item is in the items file")
    if len(done) < len(set(clicked)) or len(seen) < len(shown):
        file.note("items that are not in the items file: left out")
    file.kept += 1
    return Search(
        user, query, tuple(done), tuple(done.values()), seen, time, session=session, place=place, entrance=entrance,
        split=NAMES[split.lower()] if split else None,
    )  # fmt: skip
