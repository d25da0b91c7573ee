"""The value of a field of a row, as what it should be; else a `CRSError` that names file, row and field.

A field that is absent, null, NaN or an empty text is missing. `a.b` is the field `b` of the object `a`, or a column of
that name, as flat exports have it.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from typing import Any

from crs_lite.adapters.account import FileAccount
from crs_lite.adapters.rows import Row
from crs_lite.errors import CRSError

EARLIEST, LATEST = 631_152_000, 4_102_444_800  # seconds: 1990 and 2100
MEND = "mend or drop that row"
WORDS = {"true": True, "1": True, "false": False, "0": False}


def fault(row: Row, field: str, what: str, remedy: str = MEND) -> CRSError:
    """The sentence about a field; to be raised."""
    return CRSError(f"{row.path}, row {row.n}: {field}: {what}; {remedy}.")


def missing(row: Row, field: str) -> CRSError:
    """The sentence about a field that is not there, with those that are; to be raised."""
    there = ", ".join(map(str, list(row.value)[:12])) or "no field"
    return fault(row, field, "missing", f"{MEND}; it has {there}")


def at(row: Row, field: str) -> Any:
    """The raw value, or None where it is missing."""
    value = row.value.get(field)
    if value is None and "." in field:
        value = row.value
        for part in field.split("."):
            if value is None:
                break
            if not isinstance(value, dict):
                raise fault(row, field, f"{part!r} is looked for in {_kind(value)}")
            value = value.get(part)
    missing = value == "" or isinstance(value, float) and math.isnan(value)
    return None if missing else value


def plain(text: str) -> str:
    """Without control signs and half characters, with single spaces."""
    if not text.isprintable():
        text = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 else c for c in text)
    return " ".join(text.split())


def text(row: Row, field: str) -> str | None:
    """Text as it can be shown, or None where nothing can be. Numbers are taken as they are written."""
    value = at(row, field)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise fault(row, field, f"expected text, found {_kind(value)}")
    return plain(value or "") or None


def key(row: Row, field: str, needed: bool = False) -> str | None:
    """A name of an item, a user or a query: text or a whole number, as text."""
    value = at(row, field)
    if value is None and needed:
        raise missing(row, field)
    return None if value is None else _key(row, field, value)


def keys(row: Row, field: str) -> tuple[str, ...]:
    """Several names, each once."""
    return tuple(dict.fromkeys(names(row, field)))


def names(row: Row, field: str) -> tuple[str, ...]:
    """Several names: a list, the text of a JSON list, or text with `|` between them."""
    return tuple(_key(row, field, one) for one in _several(row, field))


def numbers(row: Row, field: str) -> tuple[float, ...]:
    """Several finite numbers, written like `names`."""
    return tuple(_number(row, field, one) for one in _several(row, field))


def _several(row: Row, field: str) -> list | tuple:
    value = at(row, field)
    if isinstance(value, str):
        if value.startswith("["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise fault(row, field, "begins like a JSON list and is none") from None
        else:
            value = [part for part in value.split("|") if part.strip()]
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else [value]


def _key(row: Row, field: str, value: Any) -> str:
    if type(value) is str and value.isalnum():  # nearly all names are like this, and this is a hot spot
        return value
    if isinstance(value, float) and value.is_integer():  # a table with gaps has floats for numbers
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise fault(row, field, f"expected a name, found {_kind(value)}")
    name = str(value).strip()
    if not name or plain(name) != name:
        raise fault(row, field, f"{str(value)[:40]!r} is no name")
    return name


def number(row: Row, field: str) -> float | None:
    """A finite number, or the text of one."""
    value = at(row, field)
    return None if value is None else _number(row, field, value)


def _number(row: Row, field: str, value: Any) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        found = float(value)
        if not math.isfinite(found):
            raise ValueError
    except (ValueError, OverflowError):
        raise fault(row, field, f"expected a number, found {_kind(value)}") from None
    return found


def price(row: Row, field: str, account: FileAccount) -> float | None:
    """A number above 0; anything else is left out and noted."""
    try:
        found = number(row, field)
    except CRSError:
        found = 0.0
    if found is not None and found <= 0:
        account.note(f"{field} is no number above 0: left out")
        return None
    return found


def flag(row: Row, field: str) -> bool:
    """0 or 1, false or true; missing is false."""
    value = at(row, field)
    found = WORDS.get(str(value).lower().removesuffix(".0"), None) if value is not None else False
    if found is None:
        raise fault(row, field, f"expected 0 or 1, found {_kind(value)}")
    return found


def moment(row: Row, field: str, account: FileAccount) -> int | None:
    """Seconds since 1970, from ISO 8601 (UTC where no zone is given), seconds, or milliseconds.

    Raises `CRSError` for anything else, and for a time outside 1990 to 2100.
    """
    value = at(row, field)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value) if value.strip().replace(".", "", 1).isdigit() else datetime.fromisoformat(value)
        except ValueError:
            raise fault(row, field, f"{value[:40]!r} is no time of ISO 8601", "write 2025-01-31T12:00:00Z") from None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        if value.tzinfo is None:
            account.note(f"{field} without a zone: taken as UTC")
            value = value.replace(tzinfo=UTC)
        try:
            value = value.timestamp()
        except OverflowError:
            value = -1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault(row, field, f"expected a time, found {_kind(value)}")
    seconds = value if abs(value) <= LATEST else value / 1000 if abs(value) <= LATEST * 1000 else -1
    if not EARLIEST <= seconds <= LATEST:
        raise fault(row, field, f"{str(value)[:30]} is no time from 1990 to 2100, in seconds or milliseconds")
    return int(seconds)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", type(None): "nothing"}
    return names.get(type(value)) or f"{type(value).__name__} {str(value)[:30]!r}"
