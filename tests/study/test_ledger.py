"""Verdicts from rows whose answer is known, the bootstrap against theory, and pages that agree with the rows."""

from pathlib import Path

import numpy as np
import pytest

from crs_lite.evaluate import Difference, paired_bootstrap
from crs_lite.paths import EVIDENCE
from crs_lite.study import experiments, ledger, results

ROOT = Path(__file__).resolve().parent.parent


def test_pages_show_the_ledger_of_the_recorded_rows():
    table = ledger.markdown(ledger.ledger(EVIDENCE))
    for path in (ROOT / "README.md", ROOT / "book" / "ledger.md"):
        text = path.read_text()
        assert text == results.with_block(text, table, "ledger"), "run: python -m crs_lite ledger --write"


def test_the_interval_of_one_seed_is_the_paired_bootstrap():
    d = np.random.default_rng(0).normal(0.1, 1, 400)
    ours, plain = ledger.hierarchical([d]), paired_bootstrap(d, np.zeros(400))
    assert ours.mean == pytest.approx(plain.mean) and ours[1:] == pytest.approx(plain[1:], abs=0.02)


def test_seeds_that_differ_widen_the_interval_as_theory_says():
    """Variance of a mean of means: between seeds / S + within / (S m)."""
    rng = np.random.default_rng(1)
    effects = np.array([-0.3, -0.1, 0.0, 0.1, 0.3])
    d = [rng.normal(e, 1, 500) for e in effects]
    means = np.array([x.mean() for x in d])
    se = np.sqrt(means.var() / 5 + np.mean([x.var() for x in d]) / 2500)  # the bootstrap divides by S, not by S - 1
    ours = ledger.hierarchical(d)
    assert (ours.high - ours.low) / 2 == pytest.approx(1.96 * se, rel=0.12)
    assert ours.high - ours.low > 2 * 1.96 * np.sqrt(1 / 2500)


def test_the_protocol_s_rule():
    up, flat, down = Difference(0.1, 0.05, 0.2), Difference(0.1, -0.05, 0.2), Difference(-0.1, -0.2, -0.05)
    assert ledger.judge(up, []) == "reproduced"
    assert ledger.judge(flat, [flat, up]) == "partly"
    assert ledger.judge(flat, [flat, down]) == ledger.judge(down, []) == "not reproduced"
    assert ledger.judge(down, [], sign=-1) == "reproduced"


def world(folder: Path, quality: dict[tuple[str, str], float], seeds: int = 5, n: int = 300) -> None:
    """Rows in which a system puts the target first with the given probability, and misses it otherwise."""
    for (experiment, name), p in quality.items():
        for seed in range(seeds):
            rng = np.random.default_rng([seed, len(name), sum(map(ord, experiment + name))])
            hit = rng.random(n) < p
            planted = {
                "claims": 1000,
                "prior": int(400 * (1 - p)),
                "judged": 500,
                "prior_false": 10,
                "unsupported": 100,
            }
            row = {
                "schema": 1, "row": name, "seed": seed, "experiment": experiment, "request_ids": list(range(n)),
                "cold": [int(i % 4 == 0) for i in range(n)], "ranks": [0 if h else None for h in hit],
                "true_reasoning_ranks": [0 if i % 5 else 1 for i in range(n)],  # first in four of five lists, second else
                "utility": (p + 0.01 * rng.normal(size=n)).tolist(), "n": n, "log": "w", "hardware": "h", "command": f"experiment {experiment}",
                "profile": {"hidden": 1, "layers": 1, "name": "x"}, "parameters": {"parameters": 1},
                "stage_info": {"item_to_sid_hr1": 1.0, "sid_to_title_exact": 0.9},
                "audit": {"planted": planted, "repeated": 0.2, "contradicts_itself": 0.0, "contradicts_context": 0.1},
            }  # fmt: skip
            experiments.write(folder / experiment / f"{name}-seed{seed}.json", row)


QUALITY = {
    ("arms", "distilled"): 0.3, ("arms", "rgrpo-0"): 0.5, ("arms", "rgrpo-1"): 0.5, ("arms", "grpo-0"): 0.4, ("arms", "grpo-1"): 0.4,
    ("loop", "rgrpo-round0-sft"): 0.6, ("loop", "rgrpo-round1-rl"): 0.45, ("loop", "rgrpo-round1-sft"): 0.7,
    ("loop", "grpo-round1-rl"): 0.46, ("main", "direct-SFT"): 0.5, ("main", "direct-SFT-valid"): 0.5, ("main", "DSI"): 0.8,
    ("main", "DSI-valid"): 0.2, ("main", "aligned"): 0.4, ("main", "aligned-valid"): 0.4, ("main", "aligned-query-only-valid"): 0.1,
    ("main", "LTRGR"): 0.1, ("main", "LTRGR-valid"): 0.15, ("main", "latent-SFT-valid"): 0.45, ("main", "LatentR3"): 0.1,
    ("main", "LatentR3-valid"): 0.44,
}  # fmt: skip


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


def test_the_goal_and_where_the_rest_is_lost(tmp_path):
    more = {**QUALITY, ("main", "informed"): 1.0, ("arms", "form-only-0"): 0.2}
    world(tmp_path, more)
    entry = ledger.goal(ledger.evidence(tmp_path))
    assert entry.verdict == "missed" and "share of the ceiling 0.7" in entry.effects[0]
    true = 0.8 + 0.2 / np.log2(3)
    assert f"(decoder) {true - 1:+.3f}" in entry.effects[1]
    own = float(entry.effects[2].split("(reasoner) ")[1].split()[0])
    assert own == pytest.approx(0.7 - true, abs=0.03)  # 1,500 draws of 0.7
    assert "+0.3" in entry.effects[3]  # 0.5 - 0.2
    world(tmp_path, {**more, ("loop", "rgrpo-round1-sft"): 0.9})
    assert ledger.goal(ledger.evidence(tmp_path)).verdict == "reached"


