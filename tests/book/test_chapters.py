"""Every chapter has the parts that a chapter has, and is committed as a clean, finished run."""

import base64
import json
import re
from pathlib import Path

import nbformat
import pytest

from crs_lite.chapters import lesson
from crs_lite.paths import BOOK, ROOT
from crs_lite.site import build, render

CHAPTERS = sorted(BOOK.glob("ch*.ipynb"))
ANSWERS = json.loads(lesson.ANSWERS.read_text(encoding="utf-8"))


def source(path: Path) -> str:
    return "\n".join("".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"])


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_has_every_part(path):
    text = source(path)
    assert "After this chapter you can" in text and f'run_box("{path.stem}")' in text
    for part in (
        "## Run it",
        "## Break it",
        "## What our request is so far",
        "## How this differs from the paper",
        "## Quick check",
        "## Exercises",
        "## Summary",
    ):
        assert part in text, part
    assert "running_example(log)" in text and "{cite" in text
    assert text.count(":class: dropdown") >= 3 + 3  # quick checks and solutions
    images = [
        c
        for c in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if any("image/png" in o.get("data", {}) for o in c.get("outputs", []))
    ]
    assert len(images) >= 3
    for cell in images:
        assert len(cell["metadata"]["mystnb"]["image"]["alt"]) > 60


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_exercise_has_a_solution_that_checks_itself(path):
    text = source(path)
    exercises = re.findall(r":::\{exercise\}\n:label: (ex[\w-]+)", text)
    assert 3 <= len(exercises) <= 5
    for label in exercises:
        solution = text.split(f":::{{solution-start}} {label}\n")[1].split(":::{solution-end}")[0]
        assert f'check("{label}"' in solution and label in ANSWERS


def test_no_answer_without_an_exercise():
    every = "".join(map(source, build.notebooks()))
    assert all(f":label: {label}\n" in every for label in ANSWERS)


@pytest.mark.parametrize("path", build.notebooks(), ids=lambda p: p.stem)
def test_a_committed_notebook_is_a_clean_finished_run(path):
    nb = nbformat.read(path, as_version=4)
    nbformat.validate(nb)
    assert nb.metadata.language_info.name == "python"
    code = [c for c in nb.cells if c.cell_type == "code"]
    build.check_parameters(nb, path, {})
    for cell in nb.cells:
        tags = set(cell.metadata.get("tags", []))
        assert not render.ADDED_TAGS & tags, "papermill's: commit without_added_cells(...)"
    for cell in code:
        assert cell.execution_count is not None, f"never executed: {cell.source[:60]!r}"
        assert not [o for o in cell.outputs if o.output_type == "error"]
        if "alt" in cell.metadata.get("mystnb", {}).get("image", {}):
            assert any("image/png" in o.get("data", {}) for o in cell.outputs), f"no figure: {cell.source[:60]!r}"
    text = path.read_text(encoding="utf-8")
    homes = r"(?<![\w.:/-])/(?:home|root|Users|tmp|mnt|opt|usr|var|content)/[^\s\"\\]*|\b[A-Z]:\\+Users"
    found = re.findall(homes, text)
    assert not found and str(ROOT) not in text, f"paths of one machine: {found[:3]}"


def test_the_map_of_the_first_page_is_that_of_the_quickstart():
    """One picture, kept as a file because the first page runs no code."""
    cells = json.loads((BOOK / "quickstart.ipynb").read_text(encoding="utf-8"))["cells"]
    drawn = next(c for c in cells if "".join(c["source"]).startswith("plots.system_map("))
    picture = next(o["data"]["image/png"] for o in drawn["outputs"] if "image/png" in o.get("data", {}))
    assert (BOOK / "_static" / "map.png").read_bytes() == base64.b64decode(picture)
