"""A simulated shop's searches as the files that a real shop exports: OpenSearch UBI, with the faults such files have.

Every fault is planted by rule and counted, so that an account of the rows can be held against it.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from crs_lite.files import write_text
from crs_lite.logs import Item, SearchLog, SearchRequest

SITTING = 1800  # seconds of a session's name
BULK = "action line of the bulk format"
Lines = list[str]


def department(log: SearchLog, categories: Sequence[str]) -> list[SearchRequest]:
    """The requests in which nothing but items of these categories was shown or clicked."""
    inside = {item.id for item in log.items if item.category in categories}
    return [r for r in log.requests if inside.issuperset(r.shown + r.clicked)]


def ubi(log: SearchLog, requests: Sequence[SearchRequest], folder: Path) -> tuple[dict[str, Path], dict[str, Counter]]:
    """Writes queries (bulk format), events (plain JSON lines) and items (CSV). -> option -> file; option -> reason ->
    how many rows of that file a reader must skip for it. Profile and place are lost: UBI has no field for them."""
    used = sorted({i for r in requests for i in r.shown + r.clicked})
    planted = {"queries": Counter(), "events": Counter(), "items": Counter()}
    queries, events = [], []
    for n, request in enumerate(requests):
        _search(log, n, request, queries, events, planted)
    lines = {"queries": queries, "events": events}
    files = {name: folder / f"{name}.ndjson" for name in lines} | {"items": folder / "items.csv"}
    for name, of in lines.items():
        write_text(files[name], "\n".join(of) + "\n")
    write_text(files["items"], _table([log.items[i] for i in used]))
    return files, planted


def _search(log: SearchLog, n: int, r: SearchRequest, queries: Lines, events: Lines, planted: dict) -> None:
    who = {"client_id": log.users[r.user].key, "session_id": f"s{r.user}-{r.time // SITTING}"}
    name, keys = f"q-{n:05}", [log.items[i].key for i in r.shown]
    query = {"query_id": name, "user_query": r.query, "client_id": who["client_id"], "timestamp": _stamp(r.time, n)}
    bulk = {"index": {"_index": "ubi_queries", "_id": name}}

    def ask(row: dict, why: str | None = None) -> None:
        queries.extend(map(json.dumps, (bulk, row)))
        planted["queries"][BULK] += 1
        if why:
            planted["queries"][why] += 1

    def act(action: str, key: str | None, place: int | None = None, after: int = 0, why: str = "", **other) -> None:
        where = {"object": {"object_id": key, "object_id_field": "sku"}, "position": {"ordinal": place}}
        row = {"action_name": action, "query_id": name, **who, "timestamp": _stamp(r.time + after, n)}
        events.append(json.dumps({**row, "event_attributes": where, **other}))
        if why:
            planted["events"][why] += 1

    ask(query | {"query_response_hit_ids": keys})
    for place, key in enumerate(keys if n % 9 else (), 1):  # some pages log no impressions
        act("impression", key, place)
    for after, item in enumerate(r.clicked, 1):
        act("click", log.items[item].key, r.shown.index(item) + 1 if item in r.shown else None, 10 * after)
    if n % 5 == 0:
        act("purchase", log.items[r.target].key, after=300)
    # the faults
    if n % 20 == 7:
        ask(query | {"query_id": f"{name}-typing", "user_query": r.query[:2]}, "no event")
    if n % 25 == 3:
        ask(query | {"query_id": f"{name}-left"}, "nothing clicked")
        act("impression", keys[0] if keys else "", 1, why="its query has no click", query_id=f"{name}-left")
    if n % 40 == 5:
        ask(query, "this query_id came before")
    if n % 90 == 8:
        ask(query | {"query_id": f"{name}-empty", "user_query": " "}, "no user_query")
    if n % 10 == 2:
        act("product_hover", log.items[r.target].key, why="action 'product_hover' is not used")
    if n % 50 == 9:
        absent = "its query is not in the queries file, or was left out there"
        act("click", log.items[r.target].key, why=absent, query_id="q-of-the-old-shop")
    if n % 60 == 1:
        act("click", "no-longer-sold", 3, why="its item is not in the items file")
    if n % 70 == 4:
        act("login", None, why="no query_id", query_id=None)


def _stamp(seconds: int, n: int) -> str | int:
    """A time in one of the three ways that are met: with an offset, with a Z, as milliseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat()
    return (text, text.replace("+00:00", "Z"), seconds * 1000)[n % 3]


def _table(items: Sequence[Item]) -> str:
    names = list(dict.fromkeys(name for item in items for name in item.attributes))
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["item_id", "title", "brand", "category", "price", *(f"attribute_{name}" for name in names)])
    for item in items:
        about = [item.attributes.get(name, "") for name in names]
        rows.writerow([item.key, item.title, item.brand, item.category, item.price, *about])
    return out.getvalue()
