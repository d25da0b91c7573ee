"""OpenSearch User Behavior Insights 1.x -> `SearchLog`: a shop's own searches, and what was done with their results.

Two files, as the indices `ubi_queries` and `ubi_events` are exported: plain JSON lines, the bulk format, or hits with
`_source`; both may be one and the same file. The items come from the shop, in a third (`shelf.ITEM_FIELDS`). Written
from the published schemas (https://github.com/o19s/ubi, 1.0.0 and 1.3.0), the index mappings of the plugin
(opensearch-project/user-behavior-insights) and its data generator; it has never met a file of a real shop.

Our choices, where the schema leaves them open:
- a shopper is a `client_id`; a search of none is a shopper of its own;
- `impression` events are what was shown, in the order of `position.ordinal` (in 1.0.0 `position.ordinal.index`, in the
  generator's files `rank`), those without one after them by time. A search without impressions was shown its
  `query_response_hit_ids` down to the last one clicked: what stands above a click has been passed by;
- `click` and `click_through` count 1, `add_to_cart` 2, `purchase` 3; the strongest action on an item counts, and its
  first gives the order. Every other action is skipped under its name: `view` and `watch` mean different things in
  different shops;
- `application` is the entrance, where the log has several.
UBI knows neither profile nor place.
"""

from __future__ import annotations

from pathlib import Path

from crs_lite.adapters import rows, values
from crs_lite.adapters.account import Account, FileAccount
from crs_lite.adapters.assemble import Read, Search, assemble
from crs_lite.adapters.rows import Row
from crs_lite.adapters.shelf import Shelf, stock
from crs_lite.errors import CRSError

BYTES_A_SEARCH = 1600  # of memory at the peak, for each search kept, with the events behind it
FIELDS = {
    "queries": {
        "query_id": "as events name the query; one without it is skipped",
        "user_query": "what was typed; a query without it is skipped",
        "client_id": "who asked, optional",
        "timestamp": "ISO 8601 or milliseconds; without one, that of its session",
        "query_response_hit_ids": "item ids in the order returned, optional",
        "application": "the entrance, optional",
    },
    "events": {
        "action_name": "impression, click, click_through, add_to_cart, purchase; others are counted and skipped",
        "query_id": "of a query; an event without it is skipped",
        "event_attributes.object.object_id": "of an item; an event without it is skipped",
        "event_attributes.position.ordinal": "place in the list, optional",
        "session_id, timestamp": "optional",
    },
}
STRENGTH = {"impression": 0.0, "click": 1.0, "click_through": 1.0, "add_to_cart": 2.0, "purchase": 3.0}
OBJECT, ORDINAL = "event_attributes.object.object_id", "event_attributes.position.ordinal"
UNPLACED = 1e9  # impressions without a position come after all others, by time


class _Query:
    """A query while its events come in. `shown`: item -> place; `done`: item -> [seconds, strength]."""

    __slots__ = "client text time hits entrance session shown impressed done events last".split()

    def __init__(self, client: str | None, text: str, time: int | None, hits: tuple[int, ...], entrance: str | None):
        self.client, self.text, self.time, self.hits, self.entrance = client, text, time, hits, entrance
        self.session: str | None = None
        self.shown: dict[int, float] | None = None
        self.impressed = False
        self.done: dict[int, tuple[float, float]] | None = None
        self.events = 0
        self.last: int | None = None


def read(queries: Path, events: Path, items: Path) -> Read:
    """The log of these three files. Raises `CRSError` naming file, row, field and remedy."""
    account = Account("ubi")
    shelf = stock(account, Path(items))
    asked, did = account.of("queries", queries), account.of("events", events)
    found = _queries(asked, shelf)
    for row in rows.read(did):
        _event(row, did, found, shelf)
    several = len({q.entrance for q in found.values()}) > 1
    searches: list[Search] = []
    while found:  # a query is let go as its search is made; from the end, since a dict's front is slow to take from
        name, query = found.popitem()
        if not query.done:
            asked.drop("nothing clicked" if query.events else "no event")
            did.drop("its query has no click", query.events)
            continue
        searches.append(_search(name, query, several, account))
    searches.reverse()

    def drop(search: Search, reason: str) -> None:
        asked.drop(reason)
        did.drop("its query was left out", search.events)

    return assemble(account, shelf.items, searches, drop)


