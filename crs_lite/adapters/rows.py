"""The rows of a file, one after the other, whatever it is written in; none is passed over without being counted.

By the name's end: `.csv`, `.parquet`, else JSON lines; `.gz` after any but parquet. Among JSON lines there may be the
action lines of OpenSearch's bulk format (`{"index": {...}}`, then the document on the next line) and exported hits
(`{"_index": ..., "_id": ..., "_source": {...}}`); a row is then the document, with its `_id` and `_index` beside it.
Memory: one row, or one batch of a parquet file.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from crs_lite.adapters.account import FileAccount
from crs_lite.errors import CRSError

BATCH = 1000  # rows of a parquet file held at a time
ACTIONS = ("index", "create", "update", "delete")
MEND = "mend or drop that row."


class Row(NamedTuple):
    """One row: `n` is its line in the file, from 1 (in CSV the record's first line, in parquet its number)."""

    path: Path
    n: int
    value: dict[str, Any]
    id: str | None = None
    index: str | None = None


def read(account: FileAccount) -> Iterator[Row]:
    """Rows of `account.path`, counted as read in `account`; those that hold no document are skipped there by reason.

    Raises `CRSError` naming file and row for what cannot be read. Shows progress in bytes when it takes long.
    """
    path = account.path
    if not path.is_file():
        raise CRSError(f"{path}: no such file; check the path.")
    ends = [suffix.lower() for suffix in path.suffixes]
    with tqdm(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True, delay=5) as bar:
        if ends[-1:] == [".parquet"]:
            yield from _parquet(path, account, bar)
        elif ".csv" in ends[-2:]:
            yield from _csv(path, account, bar)
        else:
            yield from _json(path, account, bar)


def _json(path: Path, account: FileAccount, bar: tqdm) -> Iterator[Row]:
    action: dict | None = None  # of the bulk format: what the next line is for
    for n, line in _lines(path, bar):
        account.read += 1
        if not line.strip():
            account.skip("blank line")
            continue
        value = _parsed(path, n, _text(path, n, line))
        if found := _action(value):
            account.skip("action line of the bulk format")
            if action:
                account.note("action line without a document")
            action = found if "delete" not in found else None
            continue
        about, action = action or {}, None
        if "update" in about:
            account.skip("update of an earlier document")
            continue
        meta = next(iter(about.values()), {})
        if isinstance(value.get("_source"), dict):
            value, meta = value["_source"], value
        yield Row(path, n, value, _name(meta.get("_id")), _name(meta.get("_index")))
    if action:
        account.note("action line without a document")


def _parsed(path: Path, n: int, text: str) -> dict:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as e:  # digits without end, nesting without end
        what = str(e).split("; ")[0][:100]
        raise CRSError(f"{path}, row {n}: not one JSON object a line ({what}); {MEND}") from None
    if not isinstance(value, dict):
        raise CRSError(f"{path}, row {n}: expected a JSON object, found {type(value).__name__}; {MEND}")
    return value


def _action(value: dict) -> dict | None:
    """The action, where a line is one: one of four words, and an object that may name index and document."""
    if len(value) != 1:
        return None
    [(word, about)] = value.items()
    return value if word in ACTIONS and isinstance(about, dict) else None


def _name(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _csv(path: Path, account: FileAccount, bar: tqdm) -> Iterator[Row]:
    reader = csv.reader((_text(path, n, line) for n, line in _lines(path, bar)), strict=True)

    def record() -> tuple[int, list[str] | None]:
        begin = reader.line_num + 1  # a record may go on over several lines
        try:
            return begin, next(reader, None)
        except csv.Error as e:
            raise CRSError(f"{path}, row {begin}: cannot be read ({e}); {MEND}") from None

    _, header = record()
    if not header:
        raise CRSError(f"{path}, row 1: no header; name the columns in the first row.")
    if twice := {name for name in header if header.count(name) > 1}:
        raise CRSError(f"{path}, row 1: the column {min(twice)!r} stands twice; rename or drop one.")
    while True:
        n, cells = record()
        if cells is None:
            return
        account.read += 1
        if not cells:
            account.skip("blank line")
        elif len(cells) != len(header):
            raise CRSError(f"{path}, row {n}: {len(cells)} cells under a header of {len(header)}; {MEND}")
        else:
            yield Row(path, n, dict(zip(header, cells, strict=True)))


def _parquet(path: Path, account: FileAccount, bar: tqdm) -> Iterator[Row]:
    from pyarrow import ArrowException, parquet

    n, size = 0, bar.total
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                for value in batch.to_pylist():
                    n += 1
                    account.read += 1
                    yield Row(path, n, value)
                bar.update(size * n // max(file.metadata.num_rows, 1) - bar.n)
    except (ArrowException, OSError) as e:
        raise CRSError(f"{path}, after row {n}: damaged parquet file ({str(e)[:100]}); write it again.") from None


# -- bytes ------------------------------------------------------------------------------------------------


def _lines(path: Path, bar: tqdm) -> Iterator[tuple[int, bytes]]:
    n = 0
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw as stream:
            for n, line in enumerate(stream, 1):
                if n % BATCH == 0:
                    bar.update(raw.tell() - bar.n)
                yield n, line
    except (EOFError, OSError, zlib.error) as e:
        raise CRSError(f"{path}, after row {n}: cannot be read further ({e}); fetch it again.") from None


def _text(path: Path, n: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if n == 1 else "utf-8")
    except UnicodeDecodeError as e:
        raise CRSError(f"{path}, row {n}: not UTF-8 ({e.reason}); write the file in UTF-8.") from None
