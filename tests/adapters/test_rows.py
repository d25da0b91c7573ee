"""Rows of every kind of file: the same rows, each counted, faults named by the line they stand on."""

import gzip
import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crs_lite.adapters import rows
from crs_lite.adapters.account import FileAccount
from crs_lite.errors import CRSError

DATA = [{"a": "x", "b": 'two "words", a comma'}, {"a": "ü\u2028z", "b": "line\nbreak"}, {"a": "1", "b": ""}]


def read(path):
    """-> (rows, account), checked."""
    account = FileAccount(path)
    found = []
    for row in rows.read(account):
        account.kept += 1
        found.append(row)
    account.check()
    return found, account


def lines(path, *said):
    path.write_bytes(b"".join((s if isinstance(s, bytes) else s.encode()) + b"\n" for s in said))
    return path


def test_the_same_rows_from_every_kind_of_file(tmp_path):
    table = pd.DataFrame(DATA)
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_csv(tmp_path / "z.csv.gz", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    table.to_json(tmp_path / "z.ndjson.gz", orient="records", lines=True)
    for name in ("t.csv", "z.csv.gz", "t.parquet", "t.jsonl", "z.ndjson.gz"):
        found, account = read(tmp_path / name)
        assert [row.value for row in found] == DATA, name
        assert account.read == 3
    assert [row.n for row in read(tmp_path / "t.csv")[0]] == [2, 3, 5]  # lines, as an editor counts them
    assert [row.n for row in read(tmp_path / "t.parquet")[0]] == [1, 2, 3]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    for name, text in (("t.csv", "a,b\r\nx,y\r\n"), ("t.jsonl", '{"a": "x", "b": "y"}\r\n')):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert [row.value for row in read(tmp_path / name)[0]] == [{"a": "x", "b": "y"}]


def test_the_bulk_format(tmp_path):
    path = lines(
        tmp_path / "bulk.ndjson",
        '{"index": {"_index": "ubi_events", "_id": "e1"}}',
        '{"n": 1}',
        '{"create": {}}',
        '{"n": 2}',
        '{"delete": {"_id": "e1"}}',  # no document follows
        '{"n": 3}',
        '{"update": {"_id": 7}}',
        '{"doc": {"n": 4}}',
        "",
        '{"index": {"_id": "lost"}}',  # its document is missing
        '{"index": {"_id": 5}}',
        '{"n": 5}',
        '{"index": "a field of that name"}',
        '{"index": {}}',
    )
    found, account = read(path)
    assert [(row.n, row.value, row.id, row.index) for row in found] == [
        (2, {"n": 1}, "e1", "ubi_events"),
        (4, {"n": 2}, None, None),
        (6, {"n": 3}, None, None),
        (12, {"n": 5}, "5", None),
        (13, {"index": "a field of that name"}, None, None),
    ]
    assert account.read == 14
    assert account.skipped == {
        "action line of the bulk format": 7,
        "update of an earlier document": 1,
        "blank line": 1,
    }
    assert account.notes == {"action line without a document": 2}


def test_exported_hits(tmp_path):
    hit = {"_index": "ubi_queries", "_id": "q", "_score": 1, "_source": {"query_id": "1"}}
    [row] = read(lines(tmp_path / "dump.json", json.dumps(hit)))[0]
    assert (row.value, row.id, row.index) == ({"query_id": "1"}, "q", "ubi_queries")


@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        ("a.jsonl", ['{"a": 1}', '{"a": '], "a.jsonl, row 2: not one JSON object a line"),
        ("a.jsonl", ['{"a": 1}', "[1]"], "a.jsonl, row 2: expected a JSON object, found list; mend or drop that row"),
        ("a.jsonl", ['{"a": 1}', b'{"a": "\xff"}'], "a.jsonl, row 2: not UTF-8"),
        ("a.jsonl", ['{"a": ' + "[" * 10**5], "a.jsonl, row 1: not one JSON object"),
        ("a.csv", ["a,b", "1,2", "1,2,3"], "a.csv, row 3: 3 cells under a header of 2"),
        ("a.csv", ["a,a"], "a.csv, row 1: the column 'a' stands twice"),
        ("a.csv", ["a,b", '1,"2', "3,4"], "a.csv, row 2: cannot be read"),  # a quote that never ends
        ("a.csv", ["a,b", '1,"2"x', "3,4"], "a.csv, row 2: cannot be read"),
        ("a.csv", ["a,b", b"1,\xff"], "a.csv, row 2: not UTF-8 .*; write the file in UTF-8"),
        ("a.parquet", ["no parquet"], "a.parquet, after row 0: damaged parquet file"),
        ("a.jsonl.gz", ["not packed"], "a.jsonl.gz, after row 0: cannot be read further"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, said, message):
    with pytest.raises(CRSError, match=message):
        read(lines(tmp_path / name, *said))


def test_missing_and_cut_files(tmp_path):
    with pytest.raises(CRSError, match="nowhere.csv: no such file"):
        read(tmp_path / "nowhere.csv")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(CRSError, match="empty.csv, row 1: no header"):
        read(tmp_path / "empty.csv")
    assert read(lines(tmp_path / "empty.jsonl"))[0] == []
    whole = gzip.compress("\n".join(json.dumps({"a": n}) for n in range(9999)).encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CRSError, match=r"cut.jsonl.gz, after row \d+: cannot be read further"):
        read(tmp_path / "cut.jsonl.gz")


LINES = st.lists(
    st.one_of(
        st.sampled_from(['{"index": {}}', '{"delete": {}}', '{"update": {}}', "", "  ", '{"index": 1}', "{}"]),
        st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=3).map(json.dumps),
    ),
    max_size=12,
)


@given(LINES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_is_a_row_or_is_skipped_by_reason(tmp_path, said):
    found, account = read(lines(tmp_path / "any.jsonl", *said))
    assert account.read == len(said) == len(found) + account.skipped.total()
    assert all(row.value == json.loads(said[row.n - 1]) for row in found)
