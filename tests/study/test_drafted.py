"""The record of a chat model beside the template teachers: its counts are those of its drafts, counted again here."""

import json
import re

import pytest
from little_chat import little_chat

from crs_lite import marketplace, paths
from crs_lite.__main__ import main
from crs_lite.chapters import checkpoints
from crs_lite.errors import CRSError
from crs_lite.ranker import CRSRanker
from crs_lite.reasoning.drafts import KEPT, REASONS, ChatTeacher, Judge
from crs_lite.reasoning.facets import facet_values
from crs_lite.reasoning.foresight import Foresight
from crs_lite.reasoning.teacher import Evidence, Teacher, TeacherBias
from crs_lite.study import drafted


def count_again(made):
    """Verdict -> drafts, requests with one kept, from what was written alone."""
    counts = {name: sum(w.verdict == name for w in made.written) for name in (KEPT, *REASONS)}
    return counts, len({w.request for w in made.written if w.verdict == KEPT})


@pytest.mark.slow
def test_the_command_with_a_chat_model_from_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    model, tokenizer = little_chat()
    model.float().save_pretrained(tmp_path / "mine")
    tokenizer.save_pretrained(tmp_path / "mine")
    words = ["draft", "--teacher", str(tmp_path / "mine"), *"--requests 3 --drafts 2 --tokens 8".split()]
    assert main(words) == 0
    made = drafted.load(tmp_path / "runs" / "drafts.json")
    assert made.teacher.startswith("mine ") and len(made.requests) == 3 and len(made.written) == 6
    assert [row.name for row in made.rows] == [made.teacher, "hindsight", "foresight"]
    assert all(row.drafts == 6 == sum(row.counts.values()) for row in made.rows)
    assert (made.rows[0].counts, made.rows[0].with_one) == count_again(made)
    assert made.tokens_written == sum(w.tokens for w in made.written) > 6 and made.tokens_read > 600
    said = capsys.readouterr().out
    assert f"{made.tokens_written:,} written" in said and "requests with one kept, of 3" in said
    kept = len((tmp_path / "runs" / "drafts.jsonl").read_text().splitlines())
    assert main(words) == 0  # from the cache
    again = drafted.load(tmp_path / "runs" / "drafts.json")
    assert again.written == made.written and again.seconds == made.seconds
    assert len((tmp_path / "runs" / "drafts.jsonl").read_text().splitlines()) == kept == 3
    assert main(["draft", "--teacher", str(tmp_path / "gone")]) == 2
    assert "give the folder of a chat model" in capsys.readouterr().err


# -- what is recorded -------------------------------------------------------------------------------

MADE = drafted.load(paths.DRAFTS)


def test_the_record_is_of_twenty_requests_and_counts_its_drafts():
    assert len(MADE.requests) == len(set(MADE.requests)) == 20 and len(MADE.written) == 20 * MADE.n == 80
    assert "+changes" not in MADE.commit and MADE.teacher.startswith("smollm2 ") and not MADE.hindsight
    assert (MADE.rows[0].counts, MADE.rows[0].with_one) == count_again(MADE)
    assert MADE.command.startswith("python -m crs_lite draft --teacher smollm2 --requests 20 --drafts 4")
    assert all(sum(row.counts.values()) == row.drafts == 80 for row in MADE.rows)
    table = drafted.table(MADE)
    assert list(table.columns) == ["smollm2", "hindsight", "foresight"]
    assert list(table.loc["kept"]) == [row.counts[KEPT] for row in MADE.rows]


@pytest.mark.slow
def test_recorded_verdicts_can_be_reached_again():
    """By the words: what a plain search finds stated, and the chances behind it. By the beam: each kept draft alone."""
    log, _ = marketplace.load(paths.SHIPPED)
    evidence, codec = Evidence(log), checkpoints.codec(log)
    by_id = {r.id: r for r in log.split("train")}
    requests = [by_id[i] for i in MADE.requests]
    assert ChatTeacher(log, evidence, None, seed=MADE.seed, shots=MADE.shots).messages(requests[0]) == MADE.prompt
    values = {v.lower(): k for k, of in facet_values(log).items() for v in of}
    pattern = re.compile("|".join(rf"\b{re.escape(v)}\b" for v in sorted(values, key=len, reverse=True)))
    template = Foresight(log, evidence, TeacherBias(0, 0))
    for w in MADE.written:
        outside = re.sub(r'"[^"]*"', '"', w.text).lower()
        stated = {values[v]: v for v in pattern.findall(outside)}
        if w.verdict == "nothing":
            assert not stated
        if w.verdict in (KEPT, "missed", "repeated", "contradiction"):
            assert stated and w.closed and w.text[-1] in ".!?"
        if w.verdict in (KEPT, "missed"):
            for key, value in stated.items():
                spelt = next(v for v in facet_values(log)[key] if v.lower() == value)
                chance = evidence.support(by_id[w.request], key, spelt, held_out=True)[1]
                assert chance >= 0.4 or template.claims(by_id[w.request])[key] == spelt
    judged = [w for w in MADE.written if w.verdict in (KEPT, "missed")]
    model = checkpoints.model(MADE.judge)
    for w in judged:
        r = by_id[w.request]
        ranked = CRSRanker("one", model, codec, lambda _, t=w.text: t, progress=False).rank([r], 10)[0]
        assert (r.target in ranked) is (w.verdict == KEPT)


def test_each_template_teacher_is_judged_by_its_own_recipe(toy_kit):
    """Without planted faults none of its drafts is unsupported, though hindsight states categories no fact supports."""
    log, _, _, codec = toy_kit
    evidence = Evidence(log)
    for kind in (Teacher, Foresight):
        teacher = kind(log, evidence, TeacherBias(0, 0))
        judge = Judge(teacher, codec, None)
        texts = [[drafted.Draft(teacher.write(r), 1, True)] for r in log.split("train")]
        assert not any(v == ["unsupported"] for v in judge.verdicts(log.split("train"), texts))


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "drafts.json").write_text(json.dumps({"rows": 3}), encoding="utf-8")
    with pytest.raises(CRSError, match="drafts.json.*make it with `python -m crs_lite draft --record`"):
        drafted.load(tmp_path / "drafts.json")
