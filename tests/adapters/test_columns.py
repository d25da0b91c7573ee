"""A log of columns is the log of objects, asked for one at a time: on random logs, and for everything that reads."""

import gc
import random
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
import real_logs
from hypothesis import given
from hypothesis import strategies as st
from toy import toy_log

from crs_lite.adapters import assemble as assembling
from crs_lite.adapters import checks
from crs_lite.adapters.account import Account
from crs_lite.adapters.assemble import assemble
from crs_lite.adapters.columns import ColumnLog, Columns, Search
from crs_lite.adapters.registry import FORMATS, LogSource
from crs_lite.baselines.popularity import Popularity
from crs_lite.context import ContextBuilder
from crs_lite.errors import CRSError
from crs_lite.evaluate import evaluate
from crs_lite.logs import Item, SearchLog, SearchRequest, User
from crs_lite.prepared import sample
from crs_lite.reasoning.teacher import Evidence, Teacher, TeacherBias
from crs_lite.tasks import Codec, context_to_sid, item_to_sid, reasoned, specification_to_sid

ITEMS = [Item(id=i, key=f"i{i}", title=f"thing {i}", category="abc"[i % 3]) for i in range(5)]
PROFILES = {"u0": {"city": "Bern"}}

some_items = st.lists(st.integers(0, 4), max_size=4, unique=True).map(tuple)
searches = st.builds(
    Search,
    user=st.sampled_from(["u0", "u1", "u2"]),
    query=st.text(max_size=8),  # every sign there is
    clicked=some_items.filter(bool),
    shown=some_items,
    time=st.integers(-5, 8),
    timed=st.booleans(),
    session=st.none() | st.sampled_from("ab"),
    place=st.none() | st.text(max_size=3),
    entrance=st.none() | st.sampled_from(["ad", "mail"]),
)


@contextmanager
def held_from(n):
    """Logs of at least `n` requests are made of columns."""
    before, assembling.MANY = assembling.MANY, n
    try:
        yield
    finally:
        assembling.MANY = before


def in_columns(items, found, profiles=None):
    with held_from(0):
        log = assemble(Account("x"), items, iter(found), lambda *_: None, profiles).log
    assert isinstance(log, ColumnLog)
    return log


def by_hand(items, found, splits, profiles):
    """The same log of objects, without any code of the adapters."""
    found = sorted(found, key=lambda s: s.time)
    names = list(dict.fromkeys(s.user for s in found))
    requests = [
        SearchRequest.model_construct(
            time=s.time, place=s.place, entrance=s.entrance, query=s.query, shown=s.shown, clicked=s.clicked,
            strength=s.strength, timed=s.timed, id=n, user=names.index(s.user), split=split, synthetic_query=False,
        )
        for n, (s, split) in enumerate(zip(found, splits, strict=True))
    ]  # fmt: skip
    users = [User(id=u, key=name, profile=profiles.get(name, {})) for u, name in enumerate(names)]
    return SearchLog("x", items, users, requests)


@given(st.lists(searches, min_size=1, max_size=40), st.integers(1, 5))
def test_requests_splits_histories_and_contexts_are_those_of_objects(found, n):
    columns = in_columns(ITEMS, found, PROFILES)
    plain = by_hand(ITEMS, found, [r.split for r in columns.requests], PROFILES)
    assert list(columns.requests) == plain.requests and columns.users == plain.users
    for name in ("train", "valid", "test"):
        a, b = columns.split(name), plain.split(name)
        assert list(a) == b and len(a) == len(b) and list(a[-3:]) == b[-3:] and list(a[:-2]) == b[:-2]
        assert list(sample(a, 2, 1)) == sample(b, 2, 1)
    builders = [ContextBuilder(log, lambda i: f"<a_{i}>", len, budget=400, max_history=n) for log in (columns, plain)]
    strangers = [
        plain.requests[-1].model_copy(update={"id": 99, "time": t, "user": u}) for t in (0, 99) for u in (0, 7)
    ]
    for r in [*plain.requests, *strangers]:
        assert columns.history(r, n) == plain.history(r, n) and columns.n_past(r) == plain.n_past(r)
        if r.user < len(plain.users):
            a, b = (builder.build(r) for builder in builders)
            assert a == b


