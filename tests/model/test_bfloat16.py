"""Rounded weights for the passes, float32 for what learns: as close to float32 as the digits allow, and a decision that
is a measurement."""

import ast
import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, LlamaConfig
from two_processes import fresh_model, tokenizer

from crs_lite import sft, training
from crs_lite.model import backbones, bfloat16
from crs_lite.model.precision import Precision
from crs_lite.tasks import Example


def llama(seed: int = 0):
    torch.manual_seed(seed)
    sizes = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2)
    config = LlamaConfig(
        vocab_size=64, intermediate_size=128, tie_word_embeddings=True, initializer_range=0.125, **sizes
    )
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)


def halved(model):
    """Weights in bfloat16 and no others. (`to` would round the angles of positions, too.)"""
    for p in model.parameters():
        p.data = p.data.to(torch.bfloat16)
    return model


def loss_of(model, ids, first=1):
    """The mean over the tokens from `first` on."""
    logits = model(input_ids=ids, use_cache=False).logits[:, first - 1 : -1]
    return cross_entropy(logits.flatten(0, 1).float(), ids[:, first:].flatten())


# -- the arithmetic ---------------------------------------------------------------------------------

EMBEDDING = "model.embed_tokens.weight"


def gradient(weights: dict[str, torch.Tensor], model, ids) -> dict[str, np.ndarray]:
    """Of a bfloat16 copy of the model with these weights. The table of embeddings is read, and summed over, in
    float32."""
    rounded = halved(copy.deepcopy(model))
    with torch.no_grad():
        for name, p in rounded.named_parameters():
            p.copy_(weights[name])
    table = weights[EMBEDDING].clone().requires_grad_()
    logits = rounded(inputs_embeds=table[ids].to(torch.bfloat16), use_cache=False).logits[:, :-1]
    cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten()).backward()
    found = {name: p.grad.double().numpy() for name, p in rounded.named_parameters()}
    found[EMBEDDING] += table.grad.double().numpy()  # it is the output head, too
    return found


def test_a_step_is_adam_on_float32_weights_with_the_rounded_model_s_gradient():
    """Every step against numpy in float64: clipping, Adam (Kingma & Ba, algorithm 1), decoupled decay (Loshchilov &
    Hutter, algorithm 2)."""
    start, lr, betas, decay, max_norm = llama(), 1e-3, (0.9, 0.98), 0.01, 0.5
    model = bfloat16.round_weights(copy.deepcopy(start))
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=betas, weight_decay=decay)
    m, v = (dict.fromkeys(dict(model.named_parameters()), 0.0) for _ in range(2))
    for t in range(1, 5):
        ids = torch.randperm(64).view(2, 32)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        g = gradient(before, start, ids)
        norm = np.sqrt(sum((x**2).sum() for x in g.values()))
        said = Precision("float32", "cpu").step(loss_of(model, ids), model, optimizer, max_norm)
        assert said == pytest.approx(norm, rel=1e-5) and norm > max_norm
        for name, p in model.named_parameters():
            clipped = g[name] * max_norm / norm
            m[name] = betas[0] * m[name] + (1 - betas[0]) * clipped
            v[name] = betas[1] * v[name] + (1 - betas[1]) * clipped**2
            step = lr * (m[name] / (1 - betas[0] ** t)) / (np.sqrt(v[name] / (1 - betas[1] ** t)) + 1e-8)
            want = before[name].double().numpy() * (1 - lr * decay) - step
            assert np.allclose(p.detach().numpy(), want, rtol=0, atol=1e-6), name  # a step is a thousand times as far
            assert p.dtype == optimizer.state[p]["exp_avg"].dtype == torch.float32


def test_trl_s_trainer_steps_and_clips_the_float32_weights():
    """One step of `sft.train` from the same start: plain Adam moves a weight by the learning rate towards its
    gradient's sign, whatever the gradient's size, and the sign is the rounded model's."""
    start = fresh_model()
    rng = np.random.default_rng(0)
    examples = [Example(rng.integers(4, 80, size=12).tolist(), [True] * 12) for _ in range(4)]
    model = bfloat16.round_weights(copy.deepcopy(start))
    log = sft.train(
        model, tokenizer(), examples, epochs=1, lr=1e-3, batch_tokens=1000, seed=0, schedule="constant", log_every=1
    )
    plain = copy.deepcopy(start)
    rows = torch.tensor([e.ids for e in examples])
    total, n, _ = sft.masked_loss(plain, rows, rows)
    (total / n).backward()
    norm = torch.stack([p.grad.norm() for p in plain.parameters()]).norm()
    assert log[0]["grad_norm"] == pytest.approx(float(norm), rel=0.02) and log[0]["grad_norm"] != float(norm)
    moved = {name: p.detach() - start.get_parameter(name) for name, p in model.named_parameters()}
    assert all(d.dtype == torch.float32 for d in moved.values())
    for name, p in plain.named_parameters():
        clear = p.grad.abs() > 0.1 * p.grad.abs().max()  # far from the digits that were rounded
        decay = 0.01 if p.ndim > 1 else 0.0
        step = -1e-3 * p.grad.sign() - 1e-3 * decay * start.get_parameter(name)
        assert torch.allclose(moved[name][clear], step.detach()[clear], atol=2e-6), name


