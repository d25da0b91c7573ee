"""Render the pages of the book from its notebooks. Nothing is executed here, and nothing is fetched."""

from __future__ import annotations

import copy
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from crs_lite.errors import CRSError
from crs_lite.files import write_text
from crs_lite.site.address import address

ADDED_TAGS = {"injected-parameters", "papermill-error-cell-tag"}  # cells papermill puts into the notebooks it runs
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def without_added_cells(notebook: NotebookNode) -> NotebookNode:
    """A copy of an executed notebook without what running added: papermill's cells, and the records of the run.

    This is the form in which a run is committed.
    """
    clean = copy.deepcopy(notebook)
    clean.cells = [c for c in clean.cells if not ADDED_TAGS & set(c.metadata.get("tags", []))]
    for part in (clean, *clean.cells):
        for record in ("papermill", "crs", "execution"):
            part.metadata.pop(record, None)
    return clean


def with_banner(notebook: NotebookNode) -> NotebookNode:
    """The executed notebook as a page: papermill's cells gone, and under the title a banner saying whose run it is."""
    page, run = without_added_cells(notebook), notebook.metadata["crs"]
    banner = (
        "\n\n:::{admonition} Not the book's own numbers\n:class: important\n"
        f"This page shows a run of profile `{run['profile']}` made on {run['date']}, hardware {run['hardware']}.\n"
        + (f"\n**The run stopped before its end.** {run['error']}\n" if run["error"] else "")
        + ":::\n"
    )
    for cell in page.cells:
        if cell.cell_type == "markdown" and (title := re.search(r"^# .+$", cell.source, re.M)):
            cell.source = cell.source[: title.end()] + banner + cell.source[title.end() :]
            return page
    page.cells.insert(0, nbformat.v4.new_markdown_cell(banner.strip()))
    return page


def render(root: Path, out: Path, executed: dict[str, Path] | None = None) -> Path:
    """Build the pages from a copy, in `out/src`, of the sources in `root`; returns the path of `out/html/index.html`.

    `executed` maps chapters to the notebooks shown instead of the committed ones. Any warning is an error: raises
    `CRSError` with the first one.
    """
    src, html = out / "src", out / "html"
    for old in (src, html, out / "_build"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(root / "book", src / "book", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for folder, _, files in os.walk(src):  # the sources may be read-only; a copy must be ours to write and to delete
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chmod(path, os.stat(path).st_mode | stat.S_IWUSR)
    shutil.copyfile(root / "_toc.yml", src / "_toc.yml")
    _add_address(root, src)
    for chapter, path in (executed or {}).items():
        nbformat.write(with_banner(nbformat.read(path, as_version=4)), src / f"{chapter}.ipynb")
    live = src / "book" / "live"
    if (src / "book" / "try-it.md").exists():
        from crs_lite.site.live import write  # loads the model, which takes seconds

        write(live)
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(src)]
    command += ["--path-output", str(out), "-W", "-n", "--keep-going"]
    log = out / "render.log"
    with log.open("w", encoding="utf-8") as f:
        done = subprocess.run(command, env=os.environ | OFFLINE, stdout=f, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8"))
        faults = re.findall(r"^.*(?:WARNING|ERROR|Error): .*$", text, re.M) or text.strip().splitlines()[-1:]
        raise CRSError(f"the pages were not rendered: {faults[0].replace(f'{src}{os.sep}', '')} (more in {log}).")
    (out / "_build" / "html").rename(html)
    _add_live(live, html / "book")
    return html / "index.html"


def _add_address(root: Path, src: Path) -> None:
    """The settings of the copy, in which the links of this checkout are known: a copy has no `origin` to ask."""
    settings, where = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")), address(root)
    if where:
        settings["repository"] = (settings.get("repository") or {}) | where._asdict()
    write_text(src / "_config.yml", yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))


def _add_live(folder: Path, pages: Path) -> None:
    """Put beside the pages what they load from `live/`: not through `_static`, whose scripts every page would load."""
    for page in sorted(pages.glob("*.html")):
        for name in re.findall(r'(?:src|href)="live/([\w.-]+)"', page.read_text(encoding="utf-8")):
            if not (folder / name).exists():
                raise CRSError(f"{page.stem}: loads live/{name}, which is not in book/live; add it or drop the line.")
            (pages / "live").mkdir(exist_ok=True)
            shutil.copy2(folder / name, pages / "live")
