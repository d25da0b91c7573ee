"""Experiments: the protocol says what the code does; a row is written at once, whole, and never made twice."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from crs_lite.marketplace.__main__ import write
from test_pipeline import make  # noqa: F401  (a fixture)
from toy import BRANDS, CITIES

from crs_lite import opening, profiles
from crs_lite.__main__ import main
from crs_lite.errors import CRSError
from crs_lite.marketplace import FROZEN_SHA256
from crs_lite.study import experiments

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = (ROOT / "book" / "protocol.md").read_text()


def test_the_protocol_freezes_the_world_and_the_budgets_that_the_code_has():
    assert FROZEN_SHA256 in PROTOCOL
    budgets = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|$", PROTOCOL, flags=re.M))
    assert len(budgets) >= 12
    laptop = asdict(profiles.get_profile("laptop"))
    assert {name: float(value) for name, value in budgets.items()} == {name: laptop[name] for name in budgets}
    assert all(f"`{arm}`" in PROTOCOL for arm in experiments.ARMS)


def test_a_damaged_or_old_row_is_named(tmp_path):
    path = tmp_path / "row.json"
    path.write_text("{ half")
    with pytest.raises(CRSError, match="row.json.*run its experiment again"):
        experiments.read(path)
    experiments.write(path, {"schema": 0, "ranks": [1, None]})
    with pytest.raises(CRSError, match="another version"):
        experiments.read(path)
    experiments.write(path, {"schema": experiments.SCHEMA, "ranks": [1, None], "text": 'é "x"'})
    assert experiments.read(path) == json.loads(path.read_text()) == {"schema": 1, "ranks": [1, None], "text": 'é "x"'}


@pytest.fixture
def job(make, tmp_path):  # noqa: F811
    """-> a function experiment name -> Job on the toy shop, whose run folder all experiments share."""
    return lambda name, only="*": experiments.Job(
        name, 0, lambda seed: make("shared"), tmp_path / "rows", f"experiment {name}", only
    )


def test_every_experiment_runs_and_resumes_on_a_toy_shop(job, make, tmp_path):  # noqa: F811
    for name in (
        "tune",
        "tune-baselines",
        "arms",
        "loop",
        "temperature",
        "main",
        "long-loop",
        "mapping",
        "noise",
        "capacity",
        "lessons",
    ):
        assert experiments.run_seed(job(name)) > 0
        assert experiments.run_seed(job(name)) == 0
    every = {name: {r["row"]: r for r in experiments.rows(tmp_path / "rows", name)} for name in experiments.EXPERIMENTS}
    n_test = every["arms"]["distilled"]["n"]
    for name, rows in every.items():
        for r in rows.values() if name not in ("mapping", "noise") else ():
            assert len(r["ranks"]) == len(r["request_ids"]) == len(r["cold"]) == r["n"]
            assert r["split"] == (
                "valid"
                if r["experiment"] in ("tune", "tune-baselines", "temperature") or r["row"].endswith("-valid")
                else "test"
            )
            assert r["command"] and r["versions"] and r["log"] == "toy" and r["seed"] == 0
    assert set(every["arms"]) == {"distilled", "rgrpo-0", "grpo-0", "beam_top1-0", "rgrpo-1", "grpo-1", "form-only-0"}
    assert {"popularity", "repeat-last", "BM25", "dense", "DSI", "LTRGR", "LatentR3", "direct-SFT"} <= set(
        every["main"]
    )
    assert "rgrpo-round3-sft" in every["long-loop"]
    assert {"grpo-round1-rl", "beam_top1-round1-rl"} <= set(every["loop"]) and "beam_top1-round1-sft" not in every[
        "loop"
    ]
    sizes = [
        row["parameters"]["parameters"]
        for row in (every["capacity"]["half-width"], every["arms"]["distilled"], every["capacity"]["wider"])
    ]
    assert sizes == sorted(set(sizes))
    assert every["capacity"]["wider-aligned"]["parameters"] == every["capacity"]["wider"]["parameters"]
    assert not any(every["capacity"]["wider-aligned"]["thoughts"]) and any(every["capacity"]["wider"]["thoughts"])
    passes = {
        n: json.loads((make("shared").work.root / n / "log.json").read_text())[-1]
        for n in ("distil", f"distil-epochs={experiments.LESSONS}")
    }
    assert (
        [round(last["epoch"]) for last in passes.values()]
        == [1, every["lessons"]["distilled"]["epochs"]]
        == [1, experiments.LESSONS]
    )
    steps = every["arms"]["grpo-1"]["steps"]
    assert len(steps["rank"]) == 2 and len(steps["silent_groups"]) == 2
    assert every["arms"]["rgrpo-0"]["steps"] != every["arms"]["rgrpo-1"]["steps"]  # another RL seed
    assert every["tune"]["distilled"]["audit"]["planted"]["claims"] >= 0
    for kind in ("kmeans", "rqvae", "random"):
        found = every["mapping"][kind]
        assert [epoch for epoch, *_ in found["curve"]] == [1, 2] and found["final"]["items_tried"] == 24
    assert set(every["noise"]["noise"]["arms"]) == set(experiments.ARMS)
    hits = experiments.values(every["arms"]["distilled"], "HR@10")
    assert hits.shape == (n_test,) and hits.sum() == sum(
        r is not None and r < 10 for r in every["arms"]["distilled"]["ranks"]
    )


def test_a_fresh_world_runs_through_the_same_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(opening, "ROOT", tmp_path)  # where runs/ is
    write(tmp_path / "world", seed=7, n_items=400, n_users=80)
    where = ["--world", str(tmp_path / "world"), "--profile", "smoke", "--seeds", "1", "--out", str(tmp_path / "rows")]
    for name, only in (
        ("arms", "distilled"),
        ("arms", "*grpo-0"),
        ("loop", "rgrpo-round1-sft"),
        ("main", "direct-SFT"),
    ):
        assert main(["experiment", name, "--only", only, *where]) == 0
    capsys.readouterr()
    assert main(["ledger", "--rows", str(tmp_path / "rows")]) == 0
    table = capsys.readouterr().out
    line = next(x for x in table.splitlines() if x.startswith("| C3 |"))
    assert "not run: 1 of 5 seeds so far" in line and f"--profile smoke --seeds 1 --world {tmp_path / 'world'}" in line
    assert "Log marketplace-7-400-80; backbone tiny (2 layers" in table


class Known:
    """The toy shop's truth: the city decides the brand, the query the category."""

    def claims(self, request):
        return {"brand": BRANDS[CITIES.index(request.place)], "category": request.query}

    def expected_utility(self, requests, lists):
        return np.zeros(len(lists))


