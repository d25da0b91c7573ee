"""What is written of a simulated shop is read back whole, and every planted fault is found under its name."""

import csv
import json

import pytest
from toy import toy_log

from crs_lite.adapters.registry import LogSource
from crs_lite.chapters import exports

LOG = toy_log(40, 12)


@pytest.fixture
def written(tmp_path, capsys):
    files, planted = exports.ubi(LOG, LOG.requests, tmp_path)
    return files, planted, LogSource("ubi", files).open()


def test_every_planted_fault_is_skipped_for_its_reason_and_nothing_else_is(written):
    _, planted, opened = written
    for option, reasons in planted.items():
        assert opened.about["account"]["files"][option]["skipped"] == dict(reasons)
    assert sum(map(len, planted.values())) == 10  # every kind of fault was planted


def test_the_searches_are_those_that_were_written(written):
    _, _, opened = written
    assert len(opened.log.requests) == len(LOG.requests) and opened.truth is None
    keys = [item.key for item in opened.log.items]
    for mine, theirs in zip(LOG.requests, opened.log.requests, strict=True):
        assert (theirs.time, theirs.query) == (mine.time, mine.query)
        assert [keys[i] for i in theirs.clicked] == [LOG.items[i].key for i in mine.clicked]
        assert opened.log.users[theirs.user].key == LOG.users[mine.user].key
        assert theirs.place is None and not opened.log.users[theirs.user].profile
    bought = [r for r in opened.log.requests if r.strength]
    assert len(bought) == len(LOG.requests[::5]) and all(r.strength == (3.0,) for r in bought)


def test_the_files_are_in_the_formats_they_say(written):
    files, planted, _ = written
    rows = [json.loads(line) for line in files["queries"].read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 2 * planted["queries"][exports.BULK] and "index" in rows[0] and "user_query" in rows[1]
    events = [json.loads(line) for line in files["events"].read_text(encoding="utf-8").splitlines()]
    assert {"impression", "click", "purchase", "product_hover", "login"} == {e["action_name"] for e in events}
    with files["items"].open(encoding="utf-8") as f:
        items = {row["item_id"]: row for row in csv.DictReader(f)}
    assert {k: v["attribute_colour"] for k, v in items.items()} == {i.key: i.attributes["colour"] for i in LOG.items}


def test_a_department_holds_whole_lists_only():
    inside = exports.department(LOG, ["kettle"])
    wanted = [r for r in LOG.requests if all(LOG.items[i].category == "kettle" for i in r.shown + r.clicked)]
    assert inside == wanted and exports.department(LOG, ["parka", "kettle", "lamp"]) == LOG.requests
