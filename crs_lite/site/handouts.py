"""Copies of the chapters for class: no directives of the page builder, no solutions, a set-up cell for Colab.

Source and copy are one: `python -m crs_lite handouts` writes `book/colab/` anew from the chapters, and a test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from crs_lite.errors import CRSError
from crs_lite.files import write_text
from crs_lite.paths import ROOT
from crs_lite.site.address import UNSET, Address, address
from crs_lite.site.build import notebooks

FOLDER = Path("book") / "colab"
SETUP = """\
# On Colab, this cell fetches the book's code and what it needs. Elsewhere it does nothing.
import os
import sys

KEEP_ON_DRIVE = False  # True: what is trained survives a disconnect, on your Google Drive

if "google.colab" in sys.modules and not os.path.exists("../crs_lite"):  # not here yet
    import shutil
    import subprocess

    from google.colab import drive

    def call(command):  # stops here when it fails; run the cell again, and it goes on
        subprocess.run(command.split(), check=True)

    if not os.path.exists("{name}"):
        shutil.rmtree("half", ignore_errors=True)
        call("git clone -q --depth 1 --branch {tag} {url} half")
        os.rename("half", "{name}")
    # What is pinned is compared with its sha256; what else it needs comes with the second.
    call("pip install -q --no-deps --require-hashes -r {name}/book/colab/hashes.txt")
    call("pip install -q -r {name}/book/colab/requirements.txt")
    sys.path.insert(0, os.path.abspath("{name}"))
    if KEEP_ON_DRIVE:
        drive.mount(os.path.abspath("drive"))
        os.makedirs("drive/MyDrive/{name}", exist_ok=True)
        if not os.path.lexists("{name}/runs"):
            os.symlink(os.path.abspath("drive/MyDrive/{name}"), "{name}/runs")
    os.chdir("{name}/book")

import torch

if torch.cuda.is_available():
    print("GPU:", torch.cuda.get_device_name(0))
else:
    print("No GPU: all works, but slowly. On Colab: Runtime, Change runtime type, T4 GPU.")
"""
STUB = """\
answer = None  # your answer; then run this cell

