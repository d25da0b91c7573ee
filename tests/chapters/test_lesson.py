"""The self-check, the example, the run box; and every chapter has the parts that a chapter has."""

import json
import re
from pathlib import Path

import pytest
from toy import toy_log

from crs_lite import marketplace
from crs_lite.chapters import lesson
from crs_lite.errors import CRSError
from crs_lite.paths import SHIPPED
from crs_lite.site import build

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "book").glob("ch*.ipynb"))
ANSWERS = json.loads(lesson.ANSWERS.read_text())


def test_check_knows_right_from_wrong(monkeypatch, tmp_path, capsys):
    answers = {
        "a": {"answer": 0.5, "tolerance": 0.01, "hint": "halve it."},
        "b": {"answer": [1, 2.0], "hint": "two."},
        "c": {"answer": "rises", "hint": "look."},
    }
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(answers))
    monkeypatch.setattr(lesson, "ANSWERS", path)
    assert (
        lesson.check("a", 0.503)
        and not lesson.check("a", 0.6)
        and not lesson.check("a", "half")
        and not lesson.check("a", None)
    )
    assert lesson.check("b", (1, 2)) and not lesson.check("b", [1]) and not lesson.check("b", 1)
    assert lesson.check("c", "rises") and not lesson.check("c", "falls")
    assert "a: right" in (out := capsys.readouterr().out) and "a: not yet. halve it." in out
    with pytest.raises(CRSError, match="no exercise 'd'"):
        lesson.check("d", 1)


def test_the_running_example_is_one_request_of_the_frozen_shop():
    log, _ = marketplace.load(SHIPPED)
    example = lesson.running_example(log)
    assert example.split == "valid" and example.query == "case" and log.n_past(example) >= 8
    with pytest.raises(CRSError, match="no request like"):
        lesson.running_example(toy_log())


def test_the_run_box_tells_what_was_recorded_and_nothing_else(monkeypatch, tmp_path):
    path = tmp_path / "chapters.json"
    monkeypatch.setattr(lesson, "CHAPTERS", path)
    assert (lesson.run_box("ch")["minutes"] == "not run").all()
    runs = [
        build.NotebookRun("book/ch", 1.234, 500.4, {"NDCG@10": 0.5}),
        build.NotebookRun("book/bad", 1, 1, {}, "fault"),
    ]
    build.record(build.BookReport("laptop", "a machine", runs, None), path)
    build.record(build.BookReport("smoke", "a machine", runs[:1], None), path)
    box = lesson.run_box("ch")
    assert (
        box.loc["laptop", "minutes"] == box.loc["smoke", "minutes"] == "1.2" and box.loc["gpu", "minutes"] == "not run"
    )
    assert box.loc["laptop", "to expect"] == "NDCG@10 0.500" and "bad" not in json.loads(path.read_text())


def source(path: Path) -> str:
    return "\n".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"])


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
        for c in json.loads(path.read_text())["cells"]
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
    every = "".join(map(source, CHAPTERS))
    assert all(f":label: {label}\n" in every for label in ANSWERS)
