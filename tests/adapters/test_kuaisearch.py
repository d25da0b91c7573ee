"""KuaiSearch rows, read by hand first."""

import json

import pytest

from crs_lite.adapters import kuaisearch
from crs_lite.errors import CRSError

ITEMS = [
    {"item_id": n, "item_title": f"商品{n}", "brand_name": "无品牌", "category_level1_name": "all",
     "category_level2_name": "shoes", "category_level3_name": "UNKNOWN"}
    for n in range(1, 7)
]  # fmt: skip


def search(session, shown=(1, 2, 3), clicked=(2,), bought=(), **more):
    return {
        "user_id": 9,
        "session_id": session,
        "query": "广场舞服装",
        "time_index": 100 + session,
        "impressed_item_ids": list(shown),
        "clicked_item_ids": list(clicked),
        "purchased_item_ids": list(bought),
        "split": "train",
        **more,
    }


def ranked(session, item, clicked=0, bought=0, **more):
    return {
        "user_id": 9,
        "session_id": session,
        "query": "广场舞服装",
        "time_index": 100 + session,
        "target_item_id": item,
        "is_clicked": clicked,
        "is_purchased": bought,
        **more,
    }


@pytest.fixture
def read(tmp_path):
    def go(recall, items=ITEMS, **others):
        paths = {}
        for option, rows in {"recall": recall, "items": items, **others}.items():
            paths[option] = tmp_path / f"{option}.jsonl"
            paths[option].write_text(
                "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
            )
        log, account, _ = kuaisearch.read(**paths)
        for file in account.files.values():
            file.check()
        return log, account.files, account.notes

    return go


def names(log, items):
    return [log.items[i].key for i in items]


def test_a_search_is_a_request_with_its_skipped_items_and_without_a_clock(read):
    log, files, _ = read([search(1, shown=(3, 1, 2), clicked=(1,))])
    [r] = log.requests
    assert (r.query, r.time, r.timed, r.place, log.users[r.user].key) == ("广场舞服装", 101, False, None, "9")
    assert names(log, r.shown) == ["3", "1", "2"] and names(log, r.skipped) == ["3", "2"]
    assert files["items"].skipped == {"no search names it": 3}


def test_what_was_bought_comes_first_and_keeps_its_strength(read):
    log, *_ = read([search(1, shown=(1, 2, 3, 4), clicked=(2, 1, 3), bought=(3, 4))])
    [r] = log.requests
    assert names(log, r.clicked) == ["3", "4", "2", "1"] and r.strength == (3, 3, 1, 1)


def test_words_that_say_there_is_none_say_nothing(read):
    items = [*ITEMS[1:3], ITEMS[0] | {"brand_name": "耐克/NIKE", "category_level3_name": "boots"}]
    items.append({"item_id": 4, "item_title": "\\N"})
    log, files, _ = read([search(1, clicked=(1,), shown=(1, 2, 4))], items)
    by_key = {item.key: item for item in log.items}
    assert (by_key["1"].brand, by_key["1"].category) == ("耐克/NIKE", "boots")
    assert (by_key["2"].brand, by_key["2"].category) == (None, "shoes")  # the deepest level that says something
    assert files["items"].skipped == {"no search names it": 1, "no title": 1}
    assert files["recall"].notes == {"items that are not in the items file: left out": 1}


def test_time_index_orders_and_the_log_s_split_is_kept(read):
    rows = [search(n, time_index=500 - n, split="test" if n < 3 else "train") for n in range(23)]
    log, _, notes = read(rows)
    assert [r.time for r in log.requests] == list(range(478, 501))
    assert [r.split for r in log.requests] == ["train"] * 18 + ["valid"] * 2 + ["test"] * 3
    assert notes["split as the log names it"] == 23


def test_rank_rows_give_entrance_price_and_purchases(read):
    log, files, _ = read(
        [search(1, clicked=(2, 3)), search(2)],
        rank=[
            ranked(1, 1, search_entrance="search_entrance_ksstore", target_item_price=5990.0),
            ranked(1, 2, clicked=1, target_item_price=0),
            ranked(1, 3, clicked=1, bought=1, target_item_price=300),
            ranked(2, 3, target_item_price=999, search_entrance="mall"),  # the first price stays
            ranked(2, 1, clicked=1),  # recall does not know of this click
            ranked(7, 1, clicked=1),
        ],
    )
    a, b = log.requests
    assert (a.entrance, names(log, a.clicked), a.strength) == ("search_entrance_ksstore", ["3", "2"], (3, 1))
    assert (b.entrance, names(log, b.clicked), b.strength) == ("mall", ["2"], ())
    assert {i.key: i.price for i in log.items} == {"1": 5990, "2": None, "3": 300}
    assert (files["rank"].read, files["rank"].kept) == (6, 5)
    assert files["rank"].skipped == {"its search is not in the recall file, or was left out there": 1}
    assert files["rank"].notes == {
        "clicked here and not in recall, or the other way round: recall counts": 1,
        "target_item_price is no number above 0: left out": 1,
    }


def test_profiles(read):
    users = [{"user_id": 9, "gender": "F", "age_bucket": "24-30", "fre_city": "上海", "fre_province": "UNKNOWN"}]
    log, *_ = read([search(1)], users=users)
    assert log.users[0].profile == {"gender": "F", "age": "24-30", "city": "上海"}


def test_every_row_that_is_not_used_has_its_reason(read):
    _, files, _ = read(
        [search(1), search(1), search(2, clicked=()), search(3, query=" "), search(4, shown=(8, 9), clicked=(9,))]
    )
    assert (files["recall"].read, files["recall"].kept) == (5, 1)
    assert files["recall"].skipped == {
        "this search came before": 1,
        "nothing clicked": 1,
        "no query": 1,
        "no clicked item is in the items file": 1,
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (search(1, user_id=None), "recall.jsonl, row 1: user_id: missing"),
        (search(1, time_index=1.5), "recall.jsonl, row 1: time_index: 1.5 is no whole number"),
        (
            search(1, clicked_item_ids={"a": 1}),
            "recall.jsonl, row 1: clicked_item_ids: expected a name, found an object",
        ),
        (search(1, split="later"), "recall.jsonl, row 1: split: 'later' is none of train, valid"),
    ],
)
def test_a_malformed_row_is_named(read, row, message):
    with pytest.raises(CRSError, match=message):
        read([row])
