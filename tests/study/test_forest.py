"""The picture of a ledger shows the numbers of its effects, and nothing else."""

import xml.etree.ElementTree as ET

import pytest

from crs_lite.evaluate import Difference
from crs_lite.study.comparison import Effect, Entry
from crs_lite.study.forest import DOWN, OPEN, UP, forest

ENTRIES = [
    Entry("C1", "claim", effects=[Effect("a & b", Difference(0.02, 0.01, 0.03)), "said, not measured"]),
    Entry("C2", "o", effects=[Effect("b", Difference(-0.03, -0.05, -0.01)), Effect("c", Difference(0, -0.01, 0.02))]),
]


def picture():
    root = ET.fromstring(forest(ENTRIES))
    groups = root.findall(".//g")
    return root.find("svg"), groups


def test_every_effect_is_a_row_where_its_numbers_lie():
    svg, groups = picture()
    assert [g.find("title").text for g in groups] == [e for x in ENTRIES for e in x.effects if isinstance(e, Effect)]
    marks = {float(t.text): float(t.get("x")) for t in svg.findall("text") if t.text and t.text[0] in "+-"}
    zero, unit = marks[0.0], (marks[0.02] - marks[0.0]) / 0.02  # pixels for a difference of one
    for g, effect in zip(groups, (e for x in ENTRIES for e in x.effects if isinstance(e, Effect)), strict=True):
        line, dot, d = g.find("line"), g.find("circle"), effect.difference
        found = [float(line.get("x1")), float(dot.get("cx")), float(line.get("x2"))]
        assert found == pytest.approx([zero + unit * v for v in (d.low, d.mean, d.high)], abs=0.2)
    assert [g.find("circle").get("fill") for g in groups] == [UP, DOWN, OPEN]


def test_its_words_stand_inside_it_and_take_the_page_s_colour():
    svg, groups = picture()
    width = float(svg.get("viewBox").split()[2])
    assert svg.get("fill") == "currentColor" and not [t for t in svg.iter("text") if t.get("fill")]
    assert [t.text for t in svg.findall("text") if t.get("font-weight")] == ["C1", "C2"]
    for text, line in ((g.find("text"), g.find("line")) for g in groups):
        assert 30 + 7 * len(text.text) < width  # about seven pixels a letter
        assert float(text.get("y")) < float(line.get("y1")) - 4 and 0 < float(line.get("x1")) < float(line.get("x2"))
    assert "3 differences" in svg.get("aria-label") and "1 lie wholly above" in svg.get("aria-label")


def test_a_block_of_html_has_no_empty_line_and_nothing_measured_is_nothing_drawn():
    assert "\n\n" not in forest(ENTRIES).strip()
    assert forest([Entry("N1", "open", effects=["only words"])]) == forest([]) == ""
