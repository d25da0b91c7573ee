"""The enumerable shop's results file is made whole, and its page tells what stands in it."""

import json
import re
from math import log2

import pytest

from crs_lite.enumerable import demonstrations
from crs_lite.errors import CRSError
from crs_lite.paths import BOOK, ENUMERABLE
from crs_lite.study import enumerated, recorded, results

MADE = results.load(ENUMERABLE)
PAGE = (BOOK / "enumerable-shop.md").read_text(encoding="utf-8")


def test_a_record_says_how_it_was_made_and_is_only_made_from_committed_code(tmp_path, monkeypatch):
    monkeypatch.setattr(demonstrations, "everything", lambda: {"noise": {"luck": 1.0}})
    monkeypatch.setattr(recorded, "committed", lambda: "abc")
    path = tmp_path / "new" / "enumerable.json"
    made = enumerated.record(path)
    assert results.load(path) == {"schema": 1, **made} and made["noise"] == {"luck": 1.0}
    assert set(made) == {"command", "commit", "versions", "hardware", "date", "minutes", "noise"}
    assert made["commit"] == "abc" and {"python", "numpy"} <= set(made["versions"])

    def changed():
        raise CRSError("the code is not committed")

    monkeypatch.setattr(recorded, "committed", changed)
    with pytest.raises(CRSError, match="not committed"):
        enumerated.record(path)


def test_another_number_in_the_file_is_another_number_in_the_page():
    other = json.loads(json.dumps(MADE))
    other["commits"]["prob"] = 0.1234567
    for state in other["mends"]["1.0"].values():
        state["after"]["merged"] = 0.5
    text = enumerated.page(PAGE, other)
    assert text != PAGE and enumerated.page(text, MADE) == PAGE
    assert '<span data-recorded="greedy thought">0.123</span>' in text
    assert '<span data-recorded="merged after the loop, bias 1.0">0.500</span>' in text


def test_a_page_that_lost_a_marker_or_asks_for_an_unknown_number_is_refused():
    with pytest.raises(CRSError, match="enumerable-hand"):
        enumerated.page(PAGE.replace("<!-- enumerable-hand:end -->", ""), MADE)
    with pytest.raises(CRSError, match="no number is called 'greed'"):
        enumerated.page(PAGE + '<span data-recorded="greed">1</span>', MADE)


def test_the_page_is_written_in_place(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(re.sub(r'(data-recorded="[^"]+">)[^<]*', r"\1?", PAGE), encoding="utf-8")
    enumerated.write_page(path, MADE)
    assert path.read_text(encoding="utf-8") == PAGE


def test_the_table_to_check_by_hand_is_right_by_hand():
    table = enumerated.tables(MADE)["enumerable-hand"].replace("&nbsp;", " ")
    rows = re.findall(r"^\| (\d) \| (.+) \| (.+) \| (.+) \| (.+) \|$", table, re.M)
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for column, key in ((1, "one"), (3, "merged")):
        total = 0.0
        for k, row in enumerate(rows):
            category, *taste = row[column].split()
            of_taste = {"Alba plain": 0.42, "Brio bold": 0.34}.get(" ".join(taste), 0.04)
            p, weight = (0.9 if category == "lamp" else 0.05) * of_taste, 1 / log2(k + 2)
            assert row[column + 1] == f"{p:.3f} × {weight:.3f} = {p * weight:.3f}"
            total += p * weight
        assert f"{MADE['commits']['quality'][key]:.3f}" in table.rstrip().splitlines()[-1]
        assert total == pytest.approx(MADE["commits"]["quality"][key], abs=1e-9)


def test_means_are_those_of_the_file():
    known = enumerated.numbers(MADE)
    after = [seed["after"]["one"] for seed in MADE["sharpens"].values()]
    assert known["one after long RL"] == f"{sum(after) / len(after):.3f}"
    prior = [seed["before"]["prior"] for seed in MADE["mends"]["1.0"].values()]
    assert known["prior before the loop, bias 1.0"] == f"{sum(prior) / len(prior):.3f}"
    assert known["groups drawn rare"] == f"{MADE['noise']['targets']['lamp Alba light']['drawn']['groups']:.1f}"
    assert known["thoughts"] == f"{1 + 12 + 12**2 + 12**3:,}"