def test_mending_needs_a_truth_and_takes_the_stages_of_the_loop(job, make):  # noqa: F811
    with pytest.raises(CRSError, match="nobody knows what is true"):
        experiments.run_seed(job("mend"))

    def knowing(seed):
        p = make("knowing")
        p.truth = Known()
        return p

    ends = [replace(job(*of), open=knowing) for of in (("mend",), ("arms", "distilled"), ("loop", "rgrpo-*-sft"))]
    assert [experiments.run_seed(end) for end in ends] == [2, 1, 2]
    mend, arms, loop = ({r["row"]: r for r in experiments.rows(end.out, end.name)} for end in ends)
    for row, whole in (("distilled", arms), ("rgrpo-round1-sft", loop)):
        n = mend[row]["n"]
        assert (
            mend[row]["ranks"] == whole[row]["ranks"][:n]
            and mend[row]["true_reasoning_ranks"] == whole[row]["true_reasoning_ranks"][:n]
        )
        found = mend[row]["mended"]
        assert set(found) == {"brand", "category", "all"} and all(len(v["ranks"]) == n for v in found.values())
        assert max(found["brand"]["changed"], found["category"]["changed"]) <= found["all"]["changed"] <= n


def test_a_row_that_nobody_wants_trains_nothing(job, make):  # noqa: F811
    assert experiments.run_seed(job("main", "aligned")) == 1
    assert experiments.run_seed(job("loop", "rgrpo-round0-sft")) == 1
    stages = {stage.name for stage in make("shared").work.root.iterdir()}
    assert "align" in stages and "round0-rgrpo-sft" in stages
    assert not [name for name in stages if "dsi" in name or "direct" in name or "round1" in name or "grpo-grpo" in name]


def test_rows_of_other_budgets_are_never_mixed(job, make):  # noqa: F811
    one = job("main", "BM25")
    assert experiments.run_seed(one) == 1 and experiments.run_seed(one) == 0

    def longer(seed):
        p = make("shared")
        p.profile = replace(p.profile, eval_requests=p.profile.eval_requests + 1, rl_lr=1.0)
        return p

    with pytest.raises(CRSError, match="BM25-seed0.json: made with another eval_requests; give --out"):
        experiments.run_seed(replace(one, open=longer))


def test_tuned_learning_rates_are_for_the_backbone_they_were_tuned_on(make):  # noqa: F811
    p = make("shared")
    assert experiments.tuned(p, experiments.TUNED["grpo"]) == experiments.TUNED["grpo"]
    p.profile = replace(p.profile, backbone="smollm2")
    assert experiments.tuned(p, experiments.TUNED["grpo"]) == {"reward": experiments.TUNED["grpo"]["reward"]}


def test_a_row_cut_off_leaves_no_file(job, tmp_path, monkeypatch):
    def dying(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(experiments.json, "dumps", dying)
        with pytest.raises(KeyboardInterrupt):
            experiments.write(tmp_path / "a.json", {"x": 1})
    assert not list(tmp_path.glob("a*"))
