"""The pass behind the alignment at other learning rates: with a thought and without, from one alignment."""

from crs_lite.paths import SECOND
from crs_lite.study.experiments import runner
from crs_lite.study.experiments.rates import CHOSEN, RATES
from crs_lite.study.recorded import gather, values
from crs_lite.study.second import AT_FIRST
from crs_lite.training import align, direct, distil
from crs_lite.workspace import read_manifest

RATE = RATES["direct"][0]


def test_every_rate_is_a_pass_of_its_own_with_a_thought_and_without(job, hollow):
    assert runner.run_seed(job("rates")) == 3 + 3 * len(RATES["direct"]) + 3 * len(RATES["thought"])
    trained = {n for n in hollow if not n.startswith(("score", "merged"))}
    wanted = {f"direct-lr={lr}" for lr in RATES["direct"]} | {f"distil-lr={lr}" for lr in RATES["thought"]}
    assert trained == {"align"} | wanted


def test_a_rate_changes_the_rate_and_nothing_else(toy_study):
    p = toy_study.open("run")
    aligned, depends = align(p), {}
    for make in (direct, distil):
        for lr in (RATE, None):
            depends[lr] = read_manifest(make(p, aligned, lr=lr).folder).model_extra["depends"]
        other = {k for k in depends[None] if depends[None][k] != depends[RATE][k]}
        assert other == {"lr"} and depends[RATE]["lr"] == RATE


def test_the_rates_that_the_ensembles_are_trained_at_are_the_best_on_validation():
    """Of all that were tried, the second protocol's own rate among them."""
    e = {name: gather(SECOND, name) for name in ("answers", "thoughts", "rates")}
    for kind, chosen in CHOSEN.items():
        experiment, name = AT_FIRST[kind]
        tried = [e["rates"][f"{kind}-lr={lr:g}-valid"][0] for lr in RATES[kind]]
        tried.append(e[experiment][f"{name}-valid"][0])
        best = max(tried, key=lambda row: values(row, "NDCG@10").mean())
        assert best["row"] == f"{kind}-lr={chosen:g}-valid"
