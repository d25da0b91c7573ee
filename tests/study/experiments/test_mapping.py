"""Item <-> ID alone, by the kind of ID."""

import json

from crs_lite.study.experiments import runner
from crs_lite.study.id_convergence import KINDS


def test_one_row_a_kind_from_the_same_budgets(job, make, hollow):
    assert runner.run_seed(job("mapping")) == 3
    depends = [
        json.loads((make("shared").work.root / name / "manifest.json").read_text(encoding="utf-8"))["depends"]
        for name in hollow
    ]
    assert hollow == [f"mapping-{kind}" for kind in KINDS]
    assert [d.pop("kind") for d in depends] == list(KINDS) and depends[0] == depends[1] == depends[2]


def test_rows_of_the_mapping(toy_study):
    for kind in KINDS:
        found = toy_study.rows["mapping"][kind]
        assert found["kind"] == kind and [epoch for epoch, *_ in found["curve"]] == [1, 2]
        assert found["final"]["items_tried"] == 24
    errors = {kind: toy_study.rows["mapping"][kind]["report"]["error"][-1] for kind in KINDS}
    assert errors["kmeans"] < errors["random"]
