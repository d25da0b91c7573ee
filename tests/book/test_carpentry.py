"""In a chapter stands what teaches: short cells, figures with a number and a caption, the finding on top.

`DONE` lists the chapters that keep these rules, besides the quickstart. To widen it, add a chapter's number. `BESIDE`
are the notebooks that are no chapters: what they print is short, too."""

import ast
import json
import re
import tokenize
from io import StringIO

import pytest

from crs_lite.paths import BOOK

DONE = ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14")
BESIDE = [BOOK / "bug-gallery.ipynb", BOOK / "beyond-one-machine.ipynb"]
CHAPTERS = [BOOK / "quickstart.ipynb", *(next(BOOK.glob(f"ch{number}-*.ipynb")) for number in DONE)]
EVERY = CHAPTERS + BESIDE
VISIBLE, HIDDEN, WIDTH = 30, 40, 80  # lines of a cell, columns


def cells(path) -> list[dict]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [{**c, "source": "".join(c["source"])} for c in found]


def code_faults(source: str, hidden: bool) -> list[str]:
    """What a cell of code does that it should not."""
    lines = source.splitlines()
    faults = [f"{len(lines)} lines"] * (len(lines) > (HIDDEN if hidden else VISIBLE))
    faults += [f"{len(line)} columns: {line.strip()[:30]}" for line in lines if len(line) > WIDTH]
    python = re.sub(r"^%.*$", "", source, flags=re.M)
    tree = ast.parse(python)
    if hidden and any(isinstance(n, ast.FunctionDef | ast.ClassDef | ast.For | ast.While) for n in ast.walk(tree)):
        faults.append("an algorithm is hidden")
    drawing = {"plt", "ax", "axes", "fig"}
    faults += [f"draws with {n.id}" for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in drawing]
    return faults + [f"comment behind a statement of several lines: {text}" for text in trailing_comments(python)]


def trailing_comments(python: str) -> list[str]:
    """Comments on a line of code whose statement goes over several lines."""
    found, behind, first = [], [], None
    for token in tokenize.generate_tokens(StringIO(python + "\n").readline):
        if token.type == tokenize.COMMENT and token.line[: token.start[1]].strip():
            behind.append(token.string)
        elif token.type == tokenize.NEWLINE:
            if token.start[0] != first:
                found += behind
            behind, first = [], None
        elif first is None and token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT):
            first = token.start[0]
    return found


@pytest.mark.parametrize("path", EVERY, ids=lambda p: p.stem)
def test_code_teaches_and_is_short(path):
    faults = {}
    for n, cell in enumerate(cells(path)):
        if cell["cell_type"] == "code":
            hidden = "hide-input" in cell["metadata"].get("tags", [])
            if found := code_faults(cell["source"], hidden):
                faults[n] = found
    assert not faults


def printed(cell: dict) -> list[str]:
    """The lines of text that a cell shows as they are: what it prints, and a value that is no table and no figure."""
    texts = []
    for output in cell.get("outputs", []):
        shown = output.get("data", {})
        if not {"text/html", "text/markdown", "image/png"} & set(shown):
            texts += output.get("text", []) or shown.get("text/plain", [])
    return "".join(texts).splitlines()


@pytest.mark.parametrize("path", BESIDE, ids=lambda p: p.stem)
def test_no_printed_line_is_wider_than_the_code(path):
    assert not [line for cell in cells(path) for line in printed(cell) if len(line) > WIDTH]


def test_a_printed_line_is_a_value_or_a_stream_and_no_table():
    outputs = [{"text": ["a" * 50, "b" * 50 + "\n"]}, {"data": {"text/plain": ["c"]}}]
    outputs.append({"data": {"text/plain": ["d" * 90], "text/html": "<table>"}})
    assert printed({"outputs": outputs}) == ["a" * 50 + "b" * 50, "c"] and printed({}) == []


def test_the_rules_for_code_notice_what_they_are_for():
    assert not code_faults("%matplotlib inline\nx = f(\n    1\n)\ny = 2  # (B, T)", hidden=False)
    assert code_faults("x = 1\n" * 31, hidden=False) and not code_faults("x = 1\n" * 31, hidden=True)
    assert code_faults("x = 1\n" * 41, hidden=True)
    assert code_faults("x = " + "1" * 77, hidden=False) and not code_faults("x = " + "1" * 76, hidden=False)
    assert code_faults("def rank(x):\n    return x", hidden=True)
    assert code_faults("ax.plot(x)", hidden=False)
    assert code_faults("x = f(\n    1\n)  # why", hidden=False) and code_faults("x = [\n  1,  # one\n]", hidden=False)


@pytest.mark.parametrize("path", EVERY, ids=lambda p: p.stem)
def test_every_figure_has_its_number_and_a_caption_below_it(path):
    label = "" if path in BESIDE else "0." if path.stem == "quickstart" else f"{int(path.stem[2:4])}."
    all_cells = cells(path)
    figures = [
        n for n, c in enumerate(all_cells) if any("image/png" in o.get("data", {}) for o in c.get("outputs", []))
    ]
    for count, n in enumerate(figures, 1):
        below = all_cells[n + 1]
        caption = rf"\*\*Figure {label}{count}\.\*\* \w.{{40,}}"
        assert below["cell_type"] == "markdown" and re.match(caption, below["source"], re.S), f"figure {count}"
    text = "\n".join(c["source"] for c in all_cells if c["cell_type"] == "markdown")
    captions = re.findall(rf"\*\*Figure {label}(\d+)\.", text)
    assert [int(c) for c in captions] == list(range(1, len(figures) + 1))
    named = {int(n) for n in re.findall(rf"Figure {label}(\d+)", text)}
    assert named <= set(range(1, len(figures) + 1))


@pytest.mark.parametrize("path", EVERY, ids=lambda p: p.stem)
def test_the_finding_stands_on_top_in_three_sentences(path):
    first = cells(path)[0]["source"]
    head = r"\A# [^\n]+\n\n:::\{admonition\} The finding, in three sentences\n:class: tip\n"
    box = re.search(head + r"(.+?)\n:::", first, re.S)
    assert box and len(re.findall(r"[.!?](?=\s|\Z)", box[1])) == 3
