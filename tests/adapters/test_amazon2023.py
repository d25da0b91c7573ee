"""The Amazon reader on small files that have every known fault, and on garbage."""

import gzip
import json
import math
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crs_lite.adapters import amazon2023
from crs_lite.adapters.amazon2023 import AmazonReport, clean, load, load_with_report
from crs_lite.adapters.synthetic import words
from crs_lite.baselines.bm25 import query_leak
from crs_lite.errors import CRSError
from crs_lite.logs import SearchLog

DAY = 86_400_000  # ms
START = 1_400_025_600_000  # 2014-05-14, at midnight as in the snapshots

COLOURS = ("red", "blue", "green", "black", "white")
THINGS = ("tape", "clamp", "filament", "glove", "wrench")
KINDS = ("adhesive", "magnetic", "digital", "waterproof", "precision", "insulated")
BRANDS = ("Acme", "Zeta Tools", "Nordfell", None)


def metas(n=120):
    """A catalogue of titles such as `Acme Red Magnetic Tape 12 oz, Model X7`."""
    rows = []
    for i in range(n):
        brand = BRANDS[i % 4]
        title = f"{COLOURS[i % 5].title()} {KINDS[i % 6]} {THINGS[i // 5 % 5]} {i} oz, Model X{i}"
        rows.append({"parent_asin": f"B{i:04}", "title": title, "store": brand, "categories": [], "price": None})
    return rows


def reviews(n=400, items=120):
    """Five reviews a day; every user has some. No user reviews an item twice."""
    return [
        {
            "user_id": f"U{i % 37}",
            "parent_asin": f"B{i * 7 % items:04}",
            "asin": f"B{i * 7 % items:04}",
            "rating": 5.0,
            "timestamp": START + i // 5 * DAY,
        }
        for i in range(n)
    ]


