"""Items and users by our own field names: each key once, what is missing absent."""

import json

import pandas as pd
import pytest

from crs_lite.adapters import shelf
from crs_lite.adapters.account import Account, FileAccount
from crs_lite.errors import CRSError
from crs_lite.logs import Item

ITEMS = [
    {"item_id": "A", "title": " Red\n tape ", "brand": "Acme", "category": "tape", "price": 3, "sales": 12,
     "attribute_colour": "red", "attribute_": "no name", "weight": 5},
    {"item_id": 7, "title": "Blue tape", "price": "free"},
    {"item_id": "A", "title": "Another tape"},
    {"item_id": "B", "title": " "},
]  # fmt: skip


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_catalogue(tmp_path):
    account = Account("x")
    items, ids = shelf.stock(account, written(tmp_path / "i.jsonl", ITEMS))
    assert items == [
        Item(id=0, key="A", title="Red tape", brand="Acme", category="tape", price=3, sales=12,
             attributes={"colour": "red"}),
        Item(id=1, key="7", title="Blue tape"),
    ]  # fmt: skip
    assert ids == {"A": 0, "7": 1}
    file = account.files["items"]
    file.check()
    assert (file.read, file.kept, file.unread) == (4, 2, ["weight"])
    assert file.skipped == {"an item of this name came before": 1, "no title": 1}
    assert file.notes == {"price is no number above 0: left out": 1}


def test_the_same_from_a_table_with_gaps(tmp_path):
    """pandas writes whole numbers beside gaps as floats."""
    rows = [{"item_id": 10, "title": "a", "category": "c", "sales": 3}, {"item_id": 11, "title": "b", "sales": None}]
    for name, write in (("t.csv", pd.DataFrame.to_csv), ("t.parquet", pd.DataFrame.to_parquet)):
        write(pd.DataFrame(rows), tmp_path / name, index=False)
        items, _ = shelf.stock(Account("x"), tmp_path / name)
        assert [(i.key, i.title, i.category, i.sales) for i in items] == [("10", "a", "c", 3), ("11", "b", None, None)]


def test_the_id_of_a_bulk_export_will_do(tmp_path):
    rows = [
        {"index": {"_id": "B7"}},
        {"title": "tape"},
        {"_id": "B8", "_source": {"title": "clamp", "item_id": "sku8"}},
    ]
    items, _ = shelf.stock(Account("x"), written(tmp_path / "i.ndjson", rows))
    assert [i.key for i in items] == ["B7", "sku8"]  # the shop's own name goes first


def test_items_without_any_category_get_a_topic(tmp_path):
    rows = [{"item_id": n, "title": f"{'tape' if n % 20 else 'clamp'} number {n}"} for n in range(100)]
    account = Account("x")
    items, _ = shelf.stock(account, written(tmp_path / "i.jsonl", rows))
    assert [i.attributes for i in items] == [{} if n % 20 else {"topic": "clamp"} for n in range(100)]  # 5 of 100
    assert account.files["items"].notes == {"no item has a category: a topic was taken from the titles": 100}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "A", "title": "x"}, "row 1: item_id: missing; mend or drop that row; it has id, title"),
        ({"item_id": "A", "title": {}}, "row 1: title: expected text, found an object"),
        ({"item_id": "A", "title": "x", "sales": 1.5}, "row 1: sales: 1.5 is no whole number"),
        ({"item_id": "A", "title": "x", "sales": -1}, "row 1: sales: -1 is no whole number"),
        ({"item_id": "A"}, r"no item is left of 1 rows \(1 no title\); give another file"),
    ],
)
def test_what_is_no_item(tmp_path, row, message):
    with pytest.raises(CRSError, match="i.jsonl.*" + message):
        shelf.stock(Account("x"), written(tmp_path / "i.jsonl", [row]))


def test_only_the_items_that_somebody_wants(tmp_path):
    file = FileAccount(tmp_path)
    file.read = 3
    found = shelf.fill(file, ((None, key, {"title": key}) for key in "abc"), wanted={"b", "c"})
    assert found.ids == {"b": 0, "c": 1} and file.skipped == {"no search names it": 1}
    file.check()


def test_profiles(tmp_path):
    rows = [
        {"user_id": "u", "city": " Bern ", "age": 30, "pet": None},
        {"user_id": "u", "city": "Rome"},
        {"user_id": 2},
    ]
    path = written(tmp_path / "u.jsonl", rows)
    file = FileAccount(path)
    assert shelf.profiles(file) == {"u": {"city": "Bern", "age": "30"}, "2": {}}
    file.check()
    assert (file.kept, file.skipped) == (2, {"a user of this name came before": 1})
    assert shelf.profiles(FileAccount(path), {"city": "town"}) == {"u": {"town": "Bern"}, "2": {}}
