"""Tables and answers on a real log, from rows whose answer is known."""

import pytest
from known_world import world

from crs_lite.errors import CRSError
from crs_lite.paths import BOOK
from crs_lite.study import real_log, recorded
from crs_lite.study.real_log import QUESTIONS, SYSTEMS

QUALITY = {"direct": 0.2, "distilled": 0.5, "distilled-thoughts": 0.5, "rgrpo": 0.3, "counting": 0.3, "popularity": 0.1}
PROTOCOL = (BOOK / "protocol-3.md").read_text(encoding="utf-8")


@pytest.fixture
def known(tmp_path):
    """Rows of a world in which a system puts the target first with the chance above; counting has one row."""

    def make(seeds):
        world(tmp_path, {("own-log", name): p for name, p in QUALITY.items()}, seeds)
        of = real_log.rows(tmp_path)
        for name in of:
            for row in of[name].values():
                row["stage"] = "ids" if name in ("counting", "popularity") else name
        for name in ("counting", "popularity"):
            of[name] = {0: of[name][0]}
        return of

    return make


def test_answers_of_a_world_that_is_known(known):
    of = known(3)
    found = {q: real_log.answer(of, q) for q in QUESTIONS}
    assert {q: verdict for q, (verdict, *_) in found.items()} == {
        "R1": "yes", "R2": "open", "R3": "no", "R4": "open", "R5": "not run"
    }  # fmt: skip
    assert found["R1"][2] == 3 and found["R1"][1][0].startswith("NDCG@10 +0.3")
    assert found["R4"][2] == 3  # the one row of what does not learn stands beside every seed


def test_too_few_seeds_answer_nothing(known):
    assert real_log.answer(known(2), "R1")[0] == "not run: 2 of 3 seeds so far"


def test_one_seed_of_what_learns_stands_beside_that_seed_only(known):
    of = known(3)
    of["direct"] = {0: of["direct"][0]}
    assert real_log.answer(of, "R1")[2] == 1


def test_the_table_has_a_line_for_every_system_and_says_what_is_missing(tmp_path):
    world(tmp_path, {("own-log", name): p for name, p in QUALITY.items() if p != 0.3}, 3)
    for path in (tmp_path / "own-log").glob("*.json"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"n":', '"stage": "x",\n "n":', 1), encoding="utf-8")
    table = real_log.markdown(tmp_path)
    lines = {line.split(" | ")[0].strip("| "): line for line in table.splitlines() if line.startswith("| ")}
    assert all(label in lines for label, _ in SYSTEMS.values())
    assert "not run" in lines["BM25"] and lines["direct training"].endswith("| 0 1 2 |")
    assert "300 test requests; profile x, about 0.0 M weights from scratch; made on h, from commit abc" in table
    assert real_log.markdown(tmp_path / "nothing").count("not run") == len(SYSTEMS) + len(QUESTIONS)


def test_a_difference_is_spread_over_what_could_be_said(tmp_path):
    """Six requests by hand: two of each kind, in which `a` gains 0, loses all, and gains all."""
    lists = {"request_ids": [0, 1, 2, 3, 4, 5], "n": 6, "cold": [0] * 6}
    a = {0: {"row": "a", **lists, "ranks": [0, 0, None, None, 0, 0]}}
    b = {0: {"row": "b", **lists, "ranks": [0, 0, 0, 0, None, None]}}
    about = {"schema": 2, "experiment": "own-log-lessons", "row": "expected-test", "seed": 0}
    expected = {**about, "request_ids": lists["request_ids"], "said": [0, 0, 1, 2, 1, 2], "true": [0, 0, 0, 0, 1, 1]}
    recorded.write(tmp_path / "own-log-lessons" / "expected-test-seed0.json", expected)
    found = real_log.spread(tmp_path, a, b)
    assert {k: (n, d.mean) for k, (n, d) in found.items()} == {
        "nothing": (2, 0.0), "false of the click": (2, -1.0), "true of the click": (2, 1.0)
    }  # fmt: skip
    with pytest.raises(CRSError, match="not on the requests"):
        real_log.spread(tmp_path, a, {0: {**b[0], "request_ids": [1, 2, 3, 4, 5, 6]}})


def test_the_questions_are_those_of_the_protocol():
    for question, (words, *_) in QUESTIONS.items():
        assert f"| {question} | {words} " in PROTOCOL
