"""A log holds what was logged: in time order, nothing unknown; and comes back from its files."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from toy import toy_log

from crs_lite.context import when
from crs_lite.errors import CRSError
from crs_lite.logs import Interaction, Item, SearchLog, SearchRequest, User, read_jsonl_gz, write_jsonl_gz

ITEMS = [Item(id=i, key=f"i{i}", title=f"thing {i}") for i in range(3)]
USERS = [User(id=u, key=f"u{u}") for u in range(2)]


def asked(id: int, time: int, user: int = 0, split: str = "train", **more) -> SearchRequest:
    return SearchRequest(
        **{"id": id, "time": time, "user": user, "split": split, "query": "q", "clicked": (0,), **more}
    )


@pytest.mark.parametrize(
    ("items", "users", "requests", "message"),
    [
        ([ITEMS[1]], USERS, [], "items row 0: id 1 must equal its row"),
        (ITEMS, [USERS[0], USERS[0]], [], "users row 1: id 0 must equal its row"),
        (ITEMS, USERS, [asked(0, 5), asked(1, 4)], "requests row 1: not in time order"),
        (ITEMS, USERS, [asked(1, 5), asked(0, 5)], "requests row 1: not in time order"),
        (ITEMS, USERS, [asked(0, 5, user=2)], "requests row 0: unknown user 2"),
        (ITEMS, USERS, [asked(0, 5, clicked=())], "requests row 0: nothing was clicked"),
        (ITEMS, USERS, [asked(0, 5, shown=(0, 3))], "requests row 0: unknown item 3"),
        (ITEMS, USERS, [asked(0, 5, clicked=(-1,))], "requests row 0: unknown item -1"),
        (ITEMS, USERS, [asked(0, 5, clicked=(0, 1), strength=(2,))], "requests row 0: one strength a clicked item"),
    ],
)
def test_what_does_not_hang_together_is_refused_by_row(items, users, requests, message):
    with pytest.raises(CRSError, match=f"log 'x', {message}"):
        SearchLog("x", items, users, requests)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), max_size=25), st.integers(1, 6))
def test_a_history_is_what_the_same_user_did_before(events, n):
    """By a plain scan; requests of one moment are told apart by their number."""
    rows = [asked(i, time, user) for i, (time, user) in enumerate(sorted(events, key=lambda e: e[0]))]
    log = SearchLog("x", ITEMS, USERS, rows)
    for row in rows:
        before = [r for r in rows if r.user == row.user and (r.time, r.id) < (row.time, row.id)]
        assert log.history(row, n) == before[-n:] and log.n_past(row) == len(before)


def test_a_request_that_is_to_come_has_the_whole_past():
    log = SearchLog("x", ITEMS, USERS, [asked(0, 1), asked(1, 2), asked(2, 3, user=1)])
    assert [r.id for r in log.history(asked(9, 100))] == [0, 1]


def test_splits_are_in_time_order_and_have_names():
    log = toy_log()
    assert [r.id for s in ("train", "valid", "test") for r in log.split(s)] == [r.id for r in log.requests]
    with pytest.raises(CRSError, match="unknown split 'dev'; use one of train, valid, test"):
        log.split("dev")


def test_what_was_skipped_is_what_was_shown_and_not_clicked():
    seen = Interaction(time=0, query="q", shown=(2, 0, 1), clicked=(0,))
    assert seen.skipped == (2, 1) and asked(0, 0, clicked=(2, 1)).target == 2


def test_what_a_log_does_not_know_is_not_written(tmp_path):
    """So a log without strengths, read with a clock, has the digest it always had."""
    plain = asked(0, 1).model_dump(exclude_defaults=True)
    assert plain == {"time": 1, "query": "q", "clicked": (0,), "id": 0, "user": 0, "split": "train"}
    told = SearchLog("x", ITEMS, USERS, [asked(0, 1, clicked=(0, 1), strength=(1, 3), timed=False)])
    assert told.digest() != SearchLog("x", ITEMS, USERS, [asked(0, 1, clicked=(0, 1))]).digest()
    told.save(tmp_path)
    assert SearchLog.load(tmp_path).requests == told.requests


def test_facets_come_in_a_fixed_order():
    item = Item(id=0, key="k", title="t", brand="B", category="c", attributes={"z": "1", "a": "2"})
    assert list(item.facets().items()) == [("category", "c"), ("brand", "B"), ("z", "1"), ("a", "2")]
    assert Item(id=0, key="k", title="t", attributes={"z": "1"}).facets() == {"z": "1"}


def test_a_log_comes_back_from_its_files_and_equal_logs_have_equal_bytes(tmp_path):
    log = toy_log()
    for name in ("a", "b"):
        log.save(tmp_path / name)
    again = SearchLog.load(tmp_path / "a", "toy")
    assert again.digest() == log.digest() and again.requests == log.requests and again.items == log.items
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    assert SearchLog.load(tmp_path / "a").name == "a"


def test_any_change_changes_the_digest():
    log = toy_log()
    other = [log.requests[0].model_copy(update={"query": "x"}), *log.requests[1:]]
    assert SearchLog("toy", log.items, log.users, other).digest() != log.digest()
    assert SearchLog("another name", log.items, log.users, log.requests).digest() == log.digest()


def test_faults_in_files_are_named_by_file_and_row(tmp_path):
    toy_log().save(tmp_path)
    rows = list(read_jsonl_gz(tmp_path / "users.jsonl.gz"))
    del rows[2]["key"]
    write_jsonl_gz(tmp_path / "users.jsonl.gz", rows)
    with pytest.raises(CRSError, match="users.jsonl.gz, row 3: key: Field required; mend or drop that row"):
        SearchLog.load(tmp_path)
    (tmp_path / "users.jsonl.gz").write_bytes(gzip.compress(b'{"id": 0, "key": "u"}\n[1]\n'))
    with pytest.raises(CRSError, match="users.jsonl.gz, row 2: expected a JSON object"):
        SearchLog.load(tmp_path)
    (tmp_path / "users.jsonl.gz").write_bytes(gzip.compress(b"{")[:-4])
    with pytest.raises(CRSError, match="users.jsonl.gz"):
        SearchLog.load(tmp_path)
    (tmp_path / "users.jsonl.gz").unlink()
    with pytest.raises(CRSError, match="users.jsonl.gz: no such file"):
        SearchLog.load(tmp_path)


def test_half_a_surrogate_pair_is_repaired_where_it_enters():
    """Otherwise the log could neither be saved nor named by its hash."""
    whole, half = (
        "\U0001f600",
        "\U0001f600".encode("utf-16-le", "surrogatepass")[:2].decode("utf-16-le", "surrogatepass"),
    )
    item = Item(id=0, key=f"k{half}", title=f"{whole} {half}x", brand=half, attributes={half: f"{half}{half}"})
    assert (item.key, item.title, item.brand, item.attributes) == ("k�", f"{whole} �x", "�", {"�": "��"})
    user = User(id=0, key="u", profile={"city": f"é{half}"})
    request = SearchRequest(id=0, user=0, time=0, query=f"{half} lamp", clicked=(0,), split="train")
    assert user.profile == {"city": "é�"} and request.query == "� lamp"
    assert len(SearchLog("odd", [item], [user], [request]).digest()) == 64


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0])
def test_a_price_is_a_number_and_not_below_zero(price):
    with pytest.raises(ValidationError, match="price"):
        Item(id=0, key="k", title="t", price=price)


@pytest.mark.parametrize("time", [1_700_000_000_000, -(10**12), 10**30])
def test_a_time_is_one_that_a_calendar_can_say(time):
    with pytest.raises(ValidationError, match="time"):
        SearchRequest(id=0, user=0, time=time, query="q", clicked=(0,), split="train")
    when(253_402_300_799), when(-62_135_596_800)  # the ends are written, too
