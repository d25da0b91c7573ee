"""The luck of the judge, at the distilled start, on requests that it gets wrong."""

import json

from crs_lite.study.experiments import runner
from crs_lite.study.experiments.noise import DRAWS
from crs_lite.study.experiments.shared import ARMS


def test_it_is_measured_at_the_distilled_start_on_what_that_gets_wrong(job, make, hollow):
    assert runner.run_seed(job("noise")) == 1
    assert hollow == ["align", "distil", "round0-split", "advantage-noise"]
    root = make("shared").work.root
    of = {n: json.loads((root / n / "manifest.json").read_text(encoding="utf-8")) for n in hollow}
    assert of["advantage-noise"]["depends"] == {
        "distil": of["distil"]["key"],
        "split": of["round0-split"]["key"],
        "n": make("shared").profile.intervened,
    }


def test_the_row_of_the_noise(toy_study):
    row = toy_study.rows["noise"]["noise"]
    assert set(row["arms"]) == set(ARMS) and row["draws"] == DRAWS
    assert row["arms"]["rgrpo"]["within"] == row["arms"]["beam_top1"]["within"] == 0
    assert 0 < row["n"] <= toy_study.open("run").profile.collect_requests
