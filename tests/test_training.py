"""The stages that train, on the toy shop: what they learn from, what they leave, how they are told apart."""

import json

import pytest
import torch

from crs_lite import pipeline, rl, training
from crs_lite.errors import CRSError
from crs_lite.evolve import rl_config
from crs_lite.files import write_json
from crs_lite.model import backbones
from crs_lite.rewards import RewardConfig


def depends(stage) -> dict:
    """What a stage says it was made from."""
    return json.loads((stage.folder / "manifest.json").read_text(encoding="utf-8"))["depends"]


# -- which stage ------------------------------------------------------------------------------------


def test_each_stage_follows_the_one_it_starts_from(make, hollow):
    p = make("shared")
    aligned = training.align(p)
    start = training.distil(p, aligned)
    explored = training.explore(p, start)
    collected = training.collect(p, explored)
    ended = training.consolidate(p, start, collected, "round0-sft")
    assert depends(aligned)["backbone"] == p.fresh.key
    assert depends(start)["start"] == aligned.key and depends(training.split(p, start))["start"] == start.key
    assert depends(explored)["split"] == training.split(p, start).key
    assert depends(collected)["explored"] == explored.key
    assert depends(ended)["start"] == start.key and depends(ended)["collected"] == collected.key
    assert hollow == ["align", "distil", "round0-split", "round0-rgrpo", "round0-collect", "round0-sft"]


def test_changed_budgets_have_folders_and_keys_of_their_own(make, hollow):
    p = make("shared")
    aligned = training.align(p)
    direct = [training.direct(p, aligned, **changes) for changes in ({}, {"lr": 2e-4}, {"epochs": 3})]
    assert [s.folder.name for s in direct] == ["direct", "direct-lr=0.0002", "direct-epochs=3"]
    assert len({s.key for s in direct}) == 3
    assert depends(direct[0])["lr"] == p.profile.distil_lr and depends(direct[1])["lr"] == 2e-4
    start = training.distil(p, aligned)
    rl = [training.explore(p, start, "grpo", rl_seed=n) for n in (0, 1)]
    rl.append(training.explore(p, start, "grpo", reward=RewardConfig(validity=0.0)))
    names = [s.folder.name for s in rl]
    assert names[:2] == ["round0-grpo", "round0-grpo-1"] and names[2].startswith("round0-grpo-reward=")
    assert len({s.key for s in rl}) == 3 and depends(rl[2])["config"]["reward"]["validity"] == 0


def test_the_whole_profile_decides_about_a_stage_and_nothing_else_does(make, hollow):
    """Budgets a stage does not use leave its key alone; those it uses do not."""
    same = training.align(make("a")).key
    assert training.align(make("b", rl_steps=5, eval_requests=7, minutes="an hour")).key == same
    for budget in ({"align_lr": 1.0}, {"context_budget": 100}, {"train_requests": 30}, {"batch_tokens": 9}):
        assert training.align(make(f"other {budget}", **budget)).key != same


def test_collecting_hotter_is_another_stage(make, hollow):
    p = make("shared")
    explored = training.explore(p, training.distil(p, training.align(p)))
    usual, hot = training.collect(p, explored), training.collect(p, explored, "hot", 1.5)
    assert depends(usual)["temperature"] == p.profile.rl_temperature and depends(hot)["temperature"] == 1.5


# -- what is learnt ---------------------------------------------------------------------------------


def test_what_is_wrong_is_read_from_the_split(make, hollow):
    p = make("shared")
    sorted_pool = training.split(p, training.distil(p, training.align(p)))
    write_json(sorted_pool.folder / "split.json", {"right": [0], "wrong": [2, 5]})
    assert training.wrong(p, sorted_pool) == [p.pool[2], p.pool[5]]
    write_json(sorted_pool.folder / "split.json", {"wrong": ["x"]})
    with pytest.raises(CRSError, match="split.json: wrong.0: .*delete the folder"):
        training.wrong(p, sorted_pool)


@pytest.fixture
def lessons(monkeypatch):
    """What `sft.train` is asked to teach, in place of teaching it: (texts, options) of every call."""
    taught = []

    def train(model, tokenizer, rows, **options):
        decode = lambda ids: tokenizer.decode(ids, clean_up_tokenization_spaces=False)  # noqa: E731
        taught.append(([decode([i for i, on in zip(e.ids, e.loss, strict=True) if on]) for e in rows], options))
        return []

    monkeypatch.setattr(training.sft, "train", train)
    return taught


def test_direct_sft_and_the_distilled_start_learn_from_the_same_requests(make, lessons):
    p = make("shared")
    training.direct(p, p.fresh, lr=0.5, epochs=2)
    training.distil(p, p.fresh)
    (direct, how), (distilled, usual) = lessons
    assert direct == [p.codec.sids.to_string(r.target) + "<eos>" for r in p.taught]
    assert [text.split("</think>")[1] for text in distilled] == direct
    assert [text.split("</think>")[0] for text in distilled] == [p.teacher.write(r) for r in p.taught]
    assert (how["lr"], how["epochs"]) == (0.5, 2)
    assert (usual["lr"], usual["epochs"]) == (p.profile.distil_lr, p.profile.sft_epochs)


