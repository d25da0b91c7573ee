"""One start, asked in several ways: the rows differ in what is written before the ID, not in the checkpoint."""

from dataclasses import replace

from crs_lite.study.experiments import EXPERIMENTS, runner


def test_two_checkpoints_are_asked_in_every_way(job, hollow):
    assert runner.run_seed(job("thoughts")) == 10
    assert [name for name in hollow if not name.startswith(("score", "merged"))] == [
        "align",
        "distil",
        "own-guesses-n=5000",
    ]


def test_what_is_seen_can_be_asked_for_only_where_the_format_sees(make, hollow):
    p = make("shared")
    names = {name for name, _ in EXPERIMENTS["thoughts"](p)}
    seeing = replace(p, profile=replace(p.profile, reasoning="see-count"))
    assert "start-seen" not in names and "start-other" in names
    from crs_lite.prepared import taught_as

    more = {name for name, _ in EXPERIMENTS["thoughts"](taught_as(seeing, reasoning="see-count"))}
    assert more - names == {"start-seen", "guesses-seen"}


def test_rows_of_one_checkpoint(toy_study):
    rows = toy_study.rows["thoughts"]
    assert rows["start"]["stage"] == rows["start-empty"]["stage"] == rows["start-thoughts"]["stage"] == "distil"
    assert rows["start"]["tokens"] > rows["start-empty"]["tokens"] == 0
    assert rows["start-thoughts"]["tokens"] >= 16  # each of 16 thoughts ends with a token of its own
    assert rows["start"]["split"] == "test" and rows["start-valid"]["split"] == "valid"
