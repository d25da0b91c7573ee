"""Two teachers, one alignment."""

from crs_lite.study.experiments import runner


def test_both_start_from_one_alignment(job, hollow):
    assert runner.run_seed(job("teachers")) == 6
    assert [n for n in hollow if not n.startswith(("score", "merged"))] == [
        "align",
        "distil",
        "distil-teacher=foresight",
    ]


def test_rows_name_their_teacher(toy_study):
    rows = toy_study.rows["teachers"]
    assert {r["teacher"] for n, r in rows.items() if n.startswith("hindsight")} == {"hindsight"}
    assert rows["hindsight"]["stage"] != rows["foresight"]["stage"]
    assert rows["hindsight-empty"]["stage"] == rows["hindsight"]["stage"] == rows["hindsight-thoughts"]["stage"]
