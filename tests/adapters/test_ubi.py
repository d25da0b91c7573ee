"""UBI files, read by hand first: who saw what where, clicked what when, and what became of every line."""

import json

import pytest

from crs_lite.adapters import ubi
from crs_lite.errors import CRSError

T = 1_718_280_000  # 2024-06-13 12:00 UTC
ITEMS = [{"item_id": key, "title": f"thing {key}", "category": "c"} for key in ("A", "B", "C", "D", 5)]


def query(name, time=T, **more):
    return {"query_id": name, "user_query": f"words of {name}", "client_id": "u", "timestamp": time * 1000} | more


def event(name, action, key=None, ordinal=None, time=T, **more):
    attributes = {"object": {"object_id": key}} if key is not None else {}
    if ordinal is not None:
        attributes["position"] = {"ordinal": ordinal}
    return {"query_id": name, "action_name": action, "timestamp": time * 1000, "event_attributes": attributes} | more


def one(name, time=T):
    """A query with a click, so that a log has something."""
    return query(name, time), event(name, "click", "A", 1, time)


@pytest.fixture
def read(tmp_path):
    """-> (requests by query, the account's files, the account's notes)."""

    def go(queries, events, items=ITEMS, same=False):
        paths = {}
        for option, rows in (("queries", queries), ("events", events), ("items", items)):
            paths[option] = tmp_path / f"{option}.ndjson"
            paths[option].write_text("".join(json.dumps(row) + "\n" for row in rows))
        if same:
            paths["events"] = paths["queries"]
        log, account, _ = ubi.read(**paths)
        for file in account.files.values():
            file.check()
        key = [item.key for item in log.items]
        asked = {
            r.query.removeprefix("words of "): {
                "user": log.users[r.user].key,
                "shown": "".join(key[i] for i in r.shown),
                "skipped": "".join(key[i] for i in r.skipped),
                "clicked": "".join(key[i] for i in r.clicked),
                "strength": r.strength,
                "time": r.time - T,
                "entrance": r.entrance,
            }
            for r in log.requests
        }
        return asked, account.files, dict(account.notes)

    return go


def test_impressions_without_a_click_are_skipped_items_in_the_order_of_their_position(read):
    asked, files, _ = read(
        [query("q")],
        [
            event("q", "impression", "C", 3),
            event("q", "impression", "A", 1),
            event("q", "impression", "B", 2),
            event("q", "click", "B", 2, T + 9),
            event("q", "impression", "A", 7),  # scrolled back to it
        ],
    )
    assert asked["q"] == {
        "user": "u", "shown": "ABC", "skipped": "AC", "clicked": "B", "strength": (), "time": 0, "entrance": None,
    }  # fmt: skip
    assert (files["queries"].kept, files["events"].kept) == (1, 5)


def test_positions_of_all_versions_and_none(read):
    """1.3.0: a number; 1.0.0: an object with an index; the data generator: `rank`; else by time, after all others."""
    places = [
        event("q", "impression", "D", time=T + 2),
        event("q", "impression", 5, time=T + 1),
        event("q", "impression", "C", {"index": 2}),
        event("q", "impression", "B") | {"event_attributes": {"object": {"object_id": "B"}, "rank": 1}},
        event("q", "impression", "A", 0),
        event("q", "click", "5"),  # a name may be a number or its text
    ]
    asked, _, _ = read([query("q")], places)
    assert asked["q"]["shown"] == "ABC5D" and asked["q"]["skipped"] == "ABCD" and asked["q"]["clicked"] == "5"


def test_actions_keep_their_strength_and_their_first_moment_orders_them(read):
    asked, files, _ = read(
        [query("q")],
        [
            event("q", "purchase", "C", time=T + 90),
            event("q", "Click", "B", time=T + 30),
            event("q", "click", "C", time=T + 20),
            event("q", "add_to_cart", "B", time=T + 40),
            event("q", "click_through", "A", time=T + 50),
            event("q", "click", "D") | {"timestamp": "tomorrow"},  # its time cannot be read: after the others
            event("q", "view", "D", time=T + 1),
            event("q", "product_hover", "D", time=T + 1),
        ],
    )
    assert asked["q"]["clicked"] == "CBAD" and asked["q"]["strength"] == (3, 2, 1, 1)
    assert files["events"].skipped == {"action 'view' is not used": 1, "action 'product_hover' is not used": 1}
    assert files["events"].notes == {"timestamp cannot be read: taken as missing": 1}


def test_without_impressions_the_hits_down_to_the_last_click_were_seen(read):
    hits = ["A", "nowhere", "B", "C", "D"]
    asked, files, notes = read(
        [
            query("hits", query_response_hit_ids=hits),
            query("old", query_response_object_ids=hits),  # the name of 1.0 in the plugin
            query("both", query_response_hit_ids=hits),
            query("neither"),
        ],
        [
            event("hits", "click", "B", 3),
            event("hits", "click", "C", 4),
            event("old", "click", "A"),
            event("both", "impression", "B", 3),
            event("both", "click", "C", 4),
            event("neither", "click", "C", 4),
        ],
    )
    assert [asked[q]["shown"] for q in ("hits", "old", "both", "neither")] == ["ABC", "A", "BC", ""]
    assert [asked[q]["skipped"] for q in ("hits", "old", "both", "neither")] == ["A", "", "B", ""]
    assert files["queries"].notes == {"hits that are not in the items file: left out": 3}
    assert notes == {"no impressions: the hits down to the last click were taken as shown": 2}