def test_the_goal_says_what_the_width_of_the_backbone_does(tmp_path):
    world(tmp_path, {**QUALITY, ("main", "informed"): 1.0})
    assert "capacity: not run" in ledger.goal(ledger.evidence(tmp_path)).effects
    world(tmp_path, {("capacity", "wider"): 0.4, ("capacity", "wider-aligned"): 0.2, ("main", "aligned"): 0.5})
    entry = ledger.goal(ledger.evidence(tmp_path))
    own, direct = (
        next(x for x in entry.effects if x.startswith("capacity: wider (0.0 M)") and kind in x)
        for kind in ("own", "direct")
    )
    assert " +0.1" in own  # a tenth more requests than the start has first
    assert " -0.3" in direct
    (tmp_path / "capacity" / "wider-aligned-seed4.json").unlink()
    assert (
        "capacity: wider (0.0 M), direct answer: 4 of 5 seeds so far" in ledger.goal(ledger.evidence(tmp_path)).effects
    )
    assert "capacity: not run" not in entry.effects and any("experiment capacity" in c for c in entry.commands)


def test_the_goal_says_what_a_longer_lesson_does(tmp_path):
    world(tmp_path, {**QUALITY, ("main", "informed"): 1.0})
    assert "lessons: not run" in ledger.goal(ledger.evidence(tmp_path)).effects
    world(tmp_path, {("lessons", "distilled"): 0.4, ("lessons", "direct-SFT"): 0.2, ("lessons", "rgrpo-0"): 0.6})
    for path in (tmp_path / "lessons").iterdir():
        experiments.write(path, {**experiments.read(path), "hardware": "another machine"})
    entry = ledger.goal(ledger.evidence(tmp_path))
    for label, difference in (
        ("3 times over, distilled start, own reasoning", 0.1), ("3 times over, direct SFT", -0.3),
        ("3 times over both, distilled start − direct SFT, HR@1", 0.2), ("R-GRPO from the longer start − that start, NDCG@10", 0.2),
        ("distilled start, 3 times over − direct SFT, once, HR@1", -0.1),
    ):  # fmt: skip
        found = next(x for x in entry.effects if x.startswith(f"lessons: {label} "))
        assert float(found.removeprefix(f"lessons: {label} ").split()[0]) == pytest.approx(
            difference, abs=0.05
        )  # 1,500 draws
    assert "another machine" in entry.hardware and "another machine" in ledger.markdown([entry])
    (tmp_path / "lessons" / "direct-SFT-seed4.json").unlink()
    assert "lessons: 3 times over, direct SFT: 4 of 5 seeds so far" in ledger.goal(ledger.evidence(tmp_path)).effects


def test_what_false_words_cost_is_split_by_attribute(tmp_path):
    ranks = {"category": [0, 1, None, None], "brand": [1, 0, None, None], "all": [0, 0, 1, None]}
    for seed in range(5):
        row = {
            "schema": 1, "row": "rgrpo-round1-sft", "seed": seed, "experiment": "mend", "ranks": [1, 1, None, None],
            "true_reasoning_ranks": [0, 0, 0, 0], "mended": {k: {"changed": 2, "ranks": r} for k, r in ranks.items()},
        }  # fmt: skip
        experiments.write(tmp_path / "mend" / f"rgrpo-round1-sft-seed{seed}.json", row)
    found = dict(ledger.words(ledger.gather(tmp_path, "mend")["rgrpo-round1-sft"]))
    second = 1 / np.log2(3)
    by_hand = [(1 - second) / 4, (1 - second) / 4, (2 - 2 * second + second) / 4, (2 - second) / 4]
    assert [d.mean for d in found.values()] == pytest.approx([-x for x in by_hand])
    assert sum(by_hand[2:]) == pytest.approx((4 - 2 * second) / 4)  # the last two parts are the whole loss


def test_too_few_seeds_make_no_verdict(tmp_path):
    world(tmp_path, QUALITY, seeds=4)
    for x in ledger.ledger(tmp_path):
        assert x.verdict.startswith("not run")


def test_a_second_iteration_on_few_seeds_leaves_the_verdict_to_the_first(tmp_path):
    world(tmp_path, QUALITY)
    for seed in (3, 4):
        (tmp_path / "loop" / f"grpo-round1-rl-seed{seed}.json").unlink()
    entry = ledger.c3(ledger.evidence(tmp_path))
    assert entry.verdict == "partly" and entry.seeds == 5 and "round 2 not run: 3 of 5 seeds so far" in entry.effects
    for seed in range(3):
        (tmp_path / "loop" / f"grpo-round1-rl-seed{seed}.json").unlink()
    entry = ledger.c3(ledger.evidence(tmp_path))
    assert (
        entry.verdict == "partly" and entry.effects[-1] == "round 2 not run"
    )  # a claim of every iteration is not shown by one


def test_an_empty_ledger_claims_nothing(tmp_path):
    assert {x.verdict for x in ledger.ledger(tmp_path)} == {"not run"}
    assert "| C3 |" in ledger.markdown(ledger.ledger(tmp_path))
