"""Choices are made on validation requests, at most three configurations an arm and a baseline."""

from collections import Counter

from crs_lite.study.experiments import runner
from crs_lite.study.experiments.tune import tune, tune_baselines


def test_nothing_is_chosen_on_test_requests(job, hollow):
    for name in ("tune", "tune-baselines"):
        assert runner.run_seed(job(name)) > 0
    scored = [name for name in hollow if name.startswith("score-")]
    assert scored and all(name.startswith("score-valid-") for name in scored)


def test_at_most_three_configurations_each(make, hollow):
    p = make("shared")
    arms = Counter(name.split("-")[0] for name, _ in tune(p) if name[-5:] in ("1e-04", "3e-04") or "validity" in name)
    assert arms == {"rgrpo": 2, "grpo": 3, "beam_top1": 2}
    systems = Counter(name.split("-")[0] for name, _ in tune_baselines(p))
    assert set(systems) == {"direct", "DSI", "LTRGR", "latent", "LatentR3"} and max(systems.values()) <= 3


def test_a_baseline_at_its_profile_s_rate_is_the_stage_that_others_use(job, hollow):
    """Its folder carries no changed budget."""
    runner.run_seed(job("tune-baselines", "direct-SFT-2e-03"))
    assert "direct" in hollow and "direct-lr=0.002" not in hollow
    runner.run_seed(job("tune-baselines", "direct-SFT-6e-04"))
    assert "direct-lr=0.0006" in hollow


def test_rows_of_the_tuning(toy_study):
    tuned = toy_study.rows["tune"]
    assert {r["row"] for r in tuned.values() if "lr" in r} >= {"rgrpo-1e-04", "grpo-3e-04", "form-only"}
    assert tuned["distilled"]["audit"]["planted"]["claims"] >= 0
    assert {"round0-rgrpo-sft", "round0-rgrpo-sft-from-rl"} <= set(tuned)
    baselines = toy_study.rows["tune-baselines"]
    assert {r.get("generation") for r in baselines.values()} == {None, 1.0, 10.0}
    assert not any(r["audit"] for r in baselines.values())  # none of them writes words
