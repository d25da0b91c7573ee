"""What every experiment is written with: stages made when asked for, and the row of a checkpoint."""

from dataclasses import replace

import toy

from crs_lite.files import write_json_lines
from crs_lite.study.experiments import shared
from crs_lite.training import align, distil


def test_tuned_learning_rates_are_for_the_backbone_they_were_tuned_on(make):
    p = make("shared")
    assert shared.tuned(p, shared.TUNED["grpo"]) == shared.TUNED["grpo"]
    other = replace(p, profile=replace(p.profile, backbone="smollm2"))
    assert shared.tuned(other, shared.TUNED["grpo"]) == {"reward": shared.TUNED["grpo"]["reward"]}


def test_a_later_stage_is_made_once_when_it_is_first_asked_for():
    calls = []

    def work(*inputs, **options):
        calls.append((inputs, options))
        return len(calls)

    first = shared.later(work, "p")
    second = shared.later(work, "p", first, lr=1)
    assert not calls
    assert second() == 2 and second() == 2 and first() == 1
    assert calls == [(("p",), {}), (("p", 1), {"lr": 1})]
    assert shared.made(second) == 2 and shared.made("as it is") == "as it is"


def test_two_rows_one_on_each_split(make, hollow):
    p = make("shared")
    (test, row), (valid, other) = shared.both(p, "direct SFT", shared.later(align, p), "none")
    assert (test, valid) == ("direct-SFT", "direct-SFT-valid")
    assert (row()["split"], other()["split"]) == ("test", "valid")
    assert hollow == ["align", "score-direct-SFT", "score-valid-direct-SFT"]


def test_a_row_holds_what_was_scored_and_where_it_came_from(make, hollow):
    p = make("shared")
    stage = distil(p, align(p))
    ids = [r.id for r in p.test]
    scored = {"name": "x", "n": len(ids), "request_ids": ids, "ranks": [3] * len(ids), "thoughts": ["a"] * len(ids)}
    row = shared.learned(p, scored, stage, arm="rgrpo")
    assert (row["arm"], row["system"], row["split"], row["stage"]) == ("rgrpo", "x", "test", "distil")
    assert row["cold"] == [int(sum(q.user == r.user and q.id < r.id for q in p.log.requests) <= 2) for r in p.test]
    assert row["utility"] is row["true_reasoning_ranks"] is None and "steps" not in row
    assert row["thoughts"] == ["a"] * min(20, len(ids))


def test_the_history_of_rl_comes_with_the_row(make, hollow):
    p = make("shared")
    stage = align(p)
    steps = [{"step": 0, "tokens": 4.5, "kl": 0.1234567}, {"step": 1, "tokens": 3.0, "kl": 0.0}]
    write_json_lines(stage.folder / "steps.jsonl", steps)
    scored = {"name": "x", "n": 1, "request_ids": [p.test[0].id], "ranks": [None]}
    row = shared.learned(p, scored, stage)
    assert row["steps"] == {"tokens": [4.5, 3.0], "kl": [0.12346, 0.0]}
    assert row["rl_tokens"] == 7.5 * p.profile.rl_prompts * p.profile.rl_group
    write_json_lines(stage.folder / "steps.jsonl", [])  # nothing was wrong, so nothing was explored
    assert "steps" not in shared.learned(p, scored, stage)


def test_test_requests_are_scored_under_the_name_of_the_system(make, monkeypatch):
    p = make("shared", toy.Known())
    asked = []

    def score(p, name, stage, reason, split="test", ranker=None):
        asked.append((name, stage, reason, split, ranker))
        return {"name": name}

    monkeypatch.setattr(shared, "score", score)
    monkeypatch.setattr(shared, "learned", lambda p, scored, stage, **about: {**scored, **about})
    assert shared.tested(p, "a", lambda: "made", kept=lambda: 7) == {"name": "a", "kept": 7}
    assert shared.checked(p, "b", "made", "none", "r", lr=1) == {"name": "b", "lr": 1}
    assert asked == [("a", "made", "own", "test", None), ("b", "made", "none", "valid", "r")]


def test_the_arms_and_their_control_differ_in_reward():
    assert set(shared.TUNED) == set(shared.ARMS)
    assert shared.FORM_ONLY["reward"].rank == 0 and shared.TUNED["grpo"]["reward"].validity == 0
