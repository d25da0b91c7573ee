"""An ensemble is the mean of its members' chances, computed here again item by item."""

from importlib import import_module

import numpy as np
import pytest
from safetensors.numpy import load_file
from toy_runs import opener

from crs_lite.errors import CRSError
from crs_lite.model import backbones
from crs_lite.ranker import CRSRanker
from crs_lite.study.experiments.ensembles import _at_once, _one_thought, beside, ensemble, handed_in
from crs_lite.training import align, direct, distil


@pytest.fixture
def two(tmp_path, monkeypatch):
    monkeypatch.setattr(import_module("crs_lite.study.experiments.ensembles"), "MEMBERS", 2)
    return opener(tmp_path, monkeypatch)("two-0")


def test_members_are_the_runs_beside_it_and_their_chances_are_averaged(two):
    row = ensemble(two, "two", lambda q: direct(q, align(q)), _at_once)
    members = [two, beside(two, 1)]
    assert members[1].work.root.name == "two-1" and members[1].seed == 1
    handed = [load_file(handed_in(q, direct(q, align(q)), _at_once).folder / "beams.safetensors") for q in members]
    assert not np.array_equal(handed[0]["logp"], handed[1]["logp"])

    def place(row: int, of: list[int]) -> int | None:
        chance: dict[int, float] = {}
        for m in of:
            for item, logp in zip(handed[m]["items"][row].tolist(), handed[m]["logp"][row].tolist(), strict=True):
                if item >= 0:
                    chance[item] = chance.get(item, 0.0) + float(np.exp(logp))
        best = sorted(chance, key=lambda item: (-chance[item], item))[:10]
        target = two.test[row].target
        return best.index(target) if target in best else None

    rows = range(len(two.test))
    assert row["ranks"] == [place(i, [0, 1]) for i in rows]
    for drawn in row["drawn"][:5]:
        assert drawn["ranks"] == [place(i, drawn["members"]) for i in rows]
    assert any(d["members"][0] == d["members"][1] for d in row["drawn"])


def test_a_member_hands_in_the_list_of_its_own_ranker(two):
    for stage, ranker, reason in ((direct, _at_once, "none"), (distil, _one_thought, "own")):
        made = stage(two, align(two))
        model = backbones.load_model(made.folder)
        own = CRSRanker("own", model, two.codec, reason, two.profile.max_reasoning).rank(two.test, 20)
        items = load_file(handed_in(two, made, ranker).folder / "beams.safetensors")["items"]
        np.testing.assert_array_equal(items, own)


def test_a_folder_that_names_no_seed_has_no_runs_beside_it(toy_study):
    with pytest.raises(CRSError, match="run: an ensemble looks for runs beside it"):
        beside(toy_study.open("run"), 3)
