"""A field is what it should be, or a sentence with file, row and field."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crs_lite.adapters import values
from crs_lite.adapters.account import FileAccount
from crs_lite.adapters.rows import Row
from crs_lite.errors import CRSError

NOON = 1_718_280_000  # 2024-06-13 12:00 UTC


def row(value):
    return Row(Path("f.jsonl"), 7, {"x": value})


def refused(read, value, what):
    with pytest.raises(CRSError, match=rf"^f.jsonl, row 7: x: {what}.*; .*\.$"):
        read(row(value), "x")


@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_what_is_missing(value):
    r = row(value)
    assert values.text(r, "x") is values.key(r, "x") is values.number(r, "x") is None
    assert values.names(r, "x") == () and values.numbers(r, "x") == () and values.flag(r, "x") is False
    assert values.moment(r, "x", FileAccount(r.path)) is None and values.text(r, "y") is None
    with pytest.raises(CRSError, match="f.jsonl, row 7: x: missing; mend or drop that row; it has x"):
        values.key(r, "x", needed=True)


def test_fields_inside_fields_or_flat():
    deep = Row(Path("f"), 1, {"a": {"b": {"c": "deep"}}, "e": None, "s": "text"})
    assert values.text(deep, "a.b.c") == "deep" and values.text(deep, "a.x.c") is None is values.text(deep, "e.f")
    assert values.text(Row(Path("f"), 1, {"a.b.c": "flat"}), "a.b.c") == "flat"
    with pytest.raises(CRSError, match="f, row 1: s.t: 't' is looked for in str 'text'"):
        values.text(deep, "s.t")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("  two\n words\t", "two words"),
        ("\x00", None),
        ("a\ud800b", "a b"),
        (12, "12"),
        (1.5, "1.5"),
        ("می‌خواهم", "می‌خواهم"),
    ],
)
def test_text(value, text):
    assert values.text(row(value), "x") == text


@given(st.text())
def test_text_can_always_be_written_and_is_plain_at_once(text):
    once = values.plain(text)
    once.encode()
    assert once == values.plain(once) and "\n" not in once


def test_names():
    assert [values.key(row(v), "x") for v in ("B1", " B1 ", 7, 7.0, 10**30)] == ["B1", "B1", "7", "7", str(10**30)]
    for value, what in ((True, "expected a name"), ([1], "expected a name"), (1.5, "expected a name"),
                        (" ", "' ' is no name"), ("a\ud800", "'a.* is no name"),
                        ("a\nb", "'a.* is no name")):  # fmt: skip
        refused(values.key, value, what)


def test_several_names():
    for value in (["A", 2, "A"], ("A", 2, "A"), '["A", 2, "A"]', "A|2|A", " A | 2|A|"):
        assert values.names(row(value), "x") == ("A", "2", "A") and values.keys(row(value), "x") == ("A", "2")
    assert values.names(row(5), "x") == ("5",) and values.names(row("[]"), "x") == ()
    refused(values.names, "[1, 2", "begins like a JSON list and is none")
    refused(values.names, [None], "expected a name, found nothing")
    refused(values.names, {"a": 1}, "expected a name, found an object")


def test_numbers():
    assert values.number(row("12.5"), "x") == values.number(row(12.5), "x") == 12.5
    assert values.numbers(row("1|2.5"), "x") == values.numbers(row([1, 2.5]), "x") == (1.0, 2.5)
    for value in ("many", True, float("inf"), "nan", 10**400, []):
        refused(values.number, value, "expected a number")


def test_prices_that_are_none_are_left_out_and_noted():
    account = FileAccount(Path("f"))
    assert [values.price(row(v), "x", account) for v in (3, "3.5", None, "free", 0, -1)] == [3, 3.5, *[None] * 4]
    assert account.notes == {"x is no number above 0: left out": 3}


def test_flags():
    assert [values.flag(row(v), "x") for v in (0, 1, "0", "1", True, "false", 1.0)] == [0, 1, 0, 1, 1, 0, 1]
    refused(values.flag, 2, "expected 0 or 1")


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        float(NOON),
        NOON * 1000,
        str(NOON),
        str(NOON * 1000),
        "2024-06-13T12:00:00Z",
        "2024-06-13T14:00:00+02:00",
        "2024-06-13 12:00:00.000Z",
        "20240613T120000Z",
        datetime(2024, 6, 13, 12, tzinfo=UTC),
        datetime(2024, 6, 13, 7, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_every_way_to_write_noon(value):
    account = FileAccount(Path("f"))
    assert values.moment(row(value), "x", account) == NOON and not account.notes


def test_a_time_without_a_zone_is_taken_as_utc_and_noted():
    account = FileAccount(Path("f"))
    for value in ("2024-06-13T12:00:00", datetime(2024, 6, 13, 12)):
        assert values.moment(row(value), "x", account) == NOON
    assert values.moment(row(date(2024, 6, 13)), "x", account) == NOON - 12 * 3600
    assert account.notes == {"x without a zone: taken as UTC": 3}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("yesterday", "'yesterday' is no time of ISO 8601"),
        (5, "5 is no time from 1990 to 2100"),
        (-NOON, ".* is no time from 1990 to 2100"),
        (NOON * 10**6, ".* is no time from 1990 to 2100"),
        (10**400, ".* is no time from 1990 to 2100"),
        ("0001-01-01", ".* is no time from 1990 to 2100"),
        (True, "expected a time, found true or false"),
        ([NOON], "expected a time, found a list"),
    ],
)
def test_what_is_no_time(value, what):
    refused(lambda r, field: values.moment(r, field, FileAccount(r.path)), value, what)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.datetimes())
def test_anything_is_read_or_refused_in_a_sentence(value):
    account = FileAccount(Path("f"))
    for read in (values.text, values.key, values.names, values.number, values.numbers, values.flag,
                 lambda r, f: values.price(r, f, account), lambda r, f: values.moment(r, f, account)):  # fmt: skip
        try:
            read(row(value), "x")
        except CRSError as e:
            assert str(e).startswith("f.jsonl, row 7: x: ")