def test_consolidation_learns_what_was_collected(make, lessons, hollow, monkeypatch):
    p = make("shared")
    collected = training.collect(p, p.fresh)
    write_json(collected.folder / "kept.json", [[1, "it is cold"], [4, "go for a lamp"]])
    monkeypatch.undo()  # of the hollow stages and the lessons
    said = []
    monkeypatch.setattr(training, "_taught", lambda p, model, rows, epochs, lr, folder: said.extend(rows) or [])
    training.consolidate(p, p.fresh, collected, "ended")
    texts = [p.codec.decode([i for i, on in zip(e.ids, e.loss, strict=True) if on]) for e in said]
    id_of = [p.codec.sids.to_string(p.pool[i].target) for i in (1, 4)]
    assert texts == [f"it is cold</think>{id_of[0]}<eos>", f"go for a lamp</think>{id_of[1]}<eos>"]


def test_nothing_collected_leaves_the_model_as_it_is(make, hollow, monkeypatch):
    p = make("shared")
    collected = training.collect(p, p.fresh)
    write_json(collected.folder / "kept.json", [])
    monkeypatch.undo()
    stage = training.consolidate(p, p.fresh, collected, "ended")
    assert stage.info == {"examples": 0} and stage.json("log.json", list) == []
    before, after = (backbones.load_model(s.folder) for s in (p.fresh, stage))
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))


def test_nothing_wrong_leaves_nothing_to_explore(make, hollow, monkeypatch, capsys):
    p = make("shared")
    sorted_pool = training.split(p, p.fresh)
    write_json(sorted_pool.folder / "split.json", {"right": list(range(len(p.pool))), "wrong": []})
    monkeypatch.undo()
    stage = training.explore(p, p.fresh)
    assert stage.info == {"wrong": 0, "steps": 0} and "nothing to explore" in capsys.readouterr().out
    assert (stage.folder / "steps.jsonl").read_text(encoding="utf-8") == ""
    before, after = (backbones.load_model(s.folder) for s in (p.fresh, stage))
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))


def test_item_pairs_are_seen_more_often_than_contexts(make, lessons, monkeypatch):
    monkeypatch.setattr(training, "roundtrip", lambda model, codec, n: {"tried": n})
    p = make("shared", align_item_epochs=6, align_context_epochs=2)
    assert training.align(p).info == {"tried": p.profile.check_items}
    ((texts, how),) = lessons
    assert how["epochs"] == 2
    title = p.log.items[5].title
    assert texts.count(title + "<eos>") == 3 + 1  # half as many again, rounded down
    items = sum(text.endswith("<eos>") and text.count("<a_") == 1 and "{" not in text for text in texts)
    assert items >= 24 * (3 + 3) and len(texts) == 24 * (3 + 4 + 3) + len(p.train)


def test_rl_gets_what_the_start_gets_wrong_and_the_budget_of_its_arm(make, hollow, monkeypatch):
    p = make("shared")
    sorted_pool = training.split(p, p.fresh)
    write_json(sorted_pool.folder / "split.json", {"right": [], "wrong": [3, 1]})
    monkeypatch.undo()
    asked = []
    monkeypatch.setattr(training.evolve, "explore", lambda *given: asked.append(given) or [{"step": 0}])
    assert training.explore(p, p.fresh, "grpo", rl_seed=2, kl=0.0).info == {"wrong": 2, "steps": 1}
    ((_, reference, codec, requests, config, seed, log_file, prompt, roll_out, _),) = asked
    assert prompt == p.thought_prompt and roll_out.func is rl.rollout and roll_out.keywords == {"rank": None}
    assert reference is None and codec is p.codec and requests == [p.pool[3], p.pool[1]] and seed == 2000
    assert config == rl_config(p.profile, "grpo", kl=0.0) and log_file.name == "steps.jsonl"


# -- for real ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named(make):
    p = make("broken")
    stage = training.align(p)
    (stage.folder / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(CRSError, match="align: cannot load this checkpoint.*delete the folder"):
        training.direct(p, stage)


@pytest.mark.slow
def test_adapters_train_the_whole_pipeline_and_leave_plain_checkpoints(make):
    """With LoRA every stage is a plain model: ID rows have moved, input and output embeddings are one, no adapter is
    left."""
    p = make("adapters", lora_rank=4)
    assert pipeline.run(p)["stages"]
    before, after = (backbones.load_model(p.work.root / name) for name in ("backbone", "align"))
    assert not any("lora" in name for name, _ in after.named_parameters())
    assert after.get_input_embeddings().weight is after.get_output_embeddings().weight
    sid = torch.as_tensor(p.codec.sid_ids[:, 0])
    moved = (after.get_input_embeddings().weight - before.get_input_embeddings().weight)[sid].norm(dim=-1)
    assert (moved > 1e-3).all()
    linear = "model.layers.0.self_attn.q_proj.weight"
    change = after.get_parameter(linear) - before.get_parameter(linear)
    assert 0 < torch.linalg.matrix_rank(change.double(), rtol=1e-4) <= 4
    start, end = (backbones.load_model(p.work.root / name).get_parameter(linear) for name in ("distil", "round0-rgrpo"))
    assert not torch.equal(start, end)  # RL learnt through its own adapters
