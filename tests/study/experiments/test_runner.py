"""Rows are written as soon as they are known, whole, with what made them; and never made twice."""

import json
from dataclasses import asdict, replace

import pytest

from crs_lite import workspace
from crs_lite.errors import CRSError
from crs_lite.study import recorded
from crs_lite.study.experiments import EXPERIMENTS, runner


def test_every_row_says_what_made_it(toy_study):
    log = toy_study.open("run").log
    of_split = {name: [r.id for r in log.split(name)] for name in ("valid", "test")}
    for name, rows in toy_study.rows.items():
        assert toy_study.made[name] == len(rows)
        for row in rows.values():
            assert (row["experiment"], row["command"], row["commit"]) == (name, f"experiment {name}", "abc")
            assert (row["log"], row["log_sha256"], row["seed"]) == ("toy", log.digest(), 0)
            assert row["versions"] and row["hardware"] and row["threads"] and row["date"]
            if "cold" in row:
                assert len(row["ranks"]) == len(row["request_ids"]) == len(row["cold"]) == row["n"]
                on_valid = name in (
                    "tune",
                    "tune-baselines",
                    "temperature",
                    "levers",
                    "own-log-choices",
                ) or row["row"].endswith("-valid")
                assert row["split"] == ("valid" if on_valid else "test")
                assert row["request_ids"] == of_split[row["split"]]
                cold = [log.n_past(r) <= 2 for r in log.split(row["split"])]
                assert row["cold"] == [int(c) for c in cold]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_finished_rows_are_not_made_again(toy_study, name, monkeypatch):
    monkeypatch.setattr(workspace.Workspace, "_make", lambda *_: pytest.fail("a stage is made again"))
    assert runner.run_seed(toy_study.job(name)) == 0


def test_only_the_rows_that_match_are_made(job, hollow, tmp_path):
    assert runner.run_seed(job("arms", "*grpo-0")) == 2
    assert {p.name for p in (tmp_path / "rows" / "arms").iterdir()} == {"rgrpo-0-seed0.json", "grpo-0-seed0.json"}
    assert runner.run_seed(job("arms", "*-0")) == 2  # beam_top1 and form-only; the others are there


def test_a_row_is_on_disk_before_the_next_one_begins(job, hollow, tmp_path, monkeypatch):
    real, asked = runner.write, []

    def dying(path, row):
        asked.append(path.stem)
        if len(asked) == 3:
            raise KeyboardInterrupt
        real(path, row)

    monkeypatch.setattr(runner, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        runner.run_seed(job("arms"))
    there = {p.stem for p in (tmp_path / "rows" / "arms").iterdir()}
    assert there == set(asked[:2])


def test_rows_of_other_budgets_or_another_log_are_never_mixed(job, make, hollow, tmp_path):
    assert runner.run_seed(job("main", "BM25")) == 1 and runner.run_seed(job("main", "BM25")) == 0
    assert runner.run_seed(job("main", "BM25", rl_lr=1.0, minutes="an hour")) == 0  # arms and remarks may differ
    with pytest.raises(CRSError, match="BM25-seed0.json: made with another eval_requests; give --out"):
        runner.run_seed(job("main", "BM25", eval_requests=7, rl_lr=1.0))
    path = tmp_path / "rows" / "main" / "BM25-seed0.json"
    recorded.write(path, {**recorded.read(path), "log_sha256": "another"})
    with pytest.raises(CRSError, match="made with another log; give --out another folder, or delete the row"):
        runner.run_seed(job("main", "BM25"))


def test_a_row_made_before_a_budget_existed_counts_as_made_with_its_default(job, make, hollow, tmp_path):
    assert runner.run_seed(job("main", "BM25")) == 1
    path = tmp_path / "rows" / "main" / "BM25-seed0.json"
    row = recorded.read(path)
    row["profile"].pop("valid_requests")
    recorded.write(path, row)
    runner.check_same(path, make("shared"))


def test_the_profile_of_a_row_is_the_run_s(job, hollow, tmp_path, make):
    runner.run_seed(job("main", "BM25"))
    row = recorded.read(tmp_path / "rows" / "main" / "BM25-seed0.json")
    assert row["profile"] == json.loads(json.dumps(asdict(make("shared").profile)))
    assert row["parameters"] == make("shared").fresh.info


def test_jobs_are_added_up_and_a_single_worker_runs_them_here(job, hollow, tmp_path):
    jobs = [job("main", "BM25"), job("main", "popularity"), replace(job("main", "BM25"), out=tmp_path / "other")]
    assert runner.run(jobs) == 3
    assert runner.run(jobs) == 0