def write(path, rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as f:
        f.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return path


@pytest.fixture
def read(tmp_path):
    """Writes rows as two files and loads them; `meta_name` matters, since debris may be the department's name."""

    def go(review_rows=None, meta_rows=None, meta_name="meta_Garden_and_Shed.jsonl.gz", **options):
        a = write(tmp_path / "Garden_and_Shed.jsonl.gz", reviews() if review_rows is None else review_rows)
        b = write(tmp_path / meta_name, metas() if meta_rows is None else meta_rows)
        return load_with_report(a, b, **options)

    return go


def by_key(log):
    return {item.key: item for item in log.items}


# -- the whole ---------------------------------------------------------------------------------


def test_a_clean_sample_becomes_a_log(read):
    log, report = read()
    assert (report.reviews_read, report.items_read) == (400, 120)
    assert (report.items, report.users, report.requests) == (120, 37, len(log.requests))
    assert sum(report.splits.values()) == len(log.requests) == 400 - report.requests_without_query
    assert [item.key for item in log.items] == [f"B{i:04}" for i in range(120)]
    assert all(user.profile == {} for user in log.users)
    source = {(r["user_id"], r["parent_asin"]): r["timestamp"] // 1000 for r in reviews()}
    for r in log.requests:
        assert r.synthetic_query and r.shown == () and r.place is None and r.entrance is None
        assert len(r.clicked) == 1
        assert r.time == source.pop((log.users[r.user].key, log.items[r.target].key))


def test_load_is_the_log_without_the_report(tmp_path, read):
    log, _ = read(seed=3)
    again = load(tmp_path / "Garden_and_Shed.jsonl.gz", tmp_path / "meta_Garden_and_Shed.jsonl.gz", seed=3)
    assert again.digest() == log.digest()
    again.save(tmp_path / "saved")
    assert SearchLog.load(tmp_path / "saved").digest() == log.digest()


def test_plain_files_read_like_gzipped_ones(tmp_path):
    plain, zipped = (
        load(write(tmp_path / f"r.jsonl{end}", reviews()), write(tmp_path / f"meta_r.jsonl{end}", metas()))
        for end in ("", ".gz")
    )
    assert plain.digest() == zipped.digest()


def test_the_report_says_everything(read):
    _, report = read()
    text = str(report)
    for name in AmazonReport.__dataclass_fields__:
        assert name.replace("_", " ") + ": " in text
    assert json.loads(json.dumps(report.as_dict()))["items"] == 120


# -- titles ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "title", "met"),
    [
        ("T&Uuml;RLEN Indicator", "TÜRLEN Indicator", {"entities"}),
        ("Foo&amp;reg; 5&#39; &#x2014; 1&nbsp;kg", "Foo® 5' — 1 kg", {"entities"}),
        ("H&notebook AT&T R&D", "H&notebook AT&T R&D", set()),
        ("<span id=x>Duct <b>Tape</b></span>", "Duct Tape", {"tags"}),
        ("&lt;i&gt;Duct&lt;/i&gt; Tape", "Duct Tape", {"entities", "tags"}),
        ('Duct Tape <span class="a-size', "Duct Tape", {"tags"}),
        ('RapidFix Glue,Boss,RFX7" />', "RapidFix Glue,Boss,RFX7", {"tail"}),
        ("fits < 5 mm and > 3 mm", "fits < 5 mm and > 3 mm", set()),
        ("Cable <Black>", "Cable <Black>", set()),
        ('Hose 12" x 3/4"', 'Hose 12" x 3/4"', set()),
        ("a\u200b\x07b \n c\xa0d", "a b c d", set()),
        ("half a \ud83d pair", "half a pair", set()),
    ],
)
def test_titles_are_cleaned(raw, title, met):
    assert clean(raw) == (title, met)


@pytest.mark.parametrize(
    "raw",
    [
        "var aPageStart = (new Date()).getTime();",
        "Glue (function(w) { w.x = 1; })(window)",
        "#main { color: red; margin: 0 }",
    ],
)
def test_script_is_no_title(raw):
    assert "script" in clean(raw)[1]


def test_debris_titles_are_repaired_or_dropped(read):
    rows = metas()
    rows[1]["title"] = 'Acme Blue magnetic tape 1 oz,Acme,X1" />'  # repaired
    rows[2]["title"] = rows[3]["title"] = 'Departement" />'  # twice the same: a page's frame
    rows[4]["title"] = 'Garden &amp; Shed" />'  # the department, by the file's name
    rows[5] |= {"title": 'Pond Life" />', "main_category": "Pond Life"}  # the department, by the row itself
    rows[6]["title"] = "var t = (new Date()).getTime();"
    rows[7]["title"], rows[8]["title"], rows[9]["title"] = None, "", "12 / 34 - x"
    rows[10]["title"] = "Garden and Shed"  # nothing broken about it: a title like any other
    log, report = read(meta_rows=rows)
    keys = {f"B{i:04}" for i in range(120)} - {f"B{i:04}" for i in range(2, 10)}
    assert set(by_key(log)) == keys
    assert by_key(log)["B0001"].title == "Acme Blue magnetic tape 1 oz,Acme,X1"
    assert (report.titles_repaired, report.titles_dropped_debris, report.titles_dropped_empty) == (1, 5, 3)
    gone = sum(2 <= int(r["parent_asin"][1:]) < 10 for r in reviews())
    assert report.reviews_of_dropped_items == gone > 0
    assert report.requests + gone + report.requests_without_query == 400


# -- other faults the published files have -------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "price"),
    [
        (None, None),
        ("", None),
        ("None", None),
        (" null ", None),
        (12.5, 12.5),
        (7, 7.0),
        ("$12.99", 12.99),
        ("1,299.00", 1299.0),
        (" $ 3 ", 3.0),
        ("from 9.99", None),
        ("$1.00 - $2.00", None),
        ("\u2014", None),
        (0, None),
        (-4.0, None),
        (math.nan, None),
        (math.inf, None),
        ("9" * 400, None),
    ],
)
def test_prices(read, raw, price):
    rows = metas()
    rows[0]["price"] = raw
    log, report = read(meta_rows=rows)
    assert by_key(log)["B0000"].price == price
    missing = raw in (None, "", "None", " null ") or raw != raw
    assert (report.prices_undated, report.prices_missing) == (price is not None, 119 + missing)
    assert report.prices_unreadable == (price is None and not missing)


def test_brand_and_category(read):
    rows = metas()
    rows[0] |= {"store": " Caf&eacute; ", "categories": ["Tools", "Power &amp; Air", "Drills"]}
    rows[1] |= {"store": "\ud800", "categories": ["Tools", " "]}
    rows[2] |= {"store": None, "categories": None}
    for field in ("store", "categories", "price"):
        del rows[3][field]
    log, report = read(meta_rows=rows)
    a, b, c, d = (by_key(log)[f"B000{i}"] for i in range(4))
    assert (a.brand, a.category) == ("Café", "Drills")
    assert (b.brand, b.category) == (None, "Tools")
    assert (c.brand, c.category, d.brand, d.category) == (None, None, None, None)
    assert report.items_without_category == 118
    assert report.items_without_brand == sum(item.brand is None for item in log.items)


