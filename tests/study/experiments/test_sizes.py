"""A cell of the grid has its own run, its own data, its own counts."""

from crs_lite.study.experiments import EXPERIMENTS, runner
from crs_lite.study.experiments.sizes import ASKED, SHARES, WIDTHS


def test_every_width_is_asked_at_every_amount(make):
    names = [name for name, _ in EXPERIMENTS["sizes"](make("shared"))]
    assert len(names) == len(set(names)) == len(SHARES) * (1 + len(WIDTHS) * len(ASKED))


def test_a_cell_trains_in_a_folder_of_its_own(job, make, hollow):
    assert runner.run_seed(job("sizes", "half-1x-*")) == 3
    assert [n for n in hollow if not n.startswith(("score", "merged"))] == ["align", "direct", "distil"]
    run = make("shared").work.root
    assert (run / "half-1x" / "align").is_dir() and not (run / "align").exists()


def test_rows_of_the_grid(toy_study):
    rows = toy_study.rows["sizes"]
    few, all_ = rows["usual-1x-thought"], rows["usual-8x-thought"]
    assert (few["train"], all_["train"]) == (37, 300) and few["request_ids"] == all_["request_ids"]
    assert few["profile"]["train_requests"] == few["train"]
    sizes = [rows[f"{w}-1x-answer"]["parameters"]["parameters"] for w in ("half", "usual")]
    assert sizes[0] != sizes[1]
    assert rows["half-1x-thoughts"]["lists"]["16"]["ranks"] and not any(rows["half-1x-answer"]["thoughts"])
    assert rows["counting-1x"]["n"] == len(rows["counting-1x"]["ranks"])
