"""A command with `--minutes` ends at a safe point, and the same command ends where one without would have."""

import json

import pytest
import resumable
import torch

from crs_lite import deadline, training, unfinished
from crs_lite.arguments import OUT_OF_TIME
from crs_lite.deadline import OutOfTime
from crs_lite.model import backbones
from crs_lite.study.experiments import runner
from crs_lite.unfinished import Keeper


@pytest.fixture(autouse=True)
def no_end(monkeypatch):
    monkeypatch.setattr(deadline, "_until", None)
    monkeypatch.setattr(unfinished, "SECONDS", unfinished.SECONDS)  # `resumable.run` sets it: here it is put back


@pytest.fixture
def at_the(monkeypatch):
    """-> a function n: the time is over at the n-th safe point from now, or never for None."""

    def of(n):
        asked = []
        monkeypatch.setattr(deadline, "passed", lambda: n is not None and (asked.append(1) or len(asked) >= n))

    return of


def test_the_end_comes_so_many_minutes_from_now(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(deadline, "time", lambda: now[0])
    deadline.set_to(deadline.after(2))
    for seconds, over in ((0, False), (119, False), (120, True), (500, True)):
        now[0] = 1000.0 + seconds
        assert deadline.passed() == over
    with pytest.raises(OutOfTime, match="before lunch"):
        deadline.check("before lunch")
    deadline.set_to(deadline.after(None))
    assert not deadline.passed() and deadline.end() is None and deadline.check("ever") is None


def test_what_training_has_learnt_is_kept_before_it_stops(tmp_path, at_the):
    """Though no minute has passed since the last time."""
    at_the(3)
    model = torch.nn.Linear(2, 2)
    keeper = Keeper(tmp_path)
    for step in range(2):
        keeper.save({"model": model}, step)
    assert not list(tmp_path.iterdir())
    with torch.no_grad():
        model.weight.fill_(7.0)
    with pytest.raises(OutOfTime, match="between two training steps"):
        keeper.save({"model": model}, 2)
    other = torch.nn.Linear(2, 2)
    assert Keeper(tmp_path).load({"model": other}) == 2 and (other.weight == 7.0).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rl", "sft"])
def test_a_stage_that_ran_out_of_time_twice_changes_no_byte(tmp_path, at_the, kind):
    whole = resumable.outcome(resumable.run(kind, tmp_path / "whole").folder)
    for n in (4, 3):
        at_the(n)
        with pytest.raises(OutOfTime):
            resumable.run(kind, tmp_path / "parts")
    at_the(None)
    assert resumable.outcome(resumable.run(kind, tmp_path / "parts").folder) == whole


@pytest.mark.slow
def test_stages_of_a_run_stop_and_go_on(make, at_the, monkeypatch, capsys):
    def both(p):
        return training.distil(p, training.align(p))

    whole, lives = both(make("whole")), 0
    capsys.readouterr()
    p = make("parts")
    while True:
        at_the(4)
        try:
            stage = both(p)
            break
        except OutOfTime:
            lives += 1
    assert lives >= 2 and "going on with what was left unfinished" in capsys.readouterr().out
    ours, theirs = (dict(backbones.load_model(s.folder).named_parameters()) for s in (stage, whole))
    assert stage.key == whole.key and all(torch.equal(w, theirs[name]) for name, w in ours.items())


def test_no_stage_and_no_row_begins_after_the_end(make, job, hollow, tmp_path, at_the, monkeypatch):
    def late(where):
        raise OutOfTime(where)

    p = make("shared")
    at_the(1)
    with pytest.raises(OutOfTime, match="before stage align"):
        training.align(p)
    assert hollow == [] and not (p.work.root / "align.partial").exists()
    at_the(None)
    made = training.align(p)
    at_the(1)
    assert training.align(p).key == made.key  # a finished one is read at any time
    at_the(None)
    assert runner.run_seed(job("arms", "rgrpo-0")) == 1
    monkeypatch.setattr(deadline, "check", late)
    with pytest.raises(OutOfTime, match="before row grpo-0 of seed 0"):
        runner.run_seed(job("arms", "grpo-0"))
    assert [f.name for f in (tmp_path / "rows" / "arms").iterdir()] == ["rgrpo-0-seed0.json"]


def test_processes_are_told_the_end():
    runner._begin(1, 5.0)
    assert deadline.end() == 5.0 and deadline.passed()


@pytest.mark.slow
def test_a_command_says_what_is_kept_and_its_status(tmp_path, capsys):
    from crs_lite.__main__ import main

    words = ["experiment", "mapping", "--profile", "smoke", "--seed", "0", "--only", "kmeans", "--try"]
    words += ["--out", str(tmp_path), "--set", "mapping_epochs=1", "check_items=10"]
    assert main([*words, "--minutes", "0.0001"]) == OUT_OF_TIME
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("the minutes are over: stopped before ") and "the same command goes on" in said
    assert not list(tmp_path.rglob("*seed0.json"))
    assert main(words) == 0
    (row,) = tmp_path.rglob("*seed0.json")
    assert "--minutes" not in json.loads(row.read_text(encoding="utf-8"))["command"]
