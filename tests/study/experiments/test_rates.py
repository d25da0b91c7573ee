"""The pass behind the alignment at other learning rates: with a thought and without, from one alignment."""

from crs_lite.study.experiments import runner
from crs_lite.study.experiments.rates import RATES
from crs_lite.training import align, direct, distil
from crs_lite.workspace import read_manifest


def test_every_rate_is_a_pass_of_its_own_with_a_thought_and_without(job, hollow):
    assert runner.run_seed(job("rates")) == 2 * (1 + 2 * len(RATES)) + len(RATES)
    trained = {n for n in hollow if not n.startswith(("score", "merged"))}
    assert trained == {"align"} | {f"{kind}-lr={lr}" for lr in RATES for kind in ("direct", "distil")}


def test_a_rate_changes_the_rate_and_nothing_else(toy_study):
    p = toy_study.open("run")
    aligned, depends = align(p), {}
    for make in (direct, distil):
        for lr in (RATES[0], None):
            depends[lr] = read_manifest(make(p, aligned, lr=lr).folder).model_extra["depends"]
        other = {k for k in depends[None] if depends[None][k] != depends[RATES[0]][k]}
        assert other == {"lr"} and depends[RATES[0]]["lr"] == RATES[0]
