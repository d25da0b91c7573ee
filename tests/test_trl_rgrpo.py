"""TRL's trainer and our loop on one recorded rollout: the same gradient, whatever the loss of the family."""

import re
from importlib.metadata import requires, version
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from plain import naive_logprobs, ragged
from transformers import AutoModelForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from crs_lite import trl_rgrpo
from crs_lite.errors import CRSError
from crs_lite.model import backbones
from crs_lite.profiles import get_profile
from crs_lite.rl import RLConfig, Vocabulary, packed_logprobs, policy_loss, rollout, token_weight
from crs_lite.trie import Trie
from crs_lite.trl_rgrpo import RGRPORollout, dataset, list_reward


@pytest.fixture
def system(tmp_path, catalogue_ids):
    """A saved model over the tokens of `catalogue_ids`, a tokenizer that spells token i as "t<i>", vocabulary, trie."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = {"<pad>": 0, "<bos>": 1, "<eos>": 2, "</think>": 3} | {f"t{i}": i for i in range(4, 80)}
    core = Tokenizer(models.WordLevel(names, unk_token="<pad>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>")
    torch.manual_seed(0)
    model = backbones.tiny_model(get_profile("smoke", hidden=32, heads=2, ffn=64), 80)
    backbones.save(tmp_path / "model", model, tokenizer)
    return tmp_path, tokenizer, Vocabulary(0, 3, catalogue_ids), Trie.build(catalogue_ids)


class Gradient(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        self.value = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def trl_trainer(folder, tokenizer, vocab, config, prompts, targets, rollout_func, callback, **changes):
    text = [" ".join(tokenizer.convert_ids_to_tokens(p)) for p in prompts]
    options = dict(
        output_dir=str(folder / "out"),
        num_generations=config.group,
        max_steps=1,
        shuffle_dataset=False,
        per_device_train_batch_size=len(prompts) * config.group,
        max_completion_length=config.max_reasoning,
        beta=config.kl,
        epsilon=config.clip,
        loss_type=config.loss,
        use_bias_correction_kl=False,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        max_grad_norm=0.0,
        learning_rate=1e-3,
    )
    return GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32),
        args=GRPOConfig(**{**options, **changes}),
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": text, "target": targets.tolist()}),
        rollout_func=rollout_func,
        reward_funcs=list_reward(vocab, config),
        callbacks=[callback],
    )


@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo"])
def test_trl_and_our_loop_have_the_same_gradient(system, loss):
    folder, tokenizer, vocab, trie = system
    config = RLConfig(
        loss=loss,
        group=4,
        beams=5,
        max_reasoning=60,
        kl=0.05,
        kl_on_silent_groups=True,
        scale_advantage=loss != "dr_grpo",
    )
    prompts, targets = [[5, 6, 7], [8, 9], [10, 11, 12, 13]], np.array([3, 5, 40])
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    roll = rollout(model, prompts, targets, trie, vocab, config, torch.Generator().manual_seed(0))
    assert roll.mask.sum(-1).min() < roll.mask.sum(-1).max()  # ragged, or the losses could not differ
    reference = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    with torch.no_grad():  # another reference, or the KL term would have no gradient
        for p in reference.parameters():
            p.mul_(1.1)

    mine = packed_logprobs(model, prompts, roll.completion, roll.mask, vocab.pad)
    other = packed_logprobs(reference, prompts, roll.completion, roll.mask, vocab.pad).detach()
    weight = token_weight(roll.chosen, config, config.max_reasoning)
    advantage = torch.as_tensor(roll.advantage, dtype=torch.float32)
    policy_loss(mine, mine.detach(), other, advantage, weight, config)[0].backward()

    calls = []

    def recorded(texts, trainer):
        calls.append(texts)
        generator = torch.Generator().manual_seed(0)
        again = rollout(
            trainer.accelerator.unwrap_model(trainer.model), prompts, targets, trie, vocab, config, generator
        )
        assert torch.equal(again.completion * again.mask, roll.completion * roll.mask)
        return RGRPORollout(tokenizer, trie, vocab, config)(texts, trainer)

    theirs = Gradient()
    scale = "none" if loss == "dr_grpo" else "group"
    trainer = trl_trainer(folder, tokenizer, vocab, config, prompts, targets, recorded, theirs, scale_rewards=scale)
    with torch.no_grad():
        for p, q in zip(trainer.ref_model.parameters(), reference.parameters(), strict=True):
            p.copy_(q)
    trainer.train()
    assert len(calls) == 1
    scale = max(p.grad.norm() for p in model.parameters())
    for name, p in model.named_parameters():
        assert (p.grad - theirs.value[name]).norm() <= 2e-5 * scale, name
    assert scale > 1e-3


def test_a_batch_that_cuts_a_group_is_refused(system):
    folder, tokenizer, vocab, trie = system
    with pytest.raises(CRSError, match="whole groups of 4"):
        trainer = SimpleNamespace(model=SimpleNamespace(training=True))
        RGRPORollout(tokenizer, trie, vocab, RLConfig(group=4))(["t5 t6"] * 3 + ["t7"], trainer)


def test_evaluation_may_ask_for_another_number_of_generations(system):
    folder, tokenizer, vocab, trie = system
    config = RLConfig(group=4, beams=5, max_reasoning=8)
    prompts, targets = [[5, 6, 7], [8, 9]], np.array([3, 5])
    trainer = trl_trainer(
        folder, tokenizer, vocab, config, prompts, targets, RGRPORollout(tokenizer, trie, vocab, config), Gradient(),
        num_generations_eval=2, per_device_eval_batch_size=4,
    )  # fmt: skip
    said = trainer.evaluate(trainer.train_dataset)
    assert np.isfinite(said["eval_loss"]) and np.isfinite(said["eval_reward"])
    with pytest.raises(CRSError, match="whole groups of 2; make per_device_eval_batch_size"):
        trainer.model.eval()
        trainer.rollout_func(["t5 t6", "t7"], trainer)


class StandInLLM:
    """vLLM's `LLM` as TRL asks it beside the trainer: token ids in, one `RequestOutput` a prompt out.

    It "samples" what our own tree drew. As vLLM does, it leaves the stop token in the token ids, and where none came
    within `max_tokens` it ends without one.
    """

    def __init__(self, tree: dict, stop: list[int], max_tokens: int):
        self.tree, self.stop, self.max_tokens = tree, stop, max_tokens

    def generate(self, prompts, sampling_params=None, *, use_tqdm=True):
        assert [p["prompt_token_ids"] for p in prompts] == self.tree["prompt_ids"]
        said = sampling_params
        assert (said.n, said.stop_token_ids, said.max_tokens, said.temperature) == (1, self.stop, self.max_tokens, 1.0)
        out = []
        rows = zip(prompts, *(self.tree[k] for k in ("completion_ids", "closed", "logprobs")), strict=True)
        for prompt, ids, closed, logprobs in rows:
            ids = ids if closed else ids[:-1]
            each = [{i: SimpleNamespace(logprob=lp, rank=1)} for i, lp in zip(ids, logprobs, strict=False)]
            completion = SimpleNamespace(token_ids=ids, logprobs=each)
            out.append(SimpleNamespace(prompt_token_ids=prompt["prompt_token_ids"], outputs=[completion]))
        return out


def trl_around(llm: StandInLLM, monkeypatch):
    """TRL's own `VLLMGeneration`, in the mode where vLLM shares the trainer's GPU, but for making a real `LLM`."""
    from trl.generation import vllm_generation

    monkeypatch.setattr(vllm_generation, "SamplingParams", SimpleNamespace, raising=False)
    made = object.__new__(vllm_generation.VLLMGeneration)
    made.__dict__.update(
        accelerator=None, model=torch.nn.Identity(), llm=llm, mode="colocate", enable_sleep_mode=False,
        tensor_parallel_size=1, temperature=1.0, top_p=1.0, top_k=0, min_p=None, repetition_penalty=1.0, logprobs=0,
        max_completion_length=llm.max_tokens, structured_outputs_regex=None,
        generation_kwargs={"stop_token_ids": llm.stop},
    )  # fmt: skip
    return made


def test_the_vllm_we_speak_of_is_the_one_that_trl_names():
    wanted = next(r for r in requires("trl") if r.startswith("vllm"))
    least, most = re.search(r">=([\d.]+\d)", wanted)[1], re.search(r"<=([\d.]+\d)", wanted)[1]
    said = " ".join(trl_rgrpo.__doc__.split())
    assert f"TRL {version('trl')}" in said and f"vLLM {least} to {most}" in said


def test_vllm_samples_and_our_beams_judge(system, monkeypatch):
    """A stand-in for vLLM, behind TRL's own code, returns what our sampler drew: the lists must be the tree's."""
    folder, tokenizer, vocab, trie = system
    config = RLConfig(group=3, beams=5, max_reasoning=30)
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32).eval()
    accelerator = SimpleNamespace(unwrap_model=lambda m: m)
    texts = [t for t in ("t5 t6 t7", "t8 t9") for _ in range(3)]
    tree = RGRPORollout(tokenizer, trie, vocab, config)(texts, SimpleNamespace(accelerator=accelerator, model=model))
    assert len(set(tree["closed"])) == 2  # both ways to end occur

    llm = StandInLLM(tree, [vocab.end_think], config.max_reasoning)
    trainer = SimpleNamespace(
        accelerator=accelerator, model=model, use_vllm=True, vllm_generation=trl_around(llm, monkeypatch)
    )
    theirs = RGRPORollout(tokenizer, trie, vocab, config)(texts, trainer)
    for key in ("prompt_ids", "completion_ids", "ranked", "closed"):
        assert theirs[key] == tree[key], key
    for mine, other, done in zip(tree["logprobs"], theirs["logprobs"], tree["closed"], strict=True):
        known = len(mine) if done else len(mine) - 1
        assert other[:known] == mine[:known] and len(other) == len(mine)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_packed_update_under_lora_has_the_gradient_of_the_plain_one(random_model, checkpointing):
    prompts, completion, mask = ragged()
    torch.manual_seed(0)
    model = get_peft_model(
        random_model,
        LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False),
    )
    weight = torch.randn(completion.shape, generator=torch.Generator().manual_seed(0)) * mask
    (naive_logprobs(model, prompts, completion, mask) * weight).sum().backward()
    want = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    if checkpointing:
        model.train()
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    (packed_logprobs(model, prompts, completion, mask, 0) * weight).sum().backward()
    assert len(want) == 8 and all(g.norm() > 0 for g in want.values())
    for name, p in model.named_parameters():
        if p.requires_grad:
            assert (p.grad - want[name]).norm() <= 1e-5 * want[name].norm(), name


def test_a_dataset_for_trl_spells_prompts_that_tokenize_to_the_codec_s(toy_model):
    _, codec = toy_model
    requests = codec.log.split("train")[:5]
    rows = dataset(codec, requests)
    assert rows["target"] == [r.target for r in requests]
    assert [codec.encode(text) for text in rows["prompt"]] == [codec.prompt(r) for r in requests]
