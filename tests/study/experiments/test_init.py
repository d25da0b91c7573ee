"""The list of experiments; and what they depend on is what it was when the recorded rows were made."""

from toy_runs import RECORDED, ToyStudy, stage_keys

from crs_lite.paths import EXPERIMENTS as RECORDED_ROWS
from crs_lite.study.experiments import EXPERIMENTS


def test_every_recorded_row_is_of_an_experiment_that_exists():
    folders = {d.name for of in RECORDED_ROWS.iterdir() if of.is_dir() for d in of.iterdir() if d.is_dir()}
    assert folders - {"lists"} <= set(EXPERIMENTS)


def test_every_stage_of_every_experiment_has_the_key_it_always_had(hollow, tmp_path, monkeypatch):
    """A stage that is asked for under another key would be trained again, and rows made before and after would not be
    of one study."""
    ToyStudy.run(tmp_path, monkeypatch)
    assert stage_keys(tmp_path) == RECORDED["keys"]


def test_the_same_with_stages_that_are_really_made(toy_study):
    assert stage_keys(toy_study.root) == RECORDED["keys"]
    assert set(toy_study.made) == set(EXPERIMENTS) and min(toy_study.made.values()) > 0
