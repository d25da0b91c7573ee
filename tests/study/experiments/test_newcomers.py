"""The loop's other pool: the same shop, other shoppers, who have a past; rows are taken on the run's own requests."""

from importlib import import_module

import numpy as np
import pytest
import toy

from crs_lite import marketplace
from crs_lite.errors import CRSError
from crs_lite.study.experiments import runner
from crs_lite.study.experiments.newcomers import SCHEDULES, among_newcomers, crowd
from crs_lite.study.experiments.schedules import SCHEDULES as WORDS


def test_the_crowd_is_of_the_frozen_shop_and_of_nobody_in_its_logs():
    log, frozen = crowd(), marketplace.generate(n_users=50)[0]
    assert log.items == frozen.items and log.users[:50] != frozen.users
    times = [r.time for r in log.split("train")]
    assert times == sorted(times) and max(times) < min(r.time for r in log.split("valid"))


def test_its_shoppers_have_a_past_as_test_requests_have(toy_study, monkeypatch):
    log = crowd()
    monkeypatch.setattr(import_module("crs_lite.study.experiments.newcomers"), "crowd", lambda: log)
    run = toy_study.open("run")
    monkeypatch.setattr(run.log, "items", log.items)
    wide = among_newcomers(run)
    past = [log.n_past(r) for r in wide.pool]
    assert np.mean(past) > 5 and np.mean([n <= 2 for n in past]) < 0.45
    assert set(r.id for r in wide.pool) <= set(r.id for r in log.split("train"))
    assert len(wide.pool) == run.profile.collect_requests


def test_another_shop_has_no_newcomers(toy_study, monkeypatch):
    monkeypatch.setattr(import_module("crs_lite.study.experiments.newcomers"), "crowd", crowd)
    with pytest.raises(CRSError, match="not the frozen shop's items.*use marketplace-large"):
        among_newcomers(toy_study.open("run"))


def test_contexts_are_read_from_the_crowds_log(toy_study):
    run = toy_study.open("run")
    wide = among_newcomers(run)
    last = max(wide.pool, key=wide.log.n_past)
    texts = wide.codec.context(last).to_json()
    for click in wide.log.history(last, 2):
        assert run.sids.to_string(click.target) in texts
    assert any(run.codec.context(r).to_json() != texts for r in run.log.requests if r.id == last.id)


def test_stages_have_folders_of_their_own_and_rows_are_taken_on_the_runs_requests(job, hollow, toy_study):
    assert runner.run_seed(job("newcomers")) == 4 + len(SCHEDULES)
    made = [n for n in hollow if not n.startswith(("align", "distil", "score"))]
    assert made and all(n.startswith("newcomers-") for n in made) and len(set(made)) == len(made)
    assert [n for n in made if "alternate" in n and "split" not in n] == [
        "newcomers-alternate-1",
        "newcomers-alternate-2-rgrpo-lr=0.0001-steps=1",
        "newcomers-alternate-3",
    ]
    rows = toy_study.rows["newcomers"]
    for name, row in rows.items():
        assert row["log_sha256"] == toy_study.open("run").log_key != row["pool"]["log_sha256"], name
        assert row["pool"]["requests"] == toy.PROFILE.collect_requests
    assert len(WORDS["alternate"]) == 4 and rows["rgrpo-rl"]["steps"]["rank"]
