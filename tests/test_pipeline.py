"""The whole pipeline on a shop of 24 items that the package has never heard of."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from toy import toy_log

from crs_lite import pipeline as pipeline_module
from crs_lite.errors import CRSError
from crs_lite.pipeline import Pipeline
from crs_lite.profiles import get_profile
from crs_lite.sid.embed import item_text, save_embeddings, sha_of_texts
from crs_lite.study import results
from crs_lite.workspace import Workspace

PROFILE = get_profile(
    "smoke", hidden=32, layers=1, vocab=400, context_budget=220, sid_sizes=(4, 4, 4), align_item_epochs=1, align_context_epochs=1,
    distil_requests=20, rl_steps=2, rl_prompts=2, rl_group=3, rl_beams=5, collect_requests=12, max_reasoning=10, eval_requests=0,
)  # fmt: skip


@pytest.fixture
def make(tmp_path, monkeypatch):
    """-> a function that opens the same pipeline in a folder of the given name."""
    log = toy_log(12, 8)
    x = np.random.default_rng(0).normal(size=(24, 384)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    shipped = tmp_path / "e.safetensors"
    save_embeddings(shipped, x, sha_of_texts([item_text(i) for i in log.items]))
    fixed = {}

    def encode(texts):
        return np.stack([fixed.setdefault(t, np.random.default_rng(len(t)).normal(size=384)) for t in texts]).astype(
            np.float32
        )

    monkeypatch.setattr(pipeline_module, "load_embedder", lambda name: SimpleNamespace(encode=encode))
    return lambda name: Pipeline(log, None, PROFILE, 0, tmp_path / name, shipped, "test")


def numbers(run):
    """What must be equal between two runs: every metric and every rank, no clock."""
    return {r["name"]: (r["metrics"], r["ranks"], r.get("audit")) for r in results.rows(run)}


def test_a_run_killed_after_any_stage_ends_like_an_undisturbed_one(make, monkeypatch):
    whole = make("whole").run()
    plain_run = Workspace.run
    for deadly in ("align", "distil", "round0-rgrpo", "round0-collect", "round0-sft-from-rl", "score-after-RL"):

        def dying(self, name, depends, fn, deadly=deadly, **how):
            def half(folder):
                (folder / "model.safetensors").write_bytes(b"half a file")
                raise KeyboardInterrupt

            return plain_run(self, name, depends, half if name == deadly else fn, **how)

        monkeypatch.setattr(Workspace, "run", dying)
        with pytest.raises(KeyboardInterrupt):
            make("cut").run()
        monkeypatch.setattr(Workspace, "run", plain_run)
    again = make("cut").run()
    assert numbers(again) == numbers(whole)
    assert make("cut").run()["minutes_this_call"] < 0.5 * max(whole["minutes_this_call"], 0.1)


def test_without_a_truth_the_table_says_so(make, tmp_path):
    run = make("plain").run()
    table = results.table(run)
    assert (table["share of ceiling"] == "no truth").all()
    assert table.loc["distilled SFT", "NDCG@10, true reasoning"] == "no truth"
    assert table.loc["distilled SFT", "attribute truth"] == "no truth"
    assert table.loc["BM25", "attribute truth"] == ""
    assert results.gap(run, "after RL") is None
    results.save(tmp_path / "r.json", run)
    assert results.markdown(results.load(tmp_path / "r.json")) == results.markdown({"schema": 1, **run})
    assert "`test`" in results.markdown(run)  # the command that made it


def test_results_files_are_checked(tmp_path):
    path = tmp_path / "r.json"
    with pytest.raises(CRSError, match="no such results file"):
        results.load(path)
    path.write_text('{"schema": 1,\n "x": ')
    with pytest.raises(CRSError, match="line 2: damaged"):
        results.load(path)
    path.write_text(json.dumps({"schema": 0}))
    with pytest.raises(CRSError, match="another version"):
        results.load(path)


def test_a_damaged_checkpoint_is_named(make):
    pipeline = make("broken")
    pipeline.prepare()
    stage = pipeline.align()
    (stage.folder / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(CRSError, match="align: cannot load this checkpoint.*delete the folder"):
        pipeline.direct(stage)


def test_table_and_gap_by_hand():
    """With a truth: shares, probes and the two gaps, from numbers small enough to check in the head."""

    def row(name, ndcg, **more):
        metric = {"value": ndcg, "low": ndcg - 0.01, "high": ndcg + 0.01}
        return {"name": name, "metrics": dict.fromkeys(("HR@1", "HR@10", "NDCG@10", "MRR"), metric), **more}

    probe = {"metrics": {"NDCG@10": {"value": 0.6, "low": 0.59, "high": 0.61}}}
    run = {
        "baselines": [row("BM25", 0.1), row("informed", 0.8)],
        "stages": [row("after RL", 0.4, true_reasoning=probe, audit={"attribute_truth": 0.75})],
    }
    table = results.table(run)
    assert table.loc["after RL", "share of ceiling"] == "0.50"
    assert table.loc["after RL", "NDCG@10, true reasoning"] == "0.600 [0.590, 0.610]"
    assert table.loc["after RL", "attribute truth"] == "0.750"
    gap = results.gap(run, "after RL")
    assert gap["decoder gap"] == pytest.approx(0.2) and gap["reasoning gap"] == pytest.approx(0.2)


def test_adapters_train_the_whole_pipeline_and_leave_plain_checkpoints(make, monkeypatch):
    """With LoRA every stage is a plain model: ID rows have moved, input and output embeddings are one, no adapter is
    left."""
    from dataclasses import replace

    import torch

    from crs_lite.model import backbones

    run = make("adapters")
    run.profile = replace(PROFILE, lora_rank=4)
    assert run.run()["stages"]
    before, after = (backbones.load_model(run.work.root / name) for name in ("backbone", "align"))
    assert not any("lora" in name for name, _ in after.named_parameters())
    assert after.get_input_embeddings().weight is after.get_output_embeddings().weight
    sid = torch.as_tensor(run.codec.sid_ids[:, 0])
    moved = (after.get_input_embeddings().weight - before.get_input_embeddings().weight)[sid].norm(dim=-1)
    assert (moved > 1e-3).all()
    linear = "model.layers.0.self_attn.q_proj.weight"
    change = after.get_parameter(linear) - before.get_parameter(linear)
    assert 0 < torch.linalg.matrix_rank(change.double(), rtol=1e-4) <= 4
    start, end = (
        backbones.load_model(run.work.root / name).get_parameter(linear) for name in ("distil", "round0-rgrpo")
    )
    assert not torch.equal(start, end)  # RL learnt through its own adapters
