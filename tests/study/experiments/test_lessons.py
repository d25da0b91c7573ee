"""The same texts, three times over, and one round of RL from there."""

import json

from crs_lite.study.experiments import runner
from crs_lite.study.experiments.lessons import LESSONS


def test_the_longer_start_leads_to_folders_of_its_own(job, hollow):
    assert runner.run_seed(job("lessons", "rgrpo-0")) == 1
    assert hollow == [
        "align",
        f"distil-epochs={LESSONS}",
        f"lessons{LESSONS}-round0-split",
        f"lessons{LESSONS}-round0-rgrpo-lr=0.0001",
        f"score-R-GRPO-after-{LESSONS}-times-over",
    ]


def test_rows_of_the_lessons(toy_study):
    lessons = toy_study.rows["lessons"]
    assert set(lessons) == {"distilled", "direct-SFT", "rgrpo-0"}
    assert all(row["epochs"] == LESSONS for row in lessons.values())
    passes = []
    for stage in ("distil", f"distil-epochs={LESSONS}"):
        log = json.loads((toy_study.root / "run" / stage / "log.json").read_text(encoding="utf-8"))
        passes.append(round(log[-1]["epoch"]))
    assert passes == [1, LESSONS]
    assert not any(lessons["direct-SFT"]["thoughts"]) and lessons["rgrpo-0"]["steps"]
