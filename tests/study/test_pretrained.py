"""A step is timed in both kinds of numbers; hours are tokens over tokens a second."""

import pytest
import torch

from crs_lite import training
from crs_lite.errors import CRSError
from crs_lite.files import write_json
from crs_lite.model import bfloat16
from crs_lite.study import pretrained


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
    table = pretrained.count(p, n=10**6)
    found = [stage.tokens for stage in table]
    assert [found[0] + found[1], found[2], found[3]] == pytest.approx(want)
    assert [stage.lessons for stage in table][1:] == [len(p.train), len(p.taught), len(p.taught)]
    few = [stage.tokens for stage in pretrained.count(p, n=8)]
    assert few == pytest.approx(found, rel=0.2) and few != found


def test_hours_are_tokens_over_tokens_a_second():
    stages = [pretrained.Lessons(stage=s, lessons=1000, length=n, passes=2) for s, n in (("a", 691.2), ("b", 345.6))]
    made = pretrained.hours(stages, {"ours": 2.0, "stock": 4.0})  # 384 and 192 tokens a second
    assert made["bfloat16"].tolist() == pytest.approx([1.0, 0.5, 1.5])
    assert made["float32"].tolist() == pytest.approx([2.0, 1.0, 3.0])
    assert made.loc["all", "tokens"] == pytest.approx(2_073_600)


def test_what_is_counted_is_kept_and_shown(make, tmp_path):
    made = pretrained.counted(make("shared"), "the command", "abc")
    write_json(tmp_path / "p.json", made.model_dump())
    assert pretrained.load(tmp_path / "p.json") == made
    bench = {"bench": {"pretrained": {"rows": [{"ours": 768.0, "stock": 1536.0}], "hardware": "H", "date": "D"}}}
    shown = pretrained.markdown(made, bench).splitlines()
    tokens = sum(stage.tokens for stage in made.stages)
    assert len(shown) == 2 + 5 + 2 and f"| {tokens:,.0f} | {tokens / 3600:.1f} | {tokens / 1800:.1f} |" in shown[6]
    assert "`the command`, commit abc" in shown[-1] and "H, D" in shown[-1]
    (tmp_path / "p.json").write_text('{"stages": 3}', encoding="utf-8")
    with pytest.raises(CRSError, match="p.json: stages: .*hours --record"):
        pretrained.load(tmp_path / "p.json")
