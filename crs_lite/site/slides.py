"""The figures of the chapters as slides for class: one file a figure, and a page that shows them one by one."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

import nbformat

from crs_lite.files import write_text
from crs_lite.paths import ROOT
from crs_lite.site.build import notebooks

CAPTION = re.compile(r"\A\*\*Figure (\d+\.\d+)\.\*\* (.+?)(?:\n\n|\Z)", re.S)
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Figures</title>
<style>
body {{ margin: 0; font: 1.3rem/1.4 system-ui, sans-serif; scroll-snap-type: y mandatory;
  background: #fff; color: #111 }}
section {{ min-height: 100vh; box-sizing: border-box; padding: 3vh 4vw; scroll-snap-align: start;
  display: flex; flex-direction: column; gap: 2vh }}
img {{ flex: 1; min-height: 0; max-height: 68vh; max-width: 100%; object-fit: contain; align-self: center }}
h2, p {{ margin: 0 }}
</style>
{slides}
<script>
// Space and arrow keys go from slide to slide.
const all = [...document.querySelectorAll("section")];
addEventListener("keydown", ({{ key }}) => {{
  const step = {{ " ": 1, ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }}[key];
  if (!step) return;
  event.preventDefault();
  const now = all.findIndex((s) => s.getBoundingClientRect().bottom > innerHeight / 2);
  all[Math.max(0, Math.min(all.length - 1, now + step))].scrollIntoView();
}});
</script>
</html>
"""


@dataclass(frozen=True)
class Figure:
    """`number` such as "4.2"; `alt`: the finding in words; `png`: the picture."""

    number: str
    caption: str
    alt: str
    png: bytes


def figures(path: Path) -> list[Figure]:
    """Every numbered figure of an executed notebook, in order."""
    found, cells = [], nbformat.read(path, as_version=4).cells
    for cell, below in zip(cells, cells[1:], strict=False):
        pictures = [o.data["image/png"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        caption = CAPTION.match(below.source) if below.cell_type == "markdown" else None
        if pictures and caption:
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            words = re.sub(r"\{\w+\}`([^`<]+?) ?(?:<[^>]*>)?`|[*`$]", r"\1", " ".join(caption[2].split()))
            found.append(Figure(caption[1], words, alt, base64.b64decode(pictures[-1])))
    return found


def write(folder: Path, root: Path = ROOT) -> list[Path]:
    """`figure-4-2.png`, ... and `index.html`, which shows them with their captions. Returns the files."""
    made, slides = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for path in notebooks(root):
        title = next(iter(nbformat.read(path, as_version=4).cells)).source.split("\n")[0].lstrip("# ")
        for figure in figures(path):
            name = f"figure-{figure.number.replace('.', '-')}.png"
            (folder / name).write_bytes(figure.png)
            made.append(folder / name)
            slides.append(
                f'<section><h2>{escape(title)}</h2><img src="{name}" alt="{escape(figure.alt, quote=True)}">'
                f"<p>{figure.number}: {escape(figure.caption)}</p></section>"
            )
    write_text(folder / "index.html", PAGE.format(slides="\n".join(slides)))
    return [*made, folder / "index.html"]
