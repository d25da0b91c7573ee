"""The plans for class name what is there: every figure of the chapters they predict, in its section."""

import re

import nbformat
import pytest

from crs_lite.paths import BOOK

GUIDE = (BOOK / "instructors.md").read_text(encoding="utf-8")


def figures(number: int) -> dict[str, str]:
    """Figure -> the section it stands in, of a chapter as it is."""
    (path,) = BOOK.glob(f"ch{number}-*.ipynb")
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    found, section = {}, ""
    for line in text.splitlines():
        section = line[3:] if line.startswith("## ") else section
        if figure := re.match(r"\*\*Figure ([\d.]+)\.\*\*", line):
            found[figure[1]] = section
    return found


@pytest.mark.parametrize("chapter", [11, 13, 14])
def test_every_figure_is_predicted_once_and_stands_where_the_guide_says(chapter):
    rows = re.findall(rf"^\| ({chapter}\.\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", GUIDE, flags=re.M)
    there = figures(chapter)
    assert [figure for figure, *_ in rows] == list(there)
    assert all(there[figure].startswith(section.rstrip("?")) for figure, section, *_ in rows)


def test_the_minutes_of_every_session_follow_each_other_and_fill_it():
    lengths = {"90 minutes": 90, "two hours": 120, "ninety minutes": 90}
    sessions = re.findall(r"^## (A (?:lecture|session) [^\n]*)\n(.*?)(?=^## )", GUIDE, flags=re.M | re.S)
    assert len(sessions) == 4
    for title, text in sessions:
        spans = [tuple(map(int, row)) for row in re.findall(r"^\| (\d+)–(\d+) \|", text, flags=re.M)]
        assert spans[0][0] == 0 and spans[-1][1] == next(n for words, n in lengths.items() if words in title), title
        assert all(a[1] == b[0] for a, b in zip(spans, spans[1:], strict=False)), title
