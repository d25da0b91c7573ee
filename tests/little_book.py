"""A book of one or two tiny notebooks, and what a reader sees of its pages."""

import html
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import v4

from crs_lite.paths import ROOT

TAGGED = {"tags": ["parameters"]}


def notebook(*code, first='PROFILE = "smoke"', metadata=TAGGED):
    """A title, a parameters cell, and the given code."""
    cells = [v4.new_markdown_cell("# A title\n\nA promise."), v4.new_code_cell(first, metadata=dict(metadata))]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    return v4.new_notebook(cells=cells + [v4.new_code_cell(c) for c in code], metadata=kernel)


def text_of(page: Path) -> str:
    """What a reader sees of an article, white space joined."""
    article = page.read_text(encoding="utf-8").split("<article")[1].split("</article>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", article)).split())


def write_book(root: Path, **chapters) -> Path:
    """A book of the given notebooks in `root`; returns `root`."""
    (root / "book" / "_static").mkdir(parents=True)
    (root / "book" / "intro.md").write_text("# Preface\n\nWords.\n", encoding="utf-8")
    for name, nb in chapters.items():
        nbformat.write(nb, root / "book" / f"{name}.ipynb")
    lines = ["format: jb-book", "root: book/intro", "chapters:", *(f"  - file: book/{c}" for c in chapters)]
    (root / "_toc.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("_config.yml", "book/references.bib", "book/_static/book.css"):
        shutil.copy(ROOT / name, root / name)
    return root
