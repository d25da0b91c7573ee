"""Three tables of one's own, read by hand first; the same log from CSV, parquet and JSON lines."""

import json

import pandas as pd
import pytest
import real_logs

from crs_lite.adapters import mylog
from crs_lite.errors import CRSError

ITEMS = "item_id,title,category\nA,Red tape,tape\nB,Blue tape,tape\nC,Clamp,clamp\n"
USERS = "user_id,city,device\nu,Bern,phone\nw,Rome,\n"
HEADER = "user_id,session_id,time,query,shown,clicked,strength,place,entrance\n"


@pytest.fixture
def read(tmp_path):
    def go(searches, users=None, items=ITEMS):
        paths = {}
        for option, text in (("items", items), ("searches", searches), ("users", users)):
            if text is not None:
                paths[option] = tmp_path / f"{option}.csv"
                paths[option].write_text(text)
        log, account, sessions = mylog.read(**paths)
        for file in account.files.values():
            file.check()
        return log, account.files, account.notes

    return go


def test_every_column_of_a_search(read):
    log, files, notes = read(
        HEADER
        + "u,s1,2024-06-13T12:00:00Z,tape,A|B|C,B|A,1|3,home,front page\n"
        + "v,s2,1718280060,clamp,,C,,,\n"
        + 'u,s1,1718280120000,"tape, wide","[""C"",""A""]",A,,,\n',
        USERS,
    )
    first, second, third = log.requests
    assert first.model_dump() == {
        "time": 1718280000, "place": "home", "entrance": "front page", "query": "tape", "shown": (0, 1, 2),
        "clicked": (1, 0), "strength": (1, 3), "timed": True, "id": 0, "user": 0, "split": "train",
        "synthetic_query": False,
    }  # fmt: skip
    assert first.skipped == (2,) and third.skipped == (2,) and third.query == "tape, wide"
    assert [r.time - 1718280000 for r in log.requests] == [0, 60, 120]
    assert [(u.key, u.profile) for u in log.users] == [("u", {"city": "Bern", "device": "phone"}), ("v", {})]
    assert (second.shown, second.strength, second.place) == ((), (), None)
    assert notes == {"the shopper is not in the users file: no profile": 1}
    assert (files["searches"].read, files["searches"].kept, files["users"].kept) == (3, 3, 2)
    assert files["searches"].unread == []


def test_labels_are_kept_as_they_are(read):
    log, *_ = read("user_id,query,clicked,strength\nu,q,A|B|A,0.25|4|0.75\n")
    assert log.requests[0].clicked == (0, 1) and log.requests[0].strength == (0.75, 4)  # the larger of two for one item


def test_a_column_under_another_name_is_told(read):
    with pytest.raises(CRSError, match=r"no search with a click is left \(.*--searches: 1 rows, 1 nothing clicked\);"):
        read("user_id,query,clicks\nu,q,A\n")
    _, files, _ = read("user_id,query,clicked,Place,position\nu,q,A,home,1\n")
    assert files["searches"].unread == ["Place", "position"]


def test_without_a_time_the_file_orders(read):
    log, *_ = read("user_id,session_id,query,clicked\nu,s,one,A\nv,t,two,A\nu,s,three,A\n")
    assert [r.query for r in log.requests] == ["one", "three", "two"] and not any(r.timed for r in log.requests)


def test_every_row_that_is_not_used_has_its_reason(read):
    _, files, _ = read("user_id,query,clicked,shown\nu,q,A|Z,Z\nu,,A,\n\nu,q,,A\nu,q,Z,\n")
    file = files["searches"]
    assert (file.read, file.kept) == (5, 1)
    assert file.skipped == {
        "no query": 1, "blank line": 1, "nothing clicked": 1, "no clicked item is in the items file": 1,
    }  # fmt: skip
    assert file.notes == {"items that are not in the items file: left out": 1}


def test_the_same_log_from_every_kind_of_file(tmp_path):
    rows = real_logs.mylog_rows()
    frames = {option: pd.DataFrame(of).replace("", None) for option, of in rows.items()}
    lists = pd.DataFrame(rows["searches"])  # parquet has lists and times of its own
    for field in ("shown", "clicked"):
        lists[field] = [json.loads(v) if str(v).startswith("[") else v.split("|") if v else [] for v in lists[field]]
    lists["strength"] = [[float(x) for x in v.split("|")] if v else [] for v in lists["strength"]]
    lists["time"] = pd.to_datetime([real_logs.START + 400 * n for n in range(len(lists))], unit="s", utc=True)
    digests = set()
    for kind in ("csv", "parquet", "jsonl.gz"):
        paths = {option: tmp_path / f"{option}.{kind}" for option in frames}
        for option, frame in frames.items():
            if kind == "csv":
                frame.to_csv(paths[option], index=False)
            elif kind == "parquet":
                (lists if option == "searches" else frame).to_parquet(paths[option])
            else:
                frame.to_json(paths[option], orient="records", lines=True)
        log, account, _ = mylog.read(**paths)
        digests.add(log.digest())
        assert account.files["searches"].read == 60
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("searches", "message"),
    [
        ("query,clicked\nq,A\n", "searches.csv, row 2: user_id: missing; mend or drop that row; it has query, clicked"),
        (
            "user_id,query,clicked,strength\nu,q,A|B,1\n",
            "row 2: strength: 1 numbers for 2 clicked items; write one for",
        ),
        ("user_id,query,clicked,time\nu,q,A,soon\n", "row 2: time: 'soon' is no time of ISO 8601; write 2025"),
        ("user_id,query,clicked,split\nu,q,A,later\n", "row 2: split: 'later' is none of train"),
        ("user_id,query,clicked\nu,q\n", "row 2: 2 cells under a header of 3"),
        ("user_id,query,clicked\n", "log mylog: no search with a click is left"),
    ],
)
def test_a_malformed_table_is_named(read, searches, message):
    with pytest.raises(CRSError, match=message):
        read(searches)
