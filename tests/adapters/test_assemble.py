"""Searches in time order, split by time, each with its place or dropped by reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crs_lite.adapters.account import Account
from crs_lite.adapters.assemble import Search, assemble
from crs_lite.errors import CRSError
from crs_lite.logs import Item, SearchRequest

ITEMS = [Item(id=i, key=f"i{i}", title=f"thing {i}") for i in range(3)]


def asked(time=None, session=None, user="u", **more):
    return Search(user=user, query="q", clicked=(0,), time=time, session=session, **more)


def put(searches, profiles=None):
    """-> (requests, dropped, account, sessions): `dropped` as (time, reason)."""
    account, dropped = Account("x"), []
    read = assemble(account, ITEMS, searches, lambda s, reason: dropped.append((s.query, reason)), profiles)
    return read.log, dropped, account, read.sessions


def test_in_time_order_ties_as_in_the_file_and_users_numbered():
    log, dropped, _, sessions = put(
        [asked(5, "b", "v", place="home"), asked(3, "a", "u"), asked(5, None, "u", entrance="ad"), asked(4, "b", "w")],
        {"v": {"city": "Bern"}, "never": {"city": "Rome"}},
    )
    assert [(r.time, log.users[r.user].key, r.place, r.entrance) for r in log.requests] == [
        (3, "u", None, None), (4, "w", None, None), (5, "v", "home", None), (5, "u", None, "ad"),
    ]  # fmt: skip
    assert [u.profile for u in log.users] == [{}, {}, {"city": "Bern"}] and not dropped
    assert sessions.tolist() == [0, 1, 1, -1]
    assert all(r.timed for r in log.requests)


def test_a_request_is_as_if_it_had_been_validated():
    log, *_ = put([Search("u", "q", (1, 0), (3.0, 1.0), (2, 1, 0), n, place="p") for n in range(9)])
    r = log.requests[4]
    again = SearchRequest.model_validate(r.model_dump())
    assert again == r and again.strength == (3.0, 1.0) and again.model_dump_json() == r.model_dump_json()


def test_a_strength_of_clicks_alone_says_nothing():
    log, *_ = put([Search("u", "q", (0, 1), (1.0, 1.0), time=n) for n in range(9)])
    assert all(r.strength == () for r in log.requests)


def test_a_search_without_time_takes_that_of_its_session():
    log, dropped, _, _ = put(
        [asked(10, "a"), asked(None, "a", entrance="after 10"), asked(30, "a"), asked(None, "b", entrance="before 20"),
         asked(20, "b"), asked(None, "c", entrance="lost"), asked(None, None, entrance="lost too"), asked(40)]
    )  # fmt: skip
    assert [(r.time, r.timed, r.entrance) for r in log.requests] == [
        (10, True, None), (10, False, "after 10"), (20, False, "before 20"), (20, True, None), (30, True, None),
        (40, True, None),
    ]  # fmt: skip
    assert [reason for _, reason in dropped] == ["no time, and no search of its session has one"] * 2


def test_without_any_clock_the_file_orders_and_a_session_stays_whole():
    log, dropped, _, _ = put([asked(None, s, entrance=e) for s, e in zip("abacb", "12345", strict=True)])
    assert "".join(r.entrance for r in log.requests) == "13254" and not dropped
    assert [r.time for r in log.requests] == [0, 1, 2, 3, 4] and not any(r.timed for r in log.requests)


def test_nothing_left_says_what_became_of_the_rows():
    with pytest.raises(CRSError, match="log x: no search with a click is left"):
        put([])


# -- split ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_split_by_time_and_a_moment_never_split(times):
    """Counted by hand on the sorted times, without the code's own bounds."""
    log, *_ = put([asked(t) for t in times])
    split_of = {}
    for r in log.requests:
        assert split_of.setdefault(r.time, r.split) == r.split
    order = [("train", "valid", "test").index(r.split) for r in log.requests]
    assert order == sorted(order)
    n = len(times)
    assert order.count(0) <= 0.8 * n and order.count(0) + order.count(1) <= 0.9 * n  # never more than asked for
    if len(set(times)) == n:
        assert order.count(0) == math.floor(0.8 * n) and order.count(2) == n - math.floor(0.9 * n)


def test_the_log_s_own_split_is_kept_where_it_is_in_time_order():
    own = ["train"] * 20 + ["valid"] * 2 + ["test"] * 3
    log, _, account, _ = put([asked(t, split=s) for t, s in enumerate(own)])
    assert [r.split for r in log.requests] == own and account.notes == {"split as the log names it": 25}
    own = ["train"] * 20 + ["test"] * 5
    log, _, account, _ = put([asked(t // 2, split=s) for t, s in enumerate(own)])
    assert [r.split for r in log.requests] == ["train"] * 18 + ["valid"] * 2 + ["test"] * 5
    assert "valid: the last 10% of train by time" in account.notes


@pytest.mark.parametrize("own", [["test"] * 5 + ["train"] * 20, [None] + ["train"] * 20 + ["test"] * 4, ["train"] * 25])
def test_any_other_split_of_its_own_is_not(own):
    log, _, account, _ = put([asked(t, split=s) for t, s in enumerate(own)])
    assert [r.split for r in log.requests] == ["train"] * 20 + ["valid"] * 2 + ["test"] * 3
    assert account.notes == {"the log's own split is not in time order, or not complete: split by time instead": 25}


def test_actions_that_came_after_the_next_search_are_counted():
    """u bought at 50 what was found at 10, and searched at 30: the history of that search knows of the purchase."""
    _, _, account, _ = put(
        [asked(10, last=50), asked(20, user="v", last=25), asked(30, last=31), asked(60, last=70), asked(65, user="v")]
    )
    assert account.notes == {"an action came after the shopper's next search": 1}