def _queries(file: FileAccount, shelf: Shelf) -> dict[str, _Query]:
    found: dict[str, _Query] = {}
    entrances: dict[str, str] = {}
    for row in rows.read(file):
        if _kind(row) == "event":
            file.skip("an event, not a query")
            continue
        name, text = values.key(row, "query_id"), values.text(row, "user_query")
        if name is None or text is None or name in found:
            file.skip(
                "no query_id" if name is None else "no user_query" if text is None else "this query_id came before"
            )
            continue
        hits = values.keys(row, "query_response_hit_ids") or values.keys(row, "query_response_object_ids")
        known = tuple(shelf.ids[key] for key in hits if key in shelf.ids)
        if len(known) < len(hits):
            file.note("hits that are not in the items file: left out")
        client, entrance = values.key(row, "client_id"), values.text(row, "application")
        entrance = entrances.setdefault(entrance, entrance) if entrance else None
        found[name] = _Query(client, text, values.moment(row, "timestamp", file), known, entrance)
        file.kept += 1
    return found


def _kind(row: Row) -> str | None:
    """Query or event: by the index, where the row names it, else by a field that only one of them needs."""
    index = row.index or ""
    if index.startswith(("ubi_queries", "ubi_events")):
        return "event" if index.startswith("ubi_events") else "query"
    return "event" if "action_name" in row.value else "query" if "user_query" in row.value else None


def _event(row: Row, file: FileAccount, found: dict[str, _Query], shelf: Shelf) -> None:
    if _kind(row) == "query":
        return file.skip("a query, not an event")
    action = values.text(row, "action_name")
    if action is None:
        raise values.missing(row, "action_name")
    name = values.key(row, "query_id")
    if name is None:
        return file.skip("no query_id")
    if name not in found:
        return file.skip("its query is not in the queries file, or was left out there")
    strength = STRENGTH.get(action.lower())
    if strength is None:
        return file.skip(f"action {action[:40]!r} is not used")
    key = values.key(row, OBJECT)
    if key is None:
        return file.skip("no object_id")
    item = shelf.ids.get(key)
    if item is None:
        return file.skip("its item is not in the items file")
    query, time, place = found[name], _time(row, file), _place(row)
    session = values.key(row, "session_id")
    file.kept += 1
    query.events += 1
    query.session = query.session or session
    query.client = query.client or values.key(row, "client_id")
    query.impressed |= strength == 0
    if strength == 0 or place is not None:
        query.shown = query.shown or {}
        at = UNPLACED + (time or 0) if place is None else place
        query.shown[item] = min(at, query.shown.get(item, at))
    if strength:
        query.done = query.done or {}
        at = float("inf") if time is None else time
        first, most = query.done.get(item, (at, strength))
        query.done[item] = (min(first, at), max(most, strength))
        query.last = time if query.last is None else max(query.last, time or 0)


def _time(row: Row, file: FileAccount) -> int | None:
    """Events may have any text as their time: the index ignores what it cannot read, and so do we."""
    try:
        return values.moment(row, "timestamp", file)
    except CRSError:
        file.note("timestamp cannot be read: taken as missing")
        return None


def _place(row: Row) -> float | None:
    value = values.at(row, ORDINAL)
    fields = (f"{ORDINAL}.index",) if isinstance(value, dict) else (ORDINAL, "event_attributes.rank")
    return next((n for field in fields if (n := values.number(row, field)) is not None), None)


def _search(name: str, q: _Query, several: bool, account: Account) -> Search:
    clicked = tuple(sorted(q.done, key=lambda item: q.done[item][0]))
    strength = tuple(q.done[item][1] for item in clicked)
    if q.impressed:
        shown = tuple(sorted(q.shown, key=q.shown.get))
    elif places := [n for n, item in enumerate(q.hits) if item in q.done]:
        account.note("no impressions: the hits down to the last click were taken as shown")
        shown = q.hits[: places[-1] + 1]
    else:
        shown = ()
    if q.client is None:
        account.note("no client_id: a shopper of its own")
    client = q.client if q.client is not None else f"query {name}"
    return Search(
        client, q.text, clicked, strength, shown, q.time, session=q.session, events=q.events, last=q.last,
        entrance=q.entrance if several else None,
    )  # fmt: skip
