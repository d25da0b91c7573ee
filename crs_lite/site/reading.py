"""The core path: five chapters that tell the whole story, with the minutes they take, as the README shows them."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from crs_lite.chapters.lesson import recorded_minutes
from crs_lite.paths import ROOT
from crs_lite.site.address import Address
from crs_lite.site.handouts import colab_url

CORE = ("ch01-search-box", "ch03-semantic-ids", "ch04-tries-and-beams", "ch08-r-grpo", "ch10-full-system")
WORDS_A_MINUTE = 180  # of text that one also thinks about (our choice)


def reading_minutes(path: Path) -> int:
    """Minutes to read the text of a notebook, its exercises but not their solutions."""
    cells = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"]
    text = re.sub(r":::\{solution-start\}.*?:::\{solution-end\}", "", "\n".join(cells), flags=re.S)
    return round(len(text.split()) / WORDS_A_MINUTE)


def core_path(where: Address, root: Path = ROOT) -> str:
    """A table: chapter, minutes to read and to run (recorded, `laptop`), link to Colab; and their sum."""
    lines, total = ["| chapter | minutes to read | to run | |", "| --- | --- | --- | --- |"], 0
    for stem in CORE:
        path = root / "book" / f"{stem}.ipynb"
        title = re.search(r"^# (.+)$", nbformat.read(path, as_version=4).cells[0].source, re.M)[1]
        total += reading_minutes(path)
        ran = recorded_minutes(stem, "laptop")
        run = f"{ran:.1f}" if ran is not None else "not run"
        link = f"[Colab]({colab_url(stem, where)})"
        lines.append(f"| [{title}](book/{stem}.ipynb) | {reading_minutes(path)} | {run} | {link} |")
    return "\n".join([*lines, f"| together | {total} | | |"]) + "\n"