def test_repeated_reviews_keep_the_first_in_time(read):
    rows = reviews()
    late = rows[3] | {"timestamp": START + 300 * DAY}
    early = rows[390] | {"timestamp": START - DAY}
    log, report = read([late, *rows, early, rows[7]])  # `late` stands first in the file, yet is later
    assert report.repeated_reviews == 3
    assert len({(r.user, r.target) for r in log.requests}) == len(log.requests)
    at = {(log.users[r.user].key, log.items[r.target].key): r.time * 1000 for r in log.requests}
    for row, when in ((rows[3], rows[3]["timestamp"]), (early, early["timestamp"])):
        assert at[row["user_id"], row["parent_asin"]] == when


def test_items_and_reviews_without_a_partner_are_counted(read):
    rows = [r for r in reviews() if r["parent_asin"] != "B0011"]
    log, report = read([*rows, rows[0] | {"parent_asin": "B9999"}], [*metas(), metas()[5] | {"title": "another title"}])
    assert "B0011" not in by_key(log) and len(log.items) == 119
    assert [item.id for item in log.items] == list(range(119))
    assert (report.items_never_reviewed, report.reviews_of_unknown_items, report.repeated_items) == (1, 1, 1)
    assert by_key(log)["B0005"].title == metas()[5]["title"]


def test_same_day_order_is_the_files_and_is_counted(read):
    day = [{"user_id": "U", "parent_asin": f"B{i:04}", "timestamp": START} for i in (9, 4, 70)]
    log, report = read([*reviews(), *day], min_matches=1)
    mine = [r for r in log.requests if log.users[r.user].key == "U"]
    assert [log.items[r.target].key for r in mine] == ["B0009", "B0004", "B0070"]
    ties = {}
    for r in log.requests:
        ties[r.user, r.time] = ties.get((r.user, r.time), 0) + 1
    assert report.requests_at_same_time == sum(n - 1 for n in ties.values()) >= 2


def test_shoppers_with_one_review_are_fine(read):
    log, _ = read([{"user_id": f"U{i}", "parent_asin": f"B{i:04}", "timestamp": START + i * DAY} for i in range(120)])
    assert len(log.users) == len(log.requests) > 0


# -- split -------------------------------------------------------------------------------------


def test_split_by_time_over_the_whole_log(read):
    log, report = read(min_matches=1)
    assert report.splits == {"train": 320, "valid": 40, "test": 40}
    order = [("train", "valid", "test").index(r.split) for r in log.requests]
    assert order == sorted(order)
    assert [r.time for r in log.requests] == sorted(r.time for r in log.requests)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_moment_is_never_split(tmp_path, days):
    rows = [
        {"user_id": f"U{i}", "parent_asin": f"B{i % 5:04}", "timestamp": START + d * DAY} for i, d in enumerate(days)
    ]
    a, b = write(tmp_path / "r.jsonl", rows), write(tmp_path / "meta_r.jsonl", metas(5))
    log = load(a, b, min_matches=1)
    split_of = {}
    for r in log.requests:
        assert split_of.setdefault(r.time, r.split) == r.split
    times = {s: [t for t, split in split_of.items() if split == s] for s in ("train", "valid", "test")}
    before = -math.inf
    for name in times:
        assert all(t > before for t in times[name])
        before = max([before, *times[name]])
    assert sum(r.split == "train" for r in log.requests) <= 0.8 * len(days)  # never more of the future than asked for


# -- synthetic queries and topics --------------------------------------------------------------


def texts(log):
    return [set(re.findall(r"[a-z0-9]+", f"{item.title} {item.brand or ''}".lower())) for item in log.items]


@pytest.mark.parametrize(("least", "longest"), [(31, 1), (20, 2), (4, 2), (2, 2)])
def test_queries_come_from_the_target_and_match_enough_items(read, least, longest):
    log, report = read(min_matches=least)
    vocabulary = texts(log)
    lengths = set()
    for r in log.requests:
        asked = r.query.split()
        lengths.add(len(asked))
        assert set(asked) <= vocabulary[r.target]
        assert sum(set(asked) <= text for text in vocabulary) >= least
        assert not set(asked) & {"oz", "and", "of"}
    assert lengths == set(range(1, longest + 1))  # two words where two go together often enough
    assert report.requests_without_query == 0


def test_items_without_a_common_word_lose_their_requests(read):
    rows = metas()
    rows[0] |= {"title": "Quixotic Zyzzyva", "store": None}
    log, report = read(meta_rows=rows)
    lost = sum(r["parent_asin"] == "B0000" for r in reviews())
    assert report.requests_without_query == lost > 0
    assert "B0000" in by_key(log)  # still in the catalogue, where it may be ranked
    with pytest.raises(CRSError, match="lower min_matches"):
        read(min_matches=121)


