"""A step is timed in both kinds of numbers; hours are tokens over tokens a second."""

import pytest
import torch

from crs_lite import training
from crs_lite.model import bfloat16
from crs_lite.study import pretrained
from crs_lite.tasks import context_to_sid


def test_the_two_ways_differ_in_their_numbers_and_in_nothing_else(monkeypatch):
    seen = []
    real = pretrained.masked_loss

    def watched(model, ids, labels):
        total, n, outputs = real(model, ids, labels)
        seen.append((bfloat16.is_rounded(model), outputs.logits.dtype))
        return total, n, outputs

    monkeypatch.setattr(pretrained, "masked_loss", watched)
    small = type(pretrained.SMOLLM2)(**{**pretrained.SMOLLM2.to_dict(), "num_hidden_layers": 1, "vocab_size": 90})
    (row,) = pretrained.steps(1, small)
    assert seen == [(True, torch.bfloat16), (False, torch.float32)] * 2
    assert row.ours > 0 and row.ratio == row.stock / row.ours and "768 tokens and one update" in row.note
    assert f"{768 / row.ours:.0f} tokens a CPU second in bfloat16, {768 / row.stock:.0f} in float32" in row.note


def test_the_sizes_are_the_backbone_s():
    with torch.device("meta"):
        model = pretrained.AutoModelForCausalLM.from_config(pretrained.SMOLLM2)
    assert sum(p.numel() for p in model.parameters()) == 134_515_008  # as its model card says: 135M


def test_tokens_are_those_the_stages_would_read(make, monkeypatch):
    """Against what `sft.train` is given, counted; and on a sample nearly the same."""
    given = []
    monkeypatch.setattr(training.sft, "train", lambda model, tokenizer, rows, **how: given.append((rows, how)) or [])
    monkeypatch.setattr(training, "roundtrip", lambda model, codec, n: {})
    p = make("shared", replay=0.25)
    aligned = training.align(p)
    training.direct(p, aligned)
    training.distil(p, aligned)
    want = [how["epochs"] * sum(len(e.ids) for e in rows) for rows, how in given]
    table = pretrained.tokens(p, n=10**6)
    found = table["tokens"].tolist()
    assert [found[0] + found[1], found[2], found[3]] == pytest.approx(want)
    assert table["lessons"].tolist()[1:] == [len(p.train), len(p.taught), len(p.taught)]
    few = pretrained.tokens(p, n=8)
    assert few["tokens"].tolist() == pytest.approx(found, rel=0.2) and (few["tokens"] != found).any()
    direct = context_to_sid(p.codec, p.taught)
    assert table.loc["direct", "tokens a lesson"] == sum(len(e.ids) for e in direct) / len(direct)


def test_hours_are_tokens_over_tokens_a_second(make):
    table = pretrained.tokens(make("shared"), n=5)
    made = pretrained.hours(table, {"ours": 2.0, "stock": 4.0})  # 384 and 192 tokens a second
    assert made["hours, bfloat16"].tolist()[:4] == pytest.approx([t / 384 / 3600 for t in table["tokens"]])
    assert made.loc["all", "hours, float32"] == pytest.approx(table["tokens"].sum() / 192 / 3600)
