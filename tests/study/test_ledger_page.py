"""The page says of every claim what its entry says, shortly, and the rest behind a fold."""

import pytest

from crs_lite.evaluate import Difference
from crs_lite.study import ledger, ledger_page, second
from crs_lite.study.comparison import Effect, Entry

ROW = {"profile": {"name": "x", "layers": 1, "hidden": 2}, "parameters": {"parameters": 1e6}, "log": "w", "n": 10,
       "hardware": "h"}  # fmt: skip


def entry(id, n=5, **more):
    effects = [Effect(f"effect {i}", Difference(0.1, 0.0, 0.2)) for i in range(n)]
    return Entry(id, f"claim {id}", effects=effects, seeds=5, commands=["make it"], about=ROW, **more)


def test_every_claim_of_both_editions_is_known_to_the_page(tmp_path):
    ids = {x.id for x in (*ledger.ledger(tmp_path), *second.ledger(tmp_path))}
    assert ids == set(ledger_page.ABOUT) and {id for _, _, id, _ in ledger_page.SHORT} <= ids
    for about in ledger_page.ABOUT.values():
        assert about.plain.endswith("?") and about.paper and not about.paper[0].isupper() or "CRS" in about.paper


def test_a_card_shows_three_effects_and_folds_the_rest_away():
    shown, _, folded = ledger_page.card(entry("C1", verdict="reproduced")).partition(":class: dropdown")
    assert "**reproduced (tiny)**, 5 seeds; effect 0 +0.100 [+0.000, +0.200]; effect 1" in shown
    assert "effect 2" in shown and "effect 3" not in shown and "make it" not in shown
    assert all(f"- effect {i} " in folded for i in range(5)) and "make it" in folded
    assert ledger_page.ABOUT["C1"].plain in shown and "{doc}`ch10-full-system`" in shown


def test_what_was_not_run_has_no_fold_and_no_backbone():
    card = ledger_page.card(Entry("N1", "open"))
    assert "**not run**" in card and ":::" not in card and "tiny" not in card


def test_no_cell_is_longer_than_five_lines():
    text = ledger_page.card(entry("G", n=24, verdict="missed"))
    cells = [c for line in text.splitlines() if line.startswith("|") for c in line.split("|")]
    assert max(map(len, cells)) < 5 * 90 and "<br>" not in text


def test_the_overview_puts_both_verdicts_side_by_side():
    table = ledger_page.overview([entry("C1", verdict="missed"), entry("C7")], [entry("C1", verdict="reproduced")])
    assert "| C1 | claim C1 | reproduced (tiny) | missed (tiny) | {doc}`ch10-full-system` |" in table
    assert "| C7 | claim C7 |  | not run | {doc}`ch05-alignment` |" in table and "| E1 |" not in table


@pytest.mark.parametrize("low, high, answer", [(0.0, 0.2, "cannot tell"), (0.01, 0.2, "yes"), (-0.2, -0.01, "no")])
def test_the_readme_shows_the_chosen_effects(low, high, answer):
    x = entry("C1", n=2, verdict="not reproduced")
    for label in ("over the counting model: HR@1", "the start over direct SFT: NDCG@10"):
        x.effects.append(Effect(label, Difference((low + high) / 2, low, high)))
    first, second_row = ledger_page.short([x, entry("C4")]).splitlines()[2:]
    assert f"| {answer} (tiny) | the start over direct SFT: NDCG@10 " in first and first.endswith("| 5 | C1 |")
    assert "| not reproduced (tiny) | over the counting model: HR@1 " in second_row
    x.effects.append(Effect("one thought over direct SFT, each at its best rate", Difference(-0.2, -0.3, -0.1)))
    assert "| no (tiny) | one thought over direct SFT, each at its best rate -0.200" in ledger_page.short([x])


@pytest.mark.parametrize("low, answer", [(0.01, "partly"), (-0.01, "cannot tell")])
def test_another_metric_of_the_first_comparison_makes_a_part_of_an_answer(low, answer):
    x, pair = entry("C1", n=0), "one thought over direct SFT, each at its best rate"
    x.effects = [
        Effect(f"{pair}: NDCG@10", Difference(0.0, -0.1, 0.1)),
        Effect(f"{pair}: HR@1", Difference(0.1, low, 1)),
    ]
    x.effects.append(Effect("the start over direct SFT: NDCG@10", Difference(0.2, 0.1, 0.3)))  # of another comparison
    shown = f"| {answer} (tiny) | {pair}: NDCG@10 +0.000 [-0.100, +0.100], HR@1 +0.100 [{low:+.3f}, +1.000] |"
    assert shown in ledger_page.short([x])


def test_the_page_ends_with_where_its_numbers_come_from():
    assert ledger_page.cards([entry("C1")], "first edition").startswith("### C1, first edition: claim C1")
    assert ledger_page.cards([entry("C1")]).endswith("about 1.0 M weights; profile x; 10 test requests; made on h.\n")
