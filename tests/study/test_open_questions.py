"""Verdicts under the fourth protocol, from rows whose answer is known."""

import json
import re
from importlib import import_module

import numpy as np
import pytest
from known_world import world

from crs_lite import paths
from crs_lite.paths import BOOK, SECOND
from crs_lite.study import contexts, open_questions, recorded
from crs_lite.study.open_questions import REWARDS, SCHEDULES, WIDTHS

schedules, list_rewards, sizes = (
    import_module(f"crs_lite.study.experiments.{name}") for name in ("schedules", "list_rewards", "sizes")
)
PROTOCOL = (BOOK / "protocol-4.md").read_text(encoding="utf-8")
QUALITY = {
    ("answers", "aligned"): 0.6,
    ("answers", "direct-SFT"): 0.6,
    ("answers", "informed"): 0.9,
    ("thoughts", "start"): 0.5,
    ("thoughts", "start-thoughts"): 0.55,
    ("formats", "vectors"): 0.3,
    ("formats", "vectors-thought"): 0.5,
    ("formats", "without-history"): 0.2,
    ("formats", "informed-without-history"): 0.3,
    ("schedules", "sft"): 0.3,
    ("schedules", "rl"): 0.7,
    ("schedules", "alternate"): 0.5,
    ("sizes", "half-1x-thought"): 0.2,
    ("sizes", "usual-1x-thought"): 0.4,
    ("sizes", "usual-1x-answer"): 0.3,
    ("sizes", "wider-1x-thought"): 0.8,
}


def verdicts(folder):
    return {x.id: x for x in open_questions.ledger(folder)}


def test_verdicts_name_their_seeds(tmp_path):
    world(tmp_path, QUALITY, seeds=3)
    found = verdicts(tmp_path)
    wanted = {
        "N1": "reproduced, three seeds",
        "N2": "partly, three seeds",  # above SFT alone, below RL alone
        "N3": "not run",
        "C6": "reproduced, one seed",  # by the protocol, seed 0 alone
        "P1": "not run",
        "P2": "not run",
    }
    assert {k: x.verdict for k, x in found.items()} == wanted
    assert any(e.startswith("worth of history: NDCG@10 +0.4") for e in found["N1"].effects)
    assert any(e == "and to the informed ceiling +0.600" or "informed ceiling +0.5" in e or "ceiling +0.6" in e
               for e in found["N1"].effects)  # fmt: skip
    assert sum("width" in e for e in found["C6"].effects) == 2
    assert any(e.startswith("direct answer, 100,000 − 12,500 requests (three seeds): NDCG@10 +0.3")
               or e.startswith("direct answer, 100,000 − 12,500 requests (three seeds): NDCG@10 +0.2")
               for e in found["C6"].effects)  # fmt: skip
    assert all(x.commands for x in found.values() if x.verdict != "not run")


@pytest.mark.parametrize(
    "metric, utility, said",
    [(0.8, 0.8, "reproduced"), (0.8, 0.4, "not reproduced"), (0.5, 0.5, "no gain to judge")],
)
def test_a_reward_is_judged_by_what_the_shopper_gains(tmp_path, metric, utility, said):
    world(tmp_path, {("list-rewards", "start"): 0.5, ("list-rewards", "log2"): metric}, seeds=3)
    for seed in range(3):  # what the list is worth, apart from its rank
        path = tmp_path / "list-rewards" / f"log2-seed{seed}.json"
        row, start = (recorded.read(tmp_path / "list-rewards" / f"{n}-seed{seed}.json") for n in ("log2", "start"))
        change = {"ranks": start["ranks"]} if metric == 0.5 else {}
        recorded.write(path, {**row, **change, "utility": [u + utility - 0.5 for u in start["utility"]]})
    assert verdicts(tmp_path)["N3"].verdict == f"{said}, three seeds"