def test_queries_depend_on_the_seed_and_not_on_the_order_of_rows(read):
    def asked(log):
        return {(log.users[r.user].key, log.items[r.target].key): r.query for r in log.requests}

    first = asked(read()[0])
    assert asked(read(reviews()[::-1], metas()[::-1])[0]) == first
    assert asked(read(seed=1)[0]) != first


def test_topics_in_a_log(read):
    log, report = read(topic_df=(5, 0.25))
    df = {}
    for item in log.items:
        for word in set(words(item.title)):
            df[word] = df.get(word, 0) + 1
    with_topic = [item for item in log.items if "topic" in item.attributes]
    assert len(with_topic) == 120 - report.items_without_topic > 0
    for item in with_topic:
        topic = item.attributes["topic"]
        assert topic in words(item.title) and 5 <= df[topic] <= 0.25 * 120
        assert topic != (item.brand or "").lower()
    assert all(item.facets().get("topic") == item.attributes.get("topic") for item in log.items)


def test_the_leak_of_a_unique_word_is_total_and_of_a_common_one_is_not(read):
    assert query_leak(read(min_matches=1)[0]) > query_leak(read(min_matches=40)[0])


# -- faults that nobody expects ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{oops", "not one JSON object a line"),
        ("[1, 2]", "expected a JSON object"),
        ({"parent_asin": "B0001", "timestamp": START}, "user_id: Field required"),
        ({"user_id": 5, "parent_asin": "B0001", "timestamp": START}, "user_id"),
        ({"user_id": "", "parent_asin": "B0001", "timestamp": START}, "user_id"),
        ({"user_id": "U", "parent_asin": None, "timestamp": START}, "parent_asin"),
        ({"user_id": "U", "parent_asin": "B0001", "timestamp": "yesterday"}, "timestamp"),
        ({"user_id": "U", "parent_asin": "B0001", "timestamp": str(START)}, "timestamp"),
        ({"user_id": "U", "parent_asin": "B0001", "timestamp": True}, "timestamp"),
        ({"user_id": "U", "parent_asin": "B0001", "timestamp": math.nan}, "timestamp"),
        ({"user_id": "U", "parent_asin": "B0001", "timestamp": 10**400}, "timestamp"),
        ({"user_id": "U", "parent_asin": "B0001", "timestamp": START // 1000}, "multiply seconds by 1000"),
        ('{"user_id": "U\\ud800", "parent_asin": "B0001", "timestamp": 1400025600000}', "user_id"),
        ('{"user_id": ' + "9" * 5000 + "}", "not one JSON object a line"),
        ('{"user_id": ' + "[" * 200_000, "not one JSON object a line"),
    ],
)
def test_malformed_review_rows_are_named(read, bad, message):
    with pytest.raises(CRSError, match=rf"Garden_and_Shed\.jsonl\.gz, row 6: .*({message}).*; mend or drop"):
        read([*reviews(5), bad, *reviews(5)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": 5}, "title"),
        ({"title": ["x"]}, "title"),
        ({"parent_asin": None}, "parent_asin"),
        ({"store": ["x"]}, "store"),
        ({"categories": "Tools"}, "categories"),
        ({"categories": [None]}, "categories"),
        ({"price": True}, "price"),
        ({"price": {"usd": 3}}, "price"),
    ],
)
def test_malformed_meta_rows_are_named(read, change, message):
    rows = metas()
    rows[2] = rows[2] | change
    with pytest.raises(CRSError, match=rf"meta_Garden_and_Shed\.jsonl\.gz, row 3: {message}.*; mend or drop"):
        read(meta_rows=rows)
    del rows[2]["title"]
    with pytest.raises(CRSError, match="row 3: "):
        read(meta_rows=rows)


