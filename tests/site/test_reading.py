"""The core path is made from the chapters."""

import nbformat
import pytest

from crs_lite.paths import BOOK
from crs_lite.site import reading
from crs_lite.site.address import Address


def test_minutes_count_words_without_solutions_and_code(tmp_path):
    words = " ".join(["word"] * 359)
    solution = ":::{solution-start} ex1-1\n:::\n" + "more " * 500
    cells = [
        nbformat.v4.new_markdown_cell(f"# {words}"),
        nbformat.v4.new_code_cell("x = 1\n" * 900),
        nbformat.v4.new_markdown_cell(solution),
        nbformat.v4.new_markdown_cell(":::{solution-end}\n:::"),
    ]
    path = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert reading.reading_minutes(path) == 2


def test_every_chapter_of_the_path_stands_with_its_title_minutes_and_link():
    table = reading.core_path(Address("https://github.com/an/other", "v9"))
    lines = table.splitlines()[2:-1]
    assert len(lines) == len(reading.CORE) == 5
    minutes = [int(line.split("|")[2]) for line in lines]
    for stem, line in zip(reading.CORE, lines, strict=True):
        assert f"(book/{stem}.ipynb)" in line and (BOOK / f"{stem}.ipynb").exists()
        assert f"/an/other/blob/v9/book/colab/{stem}.ipynb" in line
    assert int(table.splitlines()[-1].split("|")[2]) == sum(minutes) == pytest.approx(90, abs=20)
