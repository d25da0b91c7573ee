"""The rows on a real log: what is chosen, what is shared, what is taken once, and that the protocol says so."""

import re
from dataclasses import asdict, replace
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from known_world import world

from crs_lite import paths
from crs_lite.baselines import sasrec
from crs_lite.paths import BOOK
from crs_lite.profiles import get_profile
from crs_lite.study.experiments import EXPERIMENTS, runner
from crs_lite.study.experiments.own_log import ABLATIONS, CHOICES, KNOBS, chosen

module = import_module("crs_lite.study.experiments.own_log")  # the room's own name for it is the function
PROTOCOL = (BOOK / "protocol-3.md").read_text(encoding="utf-8")


def test_what_does_not_learn_is_taken_once_and_the_arms_share_the_alignment(make, job, hollow):
    p = make("shared")
    names = [name for name, _ in EXPERIMENTS["own-log"](p)]
    once = ["popularity", "BM25", "dense", "counting", "matching-popularity", "matching-counting"]
    assert names[:6] == once and [name for name, _ in EXPERIMENTS["own-log"](replace(p, seed=1))] == names[6:]
    assert runner.run_seed(job("own-log", "distilled*")) == 3
    assert [name for name in hollow if not re.match("score|merged", name)] == ["align", "distil"]
    assert runner.run_seed(job("own-log", "[ar]*")) == 3
    made = [name for name in hollow if not re.match("score|merged", name)][2:]
    assert made == ["own-log-round0-split", "own-log-round0-rgrpo-lr=0.0001"]


def test_choices_are_made_on_validation_requests_only(toy_study):
    rows = toy_study.rows["own-log-choices"]
    assert {row["split"] for row in rows.values()} == {"valid"}
    assert len(rows) == sum(map(len, KNOBS.values())) + len(ABLATIONS) + 1


def test_what_is_chosen_is_the_first_setting_near_the_best_on_validation(make, tmp_path, monkeypatch):
    p = make("shared")
    monkeypatch.setattr(paths, "EXPERIMENTS", tmp_path)
    names = [name for name, _ in EXPERIMENTS[CHOICES](p)]

    def tried(quality):
        folder = tmp_path / f"{p.log.name}-{p.profile.name}"
        world(folder, {(CHOICES, names[at]): x for at, x in quality.items()}, seeds=1, n=8)
        return chosen(p, "BM25"), chosen(p, "counting")

    assert [n.split("-")[0] for n in names[:6]] == ["BM25"] * 3 + ["counting"] * 3
    assert tried({0: 0.0, 1: 1.0}) == (KNOBS["BM25"][0], KNOBS["counting"][0])  # not all were tried: the usual
    assert tried({2: 0.0, 3: 1.0, 4: 0.0, 5: 1.0}) == (KNOBS["BM25"][1], KNOBS["counting"][0])
    assert tried({0: 1.0}) == (KNOBS["BM25"][0], KNOBS["counting"][0])  # as good, and the cheaper one


def test_every_system_is_scored_on_the_same_test_requests(toy_study):
    rows = toy_study.rows["own-log"]
    assert len({tuple(row["request_ids"]) for row in rows.values()}) == 1
    assert {row["split"] for row in rows.values()} == {"test"}
    assert not any(rows["direct"]["thoughts"]) and any(rows["distilled"]["thoughts"])
    assert len(rows["rgrpo"]["steps"]["rank"]) > 0
    assert len(rows["rgrpo-thoughts"]["thoughts"][0]) == 16


def test_sasrec_is_read_back_as_it_was_made(make):
    p = make("shared")
    stage = module.sequential(p, epochs=2, dropout=0.2)
    losses = stage.info["losses"]
    assert len(losses) == 2 and module.sequential(p, epochs=2, dropout=0.2).info["losses"] == losses
    ranker, again = module._next_click(p, stage.folder), sasrec.fit(p.log, sasrec.Config(epochs=2, dropout=0.2), p.seed)
    assert again[1] == pytest.approx(losses)
    assert all(torch.equal(a, b) for a, b in zip(ranker.model.parameters(), again[0].parameters(), strict=True))


def test_knobs_reach_the_baselines():
    p = SimpleNamespace(log=None)
    for name, maker in (("BM25", module._words), ("counting", module._counted)):
        for knobs in KNOBS[name]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "BM25", lambda log, **k: k)
                patch.setattr(module, "Counting", lambda log, **k: k)
                assert maker(p, knobs, None) == knobs


def test_lessons_and_expectations_are_counted_from_the_log_alone(toy_study):
    """The teacher of the toy shop explains in hindsight; what counts conclude is held against another path."""
    p, rows = toy_study.open("run"), toy_study.rows["own-log-lessons"]
    said = [p.teacher.claims(r) for r in p.taught]
    wrong = sum(
        p.log.items[r.target].facets()[k] != v for of, r in zip(said, p.taught, strict=True) for k, v in of.items()
    )
    row, n = rows["lessons"], sum(map(len, said))
    assert row["n"] == len(p.taught) and row["stated"] == pytest.approx(n / row["n"])
    assert row["true"] == pytest.approx(1 - wrong / n) and row["nothing"] == said.count({}) / row["n"]
    assert row["tokens"] > 3 and row["examples"][0] == p.lesson(p.taught[0])
    evidence = p.teacher.evidence
    for split in ("valid", "test"):
        row = rows[f"expected-{split}"]
        assert row["request_ids"] == [r.id for r in p.requests(split)] and row["split"] == split
        for r, said, true in zip(p.requests(split), row["said"], row["true"], strict=True):
            sure = {k: v for k in ("category", "brand", "colour") for v, p_ in [evidence.likeliest(r, k)] if p_ >= 0.4}
            assert said == len(sure)
            assert true == sum(p.log.items[r.target].facets()[k] == v for k, v in sure.items())


def test_the_protocol_says_the_budgets_of_the_profile():
    budgets = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|$", PROTOCOL, flags=re.M))
    profile = asdict(get_profile("own-log"))
    assert {name: int(value) for name, value in budgets.items()} == {name: profile[name] for name in budgets}
    recipe = {k: profile[k] for k in ("reasoning", "teacher", "replay")}
    assert recipe == {"reasoning": "conclude", "teacher": "foresight", "replay": 0.0}
    assert "`reasoning=conclude teacher=foresight replay=0.0`" in PROTOCOL
    assert (profile["layers"], profile["hidden"], profile["rl_steps"], profile["thoughts"]) == (3, 160, 100, 16)
