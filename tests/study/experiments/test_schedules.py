"""Every schedule has the same number of updates, of as many tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crs_lite.study.experiments import runner
from crs_lite.study.experiments.schedules import SCHEDULES, TOKENS, as_many
from crs_lite.tasks import Example, token_batches


def test_stages_begin_where_the_one_before_ended(job, hollow):
    assert runner.run_seed(job("schedules")) == len(SCHEDULES)
    stages = [n for n in hollow if n.startswith("schedule-") and "split" not in n]
    assert stages == [
        "schedule-sft-4",
        "schedule-rl-4-rgrpo-lr=0.0001-steps=4",
        "schedule-sft-2",
        "schedule-sft-rl-1-rgrpo-lr=0.0001-steps=2",
        "schedule-rl-2-rgrpo-lr=0.0001-steps=2",
        "schedule-rl-sft-1",
        "schedule-rl-1-rgrpo-lr=0.0001-steps=1",
        "schedule-alternate-1",
        "schedule-alternate-2-rgrpo-lr=0.0001-steps=1",
        "schedule-alternate-3",
    ]


@settings(deadline=None, max_examples=30)
@given(lengths=st.lists(st.integers(20, 300), min_size=1, max_size=40), steps=st.integers(1, 6), seed=st.integers(0, 9))
def test_examples_are_repeated_until_they_fill_the_steps(lengths, steps, seed):
    given_ = [Example([1] * n, [True] * n) for n in lengths]
    found = as_many(given_, steps, seed)
    assert len(token_batches([len(e.ids) for e in found], TOKENS, seed)) == steps
    counts = [sum(e is x for e in found) for x in given_]
    assert max(counts) - min(counts) <= 1 or min(counts) >= 1  # everything comes before anything comes twice more
    assert sum(len(e.ids) for e in found) > (steps - 1) * TOKENS / 2


def test_nothing_to_practise_is_no_lesson():
    assert as_many([], 3, 0) == []


def test_rows_say_what_they_cost(toy_study):
    rows = toy_study.rows["schedules"]
    assert set(rows) == set(SCHEDULES)
    for name, row in rows.items():
        assert row["updates_a_stage"] * len(SCHEDULES[name]) == 4 and row["tokens_an_sft_step"] == TOKENS
    assert len(rows["rl"]["steps"]["rank"]) == pytest.approx(4)