check("{label}", answer)"""
OPEN = "# Your code here."  # an exercise that has no single answer


def colab_url(stem: str, where: Address) -> str:
    """Where the copy of a chapter opens in Colab."""
    name = where.url.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{name}/blob/{where.branch}/{FOLDER}/{stem}.ipynb"


# -- Markdown without directives -------------------------------------------------------------------


def citations(bibliography: Path) -> dict[str, tuple[str, str]]:
    """Key -> (authors, year), as a text would name them."""
    from pybtex.database import parse_file

    out = {}
    for key, entry in parse_file(str(bibliography)).entries.items():
        names = [" ".join(p.last_names) for p in entry.persons["author"]]
        who = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
        out[key] = who, entry.fields["year"]
    return out


class Cleaner:
    """Turns the builder's Markdown into plain Markdown. `numbers`: equation label -> how it is called, such as
    "8.2"."""

    def __init__(self, cite: dict[str, tuple[str, str]], numbers: dict[str, str]):
        self.cite, self.numbers = cite, numbers

    def __call__(self, text: str) -> str:
        text = re.sub(
            r":::\{exercise\}\n:label: (?:ex)?([\w-]+)\n(.*?)\n:::", r"### Exercise \1\n\n\2", text, flags=re.S
        )
        text = re.sub(r":::\{(?:admonition|note)\} ?(.*?)\n(.*?)\n:::", self._box, text, flags=re.S)
        text = re.sub(r"\$\$ \((eq-[\w-]+)\)", lambda m: f"\\tag{{{self.numbers[m[1]]}}}\n$$", text)
        text = re.sub(r"\{eq\}`([\w-]+)`", lambda m: f"equation ({self.numbers[m[1]]})", text)
        text = re.sub(r"\{(cite(?::[pt])?)\}`([\w, -]+)`", self._cited, text)
        text = re.sub(r"\{doc\}`([^`<]+?) ?(?:<[^>]*>)?`", r"*\1*", text)
        return re.sub(r"\{term\}`([^`<]+?) ?(?:<[^>]*>)?`", r"*\1*", text)

    def _box(self, m: re.Match) -> str:
        body = re.sub(r"^:class:.*\n", "", m[2] + "\n").strip()
        if ":class: dropdown" in m[2]:
            return f"**{m[1]}**\n\n<details><summary>Answer</summary>\n\n{body}\n\n</details>"
        return f"**{m[1] or 'Note'}**\n\n" + "\n".join(f"> {line}" for line in body.splitlines())

    def _cited(self, m: re.Match) -> str:
        named = [self.cite[key.strip()] for key in m[2].split(",")]
        if m[1] == "cite:t":
            return " and ".join(f"{who} ({year})" for who, year in named)
        return "(" + "; ".join(f"{who}, {year}" for who, year in named) + ")"


def equation_numbers(chapters: list[Path]) -> dict[str, str]:
    """Equation label -> chapter and place in it."""
    out: dict[str, str] = {}
    for path in chapters:
        chapter = re.match(r"ch(\d+)", path.stem)
        text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
        for n, label in enumerate(re.findall(r"\$\$ \((eq-[\w-]+)\)", text), 1):
            out[label] = f"{int(chapter[1])}.{n}" if chapter else str(n)
    return out


# -- notebooks -------------------------------------------------------------------------------------


def handout(notebook: NotebookNode, clean: Cleaner, url: str, tag: str) -> NotebookNode:
    """A copy without outputs and solutions: each solution's cells become one cell that asks for an answer and checks
    it.

    Raises `CRSError` for a solution that does not end.
    """
    cells, skipping = [], None
    for cell in notebook.cells:
        text = cell.source
        if cell.cell_type == "markdown":
            if skipping and ":::{solution-end}" in text:
                text, skipping = text.split(":::{solution-end}\n:::", 1)[1], None
            if skipping:
                continue
            while ":::{solution-start}" in text:
                before, after = text.split(":::{solution-start} ", 1)
                skipping = after.split("\n", 1)[0].strip()
                if before.strip():
                    cells.append(nbformat.v4.new_markdown_cell(clean(before).strip()))
                cells.append(
                    nbformat.v4.new_code_cell(STUB.format(label=skipping) if skipping.startswith("ex") else OPEN)
                )
                text = ""
            if text.strip():
                cells.append(nbformat.v4.new_markdown_cell(clean(text).strip()))
        elif not skipping:
            new = nbformat.v4.new_code_cell(text)
            if tags := cell.metadata.get("tags"):
                new.metadata["tags"] = list(tags)
            if "hide-input" in cell.metadata.get("tags", []):
                new.metadata["cellView"] = "form"
                new.source = "# @title Show the code\n" + text
            if "parameters" in cell.metadata.get("tags", []):
                new.source = re.sub(r'^PROFILE = "\w+"', 'PROFILE = "colab"', text, flags=re.M)
                name = "crs-book"
                cells.append(nbformat.v4.new_code_cell(SETUP.format(url=url, tag=tag, name=name).rstrip()))
            cells.append(new)
    if skipping:
        raise CRSError(f"the solution of {skipping} has no solution-end.")
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i:03d}"
    out = nbformat.v4.new_notebook(cells=cells)
    out.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "accelerator": "GPU",
        "colab": {"gpuType": "T4", "provenance": []},
    }
    return out


def make(root: Path = ROOT, where: Address | None = None) -> dict[str, str]:
    """File name -> content, of every copy. `where`: what their set-up cells fetch, by default this project's address.
    Raises `CRSError` where none is known."""
    where = where or address(root)
    if where is None:
        raise CRSError(UNSET)
    url, tag = where
    chapters = notebooks(root)
    clean = Cleaner(citations(root / "book" / "references.bib"), equation_numbers(chapters))
    return {
        f"{path.stem}.ipynb": nbformat.writes(handout(nbformat.read(path, as_version=4), clean, url, tag)) + "\n"
        for path in chapters
    }


def write(root: Path = ROOT) -> list[Path]:
    """Write all copies and remove those of chapters that are gone."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    fresh = make(root)
    for old in folder.glob("*.ipynb"):
        if old.name not in fresh:
            old.unlink()
    for name, content in fresh.items():
        write_text(folder / name, content)
    return [folder / name for name in fresh]
