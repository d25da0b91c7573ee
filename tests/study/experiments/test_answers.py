"""What a model that reasons must beat: every arm once, the counting model with and without its parts."""

from dataclasses import replace

import toy

from crs_lite.study.experiments import EXPERIMENTS, runner
from crs_lite.study.experiments.answers import unlearned


def test_what_does_not_learn_is_taken_once_and_direct_arms_share_the_alignment(make, job, hollow):
    p = make("shared", toy.Known())
    names = [name for name, _ in EXPERIMENTS["answers"](p)]
    assert names[:6] == [
        "popularity",
        "BM25",
        "counting",
        *(f"counting-no-{x}" for x in ("history", "season", "profile")),
    ]
    assert names[6:8] == ["informed", "oracle"]
    other = replace(p, seed=1)
    assert [name for name, _ in EXPERIMENTS["answers"](other)] == names[8:]
    assert runner.run_seed(job("answers", "direct*")) == 4
    assert [name for name in hollow if not name.startswith("score")] == ["align", "direct", "direct-counted"]


def test_a_counting_model_without_a_part_does_not_use_it(make):
    p = make("shared")
    assert unlearned(p, "counting", None).without == frozenset()
    assert unlearned(p, "counting-no-season", None).without == {"season"}
    assert unlearned(p, "BM25", None).name == "BM25"


def test_answers_without_reasoning_say_nothing(toy_study):
    rows = toy_study.rows["answers"]
    assert not any(rows["direct-SFT"]["thoughts"]) and rows["direct-SFT"]["tokens"] == 0
    assert (
        rows["direct-SFT"]["request_ids"] == rows["direct-forgetful"]["request_ids"] == rows["counting"]["request_ids"]
    )