@given(st.lists(searches, max_size=10))
def test_a_row_is_the_search_that_was_written(found):
    columns = Columns(found)
    assert len(columns) == len(found)
    assert [columns[n] for n in range(len(found))] == found


def test_a_strength_of_clicks_alone_is_not_written():
    rows = [Search("u", "q", (0, 1), (1.0, 1.0)), Search("u", "\ud800", (0, 1), (0.1, 3.0), last=7, events=2)]
    assert [s.strength for s in Columns(rows)] == [(), (0.1, 3.0)] and Columns(rows)[1] == rows[1]


@pytest.fixture(scope="module")
def twins():
    """-> (columns, objects): the toy shop, both ways."""
    plain = toy_log()
    found = [
        Search(plain.users[r.user].key, r.query, r.clicked, r.strength, r.shown, r.time, r.timed, None, r.place,
               r.entrance, r.split)
        for r in plain.requests
    ]  # fmt: skip
    # Users are numbered as they come; so the toy's must have come in that order for its digest.
    profiles = {user.key: user.profile for user in plain.users}
    log = in_columns(plain.items, found, profiles)
    return log, by_hand(plain.items, found, [r.split for r in plain.requests], profiles)


def test_a_log_has_the_digest_and_the_files_of_its_objects(twins, tmp_path):
    columns, plain = twins
    assert columns.digest() == plain.digest()
    for log, folder in zip(twins, "ab", strict=True):
        log.save(tmp_path / folder)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_lessons_evidence_checks_and_scores_are_those_of_objects(twins, toy_kit):
    made = []
    for log in twins:
        _, sids, _, codec = toy_kit
        codec = Codec(log, sids, codec.tokenizer, {"budget": 200, "max_skipped": 1})
        teacher = Teacher(log, Evidence(log), TeacherBias(), 0)
        train = log.split("train")[-60:]
        told = [(r, teacher.write(r), r.target) for r in train]
        lessons = [
            *context_to_sid(codec, train, 0.3), *item_to_sid(codec), *reasoned(codec, told, replay=0.2),
            *specification_to_sid(codec, teacher.describe, 20, 0),
        ]  # fmt: skip
        made.append((lessons, checks.check(log), evaluate(Popularity(log), log, log.split("test"))))
    assert len(made[0][0]) > 150 and made[0] == made[1]


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.needed and name != "amazon2023"])
def test_every_reader_gives_the_same_log_in_columns(name, tmp_path, capsys):
    source = LogSource(name, real_logs.write(tmp_path, real_logs.SAMPLES[name](300)))
    plain = source.open()
    with held_from(0):
        columns = source.open()
    assert type(plain.log) is SearchLog and isinstance(columns.log, ColumnLog)
    assert columns.log.digest() == plain.log.digest() and columns.about == plain.about
    assert "kept" in capsys.readouterr().out


def test_an_unknown_item_or_split_is_refused():
    for wrong in (Search("u", "q", (5,), time=1), Search("u", "q", (0,), shown=(-1,), time=1)):
        with pytest.raises(CRSError, match="log 'x': unknown item (5|-1); add the item or drop the row"):
            in_columns(ITEMS, [wrong])
    with pytest.raises(CRSError, match="unknown split 'dev'"):
        in_columns(ITEMS, [Search("u", "q", (0,), time=1)]).split("dev")


def test_a_search_takes_a_hundred_bytes():
    """With ten items shown and a query of fifteen signs: as `columns` says, and not a tenth of an object."""
    rng = random.Random(0)

    def make(n):
        for _ in range(n):
            yield Search(f"u{rng.randrange(50)}", "a query of some", (1,), (), tuple(range(10)), rng.randrange(10**9))

    sizes = []
    for n in (4000, 20_000):
        gc.collect()
        tracemalloc.start()
        columns = Columns(make(n))
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(columns) == n
    assert 80 < (sizes[1] - sizes[0]) / 16_000 < 170, sizes
    assert np.frombuffer(columns.time, np.int64).max() < 10**9