def test_a_frequent_token_s_embedding_loses_no_gradient():
    """In bfloat16 a sum stands still once it is 256 times as large as what is added."""
    model, ids = llama(), torch.randint(4, 64, (16, 200))
    ids[torch.rand(ids.shape) < 0.5] = 5
    row = []
    for one in (model, bfloat16.round_weights(copy.deepcopy(model)), halved(copy.deepcopy(model))):
        loss_of(one, ids).backward()
        row.append(one.get_input_embeddings().weight.grad[5].float())
    exact, ours, simple = row
    assert (ours - exact).norm() < 0.02 * exact.norm() < (simple - exact).norm() / 5


def test_only_passes_that_learn_are_rounded(tmp_path):
    model, ids = llama(), torch.arange(20)[None]
    rounded = bfloat16.round_weights(copy.deepcopy(model))
    with torch.no_grad():
        assert torch.equal(rounded(input_ids=ids).logits, model(input_ids=ids).logits)
    assert rounded(input_ids=ids).logits.dtype == torch.bfloat16
    backbones.save(tmp_path, rounded)
    with safe_open(tmp_path / "model.safetensors", "pt") as f:
        assert {f.get_tensor(name).dtype for name in f.keys()} == {torch.float32}
        assert torch.equal(f.get_tensor("model.embed_tokens.weight"), model.get_input_embeddings().weight)


def test_a_copy_rounds_its_own_weights():
    model, ids = bfloat16.round_weights(llama()), torch.arange(20)[None]
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.model.layers[0].mlp.up_proj.weight.zero_()
    assert not torch.equal(model(input_ids=ids).logits, other(input_ids=ids).logits)
    other(input_ids=ids).logits.float().sum().backward()
    assert all(p.grad is None for p in model.parameters())


def test_adapters_learn_in_rounded_passes():
    model = bfloat16.round_weights(backbones.adapt(llama(), 2))
    loss_of(model, torch.arange(40).view(2, 20)).backward()
    learnt = {name for name, p in model.named_parameters() if p.grad is not None}
    assert learnt == {name for name, p in model.named_parameters() if p.requires_grad} and len(learnt) > 20
    plain = backbones.merged(model)
    assert not bfloat16.is_rounded(plain) and plain(input_ids=torch.arange(4)[None]).logits.dtype == torch.float32


def test_a_frozen_reference_agrees_with_the_model_that_begins_as_it():
    model, ids = llama(), torch.arange(40).view(2, 20)
    rounded, frozen = bfloat16.round_weights(copy.deepcopy(model)), bfloat16.like(model, copy.deepcopy(model))
    own = rounded(input_ids=ids).logits
    with torch.no_grad():
        assert not torch.equal(frozen(input_ids=ids).logits, own)
        assert torch.equal(bfloat16.like(rounded, frozen)(input_ids=ids).logits, own)


DISTANCE = 0.02  # nats a token: how far a step's loss may be from float32's


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_loss_curve_is_float32_s_and_needs_the_master_weights(seed):
    """80 steps of copying a sentence. With weights that are bfloat16 alone, updates smaller than a weight's last digit
    are lost, and the curve stays behind."""

    def curve(prepare) -> np.ndarray:
        model, drawn, losses = prepare(llama(seed)), torch.Generator().manual_seed(seed), []
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.98))
        for _ in range(80):
            half = torch.randint(64, (8, 12), generator=drawn)
            loss = loss_of(model, torch.cat([half, half], 1), 12)
            Precision("float32", "cpu").step(loss, model, optimizer, 1.0)
            losses.append(loss.item())
        return np.array(losses)

    exact = curve(lambda model: model)
    ours, alone = curve(bfloat16.round_weights), curve(halved)
    assert exact[-5:].mean() < exact[:5].mean() - 0.1  # there is something to follow
    assert np.abs(ours - exact).max() < DISTANCE and (ours != exact).any()
    assert (alone - exact)[-10:].mean() > 4 * DISTANCE


