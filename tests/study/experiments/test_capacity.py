"""Another width, everything else as it is."""

from crs_lite.study.experiments import runner


def test_each_width_has_its_own_run_and_trains_what_its_row_needs(job, make, hollow):
    assert runner.run_seed(job("capacity", "wider-aligned")) == 1
    assert hollow == ["align", "score-aligned,-wider"]
    run = make("shared").work.root
    assert (run / "wider" / "align").is_dir() and not (run / "align").exists() and not (run / "half-width").exists()
    assert runner.run_seed(job("capacity", "wider")) == 1
    assert hollow[2:] == ["distil", "score-distilled-SFT,-wider"]


def test_rows_of_the_widths(toy_study):
    widths = toy_study.rows["capacity"]
    usual = toy_study.rows["arms"]["distilled"]
    assert set(widths) == {"half-width", "half-width-aligned", "wider", "wider-aligned"}
    sizes = [row["parameters"]["parameters"] for row in (widths["half-width"], usual, widths["wider"])]
    assert sizes == sorted(set(sizes))
    assert [r["profile"]["hidden"] for r in (widths["half-width"], usual, widths["wider"])] == [16, 32, 48]
    assert widths["wider-aligned"]["parameters"] == widths["wider"]["parameters"]
    assert not any(widths["wider-aligned"]["thoughts"]) and any(widths["wider"]["thoughts"])
    assert widths["wider"]["request_ids"] == usual["request_ids"]
