"""KuaiSearch (Li et al. 2026, arXiv 2602.11518) -> `SearchLog`: the public log nearest to the paper's.

Four files of JSON lines (or CSV, or parquet): items, recall (one row a search), and, if given, users (profiles) and
rank (one row for each item of a search: entrance, price, purchases). Written from the published demo and code
(https://github.com/benchen4395/KuaiSearch); the reader itself has never met the whole log.

What the files leave open, and what we do:
- `time_index` is no clock: it orders, and a context tells no month and no hour;
- whether `impressed_item_ids` stand in the order shown is not said: we take them so. The clicks' order is not said
  either; what was bought comes first, so a purchase is the target where there is one;
- of 18.6 million items only those stay that a kept search shows or has clicked;
- rank rows give their search the entrance and the item its first price, in the file's unit (it seems to be fen); which
  items were clicked is said by recall alone, and where the two differ it is counted;
- `recently_clicked_item_ids` have neither time nor query and are not read.
A shopper's city is part of the profile; where a search was made is not logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crs_lite.adapters import rows, values
from crs_lite.adapters.account import Account, FileAccount
from crs_lite.adapters.assemble import NAMES, Read, Search, assemble
from crs_lite.adapters.rows import Row
from crs_lite.adapters.shelf import fill, profiles

BYTES_A_SEARCH = 1500  # of memory at the peak, for each search kept that shows 5 items; 16 for each item more
FIELDS = {
    "items": {
        "item_id, item_title": "needed; an item without a title is left out",
        "brand_name": "optional",
        "category_level1_name .. category_level3_name": "optional; the deepest counts",
    },
    "recall": {
        "user_id, session_id, query": "needed; a search without words is left out",
        "time_index": "whole number that orders",
        "impressed_item_ids, clicked_item_ids, purchased_item_ids": "lists of item ids",
        "split": "train or test, optional",
    },
    "rank": {
        "user_id, session_id, query, time_index": "name the search",
        "target_item_id, is_clicked, is_purchased": "the item, 0 or 1",
        "search_entrance, target_item_price": "optional",
    },
    "users": {"user_id": "needed", "gender, age_bucket, fre_province, fre_city": "the profile, optional"},
}
PROFILE = {"gender": "gender", "age_bucket": "age", "fre_province": "province", "fre_city": "city"}
NOTHING = frozenset(("\\N", "UNKNOWN", "OTHER", "无品牌", "其他"))  # how the files write that there is none
LEVELS = ("category_level3_name", "category_level2_name", "category_level1_name")
Place = tuple[str, str, str, int | None]  # user, session, query, time_index: the name of a search


def read(items: Path, recall: Path, rank: Path | None = None, users: Path | None = None) -> Read:
    """The log of these files. Raises `CRSError` naming file, row, field and remedy."""
    account = Account("kuaisearch")
    found = account.of("recall", recall)
    names: dict[str, int] = {}  # item key -> a number until the items are read
    searches = list(_searches(found, names))
    prices = _rank(account.of("rank", rank), searches, names) if rank else {}
    file = account.of("items", items)
    shelf = fill(file, _items(file, names, prices), names)
    known = profiles(account.of("users", users), PROFILE, NOTHING) if users else None
    ids = [shelf.ids.get(name, -1) for name in names]
    named: list[Search] = []
    while searches:
        if search := _named(searches.pop(), ids, found):
            named.append(search)
    named.reverse()
    del names
    return assemble(account, shelf.items, named, lambda search, reason: found.drop(reason), known)


def _searches(file: FileAccount, names: dict[str, int]) -> Iterator[Search]:
    """Searches with a click, their items still numbered as in `names`."""
    seen: set[Place] = set()

    def numbers(row: Row, field: str) -> tuple[int, ...]:
        return tuple(names.setdefault(name, len(names)) for name in values.keys(row, field))

    for row in rows.read(file):
        place = _place(row)
        split = values.text(row, "split")
        if split is not None and split.lower() not in NAMES:
            raise values.fault(row, "split", f"{split[:20]!r} is none of {', '.join(NAMES)}")
        if not place[2]:
            file.skip("no query")
            continue
        if place in seen:
            file.skip("this search came before")
            continue
        keys = {field: values.keys(row, f"{field}_item_ids") for field in ("impressed", "clicked", "purchased")}
        if not keys["clicked"] and not keys["purchased"]:
            file.skip("nothing clicked")
            continue
        shown, clicked, bought = (numbers(row, f"{field}_item_ids") for field in keys)
        seen.add(place)
        file.kept += 1
        yield Search(
            place[0], place[2], *_strongest(dict.fromkeys(clicked, 1.0) | dict.fromkeys(bought, 3.0)), shown,
            place[3], False, f"{place[0]} {place[1]}", split=NAMES[split.lower()] if split else None,
        )  # fmt: skip


def _place(row: Row) -> Place:
    time = values.number(row, "time_index")
    if time is not None and not time.is_integer():
        raise values.fault(row, "time_index", f"{time:g} is no whole number")
    user, session = values.key(row, "user_id", needed=True), values.key(row, "session_id", needed=True)
    return user, session, values.text(row, "query") or "", None if time is None else int(time)


def _strongest(done: dict[int, float]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Items and strengths, the strongest first, else in the order given."""
    items = tuple(sorted(done, key=lambda item: -done[item]))
    return items, tuple(done[item] for item in items)


