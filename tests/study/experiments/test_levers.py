"""Two by two around the middle: what each variant shares, what it does not, and lists merged from the same thoughts."""

from crs_lite.study.experiments import runner
from crs_lite.study.experiments.levers import GUESSES, VARIANTS


def test_variants_share_alignment_and_never_a_distilled_start(job, hollow):
    assert runner.run_seed(job("levers", "*[!y]")) > 0  # all but the answers after an empty thought
    starts = [name for name in hollow if name.startswith("distil")]
    assert hollow.count("align") == 1 and len(starts) == len(set(starts)) == len(VARIANTS)
    met = [name for name in hollow if name.startswith("own-guesses")]
    assert len(met) == 2 and all(f"n={GUESSES}" in name for name in met)


def test_rows_of_the_levers(toy_study):
    levers = toy_study.rows["levers"]
    assert {"counting", "aligned", "direct-SFT"} <= set(levers) and "informed" not in levers  # no truth, no ceiling
    for name, how in VARIANTS.items():
        own, empty, many = (levers[f"{name}{end}"] for end in ("", "-empty", "-thoughts"))
        assert all(row[k] == v for row in (own, empty, many) for k, v in how.items())
        assert own["request_ids"] == empty["request_ids"] == many["request_ids"]
        assert not any(empty["thoughts"]) and many["lists"]["16"]["ranks"] == many["ranks"]
        assert set(many["lists"]) == {"1", "4", "8", "16"} and many["milliseconds"] > 0
        assert 1 <= many["distinct"] <= 16
    assert {row["split"] for row in levers.values()} == {"valid"}
