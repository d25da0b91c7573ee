"""Backbones are built from texts, saved and loaded the Hugging Face way; a damaged one is neither loaded nor saved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from crs_lite.errors import CRSError
from crs_lite.model import backbones
from crs_lite.profiles import get_profile


def tiny(vocab: int = 80):
    torch.manual_seed(0)
    return backbones.tiny_model(get_profile("smoke", hidden=32, heads=2, ffn=64), vocab)


def test_a_damaged_checkpoint_is_neither_loaded_nor_saved(tmp_path):
    model = tiny()
    backbones.save(tmp_path, model)
    path = tmp_path / "model.safetensors"
    sound = load_file(path)
    name = "model.layers.0.mlp.up_proj.weight"
    for value in (torch.nan, torch.inf):
        damaged = {k: v.clone() for k, v in sound.items()}
        damaged[name][3, 5] = value
        save_file(damaged, path, metadata={"format": "pt"})
        with pytest.raises(CRSError, match=f"{name} are not finite"):
            backbones.load_model(tmp_path)
    save_file({k: v for k, v in sound.items() if k != name}, path, metadata={"format": "pt"})
    with pytest.raises(CRSError, match="1 tensors are missing"):
        backbones.load_model(tmp_path)
    with torch.no_grad():
        model.get_parameter(name)[0, 0] = torch.nan
    with pytest.raises(CRSError, match="nothing is saved"):
        backbones.save(tmp_path / "other", model)
    assert not (tmp_path / "other").exists()


SIDS = ["<a_0>", "<a_1>", "<b_0>"]
TEXTS = ["a shopper looks for a case", '{"title":"case","brand":"Graypeak"}'] * 20
TOKENIZER = backbones.train_tokenizer(TEXTS, 400)


def small(**changes):
    return backbones.build(get_profile("smoke", hidden=32, heads=2, ffn=64, vocab=400, **changes), TEXTS, SIDS, seed=0)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_comes_back_from_the_tokenizer(text):
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    assert TOKENIZER.decode(ids, clean_up_tokenization_spaces=False) == text


def test_control_tokens_are_single_tokens_that_decoding_keeps():
    """Added twice they are added once; TRL decodes without special tokens, and IDs must survive that."""
    tokenizer = backbones.train_tokenizer(TEXTS, 400)
    assert backbones.add_control_tokens(tokenizer, SIDS) == 5 and backbones.add_control_tokens(tokenizer, SIDS) == 0
    text = "go <think>so</think><a_0><a_1><b_0>"
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == text
    assert sum(i in backbones.token_ids(tokenizer, [*SIDS, "<think>", "</think>"]) for i in ids) == 5


def test_a_token_that_must_exist_is_named_when_it_does_not():
    with pytest.raises(CRSError, match="the tokenizer lacks the token '<a_9>'"):
        backbones.token_ids(TOKENIZER, ["case", "<a_9>"])


@pytest.mark.parametrize("arch", ["llama", "qwen3"])
def test_a_fresh_backbone_has_a_row_for_every_token_and_depends_on_its_seed(arch):
    model, tokenizer = small(arch=arch)
    rows = model.get_input_embeddings().weight
    assert len(rows) == len(tokenizer) and model.get_output_embeddings().weight is rows
    assert (model.generation_config.pad_token_id, model.generation_config.eos_token_id) == (0, 2)
    again, _ = small(arch=arch)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    other, _ = backbones.build(get_profile("smoke", hidden=32, heads=2, ffn=64, vocab=400, arch=arch), TEXTS, SIDS, 1)
    assert not torch.equal(other.get_input_embeddings().weight, rows)
    assert backbones.n_parameters(model) == sum(p.numel() for p in model.parameters())


def test_an_unknown_architecture_is_refused():
    with pytest.raises(CRSError, match="arch='mamba': Input should be 'llama' or 'qwen3'"):
        small(arch="mamba")


def test_what_is_saved_is_loaded_by_the_auto_classes_too(tmp_path):
    model, tokenizer = small()
    backbones.save(tmp_path, model, tokenizer)
    ids = torch.tensor([tokenizer("a case<a_1>").input_ids])
    for again in (backbones.load(tmp_path)[0], AutoModelForCausalLM.from_pretrained(tmp_path).eval()):
        assert torch.equal(again(ids).logits, model.eval()(ids).logits)
    assert backbones.load_tokenizer(tmp_path).padding_side == "left"
    assert not list(tmp_path.glob("*.bin")) and not list(tmp_path.glob("*.pt"))
    for missing in (backbones.load_model, backbones.load_tokenizer):
        with pytest.raises(CRSError, match="nowhere: cannot load this checkpoint .*; delete the folder"):
            missing(tmp_path / "nowhere")


def test_adapters_merge_into_what_they_computed():
    """Rank 0 is the model itself; else the merged model answers as the adapted one did."""
    model, _ = small()
    assert backbones.adapt(model, 0) is model and backbones.merged(model) is model
    adapted = backbones.adapt(model, 4)
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(len(name))))
    ids = torch.tensor([[5, 6, 7, 8]])
    before = adapted(ids).logits
    plain = backbones.merged(adapted)
    assert torch.allclose(plain(ids).logits, before, atol=1e-4)
    assert plain.get_input_embeddings().weight is plain.get_output_embeddings().weight
    assert not any("lora" in name for name, _ in plain.named_parameters())


@pytest.fixture
def pretrained(tmp_path):
    """-> a function that makes the folder of a model with an untied head, or a vocabulary padded by 40 rows."""

    def make(tied, padded):
        model, tokenizer = small()
        config = {**model.config.to_dict(), "tie_word_embeddings": tied, "vocab_size": len(TOKENIZER) + 40 * padded}
        torch.manual_seed(1)
        other = AutoModelForCausalLM.from_config(type(model.config)(**config))
        backbones.save(tmp_path / "pretrained", other, TOKENIZER)
        return tmp_path / "pretrained"

    return make


def test_a_padded_vocabulary_keeps_its_rows(pretrained):
    folder = pretrained(tied=True, padded=True)
    before = backbones.load_model(folder, "cpu").get_input_embeddings().weight
    model, tokenizer = backbones.build(get_profile("smoke", backbone=str(folder)), [], SIDS, seed=0)
    rows = model.get_input_embeddings().weight
    assert len(rows) == len(before) > len(tokenizer) and torch.equal(rows, before)


@pytest.mark.parametrize("tied", [True, False])
def test_the_rows_of_the_head_learn_whether_tied_or_not(pretrained, tied):
    folder = pretrained(tied=tied, padded=False)
    model, tokenizer = backbones.build(get_profile("smoke", backbone=str(folder)), [], SIDS, seed=0)
    sid = backbones.token_ids(tokenizer, SIDS)
    before = model.get_output_embeddings().weight[sid].detach().clone()
    adapted = backbones.adapt(model, 4)
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=1.0)
    ids = torch.tensor([[5, 6, *sid]])
    adapted(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    plain = backbones.merged(adapted)
    assert (plain.get_output_embeddings().weight[sid] != before).any(-1).all()
    assert (plain.get_input_embeddings().weight is plain.get_output_embeddings().weight) == tied
