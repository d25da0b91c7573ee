"""A pass over what was kept, and one as long over lessons that nothing filtered."""

from importlib import import_module

from toy_runs import opener

from crs_lite import training
from crs_lite.study.experiments import runner
from crs_lite.study.experiments.newcomers import among_newcomers
from crs_lite.tasks import Example
from crs_lite.training import align, collect, consolidate, distil, explore
from crs_lite.workspace import read_manifest

passes = import_module("crs_lite.study.experiments.passes")


def test_every_rate_is_a_stage_of_its_own_and_all_begin_at_one_start(job, hollow, toy_study):
    names = len(passes.RATES) + len(passes.AGAIN) + 2 + 2
    assert runner.run_seed(job("passes")) == 2 * names
    trained = [n for n in hollow if n.startswith("pass-")]
    assert len(trained) == len(set(trained)) == names - 4
    assert {"slow-round1-rgrpo-lr=0.0001", "slow-round1-rgrpo-sft"} <= set(hollow)
    assert hollow.count("distil") == 1 and "newcomers-rgrpo-lr=0.0003" in hollow


def test_the_second_round_goes_on_from_the_pass_at_the_chosen_rate(toy_study):
    p = toy_study.open("run")
    keys = {name: read_manifest(p.work.root / name) for name in ("pass-kept-lr=2e-05", "slow-round1-split")}
    assert keys["slow-round1-split"].model_extra["depends"]["start"] == keys["pass-kept-lr=2e-05"].key
    last = read_manifest(p.work.root / "slow-round1-rgrpo-sft").model_extra["depends"]
    assert last["start"] == keys["pass-kept-lr=2e-05"].key and last["lr"] == passes.CHOSEN


def test_both_passes_are_equally_long(toy_study, tmp_path, monkeypatch):
    p, seen = opener(tmp_path, monkeypatch)("run"), {}
    q = among_newcomers(p)
    start = distil(p, align(p))
    collected = collect(q, explore(q, start, "rgrpo", "newcomers", lr=1e-4), "newcomers-rgrpo", keep="all")

    def lessons(p, name, start, depends, lessons, lr):
        assert lr == 1e-4
        seen[name] = lessons()

    monkeypatch.setattr(passes, "supervised", lessons)
    monkeypatch.setattr(training, "supervised", lessons)
    consolidate(q, start, collected, "kept", lr=1e-4)
    passes.over_lessons(p, start, collected, 1e-4)
    kept, again = seen.values()
    assert len(kept) == len(again) > 0 and all(isinstance(e, Example) for e in kept + again)
    taught = {tuple(p.codec.prompt(r)) for r in p.taught}
    assert all(any(tuple(e.ids[: len(prompt)]) == prompt for prompt in taught) for e in again)
