"""Two arms go two rounds, three go one, and all begin from the same distilled start."""

from crs_lite.study.experiments import runner
from crs_lite.study.experiments.explorers import LOOPS, ONE_ROUND


def test_every_arm_begins_from_one_start_and_only_two_go_on(job, hollow):
    assert runner.run_seed(job("explorers")) == 3 * (4 * len(LOOPS) + len(ONE_ROUND))
    explored = [
        n for n in hollow if n.startswith("round") and "split" not in n and "collect" not in n and "-sft" not in n
    ]
    assert hollow.count("distil") == 1 and len(explored) == 2 * len(LOOPS) + len(ONE_ROUND)
    assert len(set(explored)) == len(explored)
    assert {"round1-rgrpo-split", "round1-grpo-split"} <= set(hollow) and hollow.count("round0-split") == 1


def test_rows_tell_how_rl_went(toy_study):
    rows = toy_study.rows["explorers"]
    for arm in (*LOOPS, *ONE_ROUND):
        steps = rows[f"{arm}-round0-rl"]["steps"]
        assert {"entropy", "distinct", "kl", "reward"} <= set(steps) and len(steps["entropy"]) == 2
        assert rows[f"{arm}-round0-rl-thoughts"]["lists"]["16"]["ranks"]
