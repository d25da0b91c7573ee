"""Verdicts from rows whose answer is known."""

import pytest
from known_world import QUALITY, without, world

from crs_lite.study import ledger


@pytest.mark.slow
def test_verdicts_of_a_world_that_is_known(tmp_path):
    world(tmp_path, QUALITY)
    entries = {x.id: x for x in ledger.ledger(tmp_path)}
    verdicts = {i: x.verdict for i, x in entries.items()}
    assert (
        verdicts["C1"] == "reproduced" and "direct-SFT" in entries["C1"].effects[0]
    )  # chosen on validation, not on test
    assert verdicts["C2"] == verdicts["C5"] == "reproduced"
    assert verdicts["C3"] == "partly"  # the first iteration shows it, the second does not
    assert verdicts["C4"] == "reproduced"  # it falls and recovers in the second round
    assert verdicts["C7"] == "partly"  # one direction reaches its threshold
    assert verdicts["B1"] == "partly"  # one bias fell, the other stayed
    assert verdicts["O1"] == "reproduced"
    assert all(verdicts[i] == "not run" for i in ("C6", "N1", "N2", "N3", "P1", "P2"))
    assert entries["C2"].commands == entries["B1"].commands == ["experiment arms", "experiment loop"]
    assert set(entries["C1"].commands) == {"experiment main", "experiment loop"}
    assert all(x.seeds == 5 and x.commands for x in entries.values() if x.verdict != "not run")
    table = ledger.markdown(list(entries.values()))
    assert "reproduced (tiny)" in table and "not run (tiny)" not in table
    assert entries["C2"].effects[0].startswith("NDCG@10 +0.3")


@pytest.mark.slow
def test_too_few_seeds_make_no_verdict(tmp_path):
    world(tmp_path, QUALITY, seeds=4)
    for x in ledger.ledger(tmp_path):
        assert x.verdict.startswith(("not run", "no verdict yet"))


def test_a_second_iteration_on_few_seeds_leaves_the_verdict_to_the_first(tmp_path):
    world(tmp_path, QUALITY)
    for seed in (3, 4):
        without(tmp_path / "loop" / f"grpo-round1-rl-seed{seed}.json")
    entry = ledger.c3(ledger.evidence(tmp_path))
    assert entry.verdict == "partly" and entry.seeds == 5 and "round 2 not run: 3 of 5 seeds so far" in entry.effects
    for seed in range(3):
        without(tmp_path / "loop" / f"grpo-round1-rl-seed{seed}.json")
    entry = ledger.c3(ledger.evidence(tmp_path))
    assert (
        entry.verdict == "partly" and entry.effects[-1] == "round 2 not run"
    )  # a claim of every iteration is not shown by one


def test_an_empty_ledger_claims_nothing(tmp_path):
    assert {x.verdict for x in ledger.ledger(tmp_path)} == {"not run"}
    assert "| C3 |" in ledger.markdown(ledger.ledger(tmp_path))


def test_the_best_baseline_is_chosen_on_validation_among_those_that_beat_their_ablation(tmp_path):
    world(tmp_path, QUALITY)
    rows = ledger.evidence(tmp_path)["main"]
    assert ledger.best_baseline(rows) == "direct-SFT"
    rows.pop("direct-SFT-valid")
    assert ledger.best_baseline(rows) == "latent-SFT"  # LatentR3 does not beat it
    assert ledger.best_baseline({}) is None


def test_every_claim_has_its_line_in_order(tmp_path):
    ids = [entry.id for entry in ledger.ledger(tmp_path)]
    assert ids == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "N1", "N2", "N3", "B1", "O1", "P1", "P2", "G"]


@pytest.mark.slow
def test_the_table_says_where_its_numbers_come_from(tmp_path):
    world(tmp_path, QUALITY)
    table = ledger.markdown(ledger.ledger(tmp_path))
    assert "Log w; backbone tiny (1 layers, width 1, from scratch), about 0.0 M weights; profile x" in table
    assert "300 test requests; made on h." in table
    assert all(line.count(" | ") == 5 for line in table.splitlines() if line.startswith("| C"))
