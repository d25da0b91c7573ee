"""What the enumerable shop shows, in its direction; two seeds, shorter runs."""

import pytest

from crs_lite.enumerable import demonstrations as shown
from crs_lite.enumerable import exact
from crs_lite.enumerable.policy import Policy
from crs_lite.enumerable.training import Settings
from crs_lite.paths import ENUMERABLE
from crs_lite.study import results

pytestmark = pytest.mark.slow
SEEDS = (0, 1)


def test_one_thought_commits_and_the_sum_gives_the_doubt_back():
    found = shown.commits(SEEDS)
    assert found["quality"]["one"] < found["quality"]["merged"] <= found["quality"]["truth"] + 1e-12
    for of in found["average"].values():
        assert of["one"] < of["merged"] <= found["ceiling"] + 1e-12


def test_a_drawn_id_is_noise_that_a_list_does_not_have():
    found = shown.noise(SEEDS[:1], (0.0,))
    assert all(0 < share < 1 for of in found["luck"].values() for share in of.values())
    likelier = next(iter(found["targets"].values()))
    assert likelier["list"]["groups"] < likelier["drawn"]["groups"]
    assert likelier["list"]["silent"] < likelier["drawn"]["silent"]


def test_rl_sharpens_one_thought_and_loses_variety():
    for states in shown.sharpens(SEEDS, 600).values():
        assert states["after"]["entropy"] < states["before"]["entropy"]
        assert states["after"]["one"] > states["before"]["one"]
        gain = {when: states[when]["merged"] - states[when]["one"] for when in states}
        assert gain["after"] < gain["before"]


def test_paid_for_true_facts_thoughts_fall_silent_rather_than_wise():
    """After a wholly biased teacher: the prior goes, and what comes in its place says little."""
    unpaid, paid = (of["0"] for of in shown.pays((0,)).values())
    assert paid["prior"] < 0.1 < unpaid["prior"] and paid["true_words"] > unpaid["true_words"]
    assert paid["fillers"] > unpaid["fillers"] and paid["meant"] == unpaid["meant"] != shown.PRIOR_ITEM


def test_stages_are_measured_at_their_ends_of_a_stage_that_comes_again_the_last():
    settings = Settings(align=3, distil=2, rl=2, consolidate=1, rounds=2)
    found = shown.stages(settings)
    assert list(found) == ["align", "distil", "rl", "consolidate"]
    for stage, end in {"align": 3, "distil": 5, "rl": 10, "consolidate": 11}.items():
        assert found[stage] == exact.measure(shown.trained(settings, end))


def test_a_biased_teacher_says_its_prior_more_often():
    assert shown.ideal_prior(0.0) < shown.ideal_prior(0.5) < shown.ideal_prior(1.0)


def test_every_judge_gets_the_same_runs(monkeypatch):
    asked = []
    monkeypatch.setattr(shown, "trained", lambda settings: asked.append(settings) or Policy.zeros())
    found = shown.judged((3, 4), (0.5,))
    assert asked == [Settings(seed=s, bias=0.5, judge=judge) for judge in ("list", "first", "drawn") for s in (3, 4)]
    assert found == {"0.5": {judge: dict.fromkeys("34", exact.measure(Policy.zeros())) for judge in shown.ARMS}}


def test_there_is_a_table_for_everything_that_is_shown():
    loop = {"rl": 2, "consolidate": 2, "rounds": 1, "only_wrong": True}
    recorded = results.load(ENUMERABLE)
    few = recorded | {"mends": shown.mends((0,), (0.0,), loop)}
    for found in (recorded, few):
        tables = shown.tables(found)
        shapes = {key for key, value in recorded.items() if isinstance(value, dict) and key != "versions"}
        assert {f"enumerable-{key}" for key in shapes} == set(tables)
        assert all(text.count("| ---") for text in tables.values())
    assert few["mends"]["0.0"]["0"].keys() == recorded["mends"]["0.0"]["0"].keys() == {"before", "after"}
