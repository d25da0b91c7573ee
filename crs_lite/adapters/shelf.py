"""Items and users of a shop, each from one file, by field names of our own (`ITEM_FIELDS`, `USER_FIELDS`).

A format that names them otherwise gives its own names to `fill` and `profiles`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from crs_lite.adapters import rows, values
from crs_lite.adapters.account import Account, FileAccount
from crs_lite.adapters.rows import Row
from crs_lite.adapters.synthetic import with_topics
from crs_lite.errors import CRSError
from crs_lite.logs import Item

ATTRIBUTE = "attribute_"
ITEM = set(Item.model_fields)  # one for all: see `columns.FIELDS`
ITEM_FIELDS = {
    "item_id": "the shop's name of the item, as searches name it (in a bulk export, `_id` will do)",
    "title": "what a shopper reads; an item without one is left out",
    "brand, category": "text, optional",
    "price": "number above 0, optional",
    "sales": "whole number of items sold, optional",
    f"{ATTRIBUTE}NAME": "text, optional, any number of such fields: what a sentence can say of the item",
}
READ = ("item_id", "title", "brand", "category", "price", "sales")
USER_FIELDS = {
    "user_id": "as searches name the user",
    "any other field": "text, optional: what the shop openly knows (gender, age, city, device ...), one profile entry",
}


class Shelf(NamedTuple):
    """The catalogue: `items` by id, and the id of every key."""

    items: list[Item]
    ids: dict[str, int]


def stock(account: Account, path: Path) -> Shelf:
    """All items of a file with `ITEM_FIELDS`. Raises `CRSError` for a malformed row, and when no item is left.

    Where no item has a category, each gets a `topic` from its title (see `synthetic.with_topics`), since sentences
    about an item need something to speak of.
    """
    file = account.of("items", path)
    shelf = fill(file, _own(file))
    if not any(item.category for item in shelf.items):
        file.note("no item has a category: a topic was taken from the titles", len(shelf.items))
        return Shelf(with_topics(shelf.items, 5, 0.05), shelf.ids)
    return shelf


def _own(file: FileAccount) -> Iterator[tuple[Row, str, dict]]:
    for row in rows.read(file):
        file.fields((f for f in row.value if not f.startswith(ATTRIBUTE)), READ)
        name = values.key(row, "item_id") or row.id or values.key(row, "item_id", needed=True)
        sales = values.number(row, "sales")
        if sales is not None and (sales < 0 or not sales.is_integer()):
            raise values.fault(row, "sales", f"{sales:g} is no whole number")
        named = {f[len(ATTRIBUTE) :]: f for f in row.value if f.startswith(ATTRIBUTE) and len(f) > len(ATTRIBUTE)}
        yield (
            row,
            name,
            {
                "title": values.text(row, "title"),
                "brand": values.text(row, "brand"),
                "category": values.text(row, "category"),
                "price": values.price(row, "price", file),
                "sales": None if sales is None else int(sales),
                "attributes": {values.plain(n): t for n, f in named.items() if (t := values.text(row, f))},
            },
        )


def fill(file: FileAccount, found: Iterator[tuple[Row, str, dict]], wanted: Container[str] | None = None) -> Shelf:
    """Items in the file's order, each key once; only the `wanted`. `found`: row, key, and the fields of the item.

    Raises `CRSError` when nothing is left.
    """
    items: list[Item] = []
    ids: dict[str, int] = {}
    for _, name, fields in found:
        if name in ids:
            file.skip("an item of this name came before")
        elif wanted is not None and name not in wanted:
            file.skip("no search names it")
        elif not fields["title"]:
            file.skip("no title")
        else:
            ids[name] = len(items)
            items.append(Item.model_construct(id=len(items), key=name, **fields, _fields_set=ITEM))
            file.kept += 1
    if not items:
        why = ", ".join(f"{n} {reason}" for reason, n in file.skipped.items())
        raise CRSError(f"{file.path}: no item is left of {file.read} rows ({why}); give another file.")
    return Shelf(items, ids)


def profiles(
    file: FileAccount, fields: Mapping[str, str] | None = None, nothing: Container[str] = ()
) -> dict[str, dict[str, str]]:
    """User -> profile. `fields`: field of the file -> name in the profile; by default every field but `user_id`.
    `nothing`: values that say that there is none."""
    found: dict[str, dict[str, str]] = {}
    for row in rows.read(file):
        name = values.key(row, "user_id", needed=True)
        if name in found:
            file.skip("a user of this name came before")
            continue
        named = fields or {f: f for f in row.value if f != "user_id"}
        said = {values.plain(n): values.text(row, f) for f, n in named.items()}
        found[name] = {n: t for n, t in said.items() if t and t not in nothing}
        file.kept += 1
    return found