# -- the decision -----------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """-> a function that lets passes take so many seconds in float32 and in bfloat16; what was timed, in order."""
    timed = []

    def of(float32: float, rounded: float):
        def seconds(model, ids):
            timed.append(bfloat16.is_rounded(model))
            return rounded if timed[-1] else float32

        monkeypatch.setattr(bfloat16, "seconds", seconds)
        monkeypatch.setattr(bfloat16, "SECONDS", 0.0)
        monkeypatch.setattr(bfloat16, "_measured", {})
        return timed

    return of


@pytest.mark.parametrize("times, pays", [(1.29, False), (1.31, True), (0.5, False), (6.0, True)])
def test_the_measured_ratio_decides_and_is_said(clock, tmp_path, capsys, times, pays):
    clock(times, 1.0)
    model = bfloat16.prepare(llama(), "float16", tmp_path)
    assert bfloat16.is_rounded(model) == pays
    assert bfloat16.remembered(model) == ({"computed_in": "bfloat16"} if pays else {})
    (said,) = capsys.readouterr().out.splitlines()
    assert f"{times:.1f} times as fast" in said and ("run in bfloat16" in said) == pays


def test_it_is_measured_once_in_a_process_and_touches_no_generator(clock, tmp_path):
    timed = clock(2.0, 1.0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    config = llama().config
    torch.set_rng_state(before)
    assert bfloat16.speedup(config) == bfloat16.speedup(config) == 2.0
    assert timed == [False, True] * 3 and torch.equal(torch.get_rng_state(), before)


def test_a_training_goes_on_in_the_numbers_it_began_with(clock, tmp_path):
    clock(2.0, 1.0)
    assert bfloat16.is_rounded(bfloat16.prepare(llama(), "bfloat16", tmp_path))
    clock(1.0, 1.0)  # the machine is busy by now
    assert bfloat16.is_rounded(bfloat16.prepare(llama(), "bfloat16", tmp_path))
    assert not bfloat16.is_rounded(bfloat16.prepare(llama(), "bfloat16", tmp_path / "another"))
    (tmp_path / bfloat16.FILE).write_text("{", encoding="utf-8")
    assert not bfloat16.is_rounded(bfloat16.prepare(llama(), "bfloat16", tmp_path))


def test_float32_and_several_processes_measure_nothing(clock, tmp_path, monkeypatch):
    timed = clock(9.0, 1.0)
    model = llama()
    assert bfloat16.prepare(model, "float32", tmp_path) is model and not bfloat16.is_rounded(model)
    monkeypatch.setattr(bfloat16, "n_processes", lambda: 2)
    assert not bfloat16.is_rounded(bfloat16.prepare(model, "bfloat16", tmp_path))
    assert timed == [] and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_real_measurement_takes_about_two_seconds_and_is_a_plausible_ratio(monkeypatch):
    monkeypatch.setattr(bfloat16, "_measured", {})
    started = bfloat16.perf_counter()
    assert 0.05 < bfloat16.speedup(llama().config) < 50
    assert bfloat16.perf_counter() - started < 20  # a busy machine, at the worst


def test_no_processor_is_named_in_the_code():
    text = ast.unparse(ast.parse(Path(bfloat16.__file__).read_text(encoding="utf-8"))).lower()
    assert not [word for word in ("intel", "amd", "xeon", "epyc", "amx", "avx", "cpuinfo", "platform") if word in text]


# -- in a run ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_stage_remembers_what_it_was_computed_in_and_its_key_does_not(make, clock):
    clock(2.0, 1.0)
    p, q = make("rounded", dtype="bfloat16"), make("plain")
    ours, plain = training.align(p), training.align(q)
    assert ours.info["computed_in"] == "bfloat16" and "computed_in" not in plain.info
    assert not (ours.folder / "unfinished").exists()
    weights = [dict(backbones.load_model(stage.folder).named_parameters()) for stage in (ours, plain)]
    assert any(not torch.equal(w, weights[1][name]) for name, w in weights[0].items())
    explored = training.explore(p, ours)
    steps = explored.json_lines("steps.jsonl")
    assert explored.info["wrong"] > 0 and explored.info["computed_in"] == "bfloat16"
    assert abs(steps[0]["kl"]) < 1e-6  # policy and reference begin as one
    depends = json.loads((explored.folder / "manifest.json").read_text(encoding="utf-8"))["depends"]
    assert depends.get("config", {}).get("dtype") == "float32"  # a measurement is in no key
