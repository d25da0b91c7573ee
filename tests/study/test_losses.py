"""How near the ceiling, and where the rest is lost: from rows whose answer is known."""

import numpy as np
import pytest
from known_world import QUALITY, without, world

from crs_lite.errors import CRSError
from crs_lite.study import ledger, losses, recorded


def test_the_goal_and_where_the_rest_is_lost(tmp_path):
    more = {**QUALITY, ("main", "informed"): 1.0, ("arms", "form-only-0"): 0.2}
    world(tmp_path, more)
    entry = losses.goal(ledger.evidence(tmp_path))
    assert entry.verdict == "missed" and "share of the ceiling 0.7" in entry.effects[0]
    true = 0.8 + 0.2 / np.log2(3)
    assert f"(decoder) {true - 1:+.3f}" in entry.effects[1]
    own = float(entry.effects[2].split("(reasoner) ")[1].split()[0])
    assert own == pytest.approx(0.7 - true, abs=0.03)  # 1,500 draws of 0.7
    assert "+0.3" in entry.effects[3]  # 0.5 - 0.2
    world(tmp_path, {**more, ("loop", "rgrpo-round1-sft"): 0.9})
    assert losses.goal(ledger.evidence(tmp_path)).verdict == "reached"


@pytest.mark.slow
def test_the_goal_says_what_the_width_of_the_backbone_does(tmp_path):
    world(tmp_path, {**QUALITY, ("main", "informed"): 1.0})
    assert "capacity: not run" in losses.goal(ledger.evidence(tmp_path)).effects
    world(tmp_path, {("capacity", "wider"): 0.4, ("capacity", "wider-aligned"): 0.2, ("main", "aligned"): 0.5})
    entry = losses.goal(ledger.evidence(tmp_path))
    own, direct = (
        next(x for x in entry.effects if x.startswith("capacity: wider (0.0 M)") and kind in x)
        for kind in ("own", "direct")
    )
    assert " +0.1" in own  # a tenth more requests than the start has first
    assert " -0.3" in direct
    without(tmp_path / "capacity" / "wider-aligned-seed4.json")
    assert (
        "capacity: wider (0.0 M), direct answer: 4 of 5 seeds so far" in losses.goal(ledger.evidence(tmp_path)).effects
    )
    assert "capacity: not run" not in entry.effects and any("experiment capacity" in c for c in entry.commands)


@pytest.mark.slow
def test_the_goal_says_what_a_longer_lesson_does(tmp_path):
    world(tmp_path, {**QUALITY, ("main", "informed"): 1.0})
    assert "lessons: not run" in losses.goal(ledger.evidence(tmp_path)).effects
    world(tmp_path, {("lessons", "distilled"): 0.4, ("lessons", "direct-SFT"): 0.2, ("lessons", "rgrpo-0"): 0.6})
    for path in (tmp_path / "lessons").iterdir():
        recorded.write(path, {**recorded.read(path), "hardware": "another machine"})
    entry = losses.goal(ledger.evidence(tmp_path))
    effects = {
        "3 times over, distilled start, own reasoning": 0.1,
        "3 times over, direct SFT": -0.3,
        "3 times over both, distilled start − direct SFT, HR@1": 0.2,
        "R-GRPO from the longer start − that start, NDCG@10": 0.2,
        "distilled start, 3 times over − direct SFT, once, HR@1": -0.1,
    }
    for label, difference in effects.items():
        found = next(x for x in entry.effects if x.startswith(f"lessons: {label} "))
        said = float(found.removeprefix(f"lessons: {label} ").split()[0])
        assert said == pytest.approx(difference, abs=0.05)  # 1,500 draws
    assert "another machine" in entry.hardware and "another machine" in ledger.markdown([entry])
    without(tmp_path / "lessons" / "direct-SFT-seed4.json")
    assert "lessons: 3 times over, direct SFT: 4 of 5 seeds so far" in losses.goal(ledger.evidence(tmp_path)).effects


def test_what_false_words_cost_is_split_by_attribute(tmp_path):
    ranks = {"category": [0, 1, None, None], "brand": [1, 0, None, None], "all": [0, 0, 1, None]}
    for seed in range(5):
        row = {"schema": recorded.SCHEMA, "row": "rgrpo-round1-sft", "seed": seed, "experiment": "mend"}
        row |= {"ranks": [1, 1, None, None], "true_reasoning_ranks": [0, 0, 0, 0]}
        row["mended"] = {k: {"changed": 2, "ranks": r} for k, r in ranks.items()}
        recorded.write(tmp_path / "mend" / f"rgrpo-round1-sft-seed{seed}.json", row)
    found = dict(losses.words(recorded.gather(tmp_path, "mend")["rgrpo-round1-sft"]))
    second = 1 / np.log2(3)
    by_hand = [(1 - second) / 4, (1 - second) / 4, (2 - 2 * second + second) / 4, (2 - second) / 4]
    assert [d.mean for d in found.values()] == pytest.approx([-x for x in by_hand])
    assert sum(by_hand[2:]) == pytest.approx((4 - 2 * second) / 4)  # the last two parts are the whole loss


def test_a_ceiling_of_other_requests_is_refused(tmp_path):
    world(tmp_path, {**QUALITY, ("main", "informed"): 1.0})
    path = tmp_path / "main" / "informed-seed0.json"
    recorded.write(path, {**recorded.read(path), "request_ids": list(range(1, 301))})
    with pytest.raises(CRSError, match="rows 'informed' and 'rgrpo-round1-sft', seed 0: different requests"):
        losses.goal(ledger.evidence(tmp_path))


def test_without_a_ceiling_nothing_is_said(tmp_path):
    world(tmp_path, QUALITY)
    entry = losses.goal(ledger.evidence(tmp_path))
    assert entry.verdict == "not run" and entry.effects == []
