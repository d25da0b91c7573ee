"""The main table on any backbone: every arm from one alignment, the counting model on as many requests."""

from crs_lite.study.experiments import EXPERIMENTS, runner


def test_every_arm_begins_from_one_alignment(job, hollow):
    assert runner.run_seed(job("pretrained")) == 10
    trained = [n for n in hollow if not n.startswith(("score", "merged"))]
    assert trained[:3] == ["align", "direct", "distil"] and hollow.count("align") == 1
    assert sum("grpo" in n and "split" not in n for n in trained) == 2


def test_with_fewer_requests_than_there_are_everything_counts_the_same(make):
    p = make("shared", train_requests=10)
    rows = dict(EXPERIMENTS["pretrained"](p))
    ranker = rows["counting"].keywords["ranker"] if "ranker" in rows["counting"].keywords else rows["counting"].args[-1]
    assert ranker(None).clicks.sum() == 10


def test_rows_of_the_table(toy_study):
    rows = toy_study.rows["pretrained"]
    assert {"counting", "aligned", "direct", "start", "start-empty", "start-thoughts", "rgrpo", "grpo"} <= set(rows)
    assert rows["rgrpo"]["steps"] and rows["start"]["stage"] == rows["start-thoughts"]["stage"]