def _rank(file: FileAccount, searches: list[Search], names: dict[str, int]) -> dict[str, float]:
    """What rank rows add to their searches. -> the first price of an item."""
    by_place = {(s.user, s.session.removeprefix(f"{s.user} "), s.query, s.time): s for s in searches}
    prices: dict[str, float] = {}
    for row in rows.read(file):
        search = by_place.get(_place(row))
        key = values.key(row, "target_item_id", needed=True)
        clicked, bought = values.flag(row, "is_clicked"), values.flag(row, "is_purchased")
        if search is None:
            file.skip("its search is not in the recall file, or was left out there")
            continue
        file.kept += 1
        search.entrance = search.entrance or values.text(row, "search_entrance")
        price = values.price(row, "target_item_price", file)
        if price is not None:
            prices.setdefault(key, price)
        item = names.get(key)
        strength = dict(zip(search.clicked, search.strength, strict=True))
        if (clicked or bought) != (item in strength):
            file.note("clicked here and not in recall, or the other way round: recall counts")
        elif bought and strength[item] < 3:
            search.clicked, search.strength = _strongest(strength | {item: 3.0})
    return prices


def _items(file: FileAccount, names: dict[str, int], prices: dict[str, float]) -> Iterator[tuple[Row, str, dict]]:
    for row in rows.read(file):
        key = values.key(row, "item_id", needed=True)
        text = {field: values.text(row, field) for field in ("item_title", "brand_name", *LEVELS)}
        real = {field: None if said in NOTHING else said for field, said in text.items()}
        category = next((real[level] for level in LEVELS if real[level]), None)
        yield row, key, {
            "title": real["item_title"], "brand": real["brand_name"], "category": category, "price": prices.get(key),
        }  # fmt: skip


def _named(s: Search, ids: list[int], file: FileAccount) -> Search | None:
    """The search with the items' ids; None when none of the clicked items is in the items file."""
    done = {ids[n]: strength for n, strength in zip(s.clicked, s.strength, strict=True) if ids[n] >= 0}
    shown = tuple(ids[n] for n in s.shown if ids[n] >= 0)
    if not done:
        return file.drop("no clicked item is in the items file")
    if len(done) < len(s.clicked) or len(shown) < len(s.shown):
        file.note("items that are not in the items file: left out")
    s.clicked, s.strength, s.shown = tuple(done), tuple(done.values()), shown
    return s
