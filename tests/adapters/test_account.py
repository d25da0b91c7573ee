"""Rows read are rows kept and rows skipped, and the sum is checked."""

from pathlib import Path

import pytest

from crs_lite.adapters.account import MOST_REASONS, Account, FileAccount


def test_an_account_that_does_not_add_up_is_a_defect_of_the_reader():
    file = FileAccount(Path("f.jsonl"), read=3)
    file.kept += 2
    with pytest.raises(RuntimeError, match="3 rows read, 2 kept"):
        file.check()
    file.skip("blank line")
    file.check()
    file.skip("blank line")  # one row too many
    with pytest.raises(RuntimeError):
        file.check()


def test_what_is_dropped_later_was_kept_before():
    file = FileAccount(Path("f.jsonl"), read=5, kept=5)
    file.drop("nothing clicked", 2)
    file.drop("no event", 0)
    file.check()
    assert (file.kept, dict(file.skipped)) == (3, {"nothing clicked": 2})
    file.drop("nothing clicked", 4)
    with pytest.raises(RuntimeError):  # it adds up, but fewer than no rows are kept
        file.check()


def test_reasons_may_hold_a_log_s_own_words_and_stay_few():
    file = FileAccount(Path("f.jsonl"), read=500)
    for n in range(500):
        file.skip(f"action {n} is not used")
    file.check()
    assert len(file.skipped) == MOST_REASONS + 1 and file.skipped["other reasons"] == 500 - MOST_REASONS
    file.skip("action 0 is not used")
    assert file.skipped["action 0 is not used"] == 2  # what is known is counted on


def test_it_is_printed_and_stored(tmp_path):
    account = Account("ubi")
    file = account.of("events", tmp_path / "e.jsonl")
    file.read, file.kept = 1, 1
    file.fields(["query_id", "page"], {"query_id"})
    file.read = 4
    file.fields(["query_id", "tab"], {"query_id"})  # only the first row is looked at
    file.skip("no query_id", 2)
    file.skip("blank line")
    file.note("timestamp cannot be read: taken as missing")
    account.note("no client_id: a shopper of its own", 7)
    account.note("nothing of the kind", 0)
    assert account.as_dict() == {
        "log": "ubi",
        "files": {
            "events": {
                "file": "e.jsonl",
                "read": 4,
                "kept": 1,
                "skipped": {"no query_id": 2, "blank line": 1},
                "notes": {"timestamp cannot be read: taken as missing": 1},
                "unread": ["page"],
            }
        },
        "notes": {"no client_id: a shopper of its own": 7},
    }
    assert account.in_short() == "--events: 4 rows, 2 no query_id, 1 blank line"
    assert str(account).splitlines() == [
        "log ubi: every row that was read",
        "  --events e.jsonl: 4 read = 1 kept + 3 skipped",
        "      2 skipped: no query_id",
        "      1 skipped: blank line",
        "      1 kept, but: timestamp cannot be read: taken as missing",
        "      fields not read: page",
        "  7 searches: no client_id: a shopper of its own",
    ]