def test_every_line_that_is_not_used_has_its_reason(read):
    good, clicked = one("good")
    asked, files, _ = read(
        [
            {"index": {"_index": "ubi_queries"}},
            good,
            query("no event"),
            query("seen only"),
            query("no words", user_query=None),
            query("good", user_query="another page of it"),
            query(None),  # no version asks for it
        ],
        [
            clicked,
            event("seen only", "impression", "A", 1),
            event("seen only", "impression", "B", 2),
            event("elsewhere", "click", "A", 1),
            event("no words", "click", "A", 1),
            event("good", "click", "Z", 1),
            event("good", "impression"),
            event(None, "login"),
            event("good", "scroll") | {"event_attributes": None},
        ],
        [*ITEMS, {"item_id": "X", "title": None}],
    )
    assert set(asked) == {"good"}
    assert (files["queries"].read, files["queries"].kept) == (7, 1)
    assert files["queries"].skipped == {
        "action line of the bulk format": 1,
        "no event": 1,
        "nothing clicked": 1,
        "no user_query": 1,
        "this query_id came before": 1,
        "no query_id": 1,
    }
    assert (files["events"].read, files["events"].kept) == (9, 1)
    assert files["events"].skipped == {
        "its query has no click": 2,
        "its query is not in the queries file, or was left out there": 2,
        "its item is not in the items file": 1,
        "no object_id": 1,
        "no query_id": 1,
        "action 'scroll' is not used": 1,
    }
    assert files["items"].skipped == {"no title": 1}


@pytest.mark.parametrize("named", [True, False])
def test_both_indices_may_stand_in_one_file(read, named):
    """As the plugin's data generator writes them; with and without the index in the action line."""
    rows = []
    for n in range(3):
        for index, row in zip(("ubi_queries", "ubi_events"), one(f"q{n}", T + n), strict=True):
            rows += [{"index": {"_index": index, "_id": "x"} if named else {}}, row]
    asked, files, _ = read(rows, [], same=True)
    assert set(asked) == {"q0", "q1", "q2"}
    for option, other in (("queries", "an event, not a query"), ("events", "a query, not an event")):
        assert (files[option].read, files[option].kept) == (12, 3)
        assert files[option].skipped == {"action line of the bulk format": 6, other: 3}


def test_who_asked_and_when(read):
    asked, _, notes = read(
        [
            query("known", T + 5),
            query("by its events", T + 6, client_id=None),
            query("nobody", T + 7, client_id=""),
            query("same session", timestamp=None),
            query("iso") | {"timestamp": "2024-06-13T14:00:20.500+02:00"},
        ],
        [
            event("known", "click", "A", session_id="s"),
            event("by its events", "click", "A", client_id="v"),
            event("nobody", "click", "A"),
            event("same session", "click", "A", session_id="s"),
            event("iso", "click", "A"),
        ],
    )
    assert {name: (q["user"], q["time"]) for name, q in asked.items()} == {
        "known": ("u", 5),
        "same session": ("u", 5),
        "by its events": ("v", 6),
        "nobody": ("query nobody", 7),
        "iso": ("u", 20),
    }
    assert notes == {"no client_id: a shopper of its own": 1}


def test_the_application_is_the_entrance_where_there_are_several(read):
    alone = read([query("q", application="shop")], [event("q", "click", "A")])[0]
    several = read(
        [query("q", application="primary-search"), query("r", application="type-ahead")],
        [event("q", "click", "A"), event("r", "click", "A")],
    )[0]
    assert alone["q"]["entrance"] is None
    assert (several["q"]["entrance"], several["r"]["entrance"]) == ("primary-search", "type-ahead")


def test_a_purchase_after_the_next_search_is_counted(read):
    queries, events = zip(one("q"), one("r", T + 60), strict=True)
    _, _, notes = read(queries, [*events, event("q", "purchase", "A", time=T + 3600)])
    assert notes == {"an action came after the shopper's next search": 1}


@pytest.mark.parametrize(
    ("option", "row", "message"),
    [
        ("queries", query("r", timestamp="noon"), "queries.ndjson, row 2: timestamp: 'noon' is no time of ISO 8601"),
        ("queries", query("r", user_query=["a"]), "queries.ndjson, row 2: user_query: expected text, found a list"),
        ("events", event("q", None, "A"), "row 2: action_name: missing; mend or drop that row; it has query_id"),
        (
            "events",
            event("q", "click", ["A"]),
            "row 2: event_attributes.object.object_id: expected a name, found a list",
        ),
        (
            "events",
            event("q", "click", "A") | {"event_attributes": "A"},
            "row 2: .*object_id: 'object' is looked for in",
        ),
        ("events", event("q", "click", "A", "top"), "row 2: event_attributes.position.ordinal: expected a number"),
    ],
)
def test_a_malformed_row_is_named(read, option, row, message):
    first, click = one("q")
    rows = {"queries": [first], "events": [click]}
    rows[option].append(row)
    with pytest.raises(CRSError, match=message):
        read(**rows)
