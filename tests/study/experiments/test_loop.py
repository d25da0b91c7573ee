"""Rounds of the loop: each begins where the last one ended, and no two branches share a folder."""

from crs_lite.study.experiments import runner


def test_a_row_that_nobody_wants_trains_nothing(job, hollow):
    assert runner.run_seed(job("loop", "rgrpo-round0-sft")) == 1
    assert "align" in hollow and "round0-rgrpo-sft" in hollow
    assert not [name for name in hollow if "round1" in name or "grpo-grpo" in name or "from-rl" in name]


def test_compared_arms_end_with_the_rl_of_their_last_round(job, hollow):
    assert runner.run_seed(job("loop")) == 5 + 2 + 2
    made = [name for name in hollow if name.startswith(("round0", "round1"))]
    assert {n for n in made if n.endswith("-sft")} == {
        "round0-rgrpo-sft",
        "round1-rgrpo-sft",
        "round0-grpo-sft",
        "round0-beam_top1-sft",
    }
    assert [n for n in made if n.endswith("from-rl")] == ["round0-rgrpo-sft-from-rl", "round1-rgrpo-sft-from-rl"]
    assert len(made) == len(set(made))


def test_only_one_temperature_is_the_profile_s_own(job, hollow):
    """The collection at the usual temperature is the loop's stage; the others have folders of their own."""
    assert runner.run_seed(job("temperature")) == 3
    collected = {name for name in hollow if name.endswith("-collect")}
    assert collected == {"round0-rgrpo-collect", "round0-rgrpo-t0.5-collect", "round0-rgrpo-t1.5-collect"}


def test_rows_of_the_loop(toy_study):
    loop, long_loop = toy_study.rows["loop"], toy_study.rows["long-loop"]
    assert {"grpo-round1-rl", "beam_top1-round1-rl"} <= set(loop) and "beam_top1-round1-sft" not in loop
    assert "rgrpo-round3-sft" in long_loop and {r["arm"] for r in long_loop.values()} == {"rgrpo"}
    for name in set(loop) & set(long_loop):  # the same stages, scored once
        assert loop[name]["ranks"] == long_loop[name]["ranks"] and loop[name]["stage"] == long_loop[name]["stage"]
    kept = loop["rgrpo-round0-sft"]["kept"]
    assert 0 <= kept["kept"] <= kept["of"] == toy_study.open("run").profile.collect_requests
    rows = toy_study.rows["temperature"]
    assert [rows[f"t{t}"]["temperature"] for t in (0.5, 1.0, 1.5)] == [0.5, 1.0, 1.5]
