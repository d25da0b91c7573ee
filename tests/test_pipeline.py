"""The whole pipeline on a shop of 24 items that the package has never heard of."""

import json
from dataclasses import replace

import numpy as np
import pytest
import toy

from crs_lite import pipeline
from crs_lite.study import results
from crs_lite.workspace import Workspace


def numbers(made):
    """What must be equal between two runs: every metric and every rank, no clock."""
    return {r["name"]: (r["metrics"], r["ranks"], r.get("audit")) for r in results.rows(made)}


@pytest.mark.slow
def test_a_run_killed_after_any_stage_ends_like_an_undisturbed_one(make, monkeypatch):
    whole = pipeline.run(make("whole"))
    plain_run = Workspace.run
    for deadly in ("align", "distil", "round0-rgrpo", "round0-collect", "round0-sft-from-rl", "score-after-RL"):

        def dying(self, name, depends, fn, deadly=deadly, **how):
            def half(folder):
                (folder / "model.safetensors").write_bytes(b"half a file")
                raise KeyboardInterrupt

            return plain_run(self, name, depends, half if name == deadly else fn, **how)

        monkeypatch.setattr(Workspace, "run", dying)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(make("cut"))
        monkeypatch.setattr(Workspace, "run", plain_run)
    again = pipeline.run(make("cut"))
    assert numbers(again) == numbers(whole)
    monkeypatch.setattr(Workspace, "_make", lambda *_: pytest.fail("a finished stage is made again"))
    assert numbers(pipeline.run(make("cut"))) == numbers(whole)


def test_without_a_truth_the_table_says_so(toy_study, tmp_path):
    run = toy_study.results
    table = results.table(run)
    assert (table["share of ceiling"] == "no truth").all()
    assert table.loc["distilled SFT", "NDCG@10, true reasoning"] == "no truth"
    assert table.loc["distilled SFT", "attribute truth"] == "no truth"
    assert table.loc["BM25", "attribute truth"] == ""
    assert results.gap(run, "after RL") is None
    results.save(tmp_path / "r.json", run)
    assert results.markdown(results.load(tmp_path / "r.json")) == results.markdown({"schema": 1, **run})
    assert "`test`" in results.markdown(run)  # the command that made it


def test_the_stages_follow_each_other(make, hollow):
    pipeline.run(make("shared"))
    assert [name for name in hollow if not name.startswith("score-")] == [
        "align",
        "direct",
        "distil",
        "round0-split",
        "round0-rgrpo",
        "round0-collect",
        "round0-sft",
        "round0-sft-from-rl",
    ]
    assert len([name for name in hollow if name.startswith("score-")]) == 1 + 7


def test_results_say_how_they_were_made(make, hollow):
    p = make("shared")
    made = pipeline.run(p, "the command", "the commit")
    assert (made["command"], made["commit"], made["log_sha256"]) == ("the command", "the commit", p.log.digest())
    assert (made["log"], made["seed"], made["n_test"], made["synthetic_queries"]) == ("toy", 0, len(p.test), False)
    assert made["profile"]["name"] == "smoke" and made["profile"]["rl_steps"] == p.profile.rl_steps
    assert made["minutes"] == pytest.approx(sum(p.work.minutes.values()))
    assert {"ids", "backbone", "align", "round0-sft"} <= set(made["stage_minutes"]) == set(made["stage_info"])


def test_the_account_of_a_real_log_stands_in_its_results(make, hollow):
    p = make("shared")
    assert "log_about" not in pipeline.run(p)
    about = {"account": {"files": {}}, "checks": {"truth": "no truth"}}
    made = pipeline.run(replace(p, about=about))
    assert made["log_about"] == about and json.loads(json.dumps(made["log_about"])) == about


def test_how_much_of_a_history_survives_the_budget(make):
    """Counted again on contexts that are read back from their text."""
    p = make("shared")
    kept = [len(p.codec.context(r).history) for r in p.test]
    report = pipeline.context_report(p)
    assert report["kept_quartiles"] == [min(kept), *np.percentile(kept, [25, 50, 75]), max(kept)]
    assert report["tokens_quartiles"][-1] == max(len(p.codec.prompt(r)) for r in p.test)
    assert report["tokens_quartiles"][-1] <= p.profile.context_budget + 2  # and two control tokens
    tight = make("tight", context_budget=60)
    assert pipeline.context_report(tight)["kept_quartiles"][-1] < max(kept)
    nobody = make("shared", toy.Known())
    assert pipeline.context_report(nobody) == report  # what is true plays no part
