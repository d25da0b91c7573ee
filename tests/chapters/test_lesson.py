"""The self-check, the running example, the run box, the headline."""

import json

import numpy as np
import pandas as pd
import pytest
from toy import toy_log

from crs_lite.chapters import checkpoints, lesson
from crs_lite.errors import CRSError
from crs_lite.site import build


def test_check_knows_right_from_wrong(monkeypatch, tmp_path, capsys):
    answers = {
        "a": {"answer": 0.5, "tolerance": 0.01, "hint": "halve it."},
        "b": {"answer": [1, 2.0], "hint": "two."},
        "c": {"answer": "rises", "hint": "look."},
    }
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(answers), encoding="utf-8")
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


def test_the_running_example_is_one_request_of_the_frozen_shop(shop):
    log, _ = shop
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
    assert box["minutes"].to_dict() == {"smoke": "1.2", "laptop": "1.2", "colab": "not run", "gpu": "not run"}
    assert box.loc["laptop", "to expect"] == "NDCG@10 0.500"
    assert "bad" not in json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_headline_is_a_finite_number(value):
    with pytest.raises(CRSError, match="finite"):
        lesson.headline("NDCG@10", value)


def test_a_headline_is_shown_and_can_be_found_again(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append(data))
    lesson.headline("NDCG@10", 0.123456)
    assert shown == [{lesson.HEADLINE_MIME: {"name": "NDCG@10", "value": 0.123456}, "text/plain": "NDCG@10: 0.1235"}]


def test_answers_are_compared_as_what_they_are():
    """Numbers within a tolerance, lists one by one, words exactly."""
    assert lesson._same(1, 1.0, 1e-6) and not lesson._same(True, 2, 1e-6) and not lesson._same("1.1", 1.0, 1e-6)
    assert lesson._same([1, [2.0, "a"]], (1, (2, "a")), 1e-6) and not lesson._same([1, 2], [1, 2, 3], 1e-6)
    assert not lesson._same(None, 0.0, 1.0) and lesson._same(0.0, 1e-9, 1e-6)


def test_long_cells_of_a_table_are_not_cut():
    table = lesson.Whole({"x": ["word " * 40]})
    assert ("word " * 40).strip() in table._repr_html_() and "..." not in repr(table)


def test_what_the_request_is_so_far_grows_chapter_by_chapter(shop):
    log = shop[0]
    codec = checkpoints.codec(log)
    request = lesson.running_example(log)
    two = lesson.so_far(codec, request, 2)
    assert list(two.index) == ["1 search box", "2 context"]
    assert two.loc["1 search box", "here"] == f"'case' -> {log.items[request.target].title}"
    kept = codec.context(request).to_json().count('"clicked"')
    assert two.loc["2 context", "here"] == f"{len(codec.prompt(request))} tokens, {kept} of the latest 10 interactions"
    five = lesson.so_far(codec, request, 5, "lost", "first: a case")
    assert five.loc["3 semantic IDs", "here"] == codec.sids.to_string(request.target)
    assert five["here"].tolist()[3:] == ["lost", "first: a case"] and five.iloc[:2].equals(two)
    seven = lesson.so_far(codec, request, 7, "lost", "first: a case", "a thought", "eight rewards")
    assert seven.iloc[:5].equals(five) and list(seven.index[5:]) == ["6 teachers", "7 GRPO"]
    for chapter, here in ((4, ()), (3, ("too much",)), (0, ()), (99, ("a",) * 96)):
        with pytest.raises(CRSError, match="so_far"):
            lesson.so_far(codec, request, chapter, *here)


@pytest.mark.parametrize(
    "answer", [np.arange(3), np.eye(2), pd.DataFrame({"a": [1, 2]}), [np.eye(2)], 10**400, {1: 2}, b"x"]
)
def test_an_answer_of_any_kind_is_right_or_not_yet(answer, capsys):
    for label in json.loads(lesson.ANSWERS.read_text(encoding="utf-8")):
        assert lesson.check(label, answer) is False
    assert "not yet" in capsys.readouterr().out
