"""What every reader of a real log keeps: each row accounted for, nothing lost or invented, work and memory a row."""

import gc
import json
import random
import sys
import tracemalloc
from collections import Counter

import pytest
import real_logs
from real_logs import SAMPLES, SEARCHES
from spoilt import n_rows, named_rows, opened, requests, spoil

from crs_lite.adapters.registry import FORMATS, LogSource
from crs_lite.errors import CRSError

every_format = pytest.mark.parametrize("name", SAMPLES)


def test_every_real_format_is_held_to_it():
    assert set(SAMPLES) == set(SEARCHES) == {name for name, form in FORMATS.items() if form.fields}


@every_format
def test_every_row_of_a_file_with_known_faults_is_kept_or_skipped_by_reason(name, tmp_path, capsys):
    files = SAMPLES[name]()
    found = opened(name, tmp_path, files)
    account = found.about["account"]["files"]
    assert set(account) == set(files)
    for option, lines in files.items():
        of = account[option]
        assert of["read"] == n_rows(lines) == of["kept"] + sum(of["skipped"].values())
        assert of["kept"] > 0 and of["skipped"] and all(n > 0 for n in of["skipped"].values())
    assert account[SEARCHES[name]]["kept"] == len(found.log.requests)
    assert found.truth is None and found.about["checks"]["truth"] == "no truth"
    said = capsys.readouterr().out
    for of in account.values():
        assert f"{of['read']} read = {of['kept']} kept" in said and all(reason in said for reason in of["skipped"])
    json.dumps(found.about)
    found.log.digest()
    # Built without validation for speed; so the log is validated here, once.
    found.log.save(tmp_path / "saved")
    assert type(found.log).load(tmp_path / "saved").digest() == found.log.digest()


# -- 200 spoilt rows ----------------------------------------------------------------------------------------


@every_format
def test_two_hundred_spoilt_rows_are_named_or_accounted_for(name, tmp_path, capsys):
    files = SAMPLES[name]()
    whole = requests(opened(name, tmp_path, files).log)
    outcomes = Counter()
    for seed in range(200):
        rng = random.Random(f"{name} {seed}")
        option = rng.choice(sorted(files))
        n, lines = spoil(files[option], rng)
        try:
            found = opened(name, tmp_path, files | {option: lines}, like=files)
        except CRSError as e:
            named = named_rows(files[option], n)
            assert f"{option}." in str(e) and any(f", row {m}: " in str(e) for m in named), (seed, str(e))
            assert "; " in str(e) and str(e).count("\n") == 0  # a remedy, in one sentence
            outcomes["refused"] += 1
            continue
        for o, of in found.about["account"]["files"].items():
            assert of["read"] == n_rows(lines if o == option else files[o], files[o]), (seed, o)
            assert of["read"] == of["kept"] + sum(of["skipped"].values())
        assert found.about["account"]["files"][SEARCHES[name]]["kept"] == len(found.log.requests)
        found.log.digest()
        now = requests(found.log)
        lost, new = (whole - now).total(), (now - whole).total()
        outcomes["as before" if lost == new == 0 else "changed"] += 1
        if option not in ("items", "meta", "users"):
            assert lost <= 2 and new <= 2, (seed, lost, new)  # its own search, and one whose name it now has
    assert outcomes["refused"] > 20 and outcomes["as before"] > 20 and outcomes["changed"] > 5, outcomes
    capsys.readouterr()


# -- work and memory ----------------------------------------------------------------------------------------


def reading(name, folder, searches):
    """What opens a log of so many searches, checks included."""
    source = LogSource(name, real_logs.write(folder, SAMPLES[name](searches, quirks=False)))
    return lambda: source.open().log


def calls(do):
    """How many functions are called, in Python and in C: what a clock would say, without the clock's moods."""
    n = 0

    def count(frame, event, arg):
        nonlocal n
        n += event in ("call", "c_call")

    gc.collect()
    sys.setprofile(count)
    try:
        do()
    finally:
        sys.setprofile(None)
    return n


@every_format
def test_work_grows_with_the_rows_and_not_faster(name, tmp_path):
    work = []
    for searches in (400, 800, 1600):
        do = reading(name, tmp_path, searches)
        do()  # what is done once is done
        work.append(calls(do))
    a, b, c = work
    assert 1.8 < (c - b) / (b - a) < 2.2, work


@every_format
def test_memory_is_what_the_format_states_for_a_search(name, tmp_path):
    peaks = []
    for searches in (1000, 3000):
        do = reading(name, tmp_path, searches)
        do()
        gc.collect()
        tracemalloc.start()
        log = do()
        peaks.append((len(log.requests), tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
    (n, small), (m, large) = peaks
    a_search = (large - small) / (m - n)
    assert 0.7 * FORMATS[name].bytes_a_search < a_search < FORMATS[name].bytes_a_search, round(a_search)