def test_gains_look_where_no_reward_does(tmp_path):
    world(tmp_path, {("list-rewards", n): 0.5 for n in ("start", "log2", "start-wide", "log2-wide")}, seeds=2)
    for seed in range(2):
        for name, coverage, rank in (("start-wide", 0.2, 49), ("log2-wide", 0.5, 0)):
            path = tmp_path / "list-rewards" / f"{name}-seed{seed}.json"
            row = recorded.read(path)
            recorded.write(path, {**row, "ranks": [rank] * row["n"], "coverage": coverage})
        for name, truth in (("start", 0.25), ("log2", 0.75)):
            path = tmp_path / "list-rewards" / f"{name}-seed{seed}.json"
            row = recorded.read(path)
            recorded.write(path, {**row, "audit": {"attribute_truth": truth}})
    found = open_questions.gains(open_questions.study(tmp_path), "log2")
    assert found["coverage"][0].mean == pytest.approx(0.3) and found["true words"][0].mean == pytest.approx(0.5)
    assert found["NDCG@50"][0].mean == pytest.approx(1 - 1 / np.log2(51)) and "merged NDCG@10" not in found


def test_a_pretrained_table_stands_in_a_folder_beside(tmp_path):
    here, beside = tmp_path / "marketplace-large-long", tmp_path / "marketplace-large-colab"
    here.mkdir()
    table = {"rgrpo": 0.8, "start": 0.5, "counting": 0.6, "direct": 0.4, "grpo": 0.3, "start-thoughts": 0.5}
    world(beside, {("pretrained", name): q for name, q in table.items()}, seeds=1)
    found = verdicts(here)
    assert found["P1"].verdict == "reproduced, one seed" and found["P2"].verdict == "reproduced, one seed"
    assert [e.split(":")[0] for e in found["P1"].effects][:2] == ["CRS over the counting model"] * 2


def test_the_arm_that_explains_stands_behind_what_it_explains(tmp_path):
    world(tmp_path, {**QUALITY, ("formats", "vectors-ids"): 0.6}, seeds=1)
    first, second = verdicts(tmp_path)["N1"].effects[:2]
    assert first.startswith("text − vectors: NDCG@10 +0.3") or first.startswith("text − vectors: NDCG@10 +0.2")
    assert second.startswith("text − vectors with IDs for items (one seed): NDCG@10")


def test_names_are_those_of_the_experiments():
    assert {*SCHEDULES, "alternate"} == set(schedules.SCHEDULES) and set(REWARDS) == set(list_rewards.REWARDS)
    assert set(WIDTHS) == set(sizes.WIDTHS) and open_questions.ASKED == sizes.ASKED
    assert set(open_questions.GROUPS) == set(contexts.GROUPS)
    assert open_questions.AMOUNTS == {k: int(100_000 * share) for k, share in sizes.SHARES.items()}


def test_what_was_not_run_says_what_it_would_take(tmp_path):
    """Tokens over tokens a second, from the recorded files, by hand."""
    (said,) = verdicts(tmp_path)["P2"].effects
    stages = json.loads(paths.LESSONS.read_text(encoding="utf-8"))["stages"]
    tokens = sum(s["lessons"] * s["length"] * s["passes"] for s in stages)
    row = json.loads(paths.BENCH.read_text(encoding="utf-8"))["bench"]["pretrained"]["rows"][0]
    assert f" {tokens * row['ours'] / 768 / 3600:.0f} hours of one core in bfloat16" in said


def test_nothing_recorded_claims_nothing(tmp_path):
    assert {x.verdict for x in open_questions.ledger(tmp_path)} == {"not run"}


def test_what_is_judged_stands_in_the_protocol():
    assert len(REWARDS) == 7 and "seven rewards" in PROTOCOL and len(SCHEDULES) == 4
    for width in (80, 160, 240, 320):
        assert width in WIDTHS.values() and re.search(rf"\b{width}\b", PROTOCOL)


def test_recorded_rows_are_of_one_log_and_name_their_code():
    e = open_questions.study(SECOND)
    rows = [r for name in open_questions.EXPERIMENTS for of in e[name].values() for r in of.values()]
    assert rows and {r["log_sha256"] for r in rows} == {json.loads(json.dumps(rows[0]["log_sha256"]))}
    assert all(re.fullmatch("[0-9a-f]{40}", r["commit"]) for r in rows)
    assert len({tuple(r["request_ids"]) for r in rows if r.get("split") == "test"}) == 1