def test_missing_damaged_and_unrelated_files(tmp_path, read):
    read()
    good, meta = tmp_path / "Garden_and_Shed.jsonl.gz", tmp_path / "meta_Garden_and_Shed.jsonl.gz"
    with pytest.raises(CRSError, match="nowhere.jsonl.gz: no such file; download"):
        load(tmp_path / "nowhere.jsonl.gz", meta)
    with pytest.raises(CRSError, match="no such file"):
        load(tmp_path, meta)
    raw = good.read_bytes()
    for damaged in (raw[: len(raw) // 2], raw[:60] + b"\xff" * 40 + raw[100:], b"not gzip at all"):
        (tmp_path / "bad.jsonl.gz").write_bytes(damaged)
        with pytest.raises(CRSError, match=r"bad\.jsonl\.gz"):
            load(tmp_path / "bad.jsonl.gz", meta)
    other = write(tmp_path / "meta_other.jsonl", [row | {"parent_asin": "C" + row["parent_asin"]} for row in metas(9)])
    with pytest.raises(CRSError, match="two files of one category"):
        load(good, other)
    with pytest.raises(CRSError, match="two files of one category"):
        load(write(tmp_path / "empty.jsonl", []), meta)


ODD = ("B0001", "U1", START, "&Uuml;", '" />', "<b>", "&#xD800;", "\ud800", "$3")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(ODD)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=3), SCALARS, max_size=2))
FIELDS = st.sampled_from("user_id parent_asin timestamp title store categories price main_category".split())
GARBAGE = st.one_of(
    st.dictionaries(FIELDS, VALUES, max_size=8).map(json.dumps),
    st.builds(lambda f, v: json.dumps(metas(1)[0] | reviews(1)[0] | {f: v}), FIELDS, VALUES),
    st.text(max_size=20).map(lambda s: s.encode("utf-8", "replace").decode()),
)


@given(st.lists(GARBAGE, max_size=3), st.lists(GARBAGE, max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_refused_or_read_and_nothing_else(tmp_path, review_rows, meta_rows):
    a = write(tmp_path / "r.jsonl", [*map(json.dumps, reviews(6, 5)), *review_rows])
    b = write(tmp_path / "meta_r.jsonl", [*map(json.dumps, metas(5)), *meta_rows])
    try:
        log, report = load_with_report(a, b, min_matches=1)
    except CRSError as e:
        assert "r.jsonl, row " in str(e)
    else:
        log.digest()
        assert report.items >= 5 and log.items[0].title == metas(1)[0]["title"]


@given(st.text())
def test_cleaning_never_fails_and_never_needs_a_second_pass_on_plain_text(text):
    cleaned, met = clean(text)
    assert cleaned == " ".join(cleaned.split())
    if not met:
        assert clean(cleaned) == (cleaned, set())


def test_a_byte_order_mark_and_blank_lines_are_no_faults(tmp_path):
    """A file that an editor has saved: the same log, every line counted."""
    paths = {}
    for name, rows in (("R.jsonl", reviews(130)), ("meta_M.jsonl", metas())):
        paths[name] = tmp_path / name
        lines = [json.dumps(row) for row in rows]
        paths[name].write_text("\n".join(["\ufeff" + lines[0], "", *lines[1:], "", "  ", ""]), encoding="utf-8")
    plain = {}
    for name, rows in (("P.jsonl", reviews(130)), ("meta_P.jsonl", metas())):
        plain[name] = tmp_path / name
        plain[name].write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found, wanted = amazon2023.read(*paths.values()), amazon2023.read(*plain.values())
    assert [r.model_dump() for r in found.log.requests] == [r.model_dump() for r in wanted.log.requests]
    for option in ("reviews", "meta"):
        of = found.account.as_dict()["files"][option]
        before = wanted.account.as_dict()["files"][option]
        assert of["skipped"].pop("line without a document") == 3 and of["read"] == before["read"] + 3
        assert of["skipped"] == before["skipped"] and of["kept"] == before["kept"]


LONG = (
    "{:",
    "{",
    "<!--",
    "<!-- -->",
    "<a ",
    "<a x=",
    "&amp;",
    "&#9",
    "'>",
    "var a ",
    "document.",
    "}{:;",
    "\n<!--",
    "ab ",
)


@pytest.mark.parametrize("piece", LONG)
def test_a_megabyte_of_anything_is_cleaned_at_once(piece):
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    amazon2023.clean(text)
    assert time.process_time() - started < 20  # 5 to 280 s at a hundredth of the length, where it was not linear


@given(st.text(st.sampled_from("<!->ab/ ={}:;\n'")))
def test_tags_comments_and_rules_are_those_of_the_plain_expressions(text):
    """The expressions say what is meant, in cubic time."""
    names = amazon2023._NAMES
    tag = rf"<!--.*?-->|</?(?:{names})(?:\s[^<>]*)?/?>|<(?:{names})\s+[\w-]+=[^<>]*$"
    assert amazon2023._without_tags(text) == re.sub(tag, " ", text, flags=re.IGNORECASE)
    assert any(map(amazon2023._is_rule, text.split("}"))) == bool(re.search(r"\{[^}]*:[^}]*;", text))
