"""What is said of a real log, counted by hand on a small one."""

import pytest

from crs_lite.adapters import checks
from crs_lite.errors import CRSError
from crs_lite.logs import Item, SearchLog, SearchRequest, User

TITLES = [("red tape", "Acme"), ("blue tape", "Acme"), ("red clamp", None), ("glove", "Zeta Tools")]
ITEMS = [Item(id=i, key=f"SKU{i}", title=t, brand=b) for i, (t, b) in enumerate(TITLES)]
HOUR = 3600


def log_of(*rows):
    """Rows: (split, seconds, user, query, target)."""
    requests = [
        SearchRequest(id=n, time=time, user=user, split=split, query=query, clicked=(target,))
        for n, (split, time, user, query, target) in enumerate(rows)
    ]
    return SearchLog("x", ITEMS, [User(id=u, key=f"u{u}") for u in range(4)], requests)


TRAINED = [
    ("train", 0, 0, "tape", 0),
    ("train", 60, 0, "tape", 1),
    ("train", 70, 1, "red", 2),
    ("valid", 80, 1, "x", 0),
]


def test_shares_of_the_test_requests_by_hand():
    log = log_of(
        *TRAINED,
        ("test", 100 * HOUR, 0, "Red", 0),  # in the title, and in another's; clicked before by this shopper
        ("test", 101 * HOUR, 2, "red tape", 0),  # names it: no other title has both
        ("test", 101 * HOUR, 2, "red tape", 0),  # and again, in the same moment
        ("test", 102 * HOUR, 3, "sku3", 3),  # its key; never clicked in training
        ("test", 103 * HOUR, 3, "zeta", 3),  # brand words count; only it has them
        ("test", 104 * HOUR, 3, "warm", 3),
    )
    found = checks.check(log)
    assert found["test"] == {
        "all_words_in_title": 4 / 6,
        "names_target": 3 / 6,
        "types_key": 1 / 6,
        "repeats_in_session": 1 / 6,
        "target_in_history": 4 / 6,  # the first, the repeat, and the last two
        "never_clicked_in_train": 3 / 6,
        "cold_shoppers": 6 / 6,
        "same_moment": 2 / 6,
        "untimed": 0,
    }
    assert found["truth"] == "no truth"
    assert found["splits"]["train"] == {
        "requests": 3, "shoppers": 2, "targets": 3, "with_skipped": 0, "stronger_than_a_click": 0, "from": 0, "to": 70,
    }  # fmt: skip


def test_a_session_is_the_log_s_own_or_a_sitting():
    rows = [*TRAINED, ("test", 90, 1, "x", 0), ("test", 90 + HOUR, 1, "x", 0)]
    ours = checks.check(log_of(*rows))
    assert ours["sessions"].startswith("ours") and ours["test"]["repeats_in_session"] == 0.5  # an hour ends a sitting
    assert ours["sessions_across_splits"] == 1  # that of shopper 1
    logged = checks.check(log_of(*rows), [0, 0, 1, 2, 3, 2])
    assert logged["sessions"] == "as logged" and logged["test"]["repeats_in_session"] == 0.5
    assert logged["sessions_across_splits"] == 1  # session 2
    alone = checks.check(log_of(*rows), [0, 0, 1, -1, -1, -1])
    assert alone["test"]["repeats_in_session"] == 0 and alone["sessions_across_splits"] == 0


@pytest.mark.parametrize("left", [("train",), ("train", "test"), ("valid", "test")])
def test_an_empty_split_is_refused(left):
    rows = [row for row in [*TRAINED, ("test", 90, 1, "x", 0)] if row[0] in left]
    lacking = " and ".join(s for s in ("train", "valid", "test") if s not in left)
    with pytest.raises(CRSError, match=f"log 'x': no request is left for {lacking} .*; give a log of more searches"):
        checks.check(log_of(*rows))


def test_every_measure_is_said_in_words():
    found = checks.check(log_of(*TRAINED, ("test", 90, 1, "red tape", 0)))
    text = checks.words_of(found)
    assert set(found["test"]) == set(checks.WORD) and all(said in text for said in checks.WORD.values())
    assert "train: 3 requests of 2 shoppers" in text and "no truth" in text
    assert "100.0% of test: and in no other item's: the query names the target" in text
